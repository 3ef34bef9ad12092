"""Rare settings: the same names as in the configuration file, the C ABI and Java."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

from . import _core
from .errors import OptionError


Durability: TypeAlias = Literal["buffer", "log", "disk"]
Deletes: TypeAlias = Literal["lose", "win", "ask"]


class CallOptions(TypedDict, total=False):
    """The options that every call of a bucket takes, and ``with_`` and ``Client.bucket`` for all calls of one."""

    timeout: float | None
    r: int | None
    w: int | None
    strict: bool
    durability: Durability | None
    deletes: Deletes


class WriteOptions(CallOptions, total=False):
    """Of a write, which also takes the id of an earlier try."""

    write_id: bytes | str | None


class Option(NamedTuple):
    """One setting: ``client.coordination``, its type, its default and what it does.

    ``handles``: what takes it, of ``"client"`` (``connect``) and ``"cluster"`` (``local_cluster``);
    another one refuses it. ``wanted``: the bounds of a number, the words of a choice, else ``""``.
    """

    name: str
    type: str
    default: str
    doc: str
    handles: tuple[str, ...] = ()
    wanted: str = ""


def options() -> list[Option]:
    """All settings that ``connect`` or ``local_cluster`` take as keywords (``handles`` says which).

    ``client.refresh_ms`` is given as ``refresh_ms=5000`` or ``client_refresh_ms=5000``.
    """
    return [
        Option(
            str(item["name"]),
            str(item.get("type", "")),
            str(item.get("default", "")),
            str(item.get("doc", "")),
            tuple(handle for handle in item.get("handles", ()) if handle in ("client", "cluster")),
            f"{item['min']} to {item['max']}"
            if "min" in item
            else " or ".join(item.get("choices", ())),
        )
        for item in json.loads(_core.describe_options())
        if {"client", "cluster"} & set(item.get("handles", ()))
    ]


def as_settings(given: Mapping[str, Any], groups: Iterable[str]) -> dict[str, str]:
    """Keywords as the names and texts of the C ABI; short names are looked for in ``groups`` in
    turn.
    """
    known = {option.name for option in options()}
    settings: dict[str, str] = {}
    keywords: dict[str, str] = {}
    for keyword, value in given.items():
        candidates = [
            keyword,
            keyword.replace("_", ".", 1),
            *(f"{group}.{keyword}" for group in groups),
        ]
        name = next((candidate for candidate in candidates if candidate in known), None)
        if name is None:
            raise OptionError(
                f"there is no option {keyword!r}; ringlet.options() lists those there are"
                f"{_near(keyword, known)}"
            )
        if name in settings:
            raise OptionError(f"option {name}: given twice, as {keywords[name]!r} and as {keyword!r}")
        keywords[name] = keyword
        settings[name] = as_text(keyword, value)
    return settings


def as_text(keyword: str, value: Any) -> str:
    """A value as the configuration file would say it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    raise OptionError(
        f"option {keyword}: wanted text, a number, true or false, got {type(value).__name__}"
    )


def _near(keyword: str, known: Iterable[str]) -> str:
    import difflib

    tails = {name.partition(".")[2]: name for name in known}
    near = difflib.get_close_matches(keyword, tails, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
