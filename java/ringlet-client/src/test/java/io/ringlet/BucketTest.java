package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ringlet.internal.RingletNative;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Reading, writing, conflicts and merges, on three real nodes. */
class BucketTest {
  private static final Key KEY = Key.of("alice");
  private static RingletClient client;

  private final Bucket<String> bucket = TestCluster.bucket(client);

  @BeforeAll
  static void open() {
    client = TestCluster.client();
  }

  @AfterAll
  static void close() {
    client.close();
  }

  @Test
  void aKeyNeverWrittenIsMissing() {
    Versioned<String> nothing = bucket.get(KEY);
    assertTrue(nothing.isMissing());
    assertEquals(List.of(), nothing.siblings());
    KeyMissingException e = assertThrows(KeyMissingException.class, nothing::value);
    assertTrue(e.getMessage().contains("alice"), e.getMessage());
  }

  @Test
  void aValueIsReadAsItWasWritten() {
    Versioned<String> written = bucket.put(KEY, "grüße \uD83D\uDE00");
    assertEquals("grüße \uD83D\uDE00", written.value());
    Versioned<String> read = bucket.get(KEY);
    assertEquals("grüße \uD83D\uDE00", read.value());
    assertEquals("text/plain", read.siblings().get(0).contentType());
    assertEquals(24, read.siblings().get(0).dot().length);
    assertFalse(read.siblings().get(0).deleted());
    assertTrue(
        Math.abs(read.siblings().get(
            0).writtenAt().toEpochMilli() - System.currentTimeMillis()) < 60_000);
    assertTrue(read.explain().startsWith("{"), read.explain());
  }

  @Test
  void bytesOfEverySizeAroundTheCopyInTheFrame() {
    Bucket<byte[]> raw = client.bucket(bucket.name(), Codec.RAW);
    Random random = new Random(7);
    for (int size : new int[] {0, 1, 8191, 8192, 8193, 200_000}) {
      byte[] value = new byte[size];
      random.nextBytes(value);
      Key key = Key.of("size" + size);
      raw.put(key, value);
      assertArrayEquals(value, raw.get(key).value());
    }
  }

  @Test
  void aWriteWithTheContextReplacesWhatWasSeen() {
    Versioned<String> first = bucket.put(KEY, "1");
    assertEquals("2", bucket.put(KEY, "2", first.context()).value());
    assertEquals("2", bucket.get(KEY).value());
  }

  @Test
  void blindWritesBecomeSiblingsAndTheResolverDecides() throws Exception {
    TestCluster.conflict(bucket, KEY);
    Versioned<String> both = bucket.get(KEY);
    assertEquals(Set.of("milk", "tea"), TestCluster.values(both));
    ConflictException e = assertThrows(ConflictException.class, both::value);
    assertSame(both, e.versioned());
    assertEquals("milk+tea", both.resolved(TestCluster.joined()));
    assertEquals(
        "milk+tea", bucket.put(KEY, both.resolved(TestCluster.joined()), both.context()).value());
    assertEquals("milk+tea", bucket.getAsync(KEY).get(5, TimeUnit.SECONDS).value());
  }

  @Test
  void updateResolvesChangesAndWrites() {
    TestCluster.conflict(bucket, KEY);
    Versioned<String> after =
        bucket.withResolver(TestCluster.joined()).update(KEY, old -> old + "!");
    assertEquals("milk+tea!", after.value());
    assertEquals("milk+tea!", bucket.get(KEY).value());
  }

  @Test
  void updateRunsOnTheThreadThatCalled() {
    List<Thread> threads = new ArrayList<>();
    TestCluster.conflict(bucket, KEY);
    bucket.withResolver(siblings -> {
      threads.add(Thread.currentThread());
      return "x";
    }).update(KEY, old -> {
      threads.add(Thread.currentThread());
      return old;
    });
    assertTrue(threads.size() >= 2);
    threads.forEach(thread -> assertSame(Thread.currentThread(), thread));
  }

  @Test
  void updateOfAMissingKeyGetsNullAndAnAnswerOfNullIsRefusedInWords() {
    assertEquals("new", bucket.update(KEY, old -> old == null ? "new" : "wrong").value());
    UsageException e = assertThrows(UsageException.class, () -> bucket.update(KEY, old -> null));
    assertTrue(e.getMessage().contains("Change.delete()"), e.getMessage());
    assertEquals("new", bucket.get(KEY).value());
    assertThrows(UsageException.class, () -> bucket.change(KEY, old -> null));
  }

  @Test
  void aChangeWritesDeletesOrKeeps() throws Exception {
    assertEquals("new", bucket.change(KEY, old -> Change.to("new")).value());
    assertEquals("new", bucket.change(KEY, old -> Change.keep()).value());
    assertTrue(bucket.changeAsync(KEY, old -> Change.<String>delete()).get(5, TimeUnit.SECONDS)
        .isMissing());
    assertTrue(bucket.get(KEY).isMissing());
  }

  @Test
  void theFunctionOfAnUpdateRunsOnceAndOnlyTheResolverMeetsWhatItMet() {
    Bucket<String> all = bucket.withW(3).withR(3);
    all.put(KEY, "n");
    AtomicInteger edits = new AtomicInteger();
    AtomicInteger merges = new AtomicInteger();
    Versioned<String> after = all.withResolver(siblings -> {
      merges.incrementAndGet();
      return siblings.stream().map(Sibling::value).max(String::compareTo).orElseThrow();
    }).update(KEY, old -> {
      edits.incrementAndGet();
      all.put(KEY, "m");
      return old + "1";
    });
    assertEquals(1, edits.get());
    assertEquals(1, merges.get());
    assertTrue(after.isMerged());
    assertEquals("n1", all.get(KEY).value());
  }

  @Test
  void anUpdateWithoutResolverThatMetAnotherWriteSucceedsAndSaysSo() {
    Bucket<String> all = bucket.withW(3).withR(3);
    all.put(KEY, "n");
    Versioned<String> after = all.update(KEY, old -> {
      all.put(KEY, "m");
      return old + "1";
    });
    assertFalse(after.isMerged());
    assertEquals(2, all.get(KEY).siblings().size());
  }

  @Test
  void updateOfAConflictWithoutResolverSaysSo() {
    TestCluster.conflict(bucket, KEY);
    ConflictException e =
        assertThrows(ConflictException.class, () -> bucket.update(KEY, old -> "lost"));
    assertEquals(2, e.versioned().siblings().size());
    assertEquals(Set.of("milk", "tea"), TestCluster.values(bucket.get(KEY)));
  }

  @Test
  void anUpdateInsideAnUpdateIsAllowed() {
    Key other = Key.of("bob");
    bucket.update(KEY, old -> bucket.update(other, x -> "inner").value() + " outer");
    assertEquals("inner outer", bucket.get(KEY).value());
    assertEquals("inner", bucket.get(other).value());
  }

  @Test
  void deleteRemovesWhatWasSeen() throws Exception {
    Versioned<String> written = bucket.put(KEY, "x");
    assertTrue(bucket.delete(KEY, written.context()).isMissing());
    assertTrue(bucket.get(KEY).isMissing());
    Versioned<String> again = bucket.put(KEY, "y", bucket.get(KEY).context());
    assertTrue(bucket.deleteAsync(KEY, again.context()).get(5, TimeUnit.SECONDS).isMissing());
  }

  @Test
  void theUsersExceptionsComeBackAsTheSameObject() {
    TestCluster.conflict(bucket, KEY);
    IOException checked = new IOException("resolver");
    assertSame(checked, assertThrows(IOException.class, () -> bucket.withResolver(s -> {
      throw checked;
    }).update(KEY, old -> old)));
    AssertionError error = new AssertionError("function");
    assertSame(error, assertThrows(AssertionError.class,
        () -> bucket.withResolver(TestCluster.joined()).update(KEY, old -> {
          throw error;
        })));
    assertThrows(StackOverflowError.class,
        () -> bucket.withResolver(TestCluster.joined()).update(KEY, BucketTest::overflow));
    IOException later = new IOException("resolved");
    assertSame(later, assertThrows(IOException.class, () -> bucket.get(KEY).resolved(s -> {
      throw later;
    })));
    ExecutionException async =
        assertThrows(ExecutionException.class, () -> bucket.withResolver(s -> {
      throw checked;
    }).updateAsync(KEY, old -> old).get(5, TimeUnit.SECONDS));
    assertSame(checked, async.getCause());
    assertEquals(
        Set.of("milk", "tea"), TestCluster.values(bucket.get(KEY)), "the next call is clean");
  }

  private static String overflow(String old) {
    return overflow(old + "x") + "y";
  }

  @Test
  void asynchronousCallsRunOnTheGivenExecutor() throws Exception {
    ExecutorService one = Executors.newSingleThreadExecutor(task -> new Thread(task, "mine"));
    try (RingletClient mine =
        RingletClient.builder().seeds(TestCluster.SHARED.seeds()).executor(one).build()) {
      Bucket<String> here = mine.bucket(bucket.name(), Codec.TEXT);
      List<String> names = new ArrayList<>();
      here.updateAsync(KEY, old -> {
        names.add(Thread.currentThread().getName());
        // A blocking call on the executor's only thread must not starve.
        return here.get(Key.of("bob")).isMissing() ? "yes" : "no";
      }).get(5, TimeUnit.SECONDS);
      assertEquals("yes", bucket.get(KEY).value());
      assertEquals("mine", names.get(0));
      one.shutdown();
      assertEquals(
          "yes", here.getAsync(KEY).get(5, TimeUnit.SECONDS).value(),
              "threads of the client take its place");
    } finally {
      one.shutdownNow();
    }
  }

  @Test
  void manyAsynchronousPutsAndOneGetAll() throws Exception {
    List<CompletableFuture<Versioned<String>>> futures = new ArrayList<>();
    List<Key> keys = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      keys.add(Key.of("k" + i));
      futures.add(bucket.putAsync(keys.get(i), "v" + i, Context.NONE));
    }
    CompletableFuture.allOf(futures.toArray(new CompletableFuture<?>[0])).get(10, TimeUnit.SECONDS);
    keys.add(Key.of("absent"));
    Map<Key, Result<String>> all = bucket.getAll(keys);
    assertEquals(keys, List.copyOf(all.keySet()));
    for (int i = 0; i < 100; i++) {
      assertEquals("v" + i, all.get(keys.get(i)).get().value());
    }
    assertTrue(all.get(Key.of("absent")).get().isMissing());
    assertEquals(Map.of(), bucket.getAll(List.of()));
  }

  @Test
  void bucketsHaveNamesOfAnyBytes() {
    Bucket<String> one = client.bucket(new byte[] {-1, 0, -2}, Codec.TEXT);
    Bucket<String> other = client.bucket(new byte[] {-1, 0, -3}, Codec.TEXT);
    one.put(KEY, "here");
    assertEquals("here", one.get(KEY).value());
    assertTrue(other.get(KEY).isMissing());
    assertEquals("\\xff\\x00\\xfe", one.name());
    Bucket<String> text = client.bucket(bucket.name().getBytes(StandardCharsets.UTF_8), Codec.TEXT);
    text.put(KEY, "the same bucket");
    assertEquals("the same bucket", bucket.get(KEY).value());
  }

  @Test
  void getAllKeepsEachKeysError() {
    bucket.put(KEY, "text");
    client.bucket(bucket.name(), Codec.RAW).put(Key.of("bytes"), new byte[] {1});
    Map<Key, Result<String>> all = bucket.getAll(List.of(KEY, Key.of("bytes")));
    assertEquals("text", all.get(KEY).get().value());
    assertFalse(all.get(Key.of("bytes")).isSuccess());
    assertThrows(DecodeException.class, () -> all.get(Key.of("bytes")).get());
  }

  @Test
  void aValueThatTheCodecRefusesKeepsItsBytes() {
    client.bucket(bucket.name(), Codec.RAW).put(KEY, new byte[] {1, 2});
    DecodeException type = assertThrows(DecodeException.class, () -> bucket.get(KEY));
    assertTrue(
        type.getMessage().contains("wanted content type text/plain, got application/octet-stream"),
        type.getMessage());
    assertArrayEquals(new byte[] {1, 2}, type.raw());
    Codec<String> throwing = new Codec<>() {
      @Override
      public String contentType() {
        return "application/octet-stream";
      }

      @Override
      public byte[] encode(String value) {
        return null;
      }

      @Override
      public String decode(ByteBuffer readOnly) throws Exception {
        assertTrue(readOnly.isReadOnly());
        throw new IOException("refused");
      }
    };
    Bucket<String> strict = client.bucket(bucket.name(), throwing);
    assertEquals(
        "refused",
            assertThrows(DecodeException.class, () -> strict.get(KEY)).getCause().getMessage());
    assertTrue(
        assertThrows(UsageException.class, () ->
            strict.put(KEY, "x")).getMessage().contains("got null"));
  }

  @Test
  void sixteenThreadsUpdateOneKeyAndLoseNothing() throws Exception {
    Bucket<String> merged = client.bucket(bucket.name(), Codec.TEXT).withResolver(siblings -> {
      Set<String> all = new java.util.TreeSet<>();
      siblings.forEach(sibling -> all.addAll(List.of(sibling.value().split(","))));
      return String.join(",", all);
    });
    ExecutorService threads = Executors.newFixedThreadPool(16);
    try {
      AtomicInteger done = new AtomicInteger();
      List<Future<?>> futures = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        int thread = i;
        futures.add(threads.submit(() -> {
          for (int j = 0; j < 4; j++) {
            String item = thread + "-" + j;
            while (true) {
              try {
                merged.update(KEY, old -> old == null ? item : old + "," + item);
                done.incrementAndGet();
                break;
              } catch (UpdateExhaustedException | TransientException e) {
                Thread.sleep(5);
              }
            }
          }
          return null;
        }));
      }
      for (Future<?> future : futures) {
        future.get(30, TimeUnit.SECONDS);
      }
      assertEquals(64, done.get());
    } finally {
      threads.shutdownNow();
    }
    Set<String> items = Set.of(merged.update(KEY, old -> String.join(",",
        new java.util.TreeSet<>(List.of(old.split(","))))).value().split(","));
    assertEquals(64, items.size());
  }

  @Test
  void contextsAreOpaqueCheckedAndOfOneKey() throws Exception {
    Context first = bucket.put(KEY, "1").context();
    Context second = bucket.put(KEY, "2", first).context();
    assertEquals(Context.Order.BEFORE, first.compare(second));
    assertEquals(Context.Order.AFTER, second.compare(first));
    assertEquals(Context.Order.SAME, first.compare(new Context(first.bytes())));
    assertEquals(Context.Order.BEFORE, Context.NONE.compare(first));
    Context otherKey = bucket.put(Key.of("bob"), "x").context();
    assertEquals(Context.Order.CONCURRENT, first.compare(otherKey));
    String refused = assertThrows(InvalidContextException.class,
        () -> bucket.put(KEY, "3", otherKey)).getMessage();
    assertTrue(refused.contains("alice"), refused);
    byte[] damaged = second.bytes();
    damaged[damaged.length / 2] ^= 1;
    Context broken = new Context(damaged);
    assertThrows(InvalidContextException.class, () -> bucket.put(KEY, "3", broken));
    assertThrows(InvalidContextException.class, () -> bucket.delete(KEY, broken));
    assertThrows(InvalidContextException.class, () ->
        second.compare(new Context(new byte[] {1, 2})));
    assertEquals("2", bucket.get(KEY).value(), "nothing was written");

    byte[] bytes = first.bytes();
    bytes[0] ^= 1;
    assertEquals(first, new Context(first.bytes()), "copied out");
    byte[] mine = first.bytes();
    Context copy = new Context(mine);
    mine[0] ^= 1;
    assertEquals(first, copy, "copied in");
    assertEquals(first.hashCode(), copy.hashCode());

    ByteArrayOutputStream out = new ByteArrayOutputStream();
    new ObjectOutputStream(out).writeObject(second);
    Object stored = new ObjectInputStream(new ByteArrayInputStream(out.toByteArray())).readObject();
    assertEquals(second, stored);
    assertEquals("3", bucket.put(KEY, "3", (Context) stored).value());
  }

  @Test
  void settingsOfABucketAreUsed() {
    assertEquals("x", bucket.withW(3).withR(1).withStrict(true).put(KEY, "x").value());
    assertEquals("x", bucket.withR(3).get(KEY).value());
    RingletException e = assertThrows(RingletException.class, () -> bucket.withR(200).get(KEY));
    assertNotNull(e.getMessage());
  }

  @Test
  void everyNativeHandleIsReleased() throws Exception {
    byte[] live = "debug.live_handles".getBytes(StandardCharsets.UTF_8);
    bucket.put(KEY, "warm");
    int before = RingletNative.has(live);
    assertTrue(before > 0);
    for (int i = 0; i < 100; i++) {
      bucket.withResolver(TestCluster.joined()).update(KEY, old -> "x");
      assertThrows(IllegalStateException.class, () -> bucket.update(KEY, old -> {
        throw new IllegalStateException();
      }));
      assertThrows(InvalidContextException.class,
          () -> bucket.put(KEY, "y", new Context(new byte[] {1})));
      bucket.getAsync(KEY).get(5, TimeUnit.SECONDS);
    }
    for (int i = 0; i < 100 && RingletNative.has(live) > before; i++) {
      Thread.sleep(10);
    }
    assertEquals(before, RingletNative.has(live));
  }
}
