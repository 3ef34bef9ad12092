package io.ringlet;

/** The data are not what the call needs. */
public class DataException extends RingletException {
  private static final long serialVersionUID = 1L;

  DataException(Failure failure) {
    super(failure);
  }
}
