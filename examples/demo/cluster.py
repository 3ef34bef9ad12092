"""The demo's cluster: real ringletd processes, each with a directory and a configuration file of
its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

N, R, W = 3, 2, 2


class NodeFailed(Exception):
    """A node that did not start or ended by itself."""


@dataclass
class Node:
    """One process of ringletd, running or not."""

    name: str
    address: str
    directory: Path
    process: subprocess.Popen[bytes] | None = None


def find_binary(directory: Path | None) -> Path:
    """ringletd in ``directory``, or in one of this checkout's build directories."""
    root = Path(__file__).resolve().parents[2]
    places = (
        [directory]
        if directory is not None
        else [root / "build" / "release", root / "build" / "dev", root / "build"]
    )
    for place in places:
        for found in (
            place / "ringletd",
            place / "bin" / "ringletd",
            place / "core" / "daemon" / "ringletd",
        ):
            if found.is_file() and os.access(found, os.X_OK):
                return found
    raise NodeFailed(
        f"there is no ringletd in {', '.join(map(str, places))}; "
        "build it with ./dev build, or give --bin DIR"
    )


def free_addresses(count: int) -> list[str]:
    """Addresses nobody uses now. All are held until the last one is found, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{held.getsockname()[1]}" for held in sockets]
    finally:
        for held in sockets:
            held.close()


class Cluster:
    """N nodes that can be killed and started again. ``stop`` ends each by its pid, whatever
    happened.
    """

    def __init__(
        self, binary: Path, directory: Path, nodes: int, reconcile: str, engine: str = "wiredtiger"
    ) -> None:
        self._binary = binary
        self._directory, self._reconcile, self._engine = directory, reconcile, engine
        self.nodes = [
            Node(f"n{i + 1}", address, directory / f"n{i + 1}")
            for i, address in enumerate(free_addresses(nodes))
        ]
        # Told of every node's start and end; it outlives this program and ends what this program
        # could not.
        self._guard = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("guard.py"))],
            stdin=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self._guard_lock = threading.Lock()
        self._founders = list(self.nodes)
        for node in self.nodes:
            self._configure(node)

    def _configure(self, node: Node) -> None:
        node.directory.mkdir()
        (node.directory / "node.toml").write_text(self._configuration(node), "utf-8")

    def spare(self) -> Node:
        """A node that knows of the cluster and waits to be joined; started, and not in ``nodes``."""
        name = f"n{len(self._founders) + 1}"
        node = Node(name, free_addresses(1)[0], self._directory / name)
        self._configure(node)
        self.start(node)
        self.wait_ready(node)
        return node

    def _configuration(self, node: Node) -> str:
        lines = [
            "[node]",
            f'name = "{node.name}"',
            f'listen = "{node.address}"',
            f'data_dir = "{node.directory / "data"}"',
            f'engine = "{self._engine}"',
            "threads = 1",
            "",
            "[cluster]",
            'name = "demo"',
            f"n = {min(N, len(self._founders))}",
            f"r = {min(R, len(self._founders))}",
            f"w = {min(W, len(self._founders))}",
            "partitions = 64",
            f'reconcile = "{self._reconcile}"',
            'durability = "log"',
            "",
        ]
        if node not in self._founders:
            seeds = ", ".join(f'"{founder.address}"' for founder in self._founders)
            lines[-1:] = [f"seeds = [{seeds}]", ""]
        for member in self._founders if node in self._founders else []:
            lines += ["[[members]]", f'name = "{member.name}"', f'address = "{member.address}"', ""]
        lines += ["[log]", 'level = "info"', f'file = "{node.directory / "node.log"}"', ""]
        return "\n".join(lines)

    @property
    def seeds(self) -> list[str]:
        """Where clients find it."""
        return [node.address for node in self.nodes]

    def start(self, node: Node) -> None:
        """Starts a node; does not wait for it."""
        with open(node.directory / "output.txt", "ab") as output:
            node.process = subprocess.Popen(
                [str(self._binary), "--config", str(node.directory / "node.toml")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )  # Ctrl-C is for this program, which then ends the nodes
        self._tell_guard("+", node.process.pid)

    def wait_ready(self, node: Node, seconds: float = 20.0) -> None:
        """Until the node takes connections."""
        host, port = node.address.split(":")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if node.process is not None and node.process.poll() is not None:
                raise NodeFailed(
                    f"{node.name} ended with status {node.process.returncode}: "
                    f"{self.last_words(node)}"
                )
            try:
                socket.create_connection((host, int(port)), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise NodeFailed(
            f"{node.name} took no connection on {node.address} within {seconds:g} s: "
            f"{self.last_words(node)}"
        )

    def last_words(self, node: Node) -> str:
        """The end of what it printed and logged."""
        said = ""
        for name in ("output.txt", "node.log"):
            path = node.directory / name
            if path.is_file():
                said += path.read_text("utf-8", "replace")[-400:]
        return said.strip() or "it said nothing"

    def operator(self, node: Node, *order: str) -> dict[str, Any]:
        """What an administrator types, `ringlet cluster …`, told to one node; its answer. Again when
        the node could not now.
        """
        end = time.monotonic() + 20.0
        again = False
        while True:
            said = self._ringlet(node, *order)
            if said.returncode == 0:
                answer: dict[str, Any] = json.loads(said.stdout)
                return answer
            # The one before was heard, its answer was not.
            if again and ("is staged already" in said.stderr or "nothing is staged" in said.stderr):
                return {}
            if said.returncode != 4 or time.monotonic() > end:
                raise NodeFailed(f"ringlet cluster {' '.join(order)}: {said.stderr.strip()}")
            again = True
            time.sleep(0.5)

    def _ringlet(self, node: Node, *order: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                str(self._binary.with_name("ringlet")),
                *("--seeds", node.address, "--cluster", "demo", "--output", "json"),
                *("--timeout", "10000", "cluster", *order, "--node", node.address),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def lose_disk(self, node: Node) -> None:
        """kill -9, and its directory is empty when it starts again."""
        self.kill(node)
        shutil.rmtree(node.directory / "data")
        self.start(node)
        self.wait_ready(node)

    def retire(self, node: Node) -> None:
        """Ends a node that has left."""
        self.nodes.remove(node)
        self._end([node])

    def kill(self, node: Node) -> None:
        """kill -9."""
        if node.process is not None:
            node.process.send_signal(signal.SIGKILL)
            node.process.wait()
            self._tell_guard("-", node.process.pid)
            node.process = None

    def crashed(self) -> list[Node]:
        """Nodes that ended although nobody killed them."""
        return [
            node
            for node in self.nodes
            if node.process is not None and node.process.poll() is not None
        ]

    def resident_mib(self) -> float:
        """Resident memory of all nodes."""
        total = 0
        for node in self.nodes:
            process = node.process  # another thread may end it
            if process is None:
                continue
            try:
                status = Path(f"/proc/{process.pid}/statm").read_text("ascii")
            except OSError:
                continue
            total += int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total / (1 << 20)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for those that are still there after five seconds."""
        self._end(self.nodes)
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def _end(self, nodes: list[Node]) -> None:
        running = [
            node for node in nodes if node.process is not None and node.process.poll() is None
        ]
        for node in running:
            assert node.process is not None
            node.process.terminate()
        end = time.monotonic() + 5.0
        for node in running:
            assert node.process is not None
            try:
                node.process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                node.process.kill()
                node.process.wait()
        for node in nodes:
            if node.process is not None:
                self._tell_guard("-", node.process.pid)
            node.process = None

    def _tell_guard(self, sign: str, pid: int) -> None:
        assert self._guard.stdin is not None
        with self._guard_lock:
            self._guard.stdin.write(f"{sign}{pid}\n")
