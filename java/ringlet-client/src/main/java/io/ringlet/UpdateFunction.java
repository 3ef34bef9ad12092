package io.ringlet;

import java.util.function.UnaryOperator;

/**
 * What {@link Bucket#update(Key, UpdateFunction)} does with a value. It may throw anything, checked
 * exceptions too: that leaves the call as the same object, and nothing is written.
 *
 * @param <T> the type of values
 */
@FunctionalInterface
public interface UpdateFunction<T> extends UnaryOperator<T> {
  /**
   * Changes a value.
   *
   * @param current the value; null: the key is missing
   * @return the new value, not null
   * @throws Exception leaves the call, as the same object
   */
  T change(T current) throws Exception;

  /** As {@link #change}; what that throws leaves this as it is, undeclared. */
  @Override
  default T apply(T current) {
    try {
      return change(current);
    } catch (Exception e) {
      throw Request.rethrow(e);
    }
  }
}
