"""Yesterday's conflicts, merged by another merge: ``ringlet.replay``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .changes import Delete, Keep
from .codecs import Codec, Json
from .errors import DecodeError
from .journal import Conflict, Journal, read_journal
from .laws import _named
from .versioned import Sibling, check_resolver

if TYPE_CHECKING:
    from .display import History


def conflicts_of(journal: Any, codec: Codec[Any]) -> Iterator[Conflict]:
    """Of a path, or of the journal of a client that still runs."""
    path = journal.path if isinstance(journal, Journal) else journal
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"journal: wanted a path or a ringlet.Journal, got {type(journal).__name__}")
    return read_journal(path, codec=codec)


class Decision(NamedTuple):
    """One conflict, and what both merges made of it."""

    conflict: Conflict
    before: str  # in words: the value, "a delete", "the siblings as they are", or an error
    now: str
    codec: Codec[Any]
    raw: bytes | None

    def history(self) -> History:
        """The siblings and what the new merge makes of them, as a picture."""
        from .display import History

        versions: list[dict[str, Any]] = []
        nodes: list[int] = []
        for sibling in self.conflict.siblings:
            if sibling.dot.node not in nodes:
                nodes.append(sibling.dot.node)
            actor = f"node {nodes.index(sibling.dot.node) + 1}"
            versions.append(
                {
                    "dot": f"{actor}·1:{sibling.dot.counter}", "long": str(sibling.dot), "value": bytes(sibling.raw),
                    "deleted": sibling.deleted, "client": None, "coordinator": None, "at_us": None, "state": "replaced", "seen": [],
                }
            )  # fmt: skip
        names = [str(version["dot"]) for version in versions]
        if len(set(names)) < len(names):  # of two epochs
            for index, version in enumerate(versions):
                version["dot"] = f"{version['dot']}#{index + 1}"
        versions.append(
            {
                "dot": "merge·1:1", "value": self.raw, "deleted": self.raw is None and self.now == "a delete", "client": "the merge",
                "at_us": 0, "read_at_us": 0, "seen": [version["dot"] for version in versions], "merges": True,
                "state": "living" if self.raw is not None else "unknown",
            }
        )  # fmt: skip
        return History(
            {"bucket": self.conflict.bucket, "key": self.conflict.key, "versions": versions},
            lambda raw: self.codec.decode(memoryview(raw)),
        )

    def __str__(self) -> str:
        conflict = self.conflict
        return (
            f"line {conflict.line}, {conflict.bucket}/{conflict.key} at {conflict.at}: "
            f"{' and '.join(_shown(self.codec, sibling) for sibling in conflict.siblings)} became {self.before}, and now {self.now}"
        )


class Replay:
    """How another merge decides the conflicts of a journal."""

    def __init__(self, called: str, total: int, differ: list[Decision], failed: list[Decision], seconds: float) -> None:
        self.called: str
        self.total: int
        self.seconds: float
        self.called, self.total, self.seconds = called, total, seconds
        self.differ: tuple[Decision, ...] = tuple(differ)  # conflicts that come out otherwise
        self.failed: tuple[Decision, ...] = tuple(failed)  # those on which the new merge raised

    @property
    def same(self) -> int:
        """How many conflicts come out as they did."""
        return self.total - len(self.differ) - len(self.failed)

    def __str__(self) -> str:
        lines = [
            f"{self.called} decides {self.same:,} of {self.total:,} conflicts as it was decided, {len(self.differ):,} otherwise, and raises on {len(self.failed):,}."
        ]
        for what, some in (("otherwise", self.differ), ("raises", self.failed)):
            lines += [f"{what}: {each}" for each in some[:10]]
            if len(some) > 10:
                lines.append(f"{what}: and {len(some) - 10:,} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from .display._svg import escaped

        lines = str(self).splitlines()
        parts = [f"<p>{escaped(line)}</p>" for line in lines]
        parts += [each.history()._repr_html_() for each in self.differ[:3]]
        return "".join(parts)

    def __repr__(self) -> str:
        return f"<Replay of {self.total} conflicts, {len(self.differ)} decided otherwise>"


def replay(
    journal: Any, *, merge: Callable[[Sequence[Sibling[Any]]], Any], codec: Codec[Any] = Json
) -> Replay:
    """Gives each conflict of a journal to another merge, and compares what comes out. Nothing is written anywhere.

    Args:
        journal: what ``connect(…, journal=…)`` wrote, as a path.
        merge: the merge to be tried.
        codec: of the bucket. Results are the same when their bytes are.

    Raises:
        DataError: a line is no conflict, or the journal was written without values.
    """
    if merge is None:
        raise TypeError("replay wanted a merge, got NoneType")
    check_resolver("replay", merge)
    begun = time.monotonic()
    total, differ, failed = 0, [], []
    for conflict in conflicts_of(journal, codec):
        total += 1
        before = _ended(conflict, codec)
        raw: bytes | None = None
        try:
            value = merge(conflict.siblings)
            if value is Delete or isinstance(value, Delete):
                now = "a delete"
            elif value is Keep or isinstance(value, Keep):
                now = "the siblings as they are"
            else:
                raw = bytes(codec.encode(value))
                now = _value(codec, raw)
        except Exception as error:
            failed.append(Decision(conflict, before, f"{type(error).__name__}: {error}"[:200], codec, None))
            continue
        same = raw == conflict.result if conflict.end == "value" and raw is not None else before == now
        if not same:
            differ.append(Decision(conflict, before, now, codec, raw))
    return Replay(_named(merge), total, differ, failed, time.monotonic() - begun)


def _ended(conflict: Conflict, codec: Codec[Any]) -> str:
    if conflict.end == "error":
        return f"an error ({conflict.error[:80]})"
    if conflict.end == "delete":
        return "a delete"
    if conflict.end == "keep":
        return "the siblings as they are"
    return _value(codec, conflict.result) if conflict.result is not None else "a value that was not written down"


def _value(codec: Codec[Any], raw: bytes) -> str:
    from .display._words import shown

    return shown(raw, lambda data: codec.decode(memoryview(data)))


def _shown(codec: Codec[Any], sibling: Sibling[Any]) -> str:
    if sibling.deleted:
        return "a delete"
    try:
        sibling.value  # noqa: B018
    except DecodeError:
        return f"{len(sibling.raw)} bytes that cannot be decoded"
    return _value(codec, bytes(sibling.raw))
