"""F-107, L18: large values among small ones, of the same keys, while nodes sleep and stop; their hints and transfers.

What reads or writes a large value is served by a lane of its own, what is small by another: one writer's steps must
stay in order all the same, and no lane may keep a node from stopping. Half a minute.
"""

import os
import random
import signal
import socket
import threading
import time

import pytest
from conftest import wait_for
from test_memory import hello_of

ringlet = pytest.importorskip("ringlet")

SEED = int(os.environ.get("RINGLET_SEED", random.SystemRandom().randrange(1 << 31)))
LONG = os.environ.get("RINGLET_LONG") == "1"


class Writer(threading.Thread):
    """Puts and deletes its own keys, one step after the other, each with the context of a read. `known`: what the
    last acknowledged step left there (None: nothing), and what steps that failed may have left beside it."""

    def __init__(self, cluster, number):
        super().__init__(name=f"writer-{number}", daemon=True)
        self.cluster, self.number, self.random = cluster, number, random.Random(f"{SEED}/{number}")
        self.stop, self.known, self.wrong, self.error, self.steps = threading.Event(), {}, [], None, 0

    def run(self):
        try:
            with ringlet.connect(self.cluster.seeds, cluster=self.cluster.name, timeout=2.0,
                                 coordination=("server", "client")[self.number % 2]) as client:
                bucket, w = client.bucket("large"), (2, 2, 3)[self.number % 3]
                while not self.stop.is_set():
                    try:
                        self.step(bucket, f"{self.number}-{self.steps % 4}", w)
                    except ringlet.RingletError:
                        continue
        except Exception as error:  # a dead thread must fail the test, not hide
            self.error = error

    def step(self, bucket, key, w):
        self.steps += 1
        last, perhaps = self.known.get(key, (None, frozenset()))
        got = bucket.get(key, r=2)
        seen = {bytes(sibling.value[:20]) for sibling in got.siblings}
        self.wrong += judged(key, seen, last, perhaps)
        left = frozenset(perhaps - seen - {"deleted"})
        deletes = last is not None and self.random.random() < 0.2
        token = b"%06d %012x" % (self.steps, self.random.getrandbits(48))
        size = self.random.choice([100, 100, 5000, 700_000, 2 << 20, 7 << 20])
        try:
            if deletes:
                bucket.delete(key, context=got.context, w=w)
            else:
                bucket.put(key, token.ljust(20) + bytes(size), context=got.context, w=w)
            self.known[key] = (None if deletes else token.ljust(20), left)
        except ringlet.RingletError:
            self.known[key] = (last, perhaps | {"deleted" if deletes else token.ljust(20)} | ({last} if last else set()))
            raise


def judged(key, seen, last, perhaps):
    wrong = []
    if seen - perhaps - ({last} if last else set()):
        wrong.append((key, "came back", seen, last, perhaps))
    if last and last not in seen and not seen & perhaps and "deleted" not in perhaps:
        wrong.append((key, "was lost", seen, last, perhaps))
    return wrong


def test_the_judge_of_this_file_sees_what_it_is_for():
    last, perhaps = b"last", frozenset({b"perhaps"})
    assert not judged("k", {b"last"}, last, perhaps) and not judged("k", {b"perhaps"}, last, perhaps)
    assert not judged("k", set(), None, frozenset()) and not judged("k", set(), last, frozenset({"deleted", b"last"}))
    assert judged("k", set(), last, frozenset())[0][1] == "was lost"
    assert judged("k", {b"old"}, None, frozenset())[0][1] == "came back"
    assert [wrong[1] for wrong in judged("k", {b"old"}, last, frozenset())] == ["came back", "was lost"]


def test_large_and_small_values_of_one_key_keep_their_order(make_cluster):
    print(f"RINGLET_SEED={SEED}")
    cluster = make_cluster(nodes=3).start()
    writers = [Writer(cluster, number) for number in range(6)]
    for writer in writers:
        writer.start()
    chosen, end, stopped, slowest = random.Random(SEED), time.monotonic() + (120 if LONG else 12), 0, 0.0
    while time.monotonic() < end:
        node = chosen.choice(cluster.nodes)
        if chosen.random() < 0.6:
            node.signal(signal.SIGSTOP)
            time.sleep(chosen.uniform(0.05, 1.0))
            node.signal(signal.SIGCONT)
        else:
            begun = time.monotonic()
            assert node.terminate() == 0, node.log()[-2000:]
            slowest = max(slowest, time.monotonic() - begun)
            node.start()
            stopped += 1
        time.sleep(chosen.uniform(0.1, 0.8))
    for writer in writers:
        writer.stop.set()
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive() and writer.error is None, (writer.name, writer.error)
    print(f"{sum(writer.steps for writer in writers)} steps, a node was stopped {stopped} times, for {slowest:.1f} s at most")
    assert sum(writer.steps for writer in writers) > 60
    assert not [wrong for writer in writers for wrong in writer.wrong]
    with ringlet.connect(cluster.seeds, cluster=cluster.name, timeout=10.0) as client:
        bucket = client.bucket("large", strict=True)
        for writer in writers:
            for key, (last, perhaps) in writer.known.items():
                seen = {bytes(sibling.value[:20]) for sibling in bucket.get(key, r=3).siblings}
                assert not judged(key, seen, last, perhaps)


def test_hints_and_transfers_of_large_values_arrive(make_cluster):
    """Written while an owner is away; then a node joins, and another leaves."""
    cluster = make_cluster(nodes=3, strangers=1, cluster="partitions = 16\n")
    n1, n2, n3, n4 = cluster.start().nodes
    values = {f"k{i}": bytes([i]) * (1 << 20 if i % 2 else 6 << 20) for i in range(8)}
    with ringlet.connect([n1.address, n2.address], cluster=cluster.name, timeout=10.0) as client:
        bucket = client.bucket("large")
        assert n3.terminate() == 0
        for key, value in values.items():
            bucket.put(key, value, w=2)
        n3.start()

        def missing():
            status = {node["node"]: node for node in cluster.json("status")}
            return {name: node["hints"] for name, node in status.items() if node.get("hints")}

        wait_for("the hints to be delivered", missing, 40)
        for key, value in values.items():
            assert [s.value for s in bucket.get(key, r=3, strict=True).siblings] == [value]
        for orders, members in (([("join", "n4", n4.address)], ["n1", "n2", "n3", "n4"]), ([("leave", "n2")], ["n1", "n3", "n4"])):
            for order in orders:
                cluster.tell(*order)
            cluster.tell("plan")
            cluster.tell("commit")
            cluster.wait_members(members, 60)
            for key, value in values.items():
                assert [s.value for s in bucket.get(key, r=3, strict=True).siblings] == [value]


def test_clients_that_end_within_large_calls_leave_nothing_behind(make_cluster):
    """close() while threads put and get large values; connections that send a whole value and are gone."""
    cluster = make_cluster(nodes=3).start()
    value = os.urandom(6 << 20)

    def calls(client, number):
        bucket = client.bucket("large")
        for i in range(1000):
            try:
                bucket.put(f"k{number}", value)
                bucket.get(f"k{number}")
            except ringlet.RingletError:
                if i > 100:
                    return

    for coordination in ("server", "client"):
        client = ringlet.connect(cluster.seeds, cluster=cluster.name, timeout=5.0, coordination=coordination)
        threads = [threading.Thread(target=calls, args=(client, number), daemon=True) for number in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        begun = time.monotonic()
        client.close()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        print(f"{coordination}: close() took {time.monotonic() - begun:.2f} s")
    hello = hello_of(cluster.nodes[0], cluster.name)
    host, port = cluster.nodes[0].address.split(":")
    for _ in range(10):
        with socket.create_connection((host, int(port)), 5) as connection:
            connection.sendall(hello)
            connection.recv(4096)
            # A put of 6 MiB, whole but for what makes it valid; then the end.
            connection.sendall((6 << 20).to_bytes(4, "little") + bytes([2, 41]) + bytes(22) + bytes((6 << 20) - 24))

    def busy():
        status = cluster.json("status")
        return [(node["node"], node["requests"], node["memory"]) for node in status
                if node["requests"] or node["memory"]["requests"] or node["memory"]["answers"] or node["memory"]["reading"]]

    wait_for("the accounts to be empty", busy, 20)
    for node in cluster.nodes:
        assert node.terminate() == 0, node.log()[-2000:]
        assert "did not finish" not in node.log()
