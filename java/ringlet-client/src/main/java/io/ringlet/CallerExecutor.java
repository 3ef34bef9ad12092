package io.ringlet;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Runs the work of blocking calls on the thread that waits for them: their resolvers run on the
 * thread that called in, and a call cannot starve for threads of an executor. A waiting virtual
 * thread unmounts.
 */
final class CallerExecutor implements Executor {
  private static final Runnable WAKE = () -> {};

  private final LinkedBlockingQueue<Runnable> work = new LinkedBlockingQueue<>();

  @Override
  public void execute(Runnable task) {
    work.add(task);
  }

  /**
   * Works until the future is done. An interrupt runs {@code cancel} and goes on until the
   * requests have ended, which is then at once, so that no event is left without somebody to take
   * it.
   */
  <V> V await(CompletableFuture<V> future, Runnable cancel) {
    future.whenComplete((value, error) -> work.add(WAKE));
    InterruptedException interrupted = null;
    while (!future.isDone()) {
      try {
        work.take().run();
      } catch (InterruptedException e) {
        interrupted = e;
        cancel.run();
      }
    }
    try {
      V value = future.get();
      return value;
    } catch (ExecutionException e) {
      if (interrupted != null && e.getCause() instanceof CancelledRequestException cancelled) {
        throw new InterruptedRingletException(cancelled.maybeApplied(), interrupted);
      }
      throw Request.rethrow(e.getCause());
    } catch (InterruptedException e) {
      // Of a future that is done, get() does not wait; the flag is set again below.
      interrupted = e;
      return future.getNow(null);
    } finally {
      if (interrupted != null) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
