package io.ringlet.document;

import java.util.List;

/** Edits of a set. Elements are strings, byte[] or {@link Bytes}, whole numbers or booleans. */
public final class SetEdits {
  private final Edits edits;
  private final List<Object> path;

  SetEdits(Edits edits, List<Object> path) {
    this.edits = edits;
    this.path = path;
  }

  /**
   * Adds an element.
   *
   * @param element which
   * @return this
   */
  public SetEdits add(Object element) {
    edits.append(Edits.ADD, path, element);
    return this;
  }

  /**
   * Removes an element if it is there.
   *
   * @param element which
   * @return this
   */
  public SetEdits remove(Object element) {
    edits.append(Edits.REMOVE, path, element);
    return this;
  }

  /**
   * Removes all elements, as far as they were seen.
   *
   * @return this
   */
  public SetEdits clear() {
    edits.append(Edits.CLEAR, path);
    return this;
  }
}
