"""Ready-made merge functions, and the parts to build your own from.

A resolver gets the siblings, two or more, and returns the value that replaces them. It may be asked
several times and on different machines, so it must be a function of the values alone: the order of
the siblings, and whether they come at once or one after another, must not matter. All here keep that
law but ``last_write``, and ``merge_dict`` for fields that go to it: they look at the time of a whole
version, so three siblings merged two by two may end otherwise than at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .versioned import Resolver, Sibling

__all__ = ["counter", "keep_all", "last_write", "merge_dict", "ordered_set", "union"]


def _canonical(value: Any) -> str:
    """One order for values that may not compare with each other."""
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)
    except (TypeError, ValueError):
        return repr(value)


def _unique(values: Iterable[Any], key: Callable[[Any], Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(_canonical(value), value)
    return sorted(found.values(), key=lambda value: (key(value), _canonical(value)))


def _values(siblings: Sequence[Sibling[Any]], name: str) -> list[Any]:
    if not siblings:
        raise ValueError(f"{name} wanted one sibling or more, got none")
    return [sibling.value for sibling in siblings]


def union() -> Resolver[Any]:
    """All that any sibling has: sets, frozensets, lists (sorted, each item once), text (sorted
    lines).

    Nothing added is ever lost; something removed in one sibling and kept in another comes back.
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> Any:
        values = _values(siblings, "union")
        kind = type(values[0])
        if any(type(value) is not kind for value in values):
            raise TypeError(
                "union wanted siblings of one type, got "
                + ", ".join(sorted({type(value).__name__ for value in values}))
            )
        if issubclass(kind, set | frozenset):
            return kind().union(*values)
        if issubclass(kind, list | tuple):
            return kind(_unique((item for value in values for item in value), _canonical))
        if issubclass(kind, str):
            lines = {line for value in values for line in value.split("\n") if line}
            return "".join(line + "\n" for line in sorted(lines))
        raise TypeError(f"union wanted set, frozenset, list, tuple or str, got {kind.__name__}")

    return resolve


def last_write() -> Resolver[Any]:
    """The sibling with the latest wall clock; equal clocks go by the dot. The others are lost: that
    is its price, and clocks of machines differ.
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> Any:
        _values(siblings, "last_write")
        return max(siblings, key=lambda sibling: (sibling.written_at, sibling.dot)).value

    return resolve


def counter() -> Resolver[Any]:
    """Counts by writer, ``{"alice": 3, "bob": 5}``: each writer's highest. The total is the sum.

    Each writer must raise only its own entry. (Plain numbers cannot be merged: two siblings 4 and 5
    do not say whether one or two were added.)
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> Any:
        highest: dict[str, Any] = {}
        for value in _values(siblings, "counter"):
            if not isinstance(value, Mapping):
                raise TypeError(
                    f"counter wanted a dict of writer to number, got {type(value).__name__}"
                )
            for writer, count in value.items():
                if isinstance(count, bool) or not isinstance(count, int | float):
                    raise TypeError(
                        f"counter wanted a number for {writer!r}, got {type(count).__name__}"
                    )
                highest[writer] = max(count, highest.get(writer, count))
        return dict(sorted(highest.items()))

    return resolve


def merge_dict(
    fields: Mapping[str, Resolver[Any]] | None = None, *, default: Resolver[Any] | None = None
) -> Resolver[dict[str, Any]]:
    """Dicts field by field: ``merge_dict({"items": union(), "seen": counter()})``.

    A field that only some siblings have is kept. Fields not named go to ``default``, or
    ``last_write()``.
    """
    named = dict(fields or {})
    for name, resolver in named.items():
        if not callable(resolver):
            raise TypeError(
                f"merge_dict wanted a resolver for {name!r}, got {type(resolver).__name__}"
            )
    other = default or last_write()

    def resolve(siblings: Sequence[Sibling[Any]]) -> dict[str, Any]:
        for value in _values(siblings, "merge_dict"):
            if not isinstance(value, Mapping):
                raise TypeError(f"merge_dict wanted dicts, got {type(value).__name__}")
        names = sorted({name for sibling in siblings for name in sibling.value})
        merged: dict[str, Any] = {}
        for name in names:
            having = [
                sibling.with_value(sibling.value[name])
                for sibling in siblings
                if name in sibling.value
            ]
            merged[name] = having[0].value if len(having) == 1 else named.get(name, other)(having)
        return merged

    return resolve


def ordered_set(key: Callable[[Any], Any] | None = None) -> Resolver[list[Any]]:
    """Lists in which each item is once, sorted by ``key`` (default: the item). The order is a
    function of the items alone; the order in which they were added cannot survive a merge.
    """
    by = key or (lambda item: item)

    def resolve(siblings: Sequence[Sibling[list[Any]]]) -> list[Any]:
        values = _values(siblings, "ordered_set")
        for value in values:
            if not isinstance(value, list):
                raise TypeError(f"ordered_set wanted lists, got {type(value).__name__}")
        return _unique((item for value in values for item in value), by)

    return resolve


def keep_all() -> Resolver[Any]:
    """A list of every different value, for a person to choose from later. Lists are taken apart, so
    that merging twice gives no lists in lists.
    """

    def resolve(siblings: Sequence[Sibling[Any]]) -> list[Any]:
        values = _values(siblings, "keep_all")
        parts = (
            part for value in values for part in (value if isinstance(value, list) else [value])
        )
        return _unique(parts, _canonical)

    return resolve
