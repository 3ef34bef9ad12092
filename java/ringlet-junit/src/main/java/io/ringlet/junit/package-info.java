/** A cluster, faults and a seed for tests with JUnit 5: {@link io.ringlet.junit.RingletTest}. */
package io.ringlet.junit;
