package io.ringlet;

/** Too many requests are under way, here or at the node. */
public final class OverloadedException extends TransientException {
  private static final long serialVersionUID = 1L;

  OverloadedException(Failure failure) {
    super(failure);
  }
}
