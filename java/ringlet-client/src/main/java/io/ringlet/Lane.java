package io.ringlet;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Paces calls, so that many at once do not overload the cluster: so many are under way, the others
 * wait for their turn within their deadlines. Where a node is overloaded all the same the window
 * becomes smaller, and the calls pause for as long as the node asked. Any thread.
 */
final class Lane {
  private static final int LEAST_WINDOW = 4;
  private static final int MOST_WAITING = 1_000_000;
  private static final long MOST_BYTES = 256L << 20;
  /** Refusals of one moment are of one cause. */
  private static final long SHRINK_NANOS = TimeUnit.MILLISECONDS.toNanos(50);

  private final int widest;
  private final boolean patient;
  private final ArrayDeque<Request<?>> waiting = new ArrayDeque<>();
  private int window;
  private int underWay;
  private int answered;
  private long bytes;
  private boolean closed;
  private boolean paused;
  private long pausedUntil;
  private long shrunkAt = System.nanoTime() - SHRINK_NANOS;

  /** Patient: calls that were refused as overloaded are sent again. */
  Lane(int window, int widest, boolean patient) {
    this.window = window;
    this.widest = widest;
    this.patient = patient;
  }

  boolean isPatient() {
    return patient;
  }

  /**
   * A new call.
   *
   * @return true: send it now; false: it waits, and {@link #next} gives it
   */
  synchronized boolean enter(Request<?> request) {
    if (closed) {
      throw ClientCore.closedException();
    }
    if (waiting.isEmpty() && isOpen()) {
      underWay++;
      return true;
    }
    if (waiting.size() >= MOST_WAITING || bytes + request.bytes() > MOST_BYTES) {
      throw new OverloadedException(new Failure(Status.OVERLOADED, true, false,
          waiting.size() + " calls of this client with " + bytes + " bytes wait for their turn;"
              + " at most " + MOST_WAITING + " with " + MOST_BYTES + " may", "{}", null));
    }
    waiting.add(request);
    bytes += request.bytes();
    return false;
  }

  /** The next call to send; null: none at the moment. */
  synchronized Request<?> next() {
    while (!waiting.isEmpty() && isOpen()) {
      Request<?> first = waiting.poll();
      bytes -= first.bytes();
      if (!first.future.isDone()) {
        underWay++;
        return first;
      }
    }
    return null;
  }

  private boolean isOpen() {
    if (paused && System.nanoTime() - pausedUntil >= 0) {
      paused = false;
    }
    return !paused && underWay < window;
  }

  /** A call that waited for the application goes on. */
  synchronized void comeBack() {
    underWay++;
  }

  /** A call that was under way is not any more: it has ended, or it waits for the application. */
  synchronized void leave() {
    underWay--;
    if (window < widest && !waiting.isEmpty() && ++answered >= window) {
      answered = 0;
      window++;
    }
  }

  /** A call that was under way was refused as overloaded, and is to be sent again. */
  synchronized void again(Request<?> request, long afterNanos) {
    underWay--;
    // One that a close has taken the others from is found by next(), and fails when it is sent.
    waiting.addFirst(request);
    bytes += request.bytes();
    long now = System.nanoTime();
    if (!paused || now + afterNanos - pausedUntil > 0) {
      paused = true;
      pausedUntil = now + afterNanos;
    }
    if (now - shrunkAt >= SHRINK_NANOS) {
      shrunkAt = now;
      window = Math.max(LEAST_WINDOW, window / 2);
      answered = 0;
    }
  }

  synchronized boolean isWaiting() {
    return !waiting.isEmpty();
  }

  /** Whether nothing is under way whose end would bring the next one. */
  synchronized boolean isStill() {
    return underWay == 0;
  }

  /** Takes out those whose deadline has come. */
  synchronized List<Request<?>> overdue() {
    List<Request<?>> out = new ArrayList<>();
    long now = System.nanoTime();
    for (Iterator<Request<?>> each = waiting.iterator(); each.hasNext();) {
      Request<?> one = each.next();
      if (now - one.deadline() >= 0) {
        each.remove();
        bytes -= one.bytes();
        out.add(one);
      }
    }
    return out;
  }

  /** Takes out all; no other one enters. */
  synchronized List<Request<?>> close() {
    closed = true;
    List<Request<?>> out = new ArrayList<>(waiting);
    waiting.clear();
    bytes = 0;
    return out;
  }
}
