package io.ringlet.internal;

import java.nio.charset.StandardCharsets;

/**
 * A failed call of the C library, as the JNI code throws it; {@code io.ringlet} gives it its
 * public type.
 */
public final class NativeFailure extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int status;
  private final boolean retryable;
  private final boolean maybeApplied;
  private final String details;

  /** Called from JNI. The arrays are UTF-8. */
  NativeFailure(
      int status, boolean retryable, boolean maybeApplied, byte[] message, byte[] details) {
    super(new String(message, StandardCharsets.UTF_8));
    this.status = status;
    this.retryable = retryable;
    this.maybeApplied = maybeApplied;
    this.details = new String(details, StandardCharsets.UTF_8);
  }

  public int status() {
    return status;
  }

  public boolean retryable() {
    return retryable;
  }

  public boolean maybeApplied() {
    return maybeApplied;
  }

  public String details() {
    return details;
  }
}
