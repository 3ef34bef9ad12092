package io.ringlet;

import java.util.Arrays;
import java.util.Objects;

/**
 * The name of a value in its bucket: at least one byte, any content (paper, section 2.3: "a key is
 * an opaque array of bytes"). Immutable; equal by content; safe for any thread.
 */
public final class Key {
  private final byte[] bytes;

  private Key(byte[] bytes) {
    if (bytes.length == 0) {
      throw Text.invalid("key: wanted at least 1 byte, got 0", null);
    }
    this.bytes = bytes;
  }

  /**
   * A key of text.
   *
   * @param key not empty; stored as UTF-8
   * @return the key
   * @throws UsageException the text is empty or has a lone surrogate
   */
  public static Key of(String key) {
    return new Key(Text.utf8(key, "key"));
  }

  /**
   * A key of bytes.
   *
   * @param key not empty; copied
   * @return the key
   * @throws UsageException the array is empty
   */
  public static Key of(byte[] key) {
    return new Key(Objects.requireNonNull(key, "key").clone());
  }

  /**
   * The bytes.
   *
   * @return a copy
   */
  public byte[] bytes() {
    return bytes.clone();
  }

  /** The bytes themselves, not to be changed. */
  byte[] raw() {
    return bytes;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Key key && Arrays.equals(bytes, key.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  /**
   * For messages.
   *
   * @return printable ASCII as it is, other bytes as {@code \xNN}, cut at 64 bytes
   */
  @Override
  public String toString() {
    return Text.escaped(bytes);
  }
}
