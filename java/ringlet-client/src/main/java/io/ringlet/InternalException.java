package io.ringlet;

/** A failure of Ringlet itself, of memory or of the system. */
public final class InternalException extends RingletException {
  private static final long serialVersionUID = 1L;

  InternalException(Failure failure) {
    super(failure);
  }
}
