package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ringlet.internal.RingletNative;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What asynchronous calls run on when nothing is said, on machines of one processor and more. */
@Timeout(200)
final class DefaultExecutorTest {
  private static final int CALLS = 3000;

  /** In a Java of its own: its number of processors is set when it starts. */
  public static void main(String[] arguments) throws Exception {
    Set<Long> threads = ConcurrentHashMap.newKeySet();
    try (LocalCluster cluster = LocalCluster.start(1);
        RingletClient client = RingletClient.builder().seeds(cluster.seeds())
            .timeout(Duration.ofSeconds(30)).build()) {
      Bucket<String> bucket = client.bucket("b", Codec.TEXT);
      for (int i = 0; i < CALLS; i += 50) {
        List<CompletableFuture<?>> all = new ArrayList<>();
        for (int j = 0; j < 50; j++) {
          all.add(bucket.updateAsync(Key.of("k" + j), old -> {
            threads.add(Thread.currentThread().getId());
            return "x";
          }));
        }
        CompletableFuture.allOf(all.toArray(new CompletableFuture<?>[0])).get(60, TimeUnit.SECONDS);
      }
      // Functions that are held up do not hold up the rest.
      CountDownLatch leave = new CountDownLatch(1);
      List<CompletableFuture<?>> held = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        held.add(bucket.updateAsync(Key.of("held" + i), old -> {
          try {
            leave.await();
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
          return "x";
        }));
      }
      if (Runtime.getRuntime().availableProcessors() < 3) {
        bucket.getAsync(Key.of("k1")).get(20, TimeUnit.SECONDS);
      }
      leave.countDown();
      CompletableFuture.allOf(held.toArray(new CompletableFuture<?>[0])).get(60, TimeUnit.SECONDS);
    }
    System.out.println("threads=" + threads.size());
  }

  @Test
  void thereIsNoThreadForEachEvent() throws Exception {
    for (String processors : List.of("1", "2", "4")) {
      Process child = new ProcessBuilder(
          System.getProperty("java.home") + "/bin/java", "-XX:ActiveProcessorCount=" + processors,
          "-Dringlet.native.path=" + System.getProperty("ringlet.native.path", ""),
          "-cp", String.join(File.pathSeparator, "target/classes", "target/test-classes",
              "../ringlet-native-linux-x86_64/target/classes"),
          DefaultExecutorTest.class.getName()).redirectErrorStream(true).start();
      String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertEquals(0, child.waitFor(), said);
      String threads = said.replaceAll("(?s).*threads=(\\d+).*", "$1").strip();
      // As many as were held up; a thread for each event would be thousands.
      assertTrue(Integer.parseInt(threads) < CALLS / 10, said);
    }
  }

  @Test
  void theTimeOfACallThatSaysNothingIsThatOfTheLibrary() {
    io.ringlet.internal.NativeLoader.load();
    String options = new String(RingletNative.optionsDescribe(), StandardCharsets.UTF_8);
    assertTrue(Pattern.compile("client\\.timeout_ms[^}]*?\"default\":\\s*\"?"
        + RingletClient.DEFAULT_TIMEOUT_MS + "\\b").matcher(options).find(), options);
  }
}
