"""What a merge has to keep to, and a search for a history in which it does not: ``ringlet.check_merge``.

A history is drawn as a graph of edits: clients that read, merge what they read with the merge under test, change it
and write, and hear of each other's writes late or not at all. Nothing of it needs a cluster. Each law is asked of each history;
a history that breaks one is made as short as it can be and is shown as sentences, as code and as a picture.
Documents are merged by the core: for them the same histories run on a node inside this process.
"""

from __future__ import annotations

import ctypes
import dataclasses
import inspect
import io
import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from .changes import Delete, Keep
from .codecs import Codec, Json
from .context import Dot
from .document import Map
from .errors import Key, RingletError, UsageError
from .versioned import Sibling, Versioned, check_resolver, may_give_none, name_of

if TYPE_CHECKING:
    from .client import Bucket
    from .display import History

T = TypeVar("T")

LAWS: Final = (
    "total",
    "pure",
    "deterministic",
    "commutative",
    "associative",
    "idempotent",
    "no edit lost",
    "counted once",
    "removed stays removed",
    "bounded",
    "converges",
    "old and new release",
)

_SAYS: Final = {
    "total": "A merge must have an answer for all siblings that its own application can write.",
    "pure": "A merge must leave the siblings as they are and print nothing: it is asked again, elsewhere, with the same ones.",
    "deterministic": "Equal siblings must give equal bytes, whatever the order of keys in a dict, the time or the dice say.",
    "commutative": "The order in which siblings are given must not matter.",
    "associative": "It must not matter which siblings are merged first: nodes and clients meet them in different groups.",
    "idempotent": "Merging what is merged already must add nothing: two clients may merge siblings that overlap.",
    "no edit lost": "An edit that was acknowledged must be in the value until a writer that had seen it takes it out.",
    "counted once": "Each acknowledged edit must be counted once, however often its versions are merged.",
    "removed stays removed": "What was removed by an edit that had seen it must not come back.",
    "bounded": "A value must not grow with the number of conflicts that it went through.",
    "converges": "Two writers that merge each other's answers must come to rest.",
    "old and new release": "While some processes run the old release of a merge and some the new one, they must come to rest, and no edit be lost.",
}

_CLIENTS: Final = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
_BASE: Final = datetime(2026, 1, 1, tzinfo=timezone.utc)
_TOO_LARGE: Final = 1 << 20  # bytes of a value: it grows without bound


class LawBroken(AssertionError):
    """What ``Report.raise_for_failure`` raises; its text is the report."""


# ---- edits ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Edit(Generic[T]):
    """An edit and what it promises. A plain function of the value will do where ``observe`` shows what it did."""

    do: Callable[[T | None], Any]
    adds: tuple[Any, ...] | None = None  # None: what observe shows after it and not before
    removes: tuple[Any, ...] | None = None
    counts: float | None = None  # None: by how much it changes what measure says
    called: str = ""


def adding(item: Any, do: Callable[[Any], Any]) -> Edit[Any]:
    """An edit that promises that ``observe(value)`` has ``item`` from then on."""
    return Edit(do, adds=(item,), called=f"add {item!r}")


def removing(item: Any, do: Callable[[Any], Any]) -> Edit[Any]:
    """An edit that promises that ``item`` is gone, as far as its writer had seen it."""
    return Edit(do, adds=(), removes=(item,), called=f"remove {item!r}")


def counting(amount: float, do: Callable[[Any], Any]) -> Edit[Any]:
    """An edit that promises to change what ``measure(value)`` says by ``amount``."""
    return Edit(do, counts=amount, called=f"count {amount!r}")


def _as_edit(given: Any, index: int) -> Edit[Any]:
    if isinstance(given, Edit):
        return given
    if not callable(given):
        raise TypeError(f"edits[{index}]: wanted a function of the value, or an Edit, got {type(given).__name__}")
    return Edit(given)


# ---- one history ---------------------------------------------------------------------------------


class Step(NamedTuple):
    """``client`` makes an edit, or hears of all that ``client`` and ``other`` know (``edit`` is -1)."""

    client: int
    edit: int
    other: int = -1


Steps: TypeAlias = tuple[Step, ...]


class _Broken(Exception):
    """The history could not go on: the merge broke a law on the way."""

    def __init__(self, law: str, said: str) -> None:
        super().__init__(said)
        self.law, self.said = law, said


class _Stopped(BaseException):
    """Raised in the thread of a merge that did not come back."""


class _Version:
    def __init__(self, index: int, client: int, raw: bytes, deleted: bool, seen: frozenset[int], nearest: list[int]) -> None:
        self.index, self.client, self.raw, self.deleted = index, client, raw, deleted
        self.seen = seen  # all before it
        self.nearest = nearest  # what it replaced
        self.adds: tuple[Any, ...] = ()
        self.removes: tuple[Any, ...] = ()
        self.counts: float = 0.0
        self.edit = -1
        self.content_type = ""

    @property
    def dot(self) -> Dot:
        return Dot(self.client + 1, 1, self.index + 1)


class _Setting(NamedTuple):
    """What is checked, and how."""

    merge: Callable[[Sequence[Sibling[Any]]], Any]
    old: Callable[[Sequence[Sibling[Any]]], Any] | None
    edits: tuple[Edit[Any], ...]
    observe: Callable[[Any], Collection[Any]] | None
    measure: Callable[[Any], float] | None
    codec: Codec[Any]
    deletes: str
    guard: _Guard


class _Guard:
    """Knows which merge is running since when, and what the application printed meanwhile."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.running: tuple[float, str] | None = None
        self.play: Play | None = None
        self.merges: int = 0
        self.printed: io.StringIO = io.StringIO()
        self.thread = 0

    def call(self, merge: Callable[[Any], Any], siblings: Sequence[Sibling[Any]], what: str) -> Any:
        self.merges += 1
        self.running = (time.monotonic(), what)
        try:
            return merge(siblings)
        finally:
            self.running = None


class _Listening:
    """Standard output while a check runs: what the merge prints is kept, what other threads print goes where it went."""

    def __init__(self, guard: _Guard, real: Any) -> None:
        self._guard, self._real = guard, real

    def write(self, text: str) -> int:
        if self._guard.running is not None and threading.get_ident() == self._guard.thread:
            return self._guard.printed.write(text)
        return int(self._real.write(text) or len(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def _listening(guard: _Guard) -> Iterator[None]:
    real = sys.stdout
    listening: Any = _Listening(guard, real)
    sys.stdout = listening
    try:
        yield
    finally:
        if sys.stdout is listening:
            sys.stdout = real


def _reordered(codec: Codec[Any], raw: bytes) -> bytes:
    """The same value with the keys of its objects the other way round, where it is JSON."""
    if "json" not in codec.content_type:
        return raw
    try:
        return json.dumps(
            json.loads(raw, object_pairs_hook=lambda pairs: dict(reversed(pairs))), ensure_ascii=False
        ).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError):
        return raw


class Play:
    """A history that is played step by step. The code in a report makes one; so may a test.

    >>> import ringlet
    >>> from ringlet.laws import Play
    >>> play = Play(ringlet.resolvers.union(), edits=[lambda v: (v or []) + ["tea"], lambda v: (v or []) + ["milk"]])
    >>> play.edit("alice", 0)
    ['tea']
    >>> play.edit("bob", 1)
    ['milk']
    >>> play.value()
    ['milk', 'tea']
    """

    def __init__(
        self,
        merge: Any,
        *,
        edits: Sequence[Any],
        codec: Codec[Any] = Json,
        observe: Callable[[Any], Collection[Any]] | None = None,
        measure: Callable[[Any], float] | None = None,
        old: Any = None,
        deletes: str = "lose",
        _setting: _Setting | None = None,
    ) -> None:
        if _setting is None:
            _setting = _Setting(
                merge, old, tuple(_as_edit(each, i) for i, each in enumerate(edits)), observe, measure, codec, deletes, _Guard(1e9)
            )
            _setting.guard.thread = threading.get_ident()
        self._set = _setting
        self.versions: list[_Version] = []
        self.steps: list[Step] = []
        self._frontier: dict[int, list[int]] = {}
        self._out: Any = None  # the last merge of all, as bytes
        self._later = 0
        self._mixed = False  # every other client runs the old release
        _setting.guard.play = self

    # ---- for the code of a report ----

    def edit(self, client: str, edit: int) -> Any:
        """The client merges what it knows of, makes ``edits[edit]`` and writes. Returns the new value."""
        made = self._edit(self._client(client), edit)
        return None if made is None or made.deleted else self._decoded(made.raw)

    def sync(self, client: str, other: str) -> None:
        """``client`` hears of all that ``other`` knows of."""
        self._sync(self._client(client), self._client(other))

    def value(self) -> Any:
        """What a reader of all versions gets: one value, merged if there are several."""
        raw = self._final()
        return None if raw is None else self._decoded(raw)

    def check(self, law: str) -> None:
        """LawBroken: the history breaks the law."""
        if law not in LAWS:
            raise UsageError(f"check: wanted one of {', '.join(LAWS)}, got {law!r}")
        with _listening(self._set.guard):
            said = _broken_by(self._set, tuple(self.steps), {law}).get(law)
        if said is not None:
            raise LawBroken(f"{_SAYS[law]} {said}")

    def history(self) -> History:
        """The versions as a picture, with the merge of the last ones."""
        from .display import History

        return History(self._data(), lambda raw: self._decoded(raw))

    @staticmethod
    def _client(called: str) -> int:
        if called not in _CLIENTS:
            raise UsageError(f"client: wanted one of {', '.join(_CLIENTS)}, got {called!r}")
        return _CLIENTS.index(called)

    # ---- steps ----

    def _play(self, steps: Steps) -> None:
        for step in steps:
            if step.edit < 0:
                self._sync(step.client, step.other)
            else:
                self._edit(step.client, step.edit)

    def _sync(self, client: int, other: int) -> None:
        self.steps.append(Step(client, -1, other))
        self._frontier[client] = self._newest(self._frontier.get(client, []) + self._frontier.get(other, []))

    def _newest(self, indices: Sequence[int]) -> list[int]:
        known = sorted(set(indices))
        covered = {seen for index in known for seen in self.versions[index].seen}
        return [index for index in known if index not in covered]

    def _edit(self, client: int, edit: int) -> _Version | None:
        self.steps.append(Step(client, edit))
        do = self._set.edits[edit]
        frontier = self._frontier.get(client, [])
        siblings = [self._sibling(self.versions[index]) for index in frontier]
        shown = self._shown(siblings)
        merged = len(shown) > 1
        by = self._set.old if self._mixed and client % 2 else None
        current: Any = self._merged(shown, by) if merged else shown[0].value if shown and not shown[0].deleted else None
        if current is Delete or isinstance(current, Delete):
            current = None
        before = self._copy(current)
        seen = getattr(self._set.merge, "seen", None)
        noted = seen(shown, current) if seen is not None and shown else None
        try:
            after = do.do(current)
        except Exception as error:
            called = self._called(edit)
            if merged:
                raise _Broken("total", f"The edit {called} raised {_said(error)} on {self._shown_of(before)}, which the merge had made.") from error
            raise UsageError(f"{called} raised {_said(error)} on {self._shown_of(before)}, which no merge had touched") from error
        if after is Keep or isinstance(after, Keep):
            return None
        deleted = after is Delete or isinstance(after, Delete)
        if noted is not None and not deleted:
            after = noted(after)
        if after is None and not deleted:
            raise UsageError(f"{self._called(edit)} returned None: a change in place must return what it changed")
        raw = b"" if deleted else bytes(self._set.codec.encode(after))
        version = _Version(
            len(self.versions), client, raw, deleted,
            frozenset(frontier).union(*(self.versions[index].seen for index in frontier)), list(frontier),
        )  # fmt: skip
        version.edit, version.content_type = edit, self._set.codec.content_type
        self._promised(version, do, before, None if deleted else self._decoded(raw))
        self.versions.append(version)
        self._frontier[client] = [version.index]
        return version

    def _promised(self, version: _Version, do: Edit[Any], before: Any, after: Any) -> None:
        observe, measure = self._set.observe, self._set.measure
        if observe is not None:
            had, has = self._observed(before), self._observed(after)
            version.adds = do.adds if do.adds is not None else tuple(item for item in has if item not in had)
            version.removes = do.removes if do.removes is not None else tuple(item for item in had if item not in has)
        if measure is not None:
            version.counts = do.counts if do.counts is not None else self._measured(after) - self._measured(before)

    def _observed(self, value: Any) -> list[Any]:
        if value is None or self._set.observe is None:
            return []
        return list(self._set.observe(value))

    def _measured(self, value: Any) -> float:
        return 0 if value is None or self._set.measure is None else self._set.measure(value)

    # ---- merging ----

    def _sibling(self, version: _Version, raw: bytes | None = None) -> Sibling[Any]:
        return self._made(version.raw if raw is None else raw, version.dot, version.index, deleted=version.deleted)

    def _made(self, raw: bytes, dot: Dot, after_s: float, *, deleted: bool = False) -> Sibling[Any]:
        return Sibling(
            raw=raw, written_at=_BASE + timedelta(seconds=after_s), content_type=self._set.codec.content_type, dot=dot,
            deleted=deleted, codec=self._set.codec, key="k",
        )  # fmt: skip

    def _shown(self, siblings: Sequence[Sibling[Any]]) -> list[Sibling[Any]]:
        # Deletes alone are not shown, as in a store: the key is not there.
        if self._set.deletes == "ask" and not all(sibling.deleted for sibling in siblings):
            return self._one_each(siblings)
        if self._set.deletes == "win" and any(sibling.deleted for sibling in siblings):
            return []
        return self._one_each([sibling for sibling in siblings if not sibling.deleted])

    @staticmethod
    def _one_each(siblings: Sequence[Sibling[Any]]) -> list[Sibling[Any]]:
        """As a store shows them: of versions that are equal the newest, and of deletes one."""
        newest: dict[tuple[bool, bytes], Sibling[Any]] = {}
        for sibling in siblings:
            what = (sibling.deleted, b"" if sibling.deleted else bytes(sibling.raw))
            known = newest.get(what)
            if known is None or (sibling.written_at, sibling.dot) > (known.written_at, known.dot):
                newest[what] = sibling
        kept = list(map(id, newest.values()))
        return [sibling for sibling in siblings if id(sibling) in kept]

    def _merged(self, siblings: Sequence[Sibling[Any]], merge: Any = None) -> Any:
        """What the merge makes of siblings; the laws that a single call can break are asked here."""
        merge = merge or self._set.merge
        what = f"{_named(merge)} of {_listed([self._shown_of_sibling(sibling) for sibling in siblings])}"
        before = [bytes(sibling.raw) for sibling in siblings]
        guard = self._set.guard
        try:
            value = guard.call(merge, tuple(siblings), what)
        except _Stopped:
            raise
        except Exception as error:
            raise _Broken("total", f"The merge {what} raised {_said(error)}.") from error
        if inspect.iscoroutine(value):
            value.close()
            raise _Broken("total", f"The merge {what} is asynchronous; check_merge calls it and does not await it.")
        if value is None and not may_give_none(merge):
            raise _Broken("total", f"The merge {what} returned nothing; a merge returns the value that replaces the siblings.")
        if guard.printed.tell():
            text = guard.printed.getvalue()
            guard.printed.seek(0), guard.printed.truncate()
            raise _Broken("pure", f"The merge {what} printed {text[:60]!r}.")
        for sibling, raw in zip(siblings, before, strict=True):
            if not sibling.deleted and sibling.error is None:
                now = bytes(self._set.codec.encode(sibling.value))
                if now != raw and now != bytes(self._set.codec.encode(self._decoded(raw))):
                    raise _Broken("pure", f"The merge {what} changed its input to {self._shown_of(sibling.value)}.")
        return value

    def _bytes(self, siblings: Sequence[Sibling[Any]], merge: Any = None, *, equal: bool = False) -> bytes | None:
        """The bytes of a merge; None: a delete. Siblings that are one are not merged, as in a store, but with ``equal``."""
        shown = list(siblings) if equal else self._shown(siblings)
        if not shown:
            return None
        if len(shown) == 1:
            return None if shown[0].deleted else bytes(shown[0].raw)
        value = self._merged(shown, merge)
        if value is Delete or isinstance(value, Delete):
            return None
        if value is Keep or isinstance(value, Keep):
            raise _Broken("converges", "The merge returned Keep: the siblings stay side by side for ever.")
        try:
            return bytes(self._set.codec.encode(value))
        except Exception as error:
            raise _Broken("total", f"What the merge returned, {self._shown_of(value)}, cannot be encoded: {_said(error)}.") from error

    def _last(self) -> list[_Version]:
        return [self.versions[index] for index in self._newest([index for of in self._frontier.values() for index in of])]

    def _final(self) -> bytes | None:
        return self._bytes([self._sibling(version) for version in self._last()])

    def _again(self, raw: bytes | None) -> Sibling[Any]:
        """What a merge made, as the version that its writer writes: later than all."""
        self._later += 1
        return self._made(raw or b"", Dot(100 + self._later % 2, 1, self._later), 1000 + self._later, deleted=raw is None)

    # ---- words ----

    def _decoded(self, raw: bytes) -> Any:
        return self._set.codec.decode(memoryview(raw))

    def _copy(self, value: Any) -> Any:
        return None if value is None else self._decoded(bytes(self._set.codec.encode(value)))

    @staticmethod
    def _shown_of(value: Any) -> str:
        from .display._words import short_repr

        return short_repr(value, 60)

    def _shown_raw(self, raw: bytes | None) -> str:
        return "a delete" if raw is None else self._shown_of(self._decoded(raw))

    def _shown_of_sibling(self, sibling: Sibling[Any]) -> str:
        return "a delete" if sibling.deleted else self._shown_raw(bytes(sibling.raw))

    def _called(self, edit: int) -> str:
        do = self._set.edits[edit]
        return f"edits[{edit}]" + (f" ({do.called})" if do.called else "")

    def _did(self, version: _Version) -> str:
        did = "deleted the key" if version.deleted else f"wrote {self._shown_raw(version.raw)}"
        return f"{_CLIENTS[version.client]} {did}"

    def _data(self) -> dict[str, Any]:
        last = self._last()
        names = {version.index: f"{_CLIENTS[version.client]}·1:{version.index + 1}" for version in self.versions}
        made = [
            {
                "dot": names[version.index], "value": version.raw, "deleted": version.deleted,
                "client": _CLIENTS[version.client], "at_us": version.index * 1_000_000,
                "read_at_us": version.index * 1_000_000 - 500_000 if version.nearest else None,
                "seen": [names[index] for index in version.nearest], "merges": len(version.nearest) > 1,
                "state": "living" if len(last) == 1 and version in last else "replaced",
            }
            for version in self.versions
        ]  # fmt: skip
        if len(last) > 1:
            try:
                raw, state = self._final(), "living"
            except _Broken:
                raw, state = None, "unknown"
            made.append(
                {
                    "dot": "merge·1:1", "value": raw, "deleted": raw is None and state == "living", "client": "the merge",
                    "at_us": len(self.versions) * 1_000_000, "read_at_us": len(self.versions) * 1_000_000,
                    "seen": [names[version.index] for version in last], "merges": True,
                    "state": "deleted" if raw is None and state == "living" else state,
                }
            )  # fmt: skip
        return {"bucket": "check", "key": "k", "versions": made}


def _named(merge: Any) -> str:
    """How the merge was called where it was made: ``union`` and not the function inside it."""
    return name_of(merge).removesuffix(".resolve").removesuffix(".<locals>").rpartition(".<locals>.")[2]


def _said(error: BaseException) -> str:
    text = str(error).split("\n")[0]
    return f"{type(error).__name__}: {text[:100]}" if text else type(error).__name__


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1] if words else "nothing"


# ---- the laws ------------------------------------------------------------------------------------


def _laws_of_values(play: Play, siblings: list[Sibling[Any]], wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """What siblings alone can show. The siblings are those of a history, or of a journal."""
    shown = play._shown(siblings)
    if len(shown) < 2:
        return
    def fresh(sibling: Sibling[Any]) -> Sibling[Any]:
        """As another process would read it."""
        return play._made(bytes(sibling.raw), sibling.dot, (sibling.written_at - _BASE).total_seconds(), deleted=sibling.deleted)

    def merge(*given: Sibling[Any], by: Any = None, equal: bool = False) -> bytes | None:
        return play._bytes([fresh(each) for each in given], by, equal=equal)

    said = play._shown_raw
    whole = merge(*shown)
    if "deterministic" in wanted:
        random.seed(1)
        once = merge(*shown)
        random.seed(2)
        again = merge(*shown)
        if not (once == again == whole):
            other = again if again != whole else once
            yield "deterministic", f"The same siblings gave {said(whole)} once and {said(other)} another time."
        else:
            turned = [
                play._made(
                    bytes(each.raw) if each.deleted else _reordered(play._set.codec, bytes(each.raw)),
                    each.dot, (each.written_at - _BASE).total_seconds(), deleted=each.deleted,
                )
                for each in shown
            ]  # fmt: skip
            other = play._bytes(turned)
            if other != whole:
                yield "deterministic", f"With the keys of dicts in another order {said(whole)} became {said(other)}."
    few = shown[:4]
    if "commutative" in wanted:
        first = whole if len(few) == len(shown) else merge(*few)
        for order in itertools.islice(itertools.permutations(few), 1, 7):
            other = merge(*order)
            if other != first:
                yield (
                    "commutative",
                    f"The merge of {_listed([play._shown_of_sibling(each) for each in few])} is {said(first)}; in the order "
                    f"{_listed([play._shown_of_sibling(each) for each in order])} it is {said(other)}.",
                )
                break
    if "associative" in wanted and len(few) > 2:
        a, b, c = few[:3]
        all_ = merge(a, b, c)
        for one, two, rest in ((a, b, c), (b, c, a), (a, c, b)):
            other = merge(play._again(merge(one, two)), rest)
            if other != all_:
                yield (
                    "associative",
                    f"The merge of {_listed([play._shown_of_sibling(each) for each in (a, b, c)])} is {said(all_)}; "
                    f"when {play._shown_of_sibling(one)} and {play._shown_of_sibling(two)} are merged first it is {said(other)}.",
                )
                break
    if "idempotent" in wanted and whole is not None:
        twice = merge(play._again(whole), play._again(whole), equal=True)
        if twice != whole:
            yield "idempotent", f"Merging {said(whole)} with itself gives {said(twice)}."
        else:
            for each in few:
                if each.deleted:
                    continue
                other = merge(play._again(whole), each)
                if other != whole:
                    yield (
                        "idempotent",
                        f"{said(whole)} has {play._shown_of_sibling(each)} merged into it already; merging the two again gives {said(other)}.",
                    )
                    break
    if "converges" in wanted:
        mine, theirs = list(shown), list(reversed(shown))
        left = right = whole
        for _ in range(8):
            left, right = merge(*mine), merge(*theirs)
            if left == right:
                break
            first_made, second_made = play._again(left), play._again(right)
            mine, theirs = [first_made, second_made], [second_made, first_made]
        else:
            yield "converges", f"After eight rounds one writer still writes {said(left)} and the other {said(right)}: each makes a sibling of the other's."
    old = play._set.old
    if "old and new release" in wanted and old is not None:
        of_old = of_new = whole
        pair = list(shown)
        for _ in range(8):
            of_old, of_new = merge(*pair, by=old), merge(*pair)
            if of_old == of_new:
                break
            pair = [play._again(of_old), play._again(of_new)]
        else:
            yield "old and new release", f"After eight rounds the old release still writes {said(of_old)} and the new one {said(of_new)}."
            return
        if play._set.observe is not None and play.versions and (lost := _lost(play, of_old)) is not None:
            yield "old and new release", f"When both releases have merged, {said(of_old)} is left. {lost}"


def _lost(play: Play, raw: bytes | None) -> str | None:
    """The first acknowledged edit that a value lacks though no writer that had seen it took it out."""
    has = play._observed(None if raw is None else play._decoded(raw))
    last = {index for version in play._last() for index in {version.index, *version.seen}}
    for version in play.versions:
        if version.index not in last:
            continue
        for item in version.adds:
            removed = any(version.index in other.seen and (item in other.removes or other.deleted) for other in play.versions)
            if item not in has and not removed:
                return f"{play._did(version)} and was acknowledged, and {item!r} is lost: no writer that had seen it removed it."
    return None


def _back(play: Play, raw: bytes | None) -> str | None:
    has = play._observed(None if raw is None else play._decoded(raw))
    for version in play.versions:
        for item in version.removes:
            added = any(item in other.adds and other.index not in version.seen for other in play.versions)
            if item in has and not added:
                return (
                    f"{_CLIENTS[version.client]} had seen {item!r} and removed it ({play._shown_raw(None if version.deleted else version.raw)}); "
                    f"it is back in {play._shown_raw(raw)}, and no client added it again."
                )
    return None


def _broken_by(setting: _Setting, steps: Steps, wanted: Collection[str]) -> dict[str, str]:
    """The laws that a history breaks, each with what was seen."""
    play = _play_of(setting)
    found: dict[str, str] = {}
    try:
        play._play(steps)
        last = play._last()
        final = play._final()
        if setting.observe is not None:
            if "no edit lost" in wanted:
                for version in play.versions:
                    has = play._observed(None if version.deleted else play._decoded(version.raw))
                    gone = [item for item in version.adds if item not in has]
                    if gone:
                        found["no edit lost"] = f"{play._called(version.edit)} of {_CLIENTS[version.client]} promised {gone[0]!r}, and the value that it wrote, {play._shown_raw(version.raw)}, does not have it."
                        break
                else:
                    if (lost := _lost(play, final)) is not None:
                        found["no edit lost"] = f"{lost} What is left is {play._shown_raw(final)}."
            if "removed stays removed" in wanted and (back := _back(play, final)) is not None:
                found["removed stays removed"] = back
        if setting.measure is not None and "counted once" in wanted:
            total, has_ = sum(version.counts for version in play.versions), play._measured(None if final is None else play._decoded(final))
            if abs(total - has_) > 1e-9 * max(1.0, abs(total)):
                found["counted once"] = (
                    f"{_listed([play._did(version) for version in play.versions])}: the edits come to {total:g}, and the value that is left, "
                    f"{play._shown_raw(final)}, says {has_:g}."
                )
        if not isinstance(play, _DocumentPlay):
            for law, said in _laws_of_values(play, [play._sibling(version) for version in last], wanted):
                found.setdefault(law, said)
        elif "deterministic" in wanted and final is not None:
            again = play._final()
            if again is None or play._decoded(again) != play._decoded(final):
                found["deterministic"] = f"Two reads of the same versions gave {play._shown_raw(final)} and {play._shown_raw(again)}."
        if setting.old is not None and setting.observe is not None and "old and new release" in wanted and "old and new release" not in found:
            mixed = Play(None, edits=(), _setting=setting)
            mixed._mixed = True
            mixed._play(steps)
            if (lost := _lost(mixed, mixed._final())) is not None:
                old = _listed([each for each in _CLIENTS[1::2] if any(_CLIENTS[step.client] == each for step in steps)])
                found["old and new release"] = f"While {old or 'no client'} runs the old release: {lost}"
    except _Broken as broken:
        found[broken.law] = broken.said
    return {law: said for law, said in found.items() if law in wanted}


def _rounds(edit: int, edits: int, rounds: int) -> Steps:
    """Two clients make an edit each at the same time, of two different kinds where there are two, and hear of each other."""
    once = (Step(0, edit), Step(1, (edit + 1) % edits), Step(0, -1, 1), Step(1, -1, 0))
    return once * rounds


def _grows(setting: _Setting, edit: int, rounds: int) -> str | None:
    """Whether the value grows with the conflicts: the same edits with and without them."""
    apart = _rounds(edit, len(setting.edits), rounds)
    sizes = []
    for steps in (apart, tuple(Step(0, step.edit) for step in apart if step.edit >= 0)):
        play = _play_of(setting)
        try:
            for step in steps:
                play._play((step,))
                if play.versions and len(play.versions[-1].raw) > _TOO_LARGE:
                    return f"After {len(play.versions)} edits with conflicts the value has {len(play.versions[-1].raw):,} bytes."
            raw = play._final()
        except _Broken:
            return None  # another law says it
        sizes.append(len(raw or b""))
    if sizes[0] > 2 * sizes[1] + 512:
        return f"After {rounds} conflicts the value has {sizes[0]:,} bytes; the same edits one after another leave {sizes[1]:,}."
    return None


# ---- documents -----------------------------------------------------------------------------------


class _Bytes:
    """A document's bytes as they are."""

    content_type = Map.content_type

    def encode(self, value: bytes) -> bytes:
        return value

    def decode(self, raw: memoryview) -> bytes:
        return bytes(raw)


class _DocumentPlay(Play):
    """A history of a document: it runs on a node in this process, whose core merges.

    ``sync`` reads all that the node has: a client's next edit is of what it read last.
    """

    def __init__(self, setting: _Setting, store: _Store) -> None:
        super().__init__(None, edits=(), _setting=setting)
        self._store = store
        self._key = store.next_key()
        self._snapshots: dict[int, Any] = {}
        self._covered: dict[int, frozenset[int]] = {}

    def _sync(self, client: int, other: int) -> None:
        self.steps.append(Step(client, -1, other))
        self._snapshots[client] = self._store.read(self._key)
        self._covered[client] = frozenset(version.index for version in self.versions)

    def _edit(self, client: int, edit: int) -> _Version | None:
        self.steps.append(Step(client, edit))
        reply = self._snapshots.pop(client, None)
        if reply is None:
            # A client that has not read since its last write knows its own writes.
            mine = [version for version in self.versions if version.client == client]
            if mine:
                reply = self._store.read(self._key)
                self._covered[client] = frozenset(version.index for version in self.versions)
            else:
                reply = self._store.empty()
                self._covered[client] = frozenset()
        schema: Any = self._set.codec
        do = self._set.edits[edit]
        before = schema._of_reply(reply, "k") if reply.count else None
        seen = self._covered[client]
        try:
            raw = reply.document_take_over([], schema._edits_of(do.do))
        except Exception as error:
            raise UsageError(f"{self._called(edit)}: {_said(error)}") from error
        self._store.write(self._key, raw, reply.context() if reply.count else b"")
        known = {index for index in seen if not any(index in self.versions[other].seen for other in seen)}
        version = _Version(len(self.versions), client, raw, False, seen, sorted(known))
        version.edit = edit
        self._promised(version, do, before, self._decoded(raw) if not known else self._after(reply, schema, do))
        self.versions.append(version)
        return version

    def _after(self, reply: Any, schema: Any, do: Edit[Any]) -> Any:
        """What the edit makes of what its client had read, on a key of its own."""
        key = self._store.next_key()
        for raw, _, _, _, deleted in reply.parts()[0]:
            if not deleted:
                self._store.write(key, bytes(raw), b"")
        copy = self._store.read(key)
        self._store.write(key, copy.document_take_over([], schema._edits_of(do.do)), copy.context())
        return schema._of_reply(self._store.read(key), "k")

    def _last(self) -> list[_Version]:
        return [self.versions[index] for index in self._newest(range(len(self.versions)))]

    def _final(self) -> bytes | None:
        reply = self._store.read(self._key)
        return bytes(reply.document_take_over([], _no_edits())) if reply.count else None

    def value(self) -> Any:
        return self._observed_value()

    def _observed_value(self) -> Any:
        reply = self._store.read(self._key)
        schema: Any = self._set.codec
        return schema._of_reply(reply, "k") if reply.count else None


def _no_edits() -> bytes:
    from .document import _Edits

    return _Edits().sent()


class _Store:
    """One node with its data in memory, as long as a check runs."""

    def __init__(self) -> None:
        from .cluster import local_cluster

        self._cluster = local_cluster(1)
        self._client = self._cluster.connect(timeout=10.0)
        self._bucket = self._client.bucket("check", codec=_Bytes())
        self._keys = 0

    def next_key(self) -> str:
        self._keys += 1
        return f"k{self._keys}"

    def read(self, key: str) -> Any:
        from . import _calls, _core

        return _calls.single(self._client._ready(), self._bucket._request(_core.GET, key, {}))

    def empty(self) -> Any:
        return self.read("nothing")

    def write(self, key: str, raw: bytes, context: bytes) -> None:
        from .context import Context

        self._bucket.put(key, raw, Context._trusted(context) if context else None)

    def close(self) -> None:
        self._cluster.close()


_store: _Store | None = None


def _play_of(setting: _Setting) -> Play:
    if isinstance(setting.codec, Map):
        if _store is None:
            raise UsageError("a history of a document is played inside check_merge")
        return _DocumentPlay(setting, _store)
    return Play(None, edits=(), _setting=setting)


# ---- drawing and shrinking -----------------------------------------------------------------------


def draw(dice: random.Random, edits: int, *, clients: int = 4, steps: int = 12) -> Steps:
    """A history of at most this many clients and steps; the same dice give the same one."""
    many = dice.randint(2, clients)
    made = []
    for _ in range(dice.randint(2, steps)):
        client = dice.randrange(many)
        if dice.random() < 0.6:
            made.append(Step(client, dice.randrange(edits)))
        else:
            made.append(Step(client, -1, (client + dice.randint(1, many - 1)) % many))
    return tuple(made)


def histories(edits: int, *, clients: int = 4, steps: int = 12) -> Any:
    """A Hypothesis strategy of histories, for ``check_history``; Hypothesis must be installed. It shrinks by itself.

    ``@given(ringlet.laws.histories(len(edits)))``
    """
    from hypothesis import strategies as st  # type: ignore[import-not-found, unused-ignore]

    who = st.integers(0, clients - 1)
    edit = st.builds(lambda client, number: Step(client, number), who, st.integers(0, edits - 1))
    sync = st.builds(lambda client, more: Step(client, -1, (client + more) % clients), who, st.integers(1, clients - 1))
    return st.lists(st.one_of(edit, sync), min_size=2, max_size=steps).map(tuple)


def check_history(
    merge: Any,
    steps: Sequence[Step],
    *,
    edits: Sequence[Any],
    observe: Callable[[Any], Collection[Any]] | None = None,
    measure: Callable[[Any], float] | None = None,
    codec: Codec[Any] = Json,
    old: Any = None,
    removed_stays: bool = False,
    deletes: str = "lose",
) -> None:
    """Plays one history and raises ``LawBroken`` when it breaks a law. For tests that draw histories themselves."""
    codec = merge if isinstance(merge, Map) else codec
    play = Play(merge, edits=edits, codec=codec, observe=observe, measure=measure, old=old, deletes=deletes)
    wanted = {law for law in LAWS if law != "removed stays removed" or removed_stays}
    with _storing(isinstance(merge, Map)):
        found = _broken_by(play._set, tuple(Step(*step) for step in steps), wanted)
    for law, said in found.items():
        raise LawBroken(f"{law}: {_SAYS[law]} {said}")


def play_on(bucket: Bucket[T], key: Key, steps: Sequence[Step], *, edits: Sequence[Any], merge: Any) -> T | None:
    """Plays a history on a bucket of a cluster, or of a laboratory, and returns what is left; None: nothing.

    Clients know of each other by what they read: one that hears of others reads the key, and one that does not writes with
    the context of what it read before. After its own write a client reads again before its next edit, for the answer of a
    write tells it of others.
    """
    made = [_as_edit(each, index) for index, each in enumerate(edits)]
    read: dict[int, Versioned[T]] = {}
    wrote: set[int] = set()
    for step in (Step(*each) for each in steps):
        if step.edit < 0:
            read[step.client] = bucket.get(key)
            continue
        known = read.pop(step.client, None)
        if known is None and step.client in wrote:
            known = bucket.get(key)
        siblings = known.siblings if known is not None else ()
        current: Any = None
        if known is not None and siblings:
            current = known.resolved(merge)
        if current is Delete or isinstance(current, Delete):
            current = None
        seen = getattr(merge, "seen", None)
        noted = seen(siblings, current) if seen is not None and siblings else None
        after = made[step.edit].do(current)
        wrote.add(step.client)
        if after is Keep or isinstance(after, Keep):
            continue
        if after is Delete or isinstance(after, Delete):
            if known is not None and known:
                bucket.delete(key, known)
            continue
        bucket.put(key, noted(after) if noted is not None else after, known)
    last = bucket.get(key)
    if not last:
        return None
    value = last.resolved(merge)
    return None if value is Delete or isinstance(value, Delete) else value


def _shrunk(steps: Steps, fails: Callable[[Steps], bool], until: float) -> Steps:
    """As few steps, clients and different edits as still fail."""
    size = max(len(steps) // 2, 1)
    while size:
        at = 0
        while at < len(steps) and time.monotonic() < until:
            shorter = steps[:at] + steps[at + size :]
            if shorter and fails(shorter):
                steps = shorter
            else:
                at += size
        size //= 2
    for place, step in enumerate(steps):
        for edit in range(max(step.edit, 0)):
            simpler = (*steps[:place], step._replace(edit=edit), *steps[place + 1 :])
            if time.monotonic() < until and fails(simpler):
                steps = simpler
                break
    order = list(dict.fromkeys(client for step in steps for client in (step.client, step.other) if client >= 0))
    renamed = tuple(
        Step(order.index(step.client), step.edit, order.index(step.other) if step.other >= 0 else -1) for step in steps
    )
    return renamed if fails(renamed) else steps


# ---- the report ----------------------------------------------------------------------------------


class Failure:
    """A law that was broken."""

    def __init__(
        self, law: str, said: str, found: str, code: str, history: History | None, found_in: int = 0, steps: Steps = ()
    ) -> None:
        self.found_in = found_in  # the number of the history, from 1; 0: in none
        self.history_steps = steps  # shrunk; for check_history and play_on
        self.steps: int = len(steps)
        self.law = law
        self.sentences: tuple[str, str, str] = (_SAYS[law], said, found)
        self.code = code  # repeats it
        self.history = history

    def __str__(self) -> str:
        lines = [f"law broken: {self.law}", *self.sentences]
        if self.history is not None:
            lines += ["", str(self.history)]
        if self.code:
            lines += ["", "This repeats it:", "", *("    " + line for line in self.code.splitlines())]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Failure of {self.law}>"


class Report:
    """What ``check_merge`` found. ``print`` it; in a notebook it draws itself."""

    def __init__(
        self, called: str, failures: list[Failure], histories_: int, merges: int, counted: dict[str, int],
        asked: Sequence[str], shown: dict[str, Failure], seconds: float, seed: int,
    ) -> None:  # fmt: skip
        self.called = called
        self.failures: tuple[Failure, ...] = tuple(failures)
        self.histories = histories_
        self.merges = merges
        self.counted = counted  # of laws that were not promised: in how many histories they did not hold
        self.laws: tuple[str, ...] = tuple(asked)
        self.shown = shown  # and an example of each
        self.seconds = seconds
        self.seed = seed

    @property
    def ok(self) -> bool:
        """No law was broken."""
        return not self.failures

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the laws that were broken."""
        return tuple(failure.law for failure in self.failures)

    def raise_for_failure(self) -> None:
        """LawBroken with this report as its text, if a law was broken."""
        if self.failures:
            raise LawBroken(str(self))

    def _head(self) -> str:
        tried = f"{self.histories:,} {'history' if self.histories == 1 else 'histories'}, {self.merges:,} merges, seed {self.seed}"
        if self.ok:
            return f"{self.called} keeps {_listed(self.laws)} ({tried})."
        return f"{self.called} breaks {_listed([failure.law for failure in self.failures])} ({tried})."

    def _notes(self) -> list[str]:
        return [
            f"Not promised, and so no failure: {law} did not hold in {count:,} of {self.histories:,} histories, as in: {self.shown[law].sentences[1]}"
            for law, count in self.counted.items() if count
        ]  # fmt: skip

    def __str__(self) -> str:
        parts = [self._head(), *self._notes()]
        for failure in self.failures:
            parts += ["", str(failure)]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        from .display._svg import escaped

        parts = [f"<p>{escaped(self._head())}</p>", *(f"<p>{escaped(note)}</p>" for note in self._notes())]
        for failure in self.failures:
            parts.append(f"<h4>{escaped(failure.law)}</h4>" + "".join(f"<p>{escaped(each)}</p>" for each in failure.sentences))
            if failure.history is not None:
                parts.append(failure.history._repr_html_())
            if failure.code:
                parts.append("<pre>" + "\n".join(map(escaped, failure.code.splitlines())) + "</pre>")
        return "".join(parts)

    def __repr__(self) -> str:
        return f"<Report {self._head()}>"


def _code(setting: _Setting, steps: Sequence[Step], law: str) -> str:
    if isinstance(setting.codec, Map):
        more = "".join(f", {name}={name}" for name in ("observe", "measure") if getattr(setting, name) is not None)
        return (
            "# merge, edits and the rest: what check_merge was given\nfrom ringlet.laws import Step, check_history\n"
            f"check_history(merge, {[tuple(step) for step in steps]}, edits=edits{more})\n"
        )
    given = ["merge", "edits=edits"]
    given += [f"{name}={name}" for name in ("observe", "measure", "old") if getattr(setting, name) is not None]
    if setting.codec is not Json:
        given.append("codec=codec")
    if setting.deletes != "lose":
        given.append(f"deletes={setting.deletes!r}")
    lines = ["# merge, edits and the rest: what check_merge was given", "from ringlet.laws import Play", f"play = Play({', '.join(given)})"]
    for step in steps:
        if step.edit < 0:
            lines.append(f'play.sync("{_CLIENTS[step.client]}", "{_CLIENTS[step.other]}")')
        else:
            called = setting.edits[step.edit].called
            lines.append(f'play.edit("{_CLIENTS[step.client]}", {step.edit})' + (f"  # {called}" if called else ""))
    return "\n".join([*lines, f'play.check("{law}")', ""])


class _Search:
    """The histories of one check, in the thread that merges."""

    def __init__(self, setting: _Setting, wanted: list[str], promised: Collection[str], count: int, seed: int, seconds: float) -> None:
        self.setting, self.wanted, self.promised = setting, wanted, promised
        self.count, self.seed, self.seconds = count, seed, seconds
        self.failures: dict[str, Failure] = {}
        self.counted = {law: 0 for law in wanted if law not in promised}
        self.shown: dict[str, Failure] = {}
        self.done = 0
        self.error: BaseException | None = None
        self.stop = False

    def run(self) -> None:
        self.setting.guard.thread = threading.get_ident()
        try:
            self._run()
        except _Stopped:
            pass
        except BaseException as error:
            self.error = error

    def _run(self) -> None:
        begun = time.monotonic()
        dice = random.Random(self.seed)
        state = random.getstate()  # the laws turn the dice of the application
        try:
            self._search(begun, dice)
        finally:
            random.setstate(state)

    def _search(self, begun: float, dice: random.Random) -> None:
        if "bounded" in self.wanted:
            self._bounded()
        for number in range(self.count):
            if self.stop or time.monotonic() - begun > self.seconds:
                return
            steps = draw(dice, len(self.setting.edits))
            open_ = [law for law in self.wanted if law not in self.failures and law != "bounded"]
            if not open_:
                return
            found = _broken_by(self.setting, steps, open_)
            self.done = number + 1
            for law, said in found.items():
                if law in self.counted:
                    self.counted[law] += 1
                    if law in self.shown:
                        continue
                self._found(law, said, steps, number + 1)

    def _found(self, law: str, said: str, steps: Steps, number: int) -> None:
        until = time.monotonic() + 2.0
        short = _shrunk(steps, lambda some: law in _broken_by(self.setting, some, {law}), until)
        said = _broken_by(self.setting, short, {law}).get(law, said)
        found = f"Found in history {number:,} of {self.count:,}; shrunk from {len(steps)} steps to {len(short)}."
        failure = Failure(law, said, found, _code(self.setting, short, law), self._picture(short), number, short)
        (self.shown if law in self.counted else self.failures)[law] = failure

    def _picture(self, steps: Steps) -> History | None:
        play = _play_of(self.setting)
        try:
            play._play(steps)
        except (_Broken, UsageError):
            pass
        if not play.versions:
            return None
        return play.history()

    def _bounded(self) -> None:
        for edit in range(len(self.setting.edits)):
            said = _grows(self.setting, edit, 24)
            if said is None:
                continue
            rounds = next(number for number in range(1, 25) if _grows(self.setting, edit, number) is not None)
            said = _grows(self.setting, edit, rounds) or said
            steps = _rounds(edit, len(self.setting.edits), min(rounds, 3))
            theirs = steps[1].edit
            found = f"Found with edits[{edit}] and edits[{theirs}] made by two clients at the same time, {rounds} times over."
            code = "\n".join([
                *_code(self.setting, (), "bounded").splitlines()[:3],
                f"for _ in range({rounds}):",
                f'    play.edit("alice", {edit}), play.edit("bob", {theirs})',
                '    play.sync("alice", "bob"), play.sync("bob", "alice")',
                "print(len(repr(play.value())))",
            ])  # fmt: skip
            self.failures["bounded"] = Failure("bounded", said, found, code + "\n", self._picture(steps), 0, steps)
            return


def _watched(search: _Search, guard: _Guard) -> str | None:
    """Runs the search in a thread; what the merge was asked when it did not come back."""
    thread = threading.Thread(target=search.run, name="ringlet-check", daemon=True)
    with _listening(guard):
        thread.start()
        while thread.is_alive():
            thread.join(0.05)
            running = guard.running
            if running is not None and time.monotonic() - running[0] > guard.deadline:
                search.stop = True
                # Ends a loop of Python; one that sleeps in the system stays behind, in a daemon thread.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stopped))
                thread.join(0.5)
                return running[1]
    return None


def check_merge(
    merge: Any,
    *,
    edits: Sequence[Any] = (),
    observe: Callable[[Any], Collection[Any]] | None = None,
    measure: Callable[[Any], float] | None = None,
    codec: Codec[Any] = Json,
    old: Callable[[Sequence[Sibling[Any]]], Any] | None = None,
    removed_stays: bool = False,
    deletes: str = "lose",
    journal: Any = None,
    histories: int = 500,
    seconds: float = 60.0,
    seed: int = 0,
    deadline: float = 1.0,
    laws: Sequence[str] | None = None,
) -> Report:
    """Tries to break a merge, and says how it was broken.

    Args:
        merge: a resolver; or a document type (``ringlet.document.Map``), whose edits are those of ``Bucket.edit``.
        edits: what the application does to a value: functions, as for ``Bucket.update``, the first of which are given None for
            a key that is not there; or ``laws.adding``, ``removing`` and ``counting``, which say what is promised.
        observe: what a reader finds in a value, as a collection (``set``); what an edit adds to it must stay.
        measure: what a value counts, as a number; it must be the sum of what the edits count.
        codec: how values become bytes. Default: ``ringlet.Json``.
        old: the release of the merge that runs now, beside the new one.
        removed_stays: True where the application promises that what was removed does not come back. Else it is counted
            and shown, and is no failure.
        deletes: as of ``Client.bucket``: ``"ask"`` gives the merge siblings that are deletes.
        journal: a conflict journal; its conflicts are asked, too, for the laws that siblings alone can break.
        histories, seconds, seed: how many are drawn, for how long at most, from which seed. The same seed gives the same report.
        deadline: seconds that one call of the merge may take.
        laws: only these of ``laws.LAWS``.

    The merge and the edits run in a thread of their own.
    """
    called = repr(merge) if isinstance(merge, Map) else _named(merge)
    document = isinstance(merge, Map)
    if not document:
        if merge is None:
            raise TypeError("check_merge wanted a resolver or a document type, got NoneType")
        check_resolver("check_merge", merge)
    check_resolver("check_merge old", old)
    made = tuple(_as_edit(each, index) for index, each in enumerate(edits))
    if not made and journal is None:
        raise UsageError("check_merge wanted edits, at least one, or a journal, got neither")
    if deletes not in ("lose", "win", "ask"):
        raise UsageError(f"deletes: wanted 'lose', 'win' or 'ask', got {deletes!r}")
    if isinstance(histories, bool) or not isinstance(histories, int) or histories < 1:
        raise UsageError(f"histories: wanted 1 or more, got {histories!r}")
    for name, value in (("seconds", seconds), ("deadline", deadline)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise UsageError(f"{name}: wanted a number of seconds above 0, got {value!r}")
    unknown = sorted(set(laws or ()) - set(LAWS))
    if unknown:
        raise UsageError(f"laws: wanted some of {', '.join(LAWS)}, got {unknown[0]!r}")
    asked = [
        law for law in LAWS
        if (laws is None or law in laws)
        and not (law in ("no edit lost", "removed stays removed") and observe is None)
        and not (law == "counted once" and measure is None)
        and not (law == "old and new release" and old is None)
        and not (document and law in ("pure", "commutative", "associative", "idempotent", "converges", "old and new release"))
    ]  # fmt: skip
    promised = {law for law in asked if law != "removed stays removed" or removed_stays}
    guard = _Guard(float(deadline))
    setting = _Setting(merge, old, made, observe, measure, merge if document else codec, deletes, guard)
    search = _Search(setting, asked, promised, histories, seed, float(seconds))
    begun = time.monotonic()
    if document:
        with _storing(True):
            stuck = _watched(search, guard)
    else:
        if journal is not None:
            from .replaying import conflicts_of

            search = _Journaled(setting, asked, promised, histories if made else 0, seed, float(seconds), conflicts_of(journal, codec))
        stuck = _watched(search, guard)
    if search.error is not None:
        raise search.error
    failures = dict(search.failures)
    if stuck is not None:
        failures["total"] = Failure("total", f"The merge {stuck} did not come back within {deadline:g} s.", "The search ended there; the history is not shrunk.", "", None)
    ordered = [failures[law] for law in LAWS if law in failures]
    if not document:
        for failure in ordered:
            _confirm(setting, failure)
    return Report(called, ordered, search.done, guard.merges, search.counted, asked, search.shown, time.monotonic() - begun, seed)


def _confirm(setting: _Setting, failure: Failure) -> None:
    """Plays what was found in a laboratory, where this build has one: whether the production code leaves the same value."""
    from . import _core

    if failure.law not in ("no edit lost", "counted once", "removed stays removed") or not failure.history_steps or not _core.has("lab"):
        return
    from .lab import Lab

    play = Play(None, edits=(), _setting=setting)
    try:
        play._play(failure.history_steps)
        with Lab(nodes=3, n=3, r=2, w=2, seed=1) as lab:
            deletes: Any = setting.deletes
            bucket = lab.client("alice").bucket("check", codec=setting.codec, deletes=deletes)
            left = play_on(bucket, "k", failure.history_steps, edits=setting.edits, merge=setting.merge)
    except (_Broken, RingletError):
        return  # a history that cannot be played there is a finding all the same
    raw = None if left is None else bytes(setting.codec.encode(left))
    if raw == play._final():
        first, second, third = failure.sentences
        failure.sentences = (first, second, f"{third[:-1]}; the production code leaves the same in a laboratory of three nodes.")


@contextmanager
def _storing(wanted: bool) -> Iterator[None]:
    """A node for the histories of documents."""
    global _store
    if not wanted:
        yield
        return
    if _store is not None:
        raise UsageError("a check of a document is under way in this process; wait for its end")
    _store = _Store()
    try:
        yield
    finally:
        store, _store = _store, None
        store.close()


class _Journaled(_Search):
    """A search that asks the conflicts of a journal first."""

    def __init__(self, setting: _Setting, wanted: list[str], promised: Collection[str], count: int, seed: int, seconds: float, conflicts: Iterator[Any]) -> None:
        super().__init__(setting, wanted, promised, count, seed, seconds)
        self._conflicts = conflicts

    def _search(self, begun: float, dice: random.Random) -> None:
        for conflict in self._conflicts:
            if self.stop or time.monotonic() - begun > self.seconds:
                return
            play = Play(None, edits=(), _setting=self.setting)
            found: dict[str, str] = {}
            try:
                siblings = [sibling for sibling in conflict.siblings]
                for law, said in _laws_of_values(play, siblings, [law for law in self.wanted if law not in self.failures]):
                    found.setdefault(law, said)
            except _Broken as broken:
                found[broken.law] = broken.said
            self.done += 1
            for law, said in found.items():
                if law in self.wanted and law not in self.failures:
                    where = f"Found in line {conflict.line} of the journal: {conflict.bucket}/{conflict.key} at {conflict.at}."
                    self.failures[law] = Failure(law, said, where, "", None)
        if self.setting.edits:
            done = self.done
            super()._search(begun, dice)
            self.done += done


