package io.ringlet;

/** No node of the cluster could be reached. */
public final class UnavailableException extends TransientException {
  private static final long serialVersionUID = 1L;

  UnavailableException(Failure failure) {
    super(failure);
  }
}
