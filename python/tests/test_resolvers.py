"""Each resolver keeps the laws of a merge, on random values."""

from __future__ import annotations

import datetime
import random

import pytest

from ringlet import Dot, Sibling, resolvers


def sibling(value, at=0, dot=1):
    return Sibling(
        value,
        written_at=datetime.datetime.fromtimestamp(at, datetime.timezone.utc),
        dot=Dot(1, 1, dot),
    )


def draw_set(rng):
    return {rng.choice("abcdef") for _ in range(rng.randrange(5))}


def draw_list(rng):
    return [rng.choice([1, "a", None, 2.5, "b"]) for _ in range(rng.randrange(5))]


def draw_words(rng):
    return [rng.choice("abcdef") for _ in range(rng.randrange(5))]


def draw_text(rng):
    return "".join(f"{line}\n" for line in sorted(draw_set(rng)))


def draw_counts(rng):
    return {rng.choice("xyz"): rng.randrange(10) for _ in range(rng.randrange(4))}


def draw_dict(rng):
    return {"items": sorted(draw_set(rng)), "counts": draw_counts(rng)}


CASES = [
    (resolvers.union(), draw_set),
    (resolvers.union(), draw_list),
    (resolvers.union(), draw_text),
    (resolvers.counter(), draw_counts),
    (resolvers.ordered_set(), draw_words),
    (resolvers.keep_all(), draw_list),
    (resolvers.merge_dict({"items": resolvers.union(), "counts": resolvers.counter()}), draw_dict),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_commutative_associative_idempotent(number):
    resolver, draw = CASES[number]
    rng = random.Random(number)
    for _ in range(200):
        a, b, c = (draw(rng) for _ in range(3))
        merge = lambda *values: resolver([sibling(value) for value in values])  # noqa: E731
        together = merge(a, b, c)
        assert together == merge(c, a, b) == merge(b, c, a)
        assert together == merge(merge(a, b), c) == merge(a, merge(b, c))
        assert merge(together, together) == together


def test_last_write_goes_by_clock_then_dot():
    latest = resolvers.last_write()
    assert latest([sibling("old", 1), sibling("new", 2)]) == "new"
    assert latest([sibling("b", 1, 2), sibling("a", 1, 1)]) == "b"


def test_keep_all_keeps_values_that_are_no_lists():
    assert resolvers.keep_all()([sibling("b"), sibling("a"), sibling(["a", "c"])]) == [
        "a",
        "b",
        "c",
    ]


def test_merge_dict_keeps_a_field_that_one_side_has():
    merged = resolvers.merge_dict({"n": resolvers.counter()})(
        [sibling({"a": 1}, 1), sibling({"b": 2}, 2), sibling({"a": 3}, 3)]
    )
    assert merged == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("resolver", "values", "words"),
    [
        (resolvers.union(), [{1}, [1]], "one type, got list, set"),
        (resolvers.union(), [1, 2], "got int"),
        (resolvers.counter(), [1, 2], "got int"),
        (resolvers.counter(), [{"a": "x"}, {}], "'a', got str"),
        (resolvers.ordered_set(), ["a", "b"], "got str"),
        (resolvers.merge_dict(), [[], []], "got list"),
    ],
)
def test_wrong_values_are_named(resolver, values, words):
    with pytest.raises(TypeError, match=words):
        resolver([sibling(value) for value in values])


def test_no_siblings_and_wrong_resolvers():
    for resolver in (
        resolvers.union(),
        resolvers.last_write(),
        resolvers.counter(),
        resolvers.keep_all(),
    ):
        with pytest.raises(ValueError, match="got none"):
            resolver([])
    with pytest.raises(TypeError, match="'x', got int"):
        resolvers.merge_dict({"x": 3})
