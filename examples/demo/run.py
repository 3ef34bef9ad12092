"""The demo: shared carts that take every change while the machines under them are killed.

Run it with ./dev demo. Starts real nodes, lets shoppers fill carts with read-merge-write and the
application's own merge, kills nodes with kill -9 meanwhile, then reads every replica and says what
became of every acknowledged add. Exit status: 0 all promises kept, 1 one was broken, 2 the demo
could not run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [
    str(HERE),
    *([] if "--installed" in sys.argv else [str(HERE.parents[1] / "python")]),
]

import ringlet  # noqa: E402

from chaos import Chaos  # noqa: E402
from cluster import Cluster, NodeFailed, find_binary  # noqa: E402
from growth import Growth  # noqa: E402
from report import Findings, side_by_side  # noqa: E402
from shoppers import (  # noqa: E402
    CART,
    CartCodec,
    Ledger,
    Plan,
    merge_carts,
    quantities_of,
    shop,
    things_of,
)

GROUP = 4  # shoppers that share a cart


# How carts are reconciled: the shoppers' way, and the cluster's.
WAYS = {
    "document": ("document", "siblings"),
    "union": ("union", "siblings"),
    "lww": ("union", "lww"),
}


class CannotRun(Exception):
    """The demo itself failed; nothing is said about the cluster."""


def main() -> int:
    """Runs the demo."""
    arguments = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the nodes are ended then, too
    try:
        baskets = read_baskets(arguments.baskets)
        binary = find_binary(arguments.bin)
        ways = WAYS if arguments.compare else {arguments.way: WAYS[arguments.way]}
        found = {
            way: one_run(binary, arguments, baskets, merge, reconcile)
            for way, (merge, reconcile) in ways.items()
        }
    except (CannotRun, NodeFailed, ringlet.RingletError) as failure:
        print(f"\ndemo: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ndemo: interrupted; the nodes are ended", file=sys.stderr)
        return 130
    findings = next(iter(found.values()))
    if arguments.compare:
        print(side_by_side(found))
    else:
        print(findings.as_text())
    if arguments.json is not None:
        data: Any = findings.as_json()
        if arguments.compare:
            data = {way: each.as_json() for way, each in found.items()}
        arguments.json.write_text(json.dumps(data, indent=2) + "\n", "utf-8")
    # Of a comparison the documents must be right; that the others are not is what it shows.
    return 1 if findings.broken() else 0


def one_run(
    binary: Path,
    arguments: argparse.Namespace,
    baskets: list[list[str]],
    merge: str,
    reconcile: str,
) -> Findings:
    """A cluster of its own, from its start to its end."""
    arguments.merge, arguments.reconcile = merge, reconcile
    with tempfile.TemporaryDirectory(prefix="ringlet-demo-") as directory:
        cluster = Cluster(binary, Path(directory), arguments.nodes, reconcile)
        try:
            return run(cluster, arguments, baskets)
        finally:
            cluster.stop()


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="Shared carts that take every change while nodes are killed."
    )
    parser.add_argument("--nodes", type=between(3, 64), default=5, help="ringletd processes (5)")
    parser.add_argument(
        "--shoppers",
        type=between(1, 256),
        default=16,
        help="shoppers, four of which share a cart (16)",
    )
    parser.add_argument(
        "--seconds", type=between(1, 86400), default=30, help="how long they shop (30)"
    )
    parser.add_argument(
        "--baskets",
        type=Path,
        default=HERE / "baskets.csv",
        metavar="FILE",
        help="one basket a line, items separated by commas (a small made-up file)",
    )
    parser.add_argument(
        "--coordination",
        choices=("server", "client"),
        default="server",
        help="who runs the quorums (server)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings here, too")
    parser.add_argument(
        "--seed",
        type=int,
        default=None,
        metavar="N",
        help="of the shoppers' and the killer's choices (random)",
    )
    parser.add_argument(
        "--reconcile",
        choices=("siblings", "lww"),
        default="siblings",
        help="lww: last write wins, which loses adds: "
        "the proof that this check can fail (siblings)",
    )
    parser.add_argument(
        "--merge",
        choices=("document", "union"),
        default=None,
        help="document: carts that merge themselves; union: the application's own merge, which brings "
        "removed things back (document; with lww union)",
    )
    parser.add_argument(
        "--journal",
        metavar="FILE",
        help="with --merge union: each conflict that the merge meets is appended to this file; "
        "ringlet.replay gives them to another merge (docs/check-merge.md)",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="run documents, union and lww one after the other and print them side by side",
    )
    parser.add_argument(
        "--grow",
        action="store_true",
        help="meanwhile a node joins, another loses its disk and a third leaves",
    )
    parser.add_argument(
        "--bin",
        type=Path,
        metavar="DIR",
        help="where ringletd is (this checkout's build directory)",
    )
    parser.add_argument(
        "--installed",
        action="store_true",
        help="use the installed package ringlet, not this checkout's",
    )
    arguments = parser.parse_args(argv)
    if arguments.merge == "document" and arguments.reconcile == "lww":
        parser.error("--merge document: documents need --reconcile siblings")
    if arguments.journal is not None and arguments.merge != "union":
        parser.error("--journal: documents merge themselves and write none; use it with --merge union")
    if arguments.compare and (arguments.merge or arguments.reconcile != "siblings"):
        parser.error("--compare runs all of them: leave --merge and --reconcile out")
    arguments.way = "lww" if arguments.reconcile == "lww" else arguments.merge or "document"
    return arguments


def between(least: int, most: int) -> Any:
    """A number of the command line within limits."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"wanted a number, got {text!r}") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"wanted {least} to {most}, got {value}")
        return value

    return number


def read_baskets(path: Path) -> list[list[str]]:
    """One basket a line, items separated by commas; lines that start with # are remarks."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRun(f"--baskets: {path} cannot be read: {error}") from None
    baskets = []
    for line in text.splitlines():
        items = [item.strip() for item in line.split(",") if item.strip()]
        if items and not line.startswith("#"):
            baskets.append(items)
    if not baskets:
        raise CannotRun(
            f"--baskets: {path} has no basket: wanted items separated by commas, one basket a line"
        )
    return baskets


def run(cluster: Cluster, arguments: argparse.Namespace, baskets: list[list[str]]) -> Findings:
    """Everything between the first node's start and the last replica's bytes."""
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    print(
        f"demo: {arguments.nodes} nodes, N=3 R=2 W=2, {arguments.shoppers} shoppers, "
        f"{arguments.seconds} s, "
        f"{arguments.coordination} coordination, {arguments.merge}, {arguments.reconcile}, "
        f"{len(baskets)} baskets, seed {seed}{', growing' if arguments.grow else ''}",
        flush=True,
    )
    for node in cluster.nodes:
        cluster.start(node)
    for node in cluster.nodes:
        cluster.wait_ready(node)
    ledger, kills, seconds, steps = shop_and_kill(cluster, arguments, baskets, seed)
    with ringlet.connect(cluster.seeds, timeout=5.0, client_cluster="demo") as client:
        notes = []
        print("demo: waiting for hints to reach their owners", flush=True)
        if (left := drain_hints(client, cluster)) != 0:
            notes.append(f"{left} hints were not delivered in time")
        print(f"demo: reading {len(ledger.carts)} carts from all their replicas", flush=True)
        if steps is not None and len(steps) < 3:
            notes.append(f"--grow: {len(steps)} of 3 steps began; shop longer to see them all")
        finals, amounts = read_carts(
            client, sorted(ledger.carts), len(cluster.nodes), arguments.merge
        )
        unequal = compare_replicas(client, sorted(ledger.carts))
    return Findings(
        ledger,
        finals,
        kills,
        not unequal,
        unequal,
        arguments.coordination,
        arguments.reconcile,
        seconds,
        notes,
        steps,
        arguments.merge,
        amounts,
    )


def shop_and_kill(
    cluster: Cluster, arguments: argparse.Namespace, baskets: list[list[str]], seed: int
) -> tuple[Ledger, int, float, list[dict[str, Any]] | None]:
    """The shopping, with the live line; the last is what --grow did."""
    context = multiprocessing.get_context("spawn")
    stop, down = context.Event(), context.Value("i", 0)
    counters = {name: context.Value("q", 0) for name in ("adds", "siblings", "refused")}
    names = [f"s{number + 1}" for number in range(arguments.shoppers)]
    groups = [names[at : at + GROUP] for at in range(0, len(names), GROUP)]
    workers, results = [], []
    for share in (
        groups[0::2],
        groups[1::2],
    ):  # two processes: one interpreter would be the bottleneck
        if not share:
            continue
        receive, send = context.Pipe(duplex=False)
        plan = Plan(
            cluster.seeds, arguments.coordination, share, baskets, seed, arguments.merge, arguments.journal
        )
        worker = context.Process(target=shop, args=(plan, stop, down, counters, send), daemon=True)
        worker.start()
        send.close()
        workers.append(worker)
        results.append(receive)
    chaos = Chaos(cluster, seed, down)
    growth = Growth(cluster, chaos, arguments.seconds) if arguments.grow else None
    start = time.monotonic()
    chaos.start()
    if growth is not None:
        growth.start()
    try:
        watch(arguments.seconds, start, chaos, counters, workers, cluster)
    finally:
        if growth is not None:
            growth.end()  # shopping and kills go on until then
        stop.set()
        seconds = time.monotonic() - start
        chaos.end()
        ledger = Ledger()
        failures: list[str] = []
        for receive, worker in zip(results, workers, strict=True):
            try:
                theirs, failed = (
                    receive.recv()
                    if receive.poll(30.0)
                    else (Ledger(), ["a process of shoppers does not end"])
                )
            except EOFError:
                theirs, failed = Ledger(), ["a process of shoppers ended without its ledger"]
            ledger.add(theirs)
            failures += failed
            worker.join(5.0)
            if worker.is_alive():
                worker.kill()
    if chaos.failure is not None:
        raise CannotRun(str(chaos.failure))
    if growth is not None and growth.failure is not None:
        raise CannotRun(str(growth.failure))
    if failures:
        raise CannotRun(failures[0])
    return ledger, chaos.kills, seconds, None if growth is None else growth.steps


def watch(
    seconds: float,
    start: float,
    chaos: Chaos,
    counters: dict[str, Any],
    workers: list[Any],
    cluster: Cluster,
) -> None:
    """The live line, twice a second on a terminal, else every five seconds."""
    terminal = sys.stdout.isatty()
    before, then = 0, start
    while (now := time.monotonic()) < start + seconds:
        time.sleep(min(0.5 if terminal else 5.0, max(0.01, start + seconds - now)))
        now = time.monotonic()
        adds = counters["adds"].value
        away = [node.name for node in cluster.nodes if node.process is None]
        line = (
            f"{now - start:5.1f} s  {adds:7} adds  {(adds - before) / (now - then):6.0f}/s  "
            f"{chaos.kills:3} kills  "
            f"{counters['siblings'].value:5} merges of siblings  "
            f"{counters['refused'].value:3} refused  "
            f"{cluster.resident_mib():4.0f} MiB  {'down: ' + ' '.join(away) if away else 'all up'}"
        )
        print(f"\r{line:110.110}" if terminal else line, end="" if terminal else "\n", flush=True)
        before, then = adds, now
        if chaos.failure is not None:
            break
        if any(worker.exitcode is not None for worker in workers):
            break
    if terminal:
        print()


def drain_hints(client: ringlet.Client, cluster: Cluster, seconds: float = 30.0) -> int:
    """Waits until no node keeps a hint for another; returns how many are left."""
    end = time.monotonic() + seconds
    while True:
        late = time.monotonic() > end
        try:
            left = sum(hints_of(client.admin("status", node=node.name)) for node in cluster.nodes)
            if left == 0 or late:
                return left
        except ringlet.TransientError:  # a node that just came back is slow to shake hands: ask again
            if late:
                raise
        time.sleep(0.2)


def hints_of(status: dict[str, Any]) -> int:
    """The number of hints a node holds; it must say so."""
    hints = status.get("hints")
    if isinstance(hints, int) and not isinstance(hints, bool):
        return hints
    raise CannotRun(f"status: wanted a number of hints, got {hints!r}")


def read_carts(
    client: ringlet.Client, carts: list[str], nodes: int, merge: str
) -> tuple[dict[str, frozenset[str]], dict[str, dict[str, int]]]:
    """Every cart with r = N, which also repairs replicas that lag: its things, and their quantities."""
    codec: Any = CART if merge == "document" else CartCodec()
    bucket = client.bucket("carts", codec=codec, timeout=5.0, r=min(3, nodes), strict=True)
    finals: dict[str, frozenset[str]] = {}
    amounts: dict[str, dict[str, int]] = {}
    for attempt in range(4):
        missing = [cart for cart in carts if cart not in finals]
        answers = bucket.get_many(missing)
        if attempt == 3:
            for cart, error in answers.errors.items():
                raise CannotRun(f"{cart!r} cannot be read from all its replicas: {error}")
        for cart, found in answers.read.items():
            if merge == "document":
                value = found.value if found else {"things": set(), "quantities": {}}
                finals[str(cart)] = frozenset(value["things"])
                amounts[str(cart)] = value["quantities"]
            else:
                lines = found.resolved(merge_carts) if found else frozenset()
                finals[str(cart)] = things_of(lines)
                amounts[str(cart)] = quantities_of(lines)
    return finals, amounts


def compare_replicas(client: ringlet.Client, carts: list[str], seconds: float = 20.0) -> list[str]:
    """The carts whose replicas do not hold the same bytes; read repair gets some time to end."""
    end = time.monotonic() + seconds
    unequal = carts
    while True:
        unequal = [
            cart
            for cart in unequal
            if not same_everywhere(client.admin("key.inspect", bucket="carts", key=cart))
        ]
        if not unequal or time.monotonic() > end:
            return unequal
        time.sleep(0.3)


def same_everywhere(inspected: dict[str, Any]) -> bool:
    """Whether all owners answered and hold the same."""
    digests = [replica.get("holds", {}).get("bytes") for replica in inspected["replicas"]]
    return len(digests) > 0 and all(one and one == digests[0] for one in digests)


if __name__ == "__main__":
    sys.exit(main())
