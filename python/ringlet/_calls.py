"""How a call waits: submitted to a queue of its thread, drained there without the GIL.

A thread borrows a queue for each call and gives it back when the call ended well. A call inside a
resolver takes another queue, so its events never meet the outer call's. After any exception, Ctrl-C
included, the queue is dropped, which cancels what was in flight.

In a greenlet of gevent a call waits through the hub, so that the other greenlets of the thread run.
"""

from __future__ import annotations

import os
import sys
import queue as queue_module
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from . import _core
from .errors import InternalError, Key, RingletError, from_core, from_core_error


class Spec(NamedTuple):
    """What one call wants; 0 is the client's or the cluster's default."""

    timeout_ms: int = 0
    r: int = 0
    w: int = 0
    strict: bool = False
    durability: int = 0
    deletes: int = 0
    write_id: bytes = b""


class Target(NamedTuple):
    """Which key of which bucket, as bytes, and as the user gave it."""

    bucket: bytes
    key: bytes
    given: Key


T = TypeVar("T")
# A piece of work that needs the application's functions: it yields a function and its argument, and is sent
# what that returned. The caller of the generator decides how the function is called: directly (``run``), or
# with its result awaited (ringlet.aio). What a function raises is not thrown into it; it leaves the call as it is.
Steps: TypeAlias = Generator[tuple[Callable[[Any], Any], Any], Any, T]


def run(steps: Steps[T]) -> T:
    """All steps, blocking."""
    try:
        function, argument = next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    while True:
        answer = function(argument)
        try:
            function, argument = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class Questions(NamedTuple):
    """How the merges of an update are answered. ``steps`` comes to what answers the core; ``failed`` tells
    the core, and notes on the exception, that the application's function raised it.
    """

    steps: Callable[[_core.Merge], Steps[Callable[[], object]]]
    failed: Callable[[_core.Merge, BaseException], None]

    def answer(self, merge: _core.Merge) -> None:
        """Answers a merge, blocking."""
        try:
            run(self.steps(merge))()
        except BaseException as error:
            self.failed(merge, error)
            raise


class Request(NamedTuple):
    """One call. A blocking thread or a task of an event loop waits for its answer."""

    kind: int
    target: Target
    spec: Spec
    context: bytes = b""
    value: object = b""
    content_type: bytes = b""
    questions: Questions | None = None
    seen: list[bytes] | None = None  # of an update: the context of its last merge, when the client is watched


class _Process:
    """The process we are in: its number, and the queues of its threads."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.local = threading.local()
        self.ends = False  # its interpreter, which closes the clients that are left open

    def forked(self) -> None:
        """In the child the queues of the parent are dropped; dropping sends nothing."""
        self.pid = os.getpid()
        self.local = threading.local()


process = _Process()
os.register_at_fork(after_in_child=process.forked)


def failed(error: RingletError) -> BaseException:
    """What a call raises. At the interpreter's end a daemon thread just ends: a traceback of each,
    written while the streams are taken down, can make CPython 3.11 abort the process.
    """
    if process.ends and threading.current_thread().daemon:
        return SystemExit()
    return error


def _hub() -> Any:
    """The hub of gevent that runs greenlets in this thread, or None: no gevent, a native thread without
    greenlets (those of the hub's pool, too), or the hub's own callbacks, which must not wait in it.
    """
    if "gevent" not in sys.modules:
        return None
    import gevent  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from gevent._hub_local import get_hub_if_exists  # type: ignore[import-untyped, import-not-found, unused-ignore]

    hub = get_hub_if_exists()  # gevent.get_hub() would make one in a thread that has no greenlets
    return None if hub is None or gevent.getcurrent() is hub else hub


def interruptible(call: Callable[[], T]) -> T:
    """A blocking call of the core that looks for no signal itself: Ctrl-C ends the waiting for it at once. The
    call goes on in a thread, which keeps nothing from ending. Signals are the main thread's, so other
    threads call directly, as does an interpreter that ends and starts no thread any more. Greenlets wait for a
    native thread of their hub: one of ``threading`` may be a greenlet itself.
    """
    hub = None if process.ends else _hub()
    if hub is None and (process.ends or threading.current_thread() is not threading.main_thread()):
        return call()

    def ended() -> Callable[[], T]:
        """Calls; what is returned gives the value, or raises, in the thread that waits."""
        try:
            value = call()
        except BaseException as error:
            raised = error  # the name of an except clause is gone after it

            def end() -> T:
                raise raised
        else:

            def end() -> T:
                return value

        return end

    if hub is not None:
        return cast(Callable[[], T], hub.threadpool.apply(ended))()
    ends: queue_module.SimpleQueue[Callable[[], T]] = queue_module.SimpleQueue()
    threading.Thread(target=lambda: ends.put(ended()), name="ringlet-waits", daemon=True).start()
    return ends.get()()


@contextmanager
def borrowed_queue() -> Iterator[_core.Queue]:
    """A queue for one call of this thread."""
    local = process.local
    idle: list[_core.Queue] | None = getattr(local, "idle", None)
    if idle is None:
        idle = local.idle = []
    try:
        queue = idle.pop() if idle else _core.Queue()
    except _core.CoreError as error:
        raise failed(from_core_error(error)) from None
    yield queue
    idle.append(queue)  # not reached after an exception


def submit(queue: _core.Queue, client: _core.Client, request: Request, *, tag: int = 0) -> int:
    """Starts a request; its events come with ``tag``. Returns the queue's number for it."""
    kind, target, spec, context, value, content_type, *_ = request
    try:
        return queue.submit(
            client, kind, tag, target.bucket, target.key, context, value, content_type, *spec
        )
    except _core.CoreError as error:
        raise failed(from_core_error(error, target.given)) from None


@contextmanager
def answering(client: _core.Client) -> Iterator[None]:
    """This thread answers the questions of an update of the client until the update ends."""
    local = process.local
    clients: list[_core.Client] | None = getattr(local, "answers", None)
    if clients is None:
        clients = local.answers = []
    clients.append(client)
    try:
        yield
    finally:
        clients.pop()


def is_answering(client: _core.Client) -> bool:
    """Whether this thread is inside an edit or a resolver of the client."""
    return any(one is client for one in getattr(process.local, "answers", ()))


def finish(
    queue: _core.Queue,
    key: Key,
    questions: Questions,
) -> _core.Reply:
    """Waits for the one request in ``queue``, answering its merges."""
    while True:
        event = next_event(queue, key)
        _, reply, failure, merge = event
        if merge is not None:
            questions.answer(merge)
            continue
        return done(reply, failure, key)


def next_event(queue: _core.Queue, key: Key | None) -> _core.Event:
    """Waits for an event; Ctrl-C comes out within 50 ms."""
    try:
        # A laboratory brings its answers about while it is waited for: there is nothing for other greenlets to do.
        event = queue.wait(-1) if queue.of_lab or (hub := _hub()) is None else _wait_in(hub, queue)
    except _core.CoreError as error:
        raise failed(from_core_error(error, key)) from None
    if event is None:
        raise InternalError("a wait without end ended without an event", key=key)
    return event


def _wait_in(hub: Any, queue: _core.Queue) -> _core.Event | None:
    """What ended first, with the hub running the other greenlets until then. A ``Timeout`` of gevent or a
    ``kill`` comes out of it, and the call is cancelled as by Ctrl-C.
    """
    watcher = hub.loop.io(queue.fd, 1)  # readable
    try:
        while not (events := queue.drain(1)):
            hub.wait(watcher)
        return events[0]
    finally:
        watcher.close()


def done(reply: _core.Reply | None, failure: _core.Failure | None, key: Key) -> _core.Reply:
    """The reply, or the failure as an exception."""
    if failure is not None:
        raise failed(from_core(failure, key))
    if reply is None:
        raise InternalError("a request ended well without a reply", key=key)
    return reply


def single(client: _core.Client, request: Request) -> _core.Reply:
    """One request from start to end."""
    key = request.target.given
    ended: RingletError | None = None
    with borrowed_queue() as queue:
        submit(queue, client, request)
        if request.questions is not None:
            with answering(client):
                return finish(queue, key, request.questions)
        _, reply, failure, _ = next_event(queue, key)
        try:
            return done(reply, failure, key)
        except RingletError as error:
            ended = error  # an orderly end: the queue is empty and may be used again
    raise ended
