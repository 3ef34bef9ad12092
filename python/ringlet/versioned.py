"""What a read brings: all concurrent versions of a value, and the context that replaces them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Generic, TypeAlias, TypeVar

from . import _core
from ._calls import Steps, run
from .codecs import OCTETS, RAW, Codec, media_type
from .context import Context, Dot
from .errors import ConflictError, DecodeError, Key, KeyMissing, UsageError

T = TypeVar("T")
U = TypeVar("U")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc)


def _moment(milliseconds: int) -> datetime:
    """Since 1970. A clock that is wrong by thousands of years must not make its key unreadable: what
    Python has no date for becomes the last that it has.
    """
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return _LAST


_UNREAD: Any = object()


class Sibling(Generic[T]):
    """One version. ``value`` is decoded when it is first looked at; ``raw`` always works."""

    __slots__ = ("_codec", "_dot", "_key", "_value", "_written", "content_type", "deleted", "raw")

    raw: memoryview
    content_type: str
    deleted: bool
    _written: datetime | int  # milliseconds since 1970, until the property is read first
    _dot: Dot | bytes  # the bytes of the C ABI, until the property is read first

    def __init__(
        self,
        value: T = _UNREAD,
        *,
        raw: memoryview | bytes = b"",
        written_at: datetime = _EPOCH,
        content_type: str = "",
        dot: Dot = Dot(0, 0, 0),
        deleted: bool = False,
        codec: Codec[Any] = RAW,
        key: Key | None = None,
    ) -> None:
        """Ringlet makes siblings; make one yourself, with a value, to test a resolver."""
        self._value = value
        self.raw = memoryview(raw).toreadonly()
        self._written = written_at
        self.content_type = content_type
        self._dot = dot
        self.deleted = deleted
        self._codec = codec
        self._key = key

    @classmethod
    def _read(
        cls,
        raw: memoryview,
        written_ms: int,
        content_type: str,
        dot: bytes,
        deleted: bool,
        codec: Codec[T],
        key: Key | None,
    ) -> Sibling[T]:
        """Of a reply. Most programs look at the value only, so the rest is made of it when it is asked for."""
        self = cls.__new__(cls)
        self._value = _UNREAD
        self.raw = raw
        self._written = written_ms
        self.content_type = content_type
        self._dot = dot
        self.deleted = deleted
        self._codec = codec
        self._key = key
        return self

    @property
    def written_at(self) -> datetime:
        """When it was written, by the clock of the node that made the version."""
        if isinstance(self._written, int):
            self._written = _moment(self._written)
        return self._written

    @written_at.setter
    def written_at(self, moment: datetime) -> None:
        self._written = moment

    @property
    def dot(self) -> Dot:
        """Its identity."""
        if not isinstance(self._dot, Dot):
            self._dot = Dot.from_bytes(self._dot)
        return self._dot

    @dot.setter
    def dot(self, dot: Dot) -> None:
        self._dot = dot

    @property
    def value(self) -> T:
        """The decoded value. KeyMissing: this version is a delete. DecodeError: the codec cannot
        read it.
        """
        if self._value is _UNREAD:
            if self.deleted:
                raise KeyMissing(f"{_shown(self._key)}: this version is a delete", key=self._key)
            try:
                self._value = decode(self._codec, self.raw, self.content_type, self._key)
            except DecodeError as error:
                said = error.args[0]
                if not len(error.raw):  # of a document, which knows only what all versions come to
                    error.raw, error.key = bytes(self.raw), self._key
                    said = said if said.startswith(f"{_shown(self._key)}: ") else f"{_shown(self._key)}: {said}"
                error.args = (f"{said} (version {self.dot})",)
                raise
        return self._value

    @property
    def error(self) -> DecodeError | None:
        """Why there is no value though this is no delete: the codec cannot read ``raw``. A resolver may
        look here, and decide what becomes of it, so that one foreign value does not block a key.
        """
        if self.deleted:
            return None
        try:
            self.value  # noqa: B018
        except DecodeError as error:
            return error
        return None

    def with_value(self, value: U) -> Sibling[U]:
        """The same version with another value, for resolvers that look at a part of it."""
        return Sibling(
            value,
            raw=self.raw,
            written_at=self.written_at,
            content_type=self.content_type,
            dot=self.dot,
            deleted=self.deleted,
            key=self._key,
        )

    def __repr__(self) -> str:
        what = (
            "deleted"
            if self.deleted
            else f"{len(self.raw)} bytes"
            if self._value is _UNREAD
            else repr(self._value)
        )
        return f"<Sibling {what} written {self.written_at:%Y-%m-%dT%H:%M:%S.%f}Z>"


    def __reduce__(self) -> Any:
        """The bytes and the decoded value travel, the codec does not: it may be made of functions."""
        value: Any = _UNREAD
        codec: Codec[Any] = RAW
        if not self.deleted and (self._codec is not RAW or self._value is not _UNREAD):
            try:
                value = self.value
            except DecodeError as error:
                codec = _Undecodable(str(error.args[0]))
            if isinstance(value, memoryview):
                value = _UNREAD
        more = () if value is _UNREAD else (value,)
        raw, written_at = bytes(self.raw), self.written_at
        return _sibling_of, (
            _FORMAT, raw, written_at, self.content_type, self.dot, self.deleted, self._key, codec, *more
        )  # fmt: skip


_FORMAT = 1  # of pickles; a process of another release may read them


def _check_format(format_: int) -> None:
    if format_ != _FORMAT:
        raise ValueError(
            f"the pickle of a version of Ringlet has format {format_}, and this release reads {_FORMAT}: "
            "processes that exchange pickles need the same release"
        )


def _sibling_of(
    format_: int,
    raw: bytes,
    written_at: datetime,
    content_type: str,
    dot: Dot,
    deleted: bool,
    key: Key | None,
    codec: Codec[Any],
    value: Any = _UNREAD,
) -> Sibling[Any]:
    _check_format(format_)
    return Sibling(
        value,
        raw=raw,
        written_at=written_at,
        content_type=content_type,
        dot=dot,
        deleted=deleted,
        codec=codec,
        key=key,
    )


def _versioned_of(
    format_: int,
    siblings: tuple[Sibling[Any], ...],
    context: Context,
    key: Key | None,
    merged: bool,
    left_out: int,
    explained: str,
) -> Versioned[Any]:
    _check_format(format_)
    return Versioned(
        siblings, context, key=key, merged=merged, left_out=left_out, explain=lambda: explained
    )


class _Undecodable:
    """Of a pickled version that its codec could not read, where it came from: it cannot here, either."""

    content_type = OCTETS

    def __init__(self, why: str) -> None:
        self._why = why

    def encode(self, value: Any) -> bytes:
        raise NotImplementedError

    def decode(self, raw: memoryview) -> Any:
        raise DecodeError(self._why, raw=raw, content_type="")

    def __repr__(self) -> str:
        return "a codec of another process"


Resolver: TypeAlias = Callable[[Sequence[Sibling[T]]], T]


def decode(codec: Codec[T], raw: memoryview, content_type: str, key: Key | None) -> T:
    """Decodes with the type checked first; everything a codec may raise becomes DecodeError."""
    wanted, got = media_type(codec.content_type), media_type(content_type)
    if wanted != OCTETS and got not in ("", wanted):
        raise DecodeError(
            f"{_shown(key)}: wanted {wanted} for {codec!r}, got {got} of {len(raw)} bytes",
            raw=raw,
            content_type=content_type,
            key=key,
        )
    try:
        return codec.decode(raw)
    except DecodeError:
        raise
    except Exception as error:
        raise DecodeError(
            f"{_shown(key)}: {codec!r} cannot read {len(raw)} bytes of "
            f"{content_type or 'no content type'}: {error}",
            raw=raw,
            content_type=content_type,
            key=key,
        ) from error


def resolving(
    siblings: Sequence[Sibling[T]],
    resolver: Resolver[T] | None,
    conflict: Callable[[], ConflictError],
) -> Steps[T]:
    """One value of siblings, at least one: alone it is its own answer, unless it cannot be decoded and
    there is a resolver to say what becomes of it.
    """
    if len(siblings) == 1 and (resolver is None or siblings[0].error is None):
        return siblings[0].value
    if resolver is None:
        raise conflict()
    value: T = yield resolver, siblings
    if value is None and not may_give_none(resolver):
        raise UsageError(
            f"the resolver {name_of(resolver)} returned None; return the value that replaces the "
            "siblings, ringlet.Delete or ringlet.Keep"
        )
    return value


def may_give_none(resolver: object) -> bool:
    """Whether None is what a sibling is, of a ready resolver. One of the application's that returns None has
    forgotten to return what it merged.
    """
    return getattr(resolver, "may_give_none", False) is True


def name_of(function: object) -> str:
    """How a function is called where it was written."""
    return getattr(function, "__qualname__", None) or repr(function)


def check_resolver(whose: str, resolver: object) -> None:
    """Refuses what is no function of siblings: ``union`` in place of ``union()`` above all."""
    if resolver is None:
        return
    wanted = f"{whose}: wanted a resolver, a function of siblings, got"
    if not callable(resolver):
        raise TypeError(f"{wanted} {type(resolver).__name__}")
    name = name_of(resolver)
    if getattr(resolver, "makes_a_resolver", False):
        raise TypeError(f"{wanted} {name}, which makes one: write {name}()")
    try:
        signature = inspect.signature(resolver)
    except (TypeError, ValueError):
        return  # of a builtin: it says nothing of itself
    try:
        signature.bind(())
    except TypeError:
        raise TypeError(f"{wanted} {name}{signature}, which cannot be called with siblings") from None


class Explanation:
    """How a reply came about: who answered, which dots there are. ``print`` it, or look into
    ``data``.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __str__(self) -> str:
        lines = []
        for name, value in self.data.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                lines.append(f"{name}:")
                lines += ["  " + "  ".join(f"{k} {v}" for k, v in item.items()) for item in value]
            else:
                lines.append(f"{name}: {json.dumps(value)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Explanation {self}>"


class Versioned(Generic[T]):
    """A key's versions at one moment. Immutable; false when there is no value.

    One value: ``v.value``. Several, made at the same time by writers that did not know of each
    other: ``v.siblings``, and ``v.resolved(resolver)``. Writing with ``v`` as context replaces all
    of them.
    """

    __slots__ = ("_explain", "context", "key", "left_out", "merged", "siblings")

    siblings: tuple[Sibling[T], ...]
    context: Context
    key: Key | None
    merged: bool  # False: an update that wrote, and ended before one version was left
    left_out: int  # versions too large to be sent with these, 0 nearly always; write, and read again
    _explain: Callable[[], str]

    def __init__(
        self,
        siblings: Sequence[Sibling[T]],
        context: Context,
        *,
        key: Key | None = None,
        merged: bool = True,
        left_out: int = 0,
        explain: Callable[[], str] = lambda: "{}",
    ) -> None:
        set_ = object.__setattr__
        set_(self, "siblings", tuple(siblings))
        set_(self, "context", context)
        set_(self, "key", key)
        set_(self, "merged", merged)
        set_(self, "left_out", left_out)
        set_(self, "_explain", explain)

    @property
    def living(self) -> tuple[Sibling[T], ...]:
        """The siblings that are not deletes: all of them but in a bucket with ``deletes="ask"``."""
        return tuple(sibling for sibling in self.siblings if not sibling.deleted)

    @property
    def value(self) -> T:
        """The one value. KeyMissing: there is none. ConflictError: there are several."""
        if not self.siblings:
            raise KeyMissing(f"{_shown(self.key)}: wanted a value, there is none", key=self.key)
        if len(self.siblings) > 1:
            raise self._conflict()
        return self.siblings[0].value

    def resolved(self, resolver: Resolver[T]) -> T:
        """The value, a conflict merged by ``resolver``; nothing is written. KeyMissing: none."""
        if resolver is None:
            raise TypeError("resolved wanted a function of siblings, got NoneType")
        check_resolver("resolved", resolver)
        if not self.siblings:
            raise KeyMissing(f"{_shown(self.key)}: wanted a value, there is none", key=self.key)
        return run(resolving(self.siblings, resolver, self._conflict))

    def explain(self) -> Explanation:
        """Who answered, dots, numbers."""
        return Explanation(json.loads(self._explain()))

    def _conflict(self) -> ConflictError:
        return ConflictError(
            f"{_shown(self.key)}: wanted one value, there are {len(self.siblings)} "
            "written at the same time; "
            "look at .siblings, or merge them with .resolved(resolver) or Bucket.update",
            versioned=self,
            key=self.key,
        )

    def __reduce__(self) -> Any:
        return _versioned_of, (
            _FORMAT, self.siblings, self.context, self.key, self.merged, self.left_out, self._explain()
        )  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self.living)

    def __len__(self) -> int:
        return len(self.siblings)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Versioned is immutable")

    def __repr__(self) -> str:
        count = len(self.siblings)
        what = "no value" if count == 0 else "one value" if count == 1 else f"{count} siblings"
        return f"<Versioned {_shown(self.key)}: {what}>"


class _Whole(Generic[T]):
    """Reads the document that all versions of a reply come to, whichever one it is given."""

    content_type = OCTETS

    def __init__(self, codec: Codec[T], read: Callable[[], T]) -> None:
        self._of = codec
        self._read = read

    def encode(self, value: T) -> bytes:
        raise NotImplementedError

    def decode(self, data: Any) -> T:
        return self._read()

    def __repr__(self) -> str:
        return repr(self._of)


def read_siblings(reply: _core.Reply, codec: Codec[T], key: Key | None) -> tuple[Sibling[T], ...]:
    """The versions in a reply, whose bytes they keep alive."""
    return tuple(Sibling._read(*version, codec, key) for version in reply.parts()[0])


def read_reply(reply: _core.Reply, codec: Codec[T], key: Key | None) -> Versioned[T]:
    """A reply as users see it."""
    versions, context, merged, left_out = reply.parts()
    siblings = tuple([Sibling._read(*version, codec, key) for version in versions])
    of_reply = getattr(codec, "_of_reply", None)
    if of_reply is not None and (
        living := [sibling for sibling in siblings if not sibling.deleted]
    ):
        # A document: what there is merges itself to one value, when it is looked at. No edit asks what a
        # delete beside it means, so with deletes="ask" it is what it is with "lose".
        newest = max(living, key=lambda sibling: (sibling.written_at, sibling.dot))
        siblings = (newest.with_value(_UNREAD),)
        siblings[0]._codec = _Whole(codec, lambda: of_reply(reply, key))
    return Versioned(
        siblings,
        Context._trusted(context),
        key=key,
        merged=merged,
        left_out=left_out,
        explain=reply.explain,
    )


def _shown(key: Key | None) -> str:
    if key is None:
        return "a value"
    text = key if isinstance(key, str) else key.decode("utf-8", "backslashreplace")
    text = text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= 64 else text[:61] + "…"
