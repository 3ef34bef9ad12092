package io.ringlet;

import io.ringlet.internal.NativeFailure;
import io.ringlet.internal.NativeLoader;
import io.ringlet.internal.RingletNative;
import java.io.Serializable;
import java.util.Arrays;
import java.util.Objects;

/**
 * What a reader had seen of a key: opaque, checksummed, at most 4 KiB, and valid for that key only
 * (paper, section 4.4). A write that gives it back replaces what was seen; everything else stays
 * beside it as a sibling. It may be stored and used later, on any machine. Immutable; equal by
 * content.
 *
 * @param bytes its content; copied, in and out. Not checked here: a damaged one is
 *     {@link InvalidContextException} when it is used
 * @serial exclude
 */
public record Context(byte[] bytes) implements Serializable {
  /** Has seen nothing: a write with it is blind, and stands beside whatever there is. */
  public static final Context NONE = new Context(new byte[0]);

  /** Of the serial form: the bytes. */
  private static final long serialVersionUID = 1L;

  /** How two contexts of a key are related. */
  public enum Order {
    /** The first has seen less. */
    BEFORE,
    /** Both have seen the same. */
    SAME,
    /** The first has seen more. */
    AFTER,
    /** Each has seen what the other has not, or they are of two keys. */
    CONCURRENT
  }

  /**
   * Copies the bytes.
   *
   * @param bytes the content of a context
   */
  public Context {
    bytes = Objects.requireNonNull(bytes, "bytes").clone();
  }

  /**
   * The bytes.
   *
   * @return a copy
   */
  @Override
  public byte[] bytes() {
    return bytes.clone();
  }

  /** The bytes themselves, not to be changed. */
  byte[] raw() {
    return bytes;
  }

  /**
   * Compares what the two have seen. The checksum needs the key and is not checked here: an
   * altered context that can still be read is compared as it reads, and refused when it is written
   * with.
   *
   * @param other another context of the same key
   * @return the order of this one to the other
   * @throws InvalidContextException one of them cannot be read
   */
  public Order compare(Context other) {
    Objects.requireNonNull(other, "other");
    NativeLoader.load();
    try {
      return switch (RingletNative.contextCompare(bytes, other.bytes)) {
        case -1 -> Order.BEFORE;
        case 0 -> Order.SAME;
        case 1 -> Order.AFTER;
        default -> Order.CONCURRENT;
      };
    } catch (NativeFailure e) {
      throw Failure.exception(e);
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Context context && Arrays.equals(bytes, context.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  @Override
  public String toString() {
    return "Context[" + bytes.length + " bytes]";
  }
}
