package io.ringlet;

/** What must have happened to a write on a replica before it counts; the default is the cluster's. */
public enum Durability {
  /** In the node's memory, written later: a crash of the node loses it there. */
  BUFFER,
  /** Handed to the operating system: survives the end of the process, also by {@code kill -9}. */
  LOG,
  /** On the disk: survives the end of the machine. */
  DISK
}
