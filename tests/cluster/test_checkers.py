"""The checks of workloads.py see what they must: each kind of broken history, and no more."""

import pytest
import workloads
from workloads import History, Operation


def history(*writes):
    return History(writes=[Operation("k", value, frozenset(seen), outcome, "", 1.0, 0.0)
                           for value, seen, outcome in writes])


@pytest.mark.parametrize("words, writes, finals", [
    ("", [("a", "", "done"), ("b", "a", "done")], ["b"]),
    ("", [("a", "", "done"), ("b", "", "done")], ["a", "b"]),
    ("", [("a", "", "maybe")], []),
    ("", [("a", "", "maybe")], ["a"]),
    ("", [("a", "", "done"), ("b", "a", "maybe")], ["a"]),
    ("", [("a", "", "done"), ("b", "a", "maybe")], ["b"]),
    ("lost a", [("a", "", "done"), ("b", "", "done")], ["b"]),
    ("lost b", [("a", "", "done"), ("b", "a", "done")], []),
    ("never written", [("a", "", "done")], ["a", "x"]),
    ("a sibling twice", [("a", "", "done")], ["a", "a"]),
    ("never written", [("a", "", "done"), ("b", "a", "no")], ["a", "b"]),
    ("are back", [("a", "", "done"), ("b", "a", "done")], ["a", "b"]),
])
def test_registers(words, writes, finals):
    broken = workloads.check("register", history(*writes), {"k": finals})
    assert len(broken) == (1 if words else 0) and words in "".join(broken)


@pytest.mark.parametrize("words, finals", [
    ("", ['["a", "b"]']), ("", ['["a"]', '["b"]']), ("", ['["a", "b", "m"]']),
    ("lost 1 acknowledged adds: ['b']", ['["a"]']), ("lost 2", []), ("never written", ['["a", "b", "x"]']),
    ("a sibling twice", ['["a", "b"]', '["a", "b"]']),
])
@pytest.mark.parametrize("kind", ["cart", "set"])
def test_carts_and_sets(kind, words, finals):
    told = history(("a", "", "done"), ("b", "", "done"), ("m", "", "maybe"))
    broken = workloads.check(kind, told, {"k": finals})
    assert len(broken) == (1 if words else 0) and words in "".join(broken)


@pytest.mark.parametrize("words, writes, finals", [
    ("", [("a", "", "done"), ("", "a", "done")], []),
    ("", [("a", "", "done"), ("", "a", "maybe")], ["a"]),
    ("", [("a", "", "done"), ("", "", "done")], ["a"]),
    ("back although deleted", [("a", "", "done"), ("", "a", "done")], ["a"]),
    ("lost a", [("a", "", "done"), ("", "", "done")], []),
    ("lost a", [("a", "", "done")], []),
    ("never written", [("a", "", "done")], ["a", "x"]),
])
def test_deletes(words, writes, finals):
    broken = workloads.check("deletes", history(*writes), {"k": finals})
    assert len(broken) == (1 if words else 0) and words in "".join(broken)


def test_what_a_read_showed_and_what_was_refused_is_kept():
    told = history(("a", "", "no"))
    told.broken.append("k: a sibling twice")
    assert workloads.check("cart", told, {}) == ["k: a sibling twice"]
    assert len(told.refused) == 1


class Inspected:
    """A client whose replicas hold what it is told."""

    def __init__(self, *digests):
        self.replicas = [{"node": f"n{i}", "holds": {"bytes": d}} if d else {"node": f"n{i}", "error": "silent"}
                         for i, d in enumerate(digests)]

    def admin(self, command, **arguments):
        return {"replicas": self.replicas}


@pytest.mark.parametrize("digests, equal", [
    (("1", "1", "1"), True), (("1", "1", "2"), False), (("1", "1", None), False), (("1", "1"), False),
])
def test_replicas(digests, equal):
    said = workloads.same_bytes(Inspected(*digests), "cart", ["k"], ["n1", "n2", "n3", "n4"])
    assert (said == "") == equal
