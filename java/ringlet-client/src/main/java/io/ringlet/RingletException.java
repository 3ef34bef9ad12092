package io.ringlet;

import java.util.Optional;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
  private static final Pattern WRITE_ID =
      Pattern.compile("\"write_id\":\"([0-9a-f]{16})([0-9a-f]{16})\"");

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
   * The id of the write that failed. Writing the same value with it ({@link Bucket#withWriteId})
   * repeats that write and makes no second version.
   *
   * @return empty: no write was sent
   */
  public final Optional<UUID> writeId() {
    Matcher id = WRITE_ID.matcher(details);
    if (!id.find()) {
      return Optional.empty();
    }
    return Optional.of(new UUID(Long.parseUnsignedLong(id.group(1), 16),
        Long.parseUnsignedLong(id.group(2), 16)));
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
