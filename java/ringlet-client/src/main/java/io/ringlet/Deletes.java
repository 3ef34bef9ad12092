package io.ringlet;

/** What a delete beside a write of the same time means to a reader; see {@link Bucket#withDeletes}. */
public enum Deletes {
  /** The write is there, and the delete is not shown. */
  LOSE,
  /** The key reads as missing: a session that was logged out does not come back. */
  WIN,
  /** The delete is a sibling, {@link Sibling#deleted()}; the resolver decides. */
  ASK
}
