"""The laboratory: a cluster in virtual time, to ask why there are two versions.

The nodes and the clients are the production ones. What is simulated is the network, the disks and the clocks, so
that a partition costs no time, and the same settings, seed and calls always come to the same end.

>>> from ringlet.lab import Lab
>>> lab = Lab(nodes=5, seed=7)
>>> alice, bob = lab.client("alice"), lab.client("bob")
>>> with lab.partition({"n1", "n2", "alice"}, {"n3", "n4", "n5", "bob"}):
...     _ = alice.bucket("carts").put("c", b"tea")
...     _ = bob.bucket("carts").put("c", b"milk")
>>> lab.settle()
Settled(quiet=True, waited=1.0, reasons=[])
>>> sorted(sibling.value for sibling in alice.bucket("carts").get("c").siblings)
[b'milk', b'tea']
>>> lab.close()

Time stands still but inside a call: one that waits for an answer lets it pass until the answer comes, and so do
``run``, ``step`` and ``settle``. One thread at a time uses a laboratory and its clients.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from . import _core
from .client import Client, _AnyClient, _milliseconds
from .codecs import Json
from .document import CONTENT_TYPE, _Node, _plain, _tree
from .errors import Key, UsageError, from_core_error
from .journal import Journal, as_journal
from .options import as_settings, as_text
from .versioned import Resolver

if TYPE_CHECKING:
    from . import aio
    from .display import History, Latencies, Replicas, Ring, Staleness, Timeline, Trees, Why

__all__ = ["Lab", "Settled", "Sweep"]

_GROUPS: Final = ("cluster", "node", "limits", "upkeep", "options")
_PLAIN: Final = (
    "nodes", "spares", "n", "r", "w", "seed", "partitions", "reconcile", "durability", "coordination", "loss",
    "duplicate", "slow", "trace",
)  # fmt: skip
_TIMES: Final = {
    "latency": "latency_us",
    "min_latency": "min_latency_us",
    "between_zones": "between_zones_us",
    "fsync": "fsync_us",
}


class Settled(NamedTuple):
    """How ``settle`` ended. It is true where all came to rest."""

    quiet: bool
    waited: float  # seconds of virtual time
    reasons: list[str]  # what is not at rest, in sentences

    def __bool__(self) -> bool:
        return self.quiet


class _During:
    """An act that is over when its ``with`` block is; without a block it stays."""

    def __init__(self, undo: Callable[[], object]) -> None:
        self._undo = undo

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo()


class Lab:
    """A cluster in virtual time. A context manager."""

    def __init__(self, *, _forked: tuple[_core.Lab, dict[str, Any]] | None = None, **settings: Any) -> None:
        """
        Args:
            settings: ``nodes=5``, ``n``, ``r``, ``w``, ``seed=7``, ``partitions``, ``reconcile``, ``durability``,
                ``coordination``; of the network ``loss``, ``duplicate``, ``slow`` (chances), ``latency``,
                ``min_latency``, ``between_zones`` (seconds), of the disks ``fsync`` (seconds); ``zones`` and
                ``weights``, lists by node; ``spares=3``, nodes that ``join`` and ``replace`` can take;
                ``trace``, how many records are kept; and what ``ringlet.options()`` lists for clusters.

        Raises:
            OptionError: there is no such setting.
            UsageError: a value that it cannot have; the message says what was wanted.
        """
        if _forked is not None:
            self._core, self._settings = _forked
        else:
            self._settings = _as_lab_settings(settings)
            try:
                self._core = _core.Lab(json.dumps(self._settings))
            except _core.CoreError as error:
                raise from_core_error(error) from None
        self._closed = False
        self._clients: dict[str, Client] = {}
        self._aio_clients: dict[str, aio.Client] = {}

    # ---- clients ----

    def client(
        self,
        name: str,
        *,
        resolver: Resolver[Any] | None = None,
        journal: str | os.PathLike[str] | Journal | None = None,
        **options: Any,
    ) -> Client:
        """The client of this name, made when it is first asked for: an ordinary ``ringlet.Client``.

        ``options``: of a client, as ``timeout`` (seconds) or ``coordination="client"``. ``journal``: as of
        ``ringlet.connect``.
        """
        known = self._clients.get(name)
        if known is not None and not known.closed and not options and resolver is None and journal is None:
            return known
        settings = self._client_settings(options)
        core = self._ready()
        made = Client(
            settings, resolver=resolver, journal=as_journal(journal), opened=lambda given: core.client(name, given)
        )
        self._own(made, name)
        self._clients[name] = made
        return made

    def aio_client(self, name: str, *, resolver: Any = None, **options: Any) -> aio.Client:
        """The same for asyncio: a ``ringlet.aio.Client``. While its calls are under way the event loop lets the
        laboratory's time pass, a millisecond at a turn.
        """
        from . import aio

        known = self._aio_clients.get(name)
        if known is not None and not known.closed and not options and resolver is None:
            return known
        settings = self._client_settings(options)
        core = self._ready()
        made = aio.Client(settings, resolver=resolver, opened=lambda given: core.client(name, given))
        self._own(made, name)
        self._aio_clients[name] = made
        return made

    def _own(self, client: _AnyClient, name: str) -> None:
        client._seeds = f"{name} in a laboratory"
        client._keeps = self
        client._warns = False  # left open it keeps no thread and no connection

    def _client_settings(self, options: dict[str, Any]) -> dict[str, str]:
        timeout = options.pop("timeout", None)
        settings = as_settings(options, ("client",))
        if timeout is not None:
            settings["client.timeout_ms"] = str(_milliseconds("timeout", timeout))
        return settings

    # ---- what happens ----

    def partition(self, *groups: Iterable[str]) -> _During:
        """Hosts of different groups no longer reach each other; a host in no group reaches all."""
        sides = [sorted(group) if isinstance(group, set | frozenset) else list(group) for group in groups]
        self._act("partition", groups=sides)
        return _During(lambda: self._act("partition", groups=sides, mend=True))

    def heal(self) -> None:
        """The network is whole again."""
        self._act("heal")

    def cut(self, source: str, target: str) -> _During:
        """What ``source`` sends to ``target`` is lost; the other way is open."""
        self._act("cut", **{"from": source, "to": target})
        return _During(lambda: self.mend(source, target))

    def mend(self, source: str, target: str) -> None:
        """The end of a ``cut``."""
        self._act("mend", **{"from": source, "to": target})

    def kill(self, node: str, *, machine: bool = False) -> _During:
        """The node's process is gone at once; with ``machine=True`` what was not synced to the disk, too."""
        self._act("kill", host=node, machine=machine)
        return _During(lambda: self.restart(node))

    def restart(self, node: str) -> None:
        """A node that was killed starts again, with its disk."""
        self._act("restart", host=node)

    def pause(self, host: str) -> _During:
        """The host does nothing, as a process under SIGSTOP; what is sent to it waits."""
        self._act("pause", host=host)
        return _During(lambda: self.resume(host))

    def resume(self, host: str) -> None:
        """The end of a ``pause``."""
        self._act("resume", host=host)

    def wipe(self, node: str) -> None:
        """The disk of a node that is down is replaced by an empty one."""
        self._act("wipe", host=node)

    def backup(self, node: str) -> None:
        """A copy of the node's disk, for ``restore``; the one before it is forgotten."""
        self._act("backup", host=node)

    def restore(self, node: str) -> None:
        """The disk of a node that is down is replaced by its backup: a store that has gone back in time."""
        self._act("restore", host=node)

    def loss(self, chance: float, *, duplicate: float = 0.0) -> _During:
        """Each message is lost with this chance, and delivered twice with that of ``duplicate``."""
        self._act("loss", chance=float(chance), duplicate=float(duplicate))
        return _During(
            lambda: self._act(
                "loss",
                chance=float(self._settings.get("loss", 0)),
                duplicate=float(self._settings.get("duplicate", 0)),
            )
        )

    def latency(
        self, mean: float | None = None, *, least: float | None = None, host: str | None = None, more: float = 0.0
    ) -> _During:
        """Seconds that a message takes: ``least`` and by chance ``mean`` more. With ``host``: each message to or
        from it takes ``more``.
        """
        if host is not None:
            if mean is not None or least is not None:
                raise UsageError("latency: wanted mean and least, or host and more, got both")
            self._act("latency", host=host, more_us=_us("more", more))
            return _During(lambda: self._act("latency", host=host, more_us=0))
        given = {"mean_us": mean, "min_us": least}
        self._act("latency", **{name: _us(name, value) for name, value in given.items() if value is not None})
        return _During(
            lambda: self._act(
                "latency",
                mean_us=self._settings.get("latency_us", 400),
                min_us=self._settings.get("min_latency_us", 100),
            )
        )

    def skew(self, node: str, seconds: float) -> _During:
        """The host's wall clock is ahead by this; negative: behind."""
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise UsageError(f"skew: wanted seconds, got {seconds!r}")
        self._act("skew", host=node, ms=round(seconds * 1000))
        return _During(lambda: self._act("skew", host=node, ms=0))

    def slow_disk(self, node: str, fsync: float) -> _During:
        """A sync of the node's disk takes this many seconds."""
        self._act("slow_disk", host=node, fsync_us=_us("fsync", fsync))
        return _During(lambda: self._act("slow_disk", host=node))

    def full_disk(self, node: str) -> _During:
        """The node's disk takes no write, and can be read."""
        self._act("full_disk", host=node)
        return _During(lambda: self._act("full_disk", host=node, full=False))

    def join(self, node: str) -> None:
        """A spare (``n6`` is the first of five nodes' spares) becomes a member; its partitions come meanwhile."""
        self._act("join", host=node)

    def leave(self, node: str) -> None:
        """A member hands over its partitions, and is none when that is done."""
        self._act("leave", host=node)

    def replace(self, node: str, by: str) -> None:
        """A spare takes the place of a member that is down and will not come back."""
        self._act("replace", host=node, by=by)

    # ---- time ----

    @property
    def now(self) -> float:
        """Seconds since the laboratory began."""
        return self._ready().now_us / 1e6

    @property
    def events(self) -> int:
        """How many events are over. ``rewind`` goes back to such a number."""
        return self._ready().events

    @property
    def trace_hash(self) -> str:
        """A fingerprint of all that has happened: equal for the same settings, seed and calls, in every language."""
        return f"{self._ready().hash:016x}"

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        self._call(lambda core: core.run(_us("seconds", seconds)))

    def step(self, count: int = 1) -> int:
        """The next events. Answers how many there were."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise UsageError(f"step: wanted a number of events from 0, got {count!r}")
        stepped: int = self._call(lambda core: core.step(count))
        return stepped

    def run_until(self, predicate: Callable[[], object], *, within: float = 60.0) -> bool:
        """Event by event until ``predicate()`` is true, which is the answer; False: not within so many seconds."""
        if not callable(predicate):
            raise TypeError(f"run_until wanted a function without arguments, got {type(predicate).__name__}")
        core = self._ready()
        until = core.now_us + _us("within", within)
        while not predicate():
            if core.now_us >= until or self.step() == 0:
                return False
        return True

    def settle(self, patience: float = 300.0) -> Settled:
        """Heals everything, starts what is down, and lets time pass until hints, transfers and replicas are at rest."""
        said = json.loads(self._call(lambda core: core.settle(_us("patience", patience))))
        return Settled(said["quiet"], said["waited_us"] / 1e6, said["not"])

    def rewind(self, to: int) -> None:
        """Back to when ``to`` events were over. What was done at that moment or later is undone."""
        if isinstance(to, bool) or not isinstance(to, int) or to < 0:
            raise UsageError(f"rewind: wanted a number of events from 0, got {to!r}")
        self._call(lambda core: core.rewind(to))

    # ---- what if ----

    def fork(self, **changed: Any) -> Lab:
        """Another laboratory in which the same was done at the same times, under other settings.

        A write follows there what its read brought there; the merges of an ``update`` are answered as they were
        here. Pictures of both can be drawn side by side: ``lab.history(…).beside(fork.history(…))``.
        """
        settings = _as_lab_settings(changed)
        made = self._call(lambda core: core.fork(json.dumps(settings)))
        return Lab(_forked=(made, {**self._settings, **settings}))

    @staticmethod
    def sweep(
        *, over: Mapping[str, Iterable[Any]], workload: Callable[[Lab], object], **settings: Any
    ) -> Sweep:
        """Runs ``workload(lab)`` in a new laboratory for each combination of ``over``, as
        ``over={"r": [1, 2, 3], "w": [1, 2, 3]}``, and tabulates what it came to.
        """
        names = list(over)
        rows = []
        for values in itertools.product(*(list(over[name]) for name in names)):
            given = dict(zip(names, values, strict=True))
            with Lab(**{**settings, **given}) as lab:
                workload(lab)
                rows.append({**given, **lab._summary()})
        return Sweep(rows)

    # ---- what there is to see ----

    def history(self, bucket: Key, key: Key, *, decode: Any = None, most: int = 2000) -> History:
        """The versions of a key, who wrote them and having seen which: the true graph."""
        from .display import History

        data = self._ask("history", bucket=_name("bucket", bucket), key=_name("key", key), most=most)
        return History(data, decode or _decoder(data))

    def why(self, bucket: Key, key: Key, *, decode: Any = None) -> Why:
        """In words: why these versions are there."""
        return self.history(bucket, key, decode=decode).why()

    def replicas(self, bucket: Key, key: Key, *, decode: Any = None) -> Replicas:
        """What each node holds of a key, hints included."""
        from .display import Replicas

        asked = {"bucket": _name("bucket", bucket), "key": _name("key", key)}
        return Replicas(self._ask("inspect", **asked), decode or _decoder(self._ask("history", **asked)))

    def timeline(
        self,
        bucket: Key | None = None,
        key: Key | None = None,
        *,
        request: int | None = None,
        since: float = 0.0,
        until: float | None = None,
        background: bool = False,
        most: int = 5000,
    ) -> Timeline:
        """Hosts, requests, messages, partitions and hints over time. ``background=True``: gossip, too."""
        from .display import Timeline

        asked: dict[str, Any] = {"from_us": _us("since", since), "background": background, "most": most}
        if key is not None:
            asked.update(bucket=_name("bucket", bucket or b""), key=_name("key", key))
        if request is not None:
            asked["request"] = request
        if until is not None:
            asked["to_us"] = _us("until", until)
        return Timeline(self._ask("timeline", **asked))

    def ring(self, bucket: Key | None = None, key: Key | None = None) -> Ring:
        """Members and partitions, and where a key lives."""
        from .display import Ring

        asked = {} if key is None else {"bucket": _name("bucket", bucket or b""), "key": _name("key", key)}
        return Ring(self._ask("ring", **asked))

    def trees(self, a: str, b: str) -> Trees:
        """The latest comparison of two nodes' Merkle trees that found a difference, level by level."""
        from .display import Trees

        return Trees(self._ask("trees", a=a, b=b))

    def latencies(self) -> Latencies:
        """How long calls took, by kind, in virtual time."""
        from .display import Latencies

        return Latencies({"series": self._latencies()})

    def staleness(self) -> Staleness:
        """How often a read did not show a write that had been acknowledged so long before it."""
        from .display import Staleness

        return Staleness({"series": [{"name": self._called(), "points": self._staleness()}]})

    def trace(self, *, start: int = 0, most: int = 100_000) -> list[dict[str, Any]]:
        """What happened, record by record; docs/lab.md has the fields."""
        return list(self._ask("trace", **{"from": start, "most": most}))

    def calls(self) -> list[dict[str, Any]]:
        """The clients' calls: kind, key, begin, end, result."""
        return list(self._ask("calls")["calls"])

    def status(self) -> dict[str, Any]:
        """Time, events, hosts, and how much of the trace is kept."""
        return dict(self._ask("status"))

    def _latencies(self) -> list[dict[str, Any]]:
        by_kind: dict[str, list[int]] = {}
        for call in self.calls():
            if call["to_us"] is not None and call["result"] == "ok":
                by_kind.setdefault(call["kind"], []).append(call["to_us"] - call["from_us"])
        return [{"name": kind, "samples_us": samples} for kind, samples in sorted(by_kind.items())]

    def _called(self) -> str:
        said = [f"{name}={self._settings[name]}" for name in ("n", "r", "w") if name in self._settings]
        return " ".join(said) or "reads"

    def _staleness(self) -> list[dict[str, Any]]:
        """Reads by the time since the latest write of their key was acknowledged."""
        calls = {call["id"]: call for call in self.calls()}
        shown = {
            record["request"]: set(record.get("dots", ()))
            for record in self._ask("trace", kind="answer")
            if "request" in record
        }
        by_key: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for call in calls.values():
            if call["kind"] == "get" and call["result"] == "ok" and call["id"] in shown:
                by_key.setdefault((call["bucket"], call["key"]), []).append(call)
        bins: dict[int, list[int]] = {}
        for (bucket, key), reads in by_key.items():
            versions = self._ask("history", bucket=bucket, key=key)["versions"]
            later = _descendants(versions)
            acknowledged = []
            for version in versions:
                end = calls.get(version.get("request", 0), {}).get("to_us")
                if end is not None and version["state"] != "unacknowledged":
                    acknowledged.append((end, version["dot"]))
            acknowledged.sort()
            for read in reads:
                before = [dot for end, dot in acknowledged if end <= read["from_us"]]
                if not before:
                    continue
                latest = before[-1]
                after = read["from_us"] - next(end for end, dot in acknowledged if dot == latest)
                stale = not (shown[read["id"]] & later[latest])
                bin_ = bins.setdefault(round(math.log10(max(after, 1)) * 4), [0, 0])
                bin_[0] += stale
                bin_[1] += 1
        return [
            {"after_us": round(10 ** (at / 4)), "stale": stale / reads, "reads": reads}
            for at, (stale, reads) in sorted(bins.items())
        ]

    def _summary(self) -> dict[str, Any]:
        """One row of a sweep."""
        from .display.charts import quantile

        calls = self.calls()
        ended = [call for call in calls if call["to_us"] is not None]
        reads = [call for call in ended if call["kind"] == "get" and call["result"] == "ok"]
        points = self._staleness()
        looked = sum(point["reads"] for point in points)
        row: dict[str, Any] = {
            "calls": len(calls),
            "refused": sum(call["result"] != "ok" for call in ended),
            "stale": sum(point["stale"] * point["reads"] for point in points) / looked if looked else 0.0,
            "siblings": sum(call["versions"] for call in reads) / len(reads) if reads else 0.0,
        }
        samples = sorted(call["to_us"] - call["from_us"] for call in ended if call["result"] == "ok")
        for label, percent in (("p50_ms", 50.0), ("p99_ms", 99.0), ("p99.9_ms", 99.9)):
            row[label] = quantile(samples, percent) / 1000 if samples else math.nan
        return row

    # ---- the end ----

    def close(self) -> None:
        """Ends the laboratory; its clients' calls are refused then. Again: no effect."""
        if self._closed:
            return
        self._closed = True
        for client in [*self._clients.values()]:
            if not client.closed:
                client.close(drain=0.0)
        for async_client in self._aio_clients.values():
            async_client._at_exit()
        self._core.release()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return "<ringlet.lab.Lab, closed>"
        return (
            f"<ringlet.lab.Lab of {self._settings.get('nodes', 5)} nodes, seed {self._settings.get('seed', 7)}, "
            f"at {self.now:.3f} s, {self.events} events>"
        )

    def __reduce__(self) -> Any:
        raise TypeError("a Lab cannot be pickled: make one with the same settings and do the same again")

    def _ready(self) -> _core.Lab:
        if self._closed:
            raise UsageError("the laboratory is closed")
        return self._core

    def _call(self, call: Callable[[_core.Lab], Any]) -> Any:
        try:
            return call(self._ready())
        except _core.CoreError as error:
            raise from_core_error(error) from None

    def _act(self, act: str, **fields: Any) -> None:
        text = json.dumps({"act": act, **fields})
        self._call(lambda core: core.act(text))

    def _ask(self, what: str, **arguments: Any) -> Any:
        text = json.dumps(arguments)
        return json.loads(self._call(lambda core: core.ask(what, text)))


class Sweep(Sequence[dict[str, Any]]):
    """What a workload came to under several settings: rows of a table."""

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = [dict(row) for row in rows]

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    def frame(self) -> Any:
        """As a ``pandas.DataFrame``, where pandas is installed."""
        import pandas  # type: ignore[import-untyped, import-not-found, unused-ignore]

        return pandas.DataFrame(self._rows)

    def _cells(self) -> list[list[str]]:
        if not self._rows:
            return []
        names = list(self._rows[0])
        shown = [[f"{row[n]:.3f}" if isinstance(row[n], float) else str(row[n]) for n in names] for row in self._rows]
        return [names, *shown]

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)

    def _repr_html_(self) -> str:
        from html import escape

        head, *body = self._cells() or [[]]
        lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
        lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body]
        return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _descendants(versions: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Of each dot: the dots under which it, or a version whose writer had seen it, is shown."""
    later: dict[str, set[str]] = {v["dot"]: {v["dot"], *v.get("aliases", ())} for v in versions}
    for version in reversed(versions):  # those that have seen come after what they have seen
        for dot in version["seen"]:
            if dot in later:
                later[dot] |= later[version["dot"]]
    return later


def _as_lab_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in given.items():
        if name in _PLAIN:
            settings[name] = value
        elif name in _TIMES:
            settings[_TIMES[name]] = _us(name, value)
        elif name in ("zones", "weights"):
            settings[name] = list(value)
        else:
            others[name] = value
    if others:
        settings["options"] = {name: as_text(name, value) for name, value in as_settings(others, _GROUPS).items()}
    return settings


def _us(name: str, seconds: float) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name}: wanted seconds as a number, got {type(seconds).__name__}")
    if not 0 <= seconds < 1e9:
        raise UsageError(f"{name}: wanted seconds from 0 to 1e9, got {seconds!r}")
    return round(seconds * 1e6)


def _name(what: str, given: Key) -> str:
    """A bucket or a key as the laboratory's JSON has it."""
    if isinstance(given, bytes):
        try:
            text = given.decode("utf-8")
        except UnicodeDecodeError:
            return "hex:" + given.hex()
        return "hex:" + given.hex() if text.startswith("hex:") else text
    if not isinstance(given, str):
        raise TypeError(f"{what}: wanted str or bytes, got {type(given).__name__}")
    return given


def _decoder(data: Mapping[str, Any]) -> Any:
    """JSON and documents where all values say that they are; else the picture's own reading."""
    types = {version.get("content_type") for version in data["versions"] if not version["deleted"]}
    if types == {Json.content_type}:
        return Json.decode
    return _read_document if types == {CONTENT_TYPE} else None


def _read_document(data: bytes | memoryview) -> Any:
    """A document without its schema: maps as dicts, sets as sets, counters and registers as their values."""

    def plain(node: _Node) -> Any:
        if node.type == 1:
            return {_plain(name): plain(nodes[0]) for name, nodes in node.fields.items()}
        if node.type == 2:
            return set(node.elements)
        if node.type == 4:
            return True
        return list(node.elements) if node.type == 6 else node.value

    return plain(_tree(_core.document_parse(bytes(data))))


