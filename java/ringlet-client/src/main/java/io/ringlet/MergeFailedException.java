package io.ringlet;

/** A merge failed without an exception of the application. */
public final class MergeFailedException extends RingletException {
  private static final long serialVersionUID = 1L;

  MergeFailedException(Failure failure) {
    super(failure);
  }
}
