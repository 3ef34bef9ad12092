package io.ringlet.junit;

import io.ringlet.LocalCluster;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Makes faults in a cluster between {@link #start} and {@link #close}, one after the other, each
 * drawn from a seed. At most one node at a time is killed, paused or cut off, so that with N=3 and
 * R=W=2 every call can succeed: what fails then is a finding. In the end everything is mended.
 *
 * <p>The same seed draws the same faults in the same order; the nodes are real, so the operating
 * system decides when each comes. Used once, by one thread.
 */
public final class Nemesis implements AutoCloseable {
  /** What it can do to a cluster. */
  public enum Fault {
    /** As kill -9, and a restart. */
    KILL,
    /** As SIGSTOP and SIGCONT. */
    PAUSE,
    /** One node is cut off from the others, both ways. */
    PARTITION,
    /** One line, in one direction. */
    CUT,
    /** A wall clock that is up to ten minutes off. */
    SKEW
  }

  private final LocalCluster cluster;
  private final Random random;
  private final List<String> done = Collections.synchronizedList(new ArrayList<>());
  private final CountDownLatch ended = new CountDownLatch(1);
  private Set<Fault> faults = EnumSet.allOf(Fault.class);
  private double pauseMillis = 50;
  private double lastingMillis = 100;
  private Thread thread;
  private volatile RuntimeException failure;

  /**
   * A nemesis that does nothing before {@link #start}.
   *
   * @param cluster of real nodes
   * @param seed what it draws from
   */
  public Nemesis(LocalCluster cluster, long seed) {
    this.cluster = Objects.requireNonNull(cluster, "cluster");
    this.random = new Random(seed);
  }

  /**
   * Which faults it makes; all of them if it is not called.
   *
   * @param first one of them
   * @param more the others
   * @return this
   */
  public Nemesis only(Fault first, Fault... more) {
    faults = EnumSet.of(first, more);
    return this;
  }

  /**
   * How often and how long, on average; 50 and 100 ms if it is not called.
   *
   * @param pause between two faults
   * @param lasting of one
   * @return this
   */
  public Nemesis rhythm(Duration pause, Duration lasting) {
    for (Duration one : List.of(pause, lasting)) {
      if (one.isNegative() || one.isZero() || one.compareTo(Duration.ofHours(1)) > 0) {
        throw new IllegalArgumentException("wanted more than no time and at most an hour, got " + one);
      }
    }
    pauseMillis = pause.toNanos() / 1e6;
    lastingMillis = lasting.toNanos() / 1e6;
    return this;
  }

  /**
   * Begins, on a thread of its own.
   *
   * @return this
   */
  public Nemesis start() {
    if (thread != null) {
      throw new IllegalStateException("a nemesis is used once: make another one");
    }
    thread = new Thread(this::work, "ringlet-nemesis");
    thread.setDaemon(true);
    thread.start();
    return this;
  }

  /**
   * What it has done so far.
   *
   * @return a sentence a fault
   */
  public List<String> done() {
    synchronized (done) {
      return List.copyOf(done);
    }
  }

  /** Ends it: everything is mended and every node runs again. Idempotent. */
  @Override
  public void close() {
    ended.countDown();
    if (thread == null) {
      return;
    }
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    RuntimeException failed = failure;
    failure = null;
    if (failed != null) {
      throw failed;
    }
  }

  private boolean waitFor(double meanMillis) {
    double millis = -Math.log(1 - random.nextDouble()) * meanMillis;
    try {
      return ended.await(Math.round(millis * 1e6), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      return true;
    }
  }

  private void work() {
    try {
      Fault[] all = faults.toArray(new Fault[0]);
      while (!waitFor(pauseMillis)) {
        Fault fault = all[random.nextInt(all.length)];
        int node = random.nextInt(cluster.size());
        int other = (node + 1 + random.nextInt(Math.max(1, cluster.size() - 1))) % cluster.size();
        Duration ahead = Duration.ofMillis(random.nextInt(1_200_000) - 600_000);
        Runnable undo = make(cluster.size() == 1 && fault != Fault.SKEW ? Fault.PAUSE : fault, node, other, ahead);
        try {
          waitFor(lastingMillis);
        } finally {
          undo.run();
        }
      }
    } catch (RuntimeException e) {
      failure = e;
    }
  }

  private Runnable make(Fault fault, int node, int other, Duration ahead) {
    switch (fault) {
      case KILL:
        cluster.kill(node);
        done.add("kill node " + node);
        return () -> cluster.restart(node);
      case PAUSE:
        cluster.pause(node);
        done.add("pause node " + node);
        return () -> cluster.resume(node);
      case PARTITION:
        cluster.partition(Set.of(node));
        done.add("partition node " + node + " from the rest");
        return cluster::heal;
      case CUT:
        cluster.cut(node, other);
        done.add("cut the line from node " + node + " to node " + other);
        return cluster::heal;
      default:
        cluster.skew(node, ahead);
        done.add("skew the clock of node " + node + " by " + ahead.toSeconds() + " s");
        return () -> cluster.skew(node, Duration.ZERO);
    }
  }
}
