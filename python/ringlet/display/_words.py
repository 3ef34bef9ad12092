"""How dots, times and values are spelled in every picture."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Decoder: TypeAlias = Callable[[bytes], Any]

VALUE_LENGTH = 64  # characters of a value that a picture shows
NAME_LENGTH = 40  # of the name of a client, a node, a bucket or a key
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def clean(text: str) -> str:
    """Text without what a terminal would obey, an XML reader would refuse, or a reader would not see."""
    return "".join(character if _harmless(character) else _escaped(character) for character in text)


def _harmless(character: str) -> bool:
    if " " <= character <= "~":
        return True
    # Cc: controls; Cf: marks of direction and the like; Cs: surrogates; Co, Cn: private and unassigned; Zl, Zp:
    # separators of lines.
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def columns(text: str) -> int:
    """How many columns of a fixed-width font the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def padded(text: str, width: int) -> str:
    """The text and spaces up to ``width`` columns."""
    return text + " " * (width - columns(text))


def cut(text: str, room: int) -> str:
    """The text, or its beginning and an ellipsis, in at most ``room`` columns."""
    if columns(text) <= room:
        return text
    kept, used = [], 1
    for character in text:
        used += columns(character)
        if used > room:
            break
        kept.append(character)
    return "".join(kept) + "…"


def name(text: object, room: int = NAME_LENGTH) -> str:
    """The name of something, short and harmless."""
    return cut(clean(str(text)), room)


def wrapped(text: str, room: int, lines: int) -> list[str]:
    """The text in at most ``lines`` lines of ``room`` columns; what does not fit is left out with an ellipsis."""
    found: list[str] = []
    rest = text
    while rest and len(found) < lines:
        if columns(rest) <= room:
            return [*found, rest]
        if len(found) == lines - 1:
            return [*found, cut(rest, room)]
        taken = cut(rest, room + 1)[:-1]
        space = taken.rfind(" ")
        if space > room // 2:
            taken = taken[: space + 1]
        taken = taken or rest[:1]
        found.append(taken.rstrip())
        rest = rest[len(taken) :]
    return found or [""]


def paragraphs(lines: Iterable[str], room: int) -> list[str]:
    """Sentences in lines of at most ``room`` characters; a line that begins with spaces keeps them."""
    made: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip(" ")))
        made += textwrap.wrap(
            line,
            room,
            initial_indent="",
            subsequent_indent=indent + ("  " if line.lstrip().startswith("- ") else ""),
            break_on_hyphens=False,
            drop_whitespace=True,
        ) or [""]
    return made


def seconds(us: int | None, digits: int = 3) -> str:
    """A moment, or how long something took, as people read it."""
    return "at an unknown time" if us is None else f"{us / 1e6:.{digits}f} s"


def duration(us: float) -> str:
    """A length of time with the unit that fits it."""
    if us < 1000:
        return f"{us:.0f} µs"
    if us < 1_000_000:
        return f"{us / 1e3:.3g} ms" if us < 999_500 else "1 s"
    return f"{us / 1e6:.3g} s"


def size(count: int) -> str:
    """A number of bytes."""
    return "1 byte" if count == 1 else f"{count:,} bytes"


def many(count: int, one: str, several: str | None = None) -> str:
    """``1 version``, ``2 versions``."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def listed(words: Sequence[str], last: str = "and", most: int = 8) -> str:
    """``a, b and c``; of more than ``most`` the first, and how many more there are."""
    if len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
        last = "and"
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


# ---- values ------------------------------------------------------------------------------------


class _Full(Exception):
    """The text of a value is as long as it may be."""


class _Writer:
    """Writes a value as text that is the same in every process: elements of sets are sorted, addresses left out."""

    def __init__(self, room: int) -> None:
        self._parts: list[str] = []
        self._room = room

    def put(self, text: str) -> None:
        self._parts.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise _Full

    def text(self) -> str:
        return "".join(self._parts)

    def write(self, value: Any, depth: int = 0) -> None:
        if depth > 8:
            self.put("…")
        elif isinstance(value, str | bytes):
            short = value[: self._room + 1]
            self.put(repr(short) if type(value) in (str, bytes) else _plain_repr(value))
        elif type(value) is dict:
            self._items("{", value.items(), "}", depth, pairs=True)
        elif type(value) is list:
            self._items("[", value, "]", depth)
        elif type(value) is tuple:
            self._items("(", value, ",)" if len(value) == 1 else ")", depth)
        elif type(value) in (set, frozenset):
            if not value:
                self.put(f"{type(value).__name__}()")
            else:
                texts = sorted(short_repr(element, self._room + 1) for element in value)
                self.put("{" + ", ".join(texts) + "}")
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            self.put(f"{type(value).__name__}(")
            for index, field in enumerate(dataclasses.fields(value)):
                self.put(f"{', ' if index else ''}{field.name}=")
                self.write(getattr(value, field.name), depth + 1)
            self.put(")")
        elif callable(getattr(value, "asdict", None)) and not isinstance(value, type):
            self.put(type(value).__name__)
            self.write(value.asdict(), depth + 1)
        else:
            self.put(_plain_repr(value))

    def _items(self, begin: str, values: Iterable[Any], end: str, depth: int, *, pairs: bool = False) -> None:
        self.put(begin)
        for index, value in enumerate(values):
            if index:
                self.put(", ")
            if pairs:
                self.write(value[0], depth + 1)
                self.put(": ")
                self.write(value[1], depth + 1)
            else:
                self.write(value, depth + 1)
        self.put(end)


def _plain_repr(value: Any) -> str:
    try:
        return _ADDRESS.sub("", repr(value))
    except Exception as error:
        return f"<{type(value).__name__} that repr cannot show: {type(error).__name__}>"


def short_repr(value: Any, room: int = VALUE_LENGTH) -> str:
    """Like ``repr``, the same in every process, harmless, and at most ``room`` columns long."""
    writer = _Writer(4 * room)
    try:
        writer.write(value)
    except _Full:
        return cut(clean(writer.text()) + "…", room)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return cut(clean(writer.text()), room)


def decoder(given: Any) -> Decoder | None:
    """What a picture may be given to read values: a function of bytes, or a codec."""
    if given is None:
        return None
    decode = getattr(given, "decode", None)
    if callable(decode) and not isinstance(given, type):
        return lambda raw: decode(memoryview(raw))
    if callable(given):
        made: Decoder = given
        return made
    raise TypeError(f"decode: wanted a function of bytes or a codec, got {type(given).__name__}")


def raw_of(value: Any, where: str) -> bytes | None:
    """The bytes of a value of the schema, which is base64 text."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str):
        raise ValueError(f"{where}: wanted base64 text, got {type(value).__name__}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{where}: wanted base64 text, got {value[:40]!r}: {error}") from None


def shown(raw: bytes | None, decode: Decoder | None, *, deleted: bool = False, room: int = VALUE_LENGTH) -> str:
    """A version's value in a picture: decoded, short, and with its length where it had to be shortened."""
    if deleted:
        return "deleted"
    if raw is None:
        return "value unknown"
    if decode is None:
        try:
            text = short_repr(raw.decode("utf-8"), room)
        except UnicodeDecodeError:
            text = cut("0x" + raw[: room + 1].hex(), room)
    else:
        try:
            value = decode(raw)
        except Exception as error:
            return f"{size(len(raw))} that cannot be decoded: {name(type(error).__name__)}"
        text = short_repr(value, room)
    return f"{text} ({size(len(raw))})" if text.endswith("…") else text


# ---- the dictionaries that pictures are drawn from -----------------------------------------------


def need(data: Any, field: str, kind: type[Any] | tuple[type[Any], ...], where: str) -> Any:
    """A field that must be there, and what was wanted where it is not."""
    if not isinstance(data, Mapping):
        raise ValueError(f"{where}: wanted a dict, got {type(data).__name__}")
    if field not in data:
        raise ValueError(f"{where}: wanted a field {field!r}, got {', '.join(map(repr, sorted(data))) or 'none'}")
    value = data[field]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(each.__name__ for each in kinds)
        raise ValueError(f"{where}.{field}: wanted {wanted}, got {type(value).__name__}")
    return value


def rows(data: Any, field: str, where: str, *, must: bool = False) -> list[Mapping[str, Any]]:
    """A field that is a list of dicts."""
    if not must and (not isinstance(data, Mapping) or data.get(field) is None):
        return []
    found = need(data, field, (list, tuple), where)
    for index, each in enumerate(found):
        if not isinstance(each, Mapping):
            raise ValueError(f"{where}.{field}[{index}]: wanted a dict, got {type(each).__name__}")
    return list(found)


def left_out(data: Mapping[str, Any], one: str, several: str | None = None) -> str:
    """What a picture says when it was given less than there is."""
    count = data.get("truncated") or 0
    return f"{many(int(count), 'more ' + one, 'more ' + (several or one + 's'))} {'is' if count == 1 else 'are'} left out." if count else ""


def covers(clock: Iterable[str], dot: str) -> bool:
    """Whether a context, as a list of dots with ``+`` before a lone one, has seen a dot."""
    node, _, counter = dot.rpartition(":")
    for entry in clock:
        if entry.startswith("+"):
            if entry[1:] == dot:
                return True
            continue
        of, _, upto = entry.rpartition(":")
        if of == node and upto.isdigit() and counter.isdigit() and int(counter) <= int(upto):
            return True
    return False
