package io.ringlet.internal;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

/**
 * The only owner of a native pointer. A call in progress counts as a user; {@link #close} refuses
 * new users, and whoever leaves last frees the pointer. So close, use, and close again may race.
 */
public final class NativeRef {
  private static final long CLOSED = 1L << 62;

  private final AtomicLong pointer;
  private final AtomicLong users = new AtomicLong();
  private final LongConsumer free;

  public NativeRef(long pointer, LongConsumer free) {
    this.pointer = new AtomicLong(pointer);
    this.free = free;
  }

  /** The pointer, alive until {@link #done}; 0: closed, and {@code done} must not be called. */
  public long use() {
    for (long now = users.get(); (now & CLOSED) == 0; now = users.get()) {
      if (users.compareAndSet(now, now + 1)) {
        return pointer.get();
      }
    }
    return 0;
  }

  /** Ends one successful {@link #use}. */
  public void done() {
    if (users.decrementAndGet() == CLOSED) {
      freeOnce();
    }
  }

  /** Refuses new users; frees now, or when the last user leaves. Again: no effect. */
  public void close() {
    long before = users.getAndUpdate(now -> now | CLOSED);
    if (before == 0) {
      freeOnce();
    }
  }

  public boolean isClosed() {
    return (users.get() & CLOSED) != 0;
  }

  private void freeOnce() {
    long last = pointer.getAndSet(0);
    if (last != 0) {
      free.accept(last);
    }
  }
}
