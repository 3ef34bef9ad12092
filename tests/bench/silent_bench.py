"""What a silent node does to requests: five ringletd (N=3, R=W=2), 500 requests a second, one of five stopped.

For each coordination the same open loop runs twice on one cluster, without a fault and with SIGSTOP for one
node while it runs, and once more with the client opened while the node is stopped already. Prints p50, p99 and
p99.9 of each; the goal is p99.9 below 50 ms, or twice that of the run without a fault where the machine
itself is slower. On a machine that does other work as well, `chrt -r 1` before it makes the figures the nodes' own.

Exit code 0 when everything ran, whatever was measured; 1 when calls failed; 2 when it could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from cluster_bench import CLUSTER, Failed, Node, free_ports, measured_by

GOAL_MS = 50.0


def load(binaries: Path, seeds: list[Node], arguments: argparse.Namespace, coordination: str, begun: Any) -> dict[str, Any]:
    """``begun``: called when the clock starts."""
    words = [str(word) for word in (
        binaries / "ringlet_cluster_load", "--seeds", *[node.address for node in seeds], "--cluster", CLUSTER,
        "--payload", 1024, "--keys", arguments.keys, "--connections", 4, "--rate", arguments.rate,
        "--seconds", arguments.seconds, "--coordination", coordination,
    )]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        if said.startswith("the clock starts"):
            begun()
        out, err = process.communicate(timeout=120 + arguments.seconds)
    finally:
        process.kill()
        process.wait()
    measured: dict[str, Any] = measured_by(words[0], process.returncode, out, said + err)
    return measured


def measure(binaries: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="ringlet-silent-") as place, contextlib.ExitStack() as stack:
        nodes = [
            Node(binaries / "ringletd", Path(place) / f"n{i + 1}", f"n{i + 1}", port, arguments.engine)
            for i, port in enumerate(free_ports(5))
        ]
        for node in nodes:
            stack.callback(node.stop)
            node.start(nodes)
        for node in nodes:
            node.wait_ready()
        sleeper = nodes[2]
        assert sleeper.process is not None
        stack.callback(sleeper.process.send_signal, signal.SIGCONT)  # or it could not be stopped

        def stop_later() -> None:
            timer = threading.Timer(arguments.seconds / 3, sleeper.process.send_signal, [signal.SIGSTOP])
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)

        for coordination in ("server", "client"):
            for what, before, begun in (
                ("no fault", None, lambda: None),
                ("stopped meanwhile", None, stop_later),
                ("stopped before", signal.SIGSTOP, lambda: None),
            ):
                if before is not None:
                    sleeper.process.send_signal(before)
                got = load(binaries, nodes, arguments, coordination, begun)
                sleeper.process.send_signal(signal.SIGCONT)
                rows.append({"coordination": coordination, "what": what, "failed": got["failed"],
                             "get": got["get"], "put": got["put"]})
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--engine", choices=("memory", "wiredtiger"), default="wiredtiger")
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON")
    arguments = parser.parse_args()
    try:
        rows = measure(arguments.bin.resolve(), arguments)
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(f"silent_bench: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(rows))
        return int(any(row["failed"] for row in rows))
    print(f"\none of five nodes silent, {arguments.rate:g} requests a second, {arguments.seconds:g} s each\n")
    print(f"{'coordination':<13}{'node':<19}{'':<5}{'p50':>9}{'p99':>9}{'p99.9':>9}")
    usual: dict[tuple[str, str], float] = {}
    for row in rows:
        for kind in ("get", "put"):
            p50, p99, p999 = (row[kind][f"{name}_us"] / 1000 for name in ("p50", "p99", "p999"))
            base = usual.setdefault((row["coordination"], kind), p999)
            verdict = "" if row["what"] == "no fault" else (
                "  reached" if p999 < max(GOAL_MS, 2 * base) else f"  MISSED: wanted below {GOAL_MS:g} ms"
            )  # fmt: skip
            print(f"{row['coordination']:<13}{row['what']:<19}{kind:<5}{p50:>9.2f}{p99:>9.2f}{p999:>9.2f} ms{verdict}")
        if row["failed"]:
            print(f"{'':<13}failed: {row['failed']}")
    return int(any(row["failed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
