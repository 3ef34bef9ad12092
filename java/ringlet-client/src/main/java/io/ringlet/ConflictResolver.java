package io.ringlet;

import java.util.List;
import java.util.Objects;
import java.util.function.Function;

/**
 * Makes one value of several (paper, section 4.4: "semantic reconciliation"). It may be called
 * several times for one update, so its answer must be its only effect; and for every reader to get
 * the same, the answer must not depend on the order of siblings. It runs on the thread of a
 * blocking call, or on the client's executor for an asynchronous one, never on the thread that takes
 * answers; it may use the client.
 *
 * @param <T> the type of values
 */
@FunctionalInterface
public interface ConflictResolver<T> {
  /**
   * Resolves a conflict.
   *
   * @param siblings two or more, or one that cannot be decoded; unmodifiable. One whose {@link
   *     Sibling#deleted()} is true has the value null; one with an {@link Sibling#error()} has none
   * @return the value that replaces them, not null; {@link #decide} can delete or keep
   * @throws Exception leaves the call that asked, as the same object
   */
  T resolve(List<Sibling<T>> siblings) throws Exception;

  /**
   * Resolves a conflict by a value, by a delete, or not at all. This one asks {@link #resolve};
   * {@link #deciding} makes a resolver that can do all three.
   *
   * @param siblings as of {@link #resolve}
   * @return what becomes of them, not null
   * @throws Exception leaves the call that asked, as the same object
   */
  default Change<T> decide(List<Sibling<T>> siblings) throws Exception {
    T value = resolve(siblings);
    if (value == null) {
      throw Text.invalid("the resolver " + getClass().getName() + " returned null; return the value"
          + " that replaces the siblings, or make it by ConflictResolver.deciding to delete or keep"
          + " them", null);
    }
    return Change.to(value);
  }

  /**
   * A resolver that may also delete the key, or leave the siblings.
   *
   * @param decision from the siblings to what becomes of them, not null
   * @param <T> the type of values
   * @return the resolver
   */
  static <T> ConflictResolver<T> deciding(ChangeFunction<List<Sibling<T>>, T> decision) {
    Objects.requireNonNull(decision, "decision");
    return new ConflictResolver<>() {
      @Override
      public T resolve(List<Sibling<T>> siblings) throws Exception {
        return Request.decided(this, siblings).value();
      }

      @Override
      public Change<T> decide(List<Sibling<T>> siblings) throws Exception {
        return decision.change(siblings);
      }
    };
  }

  /**
   * A resolver that may also delete the key, or leave the siblings.
   *
   * @param decision from the siblings to what becomes of them, not null
   * @param <T> the type of values
   * @return the resolver
   */
  static <T> ConflictResolver<T> deciding(Function<List<Sibling<T>>, Change<T>> decision) {
    Objects.requireNonNull(decision, "decision");
    ChangeFunction<List<Sibling<T>>, T> function = decision::apply;
    return deciding(function);
  }
}
