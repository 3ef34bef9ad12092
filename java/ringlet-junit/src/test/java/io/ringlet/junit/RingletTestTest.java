package io.ringlet.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import io.ringlet.Bucket;
import io.ringlet.Context;
import io.ringlet.Key;
import io.ringlet.LocalCluster;
import io.ringlet.RingletClient;
import io.ringlet.RingletException;
import io.ringlet.UsageException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** The extension, as a project that uses it meets it. */
@RingletTest
@Timeout(120)
final class RingletTestTest {
  private LocalCluster before;

  @BeforeEach
  void prepare(LocalCluster cluster) {
    before = cluster;
  }

  @Test
  void givesWhatATestAsksFor(
      LocalCluster cluster, RingletClient client, Bucket<String> bucket, Random random) {
    assertEquals(3, cluster.size());
    assertEquals(before, cluster);
    bucket.put(Key.of("k"), "v");
    assertEquals("v", bucket.get(Key.of("k")).value());
    assertNotEquals(0, random.nextLong());
  }

  @Test
  @RingletTest(nodes = 5, options = "cluster.reconcile=lww", timeoutMillis = 3000)
  void theTestsOwnAnnotationWins(LocalCluster cluster, Bucket<String> bucket) {
    assertEquals(5, cluster.size());
    bucket.put(Key.of("k"), "one");
    bucket.put(Key.of("k"), "two");
    assertEquals("two", bucket.get(Key.of("k")).value());
  }

  @Test
  void callsSucceedWhileTheNemesisWorks(Bucket<String> bucket, Nemesis nemesis) {
    int written = 0;
    try (Nemesis working = nemesis.rhythm(Duration.ofMillis(10), Duration.ofMillis(20)).start()) {
      long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(1500);
      while (System.nanoTime() < end || working.done().size() < 3) {
        bucket.put(Key.of("k" + written++), "v");
      }
    }
    for (int i = 0; i < written; i++) {
      assertEquals("v", bucket.get(Key.of("k" + i)).value());
    }
    assertThrows(IllegalStateException.class, nemesis::start);
  }

  @Test
  void faultsOfACluster(LocalCluster cluster, RingletClient client) {
    Bucket<String> all =
        client.bucket("b", io.ringlet.Codec.TEXT).withR(3).withW(3).withTimeout(Duration.ofMillis(400));
    Key key = Key.of("k");
    all.put(key, "1");
    cluster.pause(1);
    assertThrows(RingletException.class, () -> all.put(key, "2"));
    cluster.resume(1);
    until(() -> all.put(Key.of("again"), "v"));
    cluster.partition(Set.of(0));
    assertThrows(RingletException.class, () -> all.put(key, "3"));
    cluster.heal();
    until(() -> all.put(Key.of("again"), "v"));
    for (int node = 0; node < 3; node++) {
      cluster.cut(LocalCluster.CLIENTS, node);
    }
    assertThrows(RingletException.class, () -> all.get(key));
    for (int node = 0; node < 3; node++) {
      cluster.mend(LocalCluster.CLIENTS, node);
    }
    until(() -> all.put(Key.of("again"), "v"));
    cluster.skew(0, Duration.ofHours(-2));
    cluster.skew(0, Duration.ZERO);
    refused("0 to 2, got 3", () -> cluster.pause(3));
    refused("0 twice", () -> cluster.cut(0, 0));
    refused("the clients twice", () -> cluster.cut(LocalCluster.CLIENTS, LocalCluster.CLIENTS));
    refused("not all, got 3", () -> cluster.partition(Set.of(0, 1, 2)));
    refused("not all, got 0", () -> cluster.partition(Set.of()));
    refused("366 days", () -> cluster.skew(0, Duration.ofDays(400)));
    cluster.kill(2);
    refused("n3 is down", () -> cluster.pause(2));
  }

  private static void refused(String words, org.junit.jupiter.api.function.Executable call) {
    String message = assertThrows(UsageException.class, call).getMessage();
    assertTrue(message.contains(words), message);
  }

  private static void until(Runnable call) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (true) {
      try {
        call.run();
        return;
      } catch (RingletException e) {
        if (System.nanoTime() > end) {
          throw e;
        }
      }
    }
  }

  // ---- what a failure says ----

  @Tag("to-fail")
  @RingletTest
  static class Failing {
    static final List<Long> DRAWN = new ArrayList<>();

    @Test
    void fails(Random random, Nemesis nemesis) throws Exception {
      DRAWN.add(random.nextLong());
      try (Nemesis working = nemesis.only(Nemesis.Fault.KILL).rhythm(Duration.ofMillis(1), Duration.ofMillis(1)).start()) {
        while (working.done().isEmpty()) {
          Thread.sleep(1);
        }
      }
      throw new AssertionError("as it should");
    }

    @Test
    @RingletTest(options = "cluster.n")
    void hasABadOption(LocalCluster cluster) {}

    @Test
    void wantsWhatThereIsNot(Bucket<Integer> bucket) {}
  }

  private static Throwable failureOf(String method, String parameters) {
    List<Throwable> failures = new ArrayList<>();
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(selectMethod(Failing.class, method, parameters))
            .build();
    LauncherFactory.create()
        .execute(
            request,
            new TestExecutionListener() {
              @Override
              public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                result.getThrowable().ifPresent(failures::add);
              }
            });
    assertEquals(1, failures.size());
    return failures.get(0);
  }

  @Test
  void aFailureSaysTheSeedAndTheFaultsAndTheSeedRepeats() {
    String parameters = Random.class.getName() + "," + Nemesis.class.getName();
    Throwable failure = failureOf("fails", parameters);
    assertEquals("as it should", failure.getMessage());
    String said = failure.getSuppressed()[0].toString();
    assertTrue(said.matches("(?s)repeat with -Dringlet\\.seed=\\d+.*fault made: kill node [012].*"), said);
    assertEquals(said.split("\\R")[0], failureOf("fails", parameters).getSuppressed()[0].toString().split("\\R")[0]);
    assertEquals(Failing.DRAWN.get(0), Failing.DRAWN.get(1));
  }

  @Test
  void badUseSaysWhatWasWanted() {
    String said = failureOf("hasABadOption", LocalCluster.class.getName()).toString();
    assertTrue(said.contains("wanted name=value, got 'cluster.n'"), said);
    assertFalse(failureOf("wantsWhatThereIsNot", Bucket.class.getName()).toString().isEmpty());
  }

  @Test
  void aNemesisRefusesARhythmWithoutTime(LocalCluster cluster) {
    Nemesis nemesis = new Nemesis(cluster, 1);
    assertThrows(
        IllegalArgumentException.class, () -> nemesis.rhythm(Duration.ZERO, Duration.ofMillis(1)));
    nemesis.close();
  }
}
