import io.ringlet.Bucket;
import io.ringlet.Codec;
import io.ringlet.ConflictResolver;
import io.ringlet.Key;
import io.ringlet.RingletClient;
import io.ringlet.RingletException;
import io.ringlet.Versioned;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * The log of an order, in Java: an edit that must not be made twice, and a resolver of our own.
 *
 * <p>Usage: {@code OrderLog SEEDS ORDER append TEXT | show}
 *
 * <p>The log of ORDER is a value in the bucket "orders": UTF-8 text, one entry a line, in order. An
 * entry is "NUMBER ID TEXT", where NUMBER is one more than the greatest that its writer saw and ID is
 * drawn at random. So two clerks who append at the same time write two entries with one number, and
 * the same words twice are two entries, too. The C, C++ and Python examples write the same logs.
 *
 * <p>{@code update} calls {@link #append} at most once, and exactly once when it succeeds; what the
 * write met, {@link #MERGE} puts together. Appending again in the merge would put the entry into the
 * log twice.
 */
public final class OrderLog {
  private static final String USAGE = "usage: OrderLog SEEDS ORDER append TEXT | show";

  /**
   * Every entry of any version, each once: an entry that two versions share is the same line in both.
   * The lines are in order of their numbers and ids, so every language orders them alike.
   */
  private static final ConflictResolver<String> MERGE = siblings -> {
    TreeSet<String> lines = new TreeSet<>();
    siblings.forEach(sibling -> sibling.value().lines().forEach(lines::add));
    return lines.stream().map(line -> line + "\n").collect(Collectors.joining());
  };

  private OrderLog() {}

  /** The log with one more entry. Not idempotent: called twice, it appends two entries. */
  private static String append(String old, String text) {
    String log = old == null ? "" : old;
    String last = log.lines().reduce("0 ", (before, line) -> line);
    long number = Long.parseLong(last.substring(0, last.indexOf(' '))) + 1;
    return log + String.format("%08d %016x %s\n", number, new SecureRandom().nextLong(), text);
  }

  /** Prints the log after the action. Exit status: 0, 1 the cluster failed, 2 wrong arguments. */
  public static void main(String[] arguments) {
    boolean show = arguments.length == 3 && arguments[2].equals("show");
    boolean append = arguments.length == 4 && arguments[2].equals("append");
    if (!show && (!append || arguments[3].isEmpty() || arguments[3].contains("\n"))) {
      System.err.println(USAGE + "\norder_log: an entry is one line of text");
      System.exit(2);
    }
    Duration timeout = Duration.ofSeconds(5);
    try (RingletClient client =
        RingletClient.builder().seeds(arguments[0]).timeout(timeout).build()) {
      Bucket<String> orders = client.bucket("orders", Codec.TEXT).withResolver(MERGE);
      Key order = Key.of(arguments[1]);
      Versioned<String> log =
          show ? orders.get(order) : orders.update(order, old -> append(old, arguments[3]));
      PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
      if (!log.isMissing()) {
        for (String line : log.resolved(MERGE).split("\n")) {
          String[] parts = line.split(" ", 3);
          out.println(Long.parseLong(parts[0]) + " " + parts[2]);
        }
      }
      out.flush();
    } catch (RingletException e) {
      System.err.println("order_log: " + e.getMessage() + (e.maybeApplied()
          ? " (the entry may be in the log: look before you append it again)" : ""));
      System.exit(1);
    }
  }
}
