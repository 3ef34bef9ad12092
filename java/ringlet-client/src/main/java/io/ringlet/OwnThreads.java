package io.ringlet;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Daemon threads of a client, for everything that may take long and so must not run on its drain
 * thread: the executor of the application, callbacks of futures that failed, the log. One thread
 * does, as long as it gets on. When the oldest work has waited for a while another one is started,
 * so that work which waits for other work of these threads comes to an end. Without work they end.
 */
final class OwnThreads implements Executor {
  private static final long PATIENCE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);
  private static final long IDLE_MS = 3000;

  private final String name;
  private final int most;
  private final ArrayDeque<Runnable> waiting = new ArrayDeque<>();
  private int threads;
  private int idle;
  /** When work was last begun, or came while there was none. */
  private long movedAt;

  OwnThreads(String name, int most) {
    this.name = name;
    this.most = most;
  }

  @Override
  public void execute(Runnable work) {
    synchronized (waiting) {
      if (waiting.isEmpty()) {
        movedAt = System.nanoTime();
      }
      waiting.add(work);
      if (idle > 0) {
        waiting.notify();
      } else if (threads == 0) {
        start();
      }
    }
  }

  /**
   * Starts a thread if work has waited for too long. To be asked every few milliseconds while it
   * says so.
   *
   * @return whether work waits
   */
  boolean look() {
    synchronized (waiting) {
      if (waiting.isEmpty()) {
        return false;
      }
      long now = System.nanoTime();
      if (threads == 0 || (idle == 0 && threads < most && now - movedAt > PATIENCE_NANOS)) {
        movedAt = now;
        start();
      }
      return true;
    }
  }

  int waiting() {
    synchronized (waiting) {
      return waiting.size();
    }
  }

  private void start() {
    try {
      Thread thread = new Thread(this::work, name);
      thread.setDaemon(true);
      thread.start();
      threads++;
    } catch (OutOfMemoryError e) {
      // No thread to be had at the moment: look() tries again.
      ClientCore.logQuietly("no thread " + name + " can be started: " + e);
    }
  }

  private void work() {
    while (true) {
      Runnable next = take();
      if (next == null) {
        return;
      }
      try {
        next.run();
      } catch (Throwable e) {
        ClientCore.logQuietly(name + ": " + e);
      }
      // An interrupt was meant for the work that has ended.
      Thread.interrupted();
    }
  }

  /** Null: this thread is to end, and is not counted any more. */
  private Runnable take() {
    synchronized (waiting) {
      long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(IDLE_MS);
      while (waiting.isEmpty()) {
        long left = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
        if (left <= 0) {
          threads--;
          return null;
        }
        idle++;
        try {
          waiting.wait(left);
        } catch (InterruptedException e) {
          // These threads end by themselves.
        } finally {
          idle--;
        }
      }
      movedAt = System.nanoTime();
      return waiting.poll();
    }
  }
}
