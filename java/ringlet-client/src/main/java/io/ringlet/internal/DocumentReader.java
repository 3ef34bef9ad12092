package io.ringlet.internal;

import io.ringlet.document.Bytes;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Reads what document_read of bindings/java/facade.hpp lists. */
public final class DocumentReader {
  public static final int MAP = 1;
  public static final int SET = 2;
  public static final int COUNTER = 3;
  public static final int FLAG = 4;
  public static final int REGISTER = 5;
  public static final int REGISTER_ALL = 6;
  private static final int ELEMENT = 7;

  /** A codec whose value is of a whole reply, not of one version. */
  public interface OfReply<T> {
    T ofReply(long reply);
  }

  /** A field: its value, or what it holds. */
  public record Field(Object name, int type, Object value, List<Field> fields,
      List<Object> elements) {}

  private DocumentReader() {}

  public static List<Field> read(byte[] list) {
    ByteBuffer in = ByteBuffer.wrap(list);
    List<Field> root = new ArrayList<>();
    List<List<Field>> maps = new ArrayList<>(List.of(root));
    List<Object> elements = new ArrayList<>();
    while (in.hasRemaining()) {
      int depth = in.get();
      int type = in.get();
      Object name = scalar(in);
      Object value = scalar(in);
      if (type == ELEMENT) {
        elements.add(value);
        continue;
      }
      elements = new ArrayList<>();
      List<Field> inner = new ArrayList<>();
      while (maps.size() > depth + 1) {
        maps.remove(maps.size() - 1);
      }
      maps.get(depth).add(new Field(name, type, value, Collections.unmodifiableList(inner),
          Collections.unmodifiableList(elements)));
      maps.add(inner);
    }
    return Collections.unmodifiableList(root);
  }

  /** A name or element as it is read: whole numbers are Long, byte[] is Bytes. */
  public static Object normal(Object value) {
    if (value instanceof byte[] bytes) {
      return new Bytes(bytes);
    }
    if (value instanceof Integer || value instanceof Short || value instanceof Byte) {
      return ((Number) value).longValue();
    }
    return value;
  }

  private static Object scalar(ByteBuffer in) {
    int kind = in.get();
    switch (kind) {
      case 0:
      case 1:
        byte[] bytes = new byte[in.getInt()];
        in.get(bytes);
        return kind == 0 ? new String(bytes, StandardCharsets.UTF_8) : new Bytes(bytes);
      case 2:
        return in.getLong();
      case 3:
        return in.getLong() != 0;
      case 5:
        return Double.longBitsToDouble(in.getLong());
      default:
        return null;
    }
  }
}
