package io.ringlet;

import java.util.function.Function;

/**
 * What {@link Bucket#change(Key, ChangeFunction)} does with a value, or {@link
 * ConflictResolver#deciding(ChangeFunction)} with siblings. It may throw anything, checked exceptions
 * too: that leaves the call as the same object.
 *
 * @param <F> what it is given
 * @param <T> the type of values
 */
@FunctionalInterface
public interface ChangeFunction<F, T> extends Function<F, Change<T>> {
  /**
   * Says what is to be done.
   *
   * @param current the value, null if the key is missing; or the siblings
   * @return not null
   * @throws Exception leaves the call, as the same object
   */
  Change<T> change(F current) throws Exception;

  /** As {@link #change}; what that throws leaves this as it is, undeclared. */
  @Override
  default Change<T> apply(F current) {
    try {
      return change(current);
    } catch (Exception e) {
      throw Request.rethrow(e);
    }
  }
}
