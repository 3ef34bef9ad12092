"""The independent history checker: client processes of every surface, real nodes, faults, and a judgement.

usage: .venv/bin/python tests/history/run.py --minutes 10 [--seed N] [--faults stall,kill,…] [--nodes 5] [--bin DIR]

Exit status: 0 every promise was kept, 1 one was broken or the cluster did not settle, 2 wrong usage. The history, the
nodes' logs and their configuration are kept below --out and named at the end; check.py judges a history again.
"""

import argparse
import base64
import contextlib
import importlib
import json
import math
import mmap
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import check  # noqa: E402
import client  # noqa: E402

ringlet = None  # the package, loaded in main

# name -> what it does, for --help; `network`, `root` faults are left out where they are not to be had.
FAULTS = {
    "stall": "SIGSTOP of a node for 0.05 to 3 s",
    "late": "SIGSTOP for longer than every client waits: what lies in its sockets is executed late",
    "kill": "kill -9 of a node, back after 0.1 to 2 s",
    "client": "kill -9 of a client in the midst of an operation; another one begins",
    "clock": "a node's wall clock jumps by up to ten minutes for some seconds",
    "disk_lost": "kill -9, the data directory is gone, back at once",
    "disk_full": "no free byte on a node's disk for some seconds (root)",
    "partition": "one or two nodes are cut off from the other nodes for 2 to 5 s (root)",
    "one_way": "what one node sends to two others is lost (root)",
    "flap": "a node's line dies for a moment, again and again (root)",
    "join": "a new node joins; beside the other faults",
    "leave": "a member leaves; beside the other faults",
    "replace": "a member is gone for good and is replaced; beside the other faults",
}
NETWORK = {"partition", "one_way", "flap"}
ROOT_ONLY = NETWORK | {"disk_full"}
MEMBERS = {"join", "leave", "replace"}

CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
/* CLOCK_REALTIME of this process is ahead by the milliseconds in the file RINGLET_TEST_CLOCK, as of now. */
static const volatile long long *ahead;
static __attribute__((constructor)) void look(void) {
  const char *path = getenv("RINGLET_TEST_CLOCK");
  int file = path ? open(path, O_RDONLY) : -1;
  void *seen = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
  if (seen != MAP_FAILED) ahead = seen;
}
int clock_gettime(clockid_t clock, struct timespec *time) {
  int failed = (int)syscall(SYS_clock_gettime, clock, time);
  if (!failed && clock == CLOCK_REALTIME && ahead) {
    long long ms = *ahead;
    time->tv_sec += ms / 1000;
    time->tv_nsec += ms % 1000 * 1000000;
    if (time->tv_nsec < 0) { time->tv_sec -= 1; time->tv_nsec += 1000000000; }
    if (time->tv_nsec >= 1000000000) { time->tv_sec += 1; time->tv_nsec -= 1000000000; }
  }
  return failed;
}
"""


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def read_all(bucket, keys):
    """key -> what was read or, after five repeats, the error that remains."""
    answers = bucket.get_many(keys)
    found = {**answers.errors, **answers.read}
    for _ in range(5):
        if again := list(answers.errors):
            time.sleep(1)
            answers = bucket.get_many(again)
            found.update({**answers.errors, **answers.read})
    return found


class Clients:
    """The client processes; each has a file of its own, a new one when it was killed."""

    KINDS = (("python", "server", True), ("python", "client", True), ("c", "client", False), ("python", "server", False),
             ("c", "server", True), ("python", "client", False), ("cli", "server", True), ("cli", "client", False))

    def __init__(self, run, until):
        self.run, self.until, self.random = run, until, random.Random(f"{run.seed}/clients")
        self.processes, self.born = [], 0
        for kind in self.KINDS:
            if kind[0] in run.surfaces:
                self.processes.append((self.start(kind), kind))

    def start(self, kind):
        surface, coordination, strict = kind
        name = f"{surface}{self.born}"
        self.born += 1
        run = self.run
        seeds = ",".join(self.random.sample([n.address for n in run.cluster.nodes if n.running], 2))
        command = [sys.executable, str(HERE / "client.py"), "--seeds", seeds, "--cluster", run.cluster.name, "--name", name,
                   "--history", str(run.directory / f"client-{name}.jsonl"), "--bin", str(run.bin), "--surface", surface,
                   "--coordination", coordination, "--until", str(self.until), "--seed", str(run.seed),
                   "--pause", str(run.pause), *(["--strict"] if strict else []), *(["--lww"] if run.lww else [])]
        with open(run.directory / f"client-{name}.log", "w") as log:
            return subprocess.Popen(command, stderr=log, stdout=log)

    def kill_one(self):
        at = self.random.randrange(len(self.processes))
        process, kind = self.processes[at]
        process.kill()
        process.wait()
        self.processes[at] = (self.start(kind), kind)
        return f"{kind[0]}-{kind[1]}"

    def end(self):
        bad = []
        for process, kind in self.processes:
            try:
                code = process.wait(max(0.0, self.until - time.monotonic()) + 20)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            if code != 0:
                bad.append(f"{kind[0]}-{kind[1]} ended with {code}")
        return bad


class Run:
    def __init__(self, options):
        self.options, self.seed, self.lww = options, options.seed, options.reconcile == "lww"
        self.random = random.Random(options.seed)
        self.bin, self.pause, self.surfaces = options.bin, options.pause, options.surfaces
        self.directory = options.out / f"{time.strftime('%Y%m%d-%H%M%S')}-seed{options.seed}"
        self.directory.mkdir(parents=True)
        self.records, self.record_lock = [], threading.Lock()
        self.nodes_lock = threading.RLock()  # who holds it sees every node up, or takes one down itself
        self.disks = threading.Lock()  # one lost disk at a time, until its copies are back
        self.problems, self.network, self.full, self.cluster = [], None, None, None
        self.named, self.inside = options.nodes, contextlib.ExitStack()

    def note(self, **record):
        with self.record_lock:
            self.records.append(record)

    @contextlib.contextmanager
    def fault(self, name, node="", **more):
        begin = time.monotonic_ns()
        record = {"t": "fault", "name": name, "node": node, "at": begin, **more}
        try:
            yield record
        finally:
            record["until"] = time.monotonic_ns()
            self.note(**record)

    # ---- the cluster ----

    def set_up(self, faults):
        options = self.options
        spares = 2 if faults & MEMBERS else 0
        addresses = None
        if faults & NETWORK:
            self.network = harness.Network(options.nodes + spares)
            self.network.up()
            self.inside.enter_context(self.network.inside())  # this process, its threads and its children
            addresses = self.network.addresses
        reconcile = 'reconcile = "lww"\n' if self.lww else ""
        self.cluster = harness.Cluster(
            self.directory, nodes=options.nodes, name="history", cluster=f"partitions = 32\n{reconcile}",
            addresses=addresses[:options.nodes] if addresses else None,
            more="cache_mb = 64\n[upkeep]\nrepair_ms = 4000\nsurplus_ms = 5000\n")
        self.places = {n.name: i for i, n in enumerate(self.cluster.nodes)}  # node -> its namespace
        self.free = list(range(options.nodes, options.nodes + spares))
        self.clocks = {}
        self.library = self.clock_library() if "clock" in faults else None
        for node in self.cluster.nodes:
            self.prepare(node)
        if "disk_full" in faults:
            self.full = self.cluster.nodes[1]
            small = self.directory / "small"
            small.mkdir()
            harness.run("mount", "-t", "tmpfs", "-o", "size=500m", "none", str(small))
            self.full.config.write_text(self.full.config.read_text().replace(str(self.full.data), str(small / "data")))
        self.cluster.start()
        self.members = list(self.cluster.nodes)
        self.cluster.wait_members([n.name for n in self.members], 60)

    def prepare(self, node):
        if self.network:
            node.around = ["ip", "netns", "exec", self.network.spaces[self.places[node.name]]]
        if self.library:
            path = node.directory / "clock"
            path.write_bytes(struct.pack("q", 0))
            with open(path, "r+b") as file:
                self.clocks[node.name] = mmap.mmap(file.fileno(), 8)
            node.environment = {"LD_PRELOAD": self.library, "RINGLET_TEST_CLOCK": str(path)}

    def clock_library(self):
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise SystemExit("run.py: the fault clock takes a C compiler (cc); leave it out of --faults")
        source, library = self.directory / "clock.c", self.directory / "clock.so"
        source.write_text(CLOCK)
        harness.run(compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source))
        return str(library)

    def tear_down(self):
        nodes = self.cluster.nodes if self.cluster else []
        for node in nodes:
            if node.running:
                node.signal(signal.SIGCONT)
        if self.cluster:
            self.cluster.stop()
        self.inside.close()
        if self.network:
            self.network.down()
        if self.full:
            subprocess.run(["umount", "-l", str(self.directory / "small")], check=False)
        for node in nodes:
            shutil.rmtree(node.data, ignore_errors=True)  # the logs stay

    # ---- faults, one at a time; members change beside them ----

    def some_node(self):
        return self.random.choice([n for n in self.members if n.running])

    def stalled(self, name, low, high):
        node = self.some_node()
        seconds = math.exp(self.random.uniform(math.log(low), math.log(high)))
        with self.fault(name, node.name, seconds=seconds):
            node.signal(signal.SIGSTOP)
            try:
                time.sleep(seconds)
            finally:
                node.signal(signal.SIGCONT)

    def stall(self):
        self.stalled("stall", 0.05, 3.0)

    def late(self):
        self.stalled("late", 4.2, 7.0)

    def kill(self):
        with self.nodes_lock:
            node = self.some_node()
            with self.fault("kill", node.name):
                node.kill()
                time.sleep(self.random.uniform(0.1, 2.0))
                self.back(node)

    def back(self, node):
        try:
            node.start()
        except AssertionError as error:
            self.problems.append(f"{node.name} does not start again: {str(error)[-500:]}")
            raise

    def kill_client(self):
        with self.fault("client") as record:
            record["surface"] = self.clients.kill_one()

    def clock(self):
        node = self.some_node()
        ahead = self.random.choice((-1, 1)) * self.random.choice((50, 1000, 10_000, 600_000))
        with self.fault("clock", node.name, ahead_ms=ahead):
            self.clocks[node.name][:] = struct.pack("q", ahead)
            time.sleep(self.random.uniform(1.0, 5.0))
            self.clocks[node.name][:] = struct.pack("q", 0)

    def disk_lost(self):
        if not self.disks.acquire(blocking=False):
            return  # a replacement is still being filled
        try:
            with self.nodes_lock:
                self.everything_has_its_copies()
                node = self.random.choice([n for n in self.members if n is not self.full])
                with self.fault("disk_lost", node.name, weakens="strict"):
                    node.kill()
                    shutil.rmtree(node.data)
                    self.cluster.founders = [n for n in self.members if n is not node]
                    self.cluster.configure(node)
                    self.back(node)
                    self.wait(f"{node.name} knows that it is a member", lambda: node.name not in self.cluster.members(node.name), 60)
                    self.repair([node])
        finally:
            self.disks.release()

    def disk_full(self):
        filler = self.directory / "small" / "filler"
        if self.full not in self.members:
            return
        with self.fault("disk_full", self.full.name):
            with open(filler, "wb", buffering=0) as out:
                try:
                    while out.write(b"x" * 65536):
                        pass
                    while out.write(b"x" * 512):
                        pass
                except OSError as full:
                    assert full.errno == 28, full
            time.sleep(self.random.uniform(2.0, 5.0))
            filler.unlink()
            if not self.full.running:
                say(f"{self.full.name} ended while its disk was full (allowed; it must lose nothing)")
                self.back(self.full)

    def cut(self, name, pairs, node):
        with self.fault(name, node):
            for a, b in pairs:
                self.network.cut(a, b)
            try:
                time.sleep(self.random.uniform(2.0, 5.0))
            finally:
                for a, b in pairs:
                    self.network.mend(a, b)

    def partition(self):
        there = [self.places[n.name] for n in self.members]
        few = self.random.sample(there, self.random.choice((1, 2)))
        self.cut("partition", [(a, b) for a in there for b in there if (a in few) != (b in few)], str(few))

    def one_way(self):
        a, b, c = self.random.sample([self.places[n.name] for n in self.members], 3)
        self.cut("one_way", [(a, b), (a, c)], f"{a} to {b} and {c}")

    def flap(self):
        node = self.some_node()
        place, until = self.places[node.name], time.monotonic() + self.random.uniform(2.0, 5.0)
        with self.fault("flap", node.name):
            while time.monotonic() < until:
                self.network.line(place, "down")
                time.sleep(self.random.uniform(0.02, 0.15))
                self.network.line(place, "up")
                time.sleep(self.random.uniform(0.1, 0.5))

    # ---- members ----

    def newcomer(self):
        self.named += 1
        label = f"n{self.named}"
        place = self.free.pop() if self.free else None
        self.cluster.founders = list(self.members)  # whom it asks
        node = self.cluster.add(label, self.network.addresses[place] if self.network else None)
        self.places[label] = place
        self.prepare(node)
        self.back(node)
        return node

    def tell(self, *order):
        """To a member that is up, until it takes it: it may be killed or stopped in the midst."""
        end = time.monotonic() + 60
        while True:
            node = self.random.choice([n for n in self.members if n.running and n.name not in order])
            self.cluster.cli("cluster", "clear", "--node", node.name, "--timeout", "5000")
            said = self.cluster.cli("cluster", *order, "--node", node.name, "--timeout", "5000")
            if said.returncode == 0:
                said = self.cluster.cli("cluster", "commit", "--node", node.name, "--timeout", "5000")
            # An answer that got lost: the order may have been done.
            if said.returncode == 0 or any(w in said.stderr for w in ("is a member already", "has left", "was replaced")):
                return
            if time.monotonic() > end:
                raise AssertionError(f"cluster {order}: {said.stderr}")
            time.sleep(0.5)

    def join(self):
        node = self.newcomer()
        with self.fault("join", node.name):
            self.tell("join", node.name, node.address)
            self.settle_members([*self.members, node])

    def leave(self):
        node = self.random.choice([n for n in self.members if n is not self.full])
        with self.fault("leave", node.name):
            self.members = [n for n in self.members if n is not node]
            self.tell("leave", node.name)
            self.settle_members(self.members)

            def goes():
                said = self.cluster.cli("--output", "json", "cluster", "status", "--node", node.address)
                return said.stderr or not json.loads(said.stdout)["node"]["may_stop"]

            self.wait(f"{node.name} has handed over everything", goes, 120)
            with self.nodes_lock:
                node.terminate()
            self.free_place(node)

    def replace(self):
        with self.disks, self.nodes_lock:
            self.everything_has_its_copies()
            node = self.random.choice([n for n in self.members if n is not self.full])
            new = self.newcomer()
            with self.fault("replace", f"{node.name} by {new.name}"):
                self.members = [n for n in self.members if n is not node]
                node.kill()
                self.tell("replace", node.name, new.name, new.address)
                self.settle_members([*self.members, new])
                self.repair(self.members)
            self.free_place(node)

    def free_place(self, node):
        self.cluster.nodes.remove(node)
        shutil.rmtree(node.data, ignore_errors=True)
        if self.network:
            self.free.append(self.places[node.name])

    def settle_members(self, nodes):
        self.cluster.wait_members([n.name for n in nodes], 180)
        self.members = list(nodes)

    def change_members(self):
        """A thread of its own: joins, leaves and replacements while the other faults go on."""
        choose = random.Random(f"{self.seed}/members")
        try:
            first = [f for f in ("join", "leave", "replace") if f in self.faults]
            while not self.ended.wait(choose.uniform(1.0, 4.0)):
                kinds = [f for f in first if (f != "join" or len(self.members) < self.options.nodes + 1)
                         and (f != "leave" or len(self.members) > 4)]
                if kinds:
                    getattr(self, choose.choice(kinds))()
        except Exception as error:
            self.problems.append(f"members: {error!r}")
            traceback.print_exc()

    # ---- waiting ----

    def wait(self, what, missing, seconds):
        harness.wait_for(what, missing, seconds)

    def repair(self, nodes):
        for node in nodes:
            harness.repair(self.cluster, node.name, 120)

    def connect(self, nodes=None):
        return ringlet.connect([n.address for n in nodes or self.members], cluster=self.cluster.name, timeout=5.0)

    def hints(self):
        waiting = {}
        with self.connect() as asking:
            for node in self.members:
                try:
                    if hints := asking.admin("status", node=node.name, timeout=3.0)["hints"]:
                        waiting[node.name] = hints
                except ringlet.RingletError as error:
                    waiting[node.name] = str(error)
        return waiting

    def everything_has_its_copies(self):
        """No hint waits and every owner compared with the others: a disk may be lost."""
        self.wait("hints delivered", self.hints, 120)
        self.repair(self.members)

    # ---- the end ----

    def settle(self):
        for node in self.members:
            if not node.running:
                self.back(node)
        self.settle_members(self.members)
        self.wait("hints delivered", self.hints, 120)
        self.repair(self.members)

    def look(self, keys):
        """What each owner holds, then what every node answers to a strict read of all owners."""
        shared = [k for k in keys if k.startswith("shared")]
        others = [k for k in keys if not k.startswith("shared")]
        choose = random.Random(self.seed)
        sample = choose.sample(shared, min(len(shared), 400)) + choose.sample(others, min(len(others), 400))
        seconds = time.monotonic() + 60
        waiting, last = sample, {}
        while waiting:
            with self.connect() as asking:
                last.update({key: self.copies(asking, key) for key in waiting})
            waiting = [k for k in waiting if len({(tuple(sorted(s)), d) for s, d in last[k].values()}) > 1 or
                       len(last[k]) < min(3, len(self.members))]
            if waiting and time.monotonic() > seconds:
                break
            if waiting:
                time.sleep(1)
        for key, copies in last.items():
            for node, (shown, digest) in copies.items():
                self.note(t="replica", key=key, node=node, shown=shown, digest=digest)
        for i, node in enumerate(self.members):
            asked = keys if i == 0 else sample
            with self.connect([node]) as asking:
                bucket = asking.bucket("history", strict=True, r=3)
                for at in range(0, len(asked), 500):
                    part = asked[at:at + 500]
                    found = read_all(bucket, part)
                    for key in part:
                        self.final(key, node.name, found[key])
        for node in self.members:  # and the command line, of some
            for key in choose.sample(sample, min(3, len(sample))):
                said = harness.cli(self.bin, node.address, self.cluster.name, "--bucket", "history", "--strict", "--r", "3",
                                   "--timeout", "5000", "--output", "json", "get", key)
                self.note(t="final", key=key, node=f"{node.name} (cli)", **said)

    @staticmethod
    def copies(asking, key):
        copies = {}
        try:
            for replica in asking.admin("key.inspect", bucket="history", key=key)["replicas"]:
                if "holds" in replica:
                    holds = replica["holds"]
                    shown = sorted({v["value"].split(";", 1)[0] for v in holds["versions"] if not v["tombstone"]})
                    # What is seen and shown, without what a replica remembers of replaced writes: each forgets
                    # at its own time.
                    what = [sorted((v["dot"], v["tombstone"]) for v in holds["versions"]), sorted(holds["context"])]
                    copies[replica["node"]] = (shown, client.digest_of(json.dumps(what)))
                else:
                    copies[replica["node"]] = ([], "unknown: " + str(replica.get("error")))
        except ringlet.RingletError as error:
            copies["the owners"] = ([], f"unknown: {error}")
        return copies

    def final(self, key, node, found):
        if isinstance(found, ringlet.RingletError):
            self.note(t="final", key=key, node=node, status=str(found), shown=[])
        else:
            self.note(t="final", key=key, node=node, status="ok",
                      shown=[client.token_of(bytes(s.raw)) for s in found.siblings if not s.deleted])

    # ---- all of it ----

    def start_clients(self, until):
        return Clients(self, until)

    def work(self):
        until = time.monotonic() + self.options.minutes * 60
        self.clients, self.ended = self.start_clients(until), threading.Event()
        members = threading.Thread(target=self.change_members, daemon=True)
        if self.faults & MEMBERS:
            members.start()
        time.sleep(1)
        each = [f for f in FAULTS if f in self.faults - MEMBERS]
        first = list(each)
        self.random.shuffle(first)
        heavy = {"disk_lost", "disk_full"}
        weights = [1 if f in heavy else 12 if f == "stall" else 4 for f in each]
        while each and time.monotonic() < until - 1 and not self.problems:
            name = first.pop() if first else self.random.choices(each, weights)[0]
            say(name)
            try:
                (self.kill_client if name == "client" else getattr(self, name))()
            except Exception as error:
                self.problems.append(f"{name}: {error!r}"[:2000])
                traceback.print_exc()
            time.sleep(self.random.uniform(0.1, 0.8))
        if not each:
            time.sleep(max(0.0, until - time.monotonic()))
        self.ended.set()
        self.problems += self.clients.end()
        if members.is_alive():
            members.join(300)
        if members.is_alive():
            self.problems.append("a change of the members does not end")

    def history(self):
        operations = []
        for path in sorted(self.directory.glob("client-*.jsonl")):
            lines = path.read_text().split("\n")
            operations += [json.loads(line) for line in lines[:-1]]  # what stands after the last newline was cut by a kill
        return operations

    def run(self):
        options = self.options
        self.faults = set(options.faults)
        self.note(t="meta", n=3, r=2, w=2, reconcile=options.reconcile, truncated_at=1000, seed=self.seed,
                  nodes=options.nodes, faults=sorted(self.faults), bin=str(self.bin), minutes=options.minutes)
        path = self.directory / "history.jsonl"
        try:
            self.set_up(self.faults)
            say(f"{options.nodes} nodes of {self.bin}, seed {self.seed}, {options.minutes} minutes of: {', '.join(sorted(self.faults)) or 'no faults'}")
            self.work()
            operations = self.history()
            keys = sorted({o["key"] for o in operations if o["t"] == "invoke"})
            say(f"settling; {len(keys)} keys")
            try:
                self.settle()
            except Exception as error:
                self.problems.append(f"the cluster does not settle: {error!r}"[:2000])
            say("final reads")
            self.look(keys)
        finally:
            operations = self.history()
            with open(path, "w") as out:
                for record in [*self.records, *operations]:
                    out.write(json.dumps(record) + "\n")
            self.tear_down()
        result = check.judge([*self.records, *operations])
        print(check.report(result))
        for problem in self.problems:
            print(f"PROBLEM {problem}")
        print(f"history: {path}\nto judge it again: {sys.executable} tests/history/check.py {path}")
        least = result.counts and all(c["ok"] > 0 for c in result.counts.values())
        if not least:
            print("PROBLEM some surface did nothing: nothing was proved")
        return 0 if result.ok and not self.problems and least else 1


class harness:
    """What tests/cluster has already; loaded when it is known where the programs are."""

    @staticmethod
    def load(bin_):
        os.environ["RINGLET_BIN"] = str(bin_)
        sys.path.insert(0, str(ROOT / "tests" / "cluster"))
        import conftest
        import nemesis

        harness.Cluster, harness.wait_for = conftest.Cluster, conftest.wait_for
        harness.Network, harness.repair, harness.run = nemesis.Network, nemesis.repair, nemesis.run

    @staticmethod
    def cli(bin_, address, name, *arguments):
        said = subprocess.run([str(bin_ / "ringlet"), "--seeds", address, "--cluster", name, *arguments],
                              capture_output=True, text=True, timeout=30)
        if said.returncode not in (0, 1, 3):
            return {"status": said.stderr, "shown": []}
        siblings = json.loads(said.stdout)["siblings"]
        return {"status": "ok", "shown": [client.token_of(base64.b64decode(s["value_base64"]))
                                          for s in siblings if not s["deleted"]]}


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="faults:\n" + "\n".join(f"  {n:10} {w}" for n, w in FAULTS.items()))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--faults", default="all", help="names separated by commas, all (default) or none")
    parser.add_argument("--nodes", type=int, default=5, help="3 to 9 (5)")
    parser.add_argument("--surfaces", default="python,c,cli", help="which clients take part")
    parser.add_argument("--reconcile", choices=("siblings", "lww"), default="siblings")
    parser.add_argument("--pause", type=float, default=0.005, help="mean pause of a client between operations, seconds")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "dev" / "bin")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "history", help="where histories are kept")
    options = parser.parse_args(arguments)
    if not 3 <= options.nodes <= 9:
        parser.error(f"--nodes: wanted 3 to 9, got {options.nodes}")
    if not 0 < options.minutes <= 24 * 60:
        parser.error(f"--minutes: wanted more than 0 and at most a day, got {options.minutes}")
    options.surfaces = options.surfaces.split(",")
    if wrong := set(options.surfaces) - {"python", "c", "cli"}:
        parser.error(f"--surfaces: wanted python, c, cli, got {', '.join(sorted(wrong))}")
    all_ = options.faults == "all"
    names = list(FAULTS) if all_ else [] if options.faults == "none" else options.faults.split(",")
    if wrong := [n for n in names if n not in FAULTS]:
        parser.error(f"--faults: there is no {wrong[0]!r}; there are {', '.join(FAULTS)}")
    if os.geteuid() != 0 and (left := sorted(set(names) & ROOT_ONLY)):
        if not all_:
            parser.error(f"--faults: {', '.join(left)}: these take root")
        say(f"not root: left out are {', '.join(left)}")
        names = [n for n in names if n not in ROOT_ONLY]
    options.faults = names
    options.bin = options.bin.resolve()
    for program in ("ringletd", "ringlet", *(["history_client"] if "c" in options.surfaces else [])):
        if not (options.bin / program).exists():
            parser.error(f"--bin: {options.bin / program} is not built")
    return options


def load_package():
    global ringlet
    package = os.environ.setdefault("PYTHONPATH", str(ROOT / "python"))  # the clients' too
    sys.path[:0] = package.split(":")
    ringlet = importlib.import_module("ringlet")


def main():
    options = parse(sys.argv[1:])
    load_package()
    harness.load(options.bin)
    return Run(options).run()


if __name__ == "__main__":
    sys.exit(main())
