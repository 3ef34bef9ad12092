package io.ringlet;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.util.Objects;

/**
 * How values of a bucket become bytes and back. Called on the thread of a blocking call and on the
 * client's executor for an asynchronous one, by several threads at the same time: it must have no
 * state that changes. A record is stored, for example, as lines:
 *
 * <pre>{@code
 * record Point(int x, int y) {}
 *
 * Codec<Point> points = new Codec<>() {
 *   public String contentType() { return "application/x-point"; }
 *   public byte[] encode(Point p) { return Codec.TEXT.encode(p.x() + "\n" + p.y()); }
 *   public Point decode(ByteBuffer readOnly) throws Exception {
 *     String[] lines = Codec.TEXT.decode(readOnly).split("\n");
 *     return new Point(Integer.parseInt(lines[0]), Integer.parseInt(lines[1]));
 *   }
 * };
 * }</pre>
 *
 * @param <T> the type of values
 */
public interface Codec<T> {
  /** Bytes as they are; takes any content type. */
  Codec<byte[]> RAW = new Codec<>() {
    @Override
    public String contentType() {
      return "application/octet-stream";
    }

    @Override
    public boolean accepts(String contentType) {
      return true;
    }

    @Override
    public byte[] encode(byte[] value) {
      return Objects.requireNonNull(value, "value");
    }

    @Override
    public byte[] decode(ByteBuffer readOnly) {
      byte[] bytes = new byte[readOnly.remaining()];
      readOnly.get(bytes);
      return bytes;
    }
  };

  /** Text as UTF-8, strictly: lone surrogates and bytes that are not UTF-8 are refused. */
  Codec<String> TEXT = new Codec<>() {
    @Override
    public String contentType() {
      return "text/plain";
    }

    @Override
    public byte[] encode(String value) {
      return Text.utf8(value, "value");
    }

    @Override
    public String decode(ByteBuffer readOnly) throws CharacterCodingException {
      return Text.decode(readOnly);
    }
  };

  /**
   * Stored with each value, and checked when it is read.
   *
   * @return a media type; empty: none is stored
   */
  String contentType();

  /**
   * Whether this codec reads values of a content type. Parameters after a semicolon, and upper and
   * lower case, are not compared.
   *
   * @param contentType of a stored value; empty: it was stored with none
   * @return false: reading it is a {@link DecodeException}
   */
  default boolean accepts(String contentType) {
    return contentType.isEmpty() || Text.mediaType(contentType).equals(Text.mediaType(contentType()));
  }

  /**
   * A value as bytes. What it throws leaves the call as it is.
   *
   * @param value not null
   * @return the bytes; not null, and not changed afterwards
   */
  byte[] encode(T value);

  /**
   * Bytes as a value.
   *
   * @param readOnly a copy of this method's own, which may be kept; {@link ViewCodec} reads without
   *     the copy
   * @return the value, not null
   * @throws Exception the bytes are not such a value; becomes the cause of a {@link
   *     DecodeException}
   */
  T decode(ByteBuffer readOnly) throws Exception;
}
