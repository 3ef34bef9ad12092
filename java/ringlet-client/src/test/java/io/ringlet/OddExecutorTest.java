package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ringlet.internal.RingletNative;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Executors that run work on the spot, and such as refuse it in words of their own. */
@Timeout(120)
final class OddExecutorTest {
  private static RingletClient client(Executor executor) {
    return RingletClient.builder()
        .seeds(TestCluster.SHARED.seeds())
        .timeout(Duration.ofSeconds(10))
        .executor(executor)
        .build();
  }

  @Test
  void aFunctionOnTheSpotMayCallTheSameClient() throws Exception {
    try (RingletClient client = client(Runnable::run)) {
      Bucket<String> bucket = TestCluster.bucket(client);
      CompletableFuture<Versioned<String>> updated = bucket.updateAsync(Key.of("k"), old -> {
        bucket.put(Key.of("beside"), "written inside");
        return bucket.update(Key.of("deeper"), deeper -> bucket.get(Key.of("beside")).value())
            .value();
      });
      assertEquals("written inside", updated.get(60, TimeUnit.SECONDS).value());
      // The client is as well as before.
      assertEquals("written inside", bucket.get(Key.of("deeper")).value());
    }
  }

  @Test
  void aClientEndsWhileAFunctionOnTheSpotWaits() throws Exception {
    RingletClient client = client(Runnable::run);
    Bucket<String> bucket = TestCluster.bucket(client);
    CompletableFuture<Void> inside = new CompletableFuture<>();
    CompletableFuture<Versioned<String>> updated = bucket.updateAsync(Key.of("k"), old -> {
      inside.complete(null);
      while (true) {
        bucket.get(Key.of("k"));
      }
    });
    inside.get(60, TimeUnit.SECONDS);
    CompletableFuture<Void> closed = CompletableFuture.runAsync(client::close);
    closed.get(60, TimeUnit.SECONDS);
    ExecutionException ended =
        assertThrows(ExecutionException.class, () -> updated.get(60, TimeUnit.SECONDS));
    assertTrue(ended.getCause() instanceof ClientClosedException, ended::toString);
  }

  @Test
  void anExecutorThatRefusesInItsOwnWordsEndsNoOtherCall() throws Exception {
    try (RingletClient client = client(work -> {
      throw new IllegalStateException("no room");
    })) {
      Bucket<String> bucket = TestCluster.bucket(client);
      assertTrue(bucket.getAsync(Key.of("k")).get(60, TimeUnit.SECONDS).isMissing());
      bucket.put(Key.of("k"), "v");
      assertEquals("v", bucket.get(Key.of("k")).value());
    }
  }

  private static RingletClient named(String name, Duration timeout, Executor executor) {
    return RingletClient.builder()
        .seeds(TestCluster.SHARED.seeds())
        .timeout(timeout)
        .executor(executor)
        .name(name)
        .build();
  }

  private static int liveHandles() {
    return RingletNative.has("debug.live_handles\0".getBytes(StandardCharsets.US_ASCII));
  }

  /** A full pool of one thread, so that CallerRunsPolicy runs everything in its caller. */
  private static ThreadPoolExecutor full(CountDownLatch leave) {
    ThreadPoolExecutor pool = new ThreadPoolExecutor(1, 1, 1, TimeUnit.SECONDS,
        new SynchronousQueue<>(), new ThreadPoolExecutor.CallerRunsPolicy());
    pool.execute(() -> wait(leave));
    return pool;
  }

  private static void wait(CountDownLatch latch) {
    try {
      assertTrue(latch.await(100, TimeUnit.SECONDS));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void noCodeOfTheApplicationRunsOnTheThreadThatTakesAnswers() throws Exception {
    Set<String> threads = ConcurrentHashMap.newKeySet();
    Runnable note = () -> threads.add(Thread.currentThread().getName());
    Codec<String> codec = new Codec<>() {
      @Override
      public String contentType() {
        note.run();
        return "text/plain";
      }

      @Override
      public boolean accepts(String contentType) {
        note.run();
        return true;
      }

      @Override
      public byte[] encode(String value) {
        note.run();
        return Codec.TEXT.encode(value);
      }

      @Override
      public String decode(ByteBuffer readOnly) throws Exception {
        note.run();
        return Codec.TEXT.decode(readOnly);
      }
    };
    CountDownLatch leave = new CountDownLatch(1);
    ThreadPoolExecutor callerRuns = full(leave);
    for (Executor executor : List.<Executor>of(Runnable::run, callerRuns)) {
      try (RingletClient client = named("taking", Duration.ofMillis(500), work -> {
        note.run();
        executor.execute(work);
      })) {
        Bucket<String> bucket = client.bucket(TestCluster.bucket(client).name(), codec)
            .withResolver(siblings -> {
              note.run();
              return "resolved";
            });
        TestCluster.conflict(bucket, Key.of("k"));
        // More than are sent at once: the others are sent when their turn comes.
        List<CompletableFuture<Versioned<String>>> many = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
          many.add(bucket.withTimeout(Duration.ofSeconds(60))
              .putAsync(Key.of("m" + i), "v", Context.NONE));
        }
        for (CompletableFuture<Versioned<String>> one : many) {
          one.thenRun(note).get(60, TimeUnit.SECONDS);
        }
        // Both ways to end, each with what hangs on the future.
        bucket.updateAsync(Key.of("k"), old -> {
          note.run();
          return old + "!";
        }).thenRun(note).get(60, TimeUnit.SECONDS);
        assertThrows(ExecutionException.class, () -> bucket.withTimeout(Duration.ofMillis(1))
            .withR(16).withStrict(true).getAsync(Key.of("k")).whenComplete((value, error) -> note.run())
            .get(60, TimeUnit.SECONDS));
        CompletableFuture<Versioned<String>> unanswered = bucket.updateAsync(Key.of("slow"), old -> {
          try {
            Thread.sleep(1500);
          } catch (InterruptedException e) {
            throw new AssertionError(e);
          }
          return "late";
        });
        assertThrows(ExecutionException.class,
            () -> unanswered.whenComplete((value, error) -> note.run()).get(60, TimeUnit.SECONDS));
      }
    }
    leave.countDown();
    callerRuns.shutdown();
    assertFalse(threads.contains("ringlet-taking"), threads::toString);
    assertFalse(threads.isEmpty());
  }

  @Test
  void aFunctionOnTheSpotThatWaitsHoldsUpNoOtherCall() throws Exception {
    CountDownLatch leave = new CountDownLatch(1);
    ThreadPoolExecutor callerRuns = full(leave);
    for (Executor executor : List.<Executor>of(Runnable::run, callerRuns)) {
      CountDownLatch inside = new CountDownLatch(1);
      CountDownLatch hold = new CountDownLatch(1);
      RingletClient client = client(executor);
      Bucket<String> bucket = TestCluster.bucket(client);
      CompletableFuture<Versioned<String>> held = bucket.updateAsync(Key.of("k"), old -> {
        inside.countDown();
        wait(hold);
        return "x";
      });
      wait(inside);
      assertTrue(bucket.get(Key.of("k")).isMissing());
      assertTrue(bucket.getAsync(Key.of("k")).get(60, TimeUnit.SECONDS).isMissing());
      // Functions that wait for futures of the same client, one inside the other.
      assertEquals("inner outer", bucket.updateAsync(Key.of("j"), old ->
          bucket.updateAsync(Key.of("i"), older -> "inner").join().value() + " outer")
          .get(60, TimeUnit.SECONDS).value());
      assertThrows(ExecutionException.class, () -> held.get(60, TimeUnit.SECONDS));
      CompletableFuture.runAsync(client::close, work -> new Thread(work).start())
          .get(60, TimeUnit.SECONDS);
      hold.countDown();
    }
    leave.countDown();
    callerRuns.shutdown();
  }

  @Test
  void anExecutorThatBlocksHoldsUpNoOtherCall() throws Exception {
    CountDownLatch leave = new CountDownLatch(1);
    RingletClient client = named("blocked", Duration.ofSeconds(1), work -> {
      wait(leave);
      work.run();
    });
    Bucket<String> bucket = TestCluster.bucket(client);
    List<CompletableFuture<Versioned<String>>> futures = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      futures.add(bucket.getAsync(Key.of("k")));
    }
    bucket.withTimeout(Duration.ofSeconds(20)).put(Key.of("k"), "v");
    for (CompletableFuture<Versioned<String>> future : futures) {
      ExecutionException e =
          assertThrows(ExecutionException.class, () -> future.get(60, TimeUnit.SECONDS));
      assertInstanceOf(RingletTimeoutException.class, e.getCause());
      assertTrue(e.getCause().getMessage().contains("executor"), e::toString);
    }
    CompletableFuture.runAsync(client::close, work -> new Thread(work).start())
        .get(60, TimeUnit.SECONDS);
    leave.countDown();
  }

  @Test
  void anErrorOfTheExecutorCostsThatCallOnly() throws Exception {
    AtomicReference<Throwable> next = new AtomicReference<>();
    try (RingletClient client = client(work -> {
      Throwable error = next.getAndSet(null);
      if (error != null) {
        throw Request.rethrow(error);
      }
      work.run();
    })) {
      Bucket<String> bucket = TestCluster.bucket(client);
      for (Throwable error : List.of(new NoClassDefFoundError("gone"), new StackOverflowError(),
          new OutOfMemoryError("threads"), new Exception("checked"))) {
        next.set(error);
        ExecutionException e = assertThrows(ExecutionException.class,
            () -> bucket.getAsync(Key.of("k")).get(60, TimeUnit.SECONDS));
        assertSame(error, e.getCause());
        next.set(error);
        e = assertThrows(ExecutionException.class,
            () -> bucket.updateAsync(Key.of("k"), old -> "x").get(60, TimeUnit.SECONDS));
        assertSame(error, e.getCause());
        assertTrue(bucket.get(Key.of("k")).isMissing());
        assertTrue(bucket.getAsync(Key.of("k")).get(60, TimeUnit.SECONDS).isMissing());
      }
    }
  }

  @Test
  void anExecutorThatDropsWorkEndsItsCallsAtTheirDeadlineAndLeaksNothing() throws Exception {
    int before = liveHandles();
    try (RingletClient client = named("dropped", Duration.ofMillis(500), work -> {})) {
      Bucket<String> bucket = TestCluster.bucket(client);
      bucket.withTimeout(Duration.ofSeconds(20)).put(Key.of("k"), "v");
      ExecutionException read = assertThrows(ExecutionException.class,
          () -> bucket.getAsync(Key.of("k")).get(60, TimeUnit.SECONDS));
      assertInstanceOf(RingletTimeoutException.class, read.getCause());
      assertFalse(((RingletException) read.getCause()).maybeApplied());
      ExecutionException written = assertThrows(ExecutionException.class,
          () -> bucket.putAsync(Key.of("j"), "v", Context.NONE).get(60, TimeUnit.SECONDS));
      assertTrue(((RingletException) written.getCause()).maybeApplied());
      assertThrows(ExecutionException.class,
          () -> bucket.updateAsync(Key.of("i"), old -> "v").get(60, TimeUnit.SECONDS));
    }
    for (int i = 0; i < 1000 && liveHandles() > before; i++) {
      Thread.sleep(20);
    }
    assertTrue(liveHandles() <= before, "native handles left behind");
  }

  @Test
  void aPoolThatWaitsForItsOwnFuturesIsReleasedByTheirDeadlines() throws Exception {
    ExecutorService two = Executors.newFixedThreadPool(2);
    try (RingletClient client = named("starved", Duration.ofSeconds(1), two)) {
      Bucket<String> bucket = TestCluster.bucket(client);
      bucket.withTimeout(Duration.ofSeconds(20)).put(Key.of("k"), "v");
      List<java.util.concurrent.Future<?>> all = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        all.add(two.submit(() -> bucket.getAsync(Key.of("k")).join()));
        all.add(two.submit(() -> bucket.updateAsync(Key.of("k"), old -> old + "x").join()));
      }
      for (java.util.concurrent.Future<?> one : all) {
        try {
          one.get(60, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
          assertInstanceOf(TransientException.class, e.getCause().getCause(), e::toString);
        }
      }
    } finally {
      two.shutdownNow();
    }
  }

  @Test
  void aBlockingCallOnTheThreadThatTakesAnswersIsRefusedAtOnce() throws Exception {
    try (RingletClient client = client(Runnable::run)) {
      Bucket<String> bucket = TestCluster.bucket(client);
      List<Throwable> thrown = new ArrayList<>();
      Thread taking = new ClientCore.DrainThread(() -> {
        for (Runnable call : List.<Runnable>of(() -> bucket.get(Key.of("k")),
            () -> bucket.getAll(List.of(Key.of("k"))), () -> client.admin("ring", "{}"))) {
          thrown.add(assertThrows(UsageException.class, call::run));
        }
      }, "ringlet-x");
      taking.start();
      taking.join(60_000);
      assertEquals(3, thrown.size());
      thrown.forEach(e -> assertTrue(e.getMessage().contains("would wait for ever"), e.getMessage()));
    }
  }
}
