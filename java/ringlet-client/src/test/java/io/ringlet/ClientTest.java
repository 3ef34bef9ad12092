package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Opening, closing, interrupts, cancelling, and nodes that die. */
@Timeout(30)
class ClientTest {
  private static final Key KEY = Key.of("k");

  @Test
  void everyPendingFutureFailsWhenTheClientIsClosed() throws Exception {
    RingletClient client = TestCluster.client();
    Bucket<String> bucket = TestCluster.bucket(client);
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch leave = new CountDownLatch(1);
    List<CompletableFuture<Versioned<String>>> held = new ArrayList<>();
    held.add(bucket.updateAsync(KEY, old -> {
      inside.countDown();
      await(leave);
      return "late";
    }));
    assertTrue(inside.await(5, TimeUnit.SECONDS));
    client.close();
    for (CompletableFuture<Versioned<String>> future : held) {
      ExecutionException e =
          assertThrows(ExecutionException.class, () -> future.get(5, TimeUnit.SECONDS));
      assertInstanceOf(ClientClosedException.class, e.getCause());
    }
    leave.countDown();
    client.close();
    client.close(Duration.ofSeconds(1));
    assertThrows(ClientClosedException.class, () -> bucket.get(KEY));
    ExecutionException later =
        assertThrows(ExecutionException.class, () -> bucket.getAsync(KEY).get());
    assertInstanceOf(ClientClosedException.class, later.getCause());
    assertFalse(bucket.getAll(List.of(KEY)).get(KEY).isSuccess());
  }

  @Test
  void closingWhileThreadsCallRacesSafely() throws Exception {
    for (int round = 0; round < 20; round++) {
      RingletClient client = TestCluster.client();
      Bucket<String> bucket = TestCluster.bucket(client);
      AtomicReference<Throwable> wrong = new AtomicReference<>();
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        Thread thread = new Thread(() -> {
          try {
            while (true) {
              bucket.put(KEY, "x");
              bucket.getAsync(KEY).join();
            }
          } catch (ClientClosedException | java.util.concurrent.CompletionException e) {
            if (e.getCause() != null && e instanceof java.util.concurrent.CompletionException
                && !(e.getCause() instanceof ClientClosedException)) {
              wrong.set(e);
            }
          } catch (Throwable e) {
            wrong.set(e);
          }
        });
        thread.start();
        threads.add(thread);
      }
      Thread.sleep(5);
      client.close();
      for (Thread thread : threads) {
        thread.join(5000);
        assertFalse(thread.isAlive());
      }
      if (wrong.get() != null) {
        throw new AssertionError(wrong.get());
      }
    }
  }

  @Test
  void aClientMayBeClosedFromItsOwnResolver() {
    RingletClient client = TestCluster.client();
    Bucket<String> bucket = TestCluster.bucket(client);
    assertThrows(ClientClosedException.class, () -> bucket.update(KEY, old -> {
      client.close();
      return "x";
    }));
  }

  @Test
  void anInterruptCancelsAndKeepsTheFlag() throws Exception {
    try (LocalCluster cluster = LocalCluster.start(1);
        RingletClient client =
            RingletClient.builder().seeds(cluster.seeds()).timeout(
                Duration.ofSeconds(20)).build()) {
      Bucket<String> bucket = client.bucket("b", Codec.TEXT);
      bucket.put(KEY, "x");
      AtomicReference<Throwable> thrown = new AtomicReference<>();
      AtomicBoolean flag = new AtomicBoolean();
      cluster.kill(0);
      Thread thread = new Thread(() -> {
        try {
          bucket.get(KEY);
        } catch (Throwable e) {
          thrown.set(e);
        }
        flag.set(Thread.currentThread().isInterrupted());
      });
      thread.start();
      Thread.sleep(100);
      long before = System.nanoTime();
      thread.interrupt();
      thread.join(5000);
      assertTrue(System.nanoTime() - before < TimeUnit.SECONDS.toNanos(2));
      assertTrue(flag.get());
      InterruptedRingletException e =
          assertInstanceOf(InterruptedRingletException.class, thrown.get());
      assertFalse(e.maybeApplied());
      assertEquals(Status.CANCELLED, e.status());
    }
  }

  @Test
  void aCancelledFutureLeavesTheClientUsable() throws Exception {
    try (RingletClient client = TestCluster.client()) {
      Bucket<String> bucket = TestCluster.bucket(client);
      CountDownLatch leave = new CountDownLatch(1);
      CompletableFuture<Versioned<String>> future = bucket.updateAsync(KEY, old -> {
        await(leave);
        return "x";
      });
      assertTrue(future.cancel(true));
      leave.countDown();
      assertThrows(ExecutionException.class, () ->
          bucket.getAsync(KEY).orTimeout(0, TimeUnit.NANOSECONDS)
          .thenCompose(v ->
              new CompletableFuture<String>().orTimeout(1, TimeUnit.MILLISECONDS)).get());
      assertEquals("y", bucket.withResolver(TestCluster.joined()).update(KEY, old -> "y").value());
    }
  }

  @Test
  void oneOfThreeNodesMayDie() {
    try (LocalCluster cluster = LocalCluster.start(3);
        RingletClient client =
            RingletClient.builder().seeds(cluster.seeds()).timeout(Duration.ofSeconds(5)).build()) {
      Bucket<String> bucket = client.bucket("b", Codec.TEXT);
      assertEquals(3, cluster.size());
      bucket.put(KEY, "before");
      cluster.kill(1);
      cluster.kill(1);
      assertEquals("before", bucket.get(KEY).value());
      for (int i = 0; i < 10; i++) {
        int number = i;
        assertEquals("v" + i, bucket.update(Key.of("k" + i), old -> "v" + number).value());
      }
      cluster.restart(1);
      cluster.restart(1);
      assertEquals("v9", bucket.get(Key.of("k9")).value());
    }
  }

  @Test
  void anUnreachableClusterIsATransientFailure() {
    try (RingletClient client =
        RingletClient.builder().seeds("127.0.0.1:1").timeout(Duration.ofMillis(300)).build()) {
      TransientException e = assertThrows(TransientException.class,
          () -> client.bucket("b", Codec.TEXT).get(KEY));
      assertTrue(e.retryable());
      assertTrue(e.details().startsWith("{"), e.details());
    }
  }

  @Test
  void aClientNobodyClosedEndsItsThread() throws Exception {
    RingletClient.builder().seeds(TestCluster.SHARED.seeds()).name("forgotten").build();
    for (int i = 0; i < 100 && running("ringlet-forgotten"); i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertFalse(running("ringlet-forgotten"));
  }

  private static boolean running(String name) {
    return Thread.getAllStackTraces().keySet().stream().anyMatch(thread ->
        thread.getName().equals(name));
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await(20, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void badInputIsNamed() {
    named("key", () -> Key.of((String) null));
    named("key", () -> Key.of((byte[]) null));
    named("bytes", () -> new Context(null));
    named("other", () -> Context.NONE.compare(null));
    named("options", () -> LocalCluster.start(1, null));
    named("seeds", () -> RingletClient.builder().seeds((String[]) null));
    named("seeds", () -> RingletClient.builder().seeds("a:1", null));
    named("timeout", () -> RingletClient.builder().timeout(null));
    named("option", () -> RingletClient.builder().option(null, "x"));
    named("value", () -> RingletClient.builder().option("x", null));
    named("executor", () -> RingletClient.builder().executor(null));
    named("name", () -> RingletClient.builder().name(null));
    usage("key: wanted at least 1 byte, got 0", () -> Key.of(""));
    usage("lone surrogate", () -> Key.of("\uD800"));
    usage("nodes: wanted 1 to 64, got 0", () -> LocalCluster.start(0));
    usage("timeout: wanted more than 0", () -> RingletClient.builder().timeout(Duration.ZERO));
    usage("without NUL", () -> RingletClient.builder().option("client.seeds", "a\0b").build());
    String unknown = assertThrows(OptionException.class,
        () -> LocalCluster.start(1, Map.of("cluster.nn", "3"))).getMessage();
    assertTrue(unknown.contains("cluster.nn"), unknown);
    assertThrows(OptionException.class, () ->
        RingletClient.builder().option("client.timeout_ms", "soon").build());
    assertThrows(OptionException.class, () -> RingletClient.builder().option("cluster.n", "3")
        .seeds("127.0.0.1:1").build());
    assertThrows(OptionException.class, () -> LocalCluster.start(1, Map.of("cluster.n", "17")));
    assertThrows(OptionException.class, () -> RingletClient.builder().build());
    try (RingletClient client = TestCluster.client()) {
      named("drain", () -> client.close(null));
      named("name", () -> client.bucket((String) null, Codec.RAW));
      named("codec", () -> client.bucket("b", null));
      usage("name: wanted text", () -> client.bucket("\uDC00", Codec.RAW));
      Bucket<String> bucket = client.bucket("b", Codec.TEXT);
      named("key", () -> bucket.get(null));
      named("key", () -> bucket.getAsync(null));
      named("keys", () -> bucket.getAll(null));
      named("keys", () -> bucket.getAll(java.util.Collections.singleton(null)));
      named("key", () -> bucket.put(null, "x"));
      named("value", () -> bucket.put(KEY, null));
      named("context", () -> bucket.put(KEY, "x", null));
      named("key", () -> bucket.putAsync(null, "x", Context.NONE));
      named("value", () -> bucket.putAsync(KEY, null, Context.NONE));
      named("context", () -> bucket.putAsync(KEY, "x", null));
      named("key", () -> bucket.delete(null, Context.NONE));
      named("context", () -> bucket.delete(KEY, null));
      named("key", () -> bucket.deleteAsync(null, Context.NONE));
      named("context", () -> bucket.deleteAsync(KEY, null));
      named("key", () -> bucket.update(null, old -> old));
      named("function", () -> bucket.update(KEY, null));
      named("key", () -> bucket.updateAsync(null, old -> old));
      named("function", () -> bucket.updateAsync(KEY, null));
      named("resolver", () -> bucket.withResolver(null));
      named("timeout", () -> bucket.withTimeout(null));
      usage("r: wanted 1 to 255", () -> bucket.withR(0));
      usage("w: wanted 1 to 255", () -> bucket.withW(256));
      usage("timeout: wanted", () -> bucket.withTimeout(Duration.ofHours(2)));
      usage("lone surrogate", () -> bucket.put(KEY, "\uD800"));
      named("resolver", () -> bucket.get(KEY).resolved(null));
    }
    usage("node: wanted 0 to 2, got 3", () -> TestCluster.SHARED.kill(3));
    usage("node: wanted 0 to 2, got -1", () -> TestCluster.SHARED.restart(-1));
    LocalCluster closed = LocalCluster.start(1);
    closed.close();
    closed.close();
    assertThrows(ClientClosedException.class, () -> closed.kill(0));
  }

  private static void named(String argument, org.junit.jupiter.api.function.Executable call) {
    assertEquals(argument, assertThrows(NullPointerException.class, call).getMessage());
  }

  private static void usage(String part, org.junit.jupiter.api.function.Executable call) {
    String message = assertThrows(UsageException.class, call).getMessage();
    assertTrue(message.contains(part), message);
  }
}
