package io.ringlet.document;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * A list of edits, as data: its bytes may be kept and sent again under the same write id. Made by
 * {@link MapEdits}; of one thread at a time. What is wrong with an edit is said when it is sent.
 */
public final class Edits {
  static final int ADD = 1;
  static final int REMOVE = 2;
  static final int INCREMENT = 3;
  static final int SET = 4;
  static final int SET_ALL = 5;
  static final int ENABLE = 6;
  static final int DISABLE = 7;
  static final int ERASE = 8;
  static final int DISCARD = 9;
  static final int CLEAR = 10;
  private static final int FORMAT = 1;

  private final ByteArrayOutputStream edits = new ByteArrayOutputStream();
  private int count;

  /** An empty list. */
  public Edits() {}

  /**
   * Where edits of the whole document are said.
   *
   * @return its outermost map
   */
  public MapEdits root() {
    return new MapEdits(this, List.of());
  }

  /**
   * The bytes of the list.
   *
   * @return a copy
   */
  public byte[] bytes() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(FORMAT);
    number(out, count);
    out.writeBytes(edits.toByteArray());
    return out.toByteArray();
  }

  void append(int kind, List<Object> path) {
    append(kind, path, out -> { });
  }

  void append(int kind, List<Object> path, Object value) {
    append(kind, path, out -> scalar(out, value));
  }

  void increment(List<Object> path, long amount) {
    append(INCREMENT, path, out -> number(out, amount << 1 ^ amount >> 63));
  }

  // Written as a whole, so that a name or a value of another kind leaves the list as it was.
  private void append(int kind, List<Object> path, Consumer<ByteArrayOutputStream> rest) {
    ByteArrayOutputStream edit = new ByteArrayOutputStream();
    edit.write(kind);
    number(edit, path.size());
    for (Object name : path) {
      scalar(edit, Objects.requireNonNull(name, "name"));
    }
    rest.accept(edit);
    edits.writeBytes(edit.toByteArray());
    count++;
  }

  /** Seven bits a byte, the least first; the 64 bits are without sign. */
  private static void number(ByteArrayOutputStream out, long value) {
    while ((value & ~0x7fL) != 0) {
      out.write((int) (value & 0x7f | 0x80));
      value >>>= 7;
    }
    out.write((int) value);
  }

  private static void scalar(ByteArrayOutputStream out, Object value) {
    if (value == null) {
      out.write(11);
    } else if (value instanceof String text) {
      bytes(out, utf8(text), 0);
    } else if (value instanceof byte[] bytes) {
      bytes(out, bytes, 1);
    } else if (value instanceof Bytes bytes) {
      bytes(out, bytes.toArray(), 1);
    } else if (value instanceof Boolean flag) {
      out.write(flag ? 7 : 3);
    } else if (value instanceof Long || value instanceof Integer || value instanceof Short
        || value instanceof Byte) {
      long number = ((Number) value).longValue();
      out.write(2);
      number(out, number << 1 ^ number >> 63);
    } else if (value instanceof Double || value instanceof Float) {
      out.write(15);
      long bits = Double.doubleToRawLongBits(((Number) value).doubleValue());
      out.writeBytes(ByteBuffer.allocate(8).putLong(Long.reverseBytes(bits)).array());
    } else {
      throw new IllegalArgumentException("a document: wanted a String, byte[], Bytes, whole number,"
          + " boolean, double or null, got " + value.getClass().getName());
    }
  }

  private static void bytes(ByteArrayOutputStream out, byte[] bytes, int kind) {
    number(out, (long) bytes.length << 2 | kind);
    out.writeBytes(bytes);
  }

  private static byte[] utf8(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isHighSurrogate(text.charAt(i)) && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(text.charAt(i))) {
        throw new IllegalArgumentException("a document: wanted text, got a lone surrogate at " + i);
      }
    }
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
