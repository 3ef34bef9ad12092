package io.ringlet;

/** The cluster could not, now: the same call may succeed later. */
public class TransientException extends RingletException {
  private static final long serialVersionUID = 1L;

  TransientException(Failure failure) {
    super(failure);
  }
}
