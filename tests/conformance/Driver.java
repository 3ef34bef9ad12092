import io.ringlet.Bucket;
import io.ringlet.Change;
import io.ringlet.Codec;
import io.ringlet.ConflictException;
import io.ringlet.ConflictResolver;
import io.ringlet.Context;
import io.ringlet.DecodeException;
import io.ringlet.Deletes;
import io.ringlet.Durability;
import io.ringlet.Key;
import io.ringlet.KeyMissingException;
import io.ringlet.Result;
import io.ringlet.RingletClient;
import io.ringlet.RingletException;
import io.ringlet.Sibling;
import io.ringlet.Status;
import io.ringlet.UpdateNote;
import io.ringlet.Versioned;
import io.ringlet.document.Document;
import io.ringlet.document.DocumentBucket;
import io.ringlet.document.MapEdits;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The conformance driver in Java: the public classes of io.ringlet, as a program uses them. driver.c says what
 * it reads and answers, README.md of this folder lists the fields. With async=1 calls go through the
 * methods that return futures.
 */
public final class Driver {
  private static boolean async;
  private static final Map<String, RingletClient> CLIENTS = new HashMap<>();

  private Driver() {}

  // ---- the line protocol ----

  /** One request. */
  private record Fields(List<Map.Entry<String, byte[]>> all) {
    static Fields of(String line) {
      List<Map.Entry<String, byte[]>> all = new ArrayList<>();
      for (String word : line.split(" ")) {
        int equals = word.indexOf('=');
        all.add(Map.entry(word.substring(0, equals), unescaped(word.substring(equals + 1))));
      }
      return new Fields(all);
    }

    byte[] find(String name) {
      for (Map.Entry<String, byte[]> field : all) {
        if (field.getKey().equals(name)) {
          return field.getValue();
        }
      }
      return null;
    }

    byte[] bytes(String name) {
      byte[] found = find(name);
      return found == null ? new byte[0] : found;
    }

    String text(String name) {
      return new String(bytes(name), StandardCharsets.UTF_8);
    }

    int number(String name) {
      String text = text(name);
      return text.isEmpty() ? 0 : Integer.parseInt(text);
    }

    Key key() {
      return Key.of(bytes("key"));
    }
  }

  private static byte[] unescaped(String text) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) == '%') {
        out.write(Integer.parseInt(text.substring(i + 1, i + 3), 16));
        i += 2;
      } else {
        out.write(text.charAt(i));
      }
    }
    return out.toByteArray();
  }

  private static String escaped(byte[] bytes) {
    StringBuilder out = new StringBuilder(bytes.length);
    for (byte b : bytes) {
      int c = b & 255;
      if (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_'
          || c == '-') {
        out.append((char) c);
      } else {
        out.append('%').append(Character.toUpperCase(Character.forDigit(c >> 4, 16)))
            .append(Character.toUpperCase(Character.forDigit(c & 15, 16)));
      }
    }
    return out.toString();
  }

  private static String escaped(String text) {
    return escaped(text.getBytes(StandardCharsets.UTF_8));
  }

  /** One answer. */
  private static final class Answer {
    final StringBuilder line = new StringBuilder();

    void field(String name, byte[] value) {
      if (line.length() > 0) {
        line.append(' ');
      }
      line.append(name).append('=').append(escaped(value));
    }

    void field(String name, String value) {
      field(name, value.getBytes(StandardCharsets.UTF_8));
    }

    void field(String name, int value) {
      field(name, Integer.toString(value));
    }

    void field(String name, boolean value) {
      field(name, value ? "1" : "0");
    }
  }

  // ---- calls ----

  /** Values as a program holds them: bytes, or text. */
  private interface Kind<T> {
    Codec<T> codec(Fields given);

    byte[] bytes(T value);

    T value(byte[] bytes);
  }

  private static final Kind<byte[]> RAW = new Kind<>() {
    @Override
    public Codec<byte[]> codec(Fields given) {
      String type = given.text("content_type");
      return new Codec<>() {
        @Override
        public String contentType() {
          return type;
        }

        @Override
        public boolean accepts(String contentType) {
          return true;
        }

        @Override
        public byte[] encode(byte[] value) {
          return value;
        }

        @Override
        public byte[] decode(ByteBuffer readOnly) throws Exception {
          return Codec.RAW.decode(readOnly);
        }
      };
    }

    @Override
    public byte[] bytes(byte[] value) {
      return value;
    }

    @Override
    public byte[] value(byte[] bytes) {
      return bytes;
    }
  };

  private static final Kind<String> TEXT = new Kind<>() {
    @Override
    public Codec<String> codec(Fields given) {
      return Codec.TEXT;
    }

    @Override
    public byte[] bytes(String value) {
      return value.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public String value(byte[] bytes) {
      return new String(bytes, StandardCharsets.UTF_8);
    }
  };

  private static <T> Bucket<T> bucket(Fields given, Kind<T> kind) {
    RingletClient client = CLIENTS.get(given.text("client"));
    Bucket<T> bucket = client.bucket(given.bytes("bucket"), kind.codec(given));
    if (given.number("timeout_ms") != 0) {
      bucket = bucket.withTimeout(Duration.ofMillis(given.number("timeout_ms")));
    }
    if (given.number("r") != 0) {
      bucket = bucket.withR(given.number("r"));
    }
    if (given.number("w") != 0) {
      bucket = bucket.withW(given.number("w"));
    }
    if (given.number("strict") != 0) {
      bucket = bucket.withStrict(true);
    }
    if (!given.text("durability").isEmpty()) {
      bucket = bucket.withDurability(Durability.valueOf(given.text("durability").toUpperCase()));
    }
    if (!given.text("deletes").isEmpty()) {
      bucket = bucket.withDeletes(Deletes.valueOf(given.text("deletes").toUpperCase()));
    }
    if (given.number("siblings") != 0) {
      bucket = bucket.withSiblings(true);
    }
    String id = given.text("write_id");
    if (!id.isEmpty()) {
      bucket = bucket.withWriteId(new UUID(Long.parseUnsignedLong(id.substring(0, 16), 16),
          Long.parseUnsignedLong(id.substring(16), 16)));
    }
    return bucket;
  }

  private static <T> T wait(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e;
    }
  }

  private static String nameOf(int status) {
    if (status == 0) {
      return "OK";
    }
    for (Field field : Status.class.getFields()) {
      try {
        if (field.getType() == int.class && field.getInt(null) == status) {
          return field.getName();
        }
      } catch (IllegalAccessException e) {
        throw new IllegalStateException(e);
      }
    }
    return "UNKNOWN";
  }

  private static void tellError(Answer out, RingletException error) {
    out.field("status", nameOf(error.status()));
    out.field("message", error.getMessage());
    out.field("maybe", error.maybeApplied());
    out.field("retryable", error.retryable());
    out.field("details", error.details());
  }

  private static <T> void tellReply(
      Answer out, Kind<T> kind, Versioned<T> versioned, boolean versions, boolean value) {
    out.field("context", versioned.context().bytes());
    out.field("merged", versioned.isMerged());
    out.field("left_out", versioned.leftOut());
    out.field("explain", versioned.explain());
    if (versions) {
      for (Sibling<T> sibling : versioned.siblings()) {
        boolean undecodable = sibling.error().isPresent();
        byte[] raw = sibling.deleted() ? new byte[0]
            : undecodable ? sibling.error().get().raw() : kind.bytes(sibling.value());
        out.field("version", escaped(raw) + "," + escaped(sibling.contentType()) + ","
            + escaped(sibling.dot()) + (sibling.deleted() ? ",1" : ",0") + (undecodable ? ",1" : ",0"));
      }
    }
    if (!value) {
      return;
    }
    try {
      byte[] plain = kind.bytes(versioned.value());
      out.field("is", "value");
      out.field("value", plain);
    } catch (KeyMissingException e) {
      out.field("is", "missing");
    } catch (ConflictException e) {
      out.field("is", "conflict");
    } catch (DecodeException e) {
      out.field("is", "undecodable");
    }
  }

  /** What the application's own functions throw. */
  private static final class Raised extends RuntimeException {
    private static final long serialVersionUID = 1L;
  }

  /** The application's functions. */
  private static final class Application<T> {
    final Fields given;
    final Kind<T> kind;
    final List<String> seen = new ArrayList<>();
    int edits;
    int merges;

    Application(Fields given, Kind<T> kind) {
      this.given = given;
      this.kind = kind;
    }

    void rival(byte[] value) {
      CLIENTS.get(given.text("client")).bucket(given.bytes("bucket"), RAW.codec(given))
          .put(given.key(), value);
    }

    Change<T> plain(String what) {
      return switch (what) {
        case "raise" -> throw new Raised();
        case "nothing" -> null;
        case "delete" -> Change.delete();
        case "keep" -> Change.keep();
        default -> throw new IllegalArgumentException(what);
      };
    }

    static final Set<String> PLAIN = Set.of("raise", "nothing", "delete", "keep");

    Change<T> decide(List<Sibling<T>> siblings) {
      boolean written = edits > 0;
      seen.add((written ? "m" : "e") + siblings.size());
      if (written) {
        merges++;
        if (merges <= given.number("rival_merges")) {
          rival((given.text("rival_merge") + merges).getBytes(StandardCharsets.UTF_8));
        }
        sleep(given.number("merge_ms"));
      }
      String what = given.text("resolver");
      if (PLAIN.contains(what)) {
        return plain(what);
      }
      Set<String> parts = new TreeSet<>();
      boolean deleted = false;
      for (Sibling<T> sibling : siblings) {
        if (sibling.deleted()) {
          deleted = true;
        } else if (sibling.error().isPresent()) {
          parts.add("undecodable");
        } else {
          parts.addAll(split(text(sibling.value())));
        }
      }
      if (deleted && what.equals("delete_wins")) {
        return Change.delete();
      }
      if (!what.equals("counter")) {
        return Change.to(own(String.join("+", parts)));
      }
      Map<String, Long> counts = new TreeMap<>();
      for (String part : parts) {
        int colon = part.indexOf(':');
        counts.merge(part.substring(0, colon), Long.parseLong(part.substring(colon + 1)), Math::max);
      }
      List<String> entries = new ArrayList<>();
      counts.forEach((name, count) -> entries.add(name + ":" + count));
      return Change.to(own(String.join("+", entries)));
    }

    Change<T> edit(T current) {
      if (seen.isEmpty()) {
        seen.add(current == null ? "e0" : "e1");
      }
      edits++;
      if (given.find("rival") != null) {
        rival(given.bytes("rival"));
      }
      sleep(given.number("edit_ms"));
      String what = given.text("edit");
      if (PLAIN.contains(what)) {
        return plain(what);
      }
      T with = kind.value(given.bytes("with"));
      if (what.equals("set")) {
        return Change.to(with);
      }
      String now = current == null ? "" : text(current);
      if (what.equals("append")) {
        return Change.to(now.isEmpty() ? with : own(now + "+" + text(with)));
      }
      List<String> entries = new ArrayList<>(split(now));
      long count = 0;
      for (String entry : entries) {
        if (entry.startsWith(text(with) + ":")) {
          count = Long.parseLong(entry.substring(entry.indexOf(':') + 1));
        }
      }
      entries.removeIf(entry -> entry.startsWith(text(with) + ":"));
      entries.add(text(with) + ":" + (count + 1));
      entries.sort(null);
      return Change.to(own(String.join("+", entries)));
    }

    static void sleep(int ms) {
      try {
        Thread.sleep(ms);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }

    // Latin 1 keeps every byte.
    String text(T value) {
      return new String(kind.bytes(value), StandardCharsets.ISO_8859_1);
    }

    T own(String text) {
      return kind.value(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    static List<String> split(String text) {
      return Arrays.stream(text.split("\\+")).filter(part -> !part.isEmpty()).toList();
    }
  }

  private static boolean applied(Throwable thrown) {
    for (Throwable note : thrown.getSuppressed()) {
      if (note instanceof UpdateNote update) {
        return update.applied();
      }
    }
    return false;
  }

  private static <T> void update(Fields given, Kind<T> kind, Answer out) {
    Application<T> app = new Application<>(given, kind);
    String resolver = given.text("resolver");
    try {
      Bucket<T> bucket = bucket(given, kind);
      if (resolver.equals("factory")) {
        bucket = bucket.withResolver(null); // a factory does not compile; this is what can be got wrong
      } else if (resolver.equals("nothing")) {
        bucket = bucket.withResolver(siblings -> {
          app.decide(siblings);
          return null;
        });
      } else if (!resolver.isEmpty()) {
        bucket = bucket.withResolver(new ConflictResolver<>() {
          @Override
          public T resolve(List<Sibling<T>> siblings) {
            throw new IllegalStateException("decide is asked");
          }

          @Override
          public Change<T> decide(List<Sibling<T>> siblings) {
            return app.decide(siblings);
          }
        });
      }
      Function<T, Change<T>> edit = app::edit;
      Bucket<T> used = bucket;
      Versioned<T> versioned = given.text("edit").equals("nothing")
          ? (async ? wait(used.updateAsync(given.key(), value -> {
            app.edit(value);
            return null;
          })) : used.update(given.key(), value -> {
            app.edit(value);
            return null;
          }))
          : async ? wait(used.changeAsync(given.key(), edit)) : used.change(given.key(), edit);
      out.field("status", "OK");
      tellReply(out, kind, versioned, true, true);
    } catch (Raised raised) {
      out.field("status", "RAISED");
      out.field("applied", applied(raised));
    } catch (ConflictException e) {
      out.field("status", "CONFLICT");
      out.field("code", nameOf(e.status()));
      out.field("applied", applied(e));
    } catch (DecodeException e) {
      out.field("status", "UNDECODABLE");
      out.field("applied", applied(e));
    } catch (RingletException e) {
      tellError(out, e);
    } catch (NullPointerException e) {
      wrongArgument(out, e);
    }
    out.field("edits", app.edits);
    out.field("merges", app.merges);
    out.field("seen", String.join(",", app.seen));
  }

  private static void wrongArgument(Answer out, RuntimeException e) {
    out.field("status", "INVALID_ARGUMENT");
    out.field("message", String.valueOf(e.getMessage()));
    out.field("maybe", false);
    out.field("retryable", false);
  }

  private static <T> void call(Fields given, Kind<T> kind, Answer out) {
    String what = given.text("do");
    if (what.equals("update")) {
      update(given, kind, out);
      return;
    }
    Bucket<T> bucket = bucket(given, kind);
    boolean get = what.equals("get");
    Supplier<Versioned<T>> run = () -> {
      Context context = new Context(given.bytes("context"));
      return switch (what) {
        case "get" -> async ? wait(bucket.getAsync(given.key())) : bucket.get(given.key());
        case "put" -> {
          T value = kind.value(given.bytes("value"));
          yield async ? wait(bucket.putAsync(given.key(), value, context)) : bucket.put(given.key(), value, context);
        }
        default -> async ? wait(bucket.deleteAsync(given.key(), context)) : bucket.delete(given.key(), context);
      };
    };
    Versioned<T> versioned;
    boolean undecodable = false;
    try {
      versioned = run.get();
    } catch (DecodeException e) {
      // It carries what was read: the bytes and the context are not lost.
      @SuppressWarnings("unchecked")
      Versioned<T> read = (Versioned<T>) e.versioned();
      versioned = read;
      undecodable = true;
    }
    out.field("status", "OK");
    tellReply(out, kind, versioned, get || given.number("siblings") != 0, get && !undecodable);
    if (undecodable && get) {
      out.field("is", versioned.isConflict() ? "conflict" : "undecodable");
    }
  }

  private static <T> void multiGet(Fields given, Kind<T> kind, Answer out) {
    Set<Key> keys = new LinkedHashSet<>();
    for (Map.Entry<String, byte[]> field : given.all()) {
      if (field.getKey().equals("key")) {
        keys.add(Key.of(field.getValue()));
      }
    }
    Map<Key, Result<T>> found = bucket(given, kind).getAll(keys);
    out.field("status", "OK");
    for (Key key : keys) {
      Answer item = new Answer();
      Result<T> result = found.get(key);
      if (result.isSuccess()) {
        item.field("status", "OK");
        tellReply(item, kind, result.get(), true, true);
      } else if (result.error().get() instanceof RingletException e) {
        tellError(item, e);
      }
      out.field("item", item.line.toString());
    }
  }

  // ---- documents ----

  private static final Kind<Document> DOCUMENT = new Kind<>() {
    @Override
    public Codec<Document> codec(Fields given) {
      return Document.CODEC;
    }

    @Override
    public byte[] bytes(Document value) {
      throw new IllegalStateException("a document is told by its fields");
    }

    @Override
    public Document value(byte[] bytes) {
      throw new IllegalStateException("a document is made by edits");
    }
  };

  /** "increment items/tea 2": what is to be done, the fields to it, a value or an amount. */
  private static void edit(MapEdits root, String words) {
    String[] parts = words.split(" ", 3);
    String[] path = parts[1].split("/");
    MapEdits parent = root;
    for (int i = 0; i + 1 < path.length; i++) {
      parent = parent.map(path[i]);
    }
    String last = path[path.length - 1];
    switch (parts[0]) {
      case "add" -> parent.set(last).add(parts[2]);
      case "remove" -> parent.set(last).remove(parts[2]);
      case "increment" -> parent.counter(last).increment(Long.parseLong(parts[2]));
      case "set" -> parent.put(last, parts[2]);
      case "set_all" -> parent.putAll(last, parts[2]);
      case "enable" -> parent.enable(last);
      case "disable" -> parent.disable(last);
      case "erase" -> parent.remove(last);
      case "discard" -> parent.discard(last);
      case "clear" -> parent.map(last).clear();
      default -> throw new IllegalArgumentException(words);
    }
  }

  private static String sorted(Iterable<?> values) {
    Set<String> texts = new TreeSet<>();
    values.forEach(value -> texts.add(String.valueOf(value)));
    return String.join(",", texts);
  }

  /** "coupons:A,B;gift;items:tea 2": the fields in order, what is empty is left out. */
  private static String text(Document cart) {
    List<String> parts = new ArrayList<>();
    if (!cart.set("coupons").isEmpty()) {
      parts.add("coupons:" + sorted(cart.set("coupons")));
    }
    if (cart.flag("gift")) {
      parts.add("gift");
    }
    List<String> items = new ArrayList<>();
    cart.map("items").counters().forEach((name, count) -> items.add(name + " " + count));
    if (!items.isEmpty()) {
      parts.add("items:" + sorted(items));
    }
    if (cart.value("note") != null) {
      parts.add("note:" + cart.value("note"));
    }
    if (!cart.values("notes").isEmpty()) {
      parts.add("notes:" + sorted(cart.values("notes")));
    }
    return String.join(";", parts);
  }

  private static void document(Fields given, Answer out) {
    DocumentBucket carts = DocumentBucket.of(bucket(given, DOCUMENT));
    boolean edit = given.text("do").equals("edit");
    Consumer<MapEdits> edits = root -> {
      for (Map.Entry<String, byte[]> field : given.all()) {
        if (field.getKey().equals("edit")) {
          edit(root, new String(field.getValue(), StandardCharsets.UTF_8));
        }
      }
    };
    Document cart;
    try {
      if (edit) {
        cart = async ? wait(carts.editAsync(given.key(), edits)) : carts.edit(given.key(), edits);
      } else {
        cart = async ? wait(carts.getAsync(given.key())) : carts.get(given.key());
      }
    } catch (DecodeException e) {
      if (edit) {
        throw e;
      }
      // The read of the key went well; what is there is no document.
      out.field("status", "OK");
      out.field("document_status", nameOf(e.status()));
      return;
    }
    out.field("status", "OK");
    out.field("document", text(cart));
  }

  private static void compare(Fields given, Answer out) {
    Context left = new Context(given.bytes("left"));
    out.field("order", left.compare(new Context(given.bytes("right"))).name().toLowerCase());
    out.field("status", "OK");
  }

  private static void open(Fields given, Answer out) {
    RingletClient.Builder builder = RingletClient.builder();
    for (Map.Entry<String, byte[]> field : given.all()) {
      if (field.getKey().equals("option")) {
        String option = new String(field.getValue(), StandardCharsets.UTF_8);
        int equals = option.indexOf('=');
        builder.option(option.substring(0, equals), option.substring(equals + 1));
      }
    }
    CLIENTS.put(given.text("client"), builder.build());
    out.field("status", "OK");
  }

  private static void answer(Fields given, Answer out) {
    boolean text = given.text("codec").equals("text");
    switch (given.text("do")) {
      case "open" -> open(given, out);
      case "close" -> {
        CLIENTS.get(given.text("client")).close(Duration.ofSeconds(1));
        out.field("status", "OK");
      }
      case "release" -> {
        CLIENTS.remove(given.text("client")).close();
        out.field("status", "OK");
      }
      case "compare" -> compare(given, out);
      case "edit", "read" -> document(given, out);
      case "multi_get" -> {
        if (text) {
          multiGet(given, TEXT, out);
        } else {
          multiGet(given, RAW, out);
        }
      }
      default -> {
        if (text) {
          call(given, TEXT, out);
        } else {
          call(given, RAW, out);
        }
      }
    }
  }

  /**
   * Answers requests until its input ends.
   *
   * @param arguments none
   * @throws Exception it cannot go on
   */
  public static void main(String[] arguments) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    PrintStream lines = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      Answer out = new Answer();
      try {
        Fields given = Fields.of(line);
        async = given.number("async") != 0;
        answer(given, out);
      } catch (RingletException e) {
        out = new Answer();
        tellError(out, e);
      } catch (NullPointerException e) {
        out = new Answer();
        wrongArgument(out, e);
      }
      lines.println(out.line);
      lines.flush();
    }
    CLIENTS.values().forEach(RingletClient::close);
  }
}
