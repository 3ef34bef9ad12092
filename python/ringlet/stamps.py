"""When each field of a value was changed last, kept beside the value, so that a merge can decide field by
field (resolvers.merge_dict).

Without it a merge of two versions, each of which changed another field, could only go by the time of the
whole version, and would take back one of the two changes. A stamp names the value that it is of by a
digest: a field that was changed without its stamp, in whatever way, is as old as the version it is in.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

from .context import Dot

NAME: Final = "@stamps"  # in JSON, beside the fields
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ATTRIBUTE: Final = "__ringlet_stamps__"


def canonical(value: Any) -> str:
    """One text for equal values, and one order for values that may not compare with each other."""
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError):
        return repr(value)


def in_utf8(text: str) -> bool:
    """Whether UTF-8 can say it: no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted((canonical(item) for item in value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return repr(value)


class Stamp(NamedTuple):
    """When a field was changed, in which version, and the digest of what it was changed to."""

    us: int
    dot: Dot
    digest: str

    @classmethod
    def of(cls, written_at: datetime, dot: Dot, value: Any) -> Stamp:
        """The stamp of a field that a version has changed."""
        us = (written_at - _EPOCH) // timedelta(microseconds=1)
        return cls(us, dot, _digest(value))

    def fits(self, value: Any) -> bool:
        """Whether the field is what it was when the stamp was made."""
        return self.digest == _digest(value)

    def written_at(self) -> datetime:
        """As of a sibling."""
        return _EPOCH + timedelta(microseconds=self.us)

    def to_json(self) -> list[Any]:
        """Time, dot, digest."""
        return [self.us, *self.dot, self.digest]

    @classmethod
    def from_json(cls, parts: Any) -> Stamp | None:
        """None: these are no stamp."""
        if not (isinstance(parts, list) and len(parts) == 5 and isinstance(parts[4], str)):
            return None
        if any(isinstance(part, bool) or not isinstance(part, int) for part in parts[:4]):
            return None
        if not 0 <= parts[0] < 2**53:
            return None
        return cls(parts[0], Dot(*parts[1:4]), parts[4])


def _digest(value: Any) -> str:
    return hashlib.blake2b(canonical(value).encode("utf-8", "replace"), digest_size=6).hexdigest()


class StampedDict(dict[str, Any]):
    """A dict that has the stamps of its fields with it, and is like any other."""

    __ringlet_stamps__: Mapping[str, Stamp] = {}


def stamps_of(value: Any) -> Mapping[str, Stamp]:
    """The stamps that a value has with it."""
    found: Mapping[str, Stamp] = getattr(value, _ATTRIBUTE, {})
    return found


def with_stamps(value: Any, stamps: Mapping[str, Stamp]) -> Any:
    """The value with its stamps. One that has no room for them stays as it is."""
    if not stamps and not stamps_of(value):
        return value
    if isinstance(value, dict) and not isinstance(value, StampedDict):
        value = StampedDict(value)
    try:
        object.__setattr__(value, _ATTRIBUTE, dict(stamps))
    except AttributeError:
        pass  # a class with slots
    return value


def encoded(stamps: Mapping[str, Stamp], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Stamps for JSON: those that are still true."""
    return {
        name: stamp.to_json()
        for name, stamp in stamps.items()
        if name in fields and stamp.fits(fields[name])
    }


def decoded(parts: Any) -> dict[str, Stamp] | None:
    """Stamps out of JSON; None: these are none."""
    if not isinstance(parts, dict):
        return None
    found = {name: Stamp.from_json(stamp) for name, stamp in parts.items()}
    return None if None in found.values() else {n: s for n, s in found.items() if s is not None}
