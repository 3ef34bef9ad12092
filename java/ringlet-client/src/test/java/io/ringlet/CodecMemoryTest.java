package io.ringlet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Codecs that keep what they were given. */
@Timeout(120)
final class CodecMemoryTest {
  private static RingletClient client;

  @BeforeAll
  static void open() {
    client = TestCluster.client();
  }

  @AfterAll
  static void close() {
    client.close();
  }

  /** Keeps the buffer itself as the value. */
  private static final Codec<ByteBuffer> KEEPING = new Codec<>() {
    @Override
    public String contentType() {
      return "application/octet-stream";
    }

    @Override
    public byte[] encode(ByteBuffer value) {
      byte[] bytes = new byte[value.remaining()];
      value.duplicate().get(bytes);
      return bytes;
    }

    @Override
    public ByteBuffer decode(ByteBuffer readOnly) {
      assertTrue(readOnly.isReadOnly());
      return readOnly;
    }
  };

  private static String text(ByteBuffer bytes) {
    return StandardCharsets.UTF_8.decode(bytes.duplicate()).toString();
  }

  @Test
  void aBufferThatACodecKeepsIsItsOwnForEver() throws Exception {
    Bucket<ByteBuffer> bucket = client.bucket(TestCluster.bucket(client).name(), KEEPING)
        .withResolver(siblings -> siblings.get(0).value());
    List<ByteBuffer> kept = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      Key key = Key.of("k" + i);
      bucket.put(key, ByteBuffer.wrap(("value " + i).repeat(200).getBytes(StandardCharsets.UTF_8)));
      switch (i % 4) {
        case 0 -> kept.add(bucket.get(key).value());
        case 1 -> kept.add(bucket.getAsync(key).get(60, TimeUnit.SECONDS).value());
        case 2 -> kept.add(bucket.getAll(List.of(key)).get(key).get().value());
        default -> bucket.change(key, old -> {
          kept.add(old);
          return Change.keep();
        });
      }
    }
    for (int i = 0; i < 200; i++) {
      bucket.get(Key.of("k" + i));
    }
    for (int i = 0; i < 200; i++) {
      assertEquals(("value " + i).repeat(200), text(kept.get(i)));
    }
    // An empty value too.
    bucket.put(Key.of("empty"), ByteBuffer.allocate(0));
    assertEquals("", text(bucket.get(Key.of("empty")).value()));
  }

  /** Reads through a view, and gives it away. */
  private static final class Viewing<T> implements ViewCodec<T> {
    private final AtomicReference<ValueView> given = new AtomicReference<>();
    private final AtomicReference<InputStream> stream = new AtomicReference<>();
    private final Function<ValueView, T> reads;

    Viewing(Function<ValueView, T> reads) {
      this.reads = reads;
    }

    @Override
    public String contentType() {
      return "application/octet-stream";
    }

    @Override
    public byte[] encode(T value) {
      throw new UnsupportedOperationException();
    }

    @Override
    public T decode(ValueView view) {
      given.set(view);
      stream.set(view.stream());
      return reads.apply(view);
    }
  }

  @Test
  void aViewReadsInPlaceAndIsRefusedInWordsWhenUsedTooLate() throws Exception {
    byte[] bytes = new byte[5000];
    ByteBuffer.wrap(bytes).putInt(7).putLong(1L << 40).put((byte) 9);
    String name = TestCluster.bucket(client).name();
    client.bucket(name, Codec.RAW).put(Key.of("k"), bytes);
    Viewing<String> codec = new Viewing<>(view -> {
      try {
        assertArrayEquals(bytes, view.bytes());
        assertArrayEquals(bytes, view.stream().readAllBytes());
        assertThrows(IndexOutOfBoundsException.class, () -> view.get(5000));
        assertThrows(IndexOutOfBoundsException.class, () -> view.bytes(4999, 2));
        return view.size() + " " + view.getInt(0) + " " + view.getLong(4) + " " + view.get(12);
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    });
    Bucket<String> bucket = client.bucket(name, codec);
    assertEquals("5000 7 " + (1L << 40) + " 9", bucket.get(Key.of("k")).value());
    ValueView late = codec.given.get();
    for (org.junit.jupiter.api.function.Executable use : List.<org.junit.jupiter.api.function.Executable>of(
        late::size, () -> late.get(0), () -> late.getInt(0), () -> late.getLong(0), late::bytes,
        late::text, late::stream, () -> codec.stream.get().read(),
        () -> codec.stream.get().readAllBytes(), () -> codec.stream.get().available())) {
      String message = assertThrows(IllegalStateException.class, use).getMessage();
      assertTrue(message.contains("after decode() had returned"), message);
    }
    assertEquals("5000 7 " + (1L << 40) + " 9", codec.decode(ByteBuffer.wrap(bytes)));
    assertThrows(IllegalStateException.class, () -> codec.given.get().size());
  }

  @Test
  void aViewIsRefusedOnAnotherThread() throws Exception {
    String name = TestCluster.bucket(client).name();
    client.bucket(name, Codec.RAW).put(Key.of("k"), new byte[100]);
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Viewing<Integer> codec = new Viewing<>(view -> {
      Thread other = new Thread(() -> {
        try {
          view.get(0);
        } catch (Throwable e) {
          thrown.set(e);
        }
      });
      other.start();
      try {
        other.join(60_000);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      return view.size();
    });
    assertEquals(100, client.bucket(name, codec).get(Key.of("k")).value());
    assertInstanceOf(IllegalStateException.class, thrown.get());
    Viewing<Integer> throwing = new Viewing<>(view -> {
      throw new IllegalArgumentException("refused");
    });
    assertThrows(DecodeException.class, () -> client.bucket(name, throwing).get(Key.of("k")));
    assertThrows(IllegalStateException.class, () -> throwing.given.get().size());
  }

  @Test
  void aCodecThatThrowsAnErrorOrReturnsNullCostsThatCallOnly() throws Exception {
    String name = TestCluster.bucket(client).name();
    client.bucket(name, Codec.RAW).put(Key.of("k"), new byte[100]);
    Viewing<Integer> nothing = new Viewing<>(view -> null);
    assertThrows(DecodeException.class, () -> client.bucket(name, nothing).get(Key.of("k")));
    Viewing<Integer> overflowing = new Viewing<>(view -> {
      throw new StackOverflowError();
    });
    assertThrows(StackOverflowError.class,
        () -> client.bucket(name, overflowing).get(Key.of("k")));
    assertFalse(client.bucket(name, Codec.RAW).get(Key.of("k")).isMissing());
  }
}
