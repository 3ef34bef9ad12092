import io.ringlet.Key;
import io.ringlet.RingletClient;
import io.ringlet.RingletException;
import io.ringlet.document.Document;
import io.ringlet.document.DocumentBucket;
import io.ringlet.document.MapEdits;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * A shopping cart as a document, in Java: no merge is written, and what was removed does not come back.
 *
 * <p>Usage: {@code Cart SEEDS CUSTOMER show | add THING [AMOUNT] | remove THING | coupon CODE}
 *
 * <p>The cart is the document CUSTOMER in the bucket "baskets": a map "items" of counters and a set
 * "coupons". The C, C++ and Python examples use the same carts. Two shoppers may change a cart at the
 * same time: amounts add up, and a thing is gone only if the shopper who removed it had seen it.
 */
public final class Cart {
  private static final String USAGE = """
      usage: Cart SEEDS CUSTOMER show | add THING [AMOUNT] | remove THING | coupon CODE
      cart: an amount is a whole number from 1 to 1000000""";

  private Cart() {}

  /** What the words ask for, null for "show". An edit says what is to be done; Ringlet does it. */
  private static Consumer<MapEdits> editOf(String verb, List<String> more) {
    switch (verb + " " + more.size()) {
      case "show 0":
        return null;
      case "add 1":
        return cart -> cart.map("items").counter(more.get(0)).increment();
      case "add 2":
        long amount = Long.parseLong(more.get(1));
        if (amount < 1 || amount > 1_000_000) {
          throw new IllegalArgumentException(USAGE);
        }
        return cart -> cart.map("items").counter(more.get(0)).increment(amount);
      case "remove 1":
        return cart -> cart.map("items").discard(more.get(0));
      case "coupon 1":
        return cart -> cart.set("coupons").add(more.get(0));
      default:
        throw new IllegalArgumentException(USAGE);
    }
  }

  /** The names as text, by their bytes: the order of the other languages. */
  private static List<String> sorted(Collection<?> names) {
    return names.stream().map(String::valueOf)
        .sorted((a, b) -> Arrays.compareUnsigned(
            a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8)))
        .toList();
  }

  private static void print(Document cart) {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (String code : sorted(cart.set("coupons"))) {
      out.println("coupon " + code);
    }
    Map<Object, Long> items = cart.map("items").counters();
    for (String thing : sorted(items.keySet())) {
      out.printf("%4d %s%n", items.get(thing), thing);
    }
    out.flush();
  }

  /** Prints the cart after the change. Exit status: 0, 1 the cluster failed, 2 wrong arguments. */
  public static void main(String[] arguments) {
    Consumer<MapEdits> edit = null;
    try {
      List<String> words = List.of(arguments);
      edit = editOf(words.get(2), words.subList(3, words.size()));
    } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
      System.err.println(USAGE);
      System.exit(2);
    }
    Duration timeout = Duration.ofSeconds(5);
    try (RingletClient client =
        RingletClient.builder().seeds(arguments[0]).timeout(timeout).build()) {
      DocumentBucket carts = DocumentBucket.of(client, "baskets");
      Key customer = Key.of(arguments[1]);
      print(edit == null ? carts.get(customer) : carts.edit(customer, edit));
    } catch (RingletException e) {
      System.err.println("cart: " + e.getMessage()
          + (e.maybeApplied() ? " (the change may have been made)" : ""));
      System.exit(1);
    }
  }
}
