"""kill -9 for nodes, at most two at once, each started again after one to three seconds."""

from __future__ import annotations

import random
import threading
import time
from multiprocessing.sharedctypes import Synchronized

from cluster import Cluster, Node, NodeFailed


class Chaos(threading.Thread):
    """Runs until ``end``; then all nodes are up again. ``down`` tells the shoppers how many are
    away.
    """

    def __init__(self, cluster: Cluster, seed: int, down: Synchronized[int]) -> None:
        super().__init__(name="chaos", daemon=True)
        self._cluster = cluster
        self._random = random.Random(seed)
        self._down = down
        self._end = threading.Event()
        self._back: dict[str, float] = {}  # when a killed node starts again
        self.lock = threading.Lock()  # whoever holds it: no node is killed or started meanwhile
        self.kills = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Kills and restarts until told to end."""
        try:
            self._loop()
        except Exception as failure:  # shown by the main program, which ends everything
            self.failure = failure

    def end(self) -> None:
        """No further kills; starts what is down and waits for it."""
        self._end.set()
        self.join()
        self.all_up()

    def all_up(self) -> None:
        """Starts what is down; by whoever holds the lock, or after the end."""
        for node in self._away():
            self._restart(node)

    def _loop(self) -> None:
        pause = time.monotonic() + self._random.uniform(0.8, 1.5)
        while not self._end.wait(0.05):
            with self.lock:
                now = time.monotonic()
                for node in self._away():
                    if now >= self._back[node.name]:
                        self._restart(node)
                crashed = self._cluster.crashed()
                if crashed:
                    raise NodeFailed(
                        f"{crashed[0].name} ended by itself: {self._cluster.last_words(crashed[0])}"
                    )
                if now >= pause:
                    # Two at once as often as one; with fewer than four nodes W would not be left.
                    most = min(2, len(self._cluster.nodes) - 2)
                    for _ in range(self._random.choice((1, 2))):
                        if len(self._away()) < most:
                            self._kill(now)
                    pause = now + self._random.uniform(1.2, 2.4)

    def _away(self) -> list[Node]:
        return [node for node in self._cluster.nodes if node.name in self._back]

    def _kill(self, now: float) -> None:
        living = [node for node in self._cluster.nodes if node.name not in self._back]
        node = self._random.choice(living)
        self._down.value += 1  # before: what comes from now on may suffer from it
        self._cluster.kill(node)
        self._back[node.name] = now + self._random.uniform(1.0, 3.0)
        self.kills += 1

    def _restart(self, node: Node) -> None:
        self._cluster.start(node)
        self._cluster.wait_ready(node)
        del self._back[node.name]
        self._down.value -= 1
