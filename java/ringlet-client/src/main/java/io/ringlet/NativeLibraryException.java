package io.ringlet;

/** The native library could not be loaded; the message lists every path that was tried. */
public final class NativeLibraryException extends RingletException {
  private static final long serialVersionUID = 1L;

  /**
   * Made by the loader.
   *
   * @param message what was tried
   * @param cause the first failure
   */
  public NativeLibraryException(String message, Throwable cause) {
    super(Failure.here(Status.UNSUPPORTED, message, cause));
  }
}
