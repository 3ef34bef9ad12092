"""The faults that a local cluster can be given: real nodes and real connections (issue: test kits)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ringlet
from ringlet import errors as E


@pytest.fixture
def own() -> Iterator[ringlet.LocalCluster]:
    with ringlet.local_cluster(3) as cluster:
        yield cluster


def holders(client: ringlet.Client, key: str) -> dict[str, int]:
    """How many versions each owner has of its own; a node that does not answer is left out."""
    said: Any = client.admin("key.inspect", bucket="b", key=key)
    return {
        replica["node"]: len(replica["holds"]["versions"])
        for replica in said["replicas"]
        if "versions" in replica.get("holds", {})
    }


def until(what: str, condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def test_a_partition_makes_siblings_and_they_are_joined_after_it(own: ringlet.LocalCluster) -> None:
    with own.connect(timeout=3) as left, own.connect(timeout=3) as right:
        one = left.bucket("b", codec=ringlet.Text, r=1, w=1)
        other = right.bucket("b", codec=ringlet.Text, r=1, w=1)
        with own.partition({0}, {1, 2}, clients=0):
            one.put("k", "tea")
        with own.partition({0}, {1, 2}, clients=1):
            other.put("k", "milk")
        until("both are shown", lambda: sorted(str(s.value) for s in left.bucket(
            "b", codec=ringlet.Text, strict=True).get("k").siblings) == ["milk", "tea"])


def test_a_write_is_taken_while_its_owners_are_cut_off_and_reaches_them_after(
    own: ringlet.LocalCluster,
) -> None:
    with own.connect(timeout=5) as client:
        bucket = client.bucket("b", codec=ringlet.Text, w=1, r=1)
        with own.partition({0}, {1}, {2}):
            bucket.put("k", "v")
        until("all three have it", lambda: sum(holders(client, "k").values()) == 3)


def test_a_paused_node_answers_nothing_and_goes_on(own: ringlet.LocalCluster) -> None:
    with own.connect(timeout=0.5) as client:
        strict = client.bucket("b", codec=ringlet.Text, r=3, w=3)
        strict.put("k", "1")
        with own.pause(1):
            begun = time.monotonic()
            with pytest.raises(E.RingletError) as caught:
                strict.get("k")
            assert isinstance(caught.value, (E.Timeout, E.QuorumNotMet))
            assert time.monotonic() - begun < 5
            client.bucket("b", codec=ringlet.Text).put("other", "2")  # R and W of two are there
        until("it answers again", lambda: _reads(strict, "k", "1"))


def _reads(bucket: ringlet.Bucket[str], key: str, value: str) -> bool:
    with contextlib.suppress(E.RingletError):
        return bucket.get(key).value == value
    return False


def test_a_paused_node_can_be_killed_and_what_waited_is_not_served(own: ringlet.LocalCluster) -> None:
    with own.connect(timeout=1) as client:
        bucket = client.bucket("b", codec=ringlet.Text)
        own.pause(2)
        for i in range(20):
            bucket.put(f"k{i}", "v")
        begun = time.monotonic()
        own.kill(2)
        assert time.monotonic() - begun < 5
        own.restart(2)
        until("all are there", lambda: all(_reads(bucket, f"k{i}", "v") for i in range(20)))


def test_a_line_can_be_cut_one_way(own: ringlet.LocalCluster) -> None:
    with own.connect(timeout=1) as client:
        strict = client.bucket("b", codec=ringlet.Text, r=3, w=3)
        strict.put("k", "1")
        with own.cut(0, 1):
            strict.put("k", "2")  # the coordinator may be the third node, which reaches both
            with own.cut(1, 2), own.cut(2, 0), pytest.raises(E.RingletError):
                strict.put("k", "3")  # each of them has one that does not hear it
            until("the third node coordinates", lambda: _puts(strict))
        until("the line is whole", lambda: _puts(strict))


def _puts(bucket: ringlet.Bucket[str]) -> bool:
    with contextlib.suppress(E.RingletError):
        bucket.put("again", "v")
        return True
    return False


def test_faults_that_overlap_end_one_by_one(own: ringlet.LocalCluster) -> None:
    with own.connect(timeout=0.5) as client:
        strict = client.bucket("b", codec=ringlet.Text, r=3, w=3)
        with own.partition({0}, {1, 2}):
            with own.partition({0, 1}, {2}):
                pass
            with pytest.raises(E.RingletError):
                strict.put("k", "1")
        until("all lines are whole", lambda: _puts(strict))
        undo = own.partition({0}, {1, 2})
        own.heal()
        undo.undo()
        undo.undo()
        until("all lines are whole", lambda: _puts(strict))


def test_clients_that_are_cut_off_time_out_and_come_back(own: ringlet.LocalCluster) -> None:
    with own.connect(timeout=0.4) as client:
        bucket = client.bucket("b", codec=ringlet.Text)
        bucket.put("k", "1")
        with contextlib.ExitStack() as faults:
            for node in range(3):
                faults.enter_context(own.cut("clients", node))
            with pytest.raises(E.RingletError) as caught:
                bucket.get("k")
            assert isinstance(caught.value, (E.Timeout, E.Unavailable))
        until("it is read again", lambda: _reads(bucket, "k", "1"))


def test_a_cut_outlasts_a_restart(own: ringlet.LocalCluster) -> None:
    with own.connect(timeout=0.5) as client:
        strict = client.bucket("b", codec=ringlet.Text, r=3, w=3)
        with own.partition({0}, {1, 2}):
            own.kill(0)
            own.restart(0)
            with pytest.raises(E.RingletError):
                strict.put("k", "1")
        until("all lines are whole", lambda: _puts(strict))


@pytest.mark.parametrize("hours", [24, -24])
def test_a_node_writes_down_the_time_of_its_own_clock(own: ringlet.LocalCluster, hours: int) -> None:
    with own.connect(timeout=5) as client:
        bucket = client.bucket("b", codec=ringlet.Text)
        with contextlib.ExitStack() as faults:
            for node in range(3):
                faults.enter_context(own.skew(node, hours * 3600))
            bucket.put("k", "v")
            own.kill(0)
            own.restart(0)
        bucket.put("other", "v")
        said = {key: bucket.get(key).siblings[0].written_at for key in ("k", "other")}
        assert said["k"] is not None
        assert said["other"] is not None
        assert abs(said["k"].timestamp() - time.time() - hours * 3600) < 100
        assert abs(said["other"].timestamp() - time.time()) < 100


def test_a_cluster_with_faults_in_force_closes_quickly() -> None:
    begun = time.monotonic()
    with ringlet.local_cluster(3) as own, own.connect(timeout=0.3) as client:
        own.pause(0)
        own.partition({1}, {2})
        with contextlib.suppress(E.RingletError):
            client.bucket("b", codec=ringlet.Text).put("k", "v")
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda c: c.pause(3), E.UsageError, "0 to 2, got 3"),
        (lambda c: c.pause("1"), TypeError, "wanted its index, got str"),
        (lambda c: c.resume(-1), E.UsageError, "got -1"),
        (lambda c: c.cut(1, 1), E.UsageError, "the two ends of a line, got 1 twice"),
        (lambda c: c.cut("clients", "clients"), E.UsageError, "the clients twice"),
        (lambda c: c.cut("n1", 0), TypeError, "wanted its index, got str"),
        (lambda c: c.partition({0, 1}, {1, 2}), E.UsageError, "one on several"),
        (lambda c: c.partition({0, 1, 2}), E.UsageError, "all on one"),
        (lambda c: c.partition(), E.UsageError, "all on one"),
        (lambda c: c.partition({0}, {1, 2}, clients=2), E.UsageError, "0 to 1, got 2"),
        (lambda c: c.partition({0}, {5}), E.UsageError, "0 to 2, got 5"),
        (lambda c: c.skew(0, 1e12), E.UsageError, "366 days"),
        (lambda c: c.skew(0, float("nan")), E.UsageError, "366 days"),
        (lambda c: c.skew(0, "1"), TypeError, "wanted a number, got str"),
    ],
)
def test_bad_input(cluster: ringlet.LocalCluster, call: Callable[[Any], object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        call(cluster)
    assert words in str(caught.value)


def test_a_node_that_is_down_cannot_be_paused(own: ringlet.LocalCluster) -> None:
    own.kill(1)
    with pytest.raises(E.UsageError, match="n2 is down"):
        own.pause(1)
    own.resume(1)


def test_a_closed_cluster_takes_no_fault_and_undo_is_quiet() -> None:
    own = ringlet.local_cluster(3)
    undo = own.pause(0)
    own.close()
    undo.undo()
    for fault in (lambda: own.pause(0), lambda: own.partition({0}), own.heal, lambda: own.skew(0, 1)):
        with pytest.raises(E.UsageError, match="closed"):
            fault()
