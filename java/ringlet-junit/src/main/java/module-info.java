/** Tests with JUnit 5 of what is built on Ringlet. */
module io.ringlet.junit {
  requires transitive io.ringlet.client;
  requires transitive org.junit.jupiter.api;
  requires org.junit.platform.commons;

  exports io.ringlet.junit;
}
