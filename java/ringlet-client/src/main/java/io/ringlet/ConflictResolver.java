package io.ringlet;

import java.util.List;

/**
 * Makes one value of several (paper, section 4.4: "semantic reconciliation"). It may be called
 * several times for one update, so its answer must be its only effect; and for every reader to get
 * the same, the answer must not depend on the order of siblings. It runs on the thread of a
 * blocking call, or on the client's executor for an asynchronous one, never on a thread of
 * Ringlet; it may use the client.
 *
 * @param <T> the type of values
 */
@FunctionalInterface
public interface ConflictResolver<T> {
  /**
   * Resolves a conflict.
   *
   * @param siblings two or more; unmodifiable. One whose {@link Sibling#deleted()} is true has the
   *     value null
   * @return the value that replaces them; null: the key is to be deleted
   * @throws Exception leaves the call that asked, as the same object
   */
  T resolve(List<Sibling<T>> siblings) throws Exception;
}
