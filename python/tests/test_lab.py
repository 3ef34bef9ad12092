"""ringlet.lab: an ordinary client in virtual time, what happens to it, and what there is to see afterwards."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import ringlet
from ringlet.lab import Lab, Sweep

GOLDEN = Path(__file__).parents[2] / "tests" / "capi" / "lab_golden.txt"


def two_carts(lab: Lab) -> ringlet.Bucket[bytes]:
    """Two versions of carts/c, written on two sides of a partition."""
    alice, bob = lab.client("alice"), lab.client("bob")
    with lab.partition({"n1", "n2", "alice"}, {"n3", "n4", "n5", "bob"}):
        alice.bucket("carts").put("c", b"tea")
        bob.bucket("carts").put("c", b"milk")
    assert lab.settle()
    return alice.bucket("carts")


def test_two_carts_in_a_partition_are_two_versions() -> None:
    with Lab() as lab:
        carts = two_carts(lab)
        both = carts.get("c")
        assert {sibling.value for sibling in both.siblings} == {b"tea", b"milk"}
        history = lab.history("carts", "c")
        assert [(v.client, v.state) for v in history.versions] == [("alice", "living"), ("bob", "living")]
        assert "siblings" in str(lab.why("carts", "c"))
        carts.put("c", b"tea, milk", both)
        states = {v.value: v.state for v in lab.history("carts", "c").versions}
        assert states == {"'tea'": "replaced", "'milk'": "replaced", "'tea, milk'": "living"}


def test_the_same_acts_as_in_c_come_to_the_same_hash() -> None:
    """tests/capi/lab_test.cpp does these acts; both read the golden hash from one file."""
    with Lab(nodes=5, n=3, r=2, w=2, seed=7) as lab:
        alice, bob = lab.client("alice").bucket("carts"), lab.client("bob").bucket("carts")
        lab.partition(["alice", "n1", "n2"], ["bob", "n3", "n4", "n5"])
        alice.put("c", b"tea")
        bob.put("c", b"milk")
        lab.heal()
        assert lab.settle()
        both = alice.get("c")
        assert len(both.siblings) == 2
        alice.put("c", b"tea, milk", both)
        with lab.kill("n1"):
            for i in range(10):
                bob.put("d", str(i).encode())
        lab.run(5)
        assert lab.trace_hash == GOLDEN.read_text().strip()


def test_an_update_is_merged_by_a_resolver_between_two_steps() -> None:
    with Lab() as lab:
        carts = two_carts(lab)
        asked: list[int] = []

        def union(siblings: object) -> bytes:
            asked.append(lab.events)  # a resolver may look
            lab.client("carol").bucket("notes").put("n", b"asked")  # and call
            return b", ".join(sorted(s.value for s in siblings))  # type: ignore[attr-defined]

        merged = carts.update("c", lambda cart: (cart or b"") + b", rice", resolver=union)
        assert merged.value == b"milk, tea, rice"
        assert len(asked) == 1
        assert lab.client("carol").bucket("notes").get("n").value == b"asked"


def test_documents_merge_by_themselves() -> None:
    from ringlet import document

    schema = document.Map(items=document.Set())
    with Lab() as lab:
        alice = lab.client("alice").bucket("carts", codec=schema)
        bob = lab.client("bob").bucket("carts", codec=schema)
        with lab.partition({"n1", "n2", "alice"}, {"n3", "n4", "n5", "bob"}):
            alice.edit("c", lambda c: c["items"].add("tea"))
            bob.edit("c", lambda c: c["items"].add("milk"))
        assert lab.settle()
        assert alice.get("c").value["items"] == {"tea", "milk"}
        values = {v.value for v in lab.history("carts", "c").versions}
        assert any("'tea'" in value for value in values), values


def test_going_back_is_doing_it_again() -> None:
    with Lab(loss=0.02) as lab:
        carts = two_carts(lab)
        at, hash_, history = lab.events, lab.trace_hash, str(lab.history("carts", "c"))
        carts.put("c", b"later", carts.get("c"))
        lab.kill("n3")
        lab.run(10)
        assert lab.trace_hash != hash_
        lab.rewind(at)
        assert (lab.events, lab.trace_hash, str(lab.history("carts", "c"))) == (at, hash_, history)
        assert len(carts.get("c").siblings) == 2  # the client goes on
        with pytest.raises(ringlet.UsageError, match="which is the last one, got 100000000"):
            lab.rewind(100_000_000)


def test_a_fork_is_the_same_under_other_settings() -> None:
    with Lab(seed=3) as lab:
        carts = two_carts(lab)
        carts.put("c", b"tea, milk", carts.get("c"))
        with lab.fork(reconcile="lww") as other:
            both = lab.history("carts", "c").beside(other.history("carts", "c"))
            assert len(other.client("alice").bucket("carts").get("c").siblings) == 1
            assert other.now >= lab.now
            assert both.differences or str(both)


def test_a_fork_names_the_acts_that_it_left_out() -> None:
    with Lab(nodes=5) as lab:
        lab.client("alice").bucket("b").put("k", b"v")
        lab.kill("n5")
        with lab.fork(nodes=3, spares=0) as other:
            assert len(other.status()["skipped"]) == 1
            assert "got \"n5\"" in other.status()["skipped"][0]
            assert other.client("alice").bucket("b").get("k").value == b"v"


def test_what_a_live_client_shows_a_client_of_a_laboratory_shows_too() -> None:
    with Lab() as lab:
        alice = lab.client("alice")
        carts = alice.bucket("carts")
        with ringlet.display.record(alice, "shop") as recorder:
            carts.put("c", b"tea")
            assert carts.get_many(["c", "d"])["c"].value == b"tea"
        assert "tea" in str(recorder.history("carts", "c"))
        assert "tea" in str(alice.inspect("carts", "c"))
        assert len(alice.ring("carts", "c").data["members"]) == 5
        assert alice.admin("status", node="n2")["node"] == "n2"
        with lab.partition({"alice"}, {"n2"}), pytest.raises(ringlet.Unavailable, match="cut off"):
            alice.admin("status", node="n2")


def test_an_update_whose_client_is_paused_by_its_own_function_is_refused() -> None:
    with Lab() as lab:
        carts = lab.client("alice").bucket("carts")

        def pause(cart: bytes | None) -> bytes:
            lab.pause("alice")
            return b"tea"

        with pytest.raises(ringlet.RingletError):
            carts.update("c", pause)
        lab.resume("alice")
        carts.put("c", b"milk")


def test_going_back_inside_an_update_ends_it() -> None:
    with Lab() as lab:
        carts = lab.client("alice").bucket("carts")
        carts.put("c", b"tea")
        at = lab.events

        def back(cart: bytes | None) -> bytes:
            lab.rewind(at)
            return b"milk"

        with pytest.raises(ringlet.RingletError, match="rewound"):
            carts.update("c", back)
        assert carts.get("c").value == b"tea"


def test_a_sweep_tabulates() -> None:
    def workload(lab: Lab) -> None:
        one, two = lab.client("one").bucket("b"), lab.client("two").bucket("b")
        for i in range(30):
            one.put(f"{i % 3}", b"x", one.get(f"{i % 3}"))
            two.get(f"{i % 3}")

    table = Lab.sweep(over={"r": [1, 3], "w": [1, 3]}, workload=workload, seed=5)
    assert isinstance(table, Sweep)
    assert [(row["r"], row["w"]) for row in table] == [(1, 1), (1, 3), (3, 1), (3, 3)]
    assert all(row["calls"] == 90 and row["refused"] == 0 for row in table)
    assert table[3]["stale"] == 0.0  # R + W > N
    assert table[0]["p50_ms"] < table[3]["p50_ms"]
    assert "p99.9_ms" in str(table)
    assert "<th>stale</th>" in table._repr_html_()


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda lab: lab.kill("n9"), "host: wanted one of n1"),
        (lambda lab: lab.restart("n1"), "n1 is up already"),
        (lambda lab: lab.resume("n1"), "n1 is not paused"),
        (lambda lab: lab.wipe("n1"), "kill it first"),
        (lambda lab: lab.restore("n1"), "n1 is up: kill it first"),
        (lambda lab: lab.loss(2), "from 0 to 1, got 2"),
        (lambda lab: lab.run(-1), "seconds from 0"),
        (lambda lab: lab.partition({"n1"}), "at least two lists"),
        (lambda lab: lab.join("n1"), "n1 is a member already"),
        (lambda lab: lab.replace("n1", "n6"), "n1 is up"),
        (lambda lab: lab.client("n1"), "not a node's"),
        (lambda lab: lab.client("so bad"), "letters, digits"),
        (lambda lab: lab.client("a", seeds="x:1"), "knows its nodes"),
    ],
)
def test_what_is_wrong_is_said(act: object, said: str) -> None:
    with Lab() as lab:
        before = lab.trace_hash
        with pytest.raises(ringlet.UsageError, match=said):
            act(lab)  # type: ignore[operator]
        assert lab.trace_hash == before


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ringlet.UsageError, match="each node is a whole store"):
        Lab(nodes=2000)
    with pytest.raises(ringlet.OptionError, match="there is no option 'nods'"):
        Lab(nods=3)
    with pytest.raises(ringlet.UsageError, match="r: wanted"):
        Lab(nodes=3, r=4)


def test_acts_are_over_with_their_block() -> None:
    with Lab() as lab:
        with lab.kill("n1"), lab.pause("n2"), lab.cut("n3", "n4"), lab.latency(host="n5", more=0.1):
            hosts = {host["name"]: host for host in lab.status()["hosts"]}
            assert not hosts["n1"]["up"]
            assert hosts["n2"]["paused"]
        hosts = {host["name"]: host for host in lab.status()["hosts"]}
        assert hosts["n1"]["up"] and not hosts["n2"]["paused"]
        with lab.loss(0.5), lab.latency(0.01, least=0.001), lab.skew("n1", -2), lab.slow_disk("n2", 0.1):
            lab.run(1)
        with lab.full_disk("n1"):
            lab.run(1)
        spans = lab.timeline().data["spans"]
        assert {span["kind"] for span in spans} == {"down", "paused", "slow", "skewed", "full_disk"}
        assert all(span["to_us"] is not None for span in spans)
        assert lab.settle()


def test_a_spare_joins_and_a_member_leaves() -> None:
    with Lab() as lab:
        carts = lab.client("alice").bucket("carts")
        for i in range(20):
            carts.put(f"{i}", b"tea")
        lab.join("n6")
        assert lab.settle(), lab.settle(0)
        ring = lab.ring().data
        assert {member["name"] for member in ring["members"]} == {"n1", "n2", "n3", "n4", "n5", "n6"}
        assert all(member["slots"] > 5 for member in ring["members"])
        lab.leave("n1")
        assert lab.run_until(lambda: any(m["state"] == "leaving" for m in lab.ring().data["members"]), within=30)
        assert lab.settle(), lab.settle(0)
        assert all("n1" not in slot["owners"] for slot in lab.ring().data["slots"])
        assert all(carts.get(f"{i}").value == b"tea" for i in range(20))


def test_a_lost_disk_is_filled_again() -> None:
    with Lab() as lab:
        carts = lab.client("alice").bucket("carts")
        for i in range(10):
            carts.put(f"{i}", b"tea")
        with lab.kill("n1"):
            lab.wipe("n1")
        settled = lab.settle()
        assert settled, settled
        for i in range(10):
            nodes = lab.replicas("carts", f"{i}").data["nodes"]
            assert all(node["versions"] for node in nodes if node["role"] == "own")


def test_run_until_steps_to_the_first_event_after_which_it_is_true() -> None:
    with Lab() as lab:
        carts = lab.client("alice").bucket("carts")
        lab.kill("n1")
        for i in range(10):
            carts.put(f"{i}", b"tea")
        lab.restart("n1")
        assert lab.run_until(lambda: not any(host.get("hints") for host in lab.status()["hosts"]))
        assert not lab.run_until(lambda: False, within=0.5)
        assert lab.step(3) == 3


def test_one_thread_at_a_time() -> None:
    with Lab() as lab:
        said: list[BaseException] = []

        def other() -> None:
            for _ in range(2000):
                try:
                    lab.run(10)
                except ringlet.RingletError as error:
                    said.append(error)
                    return

        thread = threading.Thread(target=other)
        thread.start()
        while thread.is_alive():
            try:
                lab.run(10)
            except ringlet.RingletError as error:
                said.append(error)
                break
        thread.join()
        assert said and "another one is using it" in str(said[0])


def test_after_its_end_it_says_so() -> None:
    lab = Lab()
    alice = lab.client("alice")
    lab.close()
    lab.close()
    with pytest.raises(ringlet.UsageError, match="the laboratory is closed"):
        lab.run(1)
    with pytest.raises(ringlet.ClientClosed):
        alice.bucket("carts").get("c")
    assert repr(lab) == "<ringlet.lab.Lab, closed>"


def test_how_fast_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Lab() as lab:
        bucket = lab.client("alice").bucket("b")
        begin = time.perf_counter()
        for i in range(1000):
            bucket.put(f"{i % 50}", b"x")
            bucket.get(f"{i % 50}")
        calls = 2000 / (time.perf_counter() - begin)
        begin = time.perf_counter()
        lab.run(60)
        idle = time.perf_counter() - begin
        at = min(lab.events, 10_000)
        begin = time.perf_counter()
        lab.rewind(at)
        back = time.perf_counter() - begin
    with capsys.disabled():
        print(f"\nlab: {calls:.0f} blocking calls/s, 60 s of background in {idle * 1000:.0f} ms, "
              f"rewind to event {at} in {back * 1000:.0f} ms")  # fmt: skip
    # Bounds that only a mistake in kind would miss, on a machine that does other things too.
    assert calls > 300
    assert idle < 2


def test_asyncio_lets_the_time_of_a_laboratory_pass() -> None:
    async def main(lab: Lab) -> None:
        alice, bob = lab.aio_client("alice"), lab.aio_client("bob")
        one, two = alice.bucket("carts"), bob.bucket("carts")
        await asyncio.gather(*(one.put(f"{i}", b"tea") for i in range(20)), two.put("b", b"milk"))
        assert {(await two.get(f"{i}")).value for i in range(20)} == {b"tea"}
        began = lab.now

        async def slowly(value: bytes | None) -> bytes:
            await asyncio.sleep(0.05)  # of the loop's time, which is not the laboratory's
            return (value or b"") + b", rice"

        assert (await one.update("b", slowly)).value == b"milk, rice"
        assert lab.now - began < 0.05
        with lab.partition({"alice"}, {"n1", "n2", "n3", "n4", "n5"}):
            with pytest.raises(ringlet.TransientError):
                await one.put("c", b"tea", timeout=0.2)
        await alice.close()
        await bob.close()

    with Lab() as lab:
        asyncio.run(main(lab))


def played(seed: int) -> None:
    """A history of random calls and acts: what is refused says so, and going back is exact wherever one goes."""
    r = random.Random(seed)
    n = r.choice([1, 3, 5])
    settings: dict[str, Any] = {"nodes": n, "seed": seed, "spares": 2, "loss": r.choice([0, 0.05])}
    if r.random() < 0.3:
        settings["reconcile"] = "lww"
    if r.random() < 0.3:
        settings["coordination"] = "client"
    with Lab(**settings) as lab:
        hosts = [f"n{i + 1}" for i in range(n + 2)]
        everybody = [*hosts, "alice", "bob"]
        buckets = [lab.client(name, timeout=0.3).bucket("b") for name in ("alice", "bob")]
        read: dict[str, ringlet.Versioned[bytes]] = {}
        marks: list[tuple[int, str, str]] = []

        def call() -> None:
            bucket, key = r.choice(buckets), str(r.randrange(3))
            kind = r.randrange(4)
            if kind == 0:
                read[key] = bucket.get(key)
            elif kind == 1:
                bucket.put(key, bytes([65 + r.randrange(26)]), read.get(key))
            elif kind == 2 and key in read:
                bucket.delete(key, read[key])
            else:
                bucket.update(key, lambda v: (v or b"")[:10] + b"+", resolver=lambda s: max(x.value for x in s))

        def act() -> None:
            host, other = r.choice(everybody), r.choice(everybody)
            r.choice(
                [
                    lambda: lab.partition([host], [other]), lab.heal, lambda: lab.cut(host, other),
                    lambda: lab.kill(host), lambda: lab.kill(host, machine=True), lambda: lab.restart(host),
                    lambda: lab.pause(host), lambda: lab.resume(host), lambda: lab.wipe(host),
                    lambda: lab.backup(host), lambda: lab.restore(host), lambda: lab.full_disk(host),
                    lambda: lab.latency(host=host, more=0.01), lambda: lab.skew(host, 5), lambda: lab.join(host),
                    lambda: lab.leave(host), lambda: lab.replace(host, other),
                ]
            )()  # fmt: skip

        def look() -> str:
            # Without the first line, which has the time: it is that of the first thing which is undone.
            history = str(lab.history("b", "1")).partition("\n")[2]
            assert str(lab.timeline("b", "1")) and lab.why("b", "1")
            return f"{history}\n{lab.replicas('b', '1')}\n{lab.ring('b', '1')}"

        for _ in range(40):
            try:
                r.choice([call, call, act, lambda: lab.run(r.choice([0.01, 0.5, 5]))])()
            except ringlet.InternalError:
                raise
            except ringlet.RingletError:
                pass  # refused, or the cluster could not
            if r.random() < 0.15:
                lab.step()  # so that nothing was done at the very moment that is gone back to
                marks.append((lab.events, lab.trace_hash, look()))
        settled = lab.settle()
        assert settled or any("down" in reason for reason in settled.reasons), settled
        assert lab.staleness() and lab.trace(most=50)
        with lab.fork(r=1, w=1):
            pass
        for events, hash_, seen in reversed(marks):
            lab.rewind(events)
            assert (lab.events, lab.trace_hash, look()) == (events, hash_, seen)


@pytest.mark.parametrize("seed", range(20))
def test_random_histories(seed: int) -> None:
    played(seed)
