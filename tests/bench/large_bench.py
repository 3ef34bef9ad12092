"""What large values do to the requests of others: three ringletd (WiredTiger, N=3, R=W=2) under an open loop of
small gets and puts, and beside it eight clients that put and get a value of almost 8 MiB each, all at once, again and
again, with the default deadline.

For each coordination the small load runs alone and then beside the large values. Prints p50, p99 and p99.9 of the small
calls, and what became of the large ones.

Exit code 0 when everything ran, whatever was measured; 1 when small calls failed; 2 when it could not run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from cluster_bench import CLUSTER, Failed, Node, cluster
from silent_bench import load

LARGE = (8 << 20) - 1024


class LargeValues:
    """Eight at once, with a pause between the bursts, until told to stop."""

    def __init__(self, binaries: Path, nodes: list[Node], coordination: str, pause: float) -> None:
        self._words = [str(word) for word in (
            binaries / "ringlet_cluster_load", "--seeds", *[node.address for node in nodes], "--cluster", CLUSTER,
            "--payload", LARGE, "--keys", 8, "--connections", 8, "--seconds", 0.1, "--coordination", coordination,
        )]  # fmt: skip
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.bursts: list[dict[str, Any]] = []
        self.said: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._pause if self.bursts else 1.0):
            done = subprocess.run(self._words, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode not in (0, 1):
                self.said.append(done.stderr)
                return
            self.bursts.append(json.loads(done.stdout))
            self.said.append(done.stderr.strip())

    def words(self) -> str:
        calls = sum(burst[kind]["count"] for burst in self.bursts for kind in ("get", "put"))
        failed = sum(burst["failed"] for burst in self.bursts)
        longest = max((burst[kind]["p999_us"] for burst in self.bursts for kind in ("get", "put")), default=0)
        why = next((said for said in self.said if said), "")
        return (
            f"{len(self.bursts)} times 8 at once: {failed} of {calls} large calls failed, "
            f"the longest took {longest / 1000:.0f} ms{': ' + why if failed and why else ''}"
        )


def measure(binaries: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    with cluster(binaries, arguments.engine) as nodes:
        for coordination in ("server", "client"):
            for what in ("alone", "beside large ones"):
                large = LargeValues(binaries, nodes, coordination, arguments.pause)
                beside = what != "alone"
                try:
                    got = load(binaries, nodes, arguments, coordination, large.start if beside else lambda: None)
                finally:
                    if beside:
                        large.stop()
                rows.append({"coordination": coordination, "what": what, "failed": got["failed"], "get": got["get"],
                             "put": got["put"], "large": large.words() if beside else ""})
                time.sleep(1)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--keys", type=int, default=500)
    parser.add_argument("--pause", type=float, default=2, help="seconds between the bursts (2)")
    parser.add_argument("--engine", choices=("memory", "wiredtiger"), default="wiredtiger")
    parser.add_argument("--json", action="store_true", help="print what was measured as JSON")
    arguments = parser.parse_args()
    try:
        rows = measure(arguments.bin.resolve(), arguments)
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(f"large_bench: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(rows))
        return int(any(row["failed"] for row in rows))
    print(f"\nvalues of 8 MiB beside {arguments.rate:g} small requests a second, {arguments.seconds:g} s each\n")
    print(f"{'coordination':<13}{'small calls':<19}{'':<5}{'p50':>9}{'p99':>9}{'p99.9':>9}")
    for row in rows:
        for kind in ("get", "put"):
            p50, p99, p999 = (row[kind][f"{name}_us"] / 1000 for name in ("p50", "p99", "p999"))
            print(f"{row['coordination']:<13}{row['what']:<19}{kind:<5}{p50:>9.2f}{p99:>9.2f}{p999:>9.2f} ms")
        if row["failed"]:
            print(f"{'':<13}failed: {row['failed']}")
        if row["large"]:
            print(f"{'':<13}{row['large']}")
    return int(any(row["failed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
