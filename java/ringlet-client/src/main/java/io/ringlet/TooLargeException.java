package io.ringlet;

/** A key, value or other argument above its limit; the message has both sizes. */
public final class TooLargeException extends UsageException {
  private static final long serialVersionUID = 1L;

  TooLargeException(Failure failure) {
    super(failure);
  }
}
