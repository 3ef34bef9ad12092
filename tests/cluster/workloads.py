"""Workloads that write down what they were told, and checks of what they wrote down.

Every operation goes into a history: what was asked, what had been seen, what the cluster answered. The
checks read histories and the final state only; they are the simulator's laws, for real processes.
"""

import json
import random
import threading
import time
from dataclasses import dataclass, field

import pytest
from conftest import wait_for

ringlet = pytest.importorskip("ringlet")

TIMEOUT = 5.0


@dataclass
class Operation:
    """One write. `seen`: the values of the read whose context it carried."""

    key: str
    value: str
    seen: frozenset
    outcome: str  # "done", "no" (refused, nothing happened), "maybe"
    why: str
    took_ms: float
    at: float


@dataclass
class History:
    writes: list = field(default_factory=list)
    reads: int = 0
    read_ms: list = field(default_factory=list)
    failed_reads: list = field(default_factory=list)
    broken: list = field(default_factory=list)  # what a single read already disproves

    def add(self, other):
        for name in ("writes", "read_ms", "failed_reads", "broken"):
            getattr(self, name).extend(getattr(other, name))
        self.reads += other.reads

    @property
    def done(self):
        return [w for w in self.writes if w.outcome == "done"]

    @property
    def refused(self):
        return [f"write of {w.value} to {w.key}: {w.why}" for w in self.writes if w.outcome != "done"] + self.failed_reads


class Shown(str):
    """A sibling's value, which knows its dot."""

    dot = None


def values_of(found):
    values = []
    for sibling in found.siblings:
        if not sibling.deleted:
            values.append(Shown(bytes(sibling.value).decode()))
            values[-1].dot = sibling.dot
    return values


def versions(values):
    """Value and dot: a write whose minter died may have been minted twice, and whoever saw one of the two
    has not replaced the other (the simulator's L4 and L10 say the same).
    """
    return {(str(value), getattr(value, "dot", None)) for value in values}


class Writer(threading.Thread):
    """One client with one thread. `seeds` is read once, at the start."""

    bucket = "?"

    def __init__(self, cluster, number, keys=6, pause=0.0, seed=0):
        super().__init__(name=f"{self.bucket}{number}", daemon=True)
        self.coordination = ("server", "client")[number % 2]
        self.cluster, self.keys, self.pause = cluster, [f"{self.bucket}-{k}" for k in range(keys)], pause
        self.random = random.Random(f"{seed}/{self.name}")
        self.stop, self.history, self.error, self.count = threading.Event(), History(), None, 0

    def run(self):
        try:
            with ringlet.connect(self.cluster.seeds, cluster=self.cluster.name, timeout=TIMEOUT,
                                 client_coordination=self.coordination) as client:
                bucket = client.bucket(self.bucket)
                while not self.stop.is_set():
                    self.count += 1
                    self.step(bucket, self.random.choice(self.keys), f"{self.name}.{self.count}")
                    if self.pause:
                        time.sleep(self.pause)
        except Exception as error:  # a dead thread must fail the test, not hide
            self.error = error

    def read(self, bucket, key):
        begin = time.monotonic()
        try:
            found = bucket.get(key)
        except ringlet.RingletError as error:
            self.history.failed_reads.append(f"read of {key}: {error}")
            return None
        self.history.reads += 1
        self.history.read_ms.append((time.monotonic() - begin) * 1000)
        values = values_of(found)
        if len(set(values)) != len(values):
            self.history.broken.append(f"{key}: a sibling twice: {values}")
        return found, values

    def write(self, key, value, seen, call):
        begin = time.monotonic()
        try:
            call()
            outcome, why = "done", ""
        except ringlet.RingletError as error:
            outcome, why = ("maybe" if error.maybe_applied else "no"), str(error)
        self.history.writes.append(Operation(key, value, frozenset(seen), outcome, why,
                                             (time.monotonic() - begin) * 1000, begin))


class Register(Writer):
    """Writes a value of its own over what it read."""

    bucket = "register"

    def step(self, bucket, key, value):
        if got := self.read(bucket, key):
            found, values = got
            self.write(key, value, values, lambda: bucket.put(key, value.encode(), context=found.context))


class Cart(Writer):
    """Reads, merges the siblings, adds an item of its own, writes."""

    bucket = "cart"

    def step(self, bucket, key, item):
        if got := self.read(bucket, key):
            found, values = got
            items = {i for v in values for i in json.loads(v)}
            self.write(key, item, items,
                       lambda: bucket.put(key, json.dumps(sorted(items | {item})).encode(), context=found.context))


class Set(Writer):
    """Adds by the SDK's update: read, edit, write, again when others wrote meanwhile. Every element is a
    key of its own now and then, to have many small objects beside few contended ones.
    """

    bucket = "set"

    def step(self, bucket, key, item):
        if self.count % 2:
            key = f"{key}/{self.count}/{self.name}"

        def edit(found):
            return json.dumps(sorted(set(json.loads(bytes(found)) if found else []) | {item})).encode()

        def union(siblings):
            return json.dumps(sorted({i for s in siblings for i in json.loads(bytes(s.value))})).encode()

        self.write(key, item, (), lambda: bucket.update(key, edit, resolver=union))


class Deletes(Writer):
    """Puts a value under a key of its own, reads it and deletes what it read."""

    bucket = "deletes"

    def step(self, bucket, key, value):
        key = f"{key}/{value}"
        self.write(key, value, (), lambda: bucket.put(key, value.encode()))
        if got := self.read(bucket, key):
            found, values = got
            self.write(key, "", values, lambda: bucket.delete(key, found))


def start(cluster, *writers):
    for writer in writers:
        writer.start()
    return writers


def stop(writers):
    """Ends them; the history of all by bucket."""
    histories = {}
    for writer in writers:
        writer.stop.set()
    for writer in writers:
        writer.join(40)
        assert not writer.is_alive(), f"{writer.name} hangs"
        assert writer.error is None, repr(writer.error)
        histories.setdefault(writer.bucket, History()).add(writer.history)
    return histories


# ---- the checks ----


def final_values(client, bucket, keys):
    """key -> the siblings' values, read with r = N; reads that fail are repeated for a while after each was tried once."""
    values, todo, end = {}, sorted(keys), None
    handle = client.bucket(bucket, r=3, timeout=TIMEOUT)
    while todo:
        left = []
        for at in range(0, len(todo), 200):
            answers = handle.get_many(todo[at:at + 200])
            left += answers.errors
            values.update({key: values_of(found) for key, found in answers.read.items()})
        todo = left
        end = end or time.monotonic() + 40
        assert not todo or time.monotonic() < end, f"{len(todo)} keys of {bucket} cannot be read from all replicas"
    return values


def check(bucket, history, finals):
    """What is wrong: a list of sentences."""
    broken = list(history.broken)
    writes = {}
    for w in history.writes:
        writes.setdefault(w.key, []).append(w)
    for key, its in writes.items():
        siblings = finals.get(key, [])
        if len(set(siblings)) != len(siblings):
            broken.append(f"{key}: a sibling twice at the end: {siblings}")
        asked = {w.value for w in its if w.outcome != "no"}
        if bucket == "deletes":  # the second write, if there is one, is the delete of what it has seen
            put, gone = its[0], its[1] if len(its) > 1 else None
            present = set(siblings)
            if gone is not None and gone.outcome == "done" and (back := versions(siblings) & versions(gone.seen)):
                broken.append(f"{key}: {sorted(back)} is back although deleted")
            if put.outcome == "done" and put.value not in present and (gone is None or put.value not in gone.seen):
                broken.append(f"{key}: lost {put.value}, which was acknowledged and not deleted")
        elif bucket == "register":
            present, covered, surely = set(siblings), set(), set()
            for w in its:
                covered |= w.seen
                surely |= versions(w.seen) if w.outcome == "done" else set()
            for w in its:
                if w.outcome == "done" and w.value not in covered and w.value not in present:
                    broken.append(f"{key}: lost {w.value}, which was acknowledged and that nobody had seen")
            if back := versions(siblings) & surely:
                broken.append(f"{key}: {sorted(back)[:3]} are back although replaced")
        else:
            present = {i for s in siblings for i in json.loads(s)}
            lost = {w.value for w in its if w.outcome == "done"} - present
            if lost:
                broken.append(f"{key}: lost {len(lost)} acknowledged adds: {sorted(lost)[:5]}")
        if phantoms := present - asked:
            broken.append(f"{key}: {sorted(phantoms)[:3]} were never written")
    return broken


def same_bytes(client, bucket, keys, members):
    """"" when every owner of every key holds the same bytes, all being members; else what differs."""
    for key in keys:
        inspected = client.admin("key.inspect", bucket=bucket, key=key, timeout=TIMEOUT)["replicas"]
        holds = [r.get("holds", {}).get("bytes") for r in inspected]
        if len(holds) != min(3, len(members)) or None in holds or len(set(holds)) != 1:
            return f"{bucket}/{key}: " + ", ".join(
                f"{r['node']} {r.get('holds', {}).get('bytes', r.get('error'))}" for r in inspected)
    return ""


def judge(cluster, histories, members, sample=100):
    """The end of every test: nothing lost, no phantom, no sibling twice, replicas byte-equal."""
    broken = []
    with ringlet.connect(",".join(cluster.node(m).address for m in members), cluster=cluster.name,
                         timeout=TIMEOUT) as client:
        def hints():
            left = {m: client.admin("status", node=m, timeout=TIMEOUT)["hints"] for m in members}
            return left if any(left.values()) else ""

        wait_for("hints delivered", hints, 60)
        # Before any read with r = N, which would repair what it finds. The contended keys, and some others.
        choose = random.Random(1)
        for bucket, history in histories.items():
            keys = sorted({w.key for w in history.writes}, key=lambda key: (len(key), key))
            picked = keys[:8] + choose.sample(keys[8:], min(sample, len(keys[8:])))
            wait_for("replicas equal", lambda b=bucket, p=picked: same_bytes(client, b, p, members), 60)
        for bucket, history in histories.items():
            broken += check(bucket, history, final_values(client, bucket, {w.key for w in history.writes}))
    assert not broken, "\n".join(broken[:10])


def numbers(histories):
    return {
        name: f"{len(h.done)} acknowledged, {len(h.refused)} refused, {h.reads} reads" for name, h in histories.items()
    }
