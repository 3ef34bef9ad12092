package io.ringlet;

/**
 * What Ringlet knows of an update whose function or resolver threw. It is among the suppressed
 * exceptions of what was thrown, which leaves the call as the same object.
 */
public final class UpdateNote extends Exception {
  private static final long serialVersionUID = 1L;

  /** Of the question that was asked. */
  private final int attempt;
  /** Whether the write is in the store. */
  private final boolean applied;

  UpdateNote(Key key, int attempt, boolean applied) {
    super("in ringlet update of key " + key + ", attempt " + attempt + ", applied=" + applied, null,
        false, false);
    this.attempt = attempt;
    this.applied = applied;
  }

  /**
   * Which question of the update this was.
   *
   * @return 1: the function, with a merge before it where there was a conflict; more: a merge
   */
  public int attempt() {
    return attempt;
  }

  /**
   * Whether the value of the update's function is in the store.
   *
   * @return true: it counts, and siblings may be left for the next reader; false: nothing was
   *     written
   */
  public boolean applied() {
    return applied;
  }
}
