package io.ringlet;

/**
 * A context that was cut, altered, or belongs to another key or cluster (paper, section 4.4); nothing was
 * written.
 */
public final class InvalidContextException extends UsageException {
  private static final long serialVersionUID = 1L;

  InvalidContextException(Failure failure) {
    super(failure);
  }
}
