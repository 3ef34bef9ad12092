"""What a program meets once and remembers: Ctrl-C in every wait, a cluster that vanished, errors that hid other
errors, pickles, daemon threads at the end, subinterpreters.
"""

from __future__ import annotations

import concurrent.futures
import copy
import gc
import multiprocessing
import pickle
import sys
import time
import weakref

import pytest
from test_process import SILENT, run_python

import ringlet
from ringlet import versioned
from ringlet.document import Counter, Map, Record, Set


class Broken(Exception):
    pass


# ---- Ctrl-C ----


@pytest.mark.parametrize(
    "call",
    [
        "client.admin('ring', timeout=20.0)",
        "client.close(20.0)",
        "cluster.close(20.0)",
        "cluster.__exit__(None, None, None)",
    ],
)
def test_ctrl_c_ends_the_waits_of_no_single_key(call):
    code = (
        SILENT
        + f"""
import os
cluster = ringlet.local_cluster(1)
cluster._clients.add(client)
if "__exit__" in {call!r}:
    old = cluster.close
    cluster.close = lambda: old(20.0)
threading.Thread(target=lambda: bucket.get("k"), daemon=True).start()
time.sleep(0.2)
marks = []
kill = lambda: (marks.append(time.monotonic()), os.kill(os.getpid(), signal.SIGINT))
threading.Timer(0.3, kill).start()
try:
    {call}
except KeyboardInterrupt:
    took = time.monotonic() - marks[0]
    print("interrupted" if took < 0.2 else f"slow: {{took}}", flush=True)
"""
    )
    began = time.monotonic()
    done = run_python(code, seconds=40.0)
    assert done.stdout == "interrupted\n", done.stdout + done.stderr
    assert time.monotonic() - began < 10 and "Fatal" not in done.stderr, done.stderr


def test_what_fails_while_it_can_be_interrupted_fails_as_before(client):
    with pytest.raises(ringlet.UsageError, match="nosuch"):
        client.admin("nosuch")


# ---- a cluster and its clients ----


def test_a_client_keeps_its_cluster():
    client = ringlet.local_cluster(1).connect(timeout=5.0)
    gc.collect()
    assert client.bucket("b").put("k", b"x")
    cluster = weakref.ref(client._keeps)
    bucket = client.bucket("b")
    with pytest.warns(ResourceWarning, match="LocalCluster"):
        client.close()
        gc.collect()
    assert cluster() is None
    with pytest.raises(ringlet.ClientClosed):
        bucket.get("k")


def test_what_is_raised_inside_a_block_is_what_is_shown():
    """Closing inside an edit is refused; that must not hide why the block was left."""
    cluster = ringlet.local_cluster(1)
    client = cluster.connect(timeout=5.0)

    def leave(handle):
        def edit(old):
            with handle:
                raise Broken("in the block")

        return edit

    for handle in (cluster, client):
        with pytest.raises(Broken, match="in the block") as caught:
            client.bucket("b").update("k", leave(handle))
        assert any("failed, too" in note for note in caught.value.__notes__)
    assert client.bucket("b").put("k", b"x")  # a refused closing has closed nothing
    cluster.close()
    assert client.closed
    with pytest.raises(ringlet.UsageError):
        with ringlet.local_cluster(1) as other:
            other.kill(7)


# ---- pickles ----


class Cart(Record):
    items = Map(of=Counter)
    coupons = Set()


def conflict_of(found):
    try:
        return found.value
    except ringlet.DataError as error:
        return error


def over(thing):
    return pickle.loads(pickle.dumps(thing)), copy.copy(thing), copy.deepcopy(thing)


def test_versions_can_be_pickled_and_copied(client, name):
    carts = client.bucket(name, codec=ringlet.Json, deletes="ask")
    carts.put("k", ["tea"])
    carts.put("k", ["milk"])
    for found in (carts.get("k"), carts.get("nothing")):
        for same in over(found):
            assert same.context == found.context and same.key == found.key
            assert same.merged is found.merged and same.left_out == found.left_out
            assert same.explain().data == found.explain().data
            assert len(same.siblings) == len(found.siblings)
            for one, other in zip(same.siblings, found.siblings, strict=True):
                assert one.value == other.value and one.raw == other.raw
                assert one.dot == other.dot and type(one.dot) is ringlet.Dot
                assert one.written_at == other.written_at
                assert one.content_type == other.content_type and one.deleted == other.deleted
    error = conflict_of(carts.get("k"))
    for same in over(error):
        assert type(same) is ringlet.ConflictError and str(same) == str(error)
        assert same.key == "k" and same.status == error.status
        assert sorted(s.value for s in same.versioned.siblings) == [["milk"], ["tea"]]
    # A context that travelled does what it did.
    assert len(carts.put("k", ["all"], pickle.loads(pickle.dumps(error.versioned))).siblings) == 1


def test_deletes_octets_and_what_cannot_be_decoded_travel(client, name):
    raw = client.bucket(name, deletes="ask")
    written = raw.put("k", b"x")
    raw.put("k", b"y")
    raw.delete("k", written)
    for same in over(raw.get("k")):
        assert sorted(s.deleted for s in same.siblings) == sorted(
            s.deleted for s in raw.get("k").siblings
        )
        for sibling in same.siblings:
            if sibling.deleted:
                with pytest.raises(ringlet.KeyMissing):
                    sibling.value  # noqa: B018
            else:
                assert bytes(sibling.value) == bytes(sibling.raw)
    client.bucket(name, codec=ringlet.Text).put("text", "no JSON")
    found = client.bucket(name, codec=ringlet.Json).get("text")
    wanted = conflict_of(found)
    for same in over(found):
        error = conflict_of(same)
        assert type(error) is ringlet.DecodeError and error.raw == b"no JSON"
        assert str(wanted).split(" (version")[0] in str(error)
        assert type(conflict_of(over(same)[0])) is ringlet.DecodeError


def test_documents_can_be_pickled(client, name):
    plain = client.bucket(name, codec=Map(items=Map(of=Counter)))
    plain.edit("k", lambda cart: cart["items"]["tea"].increment(2))
    records = client.bucket(name, codec=Cart.schema())
    for bucket in (plain, records):
        for same in over(bucket.get("k")):
            assert same.value == bucket.get("k").value


def raises_a_conflict(seeds, name):
    with ringlet.connect(seeds, timeout=10.0) as client:
        return client.bucket(name, codec=ringlet.Text).get("k").value


def test_a_process_pool_hands_a_conflict_over(cluster, client, name):
    for value in ("a", "b"):
        client.bucket(name, codec=ringlet.Text).put("k", value)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        with pytest.raises(ringlet.ConflictError) as caught:
            pool.submit(raises_a_conflict, cluster.seeds, name).result(60)
    assert sorted(s.value for s in caught.value.versioned.siblings) == ["a", "b"]


def test_a_pickle_of_another_format_is_refused_in_words(client, name, monkeypatch):
    written = client.bucket(name).put("k", b"x")
    monkeypatch.setattr(versioned, "_FORMAT", 99)
    later = [pickle.dumps(thing) for thing in (written, written.siblings[0])]
    monkeypatch.undo()
    for data in later:
        with pytest.raises(ValueError, match="format 99, and this release reads 1"):
            pickle.loads(data)


# ---- the end of the interpreter, and other interpreters ----


def test_daemon_threads_that_call_in_a_loop_end_without_a_word():
    code = """
import threading, time, ringlet
cluster = ringlet.local_cluster(1)
client = cluster.connect(timeout=5.0)
bucket = client.bucket("b")
def work():
    while True:
        bucket.put("k", b"x")
        bucket.update("k", lambda old: b"y", resolver=ringlet.resolvers.last_write())
        bucket.get_many(["k"])
for _ in range(8):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
"""
    for _ in range(5):
        done = run_python(code)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the module is called otherwise")
@pytest.mark.parametrize("first", ["", "import ringlet"])
def test_a_subinterpreter_is_refused_in_words(first):
    code = f"""
import _xxsubinterpreters as interpreters
{first}
other = interpreters.create()
try:
    interpreters.run_string(other, "import ringlet")
except Exception as error:
    print(error)
interpreters.destroy(other)
import ringlet
with ringlet.local_cluster(1) as cluster, cluster.connect() as client:
    print(bool(client.bucket("b").put("k", b"x")))
"""
    done = run_python(code)
    said, works = done.stdout.splitlines()
    assert "cannot be imported in a subinterpreter" in said and works == "True", done.stderr
