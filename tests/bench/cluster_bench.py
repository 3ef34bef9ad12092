"""The cluster as processes under a closed loop, beside an Asio echo of the same payload.

Starts three ringletd (N=3, R=W=2) on 127.0.0.1, port 0, loads them with ringlet_cluster_load from
1, 16 and 64 connections, server- and client-driven, ends them by pid, and prints one table. With
``--parts FILE``, the JSON of ringlet_bench, also the goals of versioning, codec and storage.

Exit code 0 when everything ran, whatever was measured; 1 when calls failed; 2 when it could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLUSTER = "bench"
GOAL_ROUND_TRIPS = 4.0
GOAL_FRESH_MIB = 64.0
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program did not do what it is for; the text says which, and what it said."""


class Node:
    """One ringletd; its memory and CPU are read from /proc."""

    def __init__(self, binary: Path, directory: Path, name: str, port: int, engine: str) -> None:
        self.name, self.directory = name, directory
        self.address = f"127.0.0.1:{port}"
        self._binary = binary
        self._engine = engine
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, members: list[Node], extra: dict[str, str] | None = None) -> None:
        """``extra``: lines for sections of the configuration."""
        self.directory.mkdir(exist_ok=True)
        extra = dict(extra or {})
        lines = [
            "[node]",
            f'name = "{self.name}"',
            f'listen = "{self.address}"',
            f'data_dir = "{self.directory / "data"}"',
            f'engine = "{self._engine}"',
            f'port_file = "{self.directory / "port"}"',
            "threads = 1",
            extra.pop("node", ""),
            "[cluster]",
            f'name = "{CLUSTER}"',
            "n = 3",
            "r = 2",
            "w = 2",
            extra.pop("cluster", ""),
        ]
        for section, text in extra.items():
            lines += [f"[{section}]", text]
        for member in members:
            lines += ["[[members]]", f'name = "{member.name}"', f'address = "{member.address}"']
        config = self.directory / "node.toml"
        config.write_text("\n".join(lines) + "\n", "utf-8")
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self._binary), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_ready(self, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not (self.directory / "port").exists():
            assert self.process is not None
            said = (self.directory / "log").read_text("utf-8", "replace")[-2000:]
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with status {self.process.returncode}: {said}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} was not ready within {seconds:g} s: {said}")
            time.sleep(0.02)

    def resident_mib(self) -> float:
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_seconds(self) -> float:
        assert self.process is not None
        # After the name in parentheses, which may hold anything: utime and stime are 12th and 13th.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: a member's address must be known before its node starts."""
    import socket

    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def cluster(binaries: Path, engine: str) -> Iterator[list[Node]]:
    with tempfile.TemporaryDirectory(prefix="ringlet-bench-") as place:
        nodes = [
            Node(binaries / "ringletd", Path(place) / f"n{i + 1}", f"n{i + 1}", port, engine)
            for i, port in enumerate(free_ports(3))
        ]
        try:
            for node in nodes:
                node.start(nodes)
            for node in nodes:
                node.wait_ready()
            yield nodes
        finally:
            for node in nodes:
                node.stop()


def run(*command: object, fine: tuple[int, ...] = (0, 1)) -> Any:
    """What it printed last, from JSON. ``fine``: the exit codes that come with an answer."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    return measured_by(words[0], done.returncode, done.stdout, done.stderr, fine)


def measured_by(program: str, code: int, out: str, err: str, fine: tuple[int, ...] = (0, 1)) -> Any:
    if code not in fine or not out.strip():
        raise Failed(f"{Path(program).name} ended with {code}: {err[-2000:]}")
    measured = json.loads(out.splitlines()[-1])
    if code == 1 and isinstance(measured, dict):
        measured["first_failure"] = err.strip()[-300:]
    return measured


def measure_echo(binaries: Path, payload: int, seconds: float) -> dict[str, Any]:
    return run(
        binaries / "ringlet_echo", "--payload", payload, "--connections", 1, "--seconds", seconds
    )


def measure_load(
    binaries: Path, nodes: list[Node], how: str, connections: int, payload: int, seconds: float
) -> dict[str, Any]:
    before = sum(node.cpu_seconds() for node in nodes)
    measured = run(
        binaries / "ringlet_cluster_load",
        "--seeds",
        *[node.address for node in nodes],
        "--cluster",
        CLUSTER,
        "--coordination",
        how,
        "--connections",
        connections,
        "--payload",
        payload,
        "--seconds",
        seconds,
    )
    calls = measured["get"]["count"] + measured["put"]["count"]
    spent = sum(node.cpu_seconds() for node in nodes) - before
    measured["server_cpu_us_per_call"] = spent * 1e6 / calls if calls else 0.0
    return measured


def table(rows: list[list[str]]) -> str:
    """Right-aligned columns; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def cluster_table(loads: list[dict[str, Any]], echo_p50: float) -> str:
    rows = [
        ["driven by", "conn", "calls/s", "failed", "CPU us/call"]
        + [f"{verb} {what}" for verb in ("get", "put") for what in ("p50", "p99", "p99.9", "/echo")]
    ]
    for load in loads:
        row = [
            load["coordination"],
            str(load["connections"]),
            f"{load['per_second']:,.0f}",
            str(load["failed"]),
            f"{load['server_cpu_us_per_call']:.0f}",
        ]
        for verb in ("get", "put"):
            times = load[verb]
            row += [f"{times[name]:,.0f}" for name in ("p50_us", "p99_us", "p999_us")]
            row.append(f"{times['p50_us'] / echo_p50:.1f}")
        rows.append(row)
    return table(rows)


Goal = tuple[str, str, str, bool]  # what, wanted, measured, met


def cluster_goals(result: dict[str, Any]) -> list[Goal]:
    goals: list[Goal] = []
    echo = result["echo"]["round_trip"]["p50_us"]
    for load in result["loads"]:
        if load["connections"] != 1:
            continue
        for verb in ("get", "put"):
            ratio = load[verb]["p50_us"] / echo
            goals.append(
                (
                    f"lone client, {verb}, {load['coordination']}-driven",
                    f"<= {GOAL_ROUND_TRIPS:g} echo round trips",
                    f"{ratio:.1f}",
                    ratio <= GOAL_ROUND_TRIPS,
                )
            )
    resident = max(result["fresh_mib"])
    goals.append(
        (
            "fresh node, resident",
            f"< {GOAL_FRESH_MIB:g} MiB",
            f"{resident:.1f} MiB",
            resident < GOAL_FRESH_MIB,
        )
    )
    return goals


def part_goals(report: dict[str, Any]) -> list[Goal]:
    """The goals of the parts, from the JSON that ringlet_bench wrote."""
    unit = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
    ns = {
        one["name"]: (one["cpu_time"] * unit[one["time_unit"]], one["real_time"] * unit[one["time_unit"]])
        for one in report["benchmarks"]
        if one.get("run_type", "iteration") == "iteration"
    }
    goals: list[Goal] = []

    def under(what: str, name: str, limit: float) -> None:
        if name in ns:
            took = ns[name][0]
            goals.append((what, f"< {limit:,.0f} ns", f"{took:,.0f} ns", took < limit))

    def within(what: str, ours: str, bare: str, limit: float) -> None:
        if ours in ns and bare in ns:
            cpu, wall = (a / b for a, b in zip(ns[ours], ns[bare], strict=True))
            goals.append(
                (what, f"<= {limit:g}x of bare calls", f"{wall:.2f}x (CPU {cpu:.2f}x)", wall <= limit)
            )

    under("versioning, update beside 1 sibling", "update_1_sibling", 1000)
    under("versioning, sync of equals", "sync_equal", 1000)
    under("versioning, sync with a newer one", "sync_newer", 1000)
    under("codec, 1 KiB put, encode and decode", "wire_encode_and_decode_put", 1000)
    within("storage, get", "storage/engine_get", "storage/bare_get", 1.5)
    within("storage, put, log", "storage/engine_put/2", "storage/bare_put", 1.5)  # as bare_put does
    return goals


def goal_table(goals: list[Goal]) -> str:
    return table(
        [["goal", "wanted", "measured", "met"]]
        + [[what, wanted, got, "yes" if met else "NO"] for what, wanted, got, met in goals]
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="where the programs are")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load (4)")
    parser.add_argument("--quick", action="store_true", help="half a second each, 1 and 16 connections")
    parser.add_argument("--payload", type=int, default=1024, help="bytes of a value (1024)")
    parser.add_argument("--engine", choices=("memory", "wiredtiger"), default="wiredtiger")
    parser.add_argument("--parts", type=Path, metavar="FILE", help="JSON of ringlet_bench, for its goals")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything measured goes here too")
    wanted = parser.parse_args()
    if not 0.1 <= wanted.seconds <= 600:
        parser.error(f"--seconds: wanted 0.1 to 600, got {wanted.seconds:g}")
    for name in ("ringletd", "ringlet_echo", "ringlet_cluster_load"):
        if not (wanted.bin / name).exists():
            parser.error(f"--bin: there is no {name} in {wanted.bin}")
    return wanted


def main() -> int:
    wanted = arguments()
    seconds = 0.5 if wanted.quick else wanted.seconds
    counts = (1, 16) if wanted.quick else (1, 16, 64)
    binaries = wanted.bin.resolve()
    result: dict[str, Any] = {"engine": wanted.engine, "payload": wanted.payload, "loads": []}
    try:
        # Before and after: the machine may change its mind meanwhile; the better one is what it can do.
        echoes = [measure_echo(binaries, wanted.payload, min(seconds, 2.0))]
        with cluster(binaries, wanted.engine) as nodes:
            result["fresh_mib"] = [node.resident_mib() for node in nodes]
            for how in ("server", "client"):
                for connections in counts:
                    result["loads"].append(
                        measure_load(binaries, nodes, how, connections, wanted.payload, seconds)
                    )
            result["loaded_mib"] = [node.resident_mib() for node in nodes]
        echoes.append(measure_echo(binaries, wanted.payload, min(seconds, 2.0)))
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        print(f"cluster_bench: {error}", file=sys.stderr)
        return 2
    result["echo"] = min(echoes, key=lambda one: one["round_trip"]["p50_us"])
    trip = result["echo"]["round_trip"]
    print(
        f"\n3 nodes, {wanted.engine}, N=3 R=W=2, {wanted.payload} bytes, {seconds:g} s each, "
        f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; times in us\n"
        f"echo: p50 {trip['p50_us']:.1f}, p99 {trip['p99_us']:.1f}, p99.9 {trip['p999_us']:.1f}\n"
    )
    print(cluster_table(result["loads"], trip["p50_us"]))
    fresh, loaded = (
        ", ".join(f"{mib:.1f}" for mib in result[name]) for name in ("fresh_mib", "loaded_mib")
    )
    print(f"\nresident MiB: fresh {fresh}; after the load {loaded}\n")
    goals = cluster_goals(result)
    if wanted.parts is not None:
        goals = part_goals(json.loads(wanted.parts.read_text("utf-8"))) + goals
    print(goal_table(goals))
    result["goals"] = [dict(zip(("goal", "wanted", "measured", "met"), goal, strict=True)) for goal in goals]
    if wanted.json is not None:
        wanted.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    failures = [load["first_failure"] for load in result["loads"] if load["failed"]]
    for failure in failures:
        print(f"cluster_bench: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
