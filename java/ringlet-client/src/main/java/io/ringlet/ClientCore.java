package io.ringlet;

import io.ringlet.internal.NativeBatch;
import io.ringlet.internal.NativeFailure;
import io.ringlet.internal.NativeRef;
import io.ringlet.internal.RingletNative;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * The native client, its queue, and the daemon thread that drains it. The thread holds this object
 * and never the {@link RingletClient}, so that a client nobody closed can be collected.
 */
final class ClientCore implements Runnable {
  /** How long a drain waits before it looks for log records, in milliseconds. */
  private static final int DRAIN_MS = 500;

  private static final int BATCH = 64;
  /** How often the drain thread looks after its helpers while they have work, in milliseconds. */
  private static final int LOOK_MS = 20;
  /** Threads that wait in code of the application; more work than that waits for them. */
  private static final int MOST_THREADS = 256;
  private static final int MOST_LOG_BATCHES = 100;
  /** Where this client itself has too many calls under way. */
  private static final long REFUSED_HERE_NANOS = TimeUnit.MILLISECONDS.toNanos(20);
  /** For the DONEs after a native close, which come at once. */
  private static final long LAST_EVENTS_NANOS = TimeUnit.SECONDS.toNanos(5);

  private final NativeRef client;
  private final NativeRef queue;
  private final Map<Long, Request<?>> pending = new ConcurrentHashMap<>();
  private final AtomicLong tags = new AtomicLong();
  private final AtomicBoolean closeAsked = new AtomicBoolean();
  private final CountDownLatch ended = new CountDownLatch(1);
  private final Thread thread;
  /** Calls execute() of the application's executor, which may run the work, wait or throw. */
  private final OwnThreads handing;
  /** Completes futures that failed, with what hangs on them. */
  private final OwnThreads failing;
  /** In place of an executor that is not given or refuses. */
  private final OwnThreads workers;
  private final OwnThreads logging;
  /** Answers that were handed to an executor; of the drain thread alone. */
  private final ArrayDeque<Watched> watched = new ArrayDeque<>();
  private long lookedAt;
  private final int timeoutMs;
  /** One thread waits for each: there are not many, and each must not wait behind many others. */
  private final Lane blocking = new Lane(4096, 4096, false);
  private final Lane many = new Lane(256, 2048, true);
  private final List<Lane> lanes = List.of(blocking, many);
  private volatile boolean abandoned;
  private volatile boolean closed;
  private volatile long closedAt;
  /** The native queue; of the drain thread alone. */
  private long takenQueue;

  private record Watched(Request<?>.Task task, long deadline) {}

  /** So that a blocking call knows where it is. */
  static final class DrainThread extends Thread {
    DrainThread(Runnable work, String name) {
      super(work, name);
      setDaemon(true);
    }
  }

  ClientCore(long client, long queue, String name, int timeoutMs) {
    this.timeoutMs = timeoutMs;
    this.client = new NativeRef(client, RingletNative::clientRelease);
    this.queue = new NativeRef(queue, RingletNative::queueRelease);
    thread = new DrainThread(this, "ringlet-" + name);
    handing = new OwnThreads("ringlet-" + name + "-handing", MOST_THREADS);
    failing = new OwnThreads("ringlet-" + name + "-failing", MOST_THREADS);
    workers = new OwnThreads("ringlet-" + name + "-async", MOST_THREADS);
    logging = new OwnThreads("ringlet-" + name + "-log", 1);
  }

  /** The time of a call that says nothing else. */
  int timeoutMs() {
    return timeoutMs;
  }

  /** For blocking calls of one key. */
  Lane blockingLane() {
    return blocking;
  }

  /** For calls of which one thread makes many. */
  Lane lane() {
    return many;
  }

  Executor failing() {
    return failing;
  }

  /**
   * Where asynchronous calls run unless the application says otherwise. As with CompletableFuture a
   * common pool of one thread is not used: one slow resolver would hold up the rest (and with one
   * processor that pool has no thread at all).
   */
  Executor defaultExecutor() {
    return ForkJoinPool.getCommonPoolParallelism() > 1 ? ForkJoinPool.commonPool() : workers;
  }

  /** On the drain thread. */
  void hand(Request<?>.Task task, Executor executor) {
    if (executor instanceof CallerExecutor || executor == workers) {
      executor.execute(task);
    } else {
      handing.execute(() -> give(task, executor));
    }
  }

  private void give(Request<?>.Task task, Executor executor) {
    try {
      executor.execute(task);
    } catch (RuntimeException e) {
      // The application shut its executor down, or it refuses for a reason of its own.
      if (!task.isBegun()) {
        workers.execute(task);
      }
    } catch (Throwable e) {
      task.refused(e);
    }
  }

  /** On the drain thread: fails the task's future if the executor has not begun it by then. */
  void watch(Request<?>.Task task, long deadline) {
    watched.add(new Watched(task, deadline));
  }

  /** On the drain thread; whether to come back soon. */
  private boolean lookAfterHelpers() {
    boolean busy = handing.look() | failing.look() | workers.look();
    logging.look();
    long now = System.nanoTime();
    if (now - lookedAt > TimeUnit.MILLISECONDS.toNanos(LOOK_MS)) {
      lookedAt = now;
      for (Iterator<Watched> all = watched.iterator(); all.hasNext();) {
        Watched one = all.next();
        if (one.task().isBegun()) {
          all.remove();
        } else if (now - one.deadline() > 0) {
          all.remove();
          if (one.task().giveUp()) {
            failing.execute(one.task()::late);
          }
        }
      }
      for (Lane lane : lanes) {
        lane.overdue().forEach(request -> request.failElsewhere(request.neverSent()));
      }
    }
    sendWaiting();
    return busy || !watched.isEmpty() || blocking.isWaiting() || many.isWaiting();
  }

  static void refuseOnDrainThread() {
    if (Thread.currentThread() instanceof DrainThread) {
      throw Text.invalid("a blocking call on the thread " + Thread.currentThread().getName()
          + ", which takes the answers of a client, would wait for ever; call the asynchronous"
          + " method, or call on another thread", null);
    }
  }

  void start() {
    thread.start();
  }

  boolean isClosed() {
    return closeAsked.get();
  }

  /** Sends it, or lets it wait for its turn. */
  void submit(Request<?> request) {
    if (closeAsked.get()) {
      throw closedException();
    }
    request.cancelWithFuture();
    Lane lane = request.lane();
    if (!lane.enter(request)) {
      if (lane.isStill()) {
        wake();
      }
      return;
    }
    boolean sent = false;
    try {
      send(request);
      sent = true;
    } catch (NativeFailure e) {
      if (e.status() != Status.OVERLOADED || !lane.isPatient()) {
        throw Failure.exception(e);
      }
      sent = true;
      request.waits();
      lane.again(request, REFUSED_HERE_NANOS);
      wake();
    } finally {
      if (!sent) {
        lane.leave();
      }
    }
  }

  /** On the drain thread: those whose turn it is. */
  private void sendWaiting() {
    for (Lane lane : lanes) {
      for (Request<?> next = lane.next(); next != null; next = lane.next()) {
        next.waits();
        try {
          send(next);
        } catch (NativeFailure e) {
          if (e.status() == Status.OVERLOADED && lane.isPatient()) {
            lane.again(next, REFUSED_HERE_NANOS);
            break;
          }
          lane.leave();
          next.failElsewhere(Failure.exception(e));
        } catch (RuntimeException e) {
          lane.leave();
          next.failElsewhere(e);
        }
      }
    }
  }

  private void send(Request<?> request) {
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
        request.send(nativeClient, nativeQueue, tag);
        sent = true;
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
    refuseOnDrainThread();
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

  void cancel(long number) {
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
      Request.endThoseOfThisThread(this);
      closeNative(drainMs - letTheWaitingGo(drainMs));
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

  /** Milliseconds it took. */
  private int letTheWaitingGo(int mostMs) {
    long from = System.nanoTime();
    int ms = 0;
    while (ms < mostMs && (blocking.isWaiting() || many.isWaiting())) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(2));
      ms = (int) TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - from);
    }
    return Math.min(ms, mostMs);
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
        logging.execute(() -> logQuietly("close: " + e.getMessage()));
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
    for (Lane lane : lanes) {
      lane.close().forEach(request -> request.failElsewhere(closedException()));
    }
    for (Request<?> request : pending.values()) {
      request.failElsewhere(closedException());
    }
    pending.clear();
  }

  @Override
  public void run() {
    long nativeClient = client.use();
    takenQueue = queue.use();
    long[] events = new long[BATCH * NativeBatch.FIELDS];
    try {
      while (!isOver()) {
        if (abandoned && closeAsked.compareAndSet(false, true)) {
          closeNative(0);
        }
        take(events, closed ? 10 : lookAfterHelpers() ? LOOK_MS : DRAIN_MS);
        takeLog(nativeClient);
      }
    } catch (Throwable e) {
      logging.execute(() -> logQuietly("the drain thread ends: " + e));
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
      lookAfterTheLast();
    }
  }

  /** The client is closed; what is left to the application's threads still has its deadlines. */
  private void lookAfterTheLast() {
    while (lookAfterHelpers()) {
      try {
        Thread.sleep(LOOK_MS);
      } catch (InterruptedException e) {
        // Meant for nothing that runs here.
      }
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
    try {
      if (request.onEvent(events[at], (int) events[at + 1], events[at + 4], events[at + 5],
          events[at + 6])) {
        pending.remove(tag);
      }
    } catch (Throwable e) {
      // Memory that is not to be had, for example, costs this call and no other.
      pending.remove(tag);
      request.failElsewhere(e);
    }
  }

  /** Records are level digit, part, tab, text, NUL; they go to the logger io.ringlet.PART. */
  private void takeLog(long nativeClient) {
    byte[] records = RingletNative.clientLogTake(nativeClient);
    // The backend of the log is the application's.
    if (records.length > 0 && logging.waiting() < MOST_LOG_BATCHES) {
      logging.execute(() -> log(records));
    }
  }

  private static void log(byte[] records) {
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

  /** For what goes wrong where nothing must be thrown. */
  static void logQuietly(String text) {
    try {
      log(System.Logger.Level.ERROR, "client", text);
    } catch (Throwable e) {
      // The log is broken too.
    }
  }

  static void log(System.Logger.Level level, String part, String text) {
    System.getLogger("io.ringlet." + part).log(level, text);
  }
}
