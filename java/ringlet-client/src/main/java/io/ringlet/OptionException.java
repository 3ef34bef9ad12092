package io.ringlet;

/** An option with an unknown name or a wrong value. */
public final class OptionException extends UsageException {
  private static final long serialVersionUID = 1L;

  OptionException(Failure failure) {
    super(failure);
  }
}
