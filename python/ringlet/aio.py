"""Ringlet in asyncio: every call of ``ringlet``, awaited.

>>> import asyncio
>>> import ringlet, ringlet.aio
>>> async def main(seeds):
...     async with ringlet.aio.connect(seeds) as client:
...         carts = client.bucket("carts", codec=ringlet.Json)
...         return (await carts.update("alice", lambda items: (items or []) + ["tea"])).value
>>> with ringlet.local_cluster() as cluster:
...     asyncio.run(main(cluster.seeds))
['tea']

Codecs, resolvers, contexts, versions and errors are those of ``ringlet``. A client belongs to the event loop in
which it is first used; its events come through a descriptor that the loop watches, and it has no thread of
Python's. Any number of tasks may call at once: at most 256 calls of a client are under way, the others wait for
their turn within their ``timeout``.

A task that is cancelled cancels its call: ``outcome`` says what became of a write.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack, overload

from . import _calls, _core
from ._calls import Request
from ._loop import WINDOW, Call, Channel
from ._watch import Observed, now_us, tell
from .changes import Delete, Keep
from .client import (
    _UNSET,
    _admin_request,
    _AnyBucket,
    _AnyClient,
    _as_bytes,
    _milliseconds,
    _opened_client,
)
from .codecs import RAW, Codec
from .context import Context
from .document import MapEditor, _Edits
from .errors import ClientClosed, Key, RingletError, Status, UsageError, from_core_error
from .found import Found, in_order
from .journal import Journal
from .options import CallOptions, Deletes, Durability, WriteOptions
from .options import options as _all_options
from .versioned import Sibling, Versioned

__all__ = ["AsyncResolver", "Bucket", "Client", "connect", "outcome"]

if TYPE_CHECKING:
    from .display import Replicas, Ring
    from .display._live import Trace

T = TypeVar("T")
U = TypeVar("U")
# What the functions of an update may be here: as those of ringlet, or asynchronous.
AsyncResolver: TypeAlias = Callable[[Sequence[Sibling[T]]], T | Awaitable[T]]
_Changed: TypeAlias = T | Delete | Keep | type[Delete] | type[Keep]


def connect(
    seeds: str | Sequence[str] | None = None,
    *,
    timeout: float | None = None,
    resolver: AsyncResolver[Any] | None = None,
    journal: str | os.PathLike[str] | Journal | None = None,
    **options: Any,
) -> Client:
    """Opens a client: ``async with ringlet.aio.connect() as client:``. The arguments are those of
    ``ringlet.connect``; the resolver may be asynchronous.

    Waits for nothing, and needs no running loop yet: the client belongs to the one of its first call.
    """
    return _opened_client(Client, seeds, timeout, resolver, journal, options)


def outcome(error: BaseException) -> RingletError | None:
    """What became of the write that a cancellation ended: an error with ``maybe_applied`` and ``write_id``.

    ``error`` is the CancelledError, or the TimeoutError that ``asyncio.timeout`` made of it. None: no write of
    Ringlet was under way.
    """
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, RingletError):
            return at
        seen.add(id(at))
        at = at.__cause__ or at.__context__
    return None


class Client(_AnyClient):
    """A connection to a cluster, of one event loop. An asynchronous context manager. Made by ``connect``."""

    def __init__(
        self,
        settings: dict[str, str],
        *,
        resolver: AsyncResolver[Any] | None = None,
        journal: Journal | None = None,
        opened: Callable[[dict[str, str]], _core.Client] = _core.Client,
    ) -> None:
        super().__init__(settings, resolver=resolver, journal=journal, opened=opened)
        defaults = {option.name: option.default for option in _all_options()}
        timeout_ms, most = (
            int(settings.get(name, defaults[name]))
            for name in ("client.timeout_ms", "client.max_in_flight")
        )
        self._channel = Channel(self._core, timeout_ms, min(WINDOW, most), self._logs.pull)
        self._closing: asyncio.Future[None] | None = None

    @overload
    def bucket(
        self,
        name: str | bytes,
        *,
        resolver: AsyncResolver[bytes] | None = None,
        **options: Unpack[CallOptions],
    ) -> Bucket[bytes]: ...
    @overload
    def bucket(
        self,
        name: str | bytes,
        *,
        codec: Codec[T],
        resolver: AsyncResolver[T] | None = None,
        **options: Unpack[CallOptions],
    ) -> Bucket[T]: ...
    def bucket(
        self,
        name: str | bytes,
        *,
        codec: Codec[Any] = RAW,
        resolver: AsyncResolver[Any] | None = None,
        r: int | None = None,
        w: int | None = None,
        timeout: float | None = None,
        strict: bool = False,
        durability: Durability | None = None,
        deletes: Deletes = "lose",
    ) -> Bucket[Any]:
        """A bucket of keys, as ``ringlet.Client.bucket``. Costs nothing, sends nothing, is not awaited."""
        return Bucket(
            self,
            _as_bytes("bucket name", name),
            codec=codec,
            resolver=resolver,
            r=r,
            w=w,
            timeout=timeout,
            strict=strict,
            durability=durability,
            deletes=deletes,
        )

    async def admin(self, command: str, *, timeout: float | None = None, **args: Any) -> Any:
        """For operators, as ``ringlet.Client.admin``. The core has only a blocking call for it, so it runs in
        the loop's default executor; a cancelled task does not wait for its end.
        """
        core = self._ready()
        loop = self._channel.bind()
        call = functools.partial(core.admin, *_admin_request(command, timeout, args))
        try:
            text = await loop.run_in_executor(None, call)
        except _core.CoreError as error:
            raise from_core_error(error) from None
        finally:
            self._logs.pull()
        return json.loads(text)

    async def inspect(
        self, bucket: str | bytes, key: Key, *, codec: Any = None, timeout: float | None = None
    ) -> Replicas:
        """A picture of what each owner of a key holds, as ``ringlet.Client.inspect``."""
        from .display import _live

        ring = await self.admin("ring", timeout=timeout)
        found = await self.admin("key.inspect", timeout=timeout, bucket=bucket, key=key)
        return _live.replicas(found, ring, bucket, key, codec)

    async def ring(
        self, bucket: str | bytes | None = None, key: Key | None = None, *, timeout: float | None = None
    ) -> Ring:
        """A picture of the partitions and their owners, as ``ringlet.Client.ring``."""
        from .display import _live

        if (bucket is None) != (key is None):
            raise TypeError("ring wanted both bucket and key, or neither")
        ring = await self.admin("ring", timeout=timeout)
        status = await self.admin("status", timeout=timeout)
        found = None
        if bucket is not None and key is not None:
            found = await self.admin("key.inspect", timeout=timeout, bucket=bucket, key=key)
        return _live.ring(ring, status, found, bucket, key)

    async def trace(self, call: Callable[[], Awaitable[Any]]) -> Trace:
        """Awaits what ``call`` returns and draws what this client asked meanwhile, other tasks' calls included:
        ``ringlet.Client.trace``.
        """
        from .display import _live

        tracing = _live.Tracing(self, call)
        with tracing:
            tracing.returned = await call()
        try:
            ring = await self.admin("ring") if tracing.calls else {}
        except RingletError:
            ring = {}
        return tracing.made(ring)

    async def close(self, drain: float = 1.0) -> None:
        """Refuses new calls, waits up to ``drain`` seconds for those under way, fails the rest.
        Again: waits for the first one. A cancelled task ends the waiting; the client is closed all the same.

        Raises:
            UsageError: (``Status.BUSY``) inside an edit or a resolver of this client: that call would be waited
                for and could not end. Nothing is closed.
        """
        _milliseconds("drain", drain, least=0.0)
        if self._pid != _calls.process.pid or self._channel.of_a_loop_that_ended:
            self._close(0.0)
            return
        if self._closing is not None and not self._closing.done():
            await asyncio.shield(self._closing)
        if self._closed:
            return
        loop = self._channel.bind()
        if self._channel.is_answering():
            raise UsageError(
                "close was called inside an edit or a resolver of this client, whose call would be waited for: "
                "return from it first",
                status=Status.BUSY,
            )
        self._closing = loop.create_future()
        try:
            await self._channel.drain(drain)
        finally:
            try:
                self._close(0.0)
                self._channel.end()
            finally:
                self._closing.set_result(None)

    def _ready(self) -> _core.Client:
        core = super()._ready()
        if self._closing is not None:
            raise ClientClosed("the client is closed")
        return core

    def _start(self, request: Request) -> Call:
        self._ready()
        return self._channel.start(request)

    async def __aenter__(self) -> Client:
        self._ready()
        self._channel.bind()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"closing {self!r} failed, too: {failure}")

    def __del__(self) -> None:
        super().__del__()
        channel = getattr(self, "_channel", None)
        if channel is not None and self._pid == _calls.process.pid:
            channel.forsake()


class Bucket(_AnyBucket[T]):
    """A bucket as one part of a program sees it: immutable, cheap. Made by ``Client.bucket``.

    Its calls are those of ``ringlet.Bucket``, with the same options, answers and errors.
    """

    _of: Client

    @overload
    def with_(
        self, *, resolver: AsyncResolver[T] | None = ..., **options: Unpack[CallOptions]
    ) -> Bucket[T]: ...
    @overload
    def with_(
        self,
        *,
        codec: Codec[U],
        resolver: AsyncResolver[U] | None = ...,
        **options: Unpack[CallOptions],
    ) -> Bucket[U]: ...
    def with_(
        self,
        *,
        codec: Codec[Any] = _UNSET,
        resolver: AsyncResolver[Any] | None = _UNSET,
        r: int | None = _UNSET,
        w: int | None = _UNSET,
        timeout: float | None = _UNSET,
        strict: bool = _UNSET,
        durability: Durability | None = _UNSET,
        deletes: Deletes = _UNSET,
    ) -> Bucket[Any]:
        """The same bucket with other settings; this one stays as it is. Is not awaited."""
        return Bucket(
            self._of,
            self._name,
            **self._with(
                codec,
                resolver,
                r=r,
                w=w,
                timeout=timeout,
                strict=strict,
                durability=durability,
                deletes=deletes,
            ),
        )

    async def get(self, key: Key, **call: Unpack[CallOptions]) -> Versioned[T]:
        """All versions of a key. A missing key is no error: the answer is false and ``.value``
        raises KeyMissing.
        """
        return await self._run(self._get(key, call))

    async def put(
        self, key: Key, value: T, context: Context | Versioned[Any] | None = None, **call: Unpack[WriteOptions]
    ) -> Versioned[T]:
        """Writes a version that replaces what ``context`` has seen; without context, nothing."""
        return await self._run(self._put(key, value, context, call))

    async def delete(
        self, key: Key, context: Context | Versioned[Any], **call: Unpack[WriteOptions]
    ) -> Versioned[T]:
        """Deletes what ``context`` has seen; a version written at the same time survives."""
        return await self._run(self._delete(key, context, call))

    async def update(
        self,
        key: Key,
        fn: Callable[[T | None], _Changed[T] | Awaitable[_Changed[T]]],
        *,
        resolver: AsyncResolver[T] | None = None,
        **call: Unpack[WriteOptions],
    ) -> Versioned[T]:
        """Reads, merges if there is a conflict, changes by ``fn``, and writes: ``ringlet.Bucket.update``.

        ``fn`` and the resolver may be asynchronous. They run in the task that called, and the core waits for
        their answer; a deadline that passes meanwhile ends the call when they return. ``fn`` runs **at most
        once, and exactly once when the update returns**.
        """
        return await self._run(self._update(key, fn, resolver, call))

    async def edit(self, key: Key, fn: Callable[[MapEditor], object], **call: Unpack[WriteOptions]) -> Versioned[T]:
        """Edits a document; the bucket's codec is a ``ringlet.document.Map``. ``fn`` is called once, before
        anything is sent, and says what is to be done; it is not awaited.
        """
        return await self._run(self._edit(key, fn, call))

    @asynccontextmanager
    async def editing(self, key: Key, **call: Unpack[WriteOptions]) -> AsyncIterator[MapEditor]:
        """``async with bucket.editing(key) as c:`` and edits of ``c``, which are sent together at the end of
        the block; none after an exception.
        """
        edits = _Edits()
        yield self._schema("editing")._editor(edits, ())
        await self._run(self._edits(key, edits.sent(), call))

    async def get_many(self, keys: Iterable[Key], **call: Unpack[CallOptions]) -> Found[T]:
        """Independent gets at once. ``found[key]`` is what ``get`` would return, or raises what it would
        raise; ``found.errors`` and ``found.read`` tell the two apart.
        """
        requests = self._get_many(keys, call)
        channel = self._of._channel
        begun: dict[Key, Call] = {}
        found: dict[Key, Versioned[T] | RingletError] = {}
        try:
            self._of._ready()
            for key, request in requests.items():
                try:
                    begun[key] = self._of._start(request)
                except ClientClosed:
                    raise
                except RingletError as error:  # of this key only: too large, empty, …
                    found[key] = error
            for key, one in begun.items():
                try:
                    found[key] = self._read(await channel.reply(one), key)
                except RingletError as error:
                    found[key] = error
        except BaseException:
            for one in begun.values():
                channel.drop(one)
            raise
        return in_order(requests, found)

    async def _run(self, request: Request) -> Versioned[T]:
        client = self._of
        watchers = client._watchers
        begun = now_us() if watchers else 0
        try:
            reply = await client._channel.reply(client._start(request))
        except BaseException as error:
            if watchers:
                tell(watchers, Observed(request, begun, now_us(), None, error))
            raise
        if watchers:
            tell(watchers, Observed(request, begun, now_us(), reply, None))
        return self._read(reply, request.target.given)
