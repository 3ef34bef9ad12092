"""Documents: values that merge themselves, for carts, sessions and preferences.

Concurrent edits of a document are merged by Ringlet: no resolver is asked, nothing that was added is lost,
what was removed does not come back, and counters are exact.

>>> import ringlet
>>> from ringlet.document import Counter, Flag, Map, Set
>>> cart = Map(items=Map(of=Counter), coupons=Set, gift=Flag)
>>> with ringlet.local_cluster() as cluster:
...     carts = cluster.connect().bucket("carts", codec=cart)
...     _ = carts.edit("alice", lambda c: c["items"]["tea"].increment(2))
...     with carts.editing("alice") as c:
...         c["coupons"].add("SUMMER")
...         c["gift"].enable()
...     carts.get("alice").value
{'items': {'tea': 2}, 'coupons': {'SUMMER'}, 'gift': True}
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeAlias, TypeVar, overload

from . import _core
from .codecs import Codec
from .errors import DecodeError, Key, UsageError, from_core_error
from .versioned import decode, name_of

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
Name: TypeAlias = str | bytes | int | bool
Element: TypeAlias = str | bytes | int | bool
Scalar: TypeAlias = str | bytes | int | bool | float | None

CONTENT_TYPE: Final = "application/vnd.ringlet.document"

_ADD, _REMOVE, _INCREMENT, _SET, _SET_ALL = 1, 2, 3, 4, 5
_ENABLE, _DISABLE, _ERASE, _DISCARD, _CLEAR = 6, 7, 8, 9, 10
_TYPES: Final = {
    1: "a map",
    2: "a set",
    3: "a counter",
    4: "a flag",
    5: "a register",
    6: "a register of all values",
}


class _Node:
    """A field as it is stored: its type, its value, and what it holds."""

    __slots__ = ("elements", "fields", "type", "value")

    def __init__(self, type_: int, value: Any) -> None:
        self.type = type_
        self.value = value
        self.fields: dict[Name, list[_Node]] = {}
        self.elements: list[Any] = []


def _tree(items: Iterable[tuple[int, int, Any, Any]]) -> _Node:
    root = _Node(1, None)
    holders = [root]
    for depth, type_, name, value in items:
        del holders[depth + 1 :]
        if type_ == 7:
            holders[depth].elements.append(value)
            continue
        node = _Node(type_, value)
        holders[depth].fields.setdefault(_hashable(name), []).append(node)
        holders.append(node)
    return root


def _hashable(name: Any) -> Any:
    # True and 1 are one key of a dict and two names of a document.
    return ("boolean", name) if isinstance(name, bool) else name


def _plain(name: Any) -> Any:
    return name[1] if isinstance(name, tuple) else name


def _order(scalar: Any) -> tuple[int, Any]:
    """The order in which a document keeps elements and names: where many are added, each comes last."""
    if isinstance(scalar, str):
        return 0, scalar.encode("utf-8", "surrogatepass")
    if isinstance(scalar, bytes):
        return 1, scalar
    if isinstance(scalar, bool):
        return 3, scalar
    return (2, scalar) if isinstance(scalar, int) else (4, 0)  # the rest is refused as an edit


def _distinct(path: str, what: str, scalars: Iterable[Any]) -> None:
    """Refuses what Python holds to be one thing and a document does not: a wrong value would be read."""
    seen: dict[Any, Any] = {}
    for scalar in scalars:
        other = seen.setdefault(scalar, scalar)
        if type(other) is not type(scalar):
            raise DecodeError(
                f"{path or 'the document'}: {other!r} and {scalar!r} are two {what} of the document, "
                "and one in Python; remove one of them",
                raw=memoryview(b""), content_type=CONTENT_TYPE,
            )


class Schema(Generic[T_co]):
    """The type of a field. ``T`` is what its value is in Python."""

    _type: ClassVar[int] = 0

    @overload
    def __get__(self, record: Record, owner: type[Any]) -> T_co: ...
    @overload
    def __get__(self, record: object, owner: type[Any]) -> Self: ...
    def __get__(self, record: Any, owner: type[Any]) -> Any:
        # A field of a Record gives its value; elsewhere a schema is an attribute as any other.
        return record._values[self._name_in(owner)] if isinstance(record, Record) else self

    def _name_in(self, owner: type[Record]) -> str:
        return next(name for name, field in owner._fields.items() if field is self)

    def _empty(self) -> T_co:
        raise NotImplementedError

    def _value(self, node: _Node, path: str) -> T_co:
        raise NotImplementedError

    def _editor(self, edits: _Edits, path: tuple[Name, ...]) -> Editor:
        raise NotImplementedError

    def _take(self, edits: _Edits, path: tuple[Name, ...], value: Any) -> None:
        raise NotImplementedError


def _schema(field: Any, where: str) -> Schema[Any]:
    if isinstance(field, type) and issubclass(field, Schema):
        field = field()
    if not isinstance(field, Schema):
        raise TypeError(
            f"{where}: wanted Map, Set, Counter, Flag, Register or RegisterAll, got {field!r}"
        )
    return field


class Set(Schema[set[Element]]):
    """Elements; one is gone only if whoever removed it had seen that adding."""

    _type = 2

    def _empty(self) -> set[Element]:
        return set()

    def _value(self, node: _Node, path: str) -> set[Element]:
        _distinct(path, "elements", node.elements)
        return set(node.elements)

    def _editor(self, edits: _Edits, path: tuple[Name, ...]) -> SetEditor:
        return SetEditor(edits, path)

    def _take(self, edits: _Edits, path: tuple[Name, ...], value: Any) -> None:
        for element in sorted(value, key=_order):
            edits.append(_ADD, path, element)


class Counter(Schema[int]):
    """Increments and decrements, exact."""

    _type = 3

    def _empty(self) -> int:
        return 0

    def _value(self, node: _Node, path: str) -> int:
        return int(node.value)

    def _editor(self, edits: _Edits, path: tuple[Name, ...]) -> CounterEditor:
        return CounterEditor(edits, path)

    def _take(self, edits: _Edits, path: tuple[Name, ...], value: Any) -> None:
        CounterEditor(edits, path).increment(value)


class Flag(Schema[bool]):
    """On or off; enabled by one and disabled by another at the same time, it is enabled."""

    _type = 4

    def _empty(self) -> bool:
        return False

    def _value(self, node: _Node, path: str) -> bool:
        return True

    def _editor(self, edits: _Edits, path: tuple[Name, ...]) -> FlagEditor:
        return FlagEditor(edits, path)

    def _take(self, edits: _Edits, path: tuple[Name, ...], value: Any) -> None:
        if value:
            edits.append(_ENABLE, path)


class Register(Schema[Scalar]):
    """One value: of those that were set at the same time the latest."""

    _type = 5

    def _empty(self) -> Scalar:
        return None

    def _value(self, node: _Node, path: str) -> Scalar:
        value: Scalar = node.value
        return value

    def _editor(self, edits: _Edits, path: tuple[Name, ...]) -> RegisterEditor:
        return RegisterEditor(edits, path, _SET)

    def _take(self, edits: _Edits, path: tuple[Name, ...], value: Any) -> None:
        edits.append(_SET, path, value)


class RegisterAll(Schema[list[Scalar]]):
    """All values that were set at the same time."""

    _type = 6

    def _empty(self) -> list[Scalar]:
        return []

    def _value(self, node: _Node, path: str) -> list[Scalar]:
        return list(node.elements)

    def _editor(self, edits: _Edits, path: tuple[Name, ...]) -> RegisterEditor:
        return RegisterEditor(edits, path, _SET_ALL)

    def _take(self, edits: _Edits, path: tuple[Name, ...], value: Any) -> None:
        values = list(value)
        if len(values) > 1:
            where = "/".join(str(each) for each in path)
            raise UsageError(
                f"{where}: wanted at most one value, got {len(values)}: a register of all values has "
                "several where several were set at the same time, and this is one version; use a Set"
            )
        for each in values:
            edits.append(_SET_ALL, path, each)


class Map(Schema[T]):
    """Named fields, ``Map(items=…, gift=Flag)``, or fields of any name and one type, ``Map(of=Counter)``.

    The outermost one is the codec of a bucket: ``client.bucket("carts", codec=Map(…))``. Of a document that
    is stored, fields that the schema does not name are left alone.
    """

    _type = 1
    content_type = CONTENT_TYPE

    @overload
    def __init__(self: Map[dict[Name, int]], /, *, of: type[Counter] | Counter) -> None: ...
    @overload
    def __init__(self: Map[dict[Name, set[Element]]], /, *, of: type[Set] | Set) -> None: ...
    @overload
    def __init__(self: Map[dict[Name, bool]], /, *, of: type[Flag] | Flag) -> None: ...
    @overload
    def __init__(self: Map[dict[Name, Scalar]], /, *, of: type[Register] | Register) -> None: ...
    @overload
    def __init__(
        self: Map[dict[Name, list[Scalar]]], /, *, of: type[RegisterAll] | RegisterAll
    ) -> None: ...
    @overload
    def __init__(self: Map[dict[Name, U]], /, *, of: Map[U]) -> None: ...
    @overload
    def __init__(
        self: Map[dict[str, Any]], /, **fields: type[Schema[Any]] | Schema[Any]
    ) -> None: ...
    def __init__(self, /, *, of: Any = None, **fields: Any) -> None:
        if of is not None and fields:
            raise TypeError(f"Map wanted of=… or named fields, got both: {', '.join(fields)}")
        self._of = None if of is None else _schema(of, "Map(of=…)")
        self._fields = {name: _schema(field, f"Map({name}=…)") for name, field in fields.items()}
        self._old: tuple[Codec[Any], Callable[[Any], Any]] | None = None
        self._record: Callable[[dict[str, Any]], Any] | None = None

    def from_value(self, codec: Codec[U], take: Callable[[U], Any]) -> Map[T]:
        """The same schema, which also reads values that are no documents: those that a program of before
        wrote with ``codec``. ``take`` makes of such a value what the document's value would be, as
        ``lambda items: {"coupons": set(items)}``. The next edit writes a document in their place.

        What a value holds counts once, also when several clients take it over at the same time. Two
        values that were written at the same time are merged as documents are: their counters are added. So
        let the program of before end first: each value that it goes on writing is one more.
        """
        other: Map[T] = Map.__new__(Map)
        other._of, other._fields, other._old = self._of, self._fields, (codec, take)
        other._record = self._record
        return other

    def encode(self, value: T) -> bytes:
        """Documents are edited: a whole value would undo what others do at the same time."""
        raise UsageError("a document is not put: change it with Bucket.edit or Bucket.editing")

    def decode(self, data: memoryview) -> T:
        """The value of one version alone."""
        return self._value(_tree(_core.document_parse(bytes(data))), "")

    def _empty(self) -> T:
        return self._made({name: field._empty() for name, field in self._fields.items()})

    def _made(self, value: dict[Any, Any]) -> T:
        made: Any = value if self._record is None else self._record(value)
        return made  # type: ignore[no-any-return]

    def _value(self, node: _Node, path: str) -> T:
        def inside(name: Any) -> str:
            shown = _plain(name)
            text = shown if isinstance(shown, str) else repr(shown)
            return f"{path}/{text}" if path else text

        def read(schema: Schema[Any], name: Any, nodes: list[_Node]) -> Any:
            for each in nodes:
                if each.type == schema._type:
                    return schema._value(each, inside(name))
            raise DecodeError(
                f"{inside(name)}: wanted {_TYPES[schema._type]}, got "
                f"{' and '.join(_TYPES[each.type] for each in nodes)}",
                raw=memoryview(b""), content_type=CONTENT_TYPE,
            )

        value: dict[Any, Any] = {}
        if self._of is not None:
            _distinct(path, "names", map(_plain, node.fields))
            for name, nodes in node.fields.items():
                value[_plain(name)] = read(self._of, name, nodes)
        for name, field in self._fields.items():
            nodes = node.fields.get(name, [])
            value[name] = read(field, name, nodes) if nodes else field._empty()
        return self._made(value)

    def _field(self, name: Name, path: tuple[Name, ...]) -> Schema[Any]:
        if self._of is not None:
            return self._of
        field = self._fields.get(name) if isinstance(name, str) else None
        if field is None:
            where = "/".join(str(each) for each in path) or "the document"
            raise UsageError(
                f"{where} has no field {name!r}; it has {', '.join(self._fields) or 'none'}"
            )
        return field

    def _editor(self, edits: _Edits, path: tuple[Name, ...]) -> MapEditor:
        return MapEditor(edits, path, self)

    def _take(self, edits: _Edits, path: tuple[Name, ...], value: Any) -> None:
        if not isinstance(value, Mapping):
            where = "/".join(str(each) for each in path) or "from_value"
            raise TypeError(f"{where}: wanted a dict, got {type(value).__name__}")
        for name in sorted(value, key=_order):
            self._field(name, path)._take(edits, (*path, name), value[name])

    def __repr__(self) -> str:
        if self._of is not None:
            return f"Map(of={type(self._of).__name__})"
        return f"Map({', '.join(f'{n}={type(f).__name__}' for n, f in self._fields.items())})"

    # ---- what a bucket asks ----

    def _edits_of(self, fn: Callable[[MapEditor], object]) -> bytes:
        edits = _Edits()
        said = fn(self._editor(edits, ()))
        if inspect.isgenerator(said) or inspect.iscoroutine(said):
            said.close()
            raise UsageError(
                f"edit: {name_of(fn)} returned a {type(said).__name__}, which has not run: say the edits in "
                "a loop of a plain function"
            )
        return edits.sent()

    def _taken(self, reply: _core.Reply, key: Key | None) -> list[tuple[int, bytes]]:
        """What the versions hold that are no documents, by their numbers, as edits."""
        if self._old is None:
            return []
        codec, take = self._old
        taken: list[tuple[int, bytes]] = []
        for index in range(reply.count):
            content_type = reply.content_type(index).decode("utf-8", "replace")
            if reply.is_tombstone(index) or content_type == CONTENT_TYPE:
                continue
            edits = _ManyEdits()
            value = decode(codec, memoryview(reply.value(index)), content_type, key)
            self._take(edits, (), take(value))
            taken += [(index, part) for part in edits.parts()]
        return taken

    def _written(self, reply: _core.Reply, edits: bytes, key: Key | None) -> bytes:
        """What the versions become by the edits, with those taken over that are no documents."""
        return reply.document_take_over(self._taken(reply, key), edits)

    def _of_reply(self, reply: _core.Reply, key: Key | None) -> T:
        try:
            if any(
                reply.content_type(index).decode("utf-8", "replace") != CONTENT_TYPE
                for index in range(reply.count if self._old is not None else 0)
                if not reply.is_tombstone(index)
            ):
                items = _core.document_parse(self._written(reply, b"", key))
            else:
                items = reply.document()
        except _core.CoreError as error:
            raise DecodeError(
                str(from_core_error(error, key)), raw=memoryview(b""), content_type=CONTENT_TYPE, key=key
            ) from None
        return self._value(_tree(items), "")


class Record:
    """A document's named fields as a class, so that type checkers know the type of each.

    >>> class Cart(Record):
    ...     items = Map(of=Counter)
    ...     coupons = Set()
    ...     gift = Flag()
    >>> cart = Cart.schema()

    ``cart`` is the codec of a bucket, as ``Map(items=Map(of=Counter), coupons=Set, gift=Flag)`` is, and stores
    the same bytes. A value that is read is a ``Cart``: ``value.items`` is a dict, ``value.coupons`` a set.
    A record in a record is a field ``address = Address.schema()``. A field whose name is not an attribute's,
    begins with ``_``, or is ``schema`` or ``asdict``, needs ``Map(…)``.
    """

    __slots__ = ("_values",)
    _fields: ClassVar[Mapping[str, Schema[Any]]] = {}
    _values: dict[str, Any]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        fields = dict(cls._fields)
        for name in cls.__dict__.get("__annotations__", {}):
            if name not in cls.__dict__ and not name.startswith("_"):
                raise TypeError(f"{cls.__name__}.{name}: wanted {name} = a schema, got its type alone")
        for name, field in cls.__dict__.items():
            if isinstance(field, type) and issubclass(field, Schema):
                raise TypeError(f"{cls.__name__}.{name}: wanted {field.__name__}(…), got the class")
            if not isinstance(field, Schema):
                fields.pop(name, None)
                continue
            if name.startswith("_") or name in ("schema", "asdict"):
                raise TypeError(f"{cls.__name__}.{name}: a field of a record cannot have this name")
            if any(field is other for known, other in fields.items() if known != name):
                raise TypeError(f"{cls.__name__}.{name}: wanted a schema of its own, got another field's")
            fields[name] = field
        cls._fields = fields

    def __init__(self, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", values)

    @classmethod
    def schema(cls) -> Map[Self]:
        """The codec of a bucket, or a field of another record."""
        if not cls._fields:
            raise TypeError(f"{cls.__name__}: wanted at least one field, got none")
        made: Any = Map(**cls._fields)
        made._record = cls
        return made  # type: ignore[no-any-return]

    def asdict(self) -> dict[str, Any]:
        """What ``Map(…)`` with these fields gives: records in it become dicts as well."""
        return {name: _as_dict(value) for name, value in self._values.items()}

    def __reduce__(self) -> Any:
        return type(self), (self._values,)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: a record is what was read; change it with Bucket.edit or Bucket.editing")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record) and type(other) is type(self):
            return self._values == other._values
        return NotImplemented

    __hash__: ClassVar[None]  # type: ignore[assignment]
    __hash__ = None

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"{type(self).__name__}({inside})"


def _as_dict(value: Any) -> Any:
    if isinstance(value, Record):
        return value.asdict()
    if isinstance(value, dict):
        return {name: _as_dict(each) for name, each in value.items()}
    return value


class _Edits:
    """Edits as they are made."""

    def __init__(self) -> None:
        self._core = _core.Edits()
        self._sent = False

    def append(self, kind: int, path: Sequence[Name], value: object = None, amount: int = 0) -> None:
        if self._sent:
            raise UsageError("the edits of this document were sent already: begin another edit")
        if kind == _INCREMENT and not -(2**63) <= amount < 2**63:
            raise UsageError(f"increment: wanted an amount of 64 bits, got {amount}")
        try:
            self._core.append(kind, path, value, amount)
        except _core.CoreError as error:
            raise from_core_error(error) from None
        except (ValueError, UnicodeEncodeError) as error:
            raise UsageError(str(error)) from None

    def sent(self) -> bytes:
        """Their bytes. What is said after that would be lost, and is an error."""
        self._sent = True
        return self._core.bytes()


class _ManyEdits(_Edits):
    """As many as there are, in lists of the length that one call takes."""

    _LENGTH = 4096

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def append(self, kind: int, path: Sequence[Name], value: object = None, amount: int = 0) -> None:
        if self._core.count == self._LENGTH:
            self._parts.append(self._core.bytes())
            self._core = _core.Edits()
        super().append(kind, path, value, amount)

    def parts(self) -> list[bytes]:
        return [*self._parts, self._core.bytes()]


class Editor:
    """Where edits of a field are said; nothing is read and nothing is sent before the end."""

    __slots__ = ("_edits", "_path")

    def __init__(self, edits: _Edits, path: tuple[Name, ...]) -> None:
        self._edits = edits
        self._path = path

    def clear(self) -> None:
        """Removes what the field holds, as far as it was seen."""
        self._edits.append(_CLEAR, self._path)


class SetEditor(Editor):
    """Edits of a set."""

    __slots__ = ()

    def add(self, *elements: Element) -> None:
        """Adds them."""
        for element in elements:
            self._edits.append(_ADD, self._path, element)

    def discard(self, *elements: Element) -> None:
        """Removes those that are there."""
        for element in elements:
            self._edits.append(_REMOVE, self._path, element)

    remove = discard


class CounterEditor(Editor):
    """Edits of a counter."""

    __slots__ = ()

    def increment(self, amount: int = 1) -> None:
        """Adds ``amount``, which may be negative."""
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise TypeError(f"increment wanted a whole number, got {type(amount).__name__}")
        self._edits.append(_INCREMENT, self._path, None, amount)

    def decrement(self, amount: int = 1) -> None:
        """Takes ``amount`` off."""
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise TypeError(f"decrement wanted a whole number, got {type(amount).__name__}")
        self.increment(-amount)

    def __iadd__(self, amount: int) -> CounterEditor:
        self.increment(amount)
        return self

    def __isub__(self, amount: int) -> CounterEditor:
        self.decrement(amount)
        return self


class FlagEditor(Editor):
    """Edits of a flag."""

    __slots__ = ()

    def enable(self) -> None:
        """Turns it on."""
        self._edits.append(_ENABLE, self._path)

    def disable(self) -> None:
        """Turns it off."""
        self._edits.append(_DISABLE, self._path)


class RegisterEditor(Editor):
    """Edits of a register."""

    __slots__ = ("_kind",)

    def __init__(self, edits: _Edits, path: tuple[Name, ...], kind: int) -> None:
        super().__init__(edits, path)
        self._kind = kind

    def set(self, value: Scalar) -> None:
        """Its value from now on."""
        self._edits.append(self._kind, self._path, value)


class MapEditor(Editor):
    """Edits of a map: ``c["items"]["tea"].increment()``, ``c["note"] = "ring twice"``, ``del c["gift"]``."""

    __slots__ = ("_schema",)

    def __init__(self, edits: _Edits, path: tuple[Name, ...], schema: Map[Any]) -> None:
        super().__init__(edits, path)
        self._schema = schema

    def __getitem__(self, name: Name) -> Any:
        """The editor of a field."""
        return self._schema._field(name, self._path)._editor(self._edits, (*self._path, name))

    def __setitem__(self, name: Name, value: Any) -> None:
        """Sets a register or a flag; takes back what ``+=`` gives."""
        editor = self[name]
        if isinstance(value, Editor):
            if value._path == editor._path:
                return
        elif isinstance(editor, RegisterEditor):
            return editor.set(value)
        elif isinstance(editor, FlagEditor) and isinstance(value, bool):
            return editor.enable() if value else editor.disable()
        raise UsageError(
            f"{'/'.join(map(str, editor._path))}: only a register or a flag is set to a value; "
            f"use the methods of {type(editor).__name__}"
        )

    def __delitem__(self, name: Name) -> None:
        """Removes a field, which must be there when the edit is applied."""
        self._schema._field(name, self._path)
        self._edits.append(_ERASE, (*self._path, name))

    def discard(self, name: Name) -> None:
        """Removes a field if it is there."""
        self._schema._field(name, self._path)
        self._edits.append(_DISCARD, (*self._path, name))
