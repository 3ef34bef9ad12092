package io.ringlet;

import java.time.Duration;
import java.util.Objects;
import java.util.UUID;

/** What a bucket asks of each call; 0: the client's default, then the cluster's. */
record CallSettings(
    int timeoutMs, int r, int w, boolean strict, int durability, UUID writeId) {
  /** The library makes an id for each write. */
  static final UUID NO_WRITE_ID = new UUID(0, 0);

  static final CallSettings DEFAULT = new CallSettings(0, 0, 0, false, 0, NO_WRITE_ID);
  private static final long MAX_TIMEOUT_MS = 3_600_000;

  /** Milliseconds, rounded up, so that a short timeout does not become "the default". */
  static int milliseconds(Duration timeout, String argument) {
    Objects.requireNonNull(timeout, argument);
    if (timeout.isNegative() || timeout.isZero()
        || timeout.compareTo(Duration.ofMillis(MAX_TIMEOUT_MS)) > 0) {
      throw Text.invalid(argument + ": wanted more than 0 and at most 1 h, got " + timeout, null);
    }
    return (int) ((timeout.toNanos() + 999_999) / 1_000_000);
  }

  static int replicas(int count, String argument) {
    if (count < 1 || count > 255) {
      throw Text.invalid(argument + ": wanted 1 to 255 replicas, got " + count, null);
    }
    return count;
  }
}
