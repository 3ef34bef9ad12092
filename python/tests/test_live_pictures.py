"""Pictures of a live cluster: inspect, ring, trace and the recorder."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

import ringlet
import ringlet.aio
from ringlet.display import Replicas, Ring, record
from ringlet.document import Counter, Map


@pytest.fixture
def other(cluster: ringlet.LocalCluster) -> Iterator[ringlet.Client]:
    with cluster.connect(timeout=5.0) as opened:
        yield opened


def test_inspect_shows_what_every_owner_holds(client: ringlet.Client, name: str) -> None:
    bucket = client.bucket(name, codec=ringlet.Json, w=3)
    bucket.put("k", ["tea"])
    bucket.put("k", ["milk"])
    picture = client.inspect(name, "k", codec=ringlet.Json)
    assert isinstance(picture, Replicas) and len(picture.nodes) == 3
    text = str(picture)
    assert "['tea']" in text and "['milk']" in text and "All nodes that answered hold the same." in text
    assert picture.differences() == []
    assert {node["role"] for node in picture.nodes} == {"own"}
    with pytest.raises(TypeError, match="wanted str or bytes"):
        client.inspect(name, 7)  # type: ignore[arg-type]


def test_inspect_of_a_missing_key_and_of_bytes(client: ringlet.Client, name: str) -> None:
    assert "k" in str(client.inspect(name, "k"))
    client.bucket(name).put(b"\xff", b"\x00\xfe")
    assert "0x00fe" in str(client.inspect(name, b"\xff")) and "hex:ff" in str(client.inspect(name, b"\xff"))
    client.bucket(name).put("large", bytes(40_000))
    assert "value unknown" in str(client.inspect(name, "large"))


def test_ring_shows_where_a_key_lives(client: ringlet.Client, name: str) -> None:
    picture = client.ring(name, "k")
    assert isinstance(picture, Ring) and len(picture.slots) == picture.partitions == 64
    assert picture.key is not None and len(picture.key["preference"]) == 3
    inspected = [node["name"] for node in client.inspect(name, "k").nodes]
    assert list(picture.key["preference"]) == inspected
    assert list(picture.slots[picture.key["partition"]]["owners"]) == inspected
    assert client.ring().key is None
    with pytest.raises(TypeError, match="both bucket and key"):
        client.ring(name)


def test_a_node_that_is_down_is_shown() -> None:
    with ringlet.local_cluster(4) as cluster:
        client = cluster.connect(timeout=5.0)
        client.bucket("b").put("k", b"v")
        cluster.kill(0)
        pictures = [client.inspect("b", f"k{i}", timeout=2.0) for i in range(8)]
        assert any("n1 did not answer" in str(each) for each in pictures)


def test_trace_says_who_answered(client: ringlet.Client, name: str) -> None:
    bucket = client.bucket(name)
    trace = client.trace(lambda: [bucket.put("k", b"v"), bucket.get("k")][1])
    assert trace.returned.value == b"v" and trace.error is None
    assert [request["what"] for request in trace.requests] == [f"put {name}/k", f"get {name}/k"]
    assert all("answered" in request["result"] and request["to_us"] > request["from_us"] for request in trace.requests)
    assert {host for host in trace.hosts} <= {"this process", "n1", "n2", "n3"}
    failed = client.trace(lambda: bucket.get("k", r=200))
    assert isinstance(failed.error, ringlet.RingletError) and type(failed.error).__name__ in str(failed)
    with pytest.raises(ZeroDivisionError):
        client.trace(lambda: 1 / 0)
    assert client._watchers == ()


def test_recorded_history(client: ringlet.Client, other: ringlet.Client, name: str) -> None:
    bucket = client.bucket(name, codec=ringlet.Json)
    with record(client, "alice") as recorder:
        bucket.put("k", ["eggs"])
        read = bucket.get("k")
        bucket.put("k", ["eggs", "tea"], read)
        other.bucket(name, codec=ringlet.Json).put("k", ["eggs", "milk"], read)
        bucket.get("k", r=3)
        history = recorder.history(name, "k", codec=ringlet.Json)
        by = {version.value: version for version in history.versions}
        assert {value: version.state for value, version in by.items()} == {
            "['eggs']": "replaced", "['eggs', 'tea']": "living", "['eggs', 'milk']": "living",
        }  # fmt: skip
        assert by["['eggs', 'milk']"].client is None and "writer is not known" in str(history)
        assert by["['eggs', 'tea']"].seen == [by["['eggs']"].dot] and by["['eggs']"].blind
        assert "2 versions side by side" in str(recorder.why(name, "k"))
        bucket.update("k", lambda items: [*items, "rum"], resolver=ringlet.resolvers.union())
        merged = recorder.history(name, "k", codec=ringlet.Json)
        last = [version for version in merged.versions if version.state == "living"]
        assert len(last) == 1 and last[0].merges and set(last[0].seen) == {by["['eggs', 'tea']"].dot, by["['eggs', 'milk']"].dot}
        bucket.delete("k", bucket.get("k"))
        assert "has no value: alice deleted it" in str(recorder.why(name, "k"))
        assert {request["what"].split()[0] for request in recorder.timeline().requests} == {"put", "get", "update", "delete"}
        assert {called for called, _ in recorder.latencies().series} == {"put", "get", "update", "delete"}
    before = len(recorder.timeline().requests)
    bucket.get("k")
    assert len(recorder.timeline().requests) == before, "what comes after stop is not recorded"
    recorder.history(name, "k").svg()


def test_recorded_documents_many_keys_and_failures(client: ringlet.Client, name: str) -> None:
    schema = Map(n=Counter)
    with record(client) as recorder:
        bucket = client.bucket(name, codec=schema)
        for _ in range(3):
            bucket.edit("d", lambda d: d["n"].increment())
        history = recorder.history(name, "d", codec=schema)
        assert [len(version.seen) for version in history.versions] == [0, 1, 1]
        client.bucket(name).get_many(["a", "b"])
        assert len(recorder.timeline().requests) == 5
        assert "Nothing was written" in str(recorder.why(name, "nothing"))


def test_a_write_without_acknowledgement_is_shown() -> None:
    with ringlet.local_cluster(3) as cluster, cluster.connect(timeout=0.5) as client, record(client) as recorder:
        bucket = client.bucket("b")
        bucket.put("k", b"first")
        cluster.kill(0), cluster.kill(1)
        with pytest.raises(ringlet.RingletError) as failed:
            bucket.put("k", b"second", w=3, strict=True)
        history = recorder.history("b", "k")
        if failed.value.maybe_applied:
            assert "unacknowledged" in {version.state for version in history.versions}
            assert "was not acknowledged" in str(history.why())


def test_the_recorder_is_bounded(client: ringlet.Client, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ringlet.display import Recorder

    monkeypatch.setattr(Recorder, "_VERSIONS", 5)
    monkeypatch.setattr(Recorder, "_CALLS", 20)
    with record(client, keys=2) as recorder:
        bucket = client.bucket(name)
        for number in range(30):
            read = bucket.get("k")
            bucket.put("k", str(number).encode(), read)
        history = recorder.history(name, "k")
        assert len(history.versions) == 5 and "more versions are left out" in str(history)
        assert "left out" in str(recorder.timeline())
        for key in ("a", "b", "c"):
            bucket.get(key)
        assert not recorder.history(name, "k").versions, "the key that was not used for longest went first"
    for wrong in (0, True, "x"):
        with pytest.raises(ValueError, match="wanted keys of at least 1"):
            record(client, keys=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="record wanted a client, got int"):
        record(7)  # type: ignore[arg-type]


def test_threads_record_together(client: ringlet.Client, name: str) -> None:
    with record(client) as recorder:
        bucket = client.bucket(name)

        def work(number: int) -> None:
            for each in range(20):
                bucket.put(f"k{number % 2}", str(each).encode(), bucket.get(f"k{number % 2}"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(recorder.timeline().requests) == 160
        recorder.history(name, "k0").svg(), str(recorder.why(name, "k1"))


def test_a_watcher_that_fails_is_logged_and_harms_no_call(
    client: ringlet.Client, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(observed: object) -> None:
        raise RuntimeError("broken watcher")

    client._watch(broken)
    try:
        assert client.bucket(name).put("k", b"v").value == b"v"
    finally:
        client._unwatch(broken)
    assert "a watcher of a client failed" in caplog.text


def test_asyncio(cluster: ringlet.LocalCluster, name: str) -> None:
    async def main() -> None:
        async with ringlet.aio.connect(cluster.seeds, timeout=5.0) as client:
            with record(client, "async") as recorder:
                bucket = client.bucket(name, codec=ringlet.Json)
                await bucket.put("k", ["a"])
                await bucket.update("k", lambda items: [*(items or []), "b"])
                history = recorder.history(name, "k", codec=ringlet.Json)
                assert [version.value for version in history.versions] == ["['a']", "['a', 'b']"]
                assert len(history.versions[1].seen) == 1
            assert "['a', 'b']" in str(await client.inspect(name, "k", codec=ringlet.Json))
            assert (await client.ring(name, "k")).key is not None
            trace = await client.trace(lambda: bucket.get("k"))
            assert trace.returned.value == ["a", "b"] and [r["what"] for r in trace.requests] == [f"get {name}/k"]

    asyncio.run(main())
