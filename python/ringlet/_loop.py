"""How a call of ringlet.aio waits: its events come through the descriptor of one queue, which the event loop
watches; there is no thread.

A client has one channel, and a channel one loop. All that runs here runs on that loop's thread, so nothing is
locked. A call that would be one too many waits for its turn within its deadline.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from itertools import count
from typing import TypeVar

from . import _calls, _core
from ._calls import Request, Steps
from .errors import (
    ClientClosed,
    InternalError,
    Key,
    RingletError,
    Status,
    Timeout,
    TransientError,
    UsageError,
    from_core,
    from_core_error,
)

T = TypeVar("T")
WINDOW = 256  # calls under way at once, as in the blocking get_many; more wait here, where they cost little
_ROOM = 256  # events that are taken before the loop's other callbacks have their turn
_VERBS = {
    _core.GET: "get",
    _core.PUT: "put",
    _core.DELETE: "delete",
    _core.UPDATE: "update",
    _core.EDIT: "edit",
}


class _Answering:
    """An edit or a resolver of a channel's update runs. Tasks that it starts inherit this, and may outlive it."""

    __slots__ = ("channel", "runs")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.runs = True


_inside: ContextVar[tuple[_Answering, ...]] = ContextVar("ringlet_answering", default=())


async def run(steps: Steps[T]) -> T:
    """All steps; what a function of the application returns is awaited if it can be."""
    try:
        function, argument = next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    while True:
        answer = function(argument)
        if inspect.isawaitable(answer):
            answer = await answer
        try:
            function, argument = steps.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class Call:
    """One request, its next event, and what may have come before anybody waited for it."""

    __slots__ = ("missed", "number", "request", "timer", "until", "waiter")

    def __init__(self, request: Request, waiter: asyncio.Future[_core.Event]) -> None:
        self.request = request
        self.waiter = waiter
        self.missed: _core.Event | None = None
        self.number = 0  # the queue's; 0: not sent
        self.until = 0.0  # of one that waits for its turn: when it is too late, by the loop's clock
        self.timer: asyncio.TimerHandle | None = None

    def deliver(self, event: _core.Event) -> None:
        """Gives the event to the task that waits for it."""
        if self.waiter.done():
            self.missed = event  # the task was cancelled, or has not taken the event before
        else:
            self.waiter.set_result(event)

    def fail(self, error: BaseException) -> None:
        """Of a call that was not sent."""
        if not self.waiter.done():
            self.waiter.set_exception(error)

    def wait_again(self) -> None:
        """The event before was taken, and another one will come or has come."""
        self.waiter = self.waiter.get_loop().create_future()
        if self.missed is not None:
            self.waiter.set_result(self.missed)
            self.missed = None

    def end(self) -> _core.Event | None:
        """The last event, if it has come."""
        taken = self.waiter
        there = taken.done() and not taken.cancelled() and taken.exception() is None
        for event in (self.missed, taken.result() if there else None):
            if event is not None and event[3] is None:
                return event
        return None


class Channel:
    """Sends the requests of one client and hands their events to the tasks that wait for them."""

    def __init__(self, core: _core.Client, timeout_ms: int, window: int, pull_logs: Callable[[], None]) -> None:
        self._core = core
        self._timeout_ms = timeout_ms  # of a call that says none
        self._window = window
        self._pull_logs = pull_logs
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: _core.Queue | None = None
        self._tags = count(1)
        self._sent: dict[int, Call] = {}  # by tag, until their last event
        self._waiting: dict[Call, None] = {}  # for their turn, in order
        self._answering = 0  # calls whose application is at work on its answer
        self._advances = False
        self._idle: asyncio.Future[None] | None = None  # who waits until there is nothing of both

    # ---- which loop ----

    def bind(self) -> asyncio.AbstractEventLoop:
        """The running loop, which is the channel's from its first call on."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError(
                "ringlet.aio wanted a running asyncio event loop, there is none: call it in a coroutine "
                "that asyncio.run runs, or use the blocking ringlet.connect"
            ) from None
        if loop is self._loop:
            return loop
        if self._loop is not None:
            raise UsageError(
                "the client belongs to the event loop that it was first used in, and was called in another "
                "one: open a client in each loop"
            )
        try:
            queue = _core.Queue()
        except _core.CoreError as error:
            raise from_core_error(error) from None
        try:
            loop.add_reader(queue.fd, self._on_events)
        except NotImplementedError:
            raise UsageError(
                f"ringlet.aio wanted an event loop that has add_reader, got {type(loop).__name__}"
            ) from None
        self._queue, self._loop = queue, loop
        return loop

    @property
    def of_a_loop_that_ended(self) -> bool:
        """Nothing can be waited for any more."""
        return self._loop is not None and self._loop.is_closed()

    def is_answering(self) -> bool:
        """Whether this task runs inside an edit or a resolver of the channel."""
        return any(one.runs and one.channel is self for one in _inside.get())

    # ---- a call ----

    def start(self, request: Request) -> Call:
        """Sends a request, or lets it wait for its turn. One that an edit or a resolver makes is sent at
        once: the update that waits for it has a place already.
        """
        loop = self.bind()
        call = Call(request, loop.create_future())
        if (len(self._sent) < self._window and not self._waiting) or self.is_answering():
            self._send(call, request)
        else:
            call.until = loop.time() + (request.spec.timeout_ms or self._timeout_ms) / 1000
            call.timer = loop.call_at(call.until, self._too_late, call)
            self._waiting[call] = None
        return call

    async def reply(self, call: Call) -> _core.Reply:
        """Waits for the end; answers merges on the way, in the task that waits."""
        try:
            while True:
                _, reply, failure, merge = await call.waiter
                if merge is None:
                    return _calls.done(reply, failure, call.request.target.given)
                call.wait_again()
                await self._answer(call, merge)
        except asyncio.CancelledError as error:
            await self._cancelled(call, error)
            raise
        except GeneratorExit:  # the coroutine is closed, not cancelled: nothing can be awaited
            self.drop(call)
            raise

    def drop(self, call: Call) -> None:
        """Its end is of no interest any more."""
        if call in self._waiting:
            self._take_out(call)
        elif call.number and self._queue is not None:
            self._queue.cancel(call.number)
        if call.waiter.done():
            call.waiter.cancelled() or call.waiter.exception()  # retrieved: asyncio complains of others
        else:
            call.waiter.cancel()

    def _send(self, call: Call, request: Request) -> None:
        assert self._queue is not None
        tag = next(self._tags)
        call.number = _calls.submit(self._queue, self._core, request, tag=tag)
        self._sent[tag] = call
        if self._core.of_lab:
            self._advance_soon()

    async def _answer(self, call: Call, merge: _core.Merge) -> None:
        questions = call.request.questions
        if questions is None:
            raise InternalError(
                "the core asked for a merge that no update wanted", key=call.request.target.given
            )
        here = _Answering(self)
        token = _inside.set((*_inside.get(), here))
        self._answering += 1
        try:
            (await run(questions.steps(merge)))()
        except (asyncio.CancelledError, GeneratorExit):
            raise  # the request is cancelled, which says more than a function that failed
        except BaseException as error:
            questions.failed(merge, error)
            self.drop(call)
            raise
        finally:
            here.runs = False
            _inside.reset(token)
            self._answering -= 1
            if self._core.of_lab and self._sent:
                self._advance_soon()

    async def _cancelled(self, call: Call, error: asyncio.CancelledError) -> None:
        """The task was cancelled: so is the request. A write waits for the core's word, which comes at once,
        whether it may have been applied.
        """
        kind, key = call.request.kind, call.request.target.given
        what = f"{_VERBS.get(kind, 'call')} of {_where(call.request)}"
        if not call.number:
            self.drop(call)
            told = _outcome(f"{what}: cancelled before it was sent", False, key)
        else:
            event = call.end()
            if event is None:
                assert self._queue is not None
                self._queue.cancel(call.number)
                if kind == _core.GET:
                    return
                event = await self._last_event(call)
            if event is None:
                told = _outcome(f"{what}: cancelled twice, before its end was known", True, key)
            elif event[2] is None:
                told = _outcome(f"{what}: it ended well before it could be cancelled", True, key)
            else:
                told = from_core(event[2], key)
        if kind != _core.GET:
            error.add_note(f"in ringlet {what}, maybe_applied={told.maybe_applied}")
            if error.__cause__ is None:
                error.__cause__ = told

    async def _last_event(self, call: Call) -> _core.Event | None:
        try:
            while True:
                call.wait_again()
                event = await call.waiter
                if event[3] is None:
                    return event
        except asyncio.CancelledError:
            return None

    # ---- of a laboratory, whose time nothing else brings on ----

    def _advance_soon(self) -> None:
        if not self._advances and self._loop is not None:
            self._advances = True
            self._loop.call_soon(self._advance)

    def _advance(self) -> None:
        """Lets a millisecond of the laboratory pass, unless every call waits for its application."""
        self._advances = False
        queue = self._queue
        if queue is None or len(self._sent) <= self._answering:
            return
        try:
            event = queue.wait(1)
        except _core.CoreError as error:
            self._fail_all(from_core_error(error))
            return
        self._on_events(() if event is None else (event,))
        if self._sent:
            self._advance_soon()

    # ---- callbacks of the loop ----

    def _on_events(self, first: Sequence[_core.Event] = ()) -> None:
        assert self._queue is not None
        try:
            events = [*first, *self._queue.drain(_ROOM)]
        except _core.CoreError as error:
            self._fail_all(from_core_error(error))
            return
        for event in events:
            tag, _, _, merge = event
            call = self._sent.get(tag) if merge is not None else self._sent.pop(tag, None)
            if call is not None:
                call.deliver(event)
        self._send_those_that_wait()
        self._pull_logs()
        self._tell_idle()

    def _send_those_that_wait(self) -> None:
        while self._waiting and len(self._sent) < self._window:
            call = next(iter(self._waiting))
            self._take_out(call)
            assert self._loop is not None
            left = int((call.until - self._loop.time()) * 1000)
            if left < 1:
                self._fail_late(call)
                continue
            try:
                spec = call.request.spec._replace(timeout_ms=left)
                self._send(call, call.request._replace(spec=spec))
            except BaseException as error:
                call.fail(error)

    def _take_out(self, call: Call) -> None:
        del self._waiting[call]
        if call.timer is not None:
            call.timer.cancel()
            call.timer = None

    def _too_late(self, call: Call) -> None:
        if call in self._waiting:
            self._take_out(call)
            self._fail_late(call)
            self._tell_idle()

    def _fail_late(self, call: Call) -> None:
        waited = call.request.spec.timeout_ms or self._timeout_ms
        call.fail(
            Timeout(
                f"{_VERBS.get(call.request.kind, 'call')} of {_where(call.request)}: waited {waited} ms for its "
                f"turn, while {len(self._sent)} calls of this client were under way; nothing was sent",
                retryable=True,
                key=call.request.target.given,
            )
        )

    # ---- the end ----

    async def drain(self, seconds: float) -> None:
        """Until nothing is under way, at most so long."""
        if not self._sent and not self._waiting:
            return
        assert self._loop is not None
        idle = self._idle = self._loop.create_future()
        timer = self._loop.call_later(seconds, _wake, idle)
        try:
            await idle
        finally:
            timer.cancel()
            self._idle = None

    def end(self) -> None:
        """The core's client is closed: what it had under way has its last events; the rest fails."""
        if self._queue is None or self._loop is None:
            return
        try:
            while self._sent and (events := self._queue.drain(_ROOM)):
                for event in events:
                    call = self._sent.pop(event[0], None) if event[3] is None else None
                    if call is not None:
                        call.deliver(event)
        except _core.CoreError:
            pass  # what is left fails below
        self._fail_all(ClientClosed("the client was closed"))
        self.forsake()

    def forsake(self) -> None:
        """The loop watches the queue no more. From any thread: the collector may call it."""
        loop, queue = self._loop, self._queue
        if loop is None or queue is None or loop.is_closed():
            return
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        try:
            if running is loop:
                loop.remove_reader(queue.fd)
            else:  # the queue lives until that was done, for its descriptor must
                loop.call_soon_threadsafe(lambda: loop.remove_reader(queue.fd))
        except RuntimeError:
            pass  # the loop was closed meanwhile

    def _fail_all(self, error: RingletError) -> None:
        for call in [*self._waiting, *self._sent.values()]:
            if call in self._waiting:
                self._take_out(call)
            call.fail(error)
        self._sent.clear()
        self._tell_idle()

    def _tell_idle(self) -> None:
        if self._idle is not None and not self._sent and not self._waiting:
            _wake(self._idle)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


def _where(request: Request) -> str:
    bucket, key, _ = request.target
    shown = f"{bucket.decode('utf-8', 'backslashreplace')}/{key.decode('utf-8', 'backslashreplace')}"
    return shown if len(shown) <= 96 else shown[:95] + "…"


def _outcome(message: str, maybe_applied: bool, key: Key) -> RingletError:
    return TransientError(
        message, status=Status.CANCELLED, retryable=True, maybe_applied=maybe_applied, key=key
    )
