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
    refused("4096", d -> {
      for (int i = 0; i < 10_000; i++) {
        d.enable("f");
      }
    });
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

  private void refused(String words,
      java.util.function.Consumer<io.ringlet.document.MapEdits> edits) {
    RingletException e = assertThrows(RingletException.class, () -> carts.edit(KEY, edits));
    assertTrue(e.getMessage().contains(words), e.getMessage());
    assertFalse(e.maybeApplied());
  }
}
