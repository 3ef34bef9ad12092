/**
 * The client: {@link io.ringlet.RingletClient}, its {@link io.ringlet.Bucket}s, what they return
 * ({@link io.ringlet.Versioned}), and how conflicts are resolved ({@link
 * io.ringlet.ConflictResolver}).
 *
 * <p>"Paper" in these pages is DeCandia and others, "Dynamo: Amazon's Highly Available Key-value
 * Store", SOSP 2007; sections are given by their numbers. Times are {@link java.time.Duration}s
 * with a resolution of one millisecond; sizes are bytes. No argument may be null unless its
 * description says so; a
 * {@link NullPointerException} names the argument.
 */
package io.ringlet;
