package io.ringlet;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Objects;

/** UTF-8 in and out, strictly; and bytes as text for messages. */
final class Text {
  private static final int SHOWN = 64;

  private Text() {}

  /** Refuses null and lone surrogates, naming the argument. */
  static byte[] utf8(String text, String argument) {
    Objects.requireNonNull(text, argument);
    try {
      ByteBuffer bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
      byte[] out = new byte[bytes.remaining()];
      bytes.get(out);
      return out;
    } catch (CharacterCodingException e) {
      throw invalid(argument + ": wanted text, got a lone surrogate", e);
    }
  }

  /** As {@link #utf8}, for text that C sees as ending with NUL. */
  static byte[] cText(String text, String argument) {
    byte[] bytes = utf8(text, argument);
    if (text.indexOf('\0') >= 0) {
      throw invalid(argument + ": wanted text without NUL, got one at " + text.indexOf('\0'), null);
    }
    return bytes;
  }

  /** {@code text/plain; charset=utf-8} as {@code text/plain}. */
  static String mediaType(String contentType) {
    int end = contentType.indexOf(';');
    return (end < 0 ? contentType : contentType.substring(0, end)).strip().toLowerCase(Locale.ROOT);
  }

  static String decode(ByteBuffer bytes) throws CharacterCodingException {
    return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
  }

  static String ofNative(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  /** Printable ASCII as it is, other bytes as \xNN, cut at 64 bytes. */
  static String escaped(byte[] bytes) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < Math.min(bytes.length, SHOWN); i++) {
      int b = bytes[i] & 0xff;
      if (b >= 0x20 && b < 0x7f && b != '\\') {
        text.append((char) b);
      } else {
        text.append(String.format("\\x%02x", b));
      }
    }
    return bytes.length > SHOWN ? text.append("...").toString() : text.toString();
  }

  static UsageException invalid(String message, Throwable cause) {
    return new UsageException(Failure.here(Status.INVALID_ARGUMENT, message, cause));
  }
}
