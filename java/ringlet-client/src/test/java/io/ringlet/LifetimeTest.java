package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.ringlet.internal.RingletNative;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Garbage collections at every moment, and what a call carries. */
@Timeout(120)
final class LifetimeTest {
  private static int liveHandles() {
    return RingletNative.has("debug.live_handles\0".getBytes(StandardCharsets.US_ASCII));
  }

  @Test
  void collectionsMeetLiveFuturesAndAbandonedClients() throws Exception {
    try (RingletClient warm = TestCluster.client()) {
      TestCluster.bucket(warm).put(Key.of("k"), "v");
    }
    int before = liveHandles();
    AtomicBoolean stop = new AtomicBoolean();
    Thread collector = new Thread(() -> {
      while (!stop.get()) {
        System.gc();
      }
    });
    collector.start();
    try (RingletClient client = TestCluster.client()) {
      Bucket<String> bucket = TestCluster.bucket(client).withResolver(TestCluster.joined());
      for (int round = 0; round < 8; round++) {
        // Nobody keeps this client, nor what it was asked: its thread must end all the same.
        abandon(round);
        List<CompletableFuture<Versioned<String>>> kept = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
          Key key = Key.of("k" + i);
          kept.add(bucket.putAsync(key, "value " + round, Context.NONE));
          kept.add(bucket.getAsync(key));
          bucket.getAsync(key); // dropped
        }
        kept.add(bucket.updateAsync(Key.of("k0"), old -> "updated " + old));
        for (CompletableFuture<Versioned<String>> future : kept) {
          Versioned<String> done = future.get(30, TimeUnit.SECONDS);
          done.siblings().forEach(sibling -> assertTrue(sibling.value().contains("value")));
        }
      }
    } finally {
      stop.set(true);
      collector.join();
    }
    for (int i = 0; i < 300 && liveHandles() > before; i++) {
      System.gc();
      Thread.sleep(50);
    }
    assertEquals(before, liveHandles(), "native handles left behind");
  }

  private static void abandon(int round) {
    Bucket<String> bucket = TestCluster.bucket(TestCluster.client());
    bucket.put(Key.of("k"), "value " + round);
    bucket.getAsync(Key.of("k"));
  }

  @Test
  void aWriteRepeatedWithItsIdIsOneWrite() {
    try (RingletClient client = TestCluster.client()) {
      Bucket<String> bucket = TestCluster.bucket(client);
      Bucket<String> once = bucket.withWriteId(UUID.randomUUID());
      Key key = Key.of("k");
      once.put(key, "tea");
      once.put(key, "tea");
      assertEquals(1, bucket.get(key).siblings().size());
      bucket.put(key, "milk");
      assertEquals(2, bucket.get(key).siblings().size());
      assertThrows(UsageException.class, () -> bucket.withWriteId(new UUID(0, 0)));
      assertThrows(NullPointerException.class, () -> bucket.withWriteId(null));
    }
  }

  @Test
  void everyDurabilityIsTaken() {
    try (RingletClient client = TestCluster.client()) {
      Bucket<String> bucket = TestCluster.bucket(client);
      for (Durability durability : Durability.values()) {
        Key key = Key.of(durability.name());
        bucket.withDurability(durability).put(key, "v");
        assertEquals("v", bucket.get(key).value());
      }
      assertThrows(NullPointerException.class, () -> bucket.withDurability(null));
    }
  }

  @Test
  void operatorsAskForStatusRingAndKey() {
    RingletClient closed;
    try (RingletClient client = TestCluster.client()) {
      closed = client;
      assertTrue(client.admin("ring", "{}").contains("\"n1\""));
      assertTrue(client.admin("status", "{\"node\":\"n2\"}").contains("n2"));
      client.bucket("admin", Codec.TEXT).put(Key.of("k"), "v");
      assertTrue(client.admin("key.inspect", "{\"bucket\":\"admin\",\"key\":\"k\"}")
          .contains("replicas"));
      UsageException unknown =
          assertThrows(UsageException.class, () -> client.admin("reboot", "{}"));
      assertTrue(unknown.getMessage().contains("reboot"), unknown.getMessage());
      assertThrows(UsageException.class, () -> client.admin("ring", "not json"));
      assertThrows(UsageException.class, () -> client.admin("ri\0ng", "{}"));
      assertThrows(NullPointerException.class, () -> client.admin(null, "{}"));
    }
    assertThrows(ClientClosedException.class, () -> closed.admin("ring", "{}"));
  }
}
