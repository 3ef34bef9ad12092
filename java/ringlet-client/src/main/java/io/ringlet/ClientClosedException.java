package io.ringlet;

/** The client was closed before the call, or while it was under way. */
public final class ClientClosedException extends UsageException {
  private static final long serialVersionUID = 1L;

  ClientClosedException(Failure failure) {
    super(failure);
  }
}
