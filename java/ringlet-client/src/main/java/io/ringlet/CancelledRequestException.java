package io.ringlet;

/** The request was cancelled; replicas may carry out a write all the same. */
public final class CancelledRequestException extends TransientException {
  private static final long serialVersionUID = 1L;

  CancelledRequestException(Failure failure) {
    super(failure);
  }
}
