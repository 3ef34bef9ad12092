package io.ringlet;

/** The caller's mistake; nothing was sent. */
public class UsageException extends RingletException {
  private static final long serialVersionUID = 1L;

  UsageException(Failure failure) {
    super(failure);
  }
}
