package io.ringlet;

import io.ringlet.internal.DocumentReader;
import io.ringlet.internal.NativeBatch;
import io.ringlet.internal.NativeFailure;
import io.ringlet.internal.RingletNative;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One request under way: takes its events from the drain thread to its executor, where the
 * application's codec, resolver and function run, and completes its future exactly once.
 */
final class Request<T> {
  static final int GET = 1;
  static final int PUT = 2;
  static final int DELETE = 3;
  static final int UPDATE = 4;
  static final int EDIT = 5;

  private static final int DONE = 1;
  /** The innermost call whose function or resolver this thread runs; no value where it runs none. */
  private static final ThreadLocal<Request<?>> RUNNING = new ThreadLocal<>();
  private static final Pattern RETRY_AFTER = Pattern.compile("\"retry_after_ms\":(\\d{1,9})");
  /** An answer just before the deadline is given this long to be handed over. */
  private static final long GRACE_NANOS = TimeUnit.MILLISECONDS.toNanos(250);

  final CompletableFuture<Versioned<T>> future = new CompletableFuture<>();
  private final Bucket<T> bucket;
  private final int kind;
  private final Key key;
  private final byte[] context;
  private final byte[] value;
  private final byte[] contentType;
  /** What a put writes; null: this is no put. */
  private final T written;
  private final Function<T, Change<T>> function;
  private final Executor executor;
  private final int timeoutMs;
  private final long deadline;
  private final ClientCore core;
  private final Lane lane;
  /**
   * What the application threw in a merge; written before the merge is failed, read after its DONE.
   */
  private volatile Throwable thrown;
  /** Of the native request; 0: none is under way. */
  private volatile long number;
  private volatile boolean cancelled;
  /** The client was closed by the function or resolver of this call. */
  private volatile boolean closedWithin;
  /** The call whose function or resolver runs this one's on the same thread. */
  private Request<?> outer;
  private volatile boolean ended;
  /** Whether a native request before this one may have been executed. */
  private volatile boolean maybeApplied;
  // The others are written by the thread that sends, and read on the drain thread after that.
  private CallSettings call;
  private boolean waited;
  private boolean inLane;
  /** The last question of an update; of the drain thread. */
  private Task asked;

  Request(Bucket<T> bucket, int kind, Key key, byte[] context, byte[] value, T written,
      Function<T, Change<T>> function, Executor executor, Lane lane) {
    this.bucket = bucket;
    this.kind = kind;
    this.key = key;
    this.context = context;
    this.value = value;
    this.written = written;
    this.function = function;
    this.executor = executor;
    this.lane = lane;
    core = bucket.core();
    call = bucket.call();
    contentType = Text.utf8(bucket.codec().contentType(), "contentType");
    timeoutMs = call.timeoutMs() > 0 ? call.timeoutMs() : core.timeoutMs();
    deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
  }

  long deadline() {
    return deadline;
  }

  Lane lane() {
    return lane;
  }

  /** About what it holds while it waits. */
  int bytes() {
    return value.length + context.length + 200;
  }

  /** It has not been sent at once. */
  void waits() {
    waited = true;
  }

  /** Submits it under this tag; any thread. Its number is known before an event of it is seen. */
  synchronized void send(long nativeClient, long nativeQueue, long tag) {
    int ms = call.timeoutMs();
    if (waited) {
      ms = (int) Math.max(1, TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime()));
    }
    inLane = true;
    number = RingletNative.submit(nativeClient, nativeQueue, kind, tag, bucket.nameBytes(),
        key.raw(), context, value, contentType, ms,
        call.r(), call.w(), call.strict() ? 1 : 0, call.durability(), call.flags(),
        call.writeId().getMostSignificantBits(), call.writeId().getLeastSignificantBits());
    if (cancelled) {
      core.cancel(number);
    }
  }

  /** A future that the application cancels, or lets time out, ends the native request too. */
  void cancelWithFuture() {
    future.whenComplete((done, error) -> {
      if (error != null && !ended) {
        cancel();
      }
    });
  }

  /** The cluster has this no longer: it waits for the application, or has ended. */
  private synchronized void leaveLane(boolean forGood) {
    ended |= forGood;
    if (inLane) {
      inLane = false;
      lane.leave();
    }
  }

  /** The application has answered. */
  private synchronized void comeBack() {
    if (!ended && !inLane) {
      inLane = true;
      lane.comeBack();
    }
  }

  /** On the drain thread: nothing is under way, and it is to be sent once more. */
  private synchronized boolean sendAgain(NativeFailure refused) {
    boolean repeatable = !refused.maybeApplied() || kind == GET;
    if (!repeatable && kind != UPDATE) {
      Optional<UUID> id = Failure.exception(refused).writeId();
      repeatable = id.isPresent();
      if (repeatable) {
        call = call.writeId(id.get());
      }
    }
    long after = retryAfterNanos(refused.details());
    if (!lane.isPatient() || !refused.retryable() || asked != null || !repeatable
        || future.isDone() || System.nanoTime() + after - deadline >= 0) {
      return false;
    }
    maybeApplied |= refused.maybeApplied();
    number = 0;
    waited = true;
    inLane = false;
    lane.again(this, after);
    return true;
  }

  private static long retryAfterNanos(String details) {
    Matcher after = RETRY_AFTER.matcher(details);
    long ms = after.find() ? Long.parseLong(after.group(1)) : 0;
    return TimeUnit.MILLISECONDS.toNanos(Math.min(Math.max(ms, 10), 1000));
  }

  /** Its deadline has come while it waited for its turn. */
  RingletException neverSent() {
    return new RingletTimeoutException(new Failure(Status.TIMEOUT, true, maybeApplied,
        "key " + key + ": the deadline of " + timeoutMs + " ms has come while the call waited for"
            + " its turn behind others of this client", "{}", null));
  }

  /** Any thread; what hangs on the future of an asynchronous call runs on a thread for that. */
  void failElsewhere(Throwable e) {
    if (executor instanceof CallerExecutor) {
      fail(e);
    } else {
      core.failing().execute(() -> fail(e));
    }
  }

  /**
   * What one event wants done on the application's threads. It is begun there at most once, or given
   * up before; either releases its handle.
   */
  final class Task implements Runnable {
    private final AtomicBoolean begun = new AtomicBoolean();
    private final boolean last;
    private final int status;
    private final long handle;
    private final long error;
    private final NativeFailure failure;

    private Task(boolean last, int status, long handle, long error, NativeFailure failure) {
      this.failure = failure;
      this.last = last;
      this.status = status;
      this.handle = handle;
      this.error = error;
    }

    @Override
    public void run() {
      if (!begun.compareAndSet(false, true)) {
        return;
      }
      if (last) {
        finish(status, handle, error, failure);
      } else {
        merge(handle);
      }
    }

    boolean isBegun() {
      return begun.get();
    }

    /** False: it has begun, or has been given up before. */
    boolean giveUp() {
      if (!begun.compareAndSet(false, true)) {
        return false;
      }
      if (last) {
        RingletNative.replyRelease(handle);
        RingletNative.errorRelease(error);
      } else {
        RingletNative.mergeRelease(handle);
      }
      return true;
    }

    /** The executor threw, and has not begun this. Any thread but the drain thread. */
    void refused(Throwable e) {
      if (!begun.compareAndSet(false, true)) {
        return;
      }
      if (last) {
        RingletNative.replyRelease(handle);
        RingletNative.errorRelease(error);
        fail(e);
      } else {
        failMerge(handle, e);
        RingletNative.mergeRelease(handle);
      }
    }

    /** The deadline has come, and the executor has not begun this. Any thread but the drain thread. */
    void late() {
      fail(new RingletTimeoutException(new Failure(Status.TIMEOUT, true, kind != GET,
          "key " + key + ": the cluster has answered, and the client's executor ("
              + executor.getClass().getName() + ") did not begin to hand the answer over before the"
              + " call's deadline of " + timeoutMs + " ms; a thread of an executor that waits for"
              + " futures of the client holds up what completes them"
              + (kind == GET ? "" : "; the write has been applied"),
          "{}", null)));
    }
  }

  /**
   * On the drain thread, which runs nothing of the application: the executor of an asynchronous call
   * and what hangs on its future may do anything. The handles are this request's from here on.
   * Returns whether it was the last event.
   */
  boolean onEvent(
      long kind, int status, long reply, long error, long merge) {
    if (kind != DONE) {
      // The application may take long, and call this client meanwhile.
      leaveLane(false);
      Task task = new Task(false, 0, merge, 0, null);
      asked = task;
      core.hand(task, executor);
      return false;
    }
    Task unanswered = asked;
    if (unanswered != null) {
      unanswered.giveUp();
    }
    NativeFailure failure = status == Status.OVERLOADED ? failure(status, error) : null;
    if (failure != null && sendAgain(failure)) {
      RingletNative.replyRelease(reply);
      return true;
    }
    leaveLane(true);
    Task task = new Task(true, status, reply, failure == null ? error : 0, failure);
    if (executor instanceof CallerExecutor) {
      executor.execute(task);
    } else if (status != 0) {
      // An error decodes nothing, and a deadline must not wait for a thread of the application.
      core.failing().execute(task);
    } else {
      core.hand(task, executor);
      core.watch(task, Math.max(deadline, System.nanoTime() + GRACE_NANOS));
    }
    return true;
  }

  private static NativeFailure failure(int status, long error) {
    try {
      RingletNative.errorThrow(error, status);
      return null;
    } catch (NativeFailure e) {
      return e;
    }
  }

  /** Asks the native request to end; its DONE completes the future. */
  void cancel() {
    cancelled = true;
    long underWay = number;
    if (underWay != 0) {
      core.cancel(underWay);
    } else {
      fail(new CancelledRequestException(new Failure(Status.CANCELLED, true, maybeApplied,
          "the call was cancelled while it waited for its turn", "{}", null)));
    }
  }

  void fail(Throwable e) {
    future.completeExceptionally(e);
  }

  private void finish(int status, long reply, long error, NativeFailure failure) {
    try {
      if (status == 0) {
        RingletNative.errorRelease(error);
        // What the resolver threw after the write was acknowledged: the write stays, and it is told.
        if (thrown != null) {
          fail(thrown);
          return;
        }
        future.complete(read(reply));
        return;
      }
      Throwable mine = thrown;
      if (status == Status.MERGE_FAILED && mine != null) {
        RingletNative.errorRelease(error);
        fail(mine);
        return;
      }
      NativeFailure known = failure != null ? failure : failure(status, error);
      if (closedWithin && status == Status.CANCELLED) {
        fail(new ClientClosedException(new Failure(Status.CLOSED, false, known.maybeApplied(),
            "the client is closed", known.details(), known)));
        return;
      }
      throw known;
    } catch (NativeFailure e) {
      fail(Failure.exception(e));
    } catch (Throwable e) {
      fail(e);
    } finally {
      RingletNative.replyRelease(reply);
    }
  }

  /** A close that these calls are inside of must not wait for them. */
  static void endThoseOfThisThread(ClientCore core) {
    for (Request<?> one = RUNNING.get(); one != null; one = one.outer) {
      if (one.core == core) {
        one.closedWithin = true;
        one.cancel();
      }
    }
  }

  private void merge(long merge) {
    outer = RUNNING.get();
    RUNNING.set(this);
    try {
      mergeHere(merge);
    } finally {
      if (outer == null) {
        RUNNING.remove();
      } else {
        RUNNING.set(outer);
      }
    }
  }

  private void mergeHere(long merge) {
    boolean applied = RingletNative.mergeWritten(merge) != 0;
    try {
      long reply = RingletNative.mergeSiblings(merge);
      List<Sibling<T>> siblings = siblings(reply);
      // The write is acknowledged and contained in the siblings: they are merged, and nothing else.
      Change<T> change = applied ? merged(siblings) : edited(siblings);
      comeBack();
      answer(merge, change, applied ? 0 : reply);
    } catch (Throwable e) {
      e.addSuppressed(new UpdateNote(key, RingletNative.mergeAttempt(merge), applied));
      failMerge(merge, e);
    } finally {
      RingletNative.mergeRelease(merge);
    }
  }

  private void failMerge(long merge, Throwable e) {
    thrown = e;
    comeBack();
    RingletNative.mergeFail(
        merge, Text.utf8("the application threw " + e.getClass().getName(), "message"));
  }

  /** Read: what the change is of; 0: what others wrote is merged, and must be written. */
  private void answer(long merge, Change<T> change, long read) {
    if (change.isDelete()) {
      RingletNative.mergeErase(merge);
    } else if (change.isKeep()) {
      RingletNative.mergeKeep(merge);
    } else {
      byte[] bytes = bucket.encode(change.value());
      if (read != 0 && isStored(read, bytes)) {
        RingletNative.mergeKeep(merge);
      } else {
        RingletNative.mergeAnswer(merge, bytes);
      }
    }
  }

  /** Whether the one version there is has these bytes; a value may have been changed in place. */
  private boolean isStored(long reply, byte[] bytes) {
    if (RingletNative.replyCount(reply) != 1 || RingletNative.replyIsTombstone(reply, 0) != 0
        || !bucket.codec().contentType().equals(
            Text.ofNative(RingletNative.replyContentType(reply, 0)))) {
      return false;
    }
    ByteBuffer memory = NativeBatch.value(reply, 0);
    return ByteBuffer.wrap(bytes).equals(memory == null ? ByteBuffer.allocate(0) : memory);
  }

  private Change<T> edited(List<Sibling<T>> siblings) throws Exception {
    T current = null;
    // One that cannot be decoded is a case for the resolver too, lest it block the key.
    boolean decide = siblings.size() > 1 || (siblings.size() == 1
        && siblings.get(0).error().isPresent() && bucket.resolver() != null);
    if (decide) {
      ConflictResolver<T> resolver = bucket.resolver();
      if (resolver == null) {
        throw new ConflictException(new Versioned<>(key, siblings));
      }
      Change<T> decided = decided(resolver, siblings);
      if (decided.isKeep()) {
        return decided;
      }
      current = decided.value();
    } else if (siblings.size() == 1) {
      current = siblings.get(0).value();
    }
    Change<T> next = function.apply(current);
    if (next == null) {
      throw Text.invalid("change: the function " + function.getClass().getName() + " returned null;"
          + " wanted Change.to(value) (a change in place must return what it changed),"
          + " Change.delete() or Change.keep()", null);
    }
    return next;
  }

  private Change<T> merged(List<Sibling<T>> siblings) throws Exception {
    ConflictResolver<T> resolver = bucket.resolver();
    return resolver == null ? Change.keep() : decided(resolver, siblings);
  }

  static <T> Change<T> decided(ConflictResolver<T> resolver, List<Sibling<T>> siblings)
      throws Exception {
    Change<T> change = resolver.decide(List.copyOf(siblings));
    if (change == null) {
      throw Text.invalid("the resolver " + resolver.getClass().getName() + " decided null; wanted"
          + " Change.to(value), Change.delete() or Change.keep()", null);
    }
    return change;
  }

  private Versioned<T> read(long reply) {
    boolean write = kind == PUT || kind == DELETE;
    List<Sibling<T>> siblings =
        write && !bucket.siblingsWanted() ? List.of() : siblings(reply);
    Versioned<T> versioned = new Versioned<>(key, siblings,
        write && !bucket.siblingsWanted() ? written : null,
        new Context(RingletNative.replyContext(reply)), RingletNative.replyMerged(reply) != 0,
        RingletNative.replyLeftOut(reply), Text.ofNative(RingletNative.replyExplain(reply)));
    // An edit is written, and what all versions come to has no value: a counter beyond 64 bits.
    if (kind == EDIT) {
      for (Sibling<T> sibling : siblings) {
        sibling.error().ifPresent(e -> e.addSuppressed(new UpdateNote(key, 1, true)));
      }
    }
    // A write is done whatever stands beside it. Of a read nobody could decide but a resolver.
    if (kind == GET && bucket.resolver() == null) {
      for (Sibling<T> sibling : siblings) {
        if (sibling.error().isPresent()) {
          throw sibling.error().get().of(versioned);
        }
      }
    }
    return versioned;
  }

  private List<Sibling<T>> siblings(long reply) {
    int count = RingletNative.replyCount(reply);
    if (bucket.codec() instanceof DocumentReader.OfReply<?>) {
      return document(reply, count);
    }
    List<Sibling<T>> all = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      boolean deleted = RingletNative.replyIsTombstone(reply, i) != 0;
      String contentType = Text.ofNative(RingletNative.replyContentType(reply, i));
      T value = null;
      DecodeException error = null;
      try {
        value = deleted ? null : decode(reply, i, contentType);
      } catch (DecodeException e) {
        error = e;
      }
      all.add(new Sibling<>(
          value, contentType, Instant.ofEpochMilli(RingletNative.replyWrittenMs(reply, i)),
          RingletNative.replyDot(reply, i), deleted, error));
    }
    return all;
  }

  /** All living versions as one: a document merges itself. */
  private List<Sibling<T>> document(long reply, int count) {
    int newest = -1;
    for (int i = 0; i < count; i++) {
      if (RingletNative.replyIsTombstone(reply, i) == 0 && (newest < 0
          || RingletNative.replyWrittenMs(reply, i) >= RingletNative.replyWrittenMs(reply, newest))) {
        newest = i;
      }
    }
    if (newest < 0) {
      return List.of();
    }
    String contentType = Text.ofNative(RingletNative.replyContentType(reply, newest));
    T value = null;
    DecodeException error = null;
    try {
      @SuppressWarnings("unchecked") // the codec of this bucket
      DocumentReader.OfReply<T> codec = (DocumentReader.OfReply<T>) bucket.codec();
      value = codec.ofReply(reply);
    } catch (NativeFailure e) {
      ByteBuffer memory = NativeBatch.value(reply, newest);
      ByteBuffer bytes = memory == null ? ByteBuffer.allocate(0) : memory.asReadOnlyBuffer();
      error = new DecodeException("key " + key + ": " + e.getMessage(), copy(bytes), contentType, e);
    }
    return List.of(new Sibling<>(value, contentType,
        Instant.ofEpochMilli(RingletNative.replyWrittenMs(reply, newest)),
        RingletNative.replyDot(reply, newest), false, error));
  }

  private T decode(long reply, int index, String contentType) {
    ByteBuffer memory = NativeBatch.value(reply, index);
    ByteBuffer bytes = (memory == null ? ByteBuffer.allocate(0) : memory).asReadOnlyBuffer();
    Codec<T> codec = bucket.codec();
    if (!codec.accepts(contentType)) {
      throw new DecodeException(named(reply, index) + ": wanted content type " + codec.contentType()
          + ", got "
          + contentType, copy(bytes), contentType, null);
    }
    try {
      T value = decode(codec, bytes.duplicate());
      if (value == null) {
        throw new NullPointerException("decode() returned null");
      }
      return value;
    } catch (Exception e) {
      throw new DecodeException(named(reply, index) + ": the codec for " + codec.contentType()
          + " refused "
          + bytes.remaining() + " bytes: " + e, copy(bytes), contentType, e);
    }
  }

  /** The bytes are native memory, which is freed soon; a codec may keep what it is given. */
  private static <T> T decode(Codec<T> codec, ByteBuffer bytes) throws Exception {
    if (codec == Codec.RAW || codec == Codec.TEXT) {
      return codec.decode(bytes);
    }
    if (codec instanceof ViewCodec<T> viewing) {
      ValueView view = new ValueView(bytes);
      try {
        return viewing.decode(view);
      } finally {
        view.close();
      }
    }
    return codec.decode(ByteBuffer.wrap(copy(bytes)).asReadOnlyBuffer());
  }

  private String named(long reply, int index) {
    return "key " + key + ", version "
        + HexFormat.of().formatHex(RingletNative.replyDot(reply, index));
  }

  private static byte[] copy(ByteBuffer bytes) {
    byte[] out = new byte[bytes.remaining()];
    bytes.duplicate().get(out);
    return out;
  }

  /** Throws the very object, checked or not; "returns" so that callers can write throw. */
  static RuntimeException rethrow(Throwable e) {
    return Request.<RuntimeException>sneaky(e);
  }

  @SuppressWarnings("unchecked")
  private static <E extends Throwable> E sneaky(Throwable e) throws E {
    throw (E) e;
  }
}
