"""Contexts: order, bytes, and what happens to damaged ones."""

from __future__ import annotations

import copy
import pickle

import pytest

import ringlet


@pytest.fixture
def history(client, name):
    bucket = client.bucket(name, codec=ringlet.Text)
    first = bucket.put("k", "1")
    second = bucket.put("k", "2", first)
    return bucket, first.context, second.context


def test_order_is_what_was_seen(history):
    _, first, second = history
    assert first < second and second > first and first <= second and second >= first
    assert not first >= second and not first.concurrent_with(second)
    assert first <= first and first.same_history(first) and not first < first
    empty = ringlet.Context()
    assert empty < first and not empty and first


def test_equality_hash_pickle_copy_and_bytes(history):
    _, first, second = history
    again = ringlet.Context.from_bytes(bytes(first))
    assert again == first and hash(again) == hash(first) and first != second
    assert pickle.loads(pickle.dumps(first)) == first and copy.deepcopy(first) == first
    assert len({first, again, second}) == 2 and first != bytes(first)
    assert len(bytes(first)) <= 4096


def test_a_stored_context_works_later(history):
    bucket, _, second = history
    bucket.put("k", "3", ringlet.Context.from_bytes(bytes(second)))
    assert bucket.get("k").value == "3"


def test_contexts_of_two_keys_are_concurrent(client, name):
    bucket = client.bucket(name)
    a, b = bucket.put("a", b"1").context, bucket.put("b", b"1").context
    assert not a < b or not b < a


def test_immutable(history):
    with pytest.raises(AttributeError, match="immutable"):
        history[1]._bytes = b""


def test_every_cut_and_every_flipped_bit_is_refused(history):
    bucket, _, second = history
    good = bytes(second)
    bad = [good[:size] for size in range(1, len(good))]
    bad += [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :] for at in range(len(good))]
    for data in bad:
        context = ringlet.Context._trusted(data)
        with pytest.raises(ringlet.InvalidContext):
            bucket.put("k", "bad", context)
    assert bucket.get("k").value == "2"


def test_another_keys_context_is_refused_and_nothing_is_written(history):
    bucket, first, _ = history
    with pytest.raises(ringlet.InvalidContext) as caught:
        bucket.put("other", "x", first)
    assert caught.value.key == "other" and not caught.value.maybe_applied
    with pytest.raises(ringlet.InvalidContext):
        bucket.delete("other", first)
    assert not bucket.get("other")


@pytest.mark.parametrize("data", [b"x", b"\x01", b"\x00" * 40, b"\xff" * 5000])
def test_bytes_that_are_no_context(data):
    with pytest.raises(ringlet.RingletError):
        ringlet.Context.from_bytes(data)


def test_describe_shows_what_it_covers(history, name):
    bucket, first, second = history
    written = bucket.put("d", "x")
    assert written.context.describe() == (written.siblings[0].dot,)
    assert first.describe()[0].counter == 1
    # By the same node twice, or by one node each.
    assert [seen.counter for seen in second.describe(name, "k")] in ([2], [1, 1])
    assert ringlet.Context().describe() == ringlet.Context().describe(name, "k") == ()


def test_describe_with_the_key_finds_every_flipped_bit(history, name):
    _, _, second = history
    good = bytes(second)
    for at in range(len(good)):
        bad = ringlet.Context._trusted(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
        with pytest.raises(ringlet.InvalidContext) as caught:
            bad.describe(name, "k")
        assert caught.value.key == "k"
    with pytest.raises(ringlet.InvalidContext, match="another key"):
        second.describe(name, "other")


def test_wrong_types():
    with pytest.raises(TypeError, match="both"):
        ringlet.Context().describe("bucket")
    with pytest.raises(TypeError, match="int"):
        ringlet.Context().describe("bucket", 7)
    with pytest.raises(ringlet.UsageError, match="at least 1 byte"):
        ringlet.Context().describe("bucket", "")
    with pytest.raises(TypeError, match="int"):
        ringlet.Context.from_bytes(7)
    with pytest.raises(TypeError):
        ringlet.Context() < 3
    with pytest.raises(TypeError, match="str"):
        ringlet.Context().concurrent_with("x")
