"""How values become bytes and back.

A codec has a ``content_type``, which travels with each value: a value of another type is a
``DecodeError`` that keeps the bytes, and never a wrong value. Write your own with three members.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import warnings
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

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
    """Bytes as they are. In: anything with a contiguous buffer. Out: a read-only memoryview of the
    reply.
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

    def decode(self, raw: memoryview) -> Any:
        """The view itself; ``bytes(value)`` copies."""
        return raw

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
    """JSON with sorted keys and no spaces, so that equal values have equal bytes."""

    content_type = "application/json"

    def encode(self, value: Any) -> Buffer:
        """NaN and infinities are refused: other languages cannot read them. Sets become sorted
        lists.
        """
        text = json.dumps(
            value,
            ensure_ascii=False,
            allow_nan=False,
            sort_keys=True,
            separators=(",", ":"),
            default=_plain,
        )
        return text.encode("utf-8")

    def decode(self, raw: memoryview) -> Any:
        """Any JSON document."""
        return json.loads(bytes(raw))

    def __repr__(self) -> str:
        return "Json"


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(
        f"Json wanted dict, list, str, int, float, bool or None, got {type(value).__name__}"
    )


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
    """A flat or nested dataclass as JSON: ``Dataclass(Cart)``.

    Fields that a newer version added take their defaults; fields it does not know are a
    DecodeError, so that an old program never writes back less than it read.
    """

    content_type = "application/json"

    def __init__(self, cls: type[D]) -> None:
        if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
            raise TypeError(f"Dataclass wanted a class made with @dataclass, got {cls!r}")
        self._cls = cls

    def encode(self, value: D) -> Buffer:
        """The fields as a JSON object."""
        if not isinstance(value, self._cls):
            raise TypeError(f"Dataclass wanted {self._cls.__name__}, got {type(value).__name__}")
        fields: Any = value
        return Json.encode(dataclasses.asdict(fields))

    def decode(self, raw: memoryview) -> D:
        """Builds the class from its fields."""
        return _build(self._cls, Json.decode(raw))

    def __repr__(self) -> str:
        return f"Dataclass({self._cls.__name__})"


def _build(cls: type[D], fields: Any) -> D:
    if not isinstance(fields, dict):
        raise ValueError(f"{cls.__name__} wanted a JSON object, got {type(fields).__name__}")
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise ValueError(
            f"{cls.__name__} has no field {', '.join(unknown)}; it has {', '.join(known)}"
        )
    hints = _hints(cls)
    return cls(**{name: _fit(hints.get(name), value) for name, value in fields.items()})


def _hints(cls: type[Any]) -> dict[str, Any]:
    import typing

    try:
        return typing.get_type_hints(cls)
    except NameError:  # a class of a function's scope under `from __future__ import annotations`
        return {}


def _fit(hint: Any, value: Any) -> Any:
    """JSON has no sets, tuples or dataclasses: make them again where the field says so."""
    import typing

    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _build(hint, value)
    origin = typing.get_origin(hint) or hint
    if origin in (set, frozenset, tuple) and isinstance(value, list):
        return origin(value)
    return value


RAW: Final[Codec[Any]] = _Raw()
Text: Final[Codec[str]] = _Text()
Json: Final[Codec[Any]] = _Json()
