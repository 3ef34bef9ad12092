package io.ringlet;

/**
 * The codes of {@link RingletException#status()}, as in the C header. Not an enum: a newer library
 * may know more codes, which then belong to the category {@code status / 100}.
 */
public final class Status {
  /** A wrong argument. */
  public static final int INVALID_ARGUMENT = 101;
  /** A context that was cut, altered, or is of another key or cluster. */
  public static final int INVALID_CONTEXT = 102;
  /** An argument above its limit. */
  public static final int TOO_LARGE = 103;
  /** An option nobody knows. */
  public static final int UNKNOWN_OPTION = 104;
  /** The handle is in use by another thread. */
  public static final int BUSY = 105;
  /** The handle was closed. */
  public static final int CLOSED = 106;
  /** The process was forked since the handle was opened. */
  public static final int FORKED = 107;
  /** The library does not fit this jar. */
  public static final int ABI_MISMATCH = 108;
  /** This library or platform cannot do it. */
  public static final int UNSUPPORTED = 109;
  /** The deadline passed. */
  public static final int TIMEOUT = 201;
  /** No node could be reached. */
  public static final int UNAVAILABLE = 202;
  /** Fewer replicas than wanted answered. */
  public static final int QUORUM_NOT_MET = 203;
  /** Too many requests are under way. */
  public static final int OVERLOADED = 204;
  /** The request was cancelled. */
  public static final int CANCELLED = 205;
  /** The key has more siblings than its limit. */
  public static final int TOO_MANY_SIBLINGS = 301;
  /** Data that fail their checks: a value the codec refuses, a missing key. */
  public static final int CORRUPT = 302;
  /** A merge failed, or there are siblings and no resolver. */
  public static final int MERGE_FAILED = 401;
  /** Every attempt of an update met new siblings. */
  public static final int UPDATE_EXHAUSTED = 402;
  /** A failure of Ringlet itself. */
  public static final int INTERNAL = 501;
  /** No memory. */
  public static final int NO_MEMORY = 502;
  /** A failure of the system's input or output. */
  public static final int IO = 503;

  private Status() {}
}
