package io.ringlet.document;

import io.ringlet.Bucket;
import io.ringlet.Key;
import io.ringlet.RingletClient;
import io.ringlet.Versioned;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * Documents under one name. Immutable and safe for any thread, as {@link Bucket}.
 *
 * <pre>{@code
 * DocumentBucket carts = DocumentBucket.of(client, "carts");
 * carts.edit(Key.of("alice"), d -> d.map("items").counter("tea").increment(2));
 * long tea = carts.get(Key.of("alice")).map("items").counter("tea");
 * }</pre>
 */
public class DocumentBucket {
  private final Bucket<Document> bucket;

  /** For mocks and proxies, which override what is called. */
  protected DocumentBucket() {
    this(null);
  }

  private DocumentBucket(Bucket<Document> bucket) {
    this.bucket = bucket;
  }

  /**
   * The documents of a bucket.
   *
   * @param client whose
   * @param name of the bucket
   * @return costs nothing and sends nothing
   */
  public static DocumentBucket of(RingletClient client, String name) {
    return of(client.bucket(name, Document.CODEC));
  }

  /**
   * The documents of a bucket with settings of its own, as {@link Bucket#withTimeout}.
   *
   * @param bucket whose codec is {@link Document#CODEC}
   * @return costs nothing and sends nothing
   */
  public static DocumentBucket of(Bucket<Document> bucket) {
    return new DocumentBucket(Objects.requireNonNull(bucket, "bucket"));
  }

  /**
   * The bucket that this one reads with.
   *
   * @return with all its settings
   */
  public Bucket<Document> bucket() {
    return bucket;
  }

  /**
   * Reads a document.
   *
   * @param key which
   * @return what all versions together come to; the empty document when the key is missing
   */
  public Document get(Key key) {
    return read(bucket.get(key));
  }

  /**
   * Reads, as {@link #get}.
   *
   * @param key which
   * @return the document, later
   */
  public CompletableFuture<Document> getAsync(Key key) {
    return bucket.getAsync(key).thenApply(DocumentBucket::read);
  }

  /**
   * Edits a document. The function is called once, before anything is sent, and says what is to be
   * done. Ringlet reads the document, applies that, writes it and merges what it met; the edit
   * counts once, however often it was sent. An edit that does not fit what is stored is a {@link
   * io.ringlet.UsageException} with the path, and nothing is written.
   *
   * @param key which
   * @param function says the edits
   * @return the document then
   * @throws io.ringlet.DecodeException the edit is written (an {@link io.ringlet.UpdateNote} among
   *     the suppressed says so), and the document cannot be shown: a counter is beyond 64 bits
   */
  public Document edit(Key key, Consumer<MapEdits> function) {
    return read(bucket.edit(key, edits(function)));
  }

  /**
   * Edits, as {@link #edit}.
   *
   * @param key which
   * @param function says the edits; called before this method returns
   * @return the document then, later
   */
  public CompletableFuture<Document> editAsync(Key key, Consumer<MapEdits> function) {
    return bucket.editAsync(key, edits(function)).thenApply(DocumentBucket::read);
  }

  private static Edits edits(Consumer<MapEdits> function) {
    Objects.requireNonNull(function, "function");
    Edits edits = new Edits();
    function.accept(edits.root());
    return edits;
  }

  private static Document read(Versioned<Document> versioned) {
    return versioned.isMissing() ? new Document(java.util.List.of(), "") : versioned.value();
  }
}
