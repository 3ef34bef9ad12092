package io.ringlet;

/**
 * A stored value that the codec refuses: its content type is another one, or decoding threw (the
 * cause).
 */
public final class DecodeException extends DataException {
  private static final long serialVersionUID = 1L;

  /** The bytes as stored. */
  private final byte[] raw;

  DecodeException(String message, byte[] raw, Throwable cause) {
    super(Failure.here(Status.CORRUPT, message, cause));
    this.raw = raw;
  }

  /**
   * The value as it is stored.
   *
   * @return a copy
   */
  public byte[] raw() {
    return raw.clone();
  }
}
