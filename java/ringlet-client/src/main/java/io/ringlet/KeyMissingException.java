package io.ringlet;

/** The value was asked of a {@link Versioned} whose key has none. */
public final class KeyMissingException extends DataException {
  private static final long serialVersionUID = 1L;

  KeyMissingException(Key key) {
    super(Failure.here(Status.CORRUPT, "key " + key
        + ": wanted one value, got none: the key is missing", null));
  }
}
