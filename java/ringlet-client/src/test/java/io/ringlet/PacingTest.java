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
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Many calls at once. */
@Timeout(280)
final class PacingTest {
  private static final int MANY = 20_000;

  private static Map<String, Integer> outcomes(List<CompletableFuture<Versioned<String>>> futures) {
    Map<String, Integer> all = new TreeMap<>();
    for (CompletableFuture<Versioned<String>> future : futures) {
      String outcome = "ok";
      try {
        future.join();
      } catch (CancellationException e) {
        outcome = "cancelled";
      } catch (CompletionException e) {
        outcome = e.getCause().getClass().getSimpleName();
      }
      all.merge(outcome, 1, Integer::sum);
    }
    return all;
  }

  private static RingletClient client(LocalCluster cluster, Map<String, String> options) {
    RingletClient.Builder builder =
        RingletClient.builder().seeds(cluster.seeds()).timeout(Duration.ofSeconds(120));
    options.forEach(builder::option);
    return builder.build();
  }

  private static void manyAtOnce(LocalCluster cluster, Map<String, String> options, int count) {
    try (RingletClient client = client(cluster, options)) {
      Bucket<String> bucket = TestCluster.bucket(client);
      List<CompletableFuture<Versioned<String>>> futures = new ArrayList<>();
      List<Key> keys = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        keys.add(Key.of("k" + i));
        futures.add(bucket.putAsync(keys.get(i), "v" + i, Context.NONE));
      }
      assertEquals(Map.of("ok", count), outcomes(futures));
      Map<Key, Result<String>> all = bucket.getAll(keys);
      for (int i = 0; i < count; i++) {
        assertEquals("v" + i, all.get(keys.get(i)).get().value());
      }
      // A put that was sent again is one write.
      all.values().forEach(result -> assertEquals(1, result.get().siblings().size()));
      futures.clear();
      // An update whose function has run is not begun again: few enough for every node.
      for (int i = 0; i < 20; i++) {
        futures.add(bucket.updateAsync(keys.get(i), old -> old + "!"));
      }
      assertEquals(Map.of("ok", 20), outcomes(futures));
      assertEquals("v7!", bucket.get(keys.get(7)).value());
    }
  }

  @Test
  void twentyThousandCallsAtOnceAllSucceedWithinTheirDeadline() {
    manyAtOnce(TestCluster.SHARED, Map.of(), MANY);
  }

  @Test
  void aClientOfFewCallsAtOnceMakesThemWait() {
    manyAtOnce(TestCluster.SHARED, Map.of("client.max_in_flight", "20"), 3000);
  }

  @Test
  void nodesThatTakeFewRequestsAreAskedAgain() {
    try (LocalCluster small = LocalCluster.start(3, Map.of(
        "limits.max_requests_per_connection", "60", "limits.max_requests_per_node", "60"))) {
      manyAtOnce(small, Map.of(), 3000);
    }
  }

  @Test
  void whatWaitsForItsTurnHasADeadlineCanBeCancelledAndEndsWithTheClient() throws Exception {
    LocalCluster cluster = LocalCluster.start(1);
    RingletClient client = client(cluster, Map.of());
    Bucket<String> bucket = client.bucket("b", Codec.TEXT);
    bucket.put(Key.of("k"), "v");
    cluster.kill(0);
    List<CompletableFuture<Versioned<String>>> before = new ArrayList<>();
    for (int i = 0; i < 3000; i++) {
      before.add(bucket.getAsync(Key.of("k" + i)));
    }
    CompletableFuture<Versioned<String>> late =
        bucket.withTimeout(Duration.ofMillis(300)).putAsync(Key.of("k"), "w", Context.NONE);
    ExecutionException e = assertThrows(ExecutionException.class, () -> late.get(60, TimeUnit.SECONDS));
    assertInstanceOf(RingletTimeoutException.class, e.getCause());
    assertTrue(e.getCause().getMessage().contains("waited for its turn"), e::toString);
    assertFalse(((RingletException) e.getCause()).maybeApplied());
    assertTrue(before.get(2999).cancel(true));
    // Another thread's blocking call does not wait behind them.
    AtomicInteger status = new AtomicInteger();
    Thread interrupted = new Thread(() -> {
      try {
        bucket.getAll(List.of(Key.of("x"), Key.of("y")));
      } catch (InterruptedRingletException expected) {
        status.set(expected.status());
      }
    });
    interrupted.start();
    Thread.sleep(100);
    interrupted.interrupt();
    interrupted.join(60_000);
    assertEquals(Status.CANCELLED, status.get());
    client.close();
    Map<String, Integer> outcomes = outcomes(before);
    assertEquals(1, outcomes.get("cancelled"));
    assertTrue(outcomes.getOrDefault("ClientClosedException", 0) > 2500, outcomes::toString);
    cluster.close();
  }

  @Test
  void blockingCallsDoNotWaitBehindManyOthers() throws Exception {
    try (RingletClient client = client(TestCluster.SHARED, Map.of())) {
      Bucket<String> bucket = TestCluster.bucket(client);
      bucket.put(Key.of("k"), "v");
      List<CompletableFuture<Versioned<String>>> futures = new ArrayList<>();
      for (int i = 0; i < MANY; i++) {
        futures.add(bucket.putAsync(Key.of("k" + i), "v", Context.NONE));
      }
      assertEquals("v", bucket.get(Key.of("k")).value());
      assertTrue(futures.stream().anyMatch(future -> !future.isDone()));
      // What waits is part of what a close lets end.
      client.close(Duration.ofSeconds(120));
      assertEquals(Map.of("ok", MANY), outcomes(futures));
    }
  }

  @Test
  void functionsThatWaitForOtherCallsTakeNoTurnFromThem() throws Exception {
    try (RingletClient client = client(TestCluster.SHARED, Map.of())) {
      Bucket<String> bucket = TestCluster.bucket(client);
      List<CompletableFuture<Versioned<String>>> futures = new ArrayList<>();
      for (int i = 0; i < 600; i++) {
        Key key = Key.of("k" + i);
        // Held up without a thread: the function of each is asked, and waits for its inner call.
        futures.add(bucket.updateAsync(key, old -> "outer").thenCompose(outer ->
            bucket.updateAsync(key, old -> old + " inner")));
      }
      assertEquals(Map.of("ok", 600), outcomes(futures));
      CompletableFuture<Versioned<String>> nested = bucket.updateAsync(Key.of("n"), old ->
          bucket.getAsync(Key.of("k1")).join().value());
      assertEquals("outer inner", nested.get(60, TimeUnit.SECONDS).value());
    }
  }
}
