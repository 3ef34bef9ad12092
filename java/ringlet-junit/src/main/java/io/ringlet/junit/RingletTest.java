package io.ringlet.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Gives the tests of a class, or one test, a cluster of real nodes in this process, new for each
 * test and ended with it. A test has as parameters what it needs:
 *
 * <ul>
 *   <li>{@link io.ringlet.LocalCluster}: to kill, pause, cut off and skew nodes
 *   <li>{@link io.ringlet.RingletClient}: a client of it
 *   <li>{@code Bucket<String>}: a bucket of text, named after the test
 *   <li>{@link Nemesis}: faults drawn from the test's seed
 *   <li>{@link java.util.Random}: whatever else the test draws, from the same seed
 * </ul>
 *
 * A test that fails prints the seed; {@code -Dringlet.seed=…} draws the same again.
 *
 * <pre>{@code
 * @RingletTest(nodes = 3, options = "cluster.reconcile=lww")
 * class CartTest {
 *   @Test
 *   void survives(LocalCluster cluster, Bucket<String> bucket) {
 *     cluster.partition(Set.of(0));
 *     bucket.put(Key.of("cart"), "tea");
 *   }
 * }
 * }</pre>
 */
@Documented
@Inherited
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(RingletExtension.class)
public @interface RingletTest {
  /**
   * How many nodes.
   *
   * @return 1 to 64
   */
  int nodes() default 3;

  /**
   * Options of the configuration file for the cluster.
   *
   * @return each {@code name=value}
   */
  String[] options() default {};

  /**
   * The deadline of a call of the client, in milliseconds.
   *
   * @return 1 or more
   */
  long timeoutMillis() default 5000;
}
