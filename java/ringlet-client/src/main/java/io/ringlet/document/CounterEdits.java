package io.ringlet.document;

import java.util.List;

/** Edits of a counter. */
public final class CounterEdits {
  private final Edits edits;
  private final List<Object> path;

  CounterEdits(Edits edits, List<Object> path) {
    this.edits = edits;
    this.path = path;
  }

  /**
   * Adds an amount.
   *
   * @param amount may be negative
   * @return this
   */
  public CounterEdits increment(long amount) {
    edits.increment(path, amount);
    return this;
  }

  /**
   * Adds one.
   *
   * @return this
   */
  public CounterEdits increment() {
    return increment(1);
  }

  /**
   * Takes an amount off.
   *
   * @param amount not {@link Long#MIN_VALUE}
   * @return this
   */
  public CounterEdits decrement(long amount) {
    return increment(Math.negateExact(amount));
  }
}
