package io.ringlet;

/** Fewer than R or W replicas answered (paper, section 4.5); the message has both numbers. */
public final class QuorumNotMetException extends TransientException {
  private static final long serialVersionUID = 1L;

  QuorumNotMetException(Failure failure) {
    super(failure);
  }
}
