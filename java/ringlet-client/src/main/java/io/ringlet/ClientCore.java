package io.ringlet;

import io.ringlet.internal.NativeBatch;
import io.ringlet.internal.NativeFailure;
import io.ringlet.internal.NativeRef;
import io.ringlet.internal.RingletNative;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The native client, its queue, and the daemon thread that drains it. The thread holds this object
 * and never the {@link RingletClient}, so that a client nobody closed can be collected.
 */
final class ClientCore implements Runnable {
  /** How long a drain waits before it looks for log records, in milliseconds. */
  private static final int DRAIN_MS = 500;

  private static final int BATCH = 64;
  /** How long a blocking call on the drain thread waits for events before it looks at its own work. */
  private static final int NESTED_DRAIN_MS = 5;
  /** The client whose events this thread takes. */
  private static final ThreadLocal<ClientCore> TAKEN_HERE = new ThreadLocal<>();
  /** For the DONEs after a native close, which come at once. */
  private static final long LAST_EVENTS_NANOS = TimeUnit.SECONDS.toNanos(5);

  private final NativeRef client;
  private final NativeRef queue;
  private final Map<Long, Request<?>> pending = new ConcurrentHashMap<>();
  private final AtomicLong tags = new AtomicLong();
  private final AtomicBoolean closeAsked = new AtomicBoolean();
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Thread thread;
  /** One daemon thread, there only while futures are completed by a close. */
  private final Executor closing;
  private volatile boolean abandoned;
  private volatile boolean closed;
  private volatile long closedAt;
  /** The native queue; of the drain thread alone. */
  private long takenQueue;

  ClientCore(long client, long queue, String name) {
    this.client = new NativeRef(client, RingletNative::clientRelease);
    this.queue = new NativeRef(queue, RingletNative::queueRelease);
    thread = new Thread(this, "ringlet-" + name);
    thread.setDaemon(true);
    closing = new ThreadPoolExecutor(
        0, 1, 100, TimeUnit.MILLISECONDS, new LinkedBlockingQueue<>(), work -> {
      Thread closer = new Thread(work, "ringlet-" + name + "-closing");
      closer.setDaemon(true);
      return closer;
    });
  }

  void start() {
    thread.start();
  }

  boolean isClosed() {
    return closeAsked.get();
  }

  <T> void submit(
      Request<T> request, int kind, byte[] bucket, Key key, byte[] context, byte[] value,
      byte[] contentType, CallSettings call) {
    long nativeClient = client.use();
    if (nativeClient == 0) {
      throw closedException();
    }
    try {
      long nativeQueue = queue.use();
      if (nativeQueue == 0) {
        throw closedException();
      }
      long tag = tags.incrementAndGet();
      pending.put(tag, request);
      boolean sent = false;
      try {
        long number = RingletNative.submit(nativeClient, nativeQueue, kind, tag, bucket, key.raw(),
            context, value, contentType, call.timeoutMs(), call.r(), call.w(),
            call.strict() ? 1 : 0, call.durability(), call.flags(),
            call.writeId().getMostSignificantBits(),
            call.writeId().getLeastSignificantBits());
        sent = true;
        request.sent(() -> cancel(number));
        cancelWithFuture(request.future, tag, number);
      } catch (NativeFailure e) {
        throw Failure.exception(e);
      } finally {
        if (!sent) {
          pending.remove(tag);
        }
        queue.done();
      }
    } finally {
      client.done();
    }
  }

  String admin(byte[] command, byte[] json, int timeoutMs) {
    long nativeClient = client.use();
    if (nativeClient == 0) {
      throw closedException();
    }
    try {
      return Text.ofNative(RingletNative.clientAdmin(nativeClient, command, json, timeoutMs));
    } catch (NativeFailure e) {
      throw Failure.exception(e);
    } finally {
      client.done();
    }
  }

  String counters() {
    long nativeClient = client.use();
    if (nativeClient == 0) {
      throw closedException();
    }
    try {
      return Text.ofNative(RingletNative.clientCounters(nativeClient));
    } finally {
      client.done();
    }
  }

  /** A future that the application cancels, or lets time out, ends the native request too. */
  private void cancelWithFuture(CompletableFuture<?> future, long tag, long number) {
    future.whenComplete((value, error) -> {
      if (error != null && pending.containsKey(tag)) {
        cancel(number);
      }
    });
  }

  private void cancel(long number) {
    long nativeQueue = queue.use();
    if (nativeQueue != 0) {
      try {
        RingletNative.cancel(nativeQueue, number);
      } finally {
        queue.done();
      }
    }
  }

  static ClientClosedException closedException() {
    return new ClientClosedException(Failure.here(Status.CLOSED, "the client is closed", null));
  }

  /** Idempotent; returns when the thread has ended, unless it is asked on that thread. */
  void close(int drainMs) {
    if (closeAsked.compareAndSet(false, true)) {
      closeNative(drainMs);
      wake();
    }
    if (Thread.currentThread() == thread) {
      return;
    }
    boolean interrupted = false;
    while (true) {
      try {
        ended.await();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** By the cleaner, whose thread must not wait: the drain thread closes. */
  void abandon() {
    abandoned = true;
    wake();
  }

  private void closeNative(int drainMs) {
    long pointer = client.use();
    if (pointer != 0) {
      try {
        RingletNative.clientClose(pointer, drainMs);
      } catch (NativeFailure e) {
        log(System.Logger.Level.WARNING, "client", "close: " + e.getMessage());
      } finally {
        client.done();
      }
    }
    closedAt = System.nanoTime();
    closed = true;
  }

  private void wake() {
    long pointer = queue.use();
    if (pointer != 0) {
      try {
        RingletNative.queueWake(pointer);
      } finally {
        queue.done();
      }
    }
  }

  /** The client whose drain thread asks, or null. */
  static ClientCore takenFromHere() {
    return TAKEN_HERE.get();
  }

  /** On the drain thread, inside work that one of its events began. */
  void takeSome() {
    take(new long[BATCH * NativeBatch.FIELDS], NESTED_DRAIN_MS);
    if (isOver()) {
      failAll();
    }
  }

  private void take(long[] events, int waitMs) {
    int count = NativeBatch.drain(takenQueue, events, waitMs);
    for (int i = 0; i < count; i++) {
      dispatch(events, i * NativeBatch.FIELDS);
    }
  }

  private boolean isOver() {
    return closed && (pending.isEmpty() || System.nanoTime() - closedAt > LAST_EVENTS_NANOS);
  }

  private void failAll() {
    for (Request<?> request : pending.values()) {
      request.fail(closedException());
    }
    pending.clear();
  }

  @Override
  public void run() {
    long nativeClient = client.use();
    takenQueue = queue.use();
    TAKEN_HERE.set(this);
    long[] events = new long[BATCH * NativeBatch.FIELDS];
    try {
      while (!isOver()) {
        if (abandoned && closeAsked.compareAndSet(false, true)) {
          closeNative(0);
        }
        take(events, closed ? 10 : DRAIN_MS);
        takeLog(nativeClient);
      }
    } catch (Throwable e) {
      log(System.Logger.Level.ERROR, "client", "the drain thread ends: " + e);
      closeAsked.set(true);
      closeNative(0);
    } finally {
      takeLog(nativeClient);
      failAll();
      queue.done();
      client.done();
      queue.close();
      client.close();
      ended.countDown();
    }
  }

  private void dispatch(long[] events, int at) {
    long tag = events[at + 2];
    Request<?> request = pending.get(tag);
    if (request == null) {
      RingletNative.replyRelease(events[at + 4]);
      RingletNative.errorRelease(events[at + 5]);
      RingletNative.mergeRelease(events[at + 6]);
      return;
    }
    if (request.onEvent(
        events[at], (int) events[at + 1], events[at + 4], events[at + 5], events[at + 6],
        closing)) {
      pending.remove(tag);
    }
  }

  /** Records are level digit, part, tab, text, NUL; they go to the logger io.ringlet.PART. */
  private static void takeLog(long nativeClient) {
    byte[] records = RingletNative.clientLogTake(nativeClient);
    if (records.length == 0) {
      return;
    }
    for (String record : Text.ofNative(records).split("\0")) {
      int tab = record.indexOf('\t');
      if (tab > 0) {
        System.Logger.Level level = switch (record.charAt(0)) {
          case '0' -> System.Logger.Level.TRACE;
          case '1' -> System.Logger.Level.DEBUG;
          case '2' -> System.Logger.Level.INFO;
          case '3' -> System.Logger.Level.WARNING;
          default -> System.Logger.Level.ERROR;
        };
        log(level, record.substring(1, tab), record.substring(tab + 1));
      }
    }
  }

  static void log(System.Logger.Level level, String part, String text) {
    System.getLogger("io.ringlet." + part).log(level, text);
  }
}
