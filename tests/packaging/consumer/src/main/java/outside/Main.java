package outside;

import io.ringlet.Bucket;
import io.ringlet.Codec;
import io.ringlet.Key;
import io.ringlet.LocalCluster;
import io.ringlet.RingletClient;
import java.time.Duration;

/** README's session in short: two writers that do not know of each other, then a merge, with a node gone. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    try (LocalCluster cluster = LocalCluster.start(3);
        RingletClient client = RingletClient.builder().seeds(cluster.seeds())
            .timeout(Duration.ofSeconds(20)).build()) {
      Bucket<String> carts = client.bucket("carts", Codec.TEXT)
          .withResolver(siblings -> String.join(" ",
              siblings.stream().map(sibling -> sibling.value()).sorted().toList()));
      Key alice = Key.of("alice");
      carts.put(alice, "tea");
      carts.put(alice, "milk");
      System.out.println(carts.get(alice).siblings().size() + " siblings");
      cluster.kill(0);
      System.out.println(carts.update(alice, cart -> cart + " bread").value());
    }
  }
}
