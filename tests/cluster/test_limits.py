"""F-106: what a node may run out of, and that it lives on, serves members and says so. F-107: large values.

RINGLET_LONG=1: 5,000 connection attempts to each node instead of 1,200.
"""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
import ringlet

from conftest import BIN, wait_for
from test_memory import hello_of, resident_mib, status_of

LONG = bool(os.environ.get("RINGLET_LONG"))
ATTEMPTS = 5000 if LONG else 1200


def raw(node):
    host, port = node.address.split(":")
    return socket.create_connection((host, int(port)), 5)


@contextlib.contextmanager
def many_files(wanted):
    """This process may have so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        pytest.skip(f"wanted {wanted} open files, this user may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("limit, says_hello", [("1024:1024", False), ("1024:1024", True), ("256:256", True)])
def test_nodes_outlive_more_connections_than_they_may_have_files(make_cluster, limit, says_hello):
    """Idle ones of strangers, or of clients that said hello; to all three nodes, while a client writes through each."""
    cluster = make_cluster(nodes=3)
    for node in cluster.nodes:
        node.around = ["prlimit", f"--nofile={limit}"]
    cluster.start()
    with many_files(3 * ATTEMPTS + 1000), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ringlet.connect(node.address, cluster=cluster.name, timeout=2.0)) for node in cluster.nodes]
        for client in clients:
            client.bucket("x").put("before", b"v")
        hello = hello_of(cluster.nodes[0], cluster.name) if says_hello else b""
        refused = 0
        for node in cluster.nodes:
            for _ in range(ATTEMPTS):
                try:
                    connection = stack.enter_context(raw(node))
                    connection.sendall(hello)
                except OSError:
                    refused += 1
        end, served, failed = time.monotonic() + (8 if LONG else 3), 0, []
        while time.monotonic() < end:
            for client in clients:
                try:
                    client.bucket("x").put(f"k{served % 50}", b"v")
                    served += 1
                except ringlet.RingletError as error:
                    failed.append(str(error))
            time.sleep(0.02)
        assert all(node.running for node in cluster.nodes), [node.log()[-500:] for node in cluster.nodes]
        assert served > 0 and not failed, (served, failed[:3])
        for node in cluster.nodes:
            status = status_of(cluster, node)
            # Said in status and, once, in the log.
            assert status["connections"] <= status["max_connections"] < int(limit.split(":")[1])
            assert len(re.findall(r"at most \d+ connections, not 10000", node.log())) == 1
            with open(f"/proc/{node.process.pid}/limits") as limits:
                files = int(next(line for line in limits if line.startswith("Max open files")).split()[3])
            assert len(os.listdir(f"/proc/{node.process.pid}/fd")) < files - 16
            assert node.log().count("\n") < 200, node.log()[-2000:]  # a condition that repeats is two lines
        print(f"{limit}: {status['max_connections']} places, {status['connections']} taken, {served} puts served, "
              f"{len(failed)} failed; {refused} of {3 * ATTEMPTS} connections refused at once")


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one(make_cluster):
    cluster = make_cluster(nodes=1)
    cluster.nodes[0].around = ["prlimit", "--nofile=200:20000"]
    cluster.start()
    assert status_of(cluster, cluster.nodes[0])["max_connections"] == 10_000
    assert "RLIMIT_NOFILE" not in cluster.nodes[0].log()


def test_too_few_open_files_are_refused_in_words(make_cluster):
    cluster = make_cluster(nodes=1)
    node = cluster.nodes[0]
    node.around = ["prlimit", "--nofile=64:64"]
    node.launch()
    assert node.process.wait(20) == 3
    assert re.search(r"open files: wanted a limit \(RLIMIT_NOFILE\) of at least \d+, got 64", node.log())


def test_members_find_a_place_though_idle_clients_took_all(make_cluster):
    cluster = make_cluster(nodes=3, more="")
    for node in cluster.nodes:
        node.config.write_text(node.config.read_text() + "[limits]\nmax_connections = 100\nclient_idle_ms = 3000\n")
    cluster.start()
    hello = hello_of(cluster.nodes[0], cluster.name)
    with contextlib.ExitStack() as stack:
        for node in cluster.nodes:
            for _ in range(150):
                stack.enter_context(raw(node)).sendall(hello)
        # A restarted node makes every member connection anew.
        cluster.nodes[0].terminate()
        cluster.nodes[0].start()
        wait_for("members to see one another", lambda: any(status_of(cluster, n)["down"] for n in cluster.nodes[:1]), 10)
        # The idle ones leave after their time, and their places are those of others.
        wait_for("the idle clients to leave", lambda: any(status_of(cluster, n).get("connections_of_clients", 99) > 20 for n in cluster.nodes), 20)
        with cluster_client(cluster) as client:
            client.bucket("x").put("k", b"v")


def cluster_client(cluster, **options):
    return ringlet.connect(cluster.seeds, cluster=cluster.name, **{"timeout": 3.0, **options})


def test_signals_of_log_rotation_reopen_the_log_and_end_nothing(make_cluster):
    cluster = make_cluster(nodes=1)
    node = cluster.nodes[0]
    log = node.directory / "node.log"
    node.config.write_text(node.config.read_text() + f'[log]\nfile = "{log}"\n')
    cluster.start()
    for number, name in [(signal.SIGHUP, "SIGHUP"), (signal.SIGUSR1, "SIGUSR1")]:
        moved = node.directory / f"node.log.{name}"
        log.rename(moved)
        node.signal(number)
        wait_for("the new log", lambda name=name: not (log.exists() and f"{name}: reopened" in log.read_text()), 10)
        before = moved.read_text()
    for number in (signal.SIGUSR2, signal.SIGQUIT):
        node.signal(number)
        name = signal.Signals(number).name
        wait_for("a word", lambda name=name: f"{name} is ignored: SIGTERM stops this node" not in log.read_text(), 10)
    # A directory that is gone: the log goes on into the old file.
    node.directory.joinpath("elsewhere").mkdir()
    log.rename(node.directory / "elsewhere" / "node.log")
    log.mkdir()
    node.signal(signal.SIGUSR1)
    wait_for("the complaint", lambda: "the log goes on into the old file" not in (node.directory / "elsewhere" / "node.log").read_text(), 10)
    with cluster_client(cluster) as client:
        client.bucket("x").put("k", b"v")
    assert moved.read_text() == before
    assert node.terminate() == 0


def test_signals_without_a_log_file_end_nothing(make_cluster):
    cluster = make_cluster(nodes=1).start()
    node = cluster.nodes[0]
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
        node.signal(number)
    wait_for("a word", lambda: "there is no file to reopen" not in node.log() or "SIGQUIT is ignored" not in node.log(), 10)
    assert node.terminate() == 0


def test_what_a_stranger_sent_is_escaped_in_the_log(make_cluster):
    cluster = make_cluster(nodes=1).start()
    node = cluster.nodes[0]
    evil = "x\n[2026-01-01] [n1] [error] ringletd: all is lost\x1b[2J"
    said = subprocess.run([str(BIN / "ringlet"), "--seeds", node.address, "--cluster", evil, "get", "k"],
                          capture_output=True, timeout=30)
    assert said.returncode != 0
    wait_for("the refusal", lambda: "all is lost" not in node.log(), 10)
    assert not any(line.startswith("[2026-01-01]") for line in node.log().splitlines())
    assert "\x1b" not in node.log() and "\\x0a[2026-01-01]" in node.log()


def strict_reads(cluster, node, keys, seconds):
    """So many reads at once through one node, each of which wants all three owners."""
    with ringlet.connect(node.address, cluster=cluster.name, timeout=seconds) as client:
        return client.bucket("x").get_many(keys, r=3, strict=True, timeout=seconds)


def test_reads_that_wait_for_a_stopped_owner_keep_no_client_out(make_cluster):
    cluster = make_cluster(nodes=3).start()
    with cluster_client(cluster) as client:
        for i in range(20):
            client.bucket("x").put(f"s{i}", b"v")
    cluster.nodes[2].signal(signal.SIGSTOP)
    waiting = threading.Thread(target=strict_reads, args=(cluster, cluster.nodes[0], [f"k{i}" for i in range(400)], 8.0))
    waiting.start()
    time.sleep(1.5)  # until the owner is known to be silent
    took, failed, end = [], [], time.monotonic() + 4
    # The deadline is for a machine that is busy; the figures are printed.
    with ringlet.connect(cluster.nodes[0].address, cluster=cluster.name, timeout=10.0) as client:
        bucket = client.bucket("x")
        while time.monotonic() < end:
            begun = time.monotonic()
            try:
                bucket.put(f"s{len(took) % 20}", b"w")
            except ringlet.RingletError as error:
                failed.append(str(error))
            took.append(time.monotonic() - begun)
            time.sleep(0.005)
        waiting_then = waiting.is_alive()
    cluster.nodes[2].signal(signal.SIGCONT)
    waiting.join()
    took.sort()
    print(f"400 waiting reads: {len(took)} puts of others, {len(failed)} failed, p50 {took[len(took) // 2] * 1000:.1f} ms, "
          f"worst {took[-1] * 1000:.0f} ms; {'some' if waiting_then else 'none'} still wait")
    assert not failed, failed[:3]
    assert len(took) > 40


def test_large_values_at_once_are_stored_or_refused_in_words(make_cluster):
    """And whoever uses other keys meanwhile is served."""
    cluster = make_cluster(nodes=3).start()
    value = os.urandom(8 << 20)
    value = value[:-1024]
    outcome, took, failed, over = {}, [], [], threading.Event()

    def large(i):
        with cluster_client(cluster, timeout=1.0 if i < 8 else 30.0) as client:
            try:
                client.bucket("big").put(f"k{i}", value)
                outcome[i] = "stored"
            except ringlet.RingletError as error:
                outcome[i] = str(error)

    def others():
        with cluster_client(cluster, timeout=15.0) as client:
            bucket = client.bucket("small")
            while not over.is_set():
                begun = time.monotonic()
                try:
                    bucket.put(f"s{len(took) % 50}", b"v")
                    bucket.get(f"s{len(took) % 50}")
                except ringlet.RingletError as error:
                    failed.append(str(error))
                took.append(time.monotonic() - begun)

    beside = threading.Thread(target=others)
    beside.start()
    for batch in (range(8), range(8, 16)):
        threads = [threading.Thread(target=large, args=(i,)) for i in batch]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    over.set()
    beside.join()
    took.sort()
    stored = [i for i, how in outcome.items() if how == "stored"]
    print(f"8 MiB at once: {sum(i < 8 for i in stored)} of 8 stored with 1 s, {sum(i >= 8 for i in stored)} of 8 with 30 s; "
          f"others: {len(took)} pairs, {len(failed)} failed, p50 {took[len(took) // 2] * 1000:.1f}, "
          f"p99 {took[int(len(took) * 0.99)] * 1000:.0f}, p99.9 {took[int(len(took) * 0.999)] * 1000:.0f} ms")
    for i in outcome:
        print(i, outcome[i][:300])
    assert len(outcome) == 16
    assert sum(i >= 8 for i in stored) == 8
    assert not failed, failed[:3]
    with cluster_client(cluster, timeout=30.0) as client:
        for i in stored:
            assert [s.value for s in client.bucket("big").get(f"k{i}").siblings] == [value]
    for node in cluster.nodes:
        # A member's connection is not cut for what waits on it.
        assert "slow reader" not in node.log(), node.log()


def test_half_frames_stay_within_the_memory_limit(make_cluster):
    cluster = make_cluster(nodes=1, more="memory_mb = 256\ncache_mb = 32\n").start()
    node = cluster.nodes[0]
    with contextlib.ExitStack() as stack:
        hello, worst = hello_of(node, cluster.name), 0.0
        connections = [stack.enter_context(raw(node)) for _ in range(20)]
        for connection in connections:
            connection.sendall(hello)
            connection.recv(4096)
            connection.setblocking(False)
        header = (60 << 20).to_bytes(4, "little") + bytes([1, 40]) + bytes(8)  # a frame of 60 MiB begins
        frame, sent = memoryview(header + bytes(40 << 20)), dict.fromkeys(connections, 0)
        end = time.monotonic() + 6
        while time.monotonic() < end:
            for connection, at in list(sent.items()):
                with contextlib.suppress(BlockingIOError):
                    try:
                        sent[connection] += connection.send(frame[at:at + (1 << 20)])
                    except (BrokenPipeError, ConnectionResetError):
                        del sent[connection]
            worst = max(worst, resident_mib(node))
            time.sleep(0.01)
        with cluster_client(cluster) as client:
            client.bucket("x").put("k", b"v")
        taken = sum(sent.values()) >> 20
        print(f"20 half frames of 60 MiB: {taken} MiB were sent, the node had at most {worst:.0f} MiB of 256")
        assert 40 < worst < 256


def half_frame(node, hello, announced, sent):
    """A client that said hello and then stopped after `sent` bytes of a frame of `announced`."""
    connection = raw(node)
    connection.sendall(hello)
    connection.recv(4096)
    connection.sendall(announced.to_bytes(4, "little") + bytes([1, 40]) + bytes(8) + bytes(sent))
    return connection


def test_senders_that_stop_within_a_large_value_hold_up_no_other(make_cluster):
    """Three fill all that half frames may take (16 MiB here); others that write large values get on within seconds."""
    cluster = make_cluster(nodes=1, more="memory_mb = 256\ncache_mb = 32\n").start()
    node, value = cluster.nodes[0], os.urandom(7 << 20)
    hello = hello_of(node, cluster.name)
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(half_frame(node, hello, 7 << 20, 1 << 20)) for _ in range(6)]
        time.sleep(0.5)
        begun = time.monotonic()
        with cluster_client(cluster, timeout=20.0) as client:
            client.bucket("x").put("large", value)
        took = time.monotonic() - begun
        print(f"a large value beside {len(stalled)} senders that stopped took {took:.1f} s")
        assert took < 6
        assert "stopped within a frame" in node.log()
        assert status_of(cluster, node)["stalled_frames"] > 0


def test_the_largest_value_is_stored_with_the_smallest_memory(make_cluster):
    """84 MiB, the smallest that is 2.5 times the cache and 64, is refused in words: a put of 8 MiB would time out."""
    cluster = make_cluster(nodes=3, more="memory_mb = 122\ncache_mb = 8\n")
    node = cluster.nodes[0]
    smaller = node.config.with_name("smaller.toml")
    smaller.write_text(node.config.read_text().replace("memory_mb = 122", "memory_mb = 84"))
    said = subprocess.run([str(BIN / "ringletd"), "--config", str(smaller), "--check-config"], capture_output=True, text=True, timeout=20)
    assert said.returncode == 2 and "node.memory_mb: wanted at least 122" in said.stderr, said
    cluster.start()
    value = os.urandom(8 << 20)
    with cluster_client(cluster, timeout=20.0) as client:
        bucket = client.bucket("x")
        for i in range(3):
            bucket.put(f"k{i}", value)
        for i in range(3):
            assert [s.value for s in bucket.get(f"k{i}").siblings] == [value]
