"""What is done to a cluster of processes: each fault is applied, held and healed by one function."""

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest
from conftest import wait_for


def kill(cluster, node, choose):
    node.kill()
    time.sleep(choose.uniform(0.1, 2.0))
    node.start()


def stopped(cluster, node, choose):
    """F-08: its connections stay, it says nothing."""
    node.signal(signal.SIGSTOP)
    try:
        time.sleep(choose.uniform(2.0, 5.0))
    finally:
        node.signal(signal.SIGCONT)


def lost_disk(cluster, node, choose):
    """F-14. Ends when the others' copies are on it again: a second disk may be lost only then."""
    node.kill()
    shutil.rmtree(node.data)
    node.start()
    wait_for(f"{node.name} knows that it is a member", lambda: node.name not in cluster.members(node.name), 20)
    repair(cluster, node.name)


def repair(cluster, name, seconds=60):
    """`ringlet repair`, and until it is done."""
    def refused():
        said = cluster.cli("repair", "--node", name)
        return said.stderr if said.returncode else ""

    wait_for(f"a repair of {name} begins", refused, 20)

    def busy():
        said = cluster.cli("--output", "json", "cluster", "status", "--node", name)
        return said.stderr or not json.loads(said.stdout)["upkeep"]["anti_entropy"]["idle"]

    wait_for(f"the repair of {name}", busy, seconds)


class Nemesis(threading.Thread):
    """One fault after the other, drawn from `faults`, to one node at a time."""

    def __init__(self, cluster, nodes, faults, seed, pause=1.0):
        super().__init__(daemon=True)
        self.cluster, self.nodes, self.faults, self.pause = cluster, nodes, faults, pause
        self.random, self.stop, self.done, self.error = random.Random(seed), threading.Event(), [], None

    def run(self):
        try:
            first = list(self.faults)  # each at least once, then as it comes
            while not self.stop.wait(self.random.uniform(0.3, self.pause)) or first:
                fault = first.pop(0) if first else self.random.choice(self.faults)
                node = self.random.choice(self.nodes)
                self.done.append(f"{fault.__name__} {node.name}")
                fault(self.cluster, node, self.random)
        except BaseException as error:
            self.error = error

    def end(self):
        self.stop.set()
        self.join(120)
        assert not self.is_alive(), f"a fault does not end: {self.done[-1:]}"
        assert self.error is None, f"{self.done[-1:]}: {self.error!r}"


# ---- the network ----


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


class Network:
    """Every node in a network namespace of its own, all on one bridge; this process on the bridge, too.

    Nobody outside this machine is reached: the bridge is in a namespace as well.
    """

    def __init__(self, nodes):
        self.prefix = f"rl{os.getpid()}"
        self.hub = f"{self.prefix}h"
        self.spaces = [f"{self.prefix}n{i + 1}" for i in range(nodes)]
        self.hosts = [f"10.77.0.{i + 11}" for i in range(nodes)]
        self.addresses = [f"{host}:7400" for host in self.hosts]

    def up(self):
        for space in (self.hub, *self.spaces):
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", self.hub, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.hub, "addr", "add", "10.77.0.1/24", "dev", "br0")
        run("ip", "-n", self.hub, "link", "set", "br0", "up")
        for i, space in enumerate(self.spaces):
            run("ip", "-n", self.hub, "link", "add", f"p{i}", "type", "veth", "peer", "name", "eth0", "netns", space)
            run("ip", "-n", self.hub, "link", "set", f"p{i}", "master", "br0", "up")
            run("ip", "-n", space, "addr", "add", f"{self.hosts[i]}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")

    def down(self):
        for space in (*self.spaces, self.hub):
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)

    @contextlib.contextmanager
    def inside(self):
        """This thread, and the threads and processes it starts, are on the bridge."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(path):
            with open(path) as space:
                if libc.setns(space.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                    raise OSError(ctypes.get_errno(), "setns")

        with open("/proc/thread-self/ns/net") as before:
            enter(f"/run/netns/{self.hub}")
            try:
                yield
            finally:
                libc.setns(before.fileno(), 0x40000000)

    def cut(self, a, b):
        """What a sends to b is lost."""
        run("ip", "-n", self.spaces[a], "route", "add", "blackhole", f"{self.hosts[b]}/32")

    def mend(self, a, b):
        run("ip", "-n", self.spaces[a], "route", "del", "blackhole", f"{self.hosts[b]}/32")

    def line(self, i, state):
        run("ip", "-n", self.hub, "link", "set", f"p{i}", state)

    def netem(self, i, *what):
        run("tc", "-n", self.spaces[i], "qdisc", "replace", "dev", "eth0", "root", "netem", *what)

    def calm(self, i):
        subprocess.run(["tc", "-n", self.spaces[i], "qdisc", "del", "dev", "eth0", "root"], check=False,
                       capture_output=True)


@pytest.fixture
def make_network():
    made = []

    def make(nodes):
        if os.geteuid() != 0:
            pytest.skip("network namespaces take root")
        network = Network(nodes)
        made.append(network)
        try:
            network.up()
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", "") or error
            pytest.skip(f"network namespaces are not to be had here: {str(why).strip()}")
        return network

    yield make
    for network in made:
        network.down()


# ---- the clock ----

SKEW = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec* time) {
  int failed = (int)syscall(SYS_clock_gettime, clock, time);
  const char* seconds = getenv("RINGLET_TEST_SKEW");
  if (!failed && clock == CLOCK_REALTIME && seconds) time->tv_sec += atol(seconds);
  return failed;
}
"""


def skew_library(directory):
    """A library that moves the wall clock of the process it is loaded into."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("a skewed clock takes a C compiler (cc) here")
    (directory / "skew.c").write_text(SKEW)
    library = directory / "skew.so"
    run(compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(directory / "skew.c"))
    return str(library)
