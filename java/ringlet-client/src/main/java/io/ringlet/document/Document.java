package io.ringlet.document;

import io.ringlet.Codec;
import io.ringlet.internal.DocumentReader;
import io.ringlet.internal.RingletNative;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What a document holds at one moment; immutable. A field that is not there is empty: no elements,
 * 0, off, null. Elements, names and values are String, {@link Bytes}, Long, Boolean; those of
 * registers also Double and null.
 */
public final class Document {
  /** The content type of documents. */
  public static final String CONTENT_TYPE = "application/vnd.ringlet.document";

  /** Reads documents. All versions of a key are merged: there is never a conflict. */
  public static final Codec<Document> CODEC = new DocumentCodec();

  private static final String[] TYPES = {"", "a map", "a set", "a counter", "a flag", "a register",
      "a register of all values"};

  private final List<DocumentReader.Field> fields;
  private final String path;

  Document(List<DocumentReader.Field> fields, String path) {
    this.fields = fields;
    this.path = path;
  }

  /**
   * A map in this one.
   *
   * @param name of the field
   * @return the map, empty when it is not there
   */
  public Document map(Object name) {
    DocumentReader.Field field = find(name, DocumentReader.MAP);
    return new Document(field == null ? List.of() : field.fields(), inside(name));
  }

  /**
   * A set.
   *
   * @param name of the field
   * @return its elements, none when it is not there
   */
  public Set<Object> set(Object name) {
    DocumentReader.Field field = find(name, DocumentReader.SET);
    return field == null ? Set.of() : Set.copyOf(field.elements());
  }

  /**
   * A counter.
   *
   * @param name of the field
   * @return its sum, 0 when it is not there
   */
  public long counter(Object name) {
    DocumentReader.Field field = find(name, DocumentReader.COUNTER);
    return field == null ? 0 : (Long) field.value();
  }

  /**
   * A flag.
   *
   * @param name of the field
   * @return whether it is on
   */
  public boolean flag(Object name) {
    return find(name, DocumentReader.FLAG) != null;
  }

  /**
   * A register.
   *
   * @param name of the field
   * @return its value, null when it is not there
   */
  public Object value(Object name) {
    DocumentReader.Field field = find(name, DocumentReader.REGISTER);
    return field == null ? null : field.value();
  }

  /**
   * A register of all values.
   *
   * @param name of the field
   * @return the values that were set concurrently
   */
  public List<Object> values(Object name) {
    DocumentReader.Field field = find(name, DocumentReader.REGISTER_ALL);
    return field == null ? List.of() : field.elements();
  }

  /**
   * The names of the fields.
   *
   * @return those that are there
   */
  public Set<Object> names() {
    return fields.stream().map(DocumentReader.Field::name).collect(Collectors.toUnmodifiableSet());
  }

  /**
   * The counters of this map by their names, for maps of counters.
   *
   * @return name to sum
   */
  public Map<Object, Long> counters() {
    return fields.stream()
        .filter(field -> field.type() == DocumentReader.COUNTER)
        .collect(Collectors.toUnmodifiableMap(
            DocumentReader.Field::name, field -> (Long) field.value()));
  }

  private DocumentReader.Field find(Object name, int type) {
    Object wanted = DocumentReader.normal(name);
    DocumentReader.Field other = null;
    for (DocumentReader.Field field : fields) {
      if (!field.name().equals(wanted)) {
        continue;
      }
      if (field.type() == type) {
        return field;
      }
      other = field;
    }
    if (other != null) {
      throw new io.ringlet.DocumentTypeException(
          inside(name) + ": wanted " + TYPES[type] + ", got " + TYPES[other.type()]);
    }
    return null;
  }

  private String inside(Object name) {
    return path.isEmpty() ? String.valueOf(name) : path + "/" + name;
  }

  @Override
  public String toString() {
    return "Document" + fields;
  }

  private static final class DocumentCodec
      implements Codec<Document>, DocumentReader.OfReply<Document> {
    @Override
    public String contentType() {
      return CONTENT_TYPE;
    }

    @Override
    public byte[] encode(Document value) {
      throw new UnsupportedOperationException(
          "a document is not put: change it with DocumentBucket.edit");
    }

    @Override
    public Document decode(ByteBuffer readOnly) {
      byte[] bytes = new byte[readOnly.remaining()];
      readOnly.get(bytes);
      return new Document(DocumentReader.read(RingletNative.documentParse(bytes)), "");
    }

    @Override
    public Document ofReply(long reply) {
      return new Document(DocumentReader.read(RingletNative.documentRead(reply)), "");
    }
  }
}
