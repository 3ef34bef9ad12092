"""How values become bytes and back.

A codec has a ``content_type``, which travels with each value: a value of another type is a
``DecodeError`` that keeps the bytes, and never a wrong value. Write your own with three members.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import pickle
import warnings
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from . import shapes, stamps

Buffer: TypeAlias = bytes | bytearray | memoryview
T = TypeVar("T")
D = TypeVar("D")

OCTETS: Final = "application/octet-stream"


class Codec(Protocol[T]):
    """What a bucket needs to know of its values.

    ``content_type`` ``application/octet-stream`` means that values of every type are accepted.
    """

    @property
    def content_type(self) -> str:
        """Travels with each value; parameters after ``;`` are not compared."""
        ...

    def encode(self, value: T) -> Buffer:
        """The bytes of a value; the same for equal values if replicas are to be compared."""
        ...

    def decode(self, raw: memoryview) -> T:
        """The value of some bytes; ``raw`` is read-only."""
        ...


def media_type(content_type: str) -> str:
    """``text/plain; charset=utf-8`` -> ``text/plain``."""
    return content_type.partition(";")[0].strip().lower()


class _Raw:
    """Bytes as they are. In: anything with a contiguous buffer. Out: bytes; ``Sibling.raw`` is a view of the
    reply, which copies nothing.
    """

    content_type = OCTETS

    def encode(self, value: Any) -> Buffer:
        """Checks that it is a buffer; it is copied once, into the request."""
        try:
            view = memoryview(value)
        except TypeError:
            raise TypeError(
                f"RAW wanted bytes or another buffer, got {type(value).__name__}; "
                "give the bucket a codec (ringlet.Text, ringlet.Json, …) for other values"
            ) from None
        if not view.c_contiguous:
            raise BufferError("RAW wanted a contiguous buffer, got one with gaps; use bytes(value)")
        return view

    def decode(self, raw: memoryview) -> bytes:
        """A copy, which keeps no reply in memory."""
        return bytes(raw)

    def __repr__(self) -> str:
        return "RAW"


class _Text:
    """UTF-8 text."""

    content_type = "text/plain"

    def encode(self, value: str) -> Buffer:
        """Text that UTF-8 cannot say (a lone surrogate) is a UnicodeEncodeError."""
        if not isinstance(value, str):
            raise TypeError(f"Text wanted str, got {type(value).__name__}")
        return value.encode("utf-8")

    def decode(self, raw: memoryview) -> str:
        """Strict: bytes that are not UTF-8 are a DecodeError."""
        return str(raw, "utf-8")

    def __repr__(self) -> str:
        return "Text"


class _Json:
    """JSON with sorted keys and no spaces, so that equal values have equal bytes. What is read is what
    was written: a value that JSON cannot give back as it is, is refused.
    """

    content_type = "application/json"

    def encode(self, value: Any) -> Buffer:
        """Takes dict with str keys, list, str, int, float, bool and None, nested. A tuple, a set, a key
        that is no text, NaN, an infinity and a lone surrogate are refused with the path to them.
        """
        return _dumps(_checked(value, "Json", "", 0))

    def decode(self, raw: memoryview) -> Any:
        """Any JSON document that names no field twice."""
        return json.loads(
            bytes(raw), object_pairs_hook=_object, parse_constant=_no_constant
        )

    def __repr__(self) -> str:
        return "Json"


_MAX_DEPTH: Final = 200  # json itself ends at the interpreter's limit, with a RecursionError


def _dumps(value: Any) -> bytes:
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.encode("utf-8")


def _at(path: str) -> str:
    return f" at {path}" if path else ""


def _checked(value: Any, who: str, path: str, depth: int) -> Any:
    """The value as JSON gives it back, or an error that says where it would not."""
    kind = type(value)
    if kind is str and not stamps.in_utf8(value):
        raise ValueError(f"{who} wanted text that UTF-8 can say{_at(path)}, got a lone surrogate")
    if kind in (str, int, bool) or value is None:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"{who} wanted a number that JSON has{_at(path)}, got {value}")
        return value
    if depth >= _MAX_DEPTH:
        raise ValueError(f"{who} wanted at most {_MAX_DEPTH} levels, got more{_at(path[:60])}…")
    if kind is list:
        return [
            _checked(item, who, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)
        ]
    if kind in (dict, stamps.StampedDict):
        out: dict[str, Any] = {}
        for name, item in value.items():
            if type(name) is not str:
                raise TypeError(
                    f"{who} wanted text for the keys of a dict{_at(path)}, got {name!r}, "
                    f"{type(name).__name__}, which JSON would give back as text"
                )
            if not stamps.in_utf8(name):
                raise ValueError(
                    f"{who} wanted text that UTF-8 can say for the keys of a dict{_at(path)}, got {name!r}"
                )
            out[name] = _checked(item, who, f"{path}.{name}" if path else name, depth + 1)
        if stamps.decoded(out.get(stamps.NAME)) is not None:
            raise ValueError(f"{who}: the name {stamps.NAME!r}{_at(path)} is taken by stamps of fields")
        kept = stamps.encoded(stamps.stamps_of(value), value)
        return {**out, stamps.NAME: kept} if kept else out
    hints: dict[type[Any], str] = {
        tuple: "; use a list: JSON would give back one",
        set: "; use a sorted list, or Dataclass: JSON would give back a list",
        frozenset: "; use a sorted list, or Dataclass: JSON would give back a list",
    }
    raise TypeError(
        f"{who} wanted dict, list, str, int, float, bool or None{_at(path)}, "
        f"got {kind.__name__}{hints.get(kind, '')}"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("an object names a field twice")
    kept = stamps.decoded(out.get(stamps.NAME))
    if kept is None:
        return out
    del out[stamps.NAME]
    made: dict[str, Any] = stamps.with_stamps(out, kept)
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


class Pickle:
    """Any Python object. Opt in with ``Pickle(trusted=True)``: whoever can write to the bucket can
    run code in every process that reads it.
    """

    content_type = "application/x-python-pickle"

    def __init__(self, *, trusted: bool = False) -> None:
        if not trusted:
            raise ValueError(
                "Pickle runs code of whoever wrote the value; say Pickle(trusted=True) if you "
                "trust every writer of the bucket"
            )
        warnings.warn(
            "ringlet.Pickle: reading a value runs code of whoever wrote it",
            UserWarning,
            stacklevel=2,
        )

    def encode(self, value: Any) -> Buffer:
        """Protocol 5."""
        return pickle.dumps(value, protocol=5)

    def decode(self, raw: memoryview) -> Any:
        """Runs what the pickle says."""
        return pickle.loads(raw)


class Dataclass(Generic[D]):
    """A dataclass as JSON, as deep as it goes: ``Dataclass(Cart)``.

    Fields may be str, int, float, bool, None, bytes, Decimal, UUID, datetime, date, time, timedelta,
    Enum and Literal; list, tuple, set, frozenset and dict of such; other dataclasses; Optional and
    unions; NewType; Any (what Json takes). What is written and what is read is checked against the
    annotations, all the way down: a value of another type is an error with the path to it.

    Fields that a newer version added take their defaults; fields it does not know are a
    DecodeError, so that an old program never writes back less than it read.
    """

    content_type = "application/json"

    def __init__(self, cls: type[D]) -> None:
        if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
            raise TypeError(f"Dataclass wanted a class made with @dataclass, got {cls!r}")
        self._cls = cls
        self._shape = shapes.of_class(cls, inspect.currentframe())

    def encode(self, value: D) -> Buffer:
        """The fields as a JSON object. A field of another type than annotated is a TypeError."""
        if type(value) is not self._cls:
            raise TypeError(f"Dataclass wanted {self._cls.__name__}, got {type(value).__name__}")
        return _dumps(self._shape.to_json(value, ""))

    def decode(self, raw: memoryview) -> D:
        """Builds the class from its fields."""
        fields = json.loads(bytes(raw), object_pairs_hook=_plain_object, parse_constant=_no_constant)
        made: D = self._shape.from_json(fields, "")
        return made

    def __repr__(self) -> str:
        return f"Dataclass({self._cls.__name__})"


def _plain_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("an object names a field twice")
    return out


RAW: Final[Codec[bytes]] = _Raw()
Text: Final[Codec[str]] = _Text()
Json: Final[Codec[Any]] = _Json()
