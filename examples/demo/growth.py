"""--grow: while everybody shops and nodes are killed, a node joins, another loses its disk, and a
third leaves.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from chaos import Chaos
from cluster import Cluster, Node, NodeFailed


class Growth(threading.Thread):
    """Each step begins at its share of the shopping, or later when the one before took longer; what
    has not ended with the shopping is waited for.
    """

    def __init__(self, cluster: Cluster, chaos: Chaos, seconds: float) -> None:
        super().__init__(name="growth", daemon=True)
        self._cluster = cluster
        self._chaos = chaos
        self._seconds = seconds
        self._end = threading.Event()
        self.steps: list[dict[str, Any]] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        """Join, lose a disk, leave."""
        start = time.monotonic()
        try:
            for share, step in ((0.1, self._join), (0.4, self._lose_disk), (0.6, self._leave)):
                pause = start + share * self._seconds - time.monotonic()
                if pause > 0 and self._end.wait(pause):
                    return
                begin = time.monotonic()
                self.steps.append({"step": "", "at_s": round(begin - start, 1), "took_s": None})
                what = step()
                self.steps[-1] |= {"step": what, "took_s": round(time.monotonic() - begin, 1)}
        except Exception as failure:  # shown by the main program, which ends everything
            self.failure = failure

    def end(self, seconds: float = 120.0) -> None:
        """Begins nothing more; waits for the step under way."""
        self._end.set()
        self.join(seconds)
        if self.is_alive() and self.failure is None:
            self.failure = NodeFailed(f"a step took more than {seconds:g} s: {self.steps}")

    def _commit(self, teller: Node, *order: str) -> str:
        with self._chaos.lock:
            self._chaos.all_up()  # an order is given to a node that is up
            self._cluster.operator(teller, *order)
            plan = self._cluster.operator(teller, "plan")
            self._cluster.operator(teller, "commit")
        return f"{len(plan.get('partitions', []))} of 64 partitions moved"

    def _join(self) -> str:
        spare = self._cluster.spare()
        moved = self._commit(self._cluster.nodes[0], "join", spare.name, spare.address)
        self._cluster.nodes.append(spare)  # from now on it may be killed as any other
        self._settled()
        return f"{spare.name} joined, {moved}"

    def _lose_disk(self) -> str:
        node = self._cluster.nodes[1]
        with self._chaos.lock:
            self._chaos.all_up()
            self._cluster.lose_disk(node)
        return f"{node.name} lost its disk and came back empty"

    def _leave(self) -> str:
        leaver = self._cluster.nodes[0]
        moved = self._commit(self._cluster.nodes[-1], "leave", leaver.name)
        self._settled()
        with self._chaos.lock:
            self._chaos.all_up()
            self._cluster.retire(leaver)
        return f"{leaver.name} left, {moved}"

    def _settled(self) -> None:
        """Until one ring is known to all and nothing is on its way."""
        while True:
            time.sleep(0.2)
            with self._chaos.lock:
                nodes = [node for node in self._cluster.nodes if node.process is not None]
                if len(nodes) < len(self._cluster.nodes):
                    continue
                try:
                    said = [self._cluster.operator(node, "status") for node in nodes]
                except NodeFailed:  # one that has just come back
                    continue
            one = {status["digest"] for status in said}
            if len(one) == 1 and all(status["moving"] == 0 for status in said):
                return
