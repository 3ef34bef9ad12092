package io.ringlet;

import io.ringlet.internal.NativeFailure;

/** What a failed call says of itself, and its way to the public exception. */
record Failure(int status, boolean retryable, boolean maybeApplied, String message, String details,
    Throwable cause) {

  static Failure here(int status, String message, Throwable cause) {
    return new Failure(status, false, false, message, "{}", cause);
  }

  static Failure of(NativeFailure e) {
    return new Failure(e.status(), e.retryable(), e.maybeApplied(), e.getMessage(), e.details(), e);
  }

  static RingletException exception(NativeFailure e) {
    return of(e).toException();
  }

  /** Of opening a client or a cluster, where what is wrong is an option's name or its value. */
  static RingletException ofOptions(NativeFailure e) {
    Failure failure = of(e);
    return e.status() == Status.INVALID_ARGUMENT
        ? new OptionException(failure) : failure.toException();
  }

  RingletException toException() {
    return switch (status) {
      case Status.INVALID_CONTEXT -> new InvalidContextException(this);
      case Status.TOO_LARGE -> new TooLargeException(this);
      case Status.UNKNOWN_OPTION -> new OptionException(this);
      case Status.CLOSED -> new ClientClosedException(this);
      case Status.FORKED -> new ClientForkedException(this);
      case Status.TIMEOUT -> new RingletTimeoutException(this);
      case Status.UNAVAILABLE -> new UnavailableException(this);
      case Status.QUORUM_NOT_MET -> new QuorumNotMetException(this);
      case Status.OVERLOADED -> new OverloadedException(this);
      case Status.CANCELLED -> new CancelledRequestException(this);
      case Status.MERGE_FAILED -> new MergeFailedException(this);
      case Status.UPDATE_EXHAUSTED -> new UpdateExhaustedException(this);
      // A code of a newer library still belongs to its category.
      default -> switch (status / 100) {
        case 1 -> new UsageException(this);
        case 2 -> new TransientException(this);
        case 3 -> new DataException(this);
        default -> new InternalException(this);
      };
    };
  }
}
