package io.ringlet;

import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One cluster of three nodes for all tests that kill nothing, and buckets of their own for each.
 */
final class TestCluster {
  static final LocalCluster SHARED = LocalCluster.start(3);
  private static final AtomicInteger BUCKETS = new AtomicInteger();

  private TestCluster() {}

  static RingletClient client() {
    return RingletClient.builder().seeds(SHARED.seeds()).timeout(Duration.ofSeconds(5)).build();
  }

  static Bucket<String> bucket(RingletClient client) {
    return client.bucket("test-" + BUCKETS.incrementAndGet(), Codec.TEXT);
  }

  /** Two blind writes: a conflict of "milk" and "tea". */
  static void conflict(Bucket<String> bucket, Key key) {
    bucket.put(key, "tea");
    bucket.put(key, "milk");
  }

  static Set<String> values(Versioned<String> versioned) {
    Set<String> all = new TreeSet<>();
    versioned.siblings().forEach(sibling -> all.add(sibling.value()));
    return all;
  }

  static ConflictResolver<String> joined() {
    return siblings -> {
      Set<String> all = new TreeSet<>();
      siblings.forEach(sibling -> all.add(sibling.deleted() ? "" : sibling.value()));
      return String.join("+", all);
    };
  }
}
