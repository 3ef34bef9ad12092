"""What this process read and wrote, so that a production key has a history, too."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from .. import _core
from .._watch import Observed, now_us
from ..context import Context
from ..errors import RingletError
from . import _live
from .charts import Latencies
from .history import History, Why
from .timeline import Timeline

if TYPE_CHECKING:
    from ..client import _AnyClient

_Dot = tuple[str, int, int]
_Clock = dict[tuple[str, int], int]


class _Known:
    """A version that was read or written here."""

    def __init__(self, dot: _Dot, write_id: str) -> None:
        self.dot, self.write_id = dot, write_id
        self.raw: bytes | None = None
        self.deleted = False
        self.client: str | None = None
        self.node: str | None = None
        self.at_us: int | None = None
        self.read_at_us: int | None = None
        self.clock: _Clock | None = None  # what its writer had seen; None: not known
        self.open = False


class _Key:
    def __init__(self) -> None:
        self.versions: OrderedDict[_Dot, _Known] = OrderedDict()
        self.living: set[_Dot] = set()
        self.clock: _Clock = {}
        self.contexts: OrderedDict[bytes, int] = OrderedDict()  # when each was read
        self.left_out = 0


def _covers(clock: _Clock, dot: _Dot) -> bool:
    return clock.get(dot[:2], 0) >= dot[2]


class Recorder:
    """Keeps what a client reads and writes until ``stop``; a context manager. Made by ``record``.

    Other processes' writes appear where they were read, with an unknown writer. At most ``keys`` keys, 1,000 versions of
    each and 10,000 calls are kept; the oldest go first, and the pictures say how many did.
    """

    _VERSIONS = 1000
    _CALLS = 10_000

    def __init__(self, client: _AnyClient, name: str = "this process", *, keys: int = 1000) -> None:
        self._client, self._name, self._most = client, name, keys
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[bytes, bytes], _Key] = OrderedDict()
        self._calls: list[Observed] = []
        self._calls_left_out = 0
        self._open = 0
        self._begun = now_us()
        self._names: dict[str, str] = {}
        client._watch(self._saw)

    def stop(self) -> None:
        """Records no further; what was recorded can still be drawn."""
        self._client._unwatch(self._saw)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- pictures ----

    def history(self, bucket: str | bytes, key: str | bytes, *, codec: Any = None) -> History:
        """The versions of the key that were read or written here. Times count from the begin of the recording."""
        return History(self.data(bucket, key), codec)

    def why(self, bucket: str | bytes, key: str | bytes, *, codec: Any = None) -> Why:
        """The same in words."""
        return Why(self.data(bucket, key), codec)

    def timeline(self) -> Timeline:
        """The calls that were recorded."""
        with self._lock:
            calls, left_out = list(self._calls), self._calls_left_out
        data = _live.timeline_data(calls, self._members(), self._name, self._begun, now_us())
        return Timeline({**data, "truncated": left_out})

    def latencies(self) -> Latencies:
        """How long the calls took, by what was asked."""
        series: dict[str, list[int]] = {}
        with self._lock:
            for observed in self._calls:
                kind = _live._KINDS.get(observed.request.kind, "call")
                series.setdefault(kind, []).append(observed.ended_us - observed.begun_us)
        return Latencies({"series": [{"name": kind, "samples_us": samples} for kind, samples in sorted(series.items())]})

    def data(self, bucket: str | bytes, key: str | bytes) -> dict[str, Any]:
        """The dict that ``history`` draws."""
        of = tuple(part.encode() if isinstance(part, str) else part for part in (bucket, key))
        dots = _live.Dots(self._members())
        with self._lock:
            known = self._keys.get((of[0], of[1]))
            versions = list(known.versions.values()) if known is not None else []
            data: dict[str, Any] = {
                "bucket": _live.text_of(bucket),
                "key": _live.text_of(key),
                "now_us": now_us() - self._begun,
                "truncated": known.left_out if known is not None else 0,
                "unknown_writers": any(version.client is None for version in versions),
            }
            data["versions"] = [self._said(version, versions, known, dots) for version in versions] if known else []
        return data

    def _said(self, version: _Known, all_: list[_Known], key: _Key, dots: _live.Dots) -> dict[str, Any]:
        seen: list[_Known] = []
        if version.clock is not None:
            covered = [other for other in all_ if other is not version and not other.open and _covers(version.clock, other.dot)]
            # The nearest: those that no other covered one had seen.
            seen = [
                one for one in covered
                if not any(other is not one and other.clock is not None and _covers(other.clock, one.dot) for other in covered)
            ]  # fmt: skip
        if version.open:
            state = "unacknowledged"
        elif version.dot in key.living:
            state = "deleted" if version.deleted else "living"
        elif _covers(key.clock, version.dot):
            state = "replaced"
        else:
            state = "unknown"
        return {
            "dot": self._short(version, dots),
            "long": dots.long(*version.dot) if not version.open else "no dot is known: the write was not acknowledged",
            "value": version.raw,
            "deleted": version.deleted,
            "client": version.client,
            "coordinator": dots.node(version.node) if version.node else None,
            "at_us": version.at_us,
            "read_at_us": version.read_at_us,
            "write_id": version.write_id,
            "context": [dots.short(*actor, counter) for actor, counter in (version.clock or {}).items()],
            "seen": [self._short(other, dots) for other in seen],
            "state": state,
            "merges": len(seen) > 1,
        }

    @staticmethod
    def _short(version: _Known, dots: _live.Dots) -> str:
        return f"?·1:{version.dot[2]}" if version.open else dots.short(*version.dot)

    def _members(self) -> dict[str, str]:
        if not self._names:
            try:
                self._names = _live.names_of(json.loads(self._client._core.admin("ring", "{}", 1000)))
            except (RingletError, _core.CoreError):
                return {}  # closed, or out of reach: the ids say it as well
        return self._names

    # ---- what is seen ----

    def _saw(self, observed: Observed) -> None:
        target = observed.request.target
        with self._lock:
            self._calls.append(observed._replace(request=observed.request._replace(value=b"", questions=None)))
            if len(self._calls) > self._CALLS:
                del self._calls[: self._CALLS // 10]
                self._calls_left_out += self._CALLS // 10
            key = self._keys.setdefault((target.bucket, target.key), _Key())
            self._keys.move_to_end((target.bucket, target.key))
            while len(self._keys) > self._most:
                self._keys.popitem(last=False)
            if observed.reply is not None:
                self._answered(key, observed, observed.reply)
            else:
                self._failed(key, observed)
            while len(key.versions) > self._VERSIONS:
                key.versions.popitem(last=False)
                key.left_out += 1

    def _answered(self, key: _Key, observed: Observed, reply: _core.Reply) -> None:
        said = json.loads(reply.explain())
        raws = {dot: (raw, deleted) for raw, _, _, dot, deleted in reply.parts()[0]}
        wrote = str(said.get("write_id") or "")
        living: set[_Dot] = set()
        for each in said.get("versions", ()):
            dot: _Dot = (str(each["dot"]["node"]), int(each["dot"]["epoch"]), int(each["dot"]["counter"]))
            living.add(dot)
            known = key.versions.get(dot)
            if known is None:
                known = key.versions[dot] = _Known(dot, str(each["write_id"]))
            as_bytes = int(dot[0], 16).to_bytes(8, "big") + dot[1].to_bytes(8, "big") + dot[2].to_bytes(8, "big")
            if as_bytes in raws and known.raw is None:
                known.raw = bytes(raws[as_bytes][0])
            known.deleted = bool(each["tombstone"])
            if wrote and each["write_id"] == wrote and known.client is None and observed.request.kind != _core.GET:
                self._written(known, key, observed, said)
        # An answer may be older than one that came before it: only what has seen as much says what lives.
        clock = _clock(said.get("context", ()))
        if all(clock.get(actor, 0) >= counter for actor, counter in key.clock.items()):
            key.living = living
        for actor, counter in clock.items():
            key.clock[actor] = max(counter, key.clock.get(actor, 0))
        key.contexts[reply.context()] = observed.ended_us - self._begun
        while len(key.contexts) > 256:
            key.contexts.popitem(last=False)

    def _written(self, known: _Known, key: _Key, observed: Observed, said: dict[str, Any]) -> None:
        known.client = self._name
        known.node = str(said.get("node") or "") or None
        known.at_us = observed.begun_us - self._begun
        context = observed.request.seen[0] if observed.request.seen else observed.request.context
        if observed.request.kind == _core.EDIT:
            # The core reads and merges by itself: the edit has seen what its answer covers, but what is beside it.
            clock = _clock(said.get("context", ()))
            for each in said.get("versions", ()):
                actor = (str(each["dot"]["node"]), int(each["dot"]["epoch"]))
                if clock.get(actor, 0) >= int(each["dot"]["counter"]):
                    clock[actor] = int(each["dot"]["counter"]) - 1
            known.clock = clock
            return
        known.read_at_us = key.contexts.get(context, known.at_us if observed.request.seen else None)
        known.clock = {}
        if context:
            known.clock = {(f"{dot.node:016x}", dot.epoch): dot.counter for dot in Context._trusted(context).describe()}

    def _failed(self, key: _Key, observed: Observed) -> None:
        error = observed.error
        if not isinstance(error, RingletError) or not getattr(error, "maybe_applied", False):
            return
        self._open += 1
        known = _Known(("", 0, self._open), str(getattr(error, "write_id", "") or ""))
        known.open, known.client, known.at_us = True, self._name, observed.begun_us - self._begun
        value = observed.request.value
        known.raw = bytes(value) if isinstance(value, bytes | bytearray | memoryview) and observed.request.kind == _core.PUT else None
        known.deleted = observed.request.kind == _core.DELETE
        context = observed.request.context
        known.read_at_us = key.contexts.get(context)
        known.clock = {(f"{dot.node:016x}", dot.epoch): dot.counter for dot in Context._trusted(context).describe()} if context else {}
        key.versions[known.dot] = known


def _clock(said: Any) -> _Clock:
    return {(str(entry["node"]), int(entry["epoch"])): int(entry["counter"]) for entry in said}


def record(client: _AnyClient, name: str = "this process", *, keys: int = 1000) -> Recorder:
    """Keeps what the client reads and writes from now on, so that ``history``, ``why``, ``timeline`` and ``latencies`` can
    be drawn of a production cluster. A client of ``ringlet`` or of ``ringlet.aio``.

    Each call costs some tens of microseconds more while it is recorded.
    """
    if not hasattr(client, "_watch"):
        raise TypeError(f"record wanted a client, got {type(client).__name__}")
    if isinstance(keys, bool) or not isinstance(keys, int) or keys < 1:
        raise ValueError(f"record: wanted keys of at least 1, got {keys!r}")
    return Recorder(client, name, keys=keys)
