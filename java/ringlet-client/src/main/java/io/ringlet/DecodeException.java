package io.ringlet;

/**
 * A stored value that the codec refuses: its content type is another one, or decoding threw (the
 * cause).
 */
public final class DecodeException extends DataException {
  private static final long serialVersionUID = 1L;

  /** The bytes as stored. */
  private final byte[] raw;
  /** The type as stored. */
  private final String contentType;
  /** What was read; not serialized. */
  private final transient Versioned<?> versioned;

  DecodeException(String message, byte[] raw, String contentType, Throwable cause) {
    super(Failure.here(Status.CORRUPT, message, cause));
    this.raw = raw;
    this.contentType = contentType;
    this.versioned = null;
  }

  private DecodeException(DecodeException of, Versioned<?> versioned) {
    super(Failure.here(Status.CORRUPT, of.getMessage(), of.getCause()));
    this.raw = of.raw;
    this.contentType = of.contentType;
    this.versioned = versioned;
  }

  DecodeException of(Versioned<?> read) {
    return new DecodeException(this, read);
  }

  /**
   * The value as it is stored.
   *
   * @return a copy
   */
  public byte[] raw() {
    return raw.clone();
  }

  /**
   * The content type as it is stored.
   *
   * @return a media type, or an empty string
   */
  public String contentType() {
    return contentType;
  }

  /**
   * What the read that failed has brought, so that a write with its context can replace what cannot
   * be decoded.
   *
   * @return the siblings and their context; null: this is the error of one sibling, or was
   *     serialized
   */
  public Versioned<?> versioned() {
    return versioned;
  }
}
