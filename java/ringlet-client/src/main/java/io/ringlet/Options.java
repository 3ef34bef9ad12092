package io.ringlet;

import io.ringlet.internal.RingletNative;
import java.util.Map;

/** Text options as a native handle. */
final class Options {
  private Options() {}

  /** The caller releases it. */
  static long create(Map<String, String> options) {
    long handle = RingletNative.optionsNew();
    boolean ready = false;
    try {
      for (Map.Entry<String, String> option : options.entrySet()) {
        byte[] name = Text.cText(option.getKey(), "option");
        RingletNative.optionsSet(handle, name, Text.cText(option.getValue(), option.getKey()));
      }
      ready = true;
      return handle;
    } finally {
      if (!ready) {
        RingletNative.optionsRelease(handle);
      }
    }
  }
}
