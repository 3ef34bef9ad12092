"""languages_check.py finds each kind of broken promise, and nothing where there is none: histories made by hand."""

import languages_check
import pytest

CART = {"coupons": ["e1"], "items": {"e1": 2, "tea": 3}}


class History:
    """A history in which every language did something and every promise was kept."""

    def __init__(self):
        self.records, self.time = [], 0
        self.finals = {"each-1": {"entries": {"c0x1": 1}}, "sum-1": {"entries": {"java0": 2}}, "basket-1": dict(CART)}
        self.copies = {key: {"n1": "b", "n2": "b", "n3": "b"} for key in self.finals}
        self.do("c", "each-1", op="count", entry="c0x1", merges=1)
        for _ in range(2):
            self.do("java", "sum-1", op="count", entry="java0", strict=True)
        self.do("cpp", "basket-1", op="add", entry="tea", amount=3)
        self.do("python", "basket-1", op="put", element="e1", amount=2)
        self.do("python", "basket-1", op="put", element="e2", amount=1)
        self.do("cpp", "basket-1", op="take", element="e2")

    def do(self, language, key, status="OK", maybe=False, strict=False, merges=0, done=True, **what):
        number = f"{language}0.{self.time}"
        self.records.append({"t": "invoke", "id": number, "writer": f"{language}0", "language": language, "key": key,
                             "strict": strict, "at": self.time, **what})
        if done:
            self.records.append({"t": "done", "id": number, "at": self.time + 5, "status": status, "maybe": maybe, "merges": merges})
        self.time += 10

    def judge(self):
        records = list(self.records)
        for key, final in self.finals.items():
            records += [{"t": "final", "key": key, "node": node, "status": "ok", **final} for node in ("n1", "n2")]
            records.append({"t": "replicas", "key": key, "copies": self.copies[key]})
        return languages_check.judge(records)


@pytest.fixture
def made():
    return History()


def test_a_history_that_keeps_every_promise_is_whole(made):
    result = made.judge()
    assert result.ok, result.report()
    assert result.judged["counters"] == 3 and result.judged["elements kept"] == result.judged["elements taken out"] == 1


def broken(made):
    result = made.judge()
    assert not result.ok
    return {name for name, found in result.broken.items() if found}


@pytest.mark.parametrize(("key", "final", "names"), [
    ("each-1", {"entries": {}}, {"lost", "sum"}),
    ("each-1", {"entries": {"c0x1": 2}}, {"twice", "sum"}),
    ("each-1", {"entries": {"c0x1": 1, "c0x2": 1}}, {"phantom", "sum"}),
    ("sum-1", {"entries": {"java0": 1}}, {"lost", "sum"}),
    ("sum-1", {"entries": {"java0": 3}}, {"twice", "sum"}),
    ("basket-1", {"coupons": ["e1"], "items": {"e1": 2, "tea": 2}}, {"sum"}),
    ("basket-1", {"coupons": ["e1"], "items": {"e1": 2, "tea": 6}}, {"sum"}),
    ("basket-1", {"coupons": ["e1"], "items": {"e1": 4, "tea": 3}}, {"twice"}),
    ("basket-1", {"coupons": [], "items": {"tea": 3}}, {"lost"}),
    ("basket-1", {"coupons": ["e1"], "items": {"tea": 3}}, {"torn"}),
    ("basket-1", {"coupons": ["e1", "e2"], "items": {"e1": 2, "e2": 1, "tea": 3}}, {"came_back"}),
    ("basket-1", {"coupons": ["e1"], "items": {"e1": 2, "e2": 1, "tea": 3}}, {"came_back", "torn"}),
    ("basket-1", {"coupons": ["e1", "e9"], "items": {"e1": 2, "e9": 1, "tea": 3}}, {"phantom"}),
])
def test_what_is_there_at_the_end_is_compared_with_what_was_acknowledged(made, key, final, names):
    made.finals[key] = final
    assert broken(made) == names


def test_what_may_have_been_done_counts_once_or_not_at_all(made):
    made.do("c", "each-1", status="TIMEOUT", maybe=True, op="count", entry="c0x7")
    made.do("c", "each-1", done=False, op="count", entry="c0x8")  # its writer was killed
    made.do("cpp", "basket-1", status="TIMEOUT", maybe=True, op="add", entry="tea", amount=1)
    assert made.judge().ok
    made.finals["each-1"] = {"entries": {"c0x1": 1, "c0x7": 1, "c0x8": 1}}
    made.finals["basket-1"] = {**CART, "items": {"e1": 2, "tea": 4}}
    assert made.judge().ok
    made.finals["each-1"] = {"entries": {"c0x1": 1, "c0x7": 2}}
    made.finals["basket-1"] = {**CART, "items": {"e1": 2, "tea": 5}}
    assert broken(made) == {"twice", "sum"}


def test_what_was_refused_as_not_done_must_not_be_there(made):
    made.do("c", "each-1", status="UNAVAILABLE", op="count", entry="c0x7")
    made.do("python", "basket-1", status="UNAVAILABLE", op="put", element="e3", amount=1)
    assert made.judge().ok
    made.finals["each-1"] = {"entries": {"c0x1": 1, "c0x7": 1}}
    made.finals["basket-1"] = {"coupons": ["e1", "e3"], "items": {"e1": 2, "e3": 1, "tea": 3}}
    assert broken(made) == {"phantom", "sum"}


def test_an_element_whose_removal_may_have_been_done_may_be_there_or_not(made):
    made.do("python", "basket-1", op="put", element="e3", amount=1)
    made.do("c", "basket-1", status="TIMEOUT", maybe=True, op="take", element="e3")
    assert made.judge().ok
    made.finals["basket-1"] = {"coupons": ["e1", "e3"], "items": {"e1": 2, "e3": 1, "tea": 3}}
    assert made.judge().ok


def test_a_strict_removal_has_seen_only_what_was_acknowledged_before_it(made):
    """Such a removal is acknowledged also where it finds nothing."""
    made.do("python", "basket-1", status="TIMEOUT", maybe=True, op="put", element="e3", amount=1)
    made.do("c", "basket-1", strict=True, op="take", element="e3")
    made.finals["basket-1"] = {"coupons": ["e1", "e3"], "items": {"e1": 2, "e3": 1, "tea": 3}}
    assert made.judge().ok
    made.do("python", "basket-1", op="put", element="e4", amount=1)
    made.do("c", "basket-1", strict=True, op="take", element="e4")
    made.finals["basket-1"] = {"coupons": ["e1", "e4"], "items": {"e1": 2, "e4": 1, "tea": 3}}
    assert broken(made) == {"came_back"}


def test_of_an_element_that_is_put_in_and_taken_out_again_and_again_the_last_counts(made):
    for what in ("put_again", "take_again", "put_again"):
        made.do("c", "basket-1", strict=True, op=what, element="again1")
    without, with_it = dict(CART), {**CART, "coupons": ["again1", "e1"]}
    assert broken(made) == {"lost"}
    made.finals["basket-1"] = with_it
    assert made.judge().ok
    made.do("c", "basket-1", strict=True, op="take_again", element="again1")
    assert broken(made) == {"came_back"}
    made.finals["basket-1"] = without
    assert made.judge().ok
    for final in (with_it, without):  # of two at the same time either may be the last
        made.do("c", "basket-1", status="TIMEOUT", maybe=True, op="put_again", element="again1")
        made.finals["basket-1"] = final
        assert made.judge().ok


@pytest.mark.parametrize("copies", [{"n1": "b", "n2": "b", "n3": "other"}, {"n1": "b", "n2": "b"},
                                    {"n1": "b", "n2": "b", "n3": "unknown: silent"}])
def test_owners_that_differ_or_are_silent_are_found(made, copies):
    made.copies["sum-1"] = copies
    assert broken(made) == {"replicas"}


def test_nodes_that_do_not_answer_or_not_alike_are_found(made):
    made.finals.pop("sum-1")
    assert broken(made) == {"finals"}


def test_a_history_in_which_too_little_happened_proves_nothing(made):
    made.records = [r for r in made.records if r.get("language") != "java"]
    made.finals.pop("sum-1")
    made.records = [r for r in made.records if r["t"] == "invoke" or not r["id"].startswith("java")]
    result = made.judge()
    assert not any(result.broken.values()) and not result.ok and "too little" in result.report()
