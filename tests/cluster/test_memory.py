"""What a node holds stays below its limit (node.memory_mb), whatever its clients do, and it serves again
afterwards. The bound is the limit itself, for as long as the abuse lasts."""

import collections
import contextlib
import json
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
import ringlet

from conftest import BIN, wait_for

LIMIT_MIB, CACHE_MIB = 192, 32
MORE = f"memory_mb = {LIMIT_MIB}\ncache_mb = {CACHE_MIB}\n"


@pytest.fixture
def small(make_cluster):
    return make_cluster(nodes=3, more=MORE).start()


def resident_mib(node):
    with open(f"/proc/{node.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Watch(threading.Thread):
    """The most that any node had, looked at fifty times a second."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes, self.worst, self.over = nodes, 0.0, threading.Event()

    def run(self):
        while not self.over.wait(0.02):
            self.worst = max(self.worst, *(resident_mib(node) for node in self.nodes))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def serves_again(cluster):
    """Every node, within seconds: no node is left tight by what is over."""
    for node in cluster.nodes:
        with ringlet.connect(node.address, cluster=cluster.name, timeout=1.0) as client:
            bucket = client.bucket("after")

            def refused(bucket=bucket, name=node.name):
                try:
                    bucket.put(name, b"x")
                    return b"x" not in [s.value for s in bucket.get(name).siblings]
                except ringlet.RingletError as error:
                    return error

            wait_for(f"{node.name} to serve", refused, 20)


def status_of(cluster, node):
    return next(s for s in cluster.json("status") if s["node"] == node.name)


def said(cluster, watch, what):
    status = [status_of(cluster, node) for node in cluster.nodes]
    print(f"{what}: at most {watch.worst:.0f} of {LIMIT_MIB} MiB; now {json.dumps([s.get('memory') for s in status])}")


def test_a_sibling_explosion(small):
    """32 blind writers of 64 KiB on one key, and as many readers of it."""
    refused, stop = [], threading.Event()

    def writer(number):
        with ringlet.connect(small.seeds, cluster=small.name, timeout=2.0) as client:
            bucket, count = client.bucket("hot"), 0
            while not stop.is_set():
                count += 1
                try:
                    if number % 2:
                        bucket.get("key")
                    else:
                        bucket.put("key", bytes(f"{number} {count} ", "ascii") * 6000)
                except ringlet.RingletError as error:
                    refused.append(error.status)

    threads = [threading.Thread(target=writer, args=(i,)) for i in range(64)]
    with Watch(small.nodes) as watch:
        for thread in threads:
            thread.start()
        time.sleep(8)
        stop.set()
        for thread in threads:
            thread.join()
    said(small, watch, f"siblings ({len(refused)} refused: {dict(collections.Counter(refused))})")
    assert ringlet.Status.TOO_MANY_SIBLINGS in refused
    assert watch.worst < LIMIT_MIB
    serves_again(small)


def test_slow_readers(small):
    """A process that asks for 64 KiB values as fast as it can and then stops reading."""
    if not (BIN / "ringlet_cluster_load").exists():
        pytest.skip(f"{BIN / 'ringlet_cluster_load'} is not built")
    words = [str(BIN / "ringlet_cluster_load"), "--seeds", *(node.address for node in small.nodes)]
    words += ["--cluster", small.name, "--seconds", "60", "--keys", "200", "--payload", "65536"]
    load = subprocess.Popen([*words, "--connections", "8", "--rate", "20000"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Watch(small.nodes) as watch:
            time.sleep(5)
            load.send_signal(signal.SIGSTOP)
            time.sleep(13)  # longer than a reader may take nothing
            assert load.poll() is None
    finally:
        load.kill()
        load.wait()
    said(small, watch, "slow readers")
    assert watch.worst < LIMIT_MIB
    serves_again(small)


def test_ten_thousand_connections(small):
    """They say hello and then nothing; a node takes them all, and still serves."""
    wanted = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted + 1000:
        pytest.skip(f"wanted {wanted + 1000} open files, this user may have {hard}")
    # A node is this process's child, started before: its own limit is checked here too.
    node = small.nodes[0]
    with open(f"/proc/{node.process.pid}/limits") as limits:
        files = int(next(line for line in limits if line.startswith("Max open files")).split()[3])
    if files < wanted + 1000:
        resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE, (wanted + 1000, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted + 1000, hard))
    host, port = node.address.split(":")
    with contextlib.ExitStack() as stack, Watch([node]) as watch:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        hello = hello_of(node, small.name)
        held = []
        for _ in range(wanted - 100):  # some are the other nodes' and our own
            held.append(stack.enter_context(socket.create_connection((host, int(port)), 5)))
            held[-1].sendall(hello)
        wait_for("all to be taken", lambda: status_of(small, node)["connections"] < wanted - 100, 20)
        status = status_of(small, node)
        serves_again(small)
        assert status_of(small, node)["connections"] >= wanted - 100
        print(f"{status['connections']} connections: {watch.worst:.0f} of {LIMIT_MIB} MiB")
    assert watch.worst < LIMIT_MIB


def hello_of(node, cluster):
    """The first frame of a client, as the library sends it: taken from a socket that only listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        address = "127.0.0.1:%d" % server.getsockname()[1]

        def connect():
            with contextlib.suppress(ringlet.RingletError):
                with ringlet.connect(address, cluster=cluster, timeout=0.5) as client:
                    client.bucket("x").get("x")

        thread = threading.Thread(target=connect)
        thread.start()
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            hello = connection.recv(4096)
        thread.join()
    assert hello
    return hello
