package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ringlet.document.Bytes;
import io.ringlet.document.Document;
import io.ringlet.document.DocumentBucket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Documents, on three real nodes. */
class DocumentTest {
  private static final Key KEY = Key.of("alice");
  private static RingletClient client;

  private final String name = "documents-" + UUID.randomUUID();
  private final DocumentBucket carts = DocumentBucket.of(
      client.bucket(name, Document.CODEC).withTimeout(Duration.ofSeconds(30)));

  @BeforeAll
  static void open() {
    client = TestCluster.client();
  }

  @AfterAll
  static void close() {
    client.close();
  }

  @Test
  void aDocumentOfEveryTypeIsEditedAndRead() {
    assertTrue(carts.get(KEY).names().isEmpty());
    Document written = carts.edit(KEY, d -> {
      d.map("items").counter("tea").increment(3).decrement(1);
      d.set("coupons").add("SUMMER").add(5).add(new byte[] {-1}).add(true);
      d.enable("gift").put("note", "ring twice").putAll("size", 0.5);
      d.map("deep").map(1).set("x").add("y");
    });
    assertEquals(2, written.map("items").counter("tea"));
    Document read = carts.get(KEY);
    assertEquals(Map.of("tea", 2L), read.map("items").counters());
    assertEquals(Set.of("SUMMER", 5L, new Bytes(new byte[] {-1}), true), read.set("coupons"));
    assertTrue(read.flag("gift"));
    assertEquals("ring twice", read.value("note"));
    assertEquals(List.of(0.5), read.values("size"));
    assertEquals(Set.of("y"), read.map("deep").map(1).set("x"));

    carts.edit(KEY, d -> {
      d.set("coupons").remove("SUMMER").remove("never there");
      d.disable("gift").discard("note").remove("size").map("deep").clear();
    });
    Document after = carts.get(KEY);
    assertFalse(after.set("coupons").contains("SUMMER"));
    assertFalse(after.flag("gift"));
    assertNull(after.value("note"));
    assertEquals(Set.of("coupons", "items"), after.names());
  }

  @Test
  void manyEditsAtOnceAreExact() {
    List<CompletableFuture<Document>> futures = new ArrayList<>();
    for (int i = 0; i < 30; i++) {
      int number = i;
      futures.add(carts.editAsync(KEY, d -> {
        d.map("items").counter("tea").increment();
        d.set("coupons").add(number);
      }));
    }
    futures.forEach(CompletableFuture::join);
    Document read = carts.getAsync(KEY).join();
    assertEquals(30, read.map("items").counter("tea"));
    assertEquals(30, read.set("coupons").size());
  }

  @Test
  void anEditRepeatedUnderItsIdCountsOnce() {
    DocumentBucket once = DocumentBucket.of(carts.bucket().withWriteId(UUID.randomUUID()));
    for (int i = 0; i < 3; i++) {
      once.edit(KEY, d -> d.counter("n").increment(2));
    }
    assertEquals(2, carts.get(KEY).counter("n"));
  }

  @Test
  void whatDoesNotFitIsRefusedInWordsAndWritesNothing() {
    carts.edit(KEY, d -> d.map("items").counter("tea").increment());
    refused("wanted a set at items/tea, got a counter", d -> d.map("items").set("tea").add("x"));
    refused("wanted a sum of 64 bits, got 1 + ", d -> d.map("items").counter("tea")
        .increment(Long.MAX_VALUE));
    refused("wanted a field there, got nothing", d -> d.remove("no such"));
    refused("wanted 1 to 1024 bytes, got 0", d -> d.enable(""));
    refused("wanted 1 to 1024 bytes, got 65536", d -> d.enable("n".repeat(65536)));
    assertEquals(Status.TOO_LARGE, refused("wanted at most 4096 edits in one call, got 10000", d -> {
      for (int i = 0; i < 10_000; i++) {
        d.enable("f");
      }
    }).status());
    assertEquals(Status.INVALID_ARGUMENT, refused("wanted a path of at most 32 names, got 33", d -> {
      io.ringlet.document.MapEdits at = d;
      for (int i = 0; i < 32; i++) {
        at = at.map("deep");
      }
      at.enable("f");
    }).status());
    assertThrows(IllegalArgumentException.class,
        () -> carts.edit(KEY, d -> d.set("s").add(new Object())));
    assertEquals(Set.of("items"), carts.get(KEY).names());
    UsageException wrongType = assertThrows(UsageException.class,
        () -> carts.get(KEY).map("items").set("tea"));
    assertTrue(wrongType.getMessage().contains("items/tea: wanted a set, got a counter"));

    Key plain = Key.of("plain");
    client.bucket(name, Codec.TEXT).put(plain, "tea");
    UsageException e = assertThrows(UsageException.class,
        () -> carts.edit(plain, d -> d.enable("gift")));
    assertTrue(e.getMessage().contains("wanted a document"), e.getMessage());
    assertThrows(DataException.class, () -> carts.get(plain));
  }

  @Test
  void anEditThatIsRefusedWhereItIsSaidLeavesTheOthers() {
    Document written = carts.edit(KEY, d -> {
      d.set("s").add("before");
      assertThrows(IllegalArgumentException.class, () -> d.counter(new Object()).increment());
      assertThrows(NullPointerException.class, () -> d.map("m").enable(null));
      assertThrows(IllegalArgumentException.class, () -> d.map("m").put("r", List.of()));
      d.set("s").add("after");
    });
    assertEquals(Set.of("s"), written.names());
    assertEquals(Set.of("before", "after"), written.set("s"));
  }

  @Test
  void bytesThatWereReadMayBeEdited() {
    carts.edit(KEY, d -> d.set("s").add(new byte[] {1}).add("x"));
    Document read = carts.get(KEY);
    carts.edit(KEY, d -> read.set("s").forEach(d.set("s")::remove));
    assertEquals(Set.of(), carts.get(KEY).set("s"));
  }

  @Test
  void anEditOfWhichTheSumCannotBeShownSaysThatItIsWritten() {
    // Two increments at the same time, each of which fits.
    carts.edit(Key.of("one"), d -> d.counter("n").increment(Long.MAX_VALUE));
    byte[] most = client.bucket(name, Codec.RAW).get(Key.of("one")).value();
    Codec<byte[]> document = new Codec<>() {
      @Override
      public String contentType() {
        return Document.CONTENT_TYPE;
      }

      @Override
      public byte[] encode(byte[] value) {
        return value;
      }

      @Override
      public byte[] decode(java.nio.ByteBuffer readOnly) {
        return new byte[0];
      }
    };
    client.bucket(name, document).put(KEY, most);
    client.bucket(name, document).put(KEY, most);
    DecodeException e = assertThrows(DecodeException.class,
        () -> carts.edit(KEY, d -> d.set("s").add("x")));
    UpdateNote note = (UpdateNote) e.getSuppressed()[0];
    assertTrue(note.applied());
    carts.edit(KEY, d -> d.counter("n").decrement(Long.MAX_VALUE));
    assertEquals(Set.of("x"), carts.get(KEY).set("s"));
    assertEquals(Long.MAX_VALUE, carts.get(KEY).counter("n"));
  }

  private RingletException refused(String words,
      java.util.function.Consumer<io.ringlet.document.MapEdits> edits) {
    RingletException e = assertThrows(RingletException.class, () -> carts.edit(KEY, edits));
    assertTrue(e.getMessage().contains(words), e.getMessage());
    assertFalse(e.maybeApplied());
    return e;
  }
}
