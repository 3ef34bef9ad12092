"""Contexts: which versions of one key somebody has seen."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from . import _core
from .errors import Key, from_core_error


class Dot(NamedTuple):
    """A version's identity: the counter-th version that a node made of the key in one of its
    epochs.
    """

    node: int
    epoch: int
    counter: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Dot:
        """From the 24 big-endian bytes of the C ABI."""
        if len(data) != 24:
            raise ValueError(f"a dot has 24 bytes, got {len(data)}")
        return cls(*(int.from_bytes(data[at : at + 8], "big") for at in (0, 8, 16)))


class Context:
    """What a read hands to the next write of the same key, so that the write replaces exactly what
    was read.

    Immutable and opaque. ``bytes(context)`` may be stored and used later, in any process and any
    language; ``Context.from_bytes`` takes it back. It can be pickled.

    ``a == b`` and the hash go by the bytes. The order goes by what was seen: ``a < b`` when b has
    seen all that a has and more. Two contexts may be neither: ``a.concurrent_with(b)``. Comparing
    contexts of different keys makes no sense and says concurrent.
    """

    __slots__ = ("_bytes",)
    _bytes: bytes

    def __init__(self) -> None:
        """The empty context, which has seen nothing: a write with it is blind."""
        object.__setattr__(self, "_bytes", b"")

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Context:
        """Takes back what ``bytes(context)`` gave. InvalidContext: no context by its form. What was
        altered and still has the form, or is of another key, is refused by the write (or by
        ``describe`` with bucket and key): the checksum is bound to the key.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"Context.from_bytes wanted bytes, got {type(data).__name__}")
        context = cls._trusted(bytes(data))
        context.describe()
        return context

    @classmethod
    def _trusted(cls, data: bytes) -> Context:
        context = cls.__new__(cls)
        object.__setattr__(context, "_bytes", data)
        return context

    def _compare(self, other: Context) -> int:
        try:
            return _core.context_compare(self._bytes, other._bytes)
        except _core.CoreError as error:
            raise from_core_error(error) from None

    def concurrent_with(self, other: Context) -> bool:
        """Whether each has seen something that the other has not."""
        if not isinstance(other, Context):
            raise TypeError(f"concurrent_with wanted a Context, got {type(other).__name__}")
        return self._compare(other) == 2

    def same_history(self, other: Context) -> bool:
        """Whether both have seen the same, even if their bytes differ (they also remember who
        answered).
        """
        if not isinstance(other, Context):
            raise TypeError(f"same_history wanted a Context, got {type(other).__name__}")
        return self._compare(other) == 0

    def describe(
        self, bucket: str | bytes | None = None, key: Key | None = None
    ) -> tuple[Dot, ...]:
        """What it covers, for people and tests: of each node and epoch the newest version seen.

        With ``bucket`` and ``key`` the checksum is checked too; InvalidContext: cut, altered or of
        another key. Programs need nothing of this: they hand contexts on.
        """
        if (bucket is None) != (key is None):
            raise TypeError("describe wanted both bucket and key, or neither")
        given = [part.encode() if isinstance(part, str) else part for part in (bucket, key)]
        for part in given:
            if not isinstance(part, bytes | None):
                raise TypeError(f"describe wanted text or bytes, got {type(part).__name__}")
        try:
            text = _core.context_describe(self._bytes, given[0], given[1])
        except _core.CoreError as error:
            raise from_core_error(error, key) from None
        return tuple(
            Dot(int(entry["node"], 16), entry["epoch"], entry["counter"])
            for entry in json.loads(text)["seen"]
        )

    def __bytes__(self) -> bytes:
        return self._bytes

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def __eq__(self, other: object) -> bool:
        return self._bytes == other._bytes if isinstance(other, Context) else NotImplemented

    def __hash__(self) -> int:
        return hash((Context, self._bytes))

    def __lt__(self, other: Context) -> bool:
        return self._compare(other) == -1 if isinstance(other, Context) else NotImplemented

    def __le__(self, other: Context) -> bool:
        return self._compare(other) in (-1, 0) if isinstance(other, Context) else NotImplemented

    def __gt__(self, other: Context) -> bool:
        return self._compare(other) == 1 if isinstance(other, Context) else NotImplemented

    def __ge__(self, other: Context) -> bool:
        return self._compare(other) in (0, 1) if isinstance(other, Context) else NotImplemented

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Context is immutable")

    def __reduce__(self) -> Any:
        return (Context.from_bytes, (self._bytes,))

    def __repr__(self) -> str:
        return f"<Context of {len(self._bytes)} bytes>" if self._bytes else "<Context, empty>"
