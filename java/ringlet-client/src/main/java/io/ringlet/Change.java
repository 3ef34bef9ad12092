package io.ringlet;

import java.util.Objects;

/**
 * What the function of {@link Bucket#change}, or a resolver ({@link ConflictResolver#deciding}),
 * wants done with the key: a new value, a delete, or nothing. Immutable.
 *
 * @param <T> the type of values
 */
public final class Change<T> {
  private static final Change<Object> DELETE = new Change<>(null);
  private static final Change<Object> KEEP = new Change<>(null);

  private final T value;

  private Change(T value) {
    this.value = value;
  }

  /**
   * Writes a value.
   *
   * @param value not null
   * @param <T> the type of values
   * @return the change
   */
  public static <T> Change<T> to(T value) {
    return new Change<>(Objects.requireNonNull(value, "value"));
  }

  /**
   * Deletes the key.
   *
   * @param <T> the type of values
   * @return the change
   */
  @SuppressWarnings("unchecked")
  public static <T> Change<T> delete() {
    return (Change<T>) DELETE;
  }

  /**
   * Leaves everything as it is: nothing is written.
   *
   * @param <T> the type of values
   * @return the change
   */
  @SuppressWarnings("unchecked")
  public static <T> Change<T> keep() {
    return (Change<T>) KEEP;
  }

  boolean isDelete() {
    return this == DELETE;
  }

  boolean isKeep() {
    return this == KEEP;
  }

  T value() {
    return value;
  }
}
