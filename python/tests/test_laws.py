"""check_merge: broken merges are found, each with the law that it breaks; good ones pass."""

from __future__ import annotations

import itertools
import random
import re
import sys
import threading
import time
from typing import Any

import pytest

import ringlet
from ringlet import resolvers
from ringlet.document import Counter, Flag, Map, Register, Set
from ringlet.laws import LAWS, LawBroken, Play, Step, adding, check_history, counting, draw, play_on, removing


def add(item: str) -> Any:
    return adding(item, lambda v: sorted({*(v or []), item}))


def remove(item: str) -> Any:
    return removing(item, lambda v: [each for each in v or [] if each != item])


LISTS = [add("tea"), add("milk"), add("rum"), remove("tea")]
NUMBERS = [counting(1, lambda v: (v or 0) + 1), counting(2, lambda v: (v or 0) + 2)]


def values(siblings: Any) -> list[Any]:
    return [sibling.value for sibling in siblings]


# ---- merges that people ship ----


def longest_list(siblings: Any) -> Any:
    return max(values(siblings), key=lambda v: (len(v), v))


def first_of_the_longest(siblings: Any) -> Any:
    return max(values(siblings), key=len)


def sum_of_quantities(siblings: Any) -> Any:
    return sum(values(siblings))


def max_of_quantities(siblings: Any) -> Any:
    return max(values(siblings))


def concatenated(siblings: Any) -> Any:
    return list(itertools.chain.from_iterable(values(siblings)))


def by_order_of_keys(siblings: Any) -> Any:
    return {"first": next(iter(siblings[0].value)), **{k: 1 for v in values(siblings) for k in v}}


def by_the_dice(siblings: Any) -> Any:
    return random.choice(values(siblings))


def by_the_clock(siblings: Any) -> Any:
    return sorted({*(i for v in values(siblings) for i in v if not i.startswith("t=")), f"t={time.perf_counter_ns()}"})


def in_place(siblings: Any) -> Any:
    for sibling in siblings[1:]:
        siblings[0].value.extend(i for i in sibling.value if i not in siblings[0].value)
    siblings[0].value.sort()
    return siblings[0].value


def printing(siblings: Any) -> Any:
    print("merging", len(siblings))
    return sorted({i for v in values(siblings) for i in v})


def forgetful(siblings: Any) -> Any:
    sorted({i for v in values(siblings) for i in v})


def picky(siblings: Any) -> Any:
    first, second = siblings  # of three there is one too many
    return sorted({*first.value, *second.value})


def two_phase(siblings: Any) -> Any:
    return {part: sorted({i for v in values(siblings) for i in v[part]}) for part in ("added", "removed")}


def two_phase_edits() -> list[Any]:
    def changed(part: str, item: str) -> Any:
        def do(v: Any) -> Any:
            v = v or {"added": [], "removed": []}
            return {**v, part: sorted({*v[part], item})}

        return do

    return [adding("tea", changed("added", "tea")), removing("tea", changed("removed", "tea")), adding("milk", changed("added", "milk"))]


def two_phase_shown(v: Any) -> Any:
    return set(v["added"]) - set(v["removed"])


def bounded_queue(siblings: Any) -> Any:
    """As statebox: the newest operations are kept, to be applied again; older ones are forgotten."""
    operations = sorted({tuple(op) for v in values(siblings) for op in v})
    return [list(op) for op in operations[-3:]]


def queue_edits() -> list[Any]:
    def push(item: str) -> Any:
        return adding(item, lambda v: [*(v or []), [max([n for n, _ in v or []], default=0) + 1, item]][-3:])

    return [push(item) for item in ("a", "b", "c", "d", "e")]


def last_counter(siblings: Any) -> Any:
    return max(siblings, key=lambda s: (s.written_at, s.dot)).value


BROKEN: list[tuple[str, Any, dict[str, Any], set[str]]] = [
    ("longest list", longest_list, {"edits": LISTS, "observe": set}, {"no edit lost"}),
    ("first of the longest", first_of_the_longest, {"edits": LISTS, "observe": set}, {"no edit lost", "commutative", "converges"}),
    ("2P set", two_phase, {"edits": two_phase_edits(), "observe": two_phase_shown}, {"no edit lost"}),
    ("sum of quantities", sum_of_quantities, {"edits": NUMBERS, "measure": float}, {"idempotent", "counted once"}),
    ("max of quantities", max_of_quantities, {"edits": NUMBERS, "measure": float}, {"counted once"}),
    ("order of keys", by_order_of_keys, {"edits": [lambda v: {**(v or {}), "b": 1}, lambda v: {**(v or {}), "a": 1, "c": 1}]}, {"deterministic", "commutative"}),
    ("bounded queue", bounded_queue, {"edits": queue_edits(), "observe": lambda v: {item for _, item in v}}, {"no edit lost"}),
    ("concatenated lists", concatenated, {"edits": [lambda v: [*(v or []), "tea"], lambda v: [*(v or []), "milk"]], "observe": set}, {"commutative", "idempotent", "bounded", "converges"}),
    ("dice", by_the_dice, {"edits": LISTS, "observe": set}, {"deterministic", "no edit lost"}),
    ("clock", by_the_clock, {"edits": LISTS, "observe": set}, {"deterministic", "converges"}),
    ("in place", in_place, {"edits": LISTS}, {"pure"}),
    ("printing", printing, {"edits": LISTS}, {"pure"}),
    ("returns nothing", forgetful, {"edits": LISTS}, {"total"}),
    ("raises on three", picky, {"edits": LISTS}, {"total"}),
    ("last write", resolvers.last_write(), {"edits": LISTS, "observe": set}, {"no edit lost"}),
    ("last write of counters", last_counter, {"edits": NUMBERS, "measure": float}, {"counted once"}),
    ("union of what was removed", resolvers.union(), {"edits": LISTS, "observe": set, "removed_stays": True}, {"removed stays removed"}),
]  # fmt: skip


@pytest.mark.parametrize(("called", "merge", "given", "laws"), BROKEN, ids=[each[0] for each in BROKEN])
def test_a_broken_merge_is_found_shrunk_and_repeated(called: str, merge: Any, given: dict[str, Any], laws: set[str]) -> None:
    begun = time.monotonic()
    report = ringlet.check_merge(merge, histories=200, **given)
    assert time.monotonic() - begun < 10
    assert not report.ok and laws <= set(report.broken), report
    with pytest.raises(LawBroken) as raised:
        report.raise_for_failure()
    assert str(raised.value) == str(report)
    for failure in report.failures:
        assert len(failure.sentences) == 3 and all(sentence.endswith(".") for sentence in failure.sentences), failure.sentences
        assert failure.history is not None and failure.history.svg().startswith("<svg")
        steps = [line for line in failure.code.splitlines() if line.lstrip().startswith("play.")]
        assert len(steps) <= 8, failure.code
        if merge in (by_the_dice, by_the_clock):
            continue  # another throw of the dice need not break the law in the same history
        if failure.law != "bounded":
            with pytest.raises(LawBroken):
                exec(failure.code, {"merge": merge, **given})
    assert "<svg" in report._repr_html_()
    if ringlet._core.has("lab"):
        lost = [failure for failure in report.failures if failure.law in ("no edit lost", "counted once", "removed stays removed")]
        assert merge is by_the_dice or all("leaves the same in a laboratory" in failure.sentences[2] for failure in lost), report


FIELDS = [
    lambda v: {**(v or {}), "items": sorted({*(v or {}).get("items", []), "tea"})},
    lambda v: {**(v or {}), "items": sorted({*(v or {}).get("items", []), "milk"})},
    lambda v: {**(v or {}), "note": "ring twice"},
    lambda v: {**(v or {}), "seen": {**(v or {}).get("seen", {}), "shop": (v or {}).get("seen", {}).get("shop", 0) + 1}},
]


def counters(writer: str) -> Any:
    return lambda v: {**(v or {}), writer: (v or {}).get(writer, 0) + 1}


GOOD: list[tuple[str, Any, dict[str, Any]]] = [
    ("union", resolvers.union(), {"edits": LISTS, "observe": set}),
    ("union of text", resolvers.union(), {"edits": [lambda v: (v or "") + "a\n", lambda v: (v or "") + "b\n"], "codec": ringlet.Text}),
    ("ordered_set", resolvers.ordered_set(), {"edits": LISTS, "observe": set}),
    ("keep_all", resolvers.keep_all(), {"edits": [lambda v: [*(v or []), "x"], lambda v: ["y"]]}),
    ("counter", resolvers.counter(), {"edits": [counters("alice"), counters("bob")]}),
    ("merge_dict", resolvers.merge_dict({"items": resolvers.union(), "seen": resolvers.counter()}), {"edits": FIELDS, "observe": lambda v: set(v.get("items", ()))}),
]  # fmt: skip


@pytest.mark.parametrize(("called", "merge", "given"), GOOD, ids=[each[0] for each in GOOD])
def test_the_librarys_resolvers_pass_500_histories_in_ten_seconds(called: str, merge: Any, given: dict[str, Any]) -> None:
    begun = time.process_time()
    report = ringlet.check_merge(merge, **given)
    report.raise_for_failure()
    assert report.ok and report.histories == 500 and report.merges > 500
    assert time.process_time() - begun < 10
    assert "keeps" in str(report)


def test_union_says_that_what_was_removed_comes_back() -> None:
    report = ringlet.check_merge(resolvers.union(), edits=LISTS, observe=set)
    assert report.ok and report.counted["removed stays removed"] > 0
    assert "Not promised, and so no failure: removed stays removed did not hold in" in str(report)


SCHEMA = Map(items=Map(of=Counter), coupons=Set, gift=Flag, note=Register)


def test_documents_keep_every_law() -> None:
    coupons = [
        adding("A", lambda c: c["coupons"].add("A")), adding("B", lambda c: c["coupons"].add("B")),
        removing("A", lambda c: c["coupons"].discard("A")), lambda c: c["gift"].enable(),
    ]  # fmt: skip
    begun = time.process_time()
    report = ringlet.check_merge(SCHEMA, edits=coupons, observe=lambda v: v["coupons"], removed_stays=True, histories=300)
    report.raise_for_failure()
    assert report.histories == 300 and set(report.laws) == {"total", "deterministic", "no edit lost", "removed stays removed", "bounded"}
    counted = [counting(n, lambda c, n=n: c["items"]["tea"].increment(n)) for n in (1, 2, -1)]
    report = ringlet.check_merge(SCHEMA, edits=counted, measure=lambda v: sum(v["items"].values()), histories=300)
    report.raise_for_failure()
    assert time.process_time() - begun < 15


def test_a_document_whose_edits_break_a_promise_is_found() -> None:
    """The flag is enabled and disabled again by whoever had seen it; the promise is of another field."""
    wrong = [adding("A", lambda c: c["coupons"].add("B"))]
    report = ringlet.check_merge(SCHEMA, edits=wrong, observe=lambda v: v["coupons"], histories=5)
    assert report.broken == ("no edit lost",)
    with pytest.raises(LawBroken):
        exec(report.failures[0].code, {"merge": SCHEMA, "edits": wrong, "observe": lambda v: v["coupons"]})


def test_old_and_new_release() -> None:
    def newest_first(siblings: Any) -> Any:
        return sorted({i for v in values(siblings) for i in v}, reverse=True)

    report = ringlet.check_merge(newest_first, old=resolvers.union(), edits=LISTS, observe=set)
    assert report.broken == ("old and new release",) and "After eight rounds" in report.failures[0].sentences[1]
    assert ringlet.check_merge(resolvers.union(), old=resolvers.ordered_set(), edits=LISTS, observe=set).ok
    lossy = ringlet.check_merge(resolvers.union(), old=resolvers.last_write(), edits=LISTS, observe=set)
    assert "old and new release" in lossy.broken, "the old release still loses edits that the new one keeps"


@pytest.mark.parametrize("how", ["loops", "sleeps"])
def test_a_merge_that_does_not_come_back(how: str) -> None:
    end = threading.Event()

    def blocks(siblings: Any) -> Any:
        while how == "loops":
            pass
        end.wait(20)
        return siblings[0].value

    begun = time.monotonic()
    report = ringlet.check_merge(blocks, edits=LISTS, deadline=0.2)
    end.set()
    assert time.monotonic() - begun < 5
    assert report.broken == ("total",) and "did not come back within 0.2 s" in report.failures[0].sentences[1]
    deadline = time.monotonic() + 5
    while any(thread.name == "ringlet-check" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the thread of the check is still there"
        time.sleep(0.01)


def test_an_asynchronous_merge_is_told() -> None:
    async def merge(siblings: Any) -> Any:
        return siblings[0].value

    report = ringlet.check_merge(merge, edits=LISTS)
    assert report.broken == ("total",) and "asynchronous" in report.failures[0].sentences[1]


def test_what_other_threads_print_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()

    def chatter() -> None:
        while not stop.is_set():
            print("chatter")
            time.sleep(0.001)

    thread = threading.Thread(target=chatter)
    thread.start()
    before = sys.stdout
    try:
        report = ringlet.check_merge(resolvers.union(), edits=LISTS, histories=100)
    finally:
        stop.set()
        thread.join()
    assert report.ok and sys.stdout is before and "chatter" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_report_and_leaves_the_dice_alone() -> None:
    random.seed(5)
    state = random.getstate()
    reports = [ringlet.check_merge(longest_list, edits=LISTS, observe=set, seed=3) for _ in range(2)]
    assert str(reports[0]) == str(reports[1]) and random.getstate() == state
    other = ringlet.check_merge(longest_list, edits=LISTS, observe=set, seed=4)
    assert re.sub(r"seed \d|history [\d,]+ of|from \d+ steps|[\d,]+ merges|in \d+ of", "", str(other)) == re.sub(
        r"seed \d|history [\d,]+ of|from \d+ steps|[\d,]+ merges|in \d+ of", "", str(reports[0])
    ) or other.broken == reports[0].broken


def test_deletes_are_siblings_where_they_are_asked_for() -> None:
    edits = [add("tea"), add("milk"), lambda v: ringlet.Delete]
    assert ringlet.check_merge(resolvers.union(), edits=edits, observe=set, deletes="ask").ok

    def unaware(siblings: Any) -> Any:
        return sorted({i for sibling in siblings for i in sibling.value})

    assert ringlet.check_merge(unaware, edits=edits, observe=set).ok
    report = ringlet.check_merge(unaware, edits=edits, observe=set, deletes="ask")
    assert "total" in report.broken and "KeyMissing" in str(report)


def test_bad_input() -> None:
    union = resolvers.union()
    for call, error, said in [
        (lambda: ringlet.check_merge(None, edits=LISTS), TypeError, "wanted a resolver or a document type"),
        (lambda: ringlet.check_merge(resolvers.union, edits=LISTS), TypeError, "write union()"),
        (lambda: ringlet.check_merge(lambda: 1, edits=LISTS), TypeError, "cannot be called with siblings"),
        (lambda: ringlet.check_merge(union), ringlet.UsageError, "wanted edits, at least one, or a journal, got neither"),
        (lambda: ringlet.check_merge(union, edits=[7]), TypeError, r"edits\[0\]: wanted a function"),
        (lambda: ringlet.check_merge(union, edits=LISTS, histories=0), ringlet.UsageError, "histories: wanted 1 or more, got 0"),
        (lambda: ringlet.check_merge(union, edits=LISTS, deadline=0), ringlet.UsageError, "deadline: wanted a number of seconds above 0, got 0"),
        (lambda: ringlet.check_merge(union, edits=LISTS, laws=["fair"]), ringlet.UsageError, "wanted some of .*, got 'fair'"),
        (lambda: ringlet.check_merge(union, edits=LISTS, deletes="never"), ringlet.UsageError, "wanted 'lose', 'win' or 'ask', got 'never'"),
        (lambda: ringlet.check_merge(union, edits=[lambda v: 1 / 0]), ringlet.UsageError, r"edits\[0\] raised ZeroDivisionError.*no merge had touched"),
        (lambda: ringlet.check_merge(union, edits=[lambda v: None]), ringlet.UsageError, r"edits\[0\] returned None"),
        (lambda: Play(union, edits=LISTS).edit("zoe", 0), ringlet.UsageError, "client: wanted one of alice, .*, got 'zoe'"),
        (lambda: Play(union, edits=LISTS).check("fair"), ringlet.UsageError, "check: wanted one of"),
    ]:  # fmt: skip
        with pytest.raises(error, match=said):
            call()  # type: ignore[no-untyped-call]


def test_only_the_laws_that_are_asked_for() -> None:
    report = ringlet.check_merge(longest_list, edits=LISTS, observe=set, laws=["commutative"])
    assert report.ok and report.laws == ("commutative",)
    assert len(LAWS) == len(set(LAWS)) == 12


def test_histories_are_a_function_of_the_dice() -> None:
    assert draw(random.Random(3), 4) == draw(random.Random(3), 4)
    drawn = [draw(random.Random(seed), 4) for seed in range(200)]
    assert {len(steps) for steps in drawn} == set(range(2, 13))
    assert all(step.client != step.other for steps in drawn for step in steps)


def test_hypothesis_draws_and_shrinks_histories() -> None:
    hypothesis = pytest.importorskip("hypothesis", reason="Hypothesis is not in this environment")
    from ringlet.laws import histories

    found: list[Any] = []

    @hypothesis.settings(max_examples=200, database=None, deadline=None, derandomize=True)
    @hypothesis.given(histories(len(LISTS)))
    def good(steps: Any) -> None:
        check_history(resolvers.union(), steps, edits=LISTS, observe=set)

    @hypothesis.settings(max_examples=200, database=None, deadline=None, derandomize=True)
    @hypothesis.given(histories(len(LISTS)))
    def bad(steps: Any) -> None:
        found[:] = [steps]
        check_history(longest_list, steps, edits=LISTS, observe=set)

    good()
    with pytest.raises(LawBroken, match="no edit lost"):
        bad()
    assert len(found[0]) == 2


def test_a_history_by_hand() -> None:
    play = Play(resolvers.union(), edits=LISTS, observe=set)
    play.edit("alice", 0)
    play.sync("bob", "alice")
    play.edit("bob", 3)
    play.edit("alice", 1)
    assert play.value() == ["milk", "tea"]
    assert [version.value for version in play.history().versions] == ["['tea']", "[]", "['milk', 'tea']", "['milk', 'tea']"]
    with pytest.raises(LawBroken, match="it is back in"):
        play.check("removed stays removed")
    check_history(resolvers.union(), [Step(0, 0), Step(1, 1)], edits=LISTS, observe=set)


STORED = [each for each in BROKEN if each[3] & {"no edit lost", "counted once"} and "deletes" not in each[2] and each[1] is not by_the_dice]


@pytest.mark.parametrize(("called", "merge", "given", "laws"), STORED, ids=[each[0] for each in STORED])
def test_what_was_found_happens_on_a_cluster_too(
    client: ringlet.Client, name: str, called: str, merge: Any, given: dict[str, Any], laws: set[str]
) -> None:
    """The search needs no store; its findings are of the store all the same."""
    report = ringlet.check_merge(merge, **given, laws=["no edit lost", "counted once"])
    bucket = client.bucket(name, codec=ringlet.Json, w=3, r=3)
    for failure in report.failures:
        left: Any = play_on(bucket, failure.law, failure.history_steps, edits=given["edits"], merge=merge)
        play = Play(merge, **given)
        play._play(failure.history_steps)
        assert left == play.value(), (failure.law, failure.history_steps)


def test_a_good_merge_leaves_the_same_on_a_cluster(client: ringlet.Client, name: str) -> None:
    bucket = client.bucket(name, codec=ringlet.Json, w=3, r=3)
    for seed in range(30):
        steps = tuple(step for step in draw(random.Random(seed), 3, steps=8) if step.edit >= 0)
        left = play_on(bucket, f"k{seed}", steps, edits=LISTS[:3], merge=resolvers.union())
        play = Play(resolvers.union(), edits=LISTS[:3])
        play._play(steps)
        assert left == play.value() or (left is None and not steps)
    gone = play_on(bucket, "gone", [Step(0, 0), Step(0, 1)], edits=[LISTS[0], lambda v: ringlet.Delete], merge=resolvers.union())
    assert gone is None


def test_what_was_found_happens_in_a_laboratory_too() -> None:
    """On the production code in virtual time, each history in a cluster of its own; and the good merge is good there."""
    lab = pytest.importorskip("ringlet.lab", reason="this build has no laboratory")
    for merge, given in ((longest_list, {"edits": LISTS, "observe": set}), (max_of_quantities, {"edits": NUMBERS, "measure": float})):
        report = ringlet.check_merge(merge, **given, laws=["no edit lost", "counted once"])
        (failure,) = report.failures
        with lab.Lab(nodes=3, n=3, r=2, w=2, seed=7) as world:
            bucket = world.client("alice").bucket("check", codec=ringlet.Json)
            left: Any = play_on(bucket, "k", failure.history_steps, edits=given["edits"], merge=merge)
            play = Play(merge, **given)
            play._play(failure.history_steps)
            assert left == play.value()
            assert len(world.history("check", "k").versions) == len(play.versions)
    with lab.Lab(nodes=3, n=3, r=2, w=2, seed=7) as world:
        bucket = world.client("alice").bucket("check", codec=ringlet.Json)
        for seed in range(20):
            steps = tuple(step for step in draw(random.Random(seed), 3, steps=8) if step.edit >= 0)
            play = Play(resolvers.union(), edits=LISTS[:3])
            play._play(steps)
            assert play_on(bucket, f"k{seed}", steps, edits=LISTS[:3], merge=resolvers.union()) == play.value()
