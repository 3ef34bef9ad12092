package io.ringlet;

import io.ringlet.internal.NativeFailure;
import io.ringlet.internal.NativeLoader;
import io.ringlet.internal.RingletNative;
import java.lang.ref.Cleaner;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A client of a Ringlet cluster (paper, section 2.3: get and put). Safe for any number of threads;
 * one a process is enough. Blocking calls do their work, resolvers included, on the calling
 * thread; asynchronous ones on the executor of the builder. One daemon thread a client, {@code
 * ringlet-NAME}, waits for answers, and no code of the application runs on it; a few more, which
 * end when they have no work, do what may take long: {@link Builder#executor}. No native thread
 * ever enters the virtual machine.
 *
 * <pre>{@code
 * try (RingletClient client = RingletClient.builder().seeds("127.0.0.1:7400").build()) {
 *   Bucket<String> names = client.bucket("names", Codec.TEXT);
 *   names.update(Key.of("alice"), old -> "Alice");
 * }
 * }</pre>
 */
public class RingletClient implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();
  /** Of client.timeout_ms in docs/configuration.md; a test compares them. */
  static final int DEFAULT_TIMEOUT_MS = 1000;
  private static final AtomicLong NAMES = new AtomicLong();

  private final ClientCore core;
  private final Executor executor;
  private final Cleaner.Cleanable cleanable;

  /** Closes this client when the virtual machine ends; null: nothing does. */
  private Thread hook;

  /** For mocks and proxies: every method that such a subclass does not override is refused. */
  protected RingletClient() {
    core = null;
    executor = null;
    cleanable = () -> {};
  }

  private RingletClient(ClientCore core, Executor executor, String name) {
    this.core = core;
    this.executor = executor;
    cleanable = CLEANER.register(this, new Net(core, name, new Throwable("opened here")));
  }

  /** For a client that nobody closed. Holds the core and never the client. */
  private record Net(ClientCore core, String name, Throwable opened) implements Runnable {
    @Override
    public void run() {
      if (!core.isClosed()) {
        System.getLogger("io.ringlet.client").log(System.Logger.Level.WARNING,
            "client " + name + " was not closed; it was opened at:", opened);
        core.abandon();
      }
    }
  }

  /**
   * Settings for a new client.
   *
   * @return a builder; seeds are the only thing it needs
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Values of one kind. Costs nothing and sends nothing; any thread.
   *
   * @param name of the bucket; UTF-8, may be empty
   * @param codec how its values become bytes
   * @param <T> the type of values
   * @return the bucket, usable until this client is closed
   */
  public <T> Bucket<T> bucket(String name, Codec<T> codec) {
    Objects.requireNonNull(codec, "codec");
    byte[] bytes = Text.utf8(name, "name");
    return new Bucket<>(this, name, bytes, codec, null, CallSettings.DEFAULT);
  }

  /**
   * Values of one kind, in a bucket whose name is no text. Otherwise as {@link #bucket(String,
   * Codec)}.
   *
   * @param name of the bucket; any bytes, may be empty; copied
   * @param codec how its values become bytes
   * @param <T> the type of values
   * @return the bucket; its {@link Bucket#name()} shows bytes that are not printable ASCII as
   *     {@code \xNN}
   */
  public <T> Bucket<T> bucket(byte[] name, Codec<T> codec) {
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(codec, "codec");
    return new Bucket<>(this, Text.escaped(name), name.clone(), codec, null, CallSettings.DEFAULT);
  }

  /**
   * For operators: {@code status} (argument {@code node}: name or address), {@code ring}, {@code
   * key.inspect} (arguments {@code bucket} and {@code key}). Blocks, a virtual thread's carrier
   * too, for at most the client's timeout.
   *
   * @param command one of these
   * @param json the arguments as a JSON object, {@code {}} for none
   * @return the answer as JSON
   * @throws UsageException an unknown command, or arguments it does not take
   * @throws TransientException the node did not answer in time
   */
  public String admin(String command, String json) {
    return core().admin(Text.cText(command, "command"), Text.cText(json, "json"), 0);
  }

  /**
   * What this client's calls came to, as JSON: {@code gets}, {@code puts} (deletes included) and
   * {@code failed} that ended, {@code versions_per_get} (reads that found 0, 1, 2, 3, 4 and more),
   * {@code asked_early} (messages to a second node while the first was waited for), {@code
   * asked_a_node} (calls of client coordination that a node coordinated, because too few members were
   * within reach).
   *
   * @return a JSON object
   */
  public String counters() {
    return core().counters();
  }

  /** Closes at once: {@link #close(Duration)} with no time to drain. */
  @Override
  public void close() {
    closeIn(0);
  }

  private void closeIn(int drainMs) {
    Thread registered;
    synchronized (cleanable) {
      registered = hook;
      hook = null;
    }
    if (registered != null) {
      try {
        Runtime.getRuntime().removeShutdownHook(registered);
      } catch (IllegalStateException e) {
        // The virtual machine is ending.
      }
    }
    if (core != null) {
      core.close(drainMs);
    }
    cleanable.clean();
  }

  private void closeOnShutdown(String name) {
    Thread closing = new Thread(this::close, "ringlet-close-" + name);
    synchronized (cleanable) {
      hook = closing;
    }
    Runtime.getRuntime().addShutdownHook(closing);
  }

  /**
   * Closes. New calls are refused with {@link ClientClosedException}; calls under way get {@code
   * drain} to end, and those that do not end in it fail with {@link ClientClosedException}.
   * Idempotent; any thread. From a function or resolver of this client: the update that runs it fails
   * with {@link ClientClosedException}, and is not waited for.
   *
   * @param drain 0 or more, at most 1 h
   */
  public void close(Duration drain) {
    Objects.requireNonNull(drain, "drain");
    closeIn(drain.isZero() ? 0 : CallSettings.milliseconds(drain, "drain"));
  }

  ClientCore core() {
    if (core == null) {
      throw new UnsupportedOperationException(
          getClass().getName() + " overrides too little of io.ringlet.RingletClient");
    }
    return core;
  }

  Executor executor() {
    return executor;
  }

  /** Settings for a new client. For one thread at a time. */
  public static final class Builder {
    private final Map<String, String> options = new LinkedHashMap<>();
    private Executor executor;
    private String name = "client-" + NAMES.incrementAndGet();
    private boolean closeOnShutdown;

    private Builder() {}

    /**
     * Where to find the cluster; the client learns of the other nodes itself.
     *
     * @param seeds each {@code host:port}, or several with commas
     * @return this
     */
    public Builder seeds(String... seeds) {
      Objects.requireNonNull(seeds, "seeds");
      List<String> all = new ArrayList<>();
      for (String seed : seeds) {
        all.add(Objects.requireNonNull(seed, "seeds"));
      }
      return option("client.seeds", String.join(",", all));
    }

    /**
     * The time each call has, retries included, unless its bucket says otherwise.
     *
     * @param timeout more than 0, at most 1 h; rounded up to milliseconds
     * @return this
     */
    public Builder timeout(Duration timeout) {
      return option(
          "client.timeout_ms", Integer.toString(CallSettings.milliseconds(timeout, "timeout")));
    }

    /**
     * Any option of the configuration file, by its name there, for example {@code
     * client.coordination}. Checked by {@link #build}.
     *
     * @param option the name
     * @param value its value as text
     * @return this
     */
    public Builder option(String option, String value) {
      Objects.requireNonNull(option, "option");
      Objects.requireNonNull(value, "value");
      options.put(option, value);
      return this;
    }

    /**
     * Where the codecs, resolvers and functions of asynchronous calls run and futures are
     * completed. Not shut down by the client. It may run work on the spot ({@code Runnable::run}),
     * wait, refuse or lose work, and it is never called on the thread that takes answers:
     *
     * <ul>
     *   <li>A future that fails is completed on a thread of the client, so that a deadline needs no
     *       thread of the executor; what hangs on the future ({@code thenApply}) runs there then.
     *   <li>An answer that the executor has not begun to hand over by the call's deadline is a {@link
     *       RingletTimeoutException}.
     *   <li>Where it throws a {@code RuntimeException}, threads of the client take its place; any
     *       other {@code Throwable} fails that call.
     *   <li>Work it runs on the spot runs on threads of the client, {@code ringlet-NAME-handing}: one,
     *       and more as long as they are held up.
     * </ul>
     *
     * @param executor default: {@link ForkJoinPool#commonPool()}, or where that pool has one thread
     *     only (one or two processors) threads of the client: one, and more as long as they are
     *     held up
     * @return this
     */
    public Builder executor(Executor executor) {
      this.executor = Objects.requireNonNull(executor, "executor");
      return this;
    }

    /**
     * A name for the client's thread and its log lines.
     *
     * @param name default: {@code client-} and a number
     * @return this
     */
    public Builder name(String name) {
      this.name = Objects.requireNonNull(name, "name");
      return this;
    }

    /**
     * Whether a shutdown hook closes the client, which keeps it in memory until then or until it is
     * closed. Without one nothing is lost but the answers.
     *
     * @param closeOnShutdown default: false
     * @return this
     */
    public Builder closeOnShutdown(boolean closeOnShutdown) {
      this.closeOnShutdown = closeOnShutdown;
      return this;
    }

    /**
     * Opens the client. Does not wait for a connection: an unreachable cluster shows in the first
     * call.
     *
     * @return a client, to be closed
     * @throws OptionException an option has an unknown name or a wrong value, or there are no seeds
     * @throws NativeLibraryException the native library cannot be loaded
     */
    public RingletClient build() {
      NativeLoader.load();
      ClientCore core = open();
      RingletClient client =
          new RingletClient(core, executor == null ? core.defaultExecutor() : executor, name);
      core.start();
      if (closeOnShutdown) {
        client.closeOnShutdown(name);
      }
      return client;
    }

    /** Only once the native client has taken the options. */
    private int timeoutMs() {
      String given = options.get("client.timeout_ms");
      try {
        return given == null
            ? DEFAULT_TIMEOUT_MS : Integer.parseInt(given.replace("_", "").strip());
      } catch (NumberFormatException e) {
        return DEFAULT_TIMEOUT_MS;
      }
    }

    private ClientCore open() {
      long nativeOptions = 0;
      long queue = 0;
      try {
        nativeOptions = Options.create(options);
        queue = RingletNative.queueNew();
        ClientCore core = new ClientCore(
            RingletNative.clientOpen(nativeOptions), queue, name, timeoutMs());
        queue = 0;
        return core;
      } catch (NativeFailure e) {
        throw Failure.ofOptions(e);
      } finally {
        RingletNative.queueRelease(queue);
        RingletNative.optionsRelease(nativeOptions);
      }
    }
  }
}
