package io.ringlet;

import java.util.Optional;

/**
 * What became of one key of {@link Bucket#getAll}: a value or an exception.
 *
 * @param <T> the type of values
 */
public final class Result<T> {
  private final Versioned<T> versioned;
  private final RuntimeException error;

  private Result(Versioned<T> versioned, RuntimeException error) {
    this.versioned = versioned;
    this.error = error;
  }

  static <T> Result<T> of(Versioned<T> versioned) {
    return new Result<>(versioned, null);
  }

  static <T> Result<T> failed(RuntimeException error) {
    return new Result<>(null, error);
  }

  /**
   * Whether the key was read.
   *
   * @return false: {@link #error()} says why not
   */
  public boolean isSuccess() {
    return error == null;
  }

  /**
   * What was read.
   *
   * @return the versions of the key
   * @throws RuntimeException the one of {@link #error()}, if the key was not read
   */
  public Versioned<T> get() {
    if (error != null) {
      throw error;
    }
    return versioned;
  }

  /**
   * Why the key was not read.
   *
   * @return empty: it was
   */
  public Optional<RuntimeException> error() {
    return Optional.ofNullable(error);
  }

  @Override
  public String toString() {
    return error == null ? versioned.toString() : error.toString();
  }
}
