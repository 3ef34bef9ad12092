package io.ringlet;

import io.ringlet.internal.NativeFailure;
import io.ringlet.internal.NativeLoader;
import io.ringlet.internal.NativeRef;
import io.ringlet.internal.RingletNative;
import java.lang.ref.Cleaner;
import java.util.Map;
import java.util.Objects;
import java.util.function.LongConsumer;

/**
 * A whole cluster in this process, for development and tests: real nodes on free ports of
 * 127.0.0.1, with their data in memory. Safe for any thread.
 */
public class LocalCluster implements AutoCloseable {
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

  /** Stops all nodes; their data are gone. Idempotent. */
  @Override
  public void close() {
    cleanable.clean();
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
