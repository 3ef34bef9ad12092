package io.ringlet;

import java.time.Duration;
import java.util.Objects;
import java.util.UUID;

/** What a bucket asks of each call; 0: the client's default, then the cluster's. */
record CallSettings(
    int timeoutMs, int r, int w, boolean strict, int durability, UUID writeId, Deletes deletes,
    boolean siblings) {
  /** The library makes an id for each write. */
  static final UUID NO_WRITE_ID = new UUID(0, 0);

  static final CallSettings DEFAULT =
      new CallSettings(0, 0, 0, false, 0, NO_WRITE_ID, Deletes.LOSE, false);
  private static final long MAX_TIMEOUT_MS = 3_600_000;
  /** RINGLET_RETURN_SIBLINGS, RINGLET_DELETES_WIN and RINGLET_DELETES_ASK of ringlet.h. */
  private static final int RETURN_SIBLINGS = 1;
  private static final int DELETES_WIN = 2;
  private static final int DELETES_ASK = 4;

  CallSettings timeout(int ms) {
    return new CallSettings(ms, r, w, strict, durability, writeId, deletes, siblings);
  }

  CallSettings r(int count) {
    return new CallSettings(timeoutMs, count, w, strict, durability, writeId, deletes, siblings);
  }

  CallSettings w(int count) {
    return new CallSettings(timeoutMs, r, count, strict, durability, writeId, deletes, siblings);
  }

  CallSettings strict(boolean only) {
    return new CallSettings(timeoutMs, r, w, only, durability, writeId, deletes, siblings);
  }

  CallSettings durability(int level) {
    return new CallSettings(timeoutMs, r, w, strict, level, writeId, deletes, siblings);
  }

  CallSettings writeId(UUID id) {
    return new CallSettings(timeoutMs, r, w, strict, durability, id, deletes, siblings);
  }

  CallSettings deletes(Deletes meaning) {
    return new CallSettings(timeoutMs, r, w, strict, durability, writeId, meaning, siblings);
  }

  CallSettings siblings(boolean wanted) {
    return new CallSettings(timeoutMs, r, w, strict, durability, writeId, deletes, wanted);
  }

  /** The flags of ringlet_call. */
  int flags() {
    int meaning = switch (deletes) {
      case LOSE -> 0;
      case WIN -> DELETES_WIN;
      case ASK -> DELETES_ASK;
    };
    return meaning | (siblings ? RETURN_SIBLINGS : 0);
  }

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
