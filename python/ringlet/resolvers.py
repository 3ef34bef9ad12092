"""Ready-made merge functions, and the parts to build your own from.

A resolver gets the siblings, two or more, and returns the value that replaces them, ``Delete`` or
``Keep``. It may be asked several times and on different machines, so it must be a function of the
siblings alone: their order, and whether they come at once or one after another, must not matter. All
here keep that law but ``last_write``, which looks at the time of a whole version.

Every value has a result or an error that names the sibling. A sibling that is a delete (in a bucket
with ``deletes="ask"``) adds nothing; ``last_write`` lets it win when it is the last. One that cannot
be decoded is a ``DecodeError``: a resolver of your own may look at ``sibling.error`` and decide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from .changes import Delete, Keep
from .errors import UsageError
from .stamps import Stamp, canonical as _canonical, stamps_of, with_stamps
from .versioned import Resolver, Sibling, check_resolver

__all__ = [
    "counter",
    "keep_all",
    "last_write",
    "merge_dataclass",
    "merge_dict",
    "ordered_set",
    "union",
]

D = TypeVar("D")
F = TypeVar("F", bound=Callable[..., Any])


def _unique(values: Iterable[Any], key: Callable[[Any], Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(_canonical(value), value)
    # Whether values can be compared must not depend on the order in which they come.
    ordered = [found[text] for text in sorted(found)]
    try:
        return sorted(ordered, key=key)
    except TypeError:  # of two kinds
        return sorted(ordered, key=lambda value: _canonical(key(value)))


def _living(siblings: Sequence[Sibling[Any]], name: str) -> list[Sibling[Any]]:
    if not siblings:
        raise ValueError(f"{name} wanted one sibling or more, got none")
    return [sibling for sibling in siblings if not sibling.deleted]


def _values(
    siblings: Sequence[Sibling[Any]], name: str, kind: type[Any] | tuple[type[Any], ...], wanted: str
) -> list[Any]:
    """The values of those that are no deletes, each of the kind that the resolver can merge."""
    living = _living(siblings, name)
    for sibling in living:
        if not isinstance(sibling.value, kind):
            raise TypeError(
                f"{name} wanted {wanted}, got {type(sibling.value).__name__} (version {sibling.dot})"
            )
    return [sibling.value for sibling in living]


def _factory(make: F) -> F:
    """Marks what makes a resolver, so that passing it in place of the resolver is refused."""
    setattr(make, "makes_a_resolver", True)  # noqa: B010
    return make


@_factory
def union() -> Resolver[Any]:
    """All that any sibling has: sets, frozensets, lists and tuples (sorted, each item once), text
    (its lines, sorted, each once; with an end of line after the last where a sibling has one).

    Nothing added is ever lost; something removed in one sibling and kept in another comes back.
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> Any:
        values = _values(
            siblings,
            "union",
            (set, frozenset, list, tuple, str),
            "set, frozenset, list, tuple or str",
        )
        kind = type(values[0])
        if any(type(value) is not kind for value in values):
            raise TypeError(
                "union wanted siblings of one type, got "
                + ", ".join(sorted({type(value).__name__ for value in values}))
                + f" (versions {', '.join(str(s.dot) for s in siblings if not s.deleted)})"
            )
        if issubclass(kind, set | frozenset):
            # Of elements that are equal and not the same (1 and 1.0) the same one, whatever the order.
            return kind(sorted((item for value in values for item in value), key=_canonical))
        if issubclass(kind, list | tuple):
            return kind(_unique((item for value in values for item in value), _canonical))
        lines = {line for value in values for line in value.split("\n") if line}
        ended = any(value.endswith("\n") for value in values)
        return "\n".join(sorted(lines)) + ("\n" if ended else "")

    return resolve


@_factory
def last_write() -> Resolver[Any]:
    """The sibling with the latest wall clock; equal clocks go by the dot. The others are lost: that
    is its price, and clocks of machines differ.
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> Any:
        _living(siblings, "last_write")
        last = max(siblings, key=lambda sibling: (sibling.written_at, sibling.dot))
        return Delete if last.deleted else last.value

    setattr(resolve, "may_give_none", True)  # a value of Json  # noqa: B010
    return resolve


@_factory
def counter() -> Resolver[Any]:
    """Counts by writer, ``{"alice": 3, "bob": 5}``: each writer's highest. The total is the sum.

    Each writer must raise only its own entry. (Plain numbers cannot be merged: two siblings 4 and 5
    do not say whether one or two were added.)
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> Any:
        highest: dict[str, Any] = {}
        _values(siblings, "counter", Mapping, "a dict of writer to number")
        for sibling in _living(siblings, "counter"):
            for writer, count in sibling.value.items():
                if isinstance(count, bool) or not isinstance(count, int | float) or count != count:
                    got = "NaN" if isinstance(count, float) else type(count).__name__
                    raise TypeError(
                        f"counter wanted a number for {writer!r}, got {got} (version {sibling.dot})"
                    )
                highest[writer] = max(
                    count, highest.get(writer, count), key=lambda each: (each, _canonical(each))
                )
        return {writer: highest[writer] for writer in _unique(highest, lambda each: each)}

    return resolve


class _ByField:
    """Merges dicts or dataclasses field by field. Each field is decided by a stamp of its own: when and
    in which version it was changed last, which ``update`` and merges keep beside the value
    (stamps.py). A field without one is as old as its version.
    """

    def __init__(
        self,
        name: str,
        kind: type[Any],
        wanted: str,
        fields: Mapping[str, Resolver[Any]] | None,
        default: Resolver[Any] | None,
    ) -> None:
        self._name, self._kind, self._wanted = name, kind, wanted
        self._fields = dict(fields or {})
        for field, resolver in self._fields.items():
            if not callable(resolver):
                raise TypeError(
                    f"{name} wanted a resolver for {field!r}, got {type(resolver).__name__}"
                )
            check_resolver(f"{name} of {field!r}", resolver)
        check_resolver(f"{name} default", default)
        self._default = default or last_write()
        self.__qualname__ = name

    def __call__(self, siblings: Sequence[Sibling[Any]]) -> Any:
        """The merged value, and the stamps of its fields with it."""
        _values(siblings, self._name, self._kind, self._wanted)
        living = [sibling for sibling in siblings if not sibling.deleted]
        fields = [(sibling, self._items(sibling.value)) for sibling in living]
        merged: dict[str, Any] = {}
        stamps: dict[str, Stamp] = {}
        for field in _unique((field for _, items in fields for field in items), lambda each: each):
            parts = []
            for sibling, items in fields:
                if field in items:
                    stamp = self._stamp(sibling, field, items[field])
                    part = sibling.with_value(items[field])
                    part.written_at, part.dot = stamp.written_at(), stamp.dot
                    parts.append(part)
            resolver = self._fields.get(field, self._default)
            value = parts[0].value if len(parts) == 1 else resolver(parts)
            if value is None and all(part.value is not None for part in parts):
                raise UsageError(f"the resolver of {field!r} returned None")
            if value is Keep or isinstance(value, Keep):
                raise UsageError(
                    f"the resolver of {field!r} returned Keep; return the field's value, or ringlet.Delete"
                )
            if value is Delete or isinstance(value, Delete):
                continue
            latest = max(parts, key=lambda part: (part.written_at, part.dot))
            merged[field] = value
            stamps[field] = Stamp.of(latest.written_at, latest.dot, value)
        return self._made(merged, stamps, living)

    def seen(self, siblings: Sequence[Sibling[Any]], current: Any) -> Callable[[Any], Any] | None:
        """What an update asks before its edit, which may change the value in place: the stamps of the
        fields as they are now. The answer is called with the edited value.
        """
        if not isinstance(current, self._kind):
            return None
        if len(siblings) == 1 and not siblings[0].deleted:
            now = {
                field: self._stamp(siblings[0], field, value)
                for field, value in self._items(current).items()
            }
        else:
            now = dict(stamps_of(current))

        def noted(edited: Any) -> Any:
            if isinstance(edited, type) or not isinstance(edited, self._kind):
                return edited
            items = self._items(edited)
            kept = {
                field: stamp
                for field, stamp in now.items()
                if field in items and stamp.fits(items[field])
            }
            return with_stamps(edited, kept)

        return noted

    def _items(self, value: Any) -> Mapping[str, Any]:
        raise NotImplementedError

    def _made(
        self, merged: dict[str, Any], stamps: dict[str, Stamp], living: Sequence[Sibling[Any]]
    ) -> Any:
        raise NotImplementedError

    @staticmethod
    def _stamp(sibling: Sibling[Any], field: str, value: Any) -> Stamp:
        kept = stamps_of(sibling.value).get(field)
        if kept is not None and kept.fits(value):
            return kept
        return Stamp.of(sibling.written_at, sibling.dot, value)


class _MergeDict(_ByField):
    def _items(self, value: Any) -> Mapping[str, Any]:
        items: Mapping[str, Any] = value
        return items

    def _made(
        self, merged: dict[str, Any], stamps: dict[str, Stamp], living: Sequence[Sibling[Any]]
    ) -> Any:
        return with_stamps(merged, stamps)


class _MergeDataclass(_ByField):
    def _items(self, value: Any) -> Mapping[str, Any]:
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}

    def _made(
        self, merged: dict[str, Any], stamps: dict[str, Stamp], living: Sequence[Sibling[Any]]
    ) -> Any:
        fields = {field.name: field for field in dataclasses.fields(self._kind)}
        gone = [
            name
            for name, field in fields.items()
            if name not in merged
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ]
        if gone:
            raise UsageError(
                f"the resolver of {gone[0]!r} returned Delete; {self._kind.__name__} has no default for it"
            )
        made = self._kind(**{n: value for n, value in merged.items() if fields[n].init})
        for name, value in merged.items():
            if not fields[name].init:
                object.__setattr__(made, name, value)
        return with_stamps(made, stamps)


@_factory
def merge_dict(
    fields: Mapping[str, Resolver[Any]] | None = None, *, default: Resolver[Any] | None = None
) -> Resolver[dict[str, Any]]:
    """Dicts field by field: ``merge_dict({"items": union(), "seen": counter()})``.

    A field that only some siblings have is kept. Fields not named go to ``default``, or
    ``last_write()``: each to the write that changed *it* last, not to the last write of the whole.
    With ``Json``, ``update`` keeps for each field when it was changed; it travels beside the
    fields under the name ``"@stamps"``, which other languages see and programs here do not.
    """
    return _MergeDict("merge_dict", Mapping, "dicts", fields, default)


@_factory
def merge_dataclass(
    cls: type[D],
    fields: Mapping[str, Resolver[Any]] | None = None,
    *,
    default: Resolver[Any] | None = None,
) -> Resolver[D]:
    """Dataclasses field by field, as ``merge_dict``: ``merge_dataclass(Cart, {"items": union()})``.

    With the codec ``Dataclass(Cart)``. A field's resolver may be another ``merge_dataclass``. A class
    with ``slots`` has no room for stamps: its fields are as old as their version.
    """
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        raise TypeError(f"merge_dataclass wanted a class made with @dataclass, got {cls!r}")
    unknown = sorted(set(fields or {}) - {field.name for field in dataclasses.fields(cls)})
    if unknown:
        raise TypeError(f"merge_dataclass: {cls.__name__} has no field {', '.join(unknown)}")
    return _MergeDataclass("merge_dataclass", cls, cls.__name__, fields, default)


@_factory
def ordered_set(key: Callable[[Any], Any] | None = None) -> Resolver[list[Any]]:
    """Lists in which each item is once, sorted by ``key`` (default: the item). The order is a
    function of the items alone; the order in which they were added cannot survive a merge.
    """
    by = key or (lambda item: item)

    def resolve(siblings: Sequence[Sibling[list[Any]]]) -> list[Any]:
        values = _values(siblings, "ordered_set", list, "lists")
        return _unique((item for value in values for item in value), by)

    return resolve


@_factory
def keep_all() -> Resolver[Any]:
    """A list of every different value, for a person to choose from later. Lists are taken apart, so
    that merging twice gives no lists in lists.
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> list[Any]:
        values = [sibling.value for sibling in _living(siblings, "keep_all")]
        parts = (
            part for value in values for part in (value if isinstance(value, list) else [value])
        )
        return _unique(parts, _canonical)

    return resolve
