"""Each resolver keeps the laws of a merge, on random values."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import random
import time

import pytest

import ringlet
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


def test_m_21_union_keeps_text_as_text():
    merge = resolvers.union()
    assert merge([sibling("tea"), sibling("milk")]) == "milk\ntea"
    assert merge([sibling("tea\n"), sibling("milk")]) == "milk\ntea\n"
    assert merge([sibling("tea"), sibling("tea")]) == "tea"
    assert merge([sibling(""), sibling("")]) == ""


def through_json(value):
    return ringlet.Json.decode(memoryview(bytes(ringlet.Json.encode(value))))


def test_m_21_merge_dict_decides_each_field_by_a_stamp_of_its_own():
    """It went by the time of the whole version: merged two by two, three siblings ended otherwise."""
    merge = resolvers.merge_dict()
    base = sibling({"a": 1, "b": 1}, 1, 1)
    noted = merge.seen([base], base.value)
    early = noted({**base.value, "a": 2})  # changes a at time 2
    noted = merge.seen([base], base.value)
    late = dict(base.value)
    late["b"] = 3
    late = noted(late)  # changes b at time 3, and has the old a
    both = [sibling(through_json(early), 2, 2), sibling(through_json(late), 3, 3)]
    assert merge(both) == merge(both[::-1]) == {"a": 2, "b": 3}


def test_m_21_merge_dict_two_by_two_is_as_at_once():
    rng = random.Random(5)
    merge = resolvers.merge_dict({"n": resolvers.merge_dict()})
    for _ in range(300):
        parts = [
            sibling(
                {
                    **{f: rng.randrange(3) for f in "abc" if rng.random() < 0.7},
                    "n": {f: rng.randrange(3) for f in "xy" if rng.random() < 0.7},
                },
                rng.randrange(3),
                dot,
            )
            for dot in (1, 2, 3)
        ]
        together = merge(parts)
        for first, second, third in ((0, 1, 2), (1, 2, 0), (0, 2, 1)):
            pair = sibling(through_json(merge([parts[first], parts[second]])), 9, 9)
            assert merge([pair, parts[third]]) == merge([parts[third], pair]) == together


def test_m_21_a_field_changed_without_its_stamp_is_as_old_as_its_version():
    merge = resolvers.merge_dict()
    old = through_json(merge([sibling({"a": 1}, 1, 1), sibling({"a": 2}, 2, 2)]))
    assert old == {"a": 2}
    old["a"] = 3  # a put by hand
    assert merge([sibling(old, 9, 9), sibling({"a": 5}, 4, 4)]) == {"a": 3}


def test_m_21_deletes_and_foreign_values_have_a_result_or_an_error_that_names_them():
    gone = Sibling(deleted=True, dot=Dot(1, 1, 9), written_at=sibling(0, 50).written_at)
    for resolver, value in (
        (resolvers.union(), {"a"}),
        (resolvers.counter(), {"a": 1}),
        (resolvers.merge_dict(), {"a": 1}),
        (resolvers.ordered_set(), ["a"]),
        (resolvers.keep_all(), ["a"]),
    ):
        assert resolver([sibling(value), gone]) == value
    assert resolvers.last_write()([sibling("x", 1), gone]) is ringlet.Delete
    foreign = Sibling(raw=b"{", dot=Dot(1, 1, 8), codec=ringlet.Json, content_type="application/json")
    assert isinstance(foreign.error, ringlet.DecodeError) and foreign.raw == b"{"
    for resolver, value in (
        (resolvers.union(), {"a"}),
        (resolvers.counter(), {}),
        (resolvers.merge_dict(), {}),
        (resolvers.ordered_set(), []),
        (resolvers.keep_all(), 1),
    ):
        with pytest.raises(ringlet.DecodeError, match="counter=8"):
            resolver([sibling(value, 1), foreign])


@pytest.mark.parametrize(
    "factory",
    [
        resolvers.union,
        resolvers.last_write,
        resolvers.counter,
        resolvers.merge_dict,
        resolvers.merge_dataclass,
        resolvers.ordered_set,
        resolvers.keep_all,
    ],
)
def test_m_20_the_factory_in_place_of_the_resolver_is_refused(client, name, factory):
    words = f"{factory.__name__}, which makes one: write {factory.__name__}\\(\\)"
    bucket = client.bucket(name, codec=ringlet.Json)
    for refused in (
        lambda: client.bucket(name, resolver=factory),
        lambda: bucket.with_(resolver=factory),
        lambda: bucket.update("k", lambda old: old, resolver=factory),
        lambda: ringlet.connect("127.0.0.1:1", resolver=factory),
        lambda: resolvers.merge_dict({"x": factory}),
        lambda: resolvers.merge_dict(default=factory),
    ):
        with pytest.raises(TypeError, match=words):
            refused()


def test_m_20_a_function_that_takes_no_siblings_is_refused(client, name):
    with pytest.raises(TypeError, match="cannot be called with siblings"):
        client.bucket(name, resolver=lambda: None)
    client.bucket(name, resolver=max)  # of a builtin: it says nothing of itself


@dataclasses.dataclass
class Profile:
    theme: str = "light"
    language: str = "en"
    items: set[str] = dataclasses.field(default_factory=set)


def test_merge_dataclass_merges_field_by_field(client, name):
    bucket = client.bucket(
        name,
        codec=ringlet.Dataclass(Profile),
        resolver=resolvers.merge_dataclass(Profile, {"items": resolvers.union()}),
        r=3,
        w=3,
    )
    bucket.update("ann", lambda _: Profile())
    before = bucket.get("ann")

    def beside(change):
        """An update whose write meets the other one's."""
        copy = before.value
        bucket.put("ann", bucket._resolver.seen(before.siblings, copy)(change(copy)), before)

    beside(lambda p: dataclasses.replace(p, theme="dark", items={"tea"}))
    beside(lambda p: dataclasses.replace(p, language="de", items={"milk"}))
    found = bucket.get("ann")
    assert len(found) == 2
    assert found.resolved(bucket._resolver) == Profile("dark", "de", {"tea", "milk"})
    bucket.update("ann", lambda p: dataclasses.replace(p, items=p.items | {"jam"}))
    assert bucket.get("ann").value == Profile("dark", "de", {"tea", "milk", "jam"})
    with pytest.raises(TypeError, match="no field nosuch"):
        resolvers.merge_dataclass(Profile, {"nosuch": resolvers.union()})


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


ODD = [1, True, 0, False, 1.0, -0.0, "1", "a", "", None, 10**20, 1e20, [1], [True], {"a": 1}]
ODD_CASES = [
    (resolvers.union(), lambda rng: set(rng.choices([x for x in ODD if x.__hash__], k=3))),
    (resolvers.union(), lambda rng: rng.choices(ODD, k=3)),
    (resolvers.union(), lambda rng: rng.choice(["", "a", "a\n", "\n", "b\na", "\n\n"])),
    (resolvers.counter(), lambda rng: {rng.choice("ab"): rng.choice([0, -0.0, 1, 1.0, 10**20, 1e20])}),
    (resolvers.ordered_set(), lambda rng: rng.choices(ODD, k=3)),
    (resolvers.keep_all(), lambda rng: rng.choice(ODD)),
    (resolvers.merge_dict(), lambda rng: {rng.choice("ab"): rng.choice(ODD) for _ in range(2)}),
]


@pytest.mark.parametrize("number", range(len(ODD_CASES)))
def test_m_21_every_value_has_one_result_whatever_the_order(number):
    resolver, draw = ODD_CASES[number]
    rng = random.Random(number)
    for _ in range(300):
        siblings = [sibling(draw(rng), at=rng.choice([1, 2, 3]), dot=dot) for dot in range(1, 4)]
        # Equal values that are not the same (1 and True) are different bytes, and a new conflict.
        results = {repr(sorted(value, key=repr)) if isinstance(value, set) else repr(value)
                   for value in map(resolver, itertools.permutations(siblings))}
        assert len(results) == 1, (siblings, results)


def test_m_21_nothing_is_a_value_of_a_field(client, name):
    """A field that is None in the version that wins stays so; it blocked its key."""
    bucket = client.bucket(name, codec=ringlet.Json, resolver=resolvers.merge_dict())
    bucket.put("k", {"note": "old", "n": 1})
    time.sleep(0.005)  # of two writes of one millisecond the node's number decides
    bucket.put("k", {"note": None, "n": 1})
    merged = bucket.update("k", lambda value: {**value, "n": 2})
    assert merged.value == {"note": None, "n": 2}
    whole = bucket.with_(resolver=resolvers.last_write())
    whole.put("null", 1)
    time.sleep(0.01)
    whole.put("null", None)
    assert whole.get("null").resolved(resolvers.last_write()) is None
    assert whole.update("null", lambda value: [value]).value == [None]
    with pytest.raises(ringlet.UsageError, match="the resolver of 'n' returned None"):
        resolvers.merge_dict({"n": lambda siblings: None})([sibling({"n": 1}), sibling({"n": 2})])


def test_a_field_is_not_kept():
    with pytest.raises(ringlet.UsageError, match="the resolver of 'n' returned Keep"):
        resolvers.merge_dict({"n": lambda siblings: ringlet.Keep})([sibling({"n": 1}), sibling({"n": 2})])


def test_a_field_without_a_default_cannot_be_deleted():
    Stock = dataclasses.make_dataclass(
        "Stock", [("n", int), ("m", int, dataclasses.field(default=7))]
    )
    gone = lambda siblings: ringlet.Delete  # noqa: E731
    siblings = [sibling(Stock(1, 1)), sibling(Stock(2, 2))]
    assert resolvers.merge_dataclass(Stock, {"m": gone})(siblings).m == 7
    with pytest.raises(ringlet.UsageError, match="the resolver of 'n' returned Delete; Stock has no default"):
        resolvers.merge_dataclass(Stock, {"n": gone})(siblings)


def test_m_21_a_counter_names_the_version_that_has_no_number():
    for wrong in (None, True, "1", float("nan")):
        with pytest.raises(TypeError, match=r"wanted a number for 'a', got .* \(version Dot"):
            resolvers.counter()([sibling({"a": 1}), sibling({"a": wrong})])
