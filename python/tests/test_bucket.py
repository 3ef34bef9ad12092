"""Gets, puts, deletes and updates as a program sees them."""

from __future__ import annotations

import datetime
import pickle
import threading
import time

import pytest

import ringlet
from ringlet import resolvers


def test_missing_key_is_false_and_has_no_value(client, name):
    found = client.bucket(name).get("nobody")
    assert not found
    assert found.siblings == ()
    with pytest.raises(ringlet.KeyMissing, match="nobody") as caught:
        found.value
    assert isinstance(caught.value, KeyError) and caught.value.key == "nobody"


def test_put_then_get_gives_value_type_time_and_context(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=60)
    bucket.put("k", "tea")
    found = bucket.get("k")
    assert found.value == "tea" and len(found) == 1
    sibling = found.siblings[0]
    assert (
        sibling.content_type == "text/plain"
        and bytes(sibling.raw) == b"tea"
        and not sibling.deleted
    )
    assert before < sibling.written_at < before + datetime.timedelta(seconds=120)
    assert sibling.dot.counter == 1 and found.context


def test_raw_gives_bytes_and_a_readonly_view_that_outlives_reply_and_client(cluster, name):
    with cluster.connect(timeout=5.0) as client:
        client.bucket(name).put("k", b"\x00\xff" * 1000)
        found = client.bucket(name).get("k")
        assert found.value == b"\x00\xff" * 1000 and type(found.value) is bytes
        assert client.bucket(name).update("k", lambda old: old + b"!").value[-1:] == b"!"
        view = found.siblings[0].raw
        del found
    assert isinstance(view, memoryview) and view.readonly
    assert bytes(view) == b"\x00\xff" * 1000
    with pytest.raises(TypeError):
        view[0] = 1


@pytest.mark.parametrize(
    "value", [b"", b"x", bytearray(b"x"), memoryview(b"xyz"), b"\x00" * 100_000]
)
def test_any_contiguous_buffer_is_a_value(client, name, value):
    bucket = client.bucket(name)
    bucket.put("k", value)
    assert bytes(bucket.get("k").value) == bytes(value)


@pytest.mark.parametrize("key", ["k", b"\x00\xff", "тест", " ", "a" * 200])
def test_any_bytes_are_a_key(client, name, key):
    bucket = client.bucket(name)
    bucket.put(key, b"v")
    assert bytes(bucket.get(key).value) == b"v"


def test_blind_puts_become_siblings_and_a_put_with_their_context_replaces_them(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "tea")
    bucket.put("k", "milk")
    found = bucket.get("k")
    assert sorted(s.value for s in found.siblings) == ["milk", "tea"]
    with pytest.raises(ringlet.ConflictError, match="there are 2") as caught:
        found.value
    assert caught.value.versioned is found
    assert (
        found.resolved(lambda siblings: "+".join(sorted(s.value for s in siblings))) == "milk+tea"
    )
    after = bucket.put("k", "both", found)
    assert after.value == "both"
    assert bucket.get("k").value == "both"


def test_put_with_a_stale_context_does_not_replace_what_it_has_not_seen(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    first = bucket.put("k", "one")
    bucket.put("k", "two", first)
    bucket.put("k", "three", first.context)
    assert sorted(s.value for s in bucket.get("k").siblings) == ["three", "two"]


def test_delete_removes_what_it_has_seen(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "tea")
    bucket.delete("k", bucket.get("k"))
    assert not bucket.get("k")


def test_delete_answers_with_the_context_that_covers_it(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    seen = bucket.put("k", "tea")
    deleted = bucket.delete("k", seen)
    assert not deleted
    assert deleted.context > seen.context
    bucket.put("k", "milk", deleted)
    found = bucket.get("k", deletes="ask")
    assert [s.deleted for s in found.siblings] == [False]  # the delete is replaced and stands beside nothing


def test_delete_beside_a_concurrent_put_is_no_conflict(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    seen = bucket.put("k", "tea")
    bucket.put("k", "milk", seen)
    bucket.delete("k", seen)
    found = bucket.get("k")
    assert found.value == "milk"
    assert all(s.deleted or s.value == "milk" for s in found.siblings)


def test_update_creates_changes_keeps_and_deletes(client, name):
    bucket = client.bucket(name, codec=ringlet.Json)
    seen = []
    assert bucket.update("k", lambda v: seen.append(v) or ["tea"]).value == ["tea"]
    assert bucket.update("k", lambda v: seen.append(v) or v + ["milk"]).value == ["tea", "milk"]
    before = bucket.get("k").siblings[0].dot
    bucket.update("k", lambda v: ringlet.Keep)
    assert bucket.get("k").siblings[0].dot == before
    bucket.update("k", lambda v: ringlet.Delete())
    assert not bucket.get("k")
    assert seen == [None, ["tea"]]


def test_update_merges_siblings_with_the_nearest_resolver(cluster, name):
    calls = []

    def tell(who):
        return lambda siblings: calls.append(who) or "+".join(sorted(s.value for s in siblings))

    with cluster.connect(timeout=5.0, resolver=tell("client")) as client:
        plain = client.bucket(name, codec=ringlet.Text)
        for bucket, own, wanted in (
            (plain, None, "client"),
            (plain.with_(resolver=tell("bucket")), None, "bucket"),
            (plain.with_(resolver=tell("bucket")), tell("call"), "call"),
        ):
            bucket.put(wanted, "a")
            bucket.put(wanted, "b")
            calls.clear()
            assert bucket.update(wanted, lambda v: v + "!", resolver=own).value == "a+b!"
            assert calls == [wanted]


def test_update_of_siblings_without_resolver_is_a_conflict_and_writes_nothing(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "a")
    bucket.put("k", "b")
    with pytest.raises(ringlet.ConflictError, match="resolver") as caught:
        bucket.update("k", lambda v: "gone")
    assert sorted(s.value for s in caught.value.versioned.siblings) == ["a", "b"]
    assert sorted(s.value for s in bucket.get("k").siblings) == ["a", "b"]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, StopIteration])
def test_the_users_exception_leaves_update_as_itself_with_a_note(client, name, kind):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "tea")
    mine = kind("mine")

    def fail(value):
        raise mine

    with pytest.raises(kind) as caught:
        bucket.update("k", fail)
    assert caught.value is mine
    assert any(f"{name}/k" in note and "attempt 1" in note for note in mine.__notes__)
    frames = []
    trace = mine.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert "fail" in frames
    assert bucket.get("k").value == "tea"
    assert bucket.update("k", lambda v: v + "!").value == "tea!"


def test_an_exception_in_the_resolver_leaves_update_as_itself(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "a")
    bucket.put("k", "b")
    with pytest.raises(ZeroDivisionError):
        bucket.update("k", lambda v: v, resolver=lambda siblings: 1 // 0)
    assert len(bucket.get("k")) == 2


def test_the_function_of_an_update_runs_once_and_what_it_met_is_only_merged(cluster, name):
    with cluster.connect(timeout=10.0) as client:
        bucket = client.bucket(name, codec=ringlet.Json, w=3, r=3)
        bucket.put("page", {"me": 5})
        calls, merges = [], []

        def count(value):
            calls.append(dict(value))
            bucket.put("page", {"rival": 1})  # a blind write, behind the update's back
            return {**value, "me": value["me"] + 1}

        def merge(siblings):
            merges.append(len(siblings))
            return ringlet.resolvers.counter()(siblings)

        done = bucket.update("page", count, resolver=merge)
        assert calls == [{"me": 5}]
        assert merges == [2]
        assert done.merged
        assert bucket.get("page").value == {"me": 6, "rival": 1}


def test_two_hundred_increments_of_eight_writers_count_two_hundred(cluster, name):
    with cluster.connect(timeout=30.0) as client:
        bucket = client.bucket(
            name, codec=ringlet.Json, resolver=ringlet.resolvers.counter(), r=2, w=2
        )

        def write(me):
            for _ in range(25):
                bucket.update("page", lambda v: {**(v or {}), me: (v or {}).get(me, 0) + 1})

        threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = bucket.get("page", r=3).resolved(ringlet.resolvers.counter())
        assert found == {f"w{n}": 25 for n in range(8)}


def test_an_update_that_ends_before_one_version_is_left_says_so(cluster, name):
    with cluster.connect(timeout=10.0) as client:
        bucket = client.bucket(name, codec=ringlet.Text, w=3, r=3)
        bucket.put("k", "old")

        def change(value):
            bucket.put("k", "rival")
            return "mine"

        left = bucket.update("k", change)  # without a resolver
        assert not left.merged
        assert sorted(s.value for s in bucket.get("k").siblings) == ["mine", "rival"]

        mine = ZeroDivisionError("mine")

        def fail(siblings):
            raise mine

        bucket.put("k", "one", bucket.get("k"))
        with pytest.raises(ZeroDivisionError) as caught:
            bucket.update("k", change, resolver=fail)
        assert caught.value is mine
        assert any("applied=True" in note for note in mine.__notes__)
        assert sorted(s.value for s in bucket.get("k").siblings) == ["mine", "rival"]


def test_a_delete_beside_a_write_is_the_buckets_choice(cluster, name):
    with cluster.connect(timeout=10.0) as client:
        bucket = client.bucket(name, codec=ringlet.Text, w=3, r=3)
        seen = bucket.put("k", "old")
        bucket.put("k", "new", seen)
        bucket.delete("k", seen)
        assert bucket.get("k").value == "new"
        assert not bucket.with_(deletes="win").get("k")
        asked = bucket.with_(deletes="ask").get("k")
        assert sorted(s.deleted for s in asked.siblings) == [False, True]
        with pytest.raises(ringlet.ConflictError):
            _ = asked.value
        given = []

        def undelete(siblings):
            given.extend(s.deleted for s in siblings)
            return next(s.value for s in siblings if not s.deleted)

        kept = bucket.with_(deletes="ask").update("k", lambda v: v + "!", resolver=undelete)
        assert sorted(given) == [False, True]
        assert kept.value == "new!"


def test_equal_values_written_at_the_same_time_are_one(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "tea")
    bucket.put("k", "tea")
    assert bucket.get("k").value == "tea"


def test_a_write_repeated_under_its_id_is_one_version(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    for _ in range(2):
        bucket.put("k", "tea", write_id="00112233445566778899aabbccddeeff")
    assert len(bucket.get("k", r=3)) == 1
    bucket.put("k", "milk", write_id=bytes(range(16)))
    assert len(bucket.get("k", r=3)) == 2


def test_m_12_the_answer_of_an_update_explains_why_it_is_not_merged(client, name):
    bucket = client.bucket(name, codec=ringlet.Text, w=3, r=3)

    def change(_):
        bucket.put("k", "rival")
        return "mine"

    explained = bucket.update("k", change).explain()
    assert (explained["edited"], explained["merged"], explained["left"]) == (True, False, 2)
    assert "resolver" in explained["why"]
    assert bucket.update("other", lambda _: "x").explain()["merged"]


def test_m_12_an_error_before_the_write_says_that_nothing_was_applied(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)

    def slow(_):
        time.sleep(0.4)
        return "late"

    with pytest.raises(ringlet.Timeout) as caught:
        bucket.update("k", slow, timeout=0.2)
    assert not caught.value.maybe_applied
    assert not bucket.get("k")


@pytest.mark.parametrize("before", ["nothing", "a value", "a conflict"])
def test_m_13_an_edit_that_returns_nothing_is_named_and_writes_nothing(client, name, before):
    bucket = client.bucket(
        name, codec=ringlet.Json, resolver=ringlet.resolvers.union(), w=3, r=3
    )
    for value in {"nothing": [], "a value": [["a"]], "a conflict": [["a"], ["b"]]}[before]:
        bucket.put("k", value)
    there = [s.dot for s in bucket.get("k").siblings]

    def changes_in_place(items):
        (items or []).append("x")

    with pytest.raises(ringlet.UsageError, match="changes_in_place returned None; return the new"):
        bucket.update("k", changes_in_place)
    assert [s.dot for s in bucket.get("k").siblings] == there


def test_m_13_a_resolver_that_returns_nothing_is_named(client, name):
    """Before the edit it was taken for a missing key, and the edit wrote over both versions."""
    bucket = client.bucket(name, codec=ringlet.Text, w=3, r=3)
    for value in ("a", "b"):
        bucket.put("k", value)

    def forgets(siblings):
        pass

    calls = []
    with pytest.raises(ringlet.UsageError, match="forgets returned None"):
        bucket.update("k", lambda value: calls.append(value) or "new", resolver=forgets)
    assert calls == []
    assert sorted(s.value for s in bucket.get("k").siblings) == ["a", "b"]


def test_m_13_a_resolver_may_delete_or_keep(client, name):
    bucket = client.bucket(name, codec=ringlet.Text, w=3, r=3)
    for value in ("a", "b"):
        bucket.put("k", value)
    calls = []
    kept = bucket.update("k", lambda value: calls.append(value) or "x", resolver=lambda s: ringlet.Keep)
    assert calls == [] and len(kept) == 2 and len(bucket.get("k")) == 2
    done = bucket.update("k", lambda value: f"after {value}", resolver=lambda s: ringlet.Delete)
    assert done.value == "after None"

    def beside(_):
        bucket.put("k", "rival")
        return "mine"

    assert not bucket.update("k", beside, resolver=lambda s: ringlet.Delete)
    assert not bucket.get("k")


def test_m_14_an_error_that_may_be_applied_carries_its_write_id(cluster, name):
    with ringlet.local_cluster(nodes=3) as own, own.connect(timeout=2.0) as client:
        bucket = client.bucket(name, codec=ringlet.Text, w=3, strict=True)
        bucket.put("k", "old")
        own.kill(2)
        with pytest.raises(ringlet.RingletError) as caught:
            bucket.put("k", "new", bucket.get("k", r=1), timeout=0.5)
        assert caught.value.maybe_applied
        name_ = caught.value.write_id
        assert name_ is not None and len(name_) == 16
        own.restart(2)
        for _ in range(2):
            bucket.put("k", "new", bucket.get("k", r=3, strict=False), write_id=name_, timeout=5)
        assert [s.value for s in bucket.get("k").siblings].count("new") == 1


def test_m_22_one_foreign_value_does_not_block_a_key(client, name):
    bucket = client.bucket(name, codec=ringlet.Json, w=3, r=3)
    raw = client.bucket(name, w=3)
    raw.put("k", b"\xff")
    with pytest.raises(ringlet.DecodeError) as caught:
        bucket.update("k", lambda value: value)
    assert bytes(caught.value.raw) == b"\xff"
    asked = []

    def decide(siblings):
        asked.extend((s.error is not None, bytes(s.raw), s.content_type) for s in siblings)
        good = [s.value for s in siblings if s.error is None]
        return sorted(sum(good, [])) if good else ["was foreign"]

    assert bucket.get("k").resolved(decide) == ["was foreign"]
    assert asked == [(True, b"\xff", "application/octet-stream")]
    assert bucket.update("k", lambda v: [*v, "x"], resolver=decide).value == ["was foreign", "x"]
    raw.put("k", b"\xfe")
    bucket.put("k", ["tea"])
    assert len(bucket.get("k")) == 3
    assert bucket.update("k", lambda v: [*v, "y"], resolver=decide).value == [
        "tea",
        "was foreign",
        "x",
        "y",
    ]


def test_an_answer_says_how_many_versions_it_left_out(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    assert bucket.put("k", "v").left_out == 0
    assert bucket.get("k").left_out == bucket.get("k").explain()["left_out"] == 0


def test_calls_inside_an_update_work_and_do_not_mix_up_events(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("other", "milk")

    def change(value):
        assert bucket.update("third", lambda v: "bread").value == "bread"
        return bucket.get("other").value

    assert bucket.update("k", change).value == "milk"


def test_get_many_gives_a_result_for_every_key(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    for number in range(300):
        bucket.put(f"k{number}", f"v{number}")
    found = bucket.get_many([f"k{number}" for number in range(301)])
    assert list(found) == [f"k{number}" for number in range(301)]
    assert all(found[f"k{number}"].value == f"v{number}" for number in range(300))
    assert not found["k300"]
    assert bucket.get_many([]) == {}


def test_get_many_tells_errors_from_results(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "v")
    found = bucket.get_many(["k"], r=200)
    assert found.errors["k"].key == "k"


def test_a_key_that_failed_can_t_be_mistaken_for_a_value(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    bucket.put("k", "v")
    found = bucket.get_many(["k", "", "missing"])
    assert list(found) == ["k", "", "missing"] and len(found) == 3
    assert found["k"].value == "v" and not found["missing"]
    for look in (
        lambda: found[""],
        lambda: found.get(""),
        lambda: dict(found),
        lambda: list(found.values()),
        lambda: list(found.items()),
        lambda: found == {},
    ):
        with pytest.raises(ringlet.UsageError, match="key"):
            look()
    assert "" in found and "other" not in found and found.get("other") is None
    with pytest.raises(KeyError):
        found["other"]  # not asked for
    assert list(found.errors) == [""] and list(found.read) == ["k", "missing"]
    assert repr(found) == "<Found 2 of 3 keys read, 1 failed>"
    assert pickle.loads(pickle.dumps(found)).errors[""].key == ""


def test_with_makes_a_new_bucket_and_leaves_the_old_one(client, name):
    raw = client.bucket(name)
    text = raw.with_(codec=ringlet.Text, timeout=2.0)
    text.put("k", "tea")
    assert text.get("k").value == "tea"
    assert raw.get("k").value == b"tea"
    with pytest.raises(TypeError, match="nosuch"):
        raw.with_(nosuch=1)


def test_another_content_type_is_a_decode_error_that_keeps_the_bytes(client, name):
    client.bucket(name, codec=ringlet.Text).put("k", "tea")
    found = client.bucket(name, codec=ringlet.Json).get("k")
    with pytest.raises(
        ringlet.DecodeError, match="wanted application/json .* got text/plain"
    ) as caught:
        found.value
    assert caught.value.raw == b"tea" and bytes(found.siblings[0].raw) == b"tea"


def test_last_write_wins_keeps_one_value(name):
    with (
        ringlet.local_cluster(3, reconcile="lww") as cluster,
        cluster.connect(timeout=5.0) as client,
    ):
        bucket = client.bucket(name, codec=ringlet.Text)
        bucket.put("k", "a")
        bucket.put("k", "b")
        assert bucket.get("k").value == "b"


@pytest.mark.parametrize("coordination", ["server", "client"])
def test_either_coordination_gives_the_same(cluster, name, coordination):
    with cluster.connect(timeout=5.0, coordination=coordination) as client:
        bucket = client.bucket(name, codec=ringlet.Json, resolver=resolvers.union())
        bucket.put("k", ["tea"])
        bucket.put("k", ["milk"])
        assert bucket.update("k", lambda v: v + ["rye"]).value == ["milk", "tea", "rye"]


def test_admin_tells_status_ring_and_replicas(client, name):
    client.bucket(name, codec=ringlet.Text).put("k", "tea", w=3)
    assert isinstance(client.admin("status"), dict)
    assert len(client.admin("ring")["members"]) == 3
    replicas = client.admin("key.inspect", bucket=name, key="k")["replicas"]
    assert len(replicas) == 3
    assert client.admin("key.inspect", bucket=name, key=b"k")["replicas"] == replicas


def test_writes_go_on_while_a_node_is_dead(name):
    with ringlet.local_cluster(5) as cluster, cluster.connect(timeout=5.0) as client:
        bucket = client.bucket(name, codec=ringlet.Json, resolver=resolvers.union())
        cluster.kill(0)
        cluster.kill(1)
        for number in range(20):
            bucket.update(f"k{number}", lambda v: (v or []) + ["tea"])
        cluster.restart(0)
        cluster.restart(1)
        assert all(bucket.get(f"k{number}").value == ["tea"] for number in range(20))


def test_quorum_not_met_says_the_numbers(name):
    with ringlet.local_cluster(3) as cluster, cluster.connect(timeout=1.0) as client:
        client.bucket(name).put("k", b"v")
        cluster.kill(1)
        cluster.kill(2)
        with pytest.raises(ringlet.TransientError) as caught:
            client.bucket(name).put("k", b"w", w=3, strict=True)
        assert caught.value.key == "k" and caught.value.retryable
        assert "3" in str(caught.value)


def dots_of(found):
    return {
        (sibling.dot.node, sibling.dot.epoch): sibling.dot.counter for sibling in found.siblings
    }


def test_R4_4_f_golden_example_D1_to_D5(client, name):
    """D1 and D2 at one coordinator, D3 and D4 from D2 at the same time, D5 replaces both.

    Who mints is the cluster's choice; the relations are the paper's whoever it is. The exact
    contexts with Sx, Sy, Sz are checked in the C++ unit test of the same name.
    """
    bucket = client.bucket(name, codec=ringlet.Text)
    d1 = bucket.put("d", "D1")
    d2 = bucket.put("d", "D2", d1)
    assert d1.context < d2.context and not d2.context < d1.context
    assert bucket.get("d").value == "D2"
    d3 = bucket.put("d", "D3", d2)
    d4 = bucket.put("d", "D4", d2)
    both = bucket.get("d")
    assert sorted(s.value for s in both.siblings) == ["D3", "D4"]
    dots = [s.dot for s in both.siblings]
    assert len(set(dots)) == 2
    assert d2.context < both.context and d3.context <= both.context and d4.context <= both.context
    d5 = bucket.put("d", "D5", both)
    assert both.context < d5.context
    assert bucket.get("d").value == "D5"
    explained = bucket.get("d").explain()
    assert len(explained["versions"]) == 1 and str(explained)
    sibling = bucket.get("d").siblings[0]
    assert all(
        dot.counter < sibling.dot.counter
        for dot in dots
        if (dot.node, dot.epoch) == (sibling.dot.node, sibling.dot.epoch)
    )


def test_a_node_in_this_process_has_the_limits_it_is_given():
    with ringlet.local_cluster(1, max_siblings_bytes=4096, busy_slices=8) as small:
        with small.connect() as client:
            bucket = client.bucket("b")
            bucket.put("k", b"x" * 3000)
            with pytest.raises(ringlet.RingletError) as refused:
                bucket.put("k", b"y" * 3000)
            assert refused.value.status == ringlet.Status.TOO_MANY_SIBLINGS
            assert "wanted at most 4096 bytes of siblings" in str(refused.value)
            bucket.put("j", b"z" * 8000)  # one alone may be larger
    with pytest.raises(ringlet.UsageError, match="1024 to 33554432"):
        ringlet.local_cluster(1, max_siblings_bytes=1)
