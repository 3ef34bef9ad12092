"""The examples: the cart's command line, and the demo's judgement (the demo itself runs in ./dev
test).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import ringlet

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo"
CART = ROOT / "examples" / "shopping_cart" / "python" / "cart.py"
DOCUMENT_CART = ROOT / "examples" / "document_cart" / "python" / "cart.py"
ORDER_LOG = ROOT / "examples" / "order_log" / "python" / "order_log.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            [str(Path(ringlet.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        ),
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )


def test_cart_adds_removes_shows_and_merges(cluster, client, name):
    assert run(CART, cluster.seeds, name, "show").stdout == ""
    assert run(CART, cluster.seeds, name, "add", "tea", "milk", "tea").stdout == "milk\ntea\n"
    client.bucket("carts", codec=ringlet.Text).put(
        name, "rye\ntea\n"
    )  # somebody else, at the same time
    assert run(CART, cluster.seeds, name, "show").stdout == "milk\nrye\ntea\n"
    assert run(CART, cluster.seeds, name, "remove", "tea").stdout == "milk\nrye\n"
    found = client.bucket("carts").get(name)
    assert bytes(found.value) == b"milk\nrye\n" and found.siblings[0].content_type == "text/plain"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["127.0.0.1:1"],
        ["127.0.0.1:1", "ann"],
        ["127.0.0.1:1", "ann", "add"],
        ["127.0.0.1:1", "ann", "remove", "a", "b"],
        ["127.0.0.1:1", "ann", "show", "x"],
        ["127.0.0.1:1", "ann", "steal", "x"],
        ["127.0.0.1:1", "ann", "add", "two\nlines"],
        ["127.0.0.1:1", "ann", "add", ""],
    ],
)
def test_cart_refuses_bad_arguments(arguments):
    done = run(CART, *arguments)
    assert done.returncode == 2 and "usage: cart.py" in done.stderr and done.stdout == ""


def test_document_cart_adds_removes_and_shows(cluster, name):
    def cart(*words):
        return run(DOCUMENT_CART, cluster.seeds, f"document-{name}", *words)

    assert cart("show").stdout == ""
    assert cart("add", "tea", "2").stdout == "   2 tea\n"
    assert cart("add", "milk").stdout == "   1 milk\n   2 tea\n"
    assert cart("remove", "tea").stdout == "   1 milk\n"
    assert cart("coupon", "SUMMER").stdout == "coupon SUMMER\n   1 milk\n"
    for wrong in ([], ["steal", "tea"], ["add"], ["add", "tea", "0"], ["add", "tea", "x"], ["show", "x"]):
        said = cart(*wrong)
        assert said.returncode == 2 and "add THING" in said.stderr and said.stdout == ""
    assert run(DOCUMENT_CART, "nonsense", name, "show").returncode == 1


def test_order_log_appends_once_whatever_it_meets(cluster, client, name):
    def log(*words):
        return run(ORDER_LOG, cluster.seeds, name, *words)

    assert log("show").stdout == ""
    assert log("append", "paid").stdout == "1 paid\n"
    # A rival's entry, written at the same time as the first one.
    client.bucket("orders", codec=ringlet.Text).put(name, "00000001 0000000000000000 called\n")
    assert log("show").stdout == "1 called\n1 paid\n"
    assert log("append", "packed").stdout == "1 called\n1 paid\n2 packed\n"
    assert log("append", "packed").stdout == "1 called\n1 paid\n2 packed\n3 packed\n"
    assert len(client.bucket("orders").get(name).siblings) == 1
    for wrong in ([], ["append"], ["append", ""], ["append", "two\nlines"], ["show", "x"]):
        said = log(*wrong)
        assert said.returncode == 2 and "usage: order_log.py" in said.stderr and said.stdout == ""
    assert run(ORDER_LOG, "nonsense", name, "show").returncode == 1


def test_order_log_is_not_appended_to_again_by_a_merge(cluster, client, name, monkeypatch):
    """A rival writes while the edit runs: the update merges, and the edit has run once."""
    monkeypatch.syspath_prepend(str(ORDER_LOG.parent))
    import order_log

    orders = client.bucket("orders", codec=ringlet.Text, resolver=order_log.merge)
    edits = []

    def edit(old):
        edits.append(old)
        orders.put(name, "00000001 0000000000000000 called\n")
        return order_log.append(old, "paid")

    orders.update(name, edit)
    assert len(edits) == 1
    assert run(ORDER_LOG, cluster.seeds, name, "show").stdout == "1 called\n1 paid\n"


def test_cart_says_what_failed():
    done = run(CART, "nonsense", "ann", "show")
    assert done.returncode == 1 and "nonsense" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def demo(monkeypatch):
    monkeypatch.syspath_prepend(str(DEMO))
    import report
    import run as demo_run
    import shoppers

    yield demo_run, report, shoppers
    for module in ("run", "report", "shoppers", "cluster", "chaos", "growth"):
        sys.modules.pop(module, None)


def findings(demo, finals, *, equal=True, **ledger):
    _, report, shoppers = demo
    return report.Findings(
        shoppers.Ledger(**ledger),
        finals,
        6,
        equal,
        [] if equal else ["c"],
        "server",
        "siblings",
        1.0,
        [],
    )


def test_demo_counts_lost_resurrected_and_refused(demo):
    kept = findings(demo, {"c": frozenset("ab")}, acknowledged={"c": {"a", "b"}})
    assert kept.lost() == [] and kept.broken() == []
    lost = findings(demo, {"c": frozenset("a")}, acknowledged={"c": {"a", "b"}, "d": {"x"}})
    assert lost.lost() == ["c: b", "d: x"] and "2 acknowledged adds were lost" in lost.broken()
    removed = findings(
        demo,
        {"c": frozenset("a")},
        acknowledged={"c": {"a", "b", "u"}},
        removed={"c": {"a", "b"}},
        unsure_removed={"c": {"u"}},
    )
    assert removed.lost() == [] and removed.resurrected() == 1 and removed.broken() == []
    assert findings(demo, {}, refused=1).broken() == ["1 writes were refused"]
    assert findings(demo, {}, equal=False).broken() == [
        "replicas of 1 carts differ after read repair"
    ]


def test_demo_json_has_the_agreed_keys(demo):
    data = findings(demo, {}, get_ms=[(True, 1.0), (False, 3.0)]).as_json()
    assert list(data) == [
        "acknowledged_adds",
        "lost_adds",
        "refused_writes",
        "resurrected_removes",
        "kills",
        "versions_per_read",
        "get_ms",
        "put_ms",
        "replicas_equal",
        "coordination",
        "reconcile",
    ]
    assert data["get_ms"]["all"]["mean"] == 2.0 and data["get_ms"]["during_kills"]["p50"] == 1.0


def test_demo_judges_documents_more_strictly(demo):
    found = findings(
        demo,
        {"c": frozenset("ab")},
        acknowledged={"c": {"a", "b"}},
        removed={"c": {"b"}},
        counted={"c": Counter(tea=3, milk=1)},
        unsure_counted={"c": Counter(tea=1)},
    )
    found.amounts = {"c": {"tea": 4}}
    assert found.broken() == [] and found.wrong_quantities() == ["c: 0 of milk, wanted 1 to 1"]
    found.merge = "document"
    assert found.broken() == ["1 removed items came back", "1 quantities are wrong"]
    assert found.as_json()["wrong_quantities"] == 1 and "of which 1 are wrong" in found.as_text()
    table = demo[1].side_by_side({"document": found, "union": found})
    assert "BROKEN" in table and "removes that came back" in table


def test_demo_changes_a_cart_alike_as_text_and_as_a_document(demo):
    shoppers = demo[2]
    lines = frozenset({"a"})
    for change in (("add", "b"), ("count", "tea"), ("count", "tea"), ("remove", "a")):
        lines = shoppers.Change(*change).of_lines(lines)
    assert shoppers.things_of(lines) == {"b"} and shoppers.quantities_of(lines) == {"tea": 2}
    other = shoppers.Change("count", "tea").of_lines(lines)
    siblings = [ringlet.Sibling(lines), ringlet.Sibling(other)]
    assert shoppers.quantities_of(shoppers.merge_carts(siblings)) == {"tea": 3}


def test_demo_that_grows_says_what_it_did(demo):
    grown = findings(demo, {})
    assert "growth" not in grown.as_json()
    grown.steps = [{"step": "n6 joined, 9 of 64 partitions moved", "at_s": 3.0, "took_s": 1.5}]
    assert list(grown.as_json())[-1] == "growth" and grown.as_json()["growth"] == grown.steps
    assert "n6 joined, 9 of 64 partitions moved, in 1.5 s" in grown.as_text()


def test_demo_replicas_must_all_answer_and_be_the_same(demo):
    same = demo[0].same_everywhere
    assert same({"replicas": [{"holds": {"bytes": "1"}}] * 3})
    assert not same({"replicas": [{"holds": {"bytes": "1"}}, {"holds": {"bytes": "2"}}]})
    assert not same({"replicas": [{"holds": {"bytes": "1"}}, {"error": "silent"}]})
    assert not same({"replicas": []})


def test_demo_insists_on_a_number_of_hints(demo):
    assert demo[0].hints_of({"hints": 3}) == 3
    for status in ({}, {"hints": None}, {"hints": "3"}):
        with pytest.raises(demo[0].CannotRun, match="hints"):
            demo[0].hints_of(status)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nodes", "2"], "3 to 64, got 2"),
        (["--seconds", "soon"], "'soon'"),
        (["--baskets", "/nonexistent"], "cannot be read"),
        (["--baskets", "/dev/null"], "no basket"),
        (["--bin", "/nonexistent"], "no ringletd"),
        (["--reconcile", "x"], "'x'"),
        (["--coordination", "x"], "'x'"),
        (["--shoppers", "0"], "got 0"),
        (["--nosuch"], "--nosuch"),
        (["--seed", "x"], "'x'"),
    ],
)
def test_demo_refuses_bad_arguments(arguments, words):
    done = run(DEMO / "run.py", *arguments)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
