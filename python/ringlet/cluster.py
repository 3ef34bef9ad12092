"""A whole cluster inside this process, for development and tests."""

from __future__ import annotations

import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

from . import _calls, _core
from .client import Client, _Handle, _Logs, connect
from .errors import OptionError, UsageError, from_core_error, from_option_error
from .options import as_settings
from .versioned import Resolver

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
