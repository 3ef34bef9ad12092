"""Show 3: from one node to five to three under cart load, with a kill -9 every few seconds and a lost disk."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import workloads
from conftest import wait_for

LONG = os.environ.get("RINGLET_LONG") == "1"


class Killer(threading.Thread):
    """kill -9 for one of `targets` at a time, back half a second later; nobody while there are none."""

    def __init__(self, seed):
        super().__init__(daemon=True)
        self.random, self.targets, self.lock = random.Random(seed), [], threading.Lock()
        self.stop, self.kills, self.error = threading.Event(), 0, None

    def run(self):
        try:
            while not self.stop.wait(self.random.uniform(1.5, 3.0)):
                with self.lock:  # whoever has it sees all nodes up
                    if not self.targets:
                        continue
                    node = self.random.choice(self.targets)
                    node.kill()
                    time.sleep(0.5)
                    node.start()
                    self.kills += 1
        except BaseException as error:
            self.error = error


def test_one_node_grows_to_five_and_shrinks_to_three_under_load(make_cluster):
    cluster = make_cluster(nodes=1, strangers=4, cluster="partitions = 32\n")
    n1, n2, n3, n4, n5 = cluster.start().nodes
    hold = 60.0 if LONG else 5.0
    began = time.monotonic()
    writers = workloads.start(cluster, *(workloads.Cart(cluster, i, pause=0.005) for i in range(3)),
                              workloads.Set(cluster, 0, pause=0.005), workloads.Deletes(cluster, 0, pause=0.02))
    killer = Killer(1)
    killer.start()
    phases = []

    def phase(name, members, *orders, node="n1"):
        start = time.monotonic()
        with killer.lock:  # an order is given to a node that is up
            for order in orders:
                cluster.tell(*order, node=node)
            if orders:
                cluster.tell("plan", node=node)
                cluster.tell("commit", node=node)
        cluster.wait_members(members, 60)
        phases.append(f"{name} {time.monotonic() - start:.1f} s")
        time.sleep(hold)

    time.sleep(1)
    phase("1 to 3", ["n1", "n2", "n3"], ("join", "n2", n2.address), ("join", "n3", n3.address))
    killer.targets = [n1, n2, n3]
    time.sleep(hold)
    killer.targets = cluster.nodes  # those who come, too, while they come
    phase("3 to 5", ["n1", "n2", "n3", "n4", "n5"], ("join", "n4", n4.address), ("join", "n5", n5.address))

    with killer.lock:  # the disk of one is gone for good, its data is on two others
        n3.kill()
        shutil.rmtree(n3.data)
        n3.start()
        wait_for("n3 is a member again", lambda: "n3" not in cluster.members("n3"), 20)
        cluster.cli("repair", "--node", "n3")
    phase("lost disk", ["n1", "n2", "n3", "n4", "n5"])
    # The founder leaves, too. Told to one that stays.
    phase("5 to 3", ["n3", "n4", "n5"], ("leave", "n1"), ("leave", "n2"), node="n4")
    killer.targets = [n3, n4, n5]
    time.sleep(hold)

    killer.stop.set()
    killer.join(30)
    assert killer.error is None, repr(killer.error)
    histories = workloads.stop(writers)
    print(workloads.numbers(histories), f"{killer.kills} kills, {time.monotonic() - began:.0f} s;", "; ".join(phases))
    assert [r for h in histories.values() for r in h.refused] == []
    assert len(histories["cart"].done) >= 200 and killer.kills >= 5, "too little happened to prove anything"
    for node in (n1, n2):
        node.terminate()  # they have left: nothing may depend on them
    workloads.judge(cluster, histories, ["n3", "n4", "n5"])


SLEEPER = """
import sys
import ringlet

with ringlet.connect(sys.argv[1], cluster=sys.argv[2], timeout=5.0) as client:
    bucket = client.bucket("plain", codec=ringlet.Text)
    print(bucket.get("k").value, flush=True)
    for line in sys.stdin:
        try:
            bucket.put(line.strip(), "v")
            print(bucket.get("k").value, flush=True)
        except ringlet.RingletError as error:
            print(type(error).__name__, error, flush=True)
"""


class Sleeper:
    """A client that is stopped between two calls."""

    def __init__(self, cluster, nodes):
        seeds = ",".join(node.address for node in nodes)
        self.process = subprocess.Popen([sys.executable, "-c", SLEEPER, seeds, cluster.name], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.said() == "before"
        self.process.send_signal(signal.SIGSTOP)

    def said(self):
        return self.process.stdout.readline().strip()

    def wake(self, key):
        """What a put and a get come to, and how long they took in seconds."""
        self.process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        self.process.stdin.write(key + "\n")
        return self.said(), time.monotonic() - began

    def end(self):
        self.process.kill()
        self.process.communicate()


def test_a_cluster_is_replaced_as_a_whole_while_a_client_sleeps(make_cluster):
    """F-85: a client finds it by a seed, or says so; and once a seed's address is a member's again, it goes on."""
    cluster = make_cluster(nodes=3, strangers=3, cluster="partitions = 32\n").start()
    old, new = cluster.founders, cluster.nodes[3:]
    bucket = ("--bucket", "plain")
    assert cluster.cli(*bucket, "put", "k", "before").returncode == 0
    finds, lost = Sleeper(cluster, [*old, new[0]]), Sleeper(cluster, old)
    try:
        for node in new:
            cluster.tell("join", node.name, node.address)
        cluster.tell("commit")
        cluster.wait_members([n.name for n in cluster.nodes], 60)
        for node in old:
            cluster.tell("leave", node.name, node="n4")
        cluster.tell("commit", node="n4")
        cluster.wait_members([n.name for n in new], 60)
        for node in old:
            node.kill()

        said, took = finds.wake("while-awake")
        assert said == "before", said
        print(f"found by a seed in {took:.2f} s")
        said, took = lost.wake("into-the-void")
        assert said.startswith("Timeout") or said.startswith("Unavailable"), said
        gone = "believed gone" in said or "no node can be reached" in said
        assert gone and all(node.name in said for node in old), said
        assert took < 12, took  # each of the two has its five seconds
        print(said)

        again = cluster.add("n7", old[1].address)
        again.start()
        cluster.tell("join", "n7", again.address, node="n4")
        cluster.tell("commit", node="n4")
        cluster.wait_members([*(n.name for n in new), "n7"], 60)
        said, took = lost.wake("after-all")
        assert said == "before", said
        assert cluster.cli(*bucket, "get", "after-all").stdout == "v\n"
        assert cluster.cli(*bucket, "get", "while-awake").stdout == "v\n"
    finally:
        finds.end()
        lost.end()
