package io.ringlet;

import io.ringlet.internal.NativeFailure;
import io.ringlet.internal.NativeLoader;
import io.ringlet.internal.NativeRef;
import io.ringlet.internal.RingletNative;
import java.lang.ref.Cleaner;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.LongConsumer;

/**
 * A whole cluster in this process, for development and tests: real nodes on free ports of
 * 127.0.0.1, with their data in memory. Safe for any thread.
 */
public class LocalCluster implements AutoCloseable {
  /** As one end of {@link #cut}: all clients, of this process and others. */
  public static final int CLIENTS = -1;

  private static final Cleaner CLEANER = Cleaner.create();

  private final NativeRef cluster;
  private final Cleaner.Cleanable cleanable;
  private final String seeds;
  private final int size;

  /** For mocks and proxies: a cluster that is closed. */
  protected LocalCluster() {
    cluster = new NativeRef(0, pointer -> {});
    cluster.close();
    cleanable = () -> {};
    seeds = "";
    size = 0;
  }

  private LocalCluster(long pointer) {
    NativeRef ref = new NativeRef(pointer, RingletNative::clusterRelease);
    cluster = ref;
    cleanable = CLEANER.register(this, ref::close);
    seeds = Text.ofNative(RingletNative.clusterSeeds(pointer));
    size = RingletNative.clusterSize(pointer);
  }

  /**
   * Starts a cluster with three copies of each value (or as many as there are nodes), R 2 and W 2.
   *
   * @param nodes 1 to 64
   * @return the cluster, to be closed
   * @throws UsageException another number of nodes
   */
  public static LocalCluster start(int nodes) {
    return start(nodes, Map.of());
  }

  /**
   * Starts a cluster with options of the configuration file, for example {@code cluster.n}.
   *
   * @param nodes 1 to 64
   * @param options names and values
   * @return the cluster, to be closed
   * @throws OptionException an option has an unknown name or a wrong value
   * @throws UsageException another number of nodes
   */
  public static LocalCluster start(int nodes, Map<String, String> options) {
    Objects.requireNonNull(options, "options");
    if (nodes < 1 || nodes > 64) {
      throw Text.invalid("nodes: wanted 1 to 64, got " + nodes, null);
    }
    NativeLoader.load();
    long handle = 0;
    try {
      handle = Options.create(options);
      return new LocalCluster(RingletNative.clusterStart(handle, nodes));
    } catch (NativeFailure e) {
      throw Failure.ofOptions(e);
    } finally {
      RingletNative.optionsRelease(handle);
    }
  }

  /**
   * Where its nodes listen, for {@link RingletClient.Builder#seeds}.
   *
   * @return {@code host:port,host:port}
   */
  public String seeds() {
    return seeds;
  }

  /**
   * How many nodes it was started with.
   *
   * @return the number
   */
  public int size() {
    return size;
  }

  /**
   * Ends a node as a crash does: its requests stay unanswered, its data are kept. Of one that is
   * down: nothing.
   *
   * @param node 0 to {@code size() - 1}
   */
  public void kill(int node) {
    checkNode(node);
    use(pointer -> RingletNative.clusterKill(pointer, node));
  }

  /**
   * Starts a killed node again, on its address and with its data. Of one that is running: nothing.
   *
   * @param node 0 to {@code size() - 1}
   */
  public void restart(int node) {
    checkNode(node);
    use(pointer -> RingletNative.clusterRestart(pointer, node));
  }

  /**
   * Lets a node stand still, as a process does after SIGSTOP: its sockets stay open, what is sent
   * to it waits in them and is worked off after {@link #resume}, where it is not too old by then.
   *
   * @param node 0 to {@code size() - 1}
   * @throws UsageException the node is down
   */
  public void pause(int node) {
    checkNode(node);
    use(pointer -> RingletNative.clusterPause(pointer, node));
  }

  /**
   * Lets a paused node go on. Of one that is not paused, or is down: nothing.
   *
   * @param node 0 to {@code size() - 1}
   */
  public void resume(int node) {
    checkNode(node);
    use(pointer -> RingletNative.clusterResume(pointer, node));
  }

  /**
   * Cuts the line between two nodes in one direction: what is sent waits, as over a network that
   * loses every packet, until {@link #mend} or {@link #heal}. Outlasts kill and restart.
   *
   * @param from 0 to {@code size() - 1}, or {@link #CLIENTS}
   * @param to 0 to {@code size() - 1}, or {@link #CLIENTS}
   * @throws UsageException both are the same
   */
  public void cut(int from, int to) {
    checkEnds(from, to);
    use(pointer -> RingletNative.clusterCut(pointer, from, to));
  }

  /**
   * Mends what {@link #cut} cut. Of a line that is whole: nothing.
   *
   * @param from 0 to {@code size() - 1}, or {@link #CLIENTS}
   * @param to 0 to {@code size() - 1}, or {@link #CLIENTS}
   * @throws UsageException both are the same
   */
  public void mend(int from, int to) {
    checkEnds(from, to);
    use(pointer -> RingletNative.clusterMend(pointer, from, to));
  }

  /**
   * Cuts every line between nodes of {@code side} and the other nodes, both ways, until {@link
   * #heal}. Clients go on to reach all nodes.
   *
   * @param side nodes, 0 to {@code size() - 1}; neither none nor all of them
   * @throws UsageException no node, or every node, is on that side
   */
  public void partition(Set<Integer> side) {
    Objects.requireNonNull(side, "side");
    side.forEach(this::checkNode);
    if (side.isEmpty() || side.size() == size) {
      throw Text.invalid("side: wanted some of " + size + " nodes and not all, got " + side.size(), null);
    }
    for (int one : side) {
      for (int other = 0; other < size; other++) {
        if (!side.contains(other)) {
          cut(one, other);
          cut(other, one);
        }
      }
    }
  }

  /** Mends all lines. */
  public void heal() {
    use(RingletNative::clusterHeal);
  }

  /**
   * Sets a node's wall clock off from the machine's, also after a restart. Timeouts do not depend
   * on it.
   *
   * @param node 0 to {@code size() - 1}
   * @param ahead at most 366 days; negative: behind; zero: right again
   * @throws UsageException more than that
   */
  public void skew(int node, Duration ahead) {
    checkNode(node);
    if (ahead.abs().compareTo(Duration.ofDays(366)) > 0) {
      throw Text.invalid("ahead: wanted at most 366 days either way, got " + ahead, null);
    }
    use(pointer -> RingletNative.clusterSkew(pointer, node, ahead.toMillis()));
  }

  /** Stops all nodes; their data are gone. Idempotent. */
  @Override
  public void close() {
    cleanable.clean();
  }

  private void checkEnds(int from, int to) {
    for (int end : new int[] {from, to}) {
      if (end != CLIENTS) {
        checkNode(end);
      }
    }
    if (from == to) {
      String end = from == CLIENTS ? "the clients" : Integer.toString(from);
      throw Text.invalid("from, to: wanted the two ends of a line, got " + end + " twice", null);
    }
  }

  private void checkNode(int node) {
    if (node < 0 || node >= size) {
      throw Text.invalid("node: wanted 0 to " + (size - 1) + ", got " + node, null);
    }
  }

  private void use(LongConsumer call) {
    long pointer = cluster.use();
    if (pointer == 0) {
      throw new ClientClosedException(Failure.here(Status.CLOSED, "the cluster is closed", null));
    }
    try {
      call.accept(pointer);
    } catch (NativeFailure e) {
      throw Failure.exception(e);
    } finally {
      cluster.done();
    }
  }
}
