"""Every public entry is given something wrong; what comes back names it, and nothing is written."""

from __future__ import annotations

import pickle
import time

import pytest

import ringlet
from ringlet.versioned import read_reply

E = ringlet


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ringlet.connect("nonsense"), E.UsageError, "nonsense"),
        (lambda: ringlet.connect("127.0.0.1:99999"), E.UsageError, "99999"),
        (lambda: ringlet.connect(""), E.UsageError, "seed"),
        (lambda: ringlet.connect([]), E.UsageError, "seed"),
        (lambda: ringlet.connect([7]), TypeError, "int"),
        (lambda: ringlet.connect(7), TypeError, "seeds as text, got int"),
        (lambda: ringlet.connect(b"127.0.0.1:1"), TypeError, "seeds as text, got bytes"),
        (lambda: ringlet.connect("127.0.0.1:1", timeout=0), E.UsageError, "timeout.*0"),
        (lambda: ringlet.connect("127.0.0.1:1", timeout=-1), E.UsageError, "timeout.*-1"),
        (lambda: ringlet.connect("127.0.0.1:1", timeout=float("nan")), E.UsageError, "nan"),
        (lambda: ringlet.connect("127.0.0.1:1", timeout=1e9), E.UsageError, "3600"),
        (lambda: ringlet.connect("127.0.0.1:1", timeout="1"), TypeError, "timeout.*str"),
        (lambda: ringlet.connect("127.0.0.1:1", resolver=3), TypeError, "resolver.*int"),
        (
            lambda: ringlet.connect("127.0.0.1:1", coordinatoin="client"),
            E.OptionError,
            "coordinatoin.*did you mean 'coordination'",
        ),
        (lambda: ringlet.connect("127.0.0.1:1", coordination="nobody"), E.OptionError, "nobody"),
        (lambda: ringlet.connect("127.0.0.1:1", refresh_ms=9), E.OptionError, "10 to 3600000"),
        (
            lambda: ringlet.connect("127.0.0.1:1", refresh_ms=50, client_refresh_ms=60),
            E.OptionError,
            "client.refresh_ms: given twice, as 'refresh_ms' and as 'client_refresh_ms'",
        ),
        (
            lambda: ringlet.connect("127.0.0.1:1", timeout=1.0, timeout_ms=5),
            E.OptionError,
            "client.timeout_ms: given twice",
        ),
        (
            lambda: ringlet.connect("127.0.0.1:1", client_seeds="127.0.0.1:2"),
            E.OptionError,
            "client.seeds: given twice",
        ),
        (
            lambda: ringlet.connect("127.0.0.1:1", coordination=object()),
            E.OptionError,
            "coordination.*object",
        ),
        (lambda: ringlet.local_cluster(0), E.UsageError, "1 to 64, got 0"),
        (lambda: ringlet.local_cluster(65), E.UsageError, "65"),
        (lambda: ringlet.local_cluster("3"), TypeError, "str"),
        (lambda: ringlet.local_cluster(3, data_dir="/tmp"), E.OptionError, "data_dir"),
        (lambda: ringlet.local_cluster(3, nosuch=1), E.OptionError, "nosuch"),
        (lambda: ringlet.local_cluster(3, reconcile="maybe"), E.UsageError, "maybe"),
    ],
)
def test_opening(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_options_by_their_names_are_not_overruled_by_defaults(cluster, monkeypatch):
    with ringlet.connect(client_seeds=cluster.seeds, timeout_ms=7_000) as client:
        client.bucket("b").get("k")
    with ringlet.connect("127.0.0.1:1", timeout_ms=1) as client:
        begun = time.monotonic()
        with pytest.raises(E.TransientError):
            client.bucket("b").get("k")
        assert time.monotonic() - begun < 0.9  # the default is a second
    monkeypatch.setenv("RINGLET_SEEDS", "")
    with ringlet.connect() as client:
        assert "127.0.0.1:7400" in repr(client)
    monkeypatch.setenv("RINGLET_SEEDS", "nonsense")
    with pytest.raises(E.OptionError, match="RINGLET_SEEDS: .*nonsense"):
        ringlet.connect()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda b: b.get(""), E.UsageError, "key"),
        (lambda b: b.get(3), TypeError, "key.*int"),
        (lambda b: b.get(None), TypeError, "key.*NoneType"),
        (lambda b: b.get("\ud800"), E.UsageError, "surrogate"),
        (lambda b: b.get("x" * 100_000), E.TooLarge, "100000"),
        (lambda b: b.get("k", r=0), E.UsageError, "r: .*got 0"),
        (lambda b: b.get("k", r=256), E.UsageError, "256"),
        (lambda b: b.get("k", r="2"), TypeError, "r: .*str"),
        (lambda b: b.get("k", r=True), TypeError, "bool"),
        (lambda b: b.get("k", timeout=0), E.UsageError, "timeout"),
        (lambda b: b.get("k", nosuch=1), TypeError, "nosuch"),
        (lambda b: b.get("k", write_id=b"x" * 16), TypeError, "get takes no write_id"),
        (lambda b: b.get_many(["k"], write_id=b"x" * 16), TypeError, "get_many takes no write_id"),
        (lambda b: b.get("k", durability="paper"), E.UsageError, "paper"),
        (lambda b: b.get("k", strict=1), TypeError, "strict.*int"),
        (lambda b: b.get("k", r=9), E.RingletError, "9"),
        (lambda b: b.put("k", b"v", w=9), E.RingletError, "9"),
        (lambda b: b.put("k", 3), TypeError, "int"),
        (lambda b: b.put("k", "text"), TypeError, "str"),
        (lambda b: b.put("k", b"v", b"context"), TypeError, "Context.*bytes"),
        (lambda b: b.put("k", memoryview(b"abcd")[::2]), BufferError, "contiguous"),
        (lambda b: b.delete("k", None), TypeError, "None"),
        (lambda b: b.delete("k", "x"), TypeError, "str"),
        (lambda b: b.update("k", 3), TypeError, "function.*int"),
        (lambda b: b.update("k", lambda v: 3), TypeError, "int"),
        (lambda b: b.update("k", lambda v: None), ringlet.UsageError, "lambda.*returned None"),
        (lambda b: b.put("k", b"", write_id="xyz"), ringlet.UsageError, "32 hexadecimal"),
        (lambda b: b.put("k", b"", write_id=bytes(16)), ringlet.UsageError, "not all zero"),
        (lambda b: b.put("k", b"", write_id=b"short"), ringlet.UsageError, "16 bytes"),
        (lambda b: b.put("k", b"", write_id=3), TypeError, "bytes or str"),
        (lambda b: b.with_(deletes="maybe"), ringlet.UsageError, "lose"),
        (lambda b: b.update("k", lambda v: b"", resolver=3), TypeError, "resolver.*int"),
        (lambda b: b.get_many("abc"), TypeError, "several keys"),
        (lambda b: b.get_many([1]), TypeError, "int"),
        (lambda b: b.get_many(3), TypeError, "int"),
        (lambda b: b.get("k").resolved(3), TypeError, "int"),
        (lambda b: b.get("k").resolved(lambda s: s), E.KeyMissing, "k"),
    ],
)
def test_bucket(client, name, call, error, words):
    bucket = client.bucket(name)
    with pytest.raises(error, match=words):
        call(bucket)
    assert not bucket.get("k")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: c.bucket(3), TypeError, "bucket name.*int"),
        (lambda c: c.bucket("b", codec=3), TypeError, "codec.*int"),
        (lambda c: c.bucket("b", resolver=3), TypeError, "resolver.*int"),
        (lambda c: c.bucket("b", w=-1), E.UsageError, "-1"),
        (lambda c: c.admin("nosuch"), E.UsageError, "nosuch"),
        (lambda c: c.admin(3), TypeError, "int"),
        (lambda c: c.admin("status", nosuch="x"), E.UsageError, "nosuch"),
        (lambda c: c.admin("status", node="nobody"), E.RingletError, "nobody"),
        (lambda c: c.admin("key.inspect"), E.UsageError, "key"),
        (lambda c: c.admin("ring", timeout=-1), E.UsageError, "timeout"),
        (lambda c: c.close(drain=-1), E.UsageError, "drain"),
        (lambda c: c.close(drain="x"), TypeError, "drain"),
        (lambda c: pickle.dumps(c), TypeError, "pickled"),
    ],
)
def test_client(client, call, error, words):
    with pytest.raises(error, match=words):
        call(client)
    assert not client.closed


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: c.kill(3), E.UsageError, "0 to 2, got 3"),
        (lambda c: c.kill(-1), E.UsageError, "-1"),
        (lambda c: c.restart("n1"), TypeError, "str"),
        (lambda c: c.connect(timeout=0), E.UsageError, "timeout"),
    ],
)
def test_cluster(cluster, call, error, words):
    with pytest.raises(error, match=words):
        call(cluster)


def test_nobody_there_is_a_transient_error_within_the_deadline():
    with ringlet.connect("127.0.0.1:1", timeout=0.3) as client:
        with pytest.raises(ringlet.TransientError) as caught:
            client.bucket("b").put("k", b"v")
    assert caught.value.retryable and caught.value.key == "k"


def test_too_large_a_value_is_refused(client, name):
    with pytest.raises(ringlet.TooLarge):
        client.bucket(name).put("k", bytes(80 * 1024 * 1024))
    assert not client.bucket(name).get("k")


def test_errors_survive_pickle():
    error = ringlet.Timeout(
        "slow", status=201, retryable=True, maybe_applied=True, key="k", details={"got": 1}
    )
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ringlet.Timeout and str(again) == "slow" and again.details == {"got": 1}
    assert again.maybe_applied and again.key == "k" and again.status is ringlet.Status.TIMEOUT


def test_unknown_status_of_a_newer_library():
    from ringlet.errors import from_core

    assert type(from_core((299, "new", True, False, "{}"))) is ringlet.TransientError
    assert type(from_core((999, "new", False, False, "not json"))) is ringlet.InternalError
    assert from_core((299, "new", True, False, "[]")).status == 299


def test_a_codec_is_made_before_it_is_given(client, name):
    class Reversed(ringlet.Codec[bytes]):
        @property
        def content_type(self):
            return "text/plain"

        def encode(self, value):
            return value[::-1]

        def decode(self, raw):
            return bytes(raw)[::-1]

    with pytest.raises(TypeError, match="got the class Reversed: make one of it"):
        client.bucket(name, codec=Reversed)
    client.bucket(name, codec=Reversed()).put("k", b"abc")


def test_a_clock_that_is_wrong_by_thousands_of_years_leaves_its_key_readable():
    class Reply:
        def parts(self):
            version = (memoryview(b"v"), 2**63 // 1000, "", bytes(24), False)
            return (version,), b"", True, 0

        def explain(self):
            return "{}"

    sibling = read_reply(Reply(), ringlet.RAW, "k").siblings[0]
    assert bytes(sibling.value) == b"v" and sibling.written_at.year == 9999
    assert "9999" in repr(sibling)


@pytest.mark.parametrize("data", [b"z", b"zz", b"\x01garbage", bytes(5000)])
def test_what_is_no_context_is_named(data):
    with pytest.raises(E.InvalidContext, match=r"context: (wanted|not)"):
        ringlet.Context.from_bytes(data)
