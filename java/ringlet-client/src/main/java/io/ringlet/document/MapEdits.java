package io.ringlet.document;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Edits of a map: {@code d.map("items").counter("tea").increment(2)}. Names are strings, byte[] or
 * {@link Bytes}, whole numbers or booleans. Nothing is read or sent here.
 */
public final class MapEdits {
  private final Edits edits;
  private final List<Object> path;

  MapEdits(Edits edits, List<Object> path) {
    this.edits = edits;
    this.path = path;
  }

  private List<Object> at(Object name) {
    List<Object> inner = new ArrayList<>(path);
    inner.add(name);
    return Collections.unmodifiableList(inner);
  }

  /**
   * A map in this one.
   *
   * @param name of the field
   * @return where its edits are said
   */
  public MapEdits map(Object name) {
    return new MapEdits(edits, at(name));
  }

  /**
   * A set in this map: an element is gone only if whoever removed it had seen that adding.
   *
   * @param name of the field
   * @return where its edits are said
   */
  public SetEdits set(Object name) {
    return new SetEdits(edits, at(name));
  }

  /**
   * A counter in this map, exact.
   *
   * @param name of the field
   * @return where its edits are said
   */
  public CounterEdits counter(Object name) {
    return new CounterEdits(edits, at(name));
  }

  /**
   * Turns a flag on; concurrently turned off, it is on.
   *
   * @param name of the field
   * @return this
   */
  public MapEdits enable(Object name) {
    edits.append(Edits.ENABLE, at(name));
    return this;
  }

  /**
   * Turns a flag off, as far as it was seen.
   *
   * @param name of the field
   * @return this
   */
  public MapEdits disable(Object name) {
    edits.append(Edits.DISABLE, at(name));
    return this;
  }

  /**
   * Sets a register; of concurrent values the latest is shown.
   *
   * @param name of the field
   * @param value a String, byte[], Bytes, whole number, boolean, double or null
   * @return this
   */
  public MapEdits put(Object name, Object value) {
    edits.append(Edits.SET, at(name), value);
    return this;
  }

  /**
   * Sets a register of which all concurrent values are shown.
   *
   * @param name of the field
   * @param value a String, byte[], Bytes, whole number, boolean, double or null
   * @return this
   */
  public MapEdits putAll(Object name, Object value) {
    edits.append(Edits.SET_ALL, at(name), value);
    return this;
  }

  /**
   * Removes a field with all in it, as far as it was seen; an error when it is not there.
   *
   * @param name of the field
   * @return this
   */
  public MapEdits remove(Object name) {
    edits.append(Edits.ERASE, at(name));
    return this;
  }

  /**
   * Removes a field if it is there.
   *
   * @param name of the field
   * @return this
   */
  public MapEdits discard(Object name) {
    edits.append(Edits.DISCARD, at(name));
    return this;
  }

  /**
   * Removes all that is in this map, as far as it was seen.
   *
   * @return this
   */
  public MapEdits clear() {
    edits.append(Edits.CLEAR, path);
    return this;
  }
}
