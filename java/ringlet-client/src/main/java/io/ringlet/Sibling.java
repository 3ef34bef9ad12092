package io.ringlet;

import java.time.Instant;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * One of the versions of a key that no other version replaces (paper, section 4.4). Immutable, if
 * the value is.
 *
 * @param <T> the type of values
 */
public final class Sibling<T> {
  private final T value;
  private final String contentType;
  private final Instant writtenAt;
  private final byte[] dot;
  private final boolean deleted;

  Sibling(T value, String contentType, Instant writtenAt, byte[] dot, boolean deleted) {
    this.value = value;
    this.contentType = contentType;
    this.writtenAt = writtenAt;
    this.dot = dot;
    this.deleted = deleted;
  }

  /**
   * The value.
   *
   * @return the decoded value; null if {@link #deleted()}
   */
  public T value() {
    return value;
  }

  /**
   * The content type that the value was stored with.
   *
   * @return a media type, or an empty string
   */
  public String contentType() {
    return contentType;
  }

  /**
   * When it was written, by the wall clock of the node that took the write, to the millisecond.
   * Clocks differ between nodes: good for showing, and for {@link Resolvers#lastWrite()} where
   * that will do.
   *
   * @return the time
   */
  public Instant writtenAt() {
    return writtenAt;
  }

  /**
   * The version's identity, the same on every node.
   *
   * @return 24 bytes; a copy
   */
  public byte[] dot() {
    return dot.clone();
  }

  /**
   * Whether this version is a delete that happened at the same time as its siblings.
   *
   * @return true: there is no value
   */
  public boolean deleted() {
    return deleted;
  }

  /** Later clock first; then the dot, so that every reader decides alike. */
  int compareByTime(Sibling<?> other) {
    int byTime = writtenAt.compareTo(other.writtenAt);
    return byTime != 0 ? byTime : Arrays.compareUnsigned(dot, other.dot);
  }

  @Override
  public String toString() {
    return "Sibling[" + HexFormat.of().formatHex(dot) + (deleted ? ", deleted]" : "]");
  }
}
