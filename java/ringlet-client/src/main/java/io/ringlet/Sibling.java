package io.ringlet;

import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * One of the versions of a key that no other version replaces (paper, section 4.4). Immutable, if
 * the value is.
 *
 * @param <T> the type of values
 */
public final class Sibling<T> {
  private static final AtomicLong MADE = new AtomicLong();

  private final T value;
  private final String contentType;
  private final Instant writtenAt;
  private final byte[] dot;
  private final boolean deleted;
  private final DecodeException error;

  Sibling(T value, String contentType, Instant writtenAt, byte[] dot, boolean deleted) {
    this(value, contentType, writtenAt, dot, deleted, null);
  }

  Sibling(T value, String contentType, Instant writtenAt, byte[] dot, boolean deleted,
      DecodeException error) {
    this.error = error;
    this.value = value;
    this.contentType = contentType;
    this.writtenAt = writtenAt;
    this.dot = dot;
    this.deleted = deleted;
  }

  /**
   * A version of your own, to test a resolver.
   *
   * @param value not null
   * @param writtenAt when it is to have been written
   * @param <T> the type of values
   * @return a version with a dot of its own
   */
  public static <T> Sibling<T> of(T value, Instant writtenAt) {
    Objects.requireNonNull(value, "value");
    Objects.requireNonNull(writtenAt, "writtenAt");
    byte[] dot = new byte[24];
    ByteBuffer.wrap(dot).putLong(16, MADE.incrementAndGet());
    return new Sibling<>(value, "", writtenAt, dot, false);
  }

  /**
   * The value.
   *
   * @return the decoded value; null if {@link #deleted()}
   * @throws DecodeException that of {@link #error()}, which has the bytes
   */
  public T value() {
    if (error != null) {
      throw error;
    }
    return value;
  }

  /**
   * Why there is no value though this is no delete: its bytes are not what the codec reads. A
   * resolver may decide what becomes of them, so that one foreign value does not block a key.
   *
   * @return the error, with the bytes and the content type; empty: there is a value
   */
  public Optional<DecodeException> error() {
    return Optional.ofNullable(error);
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
    return "Sibling[" + HexFormat.of().formatHex(dot) + (deleted ? ", deleted]" : error != null ? ", undecodable]" : "]");
  }
}
