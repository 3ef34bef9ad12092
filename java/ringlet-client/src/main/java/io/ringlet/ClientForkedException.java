package io.ringlet;

/** The process was forked since the client was opened. */
public final class ClientForkedException extends UsageException {
  private static final long serialVersionUID = 1L;

  ClientForkedException(Failure failure) {
    super(failure);
  }
}
