package io.ringlet;

/** The deadline of the call passed. A write may have been applied: see {@link #maybeApplied()}. */
public final class RingletTimeoutException extends TransientException {
  private static final long serialVersionUID = 1L;

  RingletTimeoutException(Failure failure) {
    super(failure);
  }
}
