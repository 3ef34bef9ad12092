package io.ringlet;

import java.util.List;
import java.util.Objects;

/**
 * What a key holds: no value, one, or several siblings that wait for a decision (paper, section
 * 4.4); and the context that a write gives back to replace exactly these. Immutable, if the values
 * are; it holds no native memory.
 *
 * @param <T> the type of values
 */
public class Versioned<T> {
  private final Key key;
  private final List<Sibling<T>> siblings;
  private final T written;
  private final Context context;
  private final boolean merged;
  private final int leftOut;
  private final String explanation;

  Versioned(Key key, List<Sibling<T>> siblings) {
    this(key, siblings, null, Context.NONE, true, 0, "{}");
  }

  Versioned(Key key, List<Sibling<T>> siblings, T written, Context context, boolean merged,
      int leftOut, String explanation) {
    this.key = key;
    this.siblings = List.copyOf(siblings);
    this.written = written;
    this.context = context;
    this.merged = merged;
    this.leftOut = leftOut;
    this.explanation = explanation;
  }

  /**
   * An answer of your own, for a test whose bucket is a mock.
   *
   * @param key which
   * @param siblings for example of {@link Sibling#of}; empty: the key is missing
   * @param <T> the type of values
   * @return the answer, with {@link Context#NONE}
   */
  public static <T> Versioned<T> of(Key key, List<Sibling<T>> siblings) {
    return new Versioned<>(Objects.requireNonNull(key, "key"), siblings);
  }

  /** For mocks and proxies. */
  protected Versioned() {
    this(null, List.of());
  }

  /**
   * The key that was asked for.
   *
   * @return the key
   */
  public Key key() {
    return key;
  }

  /**
   * All versions, in one order on every node.
   *
   * @return unmodifiable; empty: the key is missing; two or more: a conflict. Of a put or delete they
   *     are {@link Bucket#withSiblings where asked for}, else it is empty
   */
  public List<Sibling<T>> siblings() {
    return siblings;
  }

  /**
   * For the next write of this key.
   *
   * @return what this read has seen
   */
  public Context context() {
    return context;
  }

  /**
   * The one value.
   *
   * @return the value; of a put that did not ask for the siblings, what was put
   * @throws KeyMissingException there is none
   * @throws ConflictException there are several siblings
   * @throws DecodeException the codec of the bucket cannot read it
   */
  public T value() {
    if (written != null) {
      return written;
    }
    if (isMissing()) {
      throw new KeyMissingException(key);
    }
    if (isConflict()) {
      throw new ConflictException(this);
    }
    return siblings.get(0).value();
  }

  /**
   * Whether the key has no value.
   *
   * @return true: never written, or deleted
   */
  public boolean isMissing() {
    return siblings.isEmpty() && written == null;
  }

  /**
   * Whether there is more than one sibling.
   *
   * @return true: {@link #value()} would throw {@link ConflictException}
   */
  public boolean isConflict() {
    return siblings.size() > 1;
  }

  /**
   * Whether an update came down to one version before it ended.
   *
   * @return false: the answer of an {@link Bucket#update} whose write is in the store, and which
   *     ended (deadline, no resolver, attempts) while siblings were left for the next reader; true:
   *     every other answer
   */
  public boolean isMerged() {
    return merged;
  }

  /**
   * How many more versions are there that are too large to be sent together with these; nearly
   * always 0. The context covers what is shown and no more: write with it, then read again.
   *
   * @return their number
   */
  public int leftOut() {
    return leftOut;
  }

  /**
   * One value, of the resolver if there is a conflict. Writes nothing: {@link Bucket#update} does.
   * The resolver runs on this thread, and what it throws, checked exceptions too, leaves as the
   * same object.
   *
   * @param resolver asked if there are two siblings or more, or one that cannot be decoded
   * @return the value; null if the resolver says that the key is to be deleted
   * @throws KeyMissingException there is no value
   * @throws ConflictException the resolver keeps the siblings as they are
   */
  public T resolved(ConflictResolver<T> resolver) {
    Objects.requireNonNull(resolver, "resolver");
    boolean decide = isConflict() || (siblings.size() == 1 && siblings.get(0).error().isPresent());
    if (!decide) {
      return value();
    }
    try {
      Change<T> decided = Request.decided(resolver, siblings);
      if (decided.isKeep()) {
        throw new ConflictException(this);
      }
      return decided.value();
    } catch (Throwable e) {
      throw Request.rethrow(e);
    }
  }

  /**
   * How the answer came about: which nodes answered, which did not, and each version's dot.
   *
   * @return a JSON object
   */
  public String explain() {
    return explanation;
  }

  @Override
  public String toString() {
    return "Versioned[" + key + ", " + siblings.size()
        + (siblings.size() == 1 ? " sibling]" : " siblings]");
  }
}
