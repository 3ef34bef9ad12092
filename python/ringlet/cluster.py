"""A whole cluster inside this process, for development and tests."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from . import _calls, _core
from .client import Client, _Handle, _Logs, connect
from .errors import OptionError, UsageError, from_core_error, from_option_error
from .options import as_settings
from .versioned import Resolver

_CLIENTS = 0xFFFFFFFF  # RINGLET_CLIENTS

GROUPS = ("cluster", "node", "limits", "upkeep", "log", "client", "options")


def local_cluster(nodes: int = 3, *, data_dir: Path | None = None, **options: Any) -> LocalCluster:
    """Starts ``nodes`` real nodes (1 to 64) on free ports of 127.0.0.1, with their data in memory.

    N is 3 (or ``nodes``, if fewer), R and W 2; ``n=``, ``r=``, ``w=``, ``reconcile="lww"`` and the
    other ``cluster.*``, ``limits.*`` and ``upkeep.*`` options of ``ringlet.options()`` change that.
    """
    if isinstance(nodes, bool) or not isinstance(nodes, int):
        raise TypeError(f"nodes: wanted a number, got {type(nodes).__name__}")
    if not 1 <= nodes <= 64:
        raise UsageError(f"nodes: wanted 1 to 64, got {nodes}")
    if data_dir is not None:
        raise OptionError(
            "data_dir: nodes in this process keep their data in memory; "
            "for data on disk run ringletd"
        )
    return LocalCluster(as_settings(options, GROUPS), nodes)


class Undo:
    """A fault that was made. As a context manager, or by ``undo()``, it is taken back, once."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo: Callable[[], None] | None = undo

    def undo(self) -> None:
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def __enter__(self) -> Undo:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()


class LocalCluster(_Handle):
    """A running cluster. A context manager; closing it also closes the clients it opened."""

    def __init__(self, settings: dict[str, str], nodes: int) -> None:
        try:
            self._core = _core.Cluster(settings, nodes)
        except _core.CoreError as error:
            raise from_option_error(error) from None
        self._opened(_Logs(self._core.drain_logs))
        self._name = settings.get("cluster.name")
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._lines: list[tuple[int, int]] = []  # cut, once for each fault that cut it

    @property
    def seeds(self) -> str:
        """For ``connect``: ``127.0.0.1:41873,127.0.0.1:41874,…``."""
        return self._core.seeds

    def connect(
        self, *, timeout: float | None = None, resolver: Resolver[Any] | None = None, **options: Any
    ) -> Client:
        """A client of this cluster, which it keeps alive: ``ringlet.local_cluster().connect()`` will do."""
        self._ready()
        if self._name is not None and not {"cluster", "client.cluster"} & set(options):
            options.setdefault("client_cluster", self._name)
        client = connect(self.seeds, timeout=timeout, resolver=resolver, **options)
        self._clients.add(client)
        client._keeps = self
        return client

    def kill(self, index: int) -> None:
        """Node ``index`` (from 0) is gone at once, as with kill -9; its data are kept. Down
        already: no effect.
        """
        core = self._ready()
        self._run(lambda: core.kill(self._index(index)))

    def restart(self, index: int) -> None:
        """Node ``index`` comes back on the same address with its data. Running: no effect."""
        core = self._ready()
        self._run(lambda: core.restart(self._index(index)))

    def pause(self, index: int) -> Undo:
        """Node ``index`` stands still, as a process after SIGSTOP: its sockets stay open, what is sent to it waits
        in them and is worked off after ``resume``, where it is not too old by then. ``UsageError``: it is down.

        Like the other faults it holds until it is undone, or for a ``with`` block: ``with cluster.pause(1): …``.
        """
        core = self._ready()
        self._run(lambda: core.pause(self._index(index)))
        return Undo(lambda: None if self._closed else self.resume(index))

    def resume(self, index: int) -> None:
        """Node ``index`` goes on. Not paused, or down: no effect."""
        core = self._ready()
        self._run(lambda: core.resume(self._index(index)))

    def cut(self, source: int | Literal["clients"], target: int | Literal["clients"]) -> Undo:
        """Nothing that ``source`` sends reaches ``target`` any more; the other direction stays. ``"clients"`` as
        one of them: all clients. What is sent waits, as over a network that loses every packet.
        """
        return self._cut_lines([(self._end(source), self._end(target))])

    def partition(self, *sides: Iterable[int], clients: int | None = None) -> Undo:
        """Nodes of different ``sides`` hear nothing of each other. Nodes that are on no side form one more together.

        ``clients``: the number of the side, from 0, with which alone the clients can talk; by default they reach
        every node. ``with cluster.partition({0, 1}, {2}): …`` mends these lines at the end of the block.
        """
        named = [{self._index(node) for node in side} for side in sides]
        given = [node for side in named for node in side]
        if len(given) != len(set(given)):
            raise UsageError("sides: wanted each node on one side, got one on several")
        if rest := set(range(len(self))) - set(given):
            named.append(rest)
        named = [side for side in named if side]
        if len(named) < 2:
            raise UsageError("sides: wanted nodes on two sides at least, got them all on one")
        if clients is not None and not 0 <= clients < len(named):
            raise UsageError(f"clients: wanted a side, 0 to {len(named) - 1}, got {clients}")
        lines = [(a, b) for one in named for other in named if one is not other for a in one for b in other]
        if clients is not None:
            for node in set(range(len(self))) - named[clients]:
                lines += [(_CLIENTS, node), (node, _CLIENTS)]
        return self._cut_lines(lines)

    def heal(self) -> None:
        """Mends all lines that ``cut`` and ``partition`` cut."""
        core = self._ready()
        self._lines.clear()
        self._run(core.heal)

    def skew(self, index: int, seconds: float) -> Undo:
        """The wall clock of node ``index`` is from now on ``seconds`` ahead (negative: behind; at most 366 days) of
        the machine's, also after a restart; 0 sets it right. Timeouts do not depend on it.
        """
        core = self._ready()
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
            raise TypeError(f"seconds: wanted a number, got {type(seconds).__name__}")
        if not abs(seconds) <= 366 * 86400:
            raise UsageError(f"seconds: wanted at most 366 days either way, got {seconds}")
        self._run(lambda: core.skew(self._index(index), round(seconds * 1000)))
        return Undo(lambda: None if self._closed else self._set_right(index))

    def _set_right(self, index: int) -> None:
        self.skew(index, 0)

    def _end(self, end: object) -> int:
        return _CLIENTS if end == "clients" else self._index(end)  # type: ignore[arg-type]

    def _cut_lines(self, lines: list[tuple[int, int]]) -> Undo:
        core = self._ready()
        for source, target in lines:
            self._run(lambda: core.cut(source, target))  # noqa: B023  called at once
            self._lines.append((source, target))

        def mend() -> None:
            # A line that another fault cut, too, stays cut.
            if self._closed:
                return
            for source, target in lines:
                if (source, target) not in self._lines:
                    continue  # heal() was before
                self._lines.remove((source, target))
                if (source, target) not in self._lines:
                    self._run(lambda: core.mend(source, target))  # noqa: B023  called at once

        return Undo(mend)

    def close(self, drain: float = 0.2) -> None:
        """Ends the clients and the nodes. Again: no effect. Ctrl-C ends the waiting; the nodes end without it."""
        self._close(drain)

    def _close_core(self, drain_ms: int) -> None:
        for client in list(self._clients):
            client.close(drain_ms / 1000)
        _calls.interruptible(lambda: self._core.stop(drain_ms))

    def _run(self, call: Any) -> None:
        try:
            call()
        except _core.CoreError as error:
            raise from_core_error(error) from None
        finally:
            self._logs.pull()

    def _index(self, index: int) -> int:
        if isinstance(index, bool) or not isinstance(index, int):
            raise TypeError(f"node: wanted its index, got {type(index).__name__}")
        if not 0 <= index < len(self):
            raise UsageError(f"node: wanted 0 to {len(self) - 1}, got {index}")
        return index

    def _ready(self) -> _core.Cluster:
        self._check_process("started", "start")
        if self._closed:
            raise UsageError("the local cluster is closed")
        return self._core

    def __len__(self) -> int:
        return self._core.size

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(self.close, error)

    def __repr__(self) -> str:
        return (
            "<ringlet.LocalCluster, closed>"
            if self._closed
            else f"<ringlet.LocalCluster of {len(self)} nodes>"
        )
