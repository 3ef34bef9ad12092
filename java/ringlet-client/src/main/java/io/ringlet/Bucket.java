package io.ringlet;

import io.ringlet.document.Edits;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * Values of one kind, under one name (paper, section 2.3). Immutable and cheap: the {@code with}
 * methods return another bucket. Safe for any thread.
 *
 * <p>Blocking calls run the codec, the resolver and the function on the calling thread; an
 * interrupt cancels the request and throws {@link InterruptedRingletException}, with the thread's
 * flag kept. Asynchronous calls run them on the client's executor; cancelling the future, or
 * letting it time out, cancels the request. A call whose arguments are wrong throws at once, the
 * asynchronous ones too; every other failure of an asynchronous call is in its future. All calls
 * fail with {@link ClientClosedException} when the client is closed, and with a {@link
 * TransientException} when the cluster cannot answer in time.
 *
 * <p>Any number of asynchronous calls, and of keys of {@link #getAll}, may be asked for at once: so
 * many are sent as the cluster takes (256 at first), the others wait for their turn, within their
 * deadlines and with their arguments checked by then, and one that a node refuses as overloaded is
 * sent again when the node said, but for an update whose function has run. More than a million of
 * them, or 256 MiB, are an {@link OverloadedException}.
 *
 * @param <T> the type of values
 */
public class Bucket<T> {
  private static final byte[] EMPTY = new byte[0];

  private final RingletClient client;
  private final String name;
  private final byte[] nameBytes;
  private final Codec<T> codec;
  private final ConflictResolver<T> resolver;
  private final CallSettings call;

  /** For mocks and proxies: every method that such a subclass does not override is refused. */
  protected Bucket() {
    this(null, null, null, null, null, CallSettings.DEFAULT);
  }

  Bucket(RingletClient client, String name, byte[] nameBytes, Codec<T> codec,
      ConflictResolver<T> resolver,
      CallSettings call) {
    this.client = client;
    this.name = name;
    this.nameBytes = nameBytes;
    this.codec = codec;
    this.resolver = resolver;
    this.call = call;
  }

  /**
   * The bucket's name.
   *
   * @return as given to {@link RingletClient#bucket}
   */
  public String name() {
    return name;
  }

  /**
   * The same bucket with a resolver, for {@link #update} (paper, section 4.4).
   *
   * @param resolver asked when a key has several siblings
   * @return another bucket
   */
  public Bucket<T> withResolver(ConflictResolver<T> resolver) {
    Objects.requireNonNull(resolver, "resolver");
    return new Bucket<>(client(), name, nameBytes, codec, resolver, call);
  }

  /**
   * The same bucket with another R: how many replicas must answer a read (paper, section 4.5).
   *
   * @param r 1 to the cluster's N
   * @return another bucket
   */
  public Bucket<T> withR(int r) {
    return with(call.r(CallSettings.replicas(r, "r")));
  }

  /**
   * The same bucket with another W: how many replicas must have taken a write (paper, section 4.5).
   *
   * @param w 1 to the cluster's N
   * @return another bucket
   */
  public Bucket<T> withW(int w) {
    return with(call.w(CallSettings.replicas(w, "w")));
  }

  /**
   * The same bucket with another deadline for each call, retries included.
   *
   * @param timeout more than 0, at most 1 h; rounded up to milliseconds
   * @return another bucket
   */
  public Bucket<T> withTimeout(Duration timeout) {
    return with(call.timeout(CallSettings.milliseconds(timeout, "timeout")));
  }

  /**
   * The same bucket, whose quorums count only owners of a key, and not the substitutes that sloppy
   * quorums allow (paper, section 4.6).
   *
   * @param strict true: only owners
   * @return another bucket
   */
  public Bucket<T> withStrict(boolean strict) {
    return with(call.strict(strict));
  }

  /**
   * The same bucket with another durability: what must have happened to a write on the disk of each
   * replica that counts.
   *
   * @param durability what is waited for
   * @return another bucket
   */
  public Bucket<T> withDurability(Durability durability) {
    Objects.requireNonNull(durability, "durability");
    return with(call.durability(durability.ordinal() + 1));
  }

  /**
   * The same bucket for one write, and for its repetition after a crash or a {@link
   * TransientException} that says {@link RingletException#maybeApplied()}: as long as a version
   * with this id is there, writing again adds none. Two different writes must not have one id. The
   * library gives its own retries of a call one id without this.
   *
   * @param writeId not all zero, for example {@link UUID#randomUUID()}
   * @return another bucket
   */
  public Bucket<T> withWriteId(UUID writeId) {
    Objects.requireNonNull(writeId, "writeId");
    if (writeId.equals(CallSettings.NO_WRITE_ID)) {
      throw Text.invalid("writeId: wanted an id, got all zero", null);
    }
    return with(call.writeId(writeId));
  }

  /**
   * The same bucket with another meaning of a delete beside a write of the same time.
   *
   * @param deletes {@link Deletes#LOSE} at first
   * @return another bucket
   */
  public Bucket<T> withDeletes(Deletes deletes) {
    Objects.requireNonNull(deletes, "deletes");
    return with(call.deletes(deletes));
  }

  /**
   * The same bucket, whose puts and deletes bring back the versions that are there after them, or
   * do not. They do not at first: then {@link Versioned#siblings()} of a put or delete is empty,
   * {@link Versioned#value()} is what was put, and nothing that others wrote is decoded. Gets and
   * updates always bring them.
   *
   * @param siblings true: bring them
   * @return another bucket
   */
  public Bucket<T> withSiblings(boolean siblings) {
    return with(call.siblings(siblings));
  }

  private Bucket<T> with(CallSettings settings) {
    return new Bucket<>(client(), name, nameBytes, codec, resolver, settings);
  }

  /**
   * Reads a key.
   *
   * @param key which
   * @return its versions; {@link Versioned#isMissing()} if there are none
   * @throws DecodeException the codec refuses a version, and this bucket has no resolver, which
   *     could decide what becomes of it; {@link DecodeException#versioned()} is what was read
   */
  public Versioned<T> get(Key key) {
    Objects.requireNonNull(key, "key");
    return block((executor, lane) ->
        send(Request.GET, key, EMPTY, EMPTY, null, null, executor, lane));
  }

  /**
   * Reads a key, as {@link #get}.
   *
   * @param key which
   * @return its versions, later
   */
  public CompletableFuture<Versioned<T>> getAsync(Key key) {
    Objects.requireNonNull(key, "key");
    return async((executor, lane) ->
        send(Request.GET, key, EMPTY, EMPTY, null, null, executor, lane));
  }

  /**
   * Reads many keys at once, each on its own: one that fails does not fail the others.
   *
   * @param keys which; each is asked once
   * @return a result for every key, in the order of the keys
   */
  public Map<Key, Result<T>> getAll(Collection<Key> keys) {
    Objects.requireNonNull(keys, "keys");
    ClientCore.refuseOnDrainThread();
    CallerExecutor executor = new CallerExecutor();
    Map<Key, Request<T>> requests = new LinkedHashMap<>();
    for (Key key : keys) {
      requests.put(Objects.requireNonNull(key, "keys"), null);
    }
    List<CompletableFuture<?>> futures = new ArrayList<>();
    for (Map.Entry<Key, Request<T>> entry : requests.entrySet()) {
      Request<T> request;
      try {
        request = send(Request.GET, entry.getKey(), EMPTY, EMPTY, null, null, executor,
            core().lane());
      } catch (RingletException e) {
        request = new Request<>(this, Request.GET, entry.getKey(), EMPTY, EMPTY, null, null,
            executor, core().lane());
        request.fail(e);
      }
      entry.setValue(request);
      // A failed one must not end the wait for the others.
      futures.add(request.future.handle((value, error) -> null));
    }
    executor.await(CompletableFuture.allOf(futures.toArray(new CompletableFuture<?>[0])),
        () -> requests.values().forEach(Request::cancel));
    boolean interrupted = Thread.currentThread().isInterrupted();
    Map<Key, Result<T>> results = new LinkedHashMap<>();
    requests.forEach((key, request) -> results.put(key, result(request.future, interrupted)));
    return results;
  }

  private static <T> Result<T> result(CompletableFuture<Versioned<T>> done, boolean interrupted) {
    try {
      return Result.of(done.join());
    } catch (CompletionException e) {
      if (interrupted && e.getCause() instanceof CancelledRequestException cancelled) {
        throw new InterruptedRingletException(false, cancelled);
      }
      if (e.getCause() instanceof RuntimeException cause) {
        return Result.failed(cause);
      }
      throw Request.rethrow(e.getCause());
    }
  }

  /**
   * Writes without having read: the value stands beside whatever there is, as a sibling. Prefer
   * {@link #update}, or {@link #put(Key, Object, Context)}.
   *
   * @param key which
   * @param value not null
   * @return as of {@link #put(Key, Object, Context)}
   */
  public Versioned<T> put(Key key, T value) {
    return put(key, value, Context.NONE);
  }

  /**
   * Writes a value in place of what its writer has seen (paper, section 4.4).
   *
   * @param key which
   * @param value not null
   * @param context of the read that this write follows, or {@link Context#NONE}
   * @return the context that covers this version and those written meanwhile; the versions
   *     themselves {@link #withSiblings where asked for}
   * @throws InvalidContextException the context is damaged, or of another key or cluster; nothing was written
   */
  public Versioned<T> put(Key key, T value, Context context) {
    byte[] bytes = checkPut(key, value, context);
    return block((executor, lane) ->
        send(Request.PUT, key, context.raw(), bytes, value, null, executor, lane));
  }

  /**
   * Writes a value, as {@link #put(Key, Object, Context)}.
   *
   * @param key which
   * @param value not null
   * @param context of the read that this write follows, or {@link Context#NONE}
   * @return the versions there are then, later
   */
  public CompletableFuture<Versioned<T>> putAsync(Key key, T value, Context context) {
    byte[] bytes = checkPut(key, value, context);
    return async((executor, lane) ->
        send(Request.PUT, key, context.raw(), bytes, value, null, executor, lane));
  }

  /**
   * Deletes what its caller has seen of a key; versions written meanwhile stay.
   *
   * @param key which
   * @param context of the read that this delete follows
   * @return the versions there are now
   * @throws InvalidContextException the context is damaged, or of another key or cluster; nothing was deleted
   */
  public Versioned<T> delete(Key key, Context context) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(context, "context");
    return block((executor, lane) ->
        send(Request.DELETE, key, context.raw(), EMPTY, null, null, executor, lane));
  }

  /**
   * Deletes, as {@link #delete}.
   *
   * @param key which
   * @param context of the read that this delete follows
   * @return the versions there are then, later
   */
  public CompletableFuture<Versioned<T>> deleteAsync(Key key, Context context) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(context, "context");
    return async((executor, lane) ->
        send(Request.DELETE, key, context.raw(), EMPTY, null, null, executor, lane));
  }

  /**
   * Reads a key, lets its siblings be resolved if they are a conflict, changes the value and writes
   * it with the context read. The function runs at most once, and exactly once when this method
   * returns (not at all where the write of {@link #withWriteId} is stored already), so it may count
   * or append. When the write meets writes of the same time only the
   * resolver runs, on siblings that contain the written value already, until one version is left.
   *
   * <p>Once the write is acknowledged this method returns: what ended the merging (the deadline,
   * {@code update_attempts}, no resolver) leaves siblings for the next reader, and {@link
   * Versioned#isMerged()} is false. What the function throws, checked exceptions and errors too,
   * leaves this method as the same object, and nothing is written; what the resolver throws does
   * too, and it may come after the write: an {@link UpdateNote} among its suppressed exceptions says
   * whether it did.
   *
   * <p>A new value whose bytes and content type are those of the one version there is writes nothing.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to the new value, not null; {@link
   *     #change} can also delete, or leave the key as it is
   * @return the versions there are now
   * @throws ConflictException the key has several siblings before the write and this bucket no
   *     resolver
   */
  public Versioned<T> update(Key key, UpdateFunction<T> function) {
    return update(key, (UnaryOperator<T>) function);
  }

  /**
   * Updates, as {@link #update(Key, UpdateFunction)}.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to the new value, not null
   * @return the versions there are now
   */
  public Versioned<T> update(Key key, UnaryOperator<T> function) {
    return change(key, changing(function));
  }

  /**
   * Updates, as {@link #update}, with a function that may also delete the key or leave it.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to what is to be done, not null
   * @return the versions there are now
   */
  public Versioned<T> change(Key key, ChangeFunction<T, T> function) {
    return change(key, (Function<T, Change<T>>) function);
  }

  /**
   * Updates, as {@link #change(Key, ChangeFunction)}.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to what is to be done, not null
   * @return the versions there are now
   */
  public Versioned<T> change(Key key, Function<T, Change<T>> function) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(function, "function");
    return block((executor, lane) ->
        send(Request.UPDATE, key, EMPTY, EMPTY, null, function, executor, lane));
  }

  /**
   * Updates, as {@link #change}.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to what is to be done, not null
   * @return the versions there are then, later
   */
  public CompletableFuture<Versioned<T>> changeAsync(Key key, ChangeFunction<T, T> function) {
    return changeAsync(key, (Function<T, Change<T>>) function);
  }

  /**
   * Updates, as {@link #change}.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to what is to be done, not null
   * @return the versions there are then, later
   */
  public CompletableFuture<Versioned<T>> changeAsync(Key key, Function<T, Change<T>> function) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(function, "function");
    return async((executor, lane) ->
        send(Request.UPDATE, key, EMPTY, EMPTY, null, function, executor, lane));
  }

  private static <T> Function<T, Change<T>> changing(UnaryOperator<T> function) {
    Objects.requireNonNull(function, "function");
    return current -> {
      T next = function.apply(current);
      if (next == null) {
        throw Text.invalid("update: the function " + function.getClass().getName()
            + " returned null; return the new value (a change in place must return what it"
            + " changed), or use change() with Change.delete() or Change.keep()", null);
      }
      return Change.to(next);
    };
  }

  /**
   * Updates, as {@link #update}.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to the new value, not null
   * @return the versions there are then, later
   */
  public CompletableFuture<Versioned<T>> updateAsync(Key key, UpdateFunction<T> function) {
    return updateAsync(key, (UnaryOperator<T>) function);
  }

  /**
   * Updates, as {@link #update}.
   *
   * @param key which
   * @param function from the value, null if the key is missing, to the new value, not null
   * @return the versions there are then, later
   */
  public CompletableFuture<Versioned<T>> updateAsync(Key key, UnaryOperator<T> function) {
    return changeAsync(key, changing(function));
  }

  /**
   * Edits a document (see {@link io.ringlet.document.DocumentBucket#edit}): reads, applies the
   * edits, writes, and merges what the write met; the edits count once.
   *
   * @param key which
   * @param edits what is to be done
   * @return the versions there are now
   * @throws UsageException an edit does not fit what is stored, or what is stored is no document;
   *     nothing was written
   */
  public Versioned<T> edit(Key key, Edits edits) {
    byte[] bytes = checkEdit(key, edits);
    return block((executor, lane) ->
        send(Request.EDIT, key, EMPTY, bytes, null, null, executor, lane));
  }

  /**
   * Edits a document, as {@link #edit}.
   *
   * @param key which
   * @param edits what is to be done
   * @return the versions there are then, later
   */
  public CompletableFuture<Versioned<T>> editAsync(Key key, Edits edits) {
    byte[] bytes = checkEdit(key, edits);
    return async((executor, lane) ->
        send(Request.EDIT, key, EMPTY, bytes, null, null, executor, lane));
  }

  private static byte[] checkEdit(Key key, Edits edits) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(edits, "edits");
    return edits.bytes();
  }

  ClientCore core() {
    return client().core();
  }

  private RingletClient client() {
    if (client == null) {
      throw new UnsupportedOperationException(
          getClass().getName() + " overrides too little of io.ringlet.Bucket");
    }
    return client;
  }

  CallSettings call() {
    return call;
  }

  byte[] nameBytes() {
    return nameBytes;
  }

  /** Whether what is read of a put or delete is to be shown. */
  boolean siblingsWanted() {
    return call.siblings();
  }

  ConflictResolver<T> resolver() {
    return resolver;
  }

  Codec<T> codec() {
    return codec;
  }

  byte[] encode(T value) {
    byte[] bytes = codec.encode(value);
    if (bytes == null) {
      throw Text.invalid("codec for " + codec.contentType()
          + ": wanted bytes of encode, got null", null);
    }
    return bytes;
  }

  private byte[] checkPut(Key key, T value, Context context) {
    Objects.requireNonNull(key, "key");
    Objects.requireNonNull(value, "value");
    Objects.requireNonNull(context, "context");
    client();
    return encode(value);
  }

  /** Something that submits a request whose work runs on the given executor. */
  private interface Sender<T> {
    Request<T> send(Executor executor, Lane lane);
  }

  private Request<T> send(
      int kind, Key key, byte[] context, byte[] value, T written, Function<T, Change<T>> function,
      Executor executor, Lane lane) {
    Request<T> request =
        new Request<>(this, kind, key, context, value, written, function, executor, lane);
    core().submit(request);
    return request;
  }

  private Versioned<T> block(Sender<T> sender) {
    ClientCore.refuseOnDrainThread();
    CallerExecutor executor = new CallerExecutor();
    Request<T> request = sender.send(executor, core().blockingLane());
    return executor.await(request.future, request::cancel);
  }

  private CompletableFuture<Versioned<T>> async(Sender<T> sender) {
    try {
      return sender.send(client().executor(), core().lane()).future;
    } catch (UsageException e) {
      if (e.status() != Status.CLOSED) {
        throw e;
      }
      return CompletableFuture.failedFuture(e);
    } catch (RingletException e) {
      return CompletableFuture.failedFuture(e);
    }
  }
}
