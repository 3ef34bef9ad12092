package io.ringlet.document;

import java.util.Arrays;
import java.util.HexFormat;

/** Bytes as an element, a name or a value of a document: equal when their bytes are. */
public final class Bytes {
  private final byte[] bytes;

  /**
   * A copy.
   *
   * @param bytes of what
   */
  public Bytes(byte[] bytes) {
    this.bytes = bytes.clone();
  }

  /**
   * The bytes.
   *
   * @return a copy
   */
  public byte[] toArray() {
    return bytes.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Bytes that && Arrays.equals(bytes, that.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  @Override
  public String toString() {
    return "0x" + HexFormat.of().formatHex(bytes);
  }
}
