package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Closing from inside, hooks, functions that throw or change nothing. */
@Timeout(120)
final class TrapsTest {
  private static final Key KEY = Key.of("k");

  private static RingletClient client() {
    return RingletClient.builder().seeds(TestCluster.SHARED.seeds())
        .timeout(Duration.ofSeconds(100)).build();
  }

  @Test
  void aCloseInsideAFunctionDoesNotWaitForItsOwnCall() throws Exception {
    for (boolean async : new boolean[] {false, true}) {
      RingletClient client = client();
      Bucket<String> bucket = TestCluster.bucket(client);
      long before = System.nanoTime();
      // A call inside a call; both are this thread's.
      UpdateFunction<String> closing = old -> bucket.update(Key.of("inner"), older -> {
        client.close(Duration.ofSeconds(60));
        return "x";
      }).value();
      Throwable e = async
          ? assertThrows(ExecutionException.class,
              () -> bucket.updateAsync(KEY, closing).get(90, TimeUnit.SECONDS)).getCause()
          : assertThrows(RingletException.class, () -> bucket.update(KEY, closing));
      assertInstanceOf(ClientClosedException.class, e);
      assertTrue(System.nanoTime() - before < TimeUnit.SECONDS.toNanos(40), "it waited for itself");
    }
  }

  @Test
  void aCloseInsideAFunctionLetsOtherCallsEnd() throws Exception {
    RingletClient client = client();
    Bucket<String> bucket = TestCluster.bucket(client);
    CountDownLatch inside = new CountDownLatch(1);
    CompletableFuture<Versioned<String>> other = bucket.updateAsync(Key.of("other"), old -> {
      inside.countDown();
      Thread.sleep(500);
      return "written";
    });
    inside.await();
    assertThrows(ClientClosedException.class, () -> bucket.update(KEY, old -> {
      client.close(Duration.ofSeconds(60));
      return "x";
    }));
    assertEquals("written", other.get(60, TimeUnit.SECONDS).value());
  }

  @Test
  void aClosedClientLeavesNoShutdownHook() throws Exception {
    List<WeakReference<RingletClient>> all = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      RingletClient client = RingletClient.builder().seeds(TestCluster.SHARED.seeds())
          .closeOnShutdown(true).build();
      all.add(new WeakReference<>(client));
      client.close();
      client.close();
    }
    for (int i = 0; i < 200 && all.stream().anyMatch(one -> one.get() != null); i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertEquals(0, all.stream().filter(one -> one.get() != null).count());
  }

  @Test
  void functionsMayThrowCheckedExceptions() throws Exception {
    try (RingletClient client = client()) {
      Bucket<String> bucket = TestCluster.bucket(client);
      IOException checked = new IOException("mine");
      assertSame(checked, assertThrows(IOException.class, () -> bucket.update(KEY, old -> {
        throw checked;
      })));
      assertSame(checked, assertThrows(IOException.class, () -> bucket.change(KEY, old -> {
        throw checked;
      })));
      assertSame(READING, assertThrows(ExecutionException.class,
          () -> bucket.updateAsync(KEY, TrapsTest::reads).get(60, TimeUnit.SECONDS)).getCause());
      assertSame(checked, assertThrows(ExecutionException.class,
          () -> bucket.changeAsync(KEY, old -> {
            throw checked;
          }).get(60, TimeUnit.SECONDS)).getCause());
      TestCluster.conflict(bucket, KEY);
      assertSame(checked, assertThrows(IOException.class,
          () -> bucket.withResolver(ConflictResolver.<String>deciding(siblings -> {
            throw checked;
          })).update(KEY, old -> old)));
      // The types of java.util.function are taken as before.
      UnaryOperator<String> operator = old -> "operator";
      Function<String, Change<String>> function = old -> Change.to(old + " and function");
      Function<List<Sibling<String>>, Change<String>> decision = siblings -> Change.to("decided");
      Bucket<String> deciding = bucket.withResolver(ConflictResolver.deciding(decision));
      assertEquals("operator", deciding.update(KEY, operator).value());
      assertEquals("operator and function", deciding.change(KEY, function).value());
      assertEquals("operator", deciding.updateAsync(KEY, operator).get(60, TimeUnit.SECONDS).value());
      assertEquals("operator and function",
          deciding.changeAsync(KEY, function).get(60, TimeUnit.SECONDS).value());
    }
  }

  private static final IOException READING = new IOException("reading");

  private static String reads(String old) throws IOException {
    throw READING;
  }

  /** Values that can be changed in place. */
  private static final Codec<byte[]> ARRAYS = new Codec<>() {
    @Override
    public String contentType() {
      return "application/octet-stream";
    }

    @Override
    public byte[] encode(byte[] value) {
      return value.clone();
    }

    @Override
    public byte[] decode(ByteBuffer readOnly) {
      return Codec.RAW.encode(bytes(readOnly));
    }

    private byte[] bytes(ByteBuffer readOnly) {
      byte[] all = new byte[readOnly.remaining()];
      readOnly.get(all);
      return all;
    }
  };

  @Test
  void anUpdateThatChangesNothingWritesNothing() throws Exception {
    try (RingletClient client = client()) {
      Bucket<byte[]> bucket = client.bucket(TestCluster.bucket(client).name(), ARRAYS)
          .withResolver(siblings -> siblings.get(0).value());
      bucket.put(KEY, new byte[] {1, 2, 3});
      byte[] dot = bucket.get(KEY).siblings().get(0).dot();
      assertArrayEquals(new byte[] {1, 2, 3}, bucket.update(KEY, old -> old).value());
      assertArrayEquals(new byte[] {1, 2, 3},
          bucket.changeAsync(KEY, old -> Change.to(old.clone())).get(60, TimeUnit.SECONDS).value());
      assertArrayEquals(dot, bucket.get(KEY).siblings().get(0).dot());
      // The same object, with other bytes.
      assertArrayEquals(new byte[] {9, 2, 3}, bucket.update(KEY, old -> {
        old[0] = 9;
        return old;
      }).value());
      assertArrayEquals(new byte[] {9, 2, 3}, bucket.get(KEY).value());
      // Siblings: the merge is written.
      bucket.put(Key.of("c"), new byte[] {1});
      bucket.put(Key.of("c"), new byte[] {2});
      assertEquals(2, bucket.get(Key.of("c")).siblings().size());
      bucket.update(Key.of("c"), old -> old);
      assertEquals(1, bucket.get(Key.of("c")).siblings().size());
      assertFalse(bucket.get(KEY).isConflict());
    }
  }
}
