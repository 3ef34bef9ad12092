/**
 * Ringlet for Java: a replicated key-value store after Amazon's Dynamo (SOSP 2007), whose
 * conflicts the application's own function merges. Start at {@link io.ringlet.RingletClient}.
 */
module io.ringlet.client {
  exports io.ringlet;
  exports io.ringlet.document;
}
