package io.ringlet;

/** Every attempt of an update met new siblings. */
public final class UpdateExhaustedException extends RingletException {
  private static final long serialVersionUID = 1L;

  UpdateExhaustedException(Failure failure) {
    super(failure);
  }
}
