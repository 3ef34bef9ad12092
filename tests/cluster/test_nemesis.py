"""Faults upon real processes under register, set and cart workloads; the checks are those of workloads.py.

About two minutes; with RINGLET_LONG=1 ten.
"""

import datetime
import os
import random
import subprocess
import time

import nemesis
import pytest
import workloads
from conftest import fill, wait_for
from nemesis import make_network  # noqa: F401  a fixture

LONG = os.environ.get("RINGLET_LONG") == "1"
SEED = int(os.environ.get("RINGLET_SEED", random.SystemRandom().randrange(1 << 31)))


def seconds(usual, long):
    return long if LONG else usual


def all_writers(cluster):
    return workloads.start(cluster, *(kind(cluster, i, pause=0.01, seed=SEED) for i in range(2)
                                      for kind in (workloads.Register, workloads.Set, workloads.Cart)),
                           workloads.Deletes(cluster, 0, pause=0.03, seed=SEED))


def end(cluster, writers, members, *, refused_allowed=False, least=150):
    histories = workloads.stop(writers)
    print(f"seed {SEED}", workloads.numbers(histories))
    if not refused_allowed:
        assert [r for h in histories.values() for r in h.refused] == []
    assert all(len(h.done) >= least for h in histories.values()), "too little happened to prove anything"
    workloads.judge(cluster, histories, members)


def test_kills_pauses_and_lost_disks(make_cluster):
    """F-01, F-08, F-14: one node at a time; nothing is refused, nothing is lost."""
    cluster = make_cluster(nodes=5, cluster="partitions = 32\n").start()
    faults = [nemesis.stopped, nemesis.kill, nemesis.lost_disk, nemesis.kill]
    evil = nemesis.Nemesis(cluster, cluster.nodes, faults, SEED)
    writers = all_writers(cluster)
    evil.start()
    time.sleep(seconds(35, 300))
    evil.end()
    print("; ".join(evil.done))
    end(cluster, writers, [n.name for n in cluster.nodes])


def test_all_seeds_die_and_come_back(make_cluster):
    """F-41: those who joined go on without them, even over a restart, and take them in again."""
    cluster = make_cluster(nodes=3, strangers=2, cluster="partitions = 32\n").start()
    for name in ("n4", "n5"):
        cluster.tell("join", name, cluster.node(name).address)
    cluster.tell("commit")
    everybody = [n.name for n in cluster.nodes]
    cluster.wait_members(everybody, 60)
    writers = all_writers(cluster)
    time.sleep(2)
    for node in cluster.founders:
        node.kill()
    joined = cluster.node("n4")
    joined.kill()
    joined.start()
    said = cluster.cli("--output", "json", "ring")
    assert said.returncode == 0 and set(cluster.members("n4")) == set(everybody), said.stderr
    assert cluster.cli("--bucket", "plain", "put", "while-seeds-are-dead", "v").returncode == 0
    time.sleep(seconds(2, 20))
    for node in cluster.founders:
        node.start()
    cluster.wait_members(everybody, 60)
    time.sleep(2)
    assert cluster.cli("--bucket", "plain", "get", "while-seeds-are-dead").stdout == "v\n"
    # With n4 away, too, for a moment one node was left, which is fewer than W.
    end(cluster, writers, everybody, refused_allowed=True, least=50)


def test_a_full_disk_hurts_nobody_and_heals(make_cluster, small_disk):
    """F-10."""
    cluster = make_cluster(nodes=4, cluster="partitions = 32\n")
    victim = cluster.nodes[1]
    victim.config.write_text(victim.config.read_text().replace(str(victim.data), str(small_disk / "data")))
    cluster.start()
    writers = all_writers(cluster)
    time.sleep(2)
    filler = small_disk / "filler"
    fill(filler)
    time.sleep(seconds(8, 60))
    assert "disk full" in victim.log(), "it never noticed: nothing was proved"
    was_running = victim.running
    filler.unlink()
    if not was_running:  # it may say that it cannot go on; it must not have lost anything then
        print("the node ended:", victim.log()[-300:])
        victim.start()
    time.sleep(2)
    end(cluster, writers, [n.name for n in cluster.nodes])


def test_partitions_loss_and_delay(make_cluster, make_network):  # noqa: F811
    """F-20, F-21, F-22: symmetric and one-way cuts, lost and late packets."""
    network = make_network(5)
    with network.inside():
        cluster = make_cluster(nodes=5, cluster="partitions = 32\n", addresses=network.addresses)
        for node, space in zip(cluster.nodes, network.spaces, strict=True):
            node.around = ["ip", "netns", "exec", space]
        cluster.start()
        choose = random.Random(SEED)

        def apart(pairs):
            for a, b in pairs:
                network.cut(a, b)
            time.sleep(seconds(4, 15))
            suspects = [s.get("down") for s in cluster.json("status")]
            for a, b in pairs:
                network.mend(a, b)
            assert any(suspects), "nobody noticed: nothing was cut"

        def minority_cut_off():
            few = choose.sample(range(5), 2)
            pairs = [(a, b) for a in range(5) for b in range(5) if (a in few) != (b in few)]
            apart(pairs)

        def one_way():
            a, b, c = choose.sample(range(5), 3)
            apart([(a, b), (a, c)])

        def flapping():
            """One node's line is dead for a moment, again and again: lost and late packets without netem."""
            node, until = choose.randrange(5), time.monotonic() + seconds(4, 15)
            while time.monotonic() < until:
                network.line(node, "down")
                time.sleep(choose.uniform(0.02, 0.1))
                network.line(node, "up")
                time.sleep(choose.uniform(0.1, 0.4))

        def bad_lines():
            try:
                for i in range(5):
                    network.netem(i, "delay", "20ms", "10ms", "loss", "3%")
            except subprocess.CalledProcessError as error:
                faults.remove(bad_lines)
                done.append(f"no netem on this machine ({error.stderr.strip()})")
                return
            time.sleep(seconds(4, 15))
            for i in range(5):
                network.calm(i)

        done = []
        writers = all_writers(cluster)
        stop = time.monotonic() + seconds(18, 150)
        faults = [bad_lines, minority_cut_off, one_way, flapping]
        rounds = list(faults)
        while rounds or time.monotonic() < stop:
            fault = rounds.pop(0) if rounds else choose.choice(faults)
            done.append(fault.__name__)
            fault()
            time.sleep(1)
        print("; ".join(done))
        everybody = [n.name for n in cluster.nodes]
        cluster.wait_members(everybody, 30)
        end(cluster, writers, everybody)
        cluster.stop()


def test_a_line_that_was_dead_for_long_is_used_again_at_once(make_cluster, make_network):  # noqa: F811
    """F-23. A kernel repeats what was sent at 6, 13, 25, 51 s and so on: a connection that was kept over the
    silence would stay mute for as long again."""
    network = make_network(3)
    with network.inside():
        cluster = make_cluster(nodes=3, addresses=network.addresses)
        for node, space in zip(cluster.nodes, network.spaces, strict=True):
            node.around = ["ip", "netns", "exec", space]
        cluster.start()
        writers = all_writers(cluster)
        time.sleep(2)

        def suspected():
            return {name for status in cluster.json("status") for name in status.get("down", [])}

        network.line(2, "down")
        time.sleep(seconds(14, 27))
        assert suspected(), "nobody noticed: the line was not dead"
        network.line(2, "up")
        mended = time.monotonic()
        while suspected():
            assert time.monotonic() - mended < 20, suspected()
            time.sleep(0.1)
        took = time.monotonic() - mended
        print(f"all hear each other {took:.1f} s after the line was mended")
        assert took < 5
        end(cluster, writers, [n.name for n in cluster.nodes])
        cluster.stop()


def test_administrators_on_two_sides_of_a_split_end_with_one_ring(make_cluster, make_network):  # noqa: F811
    """F-40, O-15: each side joins a node and one lets a node leave; then the sides meet under load."""
    network = make_network(7)
    with network.inside():
        cluster = make_cluster(nodes=5, strangers=2, cluster="partitions = 32\n", addresses=network.addresses)
        for node, space in zip(cluster.nodes, network.spaces, strict=True):
            node.around = ["ip", "netns", "exec", space]
        cluster.start()
        cluster.wait_members([f"n{i}" for i in range(1, 6)], 30)
        writers = all_writers(cluster)
        time.sleep(2)
        left = (0, 1, 2, 5)  # and on the other side 3, 4, 6
        pairs = [(a, b) for a in range(7) for b in range(7) if (a in left) != (b in left)]
        for a, b in pairs:
            network.cut(a, b)
        cluster.tell("join", "n6", cluster.node("n6").address, node="n1")
        cluster.tell("leave", "n2", node="n1")
        cluster.tell("commit", node="n1")
        cluster.tell("join", "n7", cluster.node("n7").address, node="n4")
        cluster.tell("commit", node="n4")
        time.sleep(seconds(6, 40))
        assert "n7" not in cluster.members("n1") and "n6" not in cluster.members("n4")
        for a, b in pairs:
            network.mend(a, b)
        everybody = ["n1", "n3", "n4", "n5", "n6", "n7"]
        cluster.wait_members(everybody, 60)
        views = {cluster.json("cluster", "status", "--node", name)["digest"] for name in everybody}
        assert len(views) == 1
        ring = cluster.json("ring")
        assert sum(m["partitions"] for m in ring["members"]) == 32
        time.sleep(1)
        # W = 2 may be out of reach for a moment on the smaller side: what was acknowledged counts.
        end(cluster, writers, everybody, refused_allowed=True)
        cluster.stop()


def test_clocks_ten_minutes_apart(make_cluster, tmp_path):
    """F-30: siblings know no clock; one node is ahead, one behind, and one is killed."""
    library = nemesis.skew_library(tmp_path)
    cluster = make_cluster(nodes=3, cluster="partitions = 32\n")
    for node, skew in zip(cluster.nodes, (600, -600, 0), strict=True):
        node.environment = {"LD_PRELOAD": library, "RINGLET_TEST_SKEW": str(skew)}
    cluster.start()
    assert cluster.cli("put", "k", "v").returncode == 0
    for node, skew in zip(cluster.nodes, (600, -600, 0), strict=True):
        stamp = datetime.datetime.fromisoformat(node.log()[1:24])  # of its log's first line
        ahead = (stamp - datetime.datetime.now()).total_seconds()
        assert abs(ahead - skew) < 60, f"the clock of {node.name} is {ahead} s ahead, wanted {skew}"
    writers = all_writers(cluster)
    time.sleep(seconds(3, 30))
    cluster.nodes[0].kill()
    time.sleep(1)
    cluster.nodes[0].start()
    time.sleep(seconds(2, 30))
    end(cluster, writers, [n.name for n in cluster.nodes], least=50)


def test_a_store_that_loses_adds_is_found_out(make_cluster):
    """The checks can fail: with last write wins, shoppers who meet overwrite each other."""
    cluster = make_cluster(nodes=3, cluster='partitions = 32\nreconcile = "lww"\n').start()
    writers = workloads.start(cluster, *(workloads.Cart(cluster, i, keys=1) for i in range(4)))
    time.sleep(3)
    histories = workloads.stop(writers)
    with pytest.raises(AssertionError, match="lost .* acknowledged adds"):
        workloads.judge(cluster, histories, ["n1", "n2", "n3"])
