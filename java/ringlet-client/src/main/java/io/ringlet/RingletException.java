package io.ringlet;

/**
 * What every failure of Ringlet is. Unchecked; the subclasses are the categories: {@link
 * TransientException} (try again), {@link UsageException} (the caller's mistake), {@link
 * DataException} (the data),
 * {@link UpdateExhaustedException}, {@link InternalException} and others. An exception of the
 * application's own resolver or function is never wrapped in one of these: it leaves as the same
 * object.
 */
public class RingletException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The code. */
  private final int status;
  /** May the same call succeed. */
  private final boolean retryable;
  /** May the write exist. */
  private final boolean maybeApplied;
  /** JSON. */
  private final String details;

  RingletException(Failure failure) {
    super(failure.message(), failure.cause());
    status = failure.status();
    retryable = failure.retryable();
    maybeApplied = failure.maybeApplied();
    details = failure.details();
  }

  /**
   * The code of the failure.
   *
   * @return one of {@link Status}, or a code of a newer library
   */
  public final int status() {
    return status;
  }

  /**
   * Whether the same call may succeed later.
   *
   * @return true: try again
   */
  public final boolean retryable() {
    return retryable;
  }

  /**
   * Whether a write that failed may exist all the same: it was sent, and its answer did not come.
   *
   * @return true: read before writing again
   */
  public final boolean maybeApplied() {
    return maybeApplied;
  }

  /**
   * What was wanted and what was got, for programs.
   *
   * @return a JSON object; {@code {}} if there is no more than the message
   */
  public final String details() {
    return details;
  }
}
