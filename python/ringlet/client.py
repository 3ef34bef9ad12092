"""Clients and buckets: everything that talks to a cluster."""

from __future__ import annotations

import atexit
import inspect
import json
import logging
import os
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, Unpack, overload

from . import _calls, _core
from ._calls import Questions, Request, Spec, Steps, Target
from ._watch import Observed, Watcher, now_us, tell
from .changes import Delete, Keep
from .codecs import RAW, Codec
from .context import Context
from .document import Map, MapEditor, _Edits
from .errors import (
    ClientClosed,
    ClientForked,
    ConflictError,
    Key,
    OptionError,
    RingletError,
    Status,
    UsageError,
    from_core_error,
    from_option_error,
)
from .found import Found, in_order
from .journal import Entry, Journal, as_journal
from .options import CallOptions, Deletes, Durability, WriteOptions, as_settings
from .versioned import (
    Resolver,
    Sibling,
    Versioned,
    check_resolver,
    may_give_none,
    name_of,
    read_reply,
    read_siblings,
    resolving,
)

if TYPE_CHECKING:
    from .display import Replicas, Ring
    from .display._live import Trace

T = TypeVar("T")
U = TypeVar("U")
C = TypeVar("C", bound="_AnyClient")
DEFAULT_SEEDS: Final = "127.0.0.1:7400"
_MAX_TIMEOUT_S: Final = 3600.0
_DURABILITY: Final = {None: 0, "buffer": 1, "log": 2, "disk": 3}
_DELETES: Final = {"lose": 0, "win": _core.DELETES_WIN, "ask": _core.DELETES_ASK}
_UNSET: Any = object()


def connect(
    seeds: str | Sequence[str] | None = None,
    *,
    timeout: float | None = None,
    resolver: Resolver[Any] | None = None,
    journal: str | os.PathLike[str] | Journal | None = None,
    **options: Any,
) -> Client:
    """Opens a client.

    Args:
        seeds: where to find the cluster: ``"host:port"``, several separated by commas, or a
            sequence of them.
            Default: the environment's ``RINGLET_SEEDS``, if it is not empty, else ``127.0.0.1:7400``.
        timeout: seconds a whole call may take, retries included. Default: 1.
        resolver: merges conflicts in ``update`` where neither the call nor the bucket has one.
        journal: a file to which each conflict that a resolver meets is appended (docs/check-merge.md).
        options: see ``ringlet.options()``, e.g. ``coordination="client"``.

    Does not wait for a connection: an unreachable cluster shows in the first call.
    """
    return _opened_client(Client, seeds, timeout, resolver, journal, options)


def _opened_client(
    cls: type[C],
    seeds: str | Sequence[str] | None,
    timeout: float | None,
    resolver: Resolver[Any] | None,
    journal: Any,
    options: dict[str, Any],
) -> C:
    """What ``connect`` does, here and in ringlet.aio."""
    settings = as_settings(
        options, ("client", "log", "cluster", "node", "limits", "upkeep", "options")
    )
    for name, given in (("client.seeds", seeds), ("client.timeout_ms", timeout)):
        if given is not None and name in settings:
            argument = "seeds" if name == "client.seeds" else "timeout"
            raise OptionError(f"option {name}: given twice, as {argument}= too")
    source = "client.seeds"
    if seeds is None:
        seeds = settings.get(source)
    if seeds is None and os.environ.get("RINGLET_SEEDS"):
        seeds, source = os.environ["RINGLET_SEEDS"], "RINGLET_SEEDS"
    if seeds is None:
        seeds = DEFAULT_SEEDS
    if not isinstance(seeds, str):
        if isinstance(seeds, bytes | bytearray) or not isinstance(seeds, Iterable):
            raise TypeError(f"connect wanted seeds as text, got {type(seeds).__name__}")
        seeds = list(seeds)
        for seed in seeds:
            if not isinstance(seed, str):
                raise TypeError(f"connect wanted seeds as text, got {type(seed).__name__}")
        seeds = ",".join(seeds)
    settings["client.seeds"] = seeds
    if timeout is not None:
        settings["client.timeout_ms"] = str(_milliseconds("timeout", timeout))
    try:
        return cls(settings, resolver=resolver, journal=as_journal(journal))
    except OptionError as error:
        said = str(error)
        if said.startswith("client.seeds: "):
            error.args = (said.replace("client.seeds", source, 1),)
        raise


class _Handle:
    """What a client and a local cluster share: open until closed, of one process, a context
    manager; ``_close_core`` ends the native part.
    """

    _closed = True  # until opened, for __del__
    _warns = True  # when it is left open
    _pid: int
    _logs: _Logs

    def _opened(self, logs: _Logs) -> None:
        self._closed = False
        self._pid = os.getpid()
        self._logs = logs

    def _close(self, drain: float) -> None:
        drain_ms = _milliseconds("drain", drain, least=0.0)
        if self._closed:
            return
        self._closed = True
        if self._pid != _calls.process.pid:
            return  # the parent's; releasing it is all there is to do
        try:
            self._close_core(drain_ms)
        except _core.CoreError as error:
            self._closed = False
            raise from_core_error(error) from None
        except Exception:
            self._closed = False
            raise
        self._logs.pull(force=True)  # not after Ctrl-C: the closing goes on without us

    def _leave(self, close: Callable[[], object], error: BaseException | None) -> None:
        """The end of a ``with`` block: what was raised inside it is what is shown."""
        try:
            close()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"closing {self!r} failed, too: {failure}")

    def _close_core(self, drain_ms: int) -> None:
        raise NotImplementedError

    def _check_process(self, done: str, again: str) -> None:
        if self._pid != _calls.process.pid:
            raise ClientForked(
                f"{done} in pid {self._pid}, used in pid {_calls.process.pid}: {again} it after fork"
            )

    def __del__(self) -> None:
        if not self._closed and self._warns and self._pid == _calls.process.pid:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self)


class _AnyClient(_Handle):
    """What the clients of both surfaces are: blocking, and of an event loop (ringlet.aio)."""

    def __init__(
        self,
        settings: dict[str, str],
        *,
        resolver: Resolver[Any] | None = None,
        journal: Journal | None = None,
        opened: Callable[[dict[str, str]], _core.Client] = _core.Client,
    ) -> None:
        check_resolver("client", resolver)
        try:
            self._core = opened(settings)
        except _core.CoreError as error:
            raise from_option_error(error) from None
        self._opened(_Logs(self._core.drain_logs))
        self._resolver = resolver
        self._journal = journal
        self._watchers: tuple[Watcher, ...] = ()
        self._seeds = settings.get("client.seeds", "")
        self._keeps: object = None  # the cluster that opened it, which must not end before it
        _open_clients.add(self)

    def _watch(self, watcher: Watcher) -> None:
        self._watchers = (*self._watchers, watcher)

    def _unwatch(self, watcher: Watcher) -> None:
        self._watchers = tuple(each for each in self._watchers if each != watcher)

    def counters(self) -> dict[str, Any]:
        """What this client's calls came to: ``gets``, ``puts`` (deletes included) and ``failed`` that ended,
        ``versions_per_get`` (reads that found 0, 1, 2, 3, 4 and more), ``asked_early`` (messages to a second
        node while the first was waited for), ``asked_a_node`` (calls of client coordination that a node
        coordinated, because too few members were within reach).
        """
        counted: dict[str, Any] = json.loads(self._core.counters())
        return counted

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def _close_core(self, drain_ms: int) -> None:
        _open_clients.discard(self)
        if drain_ms:
            _calls.interruptible(lambda: self._core.close(drain_ms))
        else:
            self._core.close(0)
        self._keeps = None

    def _ready(self) -> _core.Client:
        self._check_process("opened", "open")
        if self._closed:
            raise _calls.failed(ClientClosed("the client is closed"))
        return self._core

    def _at_exit(self) -> None:
        """Closes the client when the interpreter ends, without waiting for calls that are under way."""
        self._close(0.0)

    def __reduce__(self) -> Any:
        raise TypeError("a Client cannot be pickled: open one in each process")

    def __repr__(self) -> str:
        name = f"{type(self).__module__.removesuffix('.client')}.{type(self).__qualname__}"
        return f"<{name} of {self._seeds}{', closed' if self._closed else ''}>"


class Client(_AnyClient):
    """A connection to a cluster. Thread-safe; a context manager. Made by ``connect``."""

    @overload
    def bucket(
        self,
        name: str | bytes,
        *,
        resolver: Resolver[bytes] | None = None,
        **options: Unpack[CallOptions],
    ) -> Bucket[bytes]: ...
    @overload
    def bucket(
        self,
        name: str | bytes,
        *,
        codec: Codec[T],
        resolver: Resolver[T] | None = None,
        **options: Unpack[CallOptions],
    ) -> Bucket[T]: ...
    def bucket(
        self,
        name: str | bytes,
        *,
        codec: Codec[Any] = RAW,
        resolver: Resolver[Any] | None = None,
        r: int | None = None,
        w: int | None = None,
        timeout: float | None = None,
        strict: bool = False,
        durability: Durability | None = None,
        deletes: Deletes = "lose",
    ) -> Bucket[Any]:
        """A bucket of keys, with how its values are read and merged. Costs nothing and sends
        nothing.

        ``deletes`` says what a delete beside a write of the same time means to this reader:
        ``"lose"``: the write survives; ``"win"``: the key reads as missing (a session that was
        logged out); ``"ask"``: the delete is a sibling, ``.deleted``, which the resolver is given.
        """
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

    def admin(self, command: str, *, timeout: float | None = None, **args: Any) -> Any:
        """For operators: ``"status"`` (node=…), ``"ring"``, ``"key.inspect"`` (bucket=…, key=…)."""
        core = self._ready()
        asked = _admin_request(command, timeout, args)
        try:
            text = _calls.interruptible(lambda: core.admin(*asked))
        except _core.CoreError as error:
            raise from_core_error(error) from None
        finally:
            self._logs.pull()
        return json.loads(text)

    def inspect(
        self, bucket: str | bytes, key: Key, *, codec: Any = None, timeout: float | None = None
    ) -> Replicas:
        """A picture of what each owner of a key holds, and in what they differ. Asking repairs nothing.

        ``codec`` reads the values that are shown. Values of more than 16 KiB are not fetched. Nodes that keep hints of
        the key for another are not asked: only the owners are.
        """
        from .display import _live

        _as_bytes("bucket", bucket), _as_bytes("key", key)
        ring = self.admin("ring", timeout=timeout)
        found = self.admin("key.inspect", timeout=timeout, bucket=bucket, key=key)
        return _live.replicas(found, ring, bucket, key, codec)

    def ring(
        self, bucket: str | bytes | None = None, key: Key | None = None, *, timeout: float | None = None
    ) -> Ring:
        """A picture of the partitions and their owners; with a bucket and a key, of where that key lives, too."""
        from .display import _live

        if (bucket is None) != (key is None):
            raise TypeError("ring wanted both bucket and key, or neither")
        ring = self.admin("ring", timeout=timeout)
        status = self.admin("status", timeout=timeout)
        found = None
        if bucket is not None and key is not None:
            found = self.admin("key.inspect", timeout=timeout, bucket=bucket, key=key)
        return _live.ring(ring, status, found, bucket, key)

    def trace(self, call: Callable[[], Any]) -> Trace:
        """Makes the call and draws what this client asked meanwhile: which node was asked, who answered it, who was
        silent, how often it was tried again, and how long it took. ``trace.returned`` is what the call returned;
        ``trace.error`` is Ringlet's error, if it raised one. Calls of other threads meanwhile are drawn, too.

        When each replica answered its coordinator is not known here: the reply says who, and not when.
        """
        from .display import _live

        return _live.trace(self, call)

    def close(self, drain: float = 1.0) -> None:
        """Refuses new calls, waits up to ``drain`` seconds for those under way, fails the rest.
        Again: no effect. Ctrl-C ends the waiting; the closing goes on without it.

        Raises:
            UsageError: (``Status.BUSY``) inside an edit or a resolver of this client: that call would be waited
                for and could not end. Nothing is closed.
        """
        if not self._closed and _calls.is_answering(self._core):
            raise UsageError(
                "close was called inside an edit or a resolver of this client, whose call would be waited for: "
                "return from it first",
                status=Status.BUSY,
            )
        self._close(drain)

    def _at_exit(self) -> None:
        self.close(drain=0.0)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(self.close, error)


class _AnyBucket(Generic[T]):
    """What the buckets of both surfaces are: how each call becomes a request, how a merge is answered, how a
    reply is read. Who sends the request and waits for its end is theirs.
    """

    def __init__(
        self,
        client: _AnyClient,
        name: bytes,
        *,
        codec: Codec[T],
        resolver: Callable[[Sequence[Sibling[T]]], Any] | None,
        r: int | None,
        w: int | None,
        timeout: float | None,
        strict: bool,
        durability: str | None,
        deletes: str,
    ) -> None:
        if isinstance(codec, type):
            raise TypeError(f"bucket wanted a codec, got the class {codec.__name__}: make one of it")
        for member in ("content_type", "encode", "decode"):
            if not hasattr(codec, member):
                raise TypeError(
                    f"bucket wanted a codec, got {type(codec).__name__} without {member}"
                )
        check_resolver("bucket", resolver)
        self._of = client
        self._name = name
        self._codec = codec
        self._content_type = codec.content_type.encode("utf-8")
        self._resolver = resolver
        self._options: dict[str, Any] = {
            "r": r,
            "w": w,
            "timeout": timeout,
            "strict": strict,
            "durability": durability,
            "deletes": deletes,
        }
        self._spec = _spec(**self._options)

    @property
    def name(self) -> bytes:
        """Its name."""
        return self._name

    def _with(self, codec: Any, resolver: Any, **asked: Any) -> dict[str, Any]:
        """The arguments of a bucket with other settings."""
        return {
            **self._options,
            **{name: value for name, value in asked.items() if value is not _UNSET},
            "codec": self._codec if codec is _UNSET else codec,
            "resolver": self._resolver if resolver is _UNSET else resolver,
        }

    def _get(self, key: Key, call: Mapping[str, Any]) -> Request:
        _no_write_id("get", call)
        return self._request(_core.GET, key, call)

    def _put(
        self, key: Key, value: T, context: Context | Versioned[Any] | None, call: Mapping[str, Any]
    ) -> Request:
        return self._request(
            _core.PUT,
            key,
            call,
            context=_context_bytes("put", context),
            value=self._codec.encode(value),
            content_type=self._content_type,
        )

    def _delete(
        self, key: Key, context: Context | Versioned[Any], call: Mapping[str, Any]
    ) -> Request:
        if context is None:
            raise TypeError("delete wanted a Context or Versioned of an earlier read, got None")
        return self._request(_core.DELETE, key, call, context=_context_bytes("delete", context))

    def _update(
        self,
        key: Key,
        fn: Callable[[T | None], Any],
        resolver: Callable[[Sequence[Sibling[T]]], Any] | None,
        call: Mapping[str, Any],
    ) -> Request:
        if not callable(fn):
            raise TypeError(f"update wanted a function of the value, got {type(fn).__name__}")
        check_resolver("update", resolver)
        chosen = resolver or self._resolver or self._of._resolver

        seen: list[bytes] = []  # the context of the last merge, for those that watch
        entries: list[Entry] = []  # of the journal, while a resolver runs

        def failed(merge: _core.Merge, error: BaseException) -> None:
            for entry in entries:
                entry.end(error=error)
            error.add_note(
                f"in ringlet update of {self._where(key)}, attempt {merge.attempt}, "
                f"applied={merge.written}"
            )
            merge.fail(f"{type(error).__name__} in the application's function")

        return self._request(
            _core.UPDATE,
            key,
            call,
            content_type=self._content_type,
            questions=Questions(lambda merge: self._answering(merge, key, fn, chosen, seen, entries), failed),
            seen=seen,
        )

    def _edit(
        self, key: Key, fn: Callable[[MapEditor], object], call: Mapping[str, Any]
    ) -> Request:
        if not callable(fn):
            raise TypeError(f"edit wanted a function of the document, got {type(fn).__name__}")
        return self._edits(key, self._schema("edit")._edits_of(fn), call)

    def _edits(self, key: Key, edits: bytes, call: Mapping[str, Any]) -> Request:
        schema = self._schema("edit")
        if schema._old is None:
            return self._request(_core.EDIT, key, call, value=edits)

        def answering(merge: _core.Merge) -> Steps[Callable[[], object]]:
            def answer() -> None:
                try:
                    value = schema._written(merge.siblings(), b"" if merge.written else edits, key)
                except _core.CoreError as error:
                    raise from_core_error(error, key) from None
                merge.answer(value)

            return answer
            yield  # what makes it a generator: no step needs the application

        def failed(merge: _core.Merge, error: BaseException) -> None:
            merge.fail(
                "the edit does not fit"
                if isinstance(error, RingletError)
                else f"{type(error).__name__} in from_value"
            )

        return self._request(
            _core.UPDATE,
            key,
            call,
            content_type=self._content_type,
            questions=Questions(answering, failed),
        )

    def _get_many(self, keys: Iterable[Key], call: Mapping[str, Any]) -> dict[Key, Request]:
        if isinstance(keys, str | bytes):
            raise TypeError(f"get_many wanted several keys, got one {type(keys).__name__}")
        _no_write_id("get_many", call)
        spec = self._call_spec(call)
        return {key: Request(_core.GET, self._target(key), spec) for key in keys}

    def _answering(
        self,
        merge: _core.Merge,
        key: Key,
        fn: Callable[[T | None], Any],
        resolver: Callable[[Sequence[Sibling[T]]], Any] | None,
        seen_before: list[bytes],
        entries: list[Entry],
    ) -> Steps[Callable[[], object]]:
        """What the application's functions make of a merge; comes to what tells the core."""
        reply = merge.siblings()
        siblings = read_siblings(reply, self._codec, key)
        if self._of._watchers:
            seen_before[:] = [reply.context()]
        if merge.written:
            # The edit is in the store and in these siblings: they are merged, and nothing else.
            if resolver is None:
                return merge.keep
            merged = yield from self._journaled(_asked(resolver, siblings), siblings, resolver, key, reply, entries)
            return lambda: self._end(merge, merged, "resolver", resolver, key)

        def conflict() -> ConflictError:
            versioned = Versioned(siblings, Context._trusted(reply.context()), key=key)
            return ConflictError(
                f"{self._where(key)}: {len(siblings)} versions were written at the same "
                "time and neither the call, "
                "the bucket nor the client has a resolver",
                versioned=versioned,
                key=key,
            )

        current: Any = None
        if siblings:
            current = yield from self._journaled(
                resolving(siblings, resolver, conflict), siblings, resolver, key, reply, entries
            )
        if current is Keep or isinstance(current, Keep):
            return merge.keep
        if current is Delete or isinstance(current, Delete):
            current = None
        # A resolver may want to know which parts of the value were changed (resolvers.merge_dict).
        seen = getattr(resolver, "seen", None)
        noted = seen(siblings, current) if seen is not None and siblings else None
        edited = yield fn, current
        if noted is not None:
            edited = noted(edited)
        return lambda: self._end(merge, edited, "function", fn, key)

    def _journaled(
        self,
        steps: Steps[Any],
        siblings: Sequence[Sibling[T]],
        resolver: Callable[..., Any] | None,
        key: Key,
        reply: _core.Reply,
        entries: list[Entry],
    ) -> Steps[Any]:
        """Steps that merge siblings, with what they come to in the client's journal."""
        journal = self._of._journal
        if journal is None or resolver is None or len(siblings) < 2:
            return (yield from steps)
        entry = Entry(journal, self._name, _as_bytes("key", key), siblings, resolver, reply.context())
        entries[:] = [entry]  # what the resolver raises does not come through here
        value = yield from steps
        entries.clear()
        if value is Delete or isinstance(value, Delete):
            entry.end(word="delete")
        elif value is Keep or isinstance(value, Keep):
            entry.end(word="keep")
        else:
            try:
                entry.end(result=bytes(self._codec.encode(value)))
            except Exception as error:
                entry.end(error=error)  # the update says it where it encodes what the edit makes of it
        return value

    def _end(
        self, merge: _core.Merge, answer: Any, what: str, fn: Callable[..., Any], key: Key
    ) -> None:
        """Hands the application's answer to the core."""
        if answer is Delete or isinstance(answer, Delete):
            merge.erase()
        elif answer is Keep or isinstance(answer, Keep):
            merge.keep()
        elif inspect.iscoroutine(answer):
            answer.close()
            raise UsageError(
                f"update of {self._where(key)}: the {what} {name_of(fn)} is asynchronous, and this call "
                "blocks; the update of ringlet.aio awaits it",
                key=key,
            )
        elif answer is None and not may_give_none(fn):
            raise UsageError(
                f"update of {self._where(key)}: the {what} {name_of(fn)} returned None; return the new "
                "value (a change in place must return what it changed), ringlet.Delete or "
                "ringlet.Keep",
                key=key,
            )
        else:
            merge.answer(self._codec.encode(answer))

    def _schema(self, doing: str) -> Map[Any]:
        codec: Any = self._codec
        if not isinstance(codec, Map):
            raise UsageError(
                f"{doing}: wanted a bucket whose codec is a ringlet.document.Map, got {codec!r}"
            )
        return codec

    def _request(self, kind: int, key: Key, call: Mapping[str, Any], **more: Any) -> Request:
        return Request(kind, self._target(key), self._call_spec(call), **more)

    def _read(self, reply: _core.Reply, key: Key) -> Versioned[T]:
        return read_reply(reply, self._codec, key)

    def _call_spec(self, call: Mapping[str, Any]) -> Spec:
        if not call:
            return self._spec
        unknown = sorted(set(call) - set(self._options) - {"write_id"})
        if unknown:
            raise TypeError(
                f"there is no call option {unknown[0]!r}; "
                f"there are {', '.join(self._options)}, write_id"
            )
        return _spec(**{**self._options, **call})

    def _target(self, key: Key) -> Target:
        return Target(self._name, _as_bytes("key", key), key)

    def _where(self, key: Key) -> str:
        shown = key if isinstance(key, str) else key.decode("utf-8", "backslashreplace")
        return f"{self._name.decode('utf-8', 'backslashreplace')}/{shown[:64]}"

    def __repr__(self) -> str:
        name = self._name.decode("utf-8", "backslashreplace")
        module = type(self).__module__.removesuffix(".client")
        return f"<{module}.Bucket {name} with {self._codec!r}>"


class Bucket(_AnyBucket[T]):
    """A bucket as one part of a program sees it: immutable, cheap, thread-safe. Made by
    ``Client.bucket``.

    Every method also takes ``timeout=`` (seconds), ``r=``, ``w=``, ``strict=`` (only owners count),
    ``durability=`` (``"buffer"``, ``"log"``, ``"disk"``) and ``deletes=`` (see ``Client.bucket``);
    ``with_`` sets them for good in a new Bucket. A write also takes ``write_id=``, the ``write_id``
    of the error of an earlier try: repeating a write under its id makes no second version.
    """

    _of: Client

    @overload
    def with_(
        self, *, resolver: Resolver[T] | None = ..., **options: Unpack[CallOptions]
    ) -> Bucket[T]: ...
    @overload
    def with_(
        self,
        *,
        codec: Codec[U],
        resolver: Resolver[U] | None = ...,
        **options: Unpack[CallOptions],
    ) -> Bucket[U]: ...
    def with_(
        self,
        *,
        codec: Codec[Any] = _UNSET,
        resolver: Resolver[Any] | None = _UNSET,
        r: int | None = _UNSET,
        w: int | None = _UNSET,
        timeout: float | None = _UNSET,
        strict: bool = _UNSET,
        durability: Durability | None = _UNSET,
        deletes: Deletes = _UNSET,
    ) -> Bucket[Any]:
        """The same bucket with other settings; this one stays as it is."""
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

    def get(self, key: Key, **call: Unpack[CallOptions]) -> Versioned[T]:
        """All versions of a key. A missing key is no error: the answer is false and ``.value``
        raises KeyMissing.
        """
        return self._run(self._get(key, call))

    def put(
        self, key: Key, value: T, context: Context | Versioned[Any] | None = None, **call: Unpack[WriteOptions]
    ) -> Versioned[T]:
        """Writes a version that replaces what ``context`` has seen, and what is there after it.

        Without context the write is blind: what is there stays, as a sibling.
        """
        return self._run(self._put(key, value, context, call))

    def delete(self, key: Key, context: Context | Versioned[Any], **call: Unpack[WriteOptions]) -> Versioned[T]:
        """Deletes what ``context`` has seen; a version written at the same time survives. The answer
        is what is there after it, and its context covers the delete.
        """
        return self._run(self._delete(key, context, call))

    def update(
        self,
        key: Key,
        fn: Callable[[T | None], T | Delete | Keep | type[Delete] | type[Keep]],
        *,
        resolver: Resolver[T] | None = None,
        **call: Unpack[WriteOptions],
    ) -> Versioned[T]:
        """Reads, merges if there is a conflict, changes by ``fn``, and writes.

        ``fn`` gets the value (merged by the resolver if there were siblings; None if there is none)
        and returns the new one, or ``Delete``, or ``Keep``. It runs on this thread, **at most once,
        and exactly once when the update returns** (not at all where the write that ``write_id`` names
        is stored already), so it may count, append or send. When the write
        meets writes of the same time, only the resolver runs, on siblings that contain the written
        value already, until one version is left.

        Once the write is acknowledged ``update`` returns: what came between the merging (the
        deadline, ``update_attempts``, no resolver) leaves siblings for the next reader, and
        ``.merged`` of the answer is False. An exception in ``fn`` comes out of ``update`` as it is,
        and nothing is written; one of the resolver too, and its note says whether the write is
        applied. Siblings before the write without any resolver are a ConflictError. ``fn`` that
        returns None is a UsageError: a change in place must return what it changed.
        """
        return self._run(self._update(key, fn, resolver, call))

    def edit(self, key: Key, fn: Callable[[MapEditor], object], **call: Unpack[WriteOptions]) -> Versioned[T]:
        """Edits a document; the bucket's codec is a ``ringlet.document.Map``.

        ``fn`` is called once, before anything is sent, and says what is to be done, as
        ``lambda c: c["items"]["tea"].increment(2)``. Ringlet reads the document, applies that, writes
        it, and merges what it met. The edit counts once, however often it was sent. An edit that does not
        fit what is stored is a UsageError and nothing is written.
        """
        return self._run(self._edit(key, fn, call))

    @contextmanager
    def editing(self, key: Key, **call: Unpack[WriteOptions]) -> Iterator[MapEditor]:
        """``with bucket.editing(key) as c:`` and edits of ``c``, which are sent together at the end of
        the block; none after an exception.
        """
        edits = _Edits()
        yield self._schema("editing")._editor(edits, ())
        self._run(self._edits(key, edits.sent(), call))

    def get_many(self, keys: Iterable[Key], **call: Unpack[CallOptions]) -> Found[T]:
        """Independent gets at once. ``found[key]`` is what ``get`` would return, or raises what it would
        raise; ``found.errors`` and ``found.read`` tell the two apart.
        """
        requests = self._get_many(keys, call)
        core = self._of._ready()
        found: dict[Key, Versioned[T] | RingletError] = {}
        waiting = list(requests.items())
        begun = in_flight = 0
        now = now_us()
        with _calls.borrowed_queue() as queue:
            while begun < len(waiting) or in_flight:
                if begun < len(waiting) and in_flight < 256:
                    key, request = waiting[begun]
                    try:
                        _calls.submit(queue, core, request, tag=begun)
                        in_flight += 1
                    except ClientClosed:
                        raise
                    except RingletError as error:  # of this key only: too large, empty, …
                        found[key] = error
                    begun += 1
                    continue
                tag, reply, failure, _ = _calls.next_event(queue, None)
                in_flight -= 1
                key, request = waiting[tag]
                if reply is not None and self._of._watchers:
                    tell(self._of._watchers, Observed(request, now, now_us(), reply, None))
                try:
                    found[key] = self._read(_calls.done(reply, failure, key), key)
                except RingletError as error:
                    found[key] = error
        self._of._logs.pull()
        return in_order(requests, found)

    def _run(self, request: Request) -> Versioned[T]:
        core = self._of._ready()
        watchers = self._of._watchers
        begun = now_us() if watchers else 0
        try:
            reply = _calls.single(core, request)
        except BaseException as error:
            if watchers:
                tell(watchers, Observed(request, begun, now_us(), None, error))
            raise
        finally:
            self._of._logs.pull()
        if watchers:
            tell(watchers, Observed(request, begun, now_us(), reply, None))
        return self._read(reply, request.target.given)


def _asked(resolver: Callable[..., Any], siblings: Sequence[Sibling[Any]]) -> Steps[Any]:
    return (yield resolver, siblings)


def _admin_request(
    command: str, timeout: float | None, args: dict[str, Any]
) -> tuple[str, str, int]:
    """The arguments of the core's ``admin``."""
    if not isinstance(command, str):
        raise TypeError(f"admin wanted a command as text, got {type(command).__name__}")
    sent = {
        f"{name}_hex" if isinstance(value, bytes) else name: value.hex()
        if isinstance(value, bytes)
        else value
        for name, value in args.items()
    }
    return command, json.dumps(sent), 0 if timeout is None else _milliseconds("timeout", timeout)


class _Logs:
    """Fetches the core's log records into ``logging``, at most ten times a second beside calls."""

    _LEVELS = (5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)

    def __init__(self, drain: Callable[[], list[tuple[int, str, str]]]) -> None:
        self._drain = drain
        self._next = 0.0

    def pull(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if now < self._next and not force:
            return
        self._next = now + 0.1
        for level, part, text in self._drain():
            number = self._LEVELS[level] if 0 <= level < len(self._LEVELS) else logging.ERROR
            logging.getLogger(f"ringlet.{part}" if part else "ringlet").log(number, "%s", text)


def _spec(
    *,
    r: int | None,
    w: int | None,
    timeout: float | None,
    strict: bool,
    durability: str | None,
    deletes: str,
    write_id: bytes | str | None = None,
) -> Spec:
    if deletes not in _DELETES:
        raise UsageError(f"deletes: wanted 'lose', 'win' or 'ask', got {deletes!r}")
    if durability not in _DURABILITY:
        raise UsageError(f"durability: wanted 'buffer', 'log' or 'disk', got {durability!r}")
    if not isinstance(strict, bool):
        raise TypeError(f"strict: wanted True or False, got {type(strict).__name__}")
    return Spec(
        0 if timeout is None else _milliseconds("timeout", timeout),
        _replicas("r", r),
        _replicas("w", w),
        strict,
        _DURABILITY[durability],
        _DELETES[deletes],
        _write_id(write_id),
    )


def _write_id(given: bytes | str | None) -> bytes:
    """The 16 bytes of an id; none: the core draws one."""
    if given is None:
        return b""
    if isinstance(given, str):
        try:
            given = bytes.fromhex(given)
        except ValueError:
            raise UsageError(f"write_id: wanted 32 hexadecimal digits, got {given!r}") from None
    if not isinstance(given, bytes):
        raise TypeError(f"write_id: wanted bytes or str, got {type(given).__name__}")
    if len(given) != 16 or given == bytes(16):
        raise UsageError(f"write_id: wanted 16 bytes that are not all zero, got {given.hex()!r}")
    return given


def _no_write_id(doing: str, call: Mapping[str, Any]) -> None:
    if "write_id" in call:
        raise TypeError(f"{doing} takes no write_id: it writes nothing")


def _replicas(name: str, count: int | None) -> int:
    if count is None:
        return 0
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{name}: wanted a number of replicas, got {type(count).__name__}")
    if not 1 <= count <= 255:
        raise UsageError(f"{name}: wanted 1 to 255 replicas, got {count}")
    return count


def _milliseconds(name: str, seconds: float, *, least: float = 0.001) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name}: wanted seconds as a number, got {type(seconds).__name__}")
    if not least <= seconds <= _MAX_TIMEOUT_S:  # NaN fails too
        raise UsageError(f"{name}: wanted {least:g} to {_MAX_TIMEOUT_S:g} seconds, got {seconds!r}")
    return round(seconds * 1000)


def _as_bytes(what: str, given: Key) -> bytes:
    if isinstance(given, str):
        try:
            return given.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{what}: wanted text that UTF-8 can say, got a lone surrogate at {error.start}"
            ) from None
    if isinstance(given, bytes):
        return given
    raise TypeError(f"{what}: wanted str or bytes, got {type(given).__name__}")


def _context_bytes(call: str, context: Context | Versioned[Any] | None) -> bytes:
    if context is None:
        return b""
    if isinstance(context, Versioned):
        context = context.context
    if not isinstance(context, Context):
        raise TypeError(f"{call} wanted a Context or Versioned, got {type(context).__name__}")
    return bytes(context)


# Only so that an interpreter that ends closes what was left open; nothing else is shared.
_open_clients: weakref.WeakSet[_AnyClient] = weakref.WeakSet()


@atexit.register
def _close_open_clients() -> None:
    _calls.process.ends = True
    for client in list(_open_clients):
        try:
            client._at_exit()
        except RingletError:
            pass  # the process ends; there is nobody to tell
