"""How the annotations of a dataclass become checks: what Dataclass writes and reads.

msgspec does most of this and does it faster. It is not used: it ignores fields that a plain dataclass does
not have, where an old program would then write back less than it read; it cannot resolve annotations of
classes that are made in a function; and this package has no dependencies and is built without an index.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import math
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from . import stamps


class Shape(NamedTuple):
    """One annotation: its name, and both directions. Each raises TypeError or ValueError with the path."""

    name: str
    to_json: Callable[[Any, str], Any]
    from_json: Callable[[Any, str], Any]


def _wrong(wanted: str, got: Any, path: str) -> TypeError:
    try:
        shown = repr(got)
    except ValueError:  # an integer of more than 4300 digits
        shown = "of too many digits to show"
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    return TypeError(f"{path or 'value'}: wanted {wanted}, got {type(got).__name__} {shown}")


def _exactly(kind: type[Any], name: str) -> Shape:
    def check(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise _wrong(name, value, path)
        return value

    return Shape(name, check, check)


def _str() -> Shape:
    def check(value: Any, path: str) -> Any:
        if type(value) is not str:
            raise _wrong("str", value, path)
        if not stamps.in_utf8(value):
            raise ValueError(f"{path or 'value'}: wanted text that UTF-8 can say, got a lone surrogate")
        return value

    return Shape("str", check, check)


def _float() -> Shape:
    def check(value: Any, path: str) -> Any:
        try:
            number = float(value) if type(value) in (float, int) else math.nan
        except OverflowError:  # of an integer
            number = math.inf
        if not math.isfinite(number):
            raise _wrong("a finite float", value, path)
        return number

    return Shape("float", check, check)


def _as_text(
    kind: type[Any], show: Callable[[Any], str], parse: Callable[[str], Any]
) -> Shape:
    name = kind.__name__

    def to_json(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise _wrong(name, value, path)
        return show(value)

    def from_json(value: Any, path: str) -> Any:
        if type(value) is not str:
            raise _wrong(f"{name} as text", value, path)
        try:
            return parse(value)
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"{path or 'value'}: wanted {name}, got {value[:60]!r}: {error}") from None

    return Shape(name, to_json, from_json)


def _show_decimal(value: decimal.Decimal) -> str:
    return str(value)


_SCALARS: dict[Any, Shape] = {
    str: _str(),
    int: _exactly(int, "int"),
    bool: _exactly(bool, "bool"),
    type(None): _exactly(type(None), "None"),
    None: _exactly(type(None), "None"),
    float: _float(),
    bytes: _as_text(
        bytes,
        lambda value: base64.b64encode(value).decode("ascii"),
        lambda text: base64.b64decode(text, validate=True),
    ),
    decimal.Decimal: _as_text(decimal.Decimal, _show_decimal, decimal.Decimal),
    uuid.UUID: _as_text(uuid.UUID, str, uuid.UUID),
    datetime.datetime: _as_text(
        datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat
    ),
    datetime.date: _as_text(datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: _as_text(datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
}


def _timedelta() -> Shape:
    micro = datetime.timedelta(microseconds=1)

    def to_json(value: Any, path: str) -> Any:
        if type(value) is not datetime.timedelta:
            raise _wrong("timedelta", value, path)
        return value // micro

    def from_json(value: Any, path: str) -> Any:
        if type(value) is not int:
            raise _wrong("timedelta as microseconds", value, path)
        try:
            return datetime.timedelta(microseconds=value)
        except OverflowError:
            raise _wrong("timedelta as microseconds", value, path) from None

    return Shape("timedelta", to_json, from_json)


def _anything() -> Shape:
    from . import codecs

    def to_json(value: Any, path: str) -> Any:
        return codecs._checked(value, "Dataclass", path, 0)

    return Shape("Any", to_json, lambda value, path: value)


def _enum(kind: type[enum.Enum]) -> Shape:
    by_name = kind.__members__

    def to_json(value: Any, path: str) -> Any:
        if type(value) is not kind or value.name is None or value.name not in by_name:
            raise _wrong(f"a member of {kind.__name__}", value, path)
        return value.name

    def from_json(value: Any, path: str) -> Any:
        if type(value) is not str or value not in by_name:
            raise _wrong(f"one of {', '.join(by_name)}", value, path)
        return by_name[value]

    return Shape(kind.__name__, to_json, from_json)


def _literal(choices: tuple[Any, ...], where: str) -> Shape:
    for choice in choices:
        if type(choice) not in (str, int, bool, type(None)):
            raise TypeError(f"{where}: Dataclass cannot write Literal[{choice!r}]; it writes str, int, bool and None there")
    name = "one of " + ", ".join(repr(choice) for choice in choices)

    def check(value: Any, path: str) -> Any:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return value
        raise _wrong(name, value, path)

    return Shape(name, check, check)


def _sequence(kind: type[Any], item: Shape) -> Shape:
    name = f"{kind.__name__}[{item.name}]"
    unordered = kind in (set, frozenset)

    def to_json(value: Any, path: str) -> Any:
        if type(value) is not kind:
            raise _wrong(name, value, path)
        out = [item.to_json(each, f"{path}[{i}]") for i, each in enumerate(value)]
        return sorted(out, key=stamps.canonical) if unordered else out

    def from_json(value: Any, path: str) -> Any:
        if type(value) is not list:
            raise _wrong(name, value, path)
        return kind(item.from_json(each, f"{path}[{i}]") for i, each in enumerate(value))

    return Shape(name, to_json, from_json)


def _fixed_tuple(items: tuple[Shape, ...]) -> Shape:
    name = f"tuple[{', '.join(item.name for item in items)}]"

    def each(value: Any, path: str, direction: str) -> list[Any]:
        if len(value) != len(items):
            raise _wrong(f"{name}, {len(items)} items", value, path)
        return [
            getattr(item, direction)(part, f"{path}[{i}]")
            for i, (item, part) in enumerate(zip(items, value, strict=True))
        ]

    def to_json(value: Any, path: str) -> Any:
        if type(value) is not tuple:
            raise _wrong(name, value, path)
        return each(value, path, "to_json")

    def from_json(value: Any, path: str) -> Any:
        if type(value) is not list:
            raise _wrong(name, value, path)
        return tuple(each(value, path, "from_json"))

    return Shape(name, to_json, from_json)


def _dict(key: Shape, item: Shape) -> Shape:
    """Of text an object; of other keys a list of pairs, which JSON gives back as they were."""
    name = f"dict[{key.name}, {item.name}]"
    text = key.name == "str"

    def to_json(value: Any, path: str) -> Any:
        if type(value) is not dict:
            raise _wrong(name, value, path)
        pairs = [
            (key.to_json(k, f"{path} key {k!r}"), item.to_json(v, f"{path}[{k!r}]"))
            for k, v in value.items()
        ]
        if text:
            return dict(pairs)
        return sorted((list(pair) for pair in pairs), key=stamps.canonical)

    def from_json(value: Any, path: str) -> Any:
        if text:
            if type(value) is not dict:
                raise _wrong(name, value, path)
            pairs = list(value.items())
        else:
            bad = type(value) is not list or any(
                type(pair) is not list or len(pair) != 2 for pair in value
            )
            if bad:
                raise _wrong(f"{name} as pairs", value, path)
            pairs = [(pair[0], pair[1]) for pair in value]
        return {
            key.from_json(k, f"{path} key {k!r}"): item.from_json(v, f"{path}[{k!r}]")
            for k, v in pairs
        }

    return Shape(name, to_json, from_json)


def _union(parts: tuple[Shape, ...]) -> Shape:
    """The first part that takes the value. A number is a float only where no part is an int."""
    name = " | ".join(part.name for part in parts)
    ordered = sorted(parts, key=lambda part: part.name == "float")

    def tried(direction: str) -> Callable[[Any, str], Any]:
        def convert(value: Any, path: str) -> Any:
            errors = []
            for part in ordered:
                try:
                    return getattr(part, direction)(value, path)
                except (TypeError, ValueError) as error:
                    errors.append(error)
            others = [e for e, p in zip(errors, ordered, strict=False) if p.name != "None"]
            if value is not None and len(others) == 1:
                raise others[0]  # an Optional: it says more than the union does
            raise _wrong(name, value, path)

        return convert

    return Shape(name, tried("to_json"), tried("from_json"))


def _plain_hint(hint: Any) -> Any:
    """What a NewType or Annotated is of."""
    while True:
        if isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif typing.get_origin(hint) is typing.Annotated:
            hint = typing.get_args(hint)[0]
        else:
            return hint


def _in_json(name: str, hint: Any) -> list[tuple[str, str]]:
    """What a part of a union is in JSON, each with what it is told apart by: its own name, or the type that it
    is read as in any case.
    """
    origin = typing.get_origin(hint) or hint
    if origin is typing.Literal:
        of_type = {str: ("text", "str"), int: ("a whole number", "int")}
        return [of_type[type(c)] for c in typing.get_args(hint) if type(c) in of_type]
    if origin is int:
        return [("a whole number", "int")]
    if origin in (float, bool, type(None), None):
        return []
    if origin is datetime.timedelta:
        return [("a whole number", name)]
    if isinstance(origin, type) and dataclasses.is_dataclass(origin):
        return [("an object", name)]
    if origin is dict:
        by_text = not typing.get_args(hint) or _plain_hint(typing.get_args(hint)[0]) is str
        return [("an object" if by_text else "a list", name)]
    if origin in (list, tuple, set, frozenset):
        return [("a list", name)]
    if origin in (Any, object):
        return [("anything", name)]
    return [("text", name)]


def _unambiguous(name: str, parts: tuple[Shape, ...], args: tuple[Any, ...]) -> None:
    """Two parts that are the same in JSON could not be told apart when they are read."""
    as_json: dict[str, str] = {}
    for part, arg in zip(parts, args, strict=True):
        for kind, told in _in_json(part.name, _plain_hint(arg)):
            other = as_json.setdefault(kind, told)
            if other != told:
                raise TypeError(
                    f"{name}: {other} and {told} are both {kind} in JSON and would be mixed up"
                )


def of_class(cls: type[Any], frame: types.FrameType | None = None) -> Shape:
    """The shape of a dataclass. `frame`: of a caller, in whose scope names are looked up that are not the
    module's.
    """
    scope: dict[str, Any] = {}
    while frame is not None:  # the nearest scope wins
        scope = {**frame.f_locals, **scope} if frame.f_code.co_name != "<module>" else scope
        frame = frame.f_back
    return _class(cls, scope, {})


def _class(cls: type[Any], scope: Mapping[str, Any], made: dict[type[Any], Shape]) -> Shape:
    """`made`: the classes that are under way or done: one may contain itself."""
    if cls in made:
        return made[cls]
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name, field in getattr(cls, "__dataclass_fields__", {}).items():
        if name not in fields and field._field_type is dataclasses._FIELD_INITVAR:  # type: ignore[attr-defined]
            raise TypeError(
                f"{cls.__name__}.{name}: Dataclass cannot write an InitVar: no instance has it, and none "
                "could be made when it is read"
            )
    parts: dict[str, Shape] = {}

    def to_json(value: Any, path: str) -> Any:
        if type(value) is not cls:
            raise _wrong(cls.__name__, value, path)
        out = {}
        for name, part in parts.items():
            out[name] = part.to_json(getattr(value, name), f"{path}.{name}" if path else name)
        kept = stamps.encoded(
            stamps.stamps_of(value), {name: getattr(value, name) for name in parts}
        )
        return {**out, stamps.NAME: kept} if kept else out

    def from_json(value: Any, path: str) -> Any:
        if type(value) is not dict:
            raise _wrong(f"{cls.__name__}, an object", value, path)
        kept = stamps.decoded(value.get(stamps.NAME))
        given = {n: v for n, v in value.items() if kept is None or n != stamps.NAME}
        unknown = sorted(set(given) - set(parts))
        if unknown:
            raise ValueError(
                f"{path or 'value'}: {cls.__name__} has no field {', '.join(unknown)}; "
                f"it has {', '.join(parts)}"
            )
        read = {
            name: parts[name].from_json(item, f"{path}.{name}" if path else name)
            for name, item in given.items()
        }
        missing = [
            name
            for name, field in fields.items()
            if name not in read
            and field.init
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise ValueError(f"{path or 'value'}: {cls.__name__} wanted {', '.join(missing)}, got none")
        result = cls(**{name: item for name, item in read.items() if fields[name].init})
        for name, item in read.items():
            if not fields[name].init:
                object.__setattr__(result, name, item)
        return stamps.with_stamps(result, kept) if kept else result

    shape = made[cls] = Shape(cls.__name__, to_json, from_json)
    try:
        hints = typing.get_type_hints(cls, localns={**scope, cls.__name__: cls})
    except NameError as error:
        raise TypeError(f"Dataclass({cls.__name__}): {error}, in an annotation") from None
    for name, field in fields.items():
        if stamps.NAME == name:  # not possible as an identifier; here for the reader
            raise TypeError(f"{cls.__name__}: the name {name} is taken")
        parts[name] = _of(hints[name], f"{cls.__name__}.{field.name}", scope, made)
    return shape


def _of(hint: Any, where: str, scope: Mapping[str, Any], made: dict[type[Any], Shape]) -> Shape:
    def inner(arg: Any) -> Shape:
        return _of(arg, where, scope, made)

    if isinstance(hint, typing.NewType):
        return inner(hint.__supertype__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return inner(args[0])
    if origin in (typing.Final, typing.ClassVar):
        return inner(args[0])
    if hint is Any or hint is object:
        return _anything()
    if origin is None and hint in _SCALARS:
        return _SCALARS[hint]
    if hint is datetime.timedelta:
        return _timedelta()
    if origin is typing.Literal:
        return _literal(args, where)
    if origin in (typing.Union, types.UnionType):
        parts = tuple(inner(arg) for arg in args)
        _unambiguous(where, parts, args)
        return _union(parts)
    kind = origin or hint
    if kind in (list, set, frozenset):
        return _sequence(kind, inner(args[0]) if args else _anything())
    if kind is tuple:
        if not args:
            return _sequence(tuple, _anything())
        if len(args) == 2 and args[1] is Ellipsis:
            return _sequence(tuple, inner(args[0]))
        return _fixed_tuple(tuple(inner(arg) for arg in args))
    if kind is dict:
        if not args:
            return _dict(_SCALARS[str], _anything())
        return _dict(inner(args[0]), inner(args[1]))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _class(kind, scope, made)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind)
    raise TypeError(
        f"{where}: Dataclass cannot write {hint!r}; it writes str, int, float, bool, None, bytes, Decimal, "
        "UUID, datetime, date, time, timedelta, Enum, Literal, list, tuple, set, frozenset, dict, "
        "dataclasses, unions and Any"
    )
