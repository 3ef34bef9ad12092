package io.ringlet;

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.util.Objects;

/**
 * The bytes of a stored value where they lie, as a {@link ViewCodec} is given them. It belongs to one
 * thread and to one call of {@link ViewCodec#decode(ValueView)}: everything asked of it later, or by
 * another thread, is an {@link IllegalStateException}, as the memory may be another request's by then.
 */
public final class ValueView {
  private final ByteBuffer memory;
  private final Thread owner = Thread.currentThread();
  /** Of the owner alone, as is every use. */
  private boolean dead;

  ValueView(ByteBuffer memory) {
    this.memory = memory.slice().order(ByteOrder.BIG_ENDIAN);
  }

  void close() {
    dead = true;
  }

  private ByteBuffer memory() {
    if (Thread.currentThread() != owner) {
      throw new IllegalStateException("this view of a value belongs to the thread " + owner.getName()
          + " and was used by " + Thread.currentThread().getName()
          + "; copy the bytes (bytes()) for another thread");
    }
    if (dead) {
      throw new IllegalStateException("this view of a value was used after decode() had returned;"
          + " copy (bytes()) what is kept");
    }
    return memory;
  }

  /**
   * How many bytes there are.
   *
   * @return 0 or more
   */
  public int size() {
    return memory().remaining();
  }

  /**
   * One byte.
   *
   * @param at 0 to {@code size() - 1}
   * @return the byte
   * @throws IndexOutOfBoundsException there is none
   */
  public byte get(int at) {
    return memory().get(at);
  }

  /**
   * Four bytes, the highest first.
   *
   * @param at of the first one
   * @return the number
   * @throws IndexOutOfBoundsException there are not as many
   */
  public int getInt(int at) {
    return memory().getInt(at);
  }

  /**
   * Eight bytes, the highest first.
   *
   * @param at of the first one
   * @return the number
   * @throws IndexOutOfBoundsException there are not as many
   */
  public long getLong(int at) {
    return memory().getLong(at);
  }

  /**
   * Copies some of the bytes.
   *
   * @param at of the first one
   * @param length how many
   * @return an array of the caller's
   * @throws IndexOutOfBoundsException there are not as many
   */
  public byte[] bytes(int at, int length) {
    Objects.checkFromIndexSize(at, length, size());
    byte[] copy = new byte[length];
    memory().get(at, copy);
    return copy;
  }

  /**
   * Copies all bytes.
   *
   * @return an array of the caller's
   */
  public byte[] bytes() {
    return bytes(0, size());
  }

  /**
   * All bytes as text.
   *
   * @return the text
   * @throws CharacterCodingException they are not UTF-8
   */
  public String text() throws CharacterCodingException {
    return Text.decode(memory().duplicate());
  }

  /**
   * The bytes one after the other, for parsers. Reading it is a use of this view.
   *
   * @return a stream at the first byte; closing it has no effect
   */
  public InputStream stream() {
    ByteBuffer rest = memory().duplicate();
    return new InputStream() {
      @Override
      public int read() {
        memory();
        return rest.hasRemaining() ? rest.get() & 0xff : -1;
      }

      @Override
      public int read(byte[] to, int from, int length) {
        Objects.checkFromIndexSize(from, length, to.length);
        memory();
        int count = Math.min(length, rest.remaining());
        if (count == 0) {
          return length == 0 ? 0 : -1;
        }
        rest.get(to, from, count);
        return count;
      }

      @Override
      public int available() {
        memory();
        return rest.remaining();
      }
    };
  }
}
