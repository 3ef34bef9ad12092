package io.ringlet.internal;

import java.nio.ByteBuffer;

/**
 * The handwritten natives (bindings/java/jni_support.cpp), registered when the library is loaded.
 */
public final class NativeBatch {
  /** Numbers of an event in the array of {@link #drain}. */
  public static final int FIELDS = 7;

  private NativeBatch() {}

  /**
   * Waits for events of a queue and writes them to {@code out}: kind, status, tag, request, reply,
   * error, merge. The handles among them are then the caller's.
   *
   * @param timeoutMs -1: for ever; 0: no wait
   * @return how many events; 0: none in time, or woken
   */
  public static native int drain(long queue, long[] out, int timeoutMs);

  /** The memory of a value, dead with its reply; null: an empty value. */
  public static native ByteBuffer value(long reply, int index);
}
