"""Tests of what is built on Ringlet: faults drawn from a seed, for a real cluster in this process.

``ringlet.pytest_plugin`` has the fixtures; this module needs no pytest.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType

from .cluster import LocalCluster, Undo
from .errors import UsageError

__all__ = ["FAULTS", "Nemesis"]

FAULTS = ("kill", "pause", "partition", "cut", "skew")


class Nemesis:
    """Makes faults in ``cluster`` while a ``with`` block runs, one after the other, each drawn from ``seed``.

    At most one node at a time is killed, paused or cut off, so that with N=3 and R=W=2 every call can succeed:
    what fails then is a finding. At the end of the block everything is mended and every node runs again.

    ``faults``: which of ``FAULTS``. ``pause`` and ``lasting``: mean seconds between two faults, and of one.
    The same seed draws the same faults in the same order; when in the test's own course they come is the
    machine's to decide, since the nodes are real. ``done`` says what was made, for the report of a failure.
    For a test that repeats to the last message use ``ringlet.lab``.
    """

    def __init__(
        self,
        cluster: LocalCluster,
        seed: int,
        faults: Iterable[str] = FAULTS,
        *,
        pause: float = 0.05,
        lasting: float = 0.1,
    ) -> None:
        self.faults: tuple[str, ...] = tuple(faults)
        if unknown := [fault for fault in self.faults if fault not in FAULTS]:
            raise UsageError(f"faults: wanted some of {', '.join(FAULTS)}, got {unknown[0]!r}")
        if not self.faults:
            raise UsageError(f"faults: wanted some of {', '.join(FAULTS)}, got none")
        for name, value in (("pause", pause), ("lasting", lasting)):
            if not 0 < value < 3600:
                raise UsageError(f"{name}: wanted seconds, above 0 and below 3600, got {value}")
        self.cluster: LocalCluster
        self.seed: int
        self.pause: float
        self.lasting: float
        self.cluster, self.seed, self.pause, self.lasting = cluster, seed, pause, lasting
        self.done: list[str] = []
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Nemesis:
        if self._thread is not None:
            raise UsageError("a nemesis is used once: make another one")
        self._thread = threading.Thread(target=self._work, name="ringlet-nemesis", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _work(self) -> None:
        begun = time.monotonic()
        try:
            while not self._ended.wait(self._random.expovariate(1 / self.pause)):
                fault, node = self._random.choice(self.faults), self._random.randrange(len(self.cluster))
                lasting = self._random.expovariate(1 / self.lasting)
                what, undo = getattr(self, f"_{fault}")(node)
                self.done.append(f"{time.monotonic() - begun:.3f} s: {what} for {lasting:.3f} s")
                try:
                    self._ended.wait(lasting)
                finally:
                    undo()
        except BaseException as error:  # shown by the block's end; in a thread it would only be printed
            self._error = error

    def _kill(self, node: int) -> tuple[str, Callable[[], None]]:
        self.cluster.kill(node)
        return f"kill node {node}", lambda: self.cluster.restart(node)

    def _pause(self, node: int) -> tuple[str, Callable[[], None]]:
        return f"pause node {node}", self.cluster.pause(node).undo

    def _partition(self, node: int) -> tuple[str, Callable[[], None]]:
        rest = set(range(len(self.cluster))) - {node}
        if not rest:
            return self._pause(node)
        return f"partition {{{node}}} from the rest", self.cluster.partition({node}, rest).undo

    def _cut(self, node: int) -> tuple[str, Callable[[], None]]:
        if len(self.cluster) == 1:
            return self._pause(node)
        other = (node + self._random.randrange(1, len(self.cluster))) % len(self.cluster)
        return f"cut the line from node {node} to node {other}", self.cluster.cut(node, other).undo

    def _skew(self, node: int) -> tuple[str, Callable[[], None]]:
        seconds = self._random.uniform(-600, 600)
        undo: Undo = self.cluster.skew(node, seconds)
        return f"skew the clock of node {node} by {seconds:.0f} s", undo.undo
