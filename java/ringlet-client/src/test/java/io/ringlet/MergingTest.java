package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What an application may rely on when it merges: siblings, deletes, update, resolvers. */
class MergingTest {
  private static final Key KEY = Key.of("alice");
  private static RingletClient client;

  private final Bucket<String> bucket = TestCluster.bucket(client).withR(3).withW(3);

  @BeforeAll
  static void open() {
    client = TestCluster.client();
  }

  @AfterAll
  static void close() {
    client.close();
  }

  /** A delete beside a write that it has not seen. */
  private void race() {
    Context seen = bucket.put(KEY, "old").context();
    bucket.put(KEY, "new", seen);
    bucket.delete(KEY, seen);
  }

  @Test
  void m1EqualValuesAreShownAsOneAndADeleteBesideThemIsNoConflict() {
    bucket.put(KEY, "tea");
    bucket.put(KEY, "tea");
    assertEquals("tea", bucket.get(KEY).value());
    Key other = Key.of("bob");
    Context seen = bucket.put(other, "old").context();
    bucket.put(other, "new", seen);
    bucket.delete(other, seen);
    assertEquals("new", bucket.get(other).value());
    assertFalse(bucket.get(other).isConflict());
  }

  @Test
  void m2ADeleteBesideAWriteIsTheBucketsChoice() {
    race();
    assertEquals("new", bucket.get(KEY).value());
    assertTrue(bucket.withDeletes(Deletes.WIN).get(KEY).isMissing());
    Bucket<String> asks = bucket.withDeletes(Deletes.ASK);
    assertEquals(2, asks.get(KEY).siblings().size());
    assertThrows(ConflictException.class, () -> asks.get(KEY).value());
    List<Boolean> given = new ArrayList<>();
    Versioned<String> after = asks.withResolver(siblings -> {
      siblings.forEach(sibling -> given.add(sibling.deleted()));
      return siblings.stream().filter(s -> !s.deleted()).findFirst().orElseThrow().value();
    }).update(KEY, old -> old + "!");
    assertEquals(1, given.stream().filter(deleted -> deleted).count());
    assertEquals("new!", after.value());
    race();
    assertEquals("from nothing", bucket.withDeletes(Deletes.WIN)
        .update(KEY, old -> old == null ? "from nothing" : "wrong").value());
  }

  @Test
  void m12WhatTheResolverThrowsSaysWhetherTheWriteIsApplied() {
    IllegalStateException mine = new IllegalStateException("mine");
    Bucket<String> throwing = bucket.withResolver(siblings -> {
      throw mine;
    });
    bucket.put(KEY, "n");
    assertSame(mine, assertThrows(IllegalStateException.class, () -> throwing.update(KEY, old -> {
      bucket.put(KEY, "m");
      return old + "1";
    })));
    UpdateNote note = (UpdateNote) mine.getSuppressed()[0];
    assertTrue(note.applied());
    assertTrue(note.getMessage().contains("applied=true"), note.getMessage());
    assertEquals(2, bucket.get(KEY).siblings().size());
    assertThrows(IllegalStateException.class, () -> throwing.update(KEY, old -> "x"));
    assertFalse(((UpdateNote) mine.getSuppressed()[1]).applied());
  }

  @Test
  void m12TheAnswerExplainsWhyItIsNotMerged() {
    bucket.put(KEY, "n");
    String explained = bucket.update(KEY, old -> {
      bucket.put(KEY, "m");
      return old + "1";
    }).explain();
    assertTrue(explained.contains("\"merged\":false"), explained);
    assertTrue(explained.contains("\"edited\":true"), explained);
    assertTrue(explained.contains("\"left\":2"), explained);
  }

  @Test
  void m12AnErrorBeforeTheWriteSaysThatNothingWasApplied() {
    RingletTimeoutException late = assertThrows(RingletTimeoutException.class,
        () -> bucket.withTimeout(Duration.ofMillis(200)).update(KEY, old -> {
          try {
            Thread.sleep(400);
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
          return "late";
        }));
    assertFalse(late.maybeApplied());
    assertTrue(bucket.get(KEY).isMissing());
  }

  /** An edit with a name. */
  private static final class Forgetful implements UnaryOperator<String> {
    @Override
    public String apply(String old) {
      return null;
    }
  }

  @Test
  void m13AnEditThatReturnsNothingIsNamedAndWritesNothing() {
    bucket.put(KEY, "x");
    UsageException e =
        assertThrows(UsageException.class, () -> bucket.update(KEY, new Forgetful()));
    assertTrue(e.getMessage().contains("Forgetful returned null"), e.getMessage());
    assertTrue(e.getMessage().contains("a change in place must return"), e.getMessage());
    assertEquals("x", bucket.get(KEY).value());
  }

  @Test
  void m13AResolverThatReturnsNothingIsAnErrorAndNotAMissingKey() {
    TestCluster.conflict(bucket, KEY);
    List<String> edits = new ArrayList<>();
    UsageException e = assertThrows(UsageException.class,
        () -> bucket.withResolver(siblings -> null).update(KEY, old -> {
          edits.add(old);
          return "new";
        }));
    assertTrue(e.getMessage().contains("returned null"), e.getMessage());
    assertEquals(List.of(), edits);
    assertEquals(2, bucket.get(KEY).siblings().size());
  }

  @Test
  void m13AResolverMayDeleteOrKeep() {
    TestCluster.conflict(bucket, KEY);
    Bucket<String> keeps =
        bucket.withResolver(ConflictResolver.deciding(siblings -> Change.keep()));
    assertEquals(2, keeps.update(KEY, old -> "x").siblings().size());
    assertThrows(ConflictException.class,
        () -> bucket.get(KEY).resolved(ConflictResolver.deciding(siblings -> Change.keep())));
    Bucket<String> deletes =
        bucket.withResolver(ConflictResolver.deciding(siblings -> Change.delete()));
    assertEquals("after null", deletes.update(KEY, old -> "after " + old).value());
    assertTrue(deletes.update(KEY, old -> {
      bucket.put(KEY, "rival");
      return "mine";
    }).isMissing());
  }

  @Test
  void m14AWriteRepeatedUnderItsIdIsOneVersion() throws Exception {
    UUID id = UUID.randomUUID();
    for (int i = 0; i < 2; i++) {
      bucket.withWriteId(id).put(KEY, "tea");
    }
    bucket.withWriteId(id).putAsync(KEY, "tea", Context.NONE).get(5, TimeUnit.SECONDS);
    assertEquals(1, bucket.get(KEY).siblings().size());
    bucket.withWriteId(UUID.randomUUID()).put(KEY, "milk");
    assertEquals(2, bucket.get(KEY).siblings().size());
  }

  @Test
  void m14AnErrorThatMayBeAppliedCarriesItsWriteId() {
    try (LocalCluster own = LocalCluster.start(3);
        RingletClient mine = RingletClient.builder().seeds(own.seeds()).build()) {
      Bucket<String> all = mine.bucket("b", Codec.TEXT).withW(3).withStrict(true);
      Context seen = all.withTimeout(Duration.ofSeconds(5)).put(KEY, "old").context();
      own.kill(2);
      RingletException e = assertThrows(RingletException.class,
          () -> all.withTimeout(Duration.ofMillis(500)).put(KEY, "new", seen));
      assertTrue(e.maybeApplied());
      Optional<UUID> id = e.writeId();
      assertTrue(id.isPresent(), e.details());
      own.restart(2);
      Bucket<String> again =
          all.withTimeout(Duration.ofSeconds(5)).withWriteId(id.orElseThrow());
      again.put(KEY, "new", seen);
      again.put(KEY, "new", seen);
      assertEquals("new", all.get(KEY).value());
    }
  }

  @Test
  void m21ReadyResolversAreTotal() throws Exception {
    Sibling<List<String>> a = Sibling.of(List.of("tea", "milk"), Instant.ofEpochMilli(1));
    Sibling<List<String>> b = Sibling.of(List.of("tea"), Instant.ofEpochMilli(2));
    Sibling<List<String>> gone =
        new Sibling<>(null, "", Instant.ofEpochMilli(3), new byte[24], true);
    DecodeException bad = new DecodeException("key k, version 7: bad", new byte[] {1}, "x/y", null);
    Sibling<List<String>> foreign =
        new Sibling<>(null, "x/y", Instant.ofEpochMilli(4), new byte[24], false, bad);
    for (ConflictResolver<List<String>> resolver : List.of(
        Resolvers.<String>orderedSet(Comparator.naturalOrder()),
        Resolvers.<String>keepAll(Comparator.naturalOrder()))) {
      assertEquals(List.of("milk", "tea"), resolver.resolve(List.of(b, gone, a)));
      assertSame(bad,
          assertThrows(DecodeException.class, () -> resolver.resolve(List.of(a, foreign))));
    }
    ConflictResolver<List<String>> last = Resolvers.lastWrite();
    assertEquals(Change.delete(), last.decide(List.of(a, gone)));
    assertSame(bad, assertThrows(DecodeException.class, () -> last.resolve(List.of(foreign, a))));
  }

  @Test
  void m22OneForeignValueDoesNotBlockAKey() {
    Bucket<byte[]> raw = client.bucket(bucket.name(), Codec.RAW).withW(3);
    raw.put(KEY, new byte[] {1, 2});
    DecodeException e = assertThrows(DecodeException.class, () -> bucket.get(KEY));
    assertArrayEquals(new byte[] {1, 2}, e.raw());
    assertEquals("application/octet-stream", e.contentType());
    assertEquals("by its context", bucket.put(KEY, "by its context", e.versioned().context())
        .value());
    assertEquals("by its context", bucket.get(KEY).value());

    raw.put(KEY, new byte[] {3});
    bucket.put(KEY, "tea");
    List<String> asked = new ArrayList<>();
    Bucket<String> decides = bucket.withResolver(siblings -> {
      StringBuilder good = new StringBuilder();
      for (Sibling<String> sibling : siblings) {
        if (sibling.error().isPresent()) {
          asked.add(sibling.contentType() + sibling.error().get().raw().length);
          assertThrows(DecodeException.class, sibling::value);
        } else {
          good.append(sibling.value());
        }
      }
      return good.toString();
    });
    assertEquals(3, decides.get(KEY).siblings().size());
    assertTrue(decides.update(KEY, old -> old + "!").value().endsWith("!"));
    assertEquals(List.of("application/octet-stream1"), asked);
    raw.put(Key.of("alone"), new byte[] {9});
    assertEquals("!", decides.update(Key.of("alone"), old -> old + "!").value());
  }

  @Test
  void aPutBringsSiblingsOnlyWhereAskedAndDoesNotFailForWhatOthersWrote() {
    client.bucket(bucket.name(), Codec.RAW).withW(3).put(KEY, new byte[] {1});
    Versioned<String> put = bucket.put(KEY, "mine");
    assertEquals("mine", put.value());
    assertEquals(List.of(), put.siblings());
    Versioned<String> asked = bucket.withSiblings(true).put(KEY, "mine too");
    assertEquals(3, asked.siblings().size());
    assertEquals(1, asked.siblings().stream().filter(s -> s.error().isPresent()).count());
    assertEquals(0, asked.leftOut());
    assertTrue(bucket.delete(KEY, asked.context()).isMissing());
    assertEquals(0, bucket.withSiblings(true).delete(KEY, asked.context()).siblings().size());
  }
}
