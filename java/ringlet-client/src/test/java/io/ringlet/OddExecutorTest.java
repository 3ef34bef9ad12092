package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
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
}
