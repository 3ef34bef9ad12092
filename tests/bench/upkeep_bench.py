"""What background work does to shoppers, how fast it is, and what memory a node takes under abuse.

Three ringletd (WiredTiger, N=3, R=W=2) on 127.0.0.1, loaded to half of what they can do, while a
fourth node joins, a node that lost its directory is repaired, and hints drain after an outage: p99.9
of each as a ratio to the same run without. Then transfer (a fifth node joins) and repair with no load,
beside a plain sequential copy of the same objects through the engine. All that some times over, each
with a new cluster: a machine's worst moments are often its host's, and only the median of several
ratios is about the nodes. Then a node's resident memory with a slow reader, idle connections, and a
key of many siblings. One table of goals.

Exit code 0 when everything ran, whatever was measured; 2 when it could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster_bench import CLUSTER, TICKS, Failed, Goal, Node, free_ports, goal_table, measured_by, run

CACHE_MB, LIMIT_MIB = 64, 320


class Bench:
    """A cluster, and the programs that act on it."""

    def __init__(self, binaries: Path, place: Path, payload: int, keys: int) -> None:
        self.binaries, self.place, self.payload, self.keys = binaries, place, payload, keys
        self.nodes = [
            Node(binaries / "ringletd", place / f"n{i + 1}", f"n{i + 1}", port, "wiredtiger")
            for i, port in enumerate(free_ports(5))
        ]
        self.founders, self.joiners = self.nodes[:3], self.nodes[3:]

    def start(self) -> None:
        for node in self.founders:
            node.start(self.founders, extra=self.extra())
        for node in self.founders:
            node.wait_ready()

    @staticmethod
    def extra() -> dict[str, str]:
        return {
            "node": f"cache_mb = {CACHE_MB}\nmemory_mb = {LIMIT_MIB}",
            "upkeep": "repair_ms = 600000",  # only when told
        }

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def load(self, seconds: float, begun: Any = None, **options: object) -> dict[str, Any]:
        """``begun``: called when an open loop's clock starts, after it has read all keys."""
        more = [f for name, value in options.items() for f in ([f"--{name}"] + [value] * (value is not True))]
        words = [str(word) for word in (
            self.binaries / "ringlet_cluster_load", "--seeds", *[n.address for n in self.founders],
            "--cluster", CLUSTER, "--payload", self.payload, "--keys", self.keys,
            "--seconds", seconds, *more,
        )]  # fmt: skip
        if begun is None:
            return run(*words)
        load = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert load.stderr is not None
            said = load.stderr.readline()
            if said.startswith("the clock starts"):
                begun()
            out, err = load.communicate(timeout=600)
        finally:
            load.kill()
            load.wait()
        return measured_by(words[0], load.returncode, out, said + err)

    def tell(self, *words: object) -> Any:
        return run(
            self.binaries / "ringlet", "--seeds", ",".join(n.address for n in self.founders),
            "--cluster", CLUSTER, "--output", "json", *words, fine=(0, 4),
        )  # fmt: skip

    def status(self, node: Node) -> dict[str, Any]:
        """Empty while the node does not answer: then the command ends with 4, and says what others said."""
        for said in self.tell("status"):
            if said["node"] == node.name and "error" not in said:
                return said
        return {}

    def wait(self, what: str, condition: Any, seconds: float = 120) -> float:
        """Asks once a second: each time it starts a process, which is felt on a machine of two cores."""
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > seconds:
                raise Failed(f"{what}: not within {seconds:g} s")
            time.sleep(1)
        return time.monotonic() - start

    def lose_directory(self, node: Node) -> None:
        node.stop()
        shutil.rmtree(node.directory / "data")

    def again(self, node: Node) -> None:
        (node.directory / "port").unlink(missing_ok=True)
        if node in self.founders:
            node.start(self.founders, extra=self.extra())
        else:
            seeds = ", ".join(f'"{n.address}"' for n in self.founders)
            node.start([], extra={**self.extra(), "cluster": f"seeds = [{seeds}]"})
        node.wait_ready()


def during(
    bench: Bench, rate: float, seconds: float, node: Node | None, work: Any
) -> tuple[dict[str, Any], Any]:
    """The load while ``work`` is done, from the moment its clock starts. ``node``: it is started under a load
    before that, for the start of a process costs this machine more than what is to be measured."""
    result: list[Any] = []

    def act(action: Any) -> None:
        try:
            result.append(action())
        except (Failed, OSError, subprocess.TimeoutExpired) as error:
            result.append(error)

    def load(seconds: float, action: Any) -> dict[str, Any]:
        thread = threading.Thread(target=act, args=(action,))
        measured = bench.load(seconds, thread.start, connections=4, rate=rate)
        thread.join()
        if isinstance(result[-1], Exception):
            raise result[-1]
        return measured

    if node is not None:
        load(1, lambda: bench.again(node))
    return load(seconds, work), result[-1]


def join(bench: Bench, joiner: Node) -> dict[str, Any]:
    first = bench.founders[0].name
    bench.tell("cluster", "join", joiner.name, joiner.address, "--node", first)
    bench.tell("cluster", "commit", "--node", first)

    moved: dict[str, Any] = {}

    def arrived() -> bool:
        moved.update(bench.status(joiner).get("upkeep", {}).get("transfer", {}))
        return bool(moved.get("objects") and moved["left"] == 0)

    waited = bench.wait("the join", arrived)
    return {
        "seconds": moved["busy_ms"] / 1000, "objects": moved["objects"], "bytes": moved["bytes"],
        "with_gossip_s": waited,
    }  # fmt: skip


def repair(bench: Bench, node: Node, *, start: bool = False) -> dict[str, Any]:
    def trees() -> dict[str, dict[str, Any]]:
        said = {n.name: bench.status(n).get("upkeep", {}).get("anti_entropy") for n in bench.founders}
        return {name: one for name, one in said.items() if one}

    before = trees()
    if start:
        bench.again(node)
    bench.tell("repair", "--node", node.name)
    last: dict[str, Any] = {"at": time.monotonic(), "objects": 0, "seconds": 0.0}

    # It asks the others and is asked by them: what both ways brought, and the longer of the times.
    def quiet() -> bool:
        now = trees()
        if len(now) < len(bench.founders):
            return False
        own = now[node.name]
        sent = sum(now[n]["keys_sent"] - before[n]["keys_sent"] for n in before)
        busy = [own["busy_ms"]] + [now[n]["busy_ms"] - before[n]["busy_ms"] for n in before]
        if own["keys_received"] + sent != last["objects"]:
            last.update(at=time.monotonic(), objects=own["keys_received"] + sent)
        last["seconds"] = max(busy) / 1000
        return last["objects"] > 0 and own["idle"] and time.monotonic() - last["at"] > 1

    bench.wait("the repair", quiet)
    return {"seconds": last["seconds"], "objects": last["objects"]}


def drain(bench: Bench, node: Node) -> dict[str, Any]:
    before = {n.name: bench.status(n)["hints_delivered"] for n in bench.founders if n is not node}
    waiting = sum(bench.status(n)["hints"] for n in bench.founders if n is not node)
    start = time.monotonic()
    bench.wait("the hints", lambda: all(bench.status(n).get("hints") == 0 for n in bench.founders))
    done = sum(bench.status(n)["hints_delivered"] - before[n.name] for n in bench.founders if n is not node)
    return {"seconds": time.monotonic() - start, "objects": done, "waiting": waiting}


def p999(load: dict[str, Any]) -> float:
    return max(load["get"]["p999_us"], load["put"]["p999_us"]) / 1000


def stolen_seconds() -> float:
    """CPU that the host gave to others, all CPUs together, since the machine started."""
    return int(Path("/proc/stat").read_text("ascii").split()[8]) / TICKS


def slowed(seconds: float = 5.0) -> float:
    """In what share of 10 ms two processes that only hand a byte to and fro do so at under 60 % of their usual
    speed. With nothing else running that is the machine's own doing, and p99.9 has it in it."""
    there, back = os.pipe(), os.pipe()
    echo = os.fork()
    if echo == 0:
        os.close(there[1])
        while os.read(there[0], 1):
            os.write(back[1], b".")
        os._exit(0)
    rates: list[float] = []
    begin = now = time.monotonic()
    while now - begin < seconds:
        start, turns = now, 0
        while now - start < 0.01:
            os.write(there[1], b".")
            os.read(back[0], 1)
            turns += 1
            now = time.monotonic()
        rates.append(turns / (now - start))
    for end in (there[1], there[0], back[0], back[1]):
        os.close(end)
    os.waitpid(echo, 0)
    usual = middle(rates)
    return sum(rate < 0.6 * usual for rate in rates) / len(rates)


def speeds(bench: Bench, seconds: float) -> dict[str, Any]:
    result: dict[str, Any] = {}
    stolen, start = stolen_seconds(), time.monotonic()
    bench.load(seconds, connections=16)
    peak = bench.load(seconds, connections=16)["per_second"]
    rate = peak / 2
    bench.load(seconds, connections=4, rate=rate)
    result["peak"] = peak
    calm = [bench.load(seconds, connections=4, rate=rate)]
    under: dict[str, Any] = {}

    victim = bench.founders[1]
    bench.lose_directory(victim)
    # It begins as soon as the node is back, so its start is part of what is measured here.
    under["repair"] = during(bench, rate, seconds, None, lambda: repair(bench, victim, start=True))
    calm.append(bench.load(seconds, connections=4, rate=rate))

    away = bench.founders[2]
    away.stop()
    bench.load(seconds, connections=4, rate=rate)
    under["hint drain"] = during(bench, rate, seconds, away, lambda: drain(bench, away))

    # With nobody asking: how fast a lost node is whole again.
    bench.lose_directory(victim)
    result["repair_alone"] = repair(bench, victim, start=True)

    under["join"] = during(bench, rate, seconds, bench.joiners[0], lambda: join(bench, bench.joiners[0]))
    calm.append(bench.load(seconds, connections=4, rate=rate))
    result["calm_p999_ms"] = [p999(load) for load in calm]
    result["under"] = {
        name: {"p999_ms": p999(load), "failed": load["failed"], **work} for name, (load, work) in under.items()
    }
    bench.again(bench.joiners[1])
    result["join_alone"] = join(bench, bench.joiners[1])
    bench.stop()
    copies = bench.place / "copies"
    copies.mkdir()
    result["copy"] = run(
        bench.binaries / "ringlet_copy", "--from", bench.founders[0].directory / "data",
        "--node", bench.founders[0].name, "--to", copies,
    )  # fmt: skip
    result["stolen"] = (stolen_seconds() - stolen) / ((time.monotonic() - start) * (os.cpu_count() or 1))
    return result


SLOW = 4


def sampled(nodes: list[Node], seconds: float, ended: Any = lambda: False) -> float:
    worst, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end and not ended():
        worst = max(worst, *(node.resident_mib() for node in nodes))
        time.sleep(0.05)
    return worst


def slow_readers(bench: Bench, seconds: float) -> float:
    """Clients that ask for 64 KiB values faster than the machine gives them, and then stop reading."""
    words = [
        bench.binaries / "ringlet_cluster_load", "--seeds", *[n.address for n in bench.founders],
        "--cluster", CLUSTER, "--payload", 65536, "--keys", 200, "--seconds", seconds,
        "--connections", SLOW, "--rate", 20000,
    ]  # fmt: skip
    load = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        worst = sampled(bench.founders, seconds / 2)
        load.send_signal(signal.SIGSTOP)
        return max(worst, sampled(bench.founders, seconds / 2))
    finally:
        load.kill()
        load.wait()


def siblings(bench: Bench, seconds: float) -> tuple[float, dict[str, Any]]:
    """Blind writers of one key."""
    result: list[dict[str, Any]] = []
    keys, bench.keys = bench.keys, 1
    thread = threading.Thread(
        target=lambda: result.append(bench.load(seconds, connections=4, rate=2000, blind=True))
    )
    thread.start()
    worst = sampled(bench.founders, seconds + 60, lambda: not thread.is_alive())
    thread.join()
    bench.keys = keys
    return worst, result[0]


def connections(node: Node, count: int) -> tuple[float, int]:
    """Connections that say nothing; held for less than the node waits for a handshake."""
    host, port = node.address.split(":")
    held = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            for _ in range(count):
                held.append(stack.enter_context(socket.create_connection((host, int(port)), 2)))
        return sampled([node], 1.0), len(held)


def memory(bench: Bench, result: dict[str, Any], seconds: float) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 25_000), hard))
    worst, held = connections(bench.founders[0], 10_000)
    result["connections"] = {"mib": worst, "held": held}
    worst, load = siblings(bench, seconds)
    result["siblings"] = {"mib": worst, "failed": load["failed"]}
    result["slow readers"] = {"mib": slow_readers(bench, seconds)}


def middle(values: list[float]) -> float:
    return statistics.median(values)


def spread(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def goals(rounds: list[dict[str, Any]], memory: dict[str, Any]) -> list[Goal]:
    found: list[Goal] = []
    for name in rounds[0]["under"] if rounds else ():
        calm = [middle(one["calm_p999_ms"]) for one in rounds]
        loads = [one["under"][name] for one in rounds]
        ratios = [load["p999_ms"] / without for load, without in zip(loads, calm, strict=True)]
        failed = [load["failed"] for load in loads if load["failed"]]
        found.append((
            f"p99.9 during {name}", "<= 1.5x without",
            f"{middle(ratios):.2f}x of {spread(ratios)} ({middle([x['p999_ms'] for x in loads]):.0f} against "
            f"{middle(calm):.0f} ms; {loads[0]['objects']} objects in {loads[0]['seconds']:.1f} s; "
            f"failed {failed or 'none'})",
            middle(ratios) <= 1.5,
        ))  # fmt: skip
    for name, work in (("transfer", "join_alone"), ("repair", "repair_alone")) if rounds else ():
        speed = [one[work]["objects"] / one[work]["seconds"] for one in rounds]
        for how, words in (("one", "1 a transaction"), ("many", "64 a transaction")):
            plain = [one["copy"][f"{how}_per_second"] for one in rounds]
            ratios = [ours / copy for ours, copy in zip(speed, plain, strict=True)]
            found.append((
                f"{name}, against a copy, {words}", ">= 0.5x",
                f"{middle(ratios):.2f}x of {spread(ratios)} ({middle(speed):,.0f} against "
                f"{middle(plain):,.0f} objects/s)", middle(ratios) >= 0.5,
            ))  # fmt: skip
    for name, got in memory.items():
        held = f", {got['held']} held" if "held" in got else ""
        found.append((f"memory, {name}", f"<= {LIMIT_MIB} MiB", f"{got['mib']:.0f} MiB{held}", got["mib"] <= LIMIT_MIB))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="where the programs are")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each load (30)")
    parser.add_argument("--rounds", type=int, default=3, help="of the speeds (3)")
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--payload", type=int, default=1024)
    parser.add_argument("--part", choices=("all", "speeds", "memory"), default="all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything measured goes here too")
    wanted = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    used: dict[str, Any] = {}
    began, slow = os.getloadavg()[0], slowed()
    try:
        for _ in range(wanted.rounds if wanted.part != "memory" else 0):
            with bench_of(wanted) as bench:
                rounds.append(speeds(bench, wanted.seconds))
        if wanted.part != "speeds":
            with bench_of(wanted) as bench:
                memory(bench, used, wanted.seconds)
    except (Failed, OSError, subprocess.TimeoutExpired) as error:
        print(f"upkeep_bench: {error}", file=sys.stderr)
        return 2
    stolen = f", {max(one['stolen'] for one in rounds):.1%} of its CPU taken by its host" if rounds else ""
    print(
        f"\n3 nodes, wiredtiger, N=3 R=W=2, {wanted.payload} bytes, {wanted.seconds:g} s each, "
        f"{len(rounds)} times; {os.cpu_count()} CPUs, machine's load {began:.1f} to "
        f"{os.getloadavg()[0]:.1f}{stolen}; idle, it was slow in {slow:.1%} of the time\n"
    )
    print(goal_table(goals(rounds, used)))
    if wanted.json is not None:
        wanted.json.write_text(json.dumps({"rounds": rounds, "memory": used}, indent=1) + "\n", "utf-8")
    return 0


@contextlib.contextmanager
def bench_of(wanted: argparse.Namespace) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="ringlet-upkeep-") as place:
        bench = Bench(wanted.bin.resolve(), Path(place), wanted.payload, wanted.keys)
        try:
            bench.start()
            yield bench
        finally:
            bench.stop()


if __name__ == "__main__":
    sys.exit(main())
