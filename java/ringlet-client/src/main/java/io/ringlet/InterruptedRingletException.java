package io.ringlet;

/**
 * The thread was interrupted while it waited: the request was cancelled, and the thread's
 * interrupt flag is set again. A write may exist: see {@link #maybeApplied()}.
 */
public final class InterruptedRingletException extends RingletException {
  private static final long serialVersionUID = 1L;

  InterruptedRingletException(boolean maybeApplied, Throwable cause) {
    super(new Failure(
        Status.CANCELLED, true, maybeApplied, "interrupted while waiting for the cluster"
        + (maybeApplied ? "; the write may have been applied" : ""), "{}", cause));
  }
}
