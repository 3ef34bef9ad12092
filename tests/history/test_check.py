"""The checker can fail: for each promise a made-up history that breaks it, beside the nearest one that does not."""

import json
import subprocess
import sys

import check
import client
import pytest


class Made:
    """A history made up line by line; time passes by one at every event unless it is given."""

    def __init__(self, reconcile="siblings", **meta):
        self.records = [{"t": "meta", "n": 3, "r": 2, "w": 2, "reconcile": reconcile, "truncated_at": 1000, **meta}]
        self.now, self.count = 100, 0

    def operation(self, op, key="k", *, session="s", status="ok", maybe=False, shown=None, strict=False, begin=None, end=None,
                  answered=True, **more):
        self.count += 1
        id_ = f"{session}.{self.count}"
        self.now = begin or self.now + 1
        self.records.append({"t": "invoke", "id": id_, "session": session, "surface": "made-up", "op": op, "key": key,
                             "at": self.now, "strict": strict, "r": 0, "w": 0, **more})
        self.now = end or self.now + 1
        if answered:
            self.records.append({"t": "done", "id": id_, "at": self.now, "status": status, "maybe": maybe, "shown": shown})
        return self

    def put(self, token, *context, **more):
        return self.operation("put", token=token, context=list(context), **more)

    def delete(self, token, *context, **more):
        return self.operation("delete", token=token, context=list(context), **more)

    def get(self, *shown, **more):
        return self.operation("get", shown=list(shown), **more)

    def final(self, *shown, key="k", nodes=("n1", "n2", "n3"), status="ok"):
        self.records += [{"t": "final", "key": key, "node": n, "status": status, "shown": list(shown)} for n in nodes]
        return self

    def replica(self, node, *shown, key="k", digest="d"):
        self.records.append({"t": "replica", "key": key, "node": node, "shown": list(shown), "digest": digest})
        return self

    def fault(self, name, begin, until, **more):
        self.records.append({"t": "fault", "name": name, "node": "n1", "at": begin, "until": until, **more})
        return self

    @property
    def verdicts(self):
        """The names of what is broken; the order of the records must not matter."""
        one, other = check.judge(self.records), check.judge(self.records[::-1])
        assert {k: sorted(v) for k, v in one.broken.items()} == {k: sorted(v) for k, v in other.broken.items()}
        assert check.report(one).endswith("PASS" if one.ok else "BROKEN")
        return {name for name, its in one.broken.items() if its}


def test_an_ordinary_history_keeps_all_promises():
    made = Made().put("a", strict=True).get("a", strict=True).put("b", "a").put("c", "a").get("b", "c", strict=True)
    made.put("d", "b", "c", strict=True).replica("n1", "d").replica("n2", "d").final("d")
    assert made.verdicts == set()


# ---- lost ----


def test_an_acknowledged_write_that_is_nowhere_is_lost():
    assert Made().put("a").final().verdicts == {"lost"}
    assert Made().put("a").put("b").final("b").verdicts == {"lost"}, "a blind write replaces nothing"


def test_what_a_successor_covers_is_not_lost():
    assert Made().put("a").put("b", "a").final("b").verdicts == set()
    assert Made().put("a").put("b", "a").put("c", "b").final("c").verdicts == set(), "covered in two steps"
    assert Made().put("a").delete("x", "a").final().verdicts == set()


def test_a_successor_that_is_gone_itself_explains_nothing():
    assert Made().put("a").put("b", "a", status="TIMEOUT", maybe=True).final().verdicts == {"lost"}
    assert Made().put("a").put("b", "a", status="INVALID_ARGUMENT").final("b").verdicts == {"phantom"}
    assert Made().put("a").delete("x", "a", status="INVALID_ARGUMENT").final().verdicts == {"lost"}


def test_a_write_that_may_have_happened_may_be_there_or_not():
    for failed in ({"status": "TIMEOUT", "maybe": True}, {"answered": False}):
        assert Made().put("a", **failed).final("a").verdicts == set()
        assert Made().put("a", **failed).final().verdicts == set()
        assert Made().put("a").delete("x", "a", **failed).final().verdicts == set()
        assert Made().put("a").delete("x", "a", **failed).final("a").verdicts == set()


def test_a_write_that_was_tried_again_and_acknowledged_once_is_acknowledged():
    tried = Made().put("a", status="TIMEOUT", maybe=True).put("a")
    assert tried.final("a").verdicts == set()
    assert Made().put("a", status="TIMEOUT", maybe=True).put("a").final().verdicts == {"lost"}


# ---- phantom ----


def test_what_was_never_written_is_a_phantom():
    assert Made().get("z").verdicts == {"phantom"}
    assert Made().put("a").final("a", "z").verdicts == {"phantom"}
    assert Made().put("a").replica("n1", "z").final("a").verdicts == {"phantom"}
    assert Made().put("a").get("a", key="other").final("a").verdicts == {"phantom"}, "the value of another key"
    assert Made().get("a", begin=1, end=2).put("a", begin=10, end=11).final("a").verdicts == {"phantom"}, "before it was written"
    assert Made().delete("x").final("x").verdicts == {"phantom"}, "a delete has no value"


def test_a_write_that_certainly_did_not_happen_is_a_phantom_when_it_is_shown():
    assert Made().put("a", status="UNAVAILABLE").final("a").verdicts == {"phantom"}
    assert Made().put("a", status="UNAVAILABLE").final().verdicts == set()


def test_a_value_that_was_cut_or_altered_is_a_phantom():
    value = client.sealed(client.value_of("a", "s", ["z"], "xxx"))
    assert client.token_of(value) == "a"
    for bad in (value[:-1], value[1:], value.replace(b"z", b"y"), b"", b"\xff"):
        assert client.token_of(bad).startswith("?")
        assert Made().put("a").get(client.token_of(bad)).final("a").verdicts == {"phantom"}


# ---- twice ----


def test_one_write_in_two_siblings_is_twice():
    assert Made().put("a").get("a", "a").final("a").verdicts == {"twice"}
    assert Made().put("a").final("a", "a").verdicts == {"twice"}
    assert Made().put("a").put("b").final("a", "b").verdicts == set()


# ---- back ----


def test_what_was_replaced_and_is_there_at_the_end_is_back():
    assert "back" in Made().put("a").put("b", "a").final("a", "b").verdicts
    assert Made().put("a").delete("x", "a").final("a").verdicts == {"back"}
    assert Made().put("a").put("b", "a").put("c", "b").final("a", "c").verdicts == {"back", "ancestor"}
    chain = Made().put("a").put("b", "a").delete("x", "b").final("a")
    assert chain.verdicts == {"back"}, "covered in two steps"


def test_a_successor_that_another_had_seen_exists_even_unacknowledged():
    made = Made().put("a").delete("x", "a", answered=False).put("b", "x")
    assert made.final("a", "b").verdicts == {"back", "ancestor"}


def test_what_a_failed_write_would_have_replaced_may_stay():
    assert Made().put("a").delete("x", "a", status="TIMEOUT", maybe=True).final("a").verdicts == set()


def test_a_write_repeated_after_it_was_deleted_is_back():
    assert Made().put("a").delete("x", "a").put("a").final("a").verdicts == {"back"}
    assert Made().put("a").delete("x", "a").put("a").final().verdicts == set()
    assert Made().put("a").delete("x", "a").put("b").final("b").verdicts == set(), "created again, by another write"


def test_a_strict_reader_sees_nothing_again_that_was_replaced():
    def made(strict_write, strict_read):
        return Made().put("a").delete("x", "a", strict=strict_write).get("a", strict=strict_read).final().verdicts

    assert made(True, True) == {"back"}
    assert made(True, False) == set()
    assert made(False, True) == set()
    early = Made().put("a", end=110).get("a", strict=True, begin=115, end=130).delete("x", "a", strict=True, begin=112, end=120)
    assert early.final().verdicts == set(), "the read began before the acknowledgement"


# ---- stale ----


def test_a_strict_read_that_misses_a_strict_write_is_stale():
    assert Made().put("a", strict=True).get(strict=True).final("a").verdicts == {"stale"}
    assert Made().put("a", strict=True).get().final("a").verdicts == set()
    assert Made().put("a").get(strict=True).final("a").verdicts == set()
    assert Made().put("a", strict=True, w=1).get(strict=True).final("a").verdicts == set(), "one copy of three is no majority"
    assert Made().put("a", strict=True).get(strict=True, r=1).final("a").verdicts == set()


def test_a_strict_read_may_see_a_successor_instead():
    assert Made().put("a", strict=True).put("b", "a").get("b", strict=True).final("b").verdicts == set()
    assert Made().put("a", strict=True).delete("x", "a", answered=False).get(strict=True).final().verdicts == set()
    later = Made().put("a", strict=True, end=102).get(strict=True, begin=105, end=110).delete("x", "a", begin=120, end=121)
    assert later.final().verdicts == {"stale"}, "a delete that began after the read explains nothing"
    during = Made().put("a", strict=True, begin=100, end=110).get(strict=True, begin=105, end=120).final("a")
    assert during.verdicts == set(), "the write was not acknowledged when the read began"


def test_strict_reads_are_not_judged_while_a_disk_is_lost():
    made = Made().put("a", strict=True, end=110).get(strict=True, begin=150, end=160).final("a")
    made.fault("disk_lost", 140, 155, weakens="strict")
    result = check.judge(made.records)
    assert result.ok and result.unjudged_strict == 1
    made.records[-1]["until"] = 149
    assert made.verdicts == {"stale"}


# ---- ancestor ----


def test_an_ancestor_beside_its_descendant_at_the_end():
    made = Made().put("a").put("b", "a", status="TIMEOUT", maybe=True)
    assert made.final("a", "b").verdicts == {"ancestor"}
    passing = Made().put("a").put("b", "a", answered=False).get("a", "b").final("b")
    assert passing.verdicts == set() and check.judge(passing.records).passing_ancestors == 1


# ---- not converged ----


def test_owners_that_differ_have_not_converged():
    assert Made().put("a").replica("n1", "a").replica("n2").final("a").verdicts == {"not_converged"}
    assert Made().put("a").replica("n1", "a", digest="1").replica("n2", "a", digest="2").final("a").verdicts == {"not_converged"}
    assert Made().put("a").put("b").final("a", "b", nodes=("n1",)).final("b", "a", nodes=("n2",)).verdicts == set()
    assert Made().put("a").final("a", nodes=("n1",)).final(nodes=("n2",)).verdicts == {"not_converged"}
    assert Made().put("a").final(status="TIMEOUT").verdicts == {"not_converged"}


# ---- truncation ----


def test_what_truncation_forgot_may_come_back_and_is_still_never_lost():
    made = Made().put("a").put("b", "a", context_bytes=2000)
    assert made.final("a", "b").verdicts == set()
    assert Made().put("a").put("b", "a", context_bytes=2000).final("a").verdicts == {"lost"}
    assert check.judge(made.records).truncated_keys == 1


# ---- last write wins ----


def test_lww_may_lose_what_is_concurrent_and_nothing_else():
    def lww():
        return Made("lww")

    assert lww().put("a", session="1").put("b", session="2").final("a").verdicts == set(), "concurrent: no context, two sessions"
    assert lww().put("a", session="1").put("b", session="2").final("b").verdicts == set()
    assert lww().put("a", session="1").put("b", "a", session="2").final("a").verdicts == {"back"}, "b had seen a"
    assert lww().put("a").put("b").final("a").verdicts == {"lost"}, "b followed in the same session"
    assert lww().put("a").put("b").final("b").verdicts == set()
    assert lww().put("a", session="1").put("b", session="2").final("a", "b").verdicts == {"twice"}
    assert lww().put("a").final().verdicts == {"lost"}


def test_lww_deletes():
    def lww():
        return Made("lww")

    assert lww().put("a", session="1").delete("x", session="2").final().verdicts == set()
    assert lww().put("a", session="1").delete("x", session="2").final("a").verdicts == set(), "concurrent"
    assert lww().put("a").delete("x", "a").final("a").verdicts == {"back"}
    assert lww().put("a").delete("x", "a").put("b").final().verdicts == {"lost"}, "the put after the delete is gone"
    assert lww().delete("x", answered=False, session="1").put("a", session="2").final().verdicts == set()


def test_lww_strict_reads():
    def lww():
        return Made("lww")

    assert lww().put("a", session="1", strict=True).get(session="2", strict=True).final("a").verdicts == {"stale"}
    seen = lww().put("a", session="1", strict=True).put("b", "a", session="2", strict=True)
    assert seen.get("a", strict=True).final("b").verdicts == {"back"}
    either = lww().put("a", session="1", strict=True).put("b", session="2", strict=True).get("a", strict=True)
    assert either.final("b").verdicts == set(), "concurrent writes: clocks decide"


# ---- the records themselves ----


def test_availability_is_counted():
    result = check.judge(Made().put("a").put("b", status="TIMEOUT", maybe=True).get("a", "b").get(answered=False).final("a").records)
    assert result.counts["made-up put"] == {"ok": 1, "TIMEOUT (maybe)": 1}
    assert result.counts["made-up get"] == {"ok": 1, "unanswered": 1}


def test_a_history_that_contradicts_itself_is_not_judged():
    for made in (Made().put("a").put("a", "z"), Made().put("a").delete("a"), Made().put("a").put("a", key="other")):
        with pytest.raises(check.NoHistory):
            check.judge(made.records)
    with pytest.raises(check.NoHistory, match="meta"):
        check.judge([])


def test_check_py_judges_a_file(tmp_path):
    def run(text):
        (tmp_path / "h").write_text(text)
        return subprocess.run([sys.executable, check.__file__, str(tmp_path / "h")], capture_output=True, text=True)

    good = Made().put("a").final("a").records
    bad = Made().put("a").final().records
    assert run("\n".join(map(json.dumps, good))).returncode == 0
    broken = run("\n".join(map(json.dumps, bad)))
    assert broken.returncode == 1 and "lost           1" in broken.stdout
    for text, words in (("{", "line 1"), ("[]", "line 1"), ("", "meta"), (json.dumps({**good[1], "op": "put"}), "meta"),
                        ("\n".join([json.dumps(good[0]), '{"t": "invoke", "id": "1"}']), "lacks the field")):
        refused = run(text)
        assert refused.returncode == 2 and words in refused.stderr, refused
