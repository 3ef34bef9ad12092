package io.ringlet;

/** A field of a document holds another type than it was asked for; the message has its path. */
public final class DocumentTypeException extends UsageException {
  private static final long serialVersionUID = 1;

  /**
   * For {@code io.ringlet.document}.
   *
   * @param message the path, what was wanted and what was got
   */
  public DocumentTypeException(String message) {
    super(Failure.here(Status.INVALID_ARGUMENT, message, null));
  }
}
