"""L18 with real processes: careful clients, while nodes sleep, die and are cut off (F-100).

A careful client does one thing after the other and waits for each acknowledgement: put "open", read, put "paid"
with the context read, read, delete with the context read. Nobody else writes its keys. So whatever happened in
between, at the end nothing but its last step may be there.

About half a minute; with RINGLET_LONG=1 twenty minutes.
"""

import os
import random
import signal
import threading
import time

import nemesis
import pytest
import workloads
from conftest import wait_for
from nemesis import make_network  # noqa: F401  a fixture

ringlet = pytest.importorskip("ringlet")

LONG = os.environ.get("RINGLET_LONG") == "1"
SEED = int(os.environ.get("RINGLET_SEED", random.SystemRandom().randrange(1 << 31)))
FLAVOURS = [(coordination, strict) for coordination in ("server", "client") for strict in (False, True)]


def seconds(usual, long):
    return long if LONG else usual


class Careful(threading.Thread):
    """`ended`: key -> what its last acknowledged step left there, None for a delete; keys of which a step failed
    are left out, as they may be in either state."""

    def __init__(self, cluster, number, coordination, strict):
        super().__init__(name=f"{coordination}{'-strict' if strict else ''}-{number}", daemon=True)
        self.cluster, self.coordination, self.strict = cluster, coordination, strict
        self.random = random.Random(f"{SEED}/{self.name}")
        self.stop, self.ended, self.failed, self.stale, self.wrong, self.error = threading.Event(), {}, 0, 0, [], None

    def run(self):
        try:
            with ringlet.connect(self.cluster.seeds, cluster=self.cluster.name, timeout=4,
                                 coordination=self.coordination) as client:
                bucket = client.bucket("careful", strict=self.strict)
                count = 0
                while not self.stop.is_set():
                    count += 1
                    try:
                        self.one(bucket, f"{self.name}-{count}")
                    except ringlet.RingletError:
                        self.failed += 1
        except Exception as error:  # a dead thread must fail the test, not hide
            self.error = error

    def one(self, bucket, key):
        bucket.put(key, b"open")
        steps = ["paid", None]
        if self.random.random() < 0.3:
            steps = ["paid", None, "again", None]
        elif self.random.random() < 0.2:
            steps = ["paid", "sent"]
        last = ["open"]
        for step in steps:
            found = bucket.get(key)
            values = [str(v) for v in workloads.values_of(found)]
            if values != last:
                # R + W > N without `strict` counts fallbacks, so a read may miss a write while owners are away.
                if self.strict:
                    self.wrong.append(f"{key}: read {values} after {last} was acknowledged")
                self.stale += 1
                return
            if step is None:
                bucket.delete(key, found)
            else:
                bucket.put(key, step.encode(), context=found.context)
            last = [] if step is None else [step]
        self.ended[key] = last


def stall(cluster, node, choose):
    """F-100: it sleeps with a full inbox, and works it off when it wakes."""
    node.signal(signal.SIGSTOP)
    try:
        time.sleep(choose.uniform(0.05, 3.0) if choose.random() < 0.5 else choose.uniform(0.05, 0.4))
    finally:
        node.signal(signal.SIGCONT)


def finish(cluster, clients):
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join(30)
        assert not client.is_alive(), f"{client.name} hangs"
        assert client.error is None, repr(client.error)
    ended = {key: last for client in clients for key, last in client.ended.items()}
    wrong = [text for client in clients for text in client.wrong]
    with ringlet.connect(cluster.seeds, cluster=cluster.name, timeout=5) as client:
        def hints():
            left = {n.name: client.admin("status", node=n.name, timeout=5)["hints"] for n in cluster.nodes}
            return left if any(left.values()) else ""

        wait_for("hints delivered", hints, 60)
        late = {n.name: client.admin("status", node=n.name, timeout=5).get("refused_late") for n in cluster.nodes}
        finals = workloads.final_values(client, "careful", ended)
        back, lost = [], []
        for key, last in ended.items():
            values = [str(v) for v in finals[key]]
            back += [f"{key}: {value} is back" for value in values if value not in last]
            lost += [f"{key}: {value} is lost" for value in last if value not in values]
    done = {c.name: len(c.ended) for c in clients}
    print(f"seed {SEED}: {len(ended)} keys {done}, {sum(c.failed for c in clients)} steps failed, "
          f"{sum(c.stale for c in clients)} stale reads, refused for their age {late}; "
          f"{len(back)} back, {len(lost)} lost, {len(wrong)} wrong strict reads")
    return len(ended), back + lost + wrong


def run(cluster, faults, how_long):
    clients = [Careful(cluster, i, *flavour) for i, flavour in enumerate(FLAVOURS)]
    evil = nemesis.Nemesis(cluster, cluster.nodes, faults, SEED, pause=0.8)
    for client in clients:
        client.start()
    evil.start()
    time.sleep(how_long)
    evil.end()
    print("; ".join(evil.done[:20]))
    done, broken = finish(cluster, clients)
    assert done > 10 * how_long, "too little happened to prove anything"
    assert not broken, "\n".join(broken[:10])


def test_stalls(make_cluster):
    """F-100: one node at a time sleeps for 50 ms to 3 s."""
    run(make_cluster(nodes=3).start(), [stall], seconds(14, 420))


def test_stalls_and_kills(make_cluster):
    """F-100 and F-03: it sleeps or is killed."""
    run(make_cluster(nodes=3).start(), [stall, nemesis.kill, stall], seconds(12, 420))


def test_stalls_and_partitions(make_cluster, make_network):  # noqa: F811
    """F-100 and F-20, as root: it sleeps, or hears nothing for a while."""
    network = make_network(3)

    def cut_off(cluster, node, choose):
        i = cluster.nodes.index(node)
        network.line(i, "down")
        try:
            time.sleep(choose.uniform(0.3, 3.0))
        finally:
            network.line(i, "up")

    with network.inside():
        cluster = make_cluster(nodes=3, addresses=network.addresses)
        for node, space in zip(cluster.nodes, network.spaces):
            node.around = ["ip", "netns", "exec", space]
        cluster.start()
        run(cluster, [stall, cut_off], seconds(12, 420))
