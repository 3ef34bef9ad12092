package io.ringlet;

/**
 * One value was wanted of a key with several siblings (paper, section 4.4), and no resolver was
 * given. It carries what was read, so that the caller can resolve it.
 */
public final class ConflictException extends DataException {
  private static final long serialVersionUID = 1L;

  /** What was read; not serialized. */
  private final transient Versioned<?> versioned;

  ConflictException(Versioned<?> versioned) {
    super(Failure.here(Status.MERGE_FAILED, "key " + versioned.key() + ": wanted one value, got "
        + versioned.siblings().size()
            + " siblings; give the bucket a resolver, or use resolved()", null));
    this.versioned = versioned;
  }

  /**
   * What was read.
   *
   * @return the siblings and their context; null after this exception was serialized
   */
  public Versioned<?> versioned() {
    return versioned;
  }
}
