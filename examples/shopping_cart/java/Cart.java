import io.ringlet.Bucket;
import io.ringlet.Codec;
import io.ringlet.Key;
import io.ringlet.Resolvers;
import io.ringlet.RingletClient;
import io.ringlet.RingletException;
import io.ringlet.Versioned;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * The shopping cart of Dynamo's paper (section 4.4): carts of several writers become their union,
 * so that nothing added is lost, and a removed item may come back.
 *
 * <p>Usage: {@code Cart SEEDS CUSTOMER add ITEM… | remove ITEM | show}
 */
public final class Cart {
  private static final String USAGE = "usage: Cart SEEDS CUSTOMER add ITEM... | remove ITEM | show";

  /** Sorted items, one a line, each line ended: the format of the carts in C, C++ and Python. */
  private static final Codec<Set<String>> LINES = new Codec<>() {
    @Override
    public String contentType() {
      return "text/plain";
    }

    @Override
    public byte[] encode(Set<String> items) {
      StringBuilder lines = new StringBuilder();
      // By bytes, as the other languages sort; Java's own order differs beyond U+FFFF.
      items.stream().sorted((a, b) -> Arrays.compareUnsigned(TEXT.encode(a), TEXT.encode(b)))
          .forEach(item -> lines.append(item).append('\n'));
      return TEXT.encode(lines.toString());
    }

    @Override
    public Set<String> decode(ByteBuffer readOnly) throws Exception {
      Set<String> items = new TreeSet<>();
      TEXT.decode(readOnly).lines().filter(line -> !line.isEmpty()).forEach(items::add);
      return items;
    }
  };

  private Cart() {}

  /** Prints the cart after the action. Exit status: 0, 1 the cluster failed, 2 wrong arguments. */
  public static void main(String[] args) {
    List<String> items = args.length < 3 ? List.of() : List.of(args).subList(3, args.length);
    String action = args.length < 3 ? "" : args[2];
    boolean valid = switch (action) {
      case "add" -> !items.isEmpty();
      case "remove" -> items.size() == 1;
      case "show" -> items.isEmpty();
      default -> false;
    };
    if (!valid || items.stream().anyMatch(item -> item.isEmpty() || item.contains("\n"))) {
      System.err.println(USAGE);
      System.exit(2);
    }
    try (RingletClient client = RingletClient.builder().seeds(args[0]).build()) {
      Bucket<Set<String>> carts = client.bucket("carts", LINES).withResolver(Resolvers.union());
      Versioned<Set<String>> cart = act(carts, Key.of(args[1]), action, items);
      if (!cart.isMissing()) {
        System.out.write(LINES.encode(cart.resolved(Resolvers.union())));
        System.out.flush();
      }
    } catch (IOException e) {
      System.err.println("cart: " + e.getMessage());
      System.exit(1);
    } catch (RingletException e) {
      System.err.println("cart: " + e.getMessage()
          + (e.maybeApplied() ? " (the change may have been made)" : ""));
      System.exit(1);
    }
  }

  private static Versioned<Set<String>> act(Bucket<Set<String>> carts, Key customer, String action,
      List<String> items) {
    if (action.equals("show")) {
      return carts.get(customer);
    }
    return carts.update(customer, old -> {
      Set<String> now = old == null ? new TreeSet<>() : new TreeSet<>(old);
      if (action.equals("add")) {
        now.addAll(items);
      } else {
        now.removeAll(items);
      }
      return now;
    });
  }
}
