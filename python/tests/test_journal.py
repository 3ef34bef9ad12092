"""The conflict journal: what a resolver met, written down, and given to another merge."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

import ringlet
import ringlet.aio
from ringlet import resolvers
from ringlet.journal import Journal, read_journal


def conflicting(cluster: ringlet.LocalCluster, name: str, journal: Any, times: int = 1, **bucket: Any) -> Any:
    with cluster.connect(timeout=5.0, journal=journal) as client:
        carts = client.bucket(name, **{"codec": ringlet.Json, "resolver": resolvers.union(), **bucket})
        for number in range(times):
            carts.put(f"k{number}", ["tea"])
            carts.put(f"k{number}", ["milk", "rum"])
            carts.update(f"k{number}", lambda items: [*items, "eggs"])
        return carts.get("k0").value


def test_each_conflict_is_written_and_can_be_read(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    path = tmp_path / "conflicts.jsonl"
    assert conflicting(cluster, name, path, 3) == ["milk", "rum", "tea", "eggs"]
    found = list(read_journal(path, codec=ringlet.Json))
    assert len(found) == 3 and [conflict.line for conflict in found] == [1, 2, 3]
    first = found[0]
    assert (first.bucket, first.key, first.end, first.error) == (name, "k0", "value", "")
    assert sorted(sibling.value for sibling in first.siblings) == [["milk", "rum"], ["tea"]]
    assert len({sibling.dot for sibling in first.siblings}) == 2 and all(s.written_at.year >= 2024 for s in first.siblings)
    assert json.loads(first.result or b"") == ["milk", "rum", "tea"] and 0 <= first.ms < 10_000
    assert "union" in first.resolver
    assert path.stat().st_mode & 0o077 == 0, "values of users are in it"


def test_what_is_no_conflict_is_not_written(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with cluster.connect(timeout=5.0, journal=path) as client:
        carts = client.bucket(name, codec=ringlet.Json, resolver=resolvers.union())
        carts.update("k", lambda items: [*(items or []), "tea"])
        carts.update("k", lambda items: [*items, "milk"])
    assert path.read_text() == ""


def test_ends_that_are_no_value(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"

    def angry(siblings: Any) -> Any:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        conflicting(cluster, name, path, resolver=angry)
    with cluster.connect(timeout=5.0, journal=path) as client:
        for number, answer in enumerate((ringlet.Delete, ringlet.Keep)):
            carts = client.bucket(f"{name}-{number}", codec=ringlet.Json, resolver=lambda siblings, answer=answer: answer)
            carts.put("k", ["tea"])
            carts.put("k", ["milk"])
            carts.update("k", lambda items: ["new"])
    ends = [(conflict.end, conflict.error) for conflict in read_journal(path, codec=ringlet.Json)]
    assert ends == [("error", "ValueError: no"), ("delete", ""), ("keep", "")]


def test_values_may_be_left_out(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "c.jsonl", values=False)
    conflicting(cluster, name, journal)
    text = journal.path.read_text()
    assert journal.written == 1 and '"value"' not in text and '"result"' not in text and '"bytes"' in text
    with pytest.raises(ringlet.DataError, match="was written without values and cannot be replayed"):
        ringlet.replay(journal, merge=resolvers.union())


def test_a_journal_is_bounded_and_no_error_of_a_call(
    cluster: ringlet.LocalCluster, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "c.jsonl", max_bytes=4096)
    with caplog.at_level(logging.WARNING, "ringlet"):
        conflicting(cluster, name, journal, 20)
    assert 0 < journal.written < 20 and journal.written + journal.left_out == 20
    assert journal.path.stat().st_size <= 4096 and caplog.text.count("has reached 4096 bytes") == 1
    gone = Journal(tmp_path / "gone" / "c.jsonl") if (tmp_path / "gone").mkdir() is None else None
    assert gone is not None
    gone.path.unlink()
    gone.path.parent.rmdir()
    caplog.clear()
    assert conflicting(cluster, f"{name}-b", gone) == ["milk", "rum", "tea", "eggs"]
    assert gone.left_out == 1 and "cannot be written" in caplog.text


def test_bad_journals(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="journal: wanted a path or a ringlet.Journal, got int"):
        ringlet.connect("127.0.0.1:1", journal=7)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        ringlet.connect("127.0.0.1:1", journal=tmp_path / "nowhere" / "c.jsonl")
    with pytest.raises(ValueError, match="wanted max_bytes of at least 4096, got 7"):
        Journal(tmp_path / "c", max_bytes=7)
    for text, said in (
        ("{}\n", "c.jsonl:1: wanted a conflict as JSON"),
        ("no json\n", "c.jsonl:1: wanted a conflict as JSON, got b'no json"),
        ('{"format":9}\n', "wanted format 1 of a conflict journal, got 9"),
        ('{"format":1,"siblings":[{"deleted":false,"value":"?"}]}\n', "wanted a conflict as JSON"),
    ):
        (tmp_path / "c.jsonl").write_text(text)
        with pytest.raises(ringlet.DataError, match=said):
            ringlet.replay(tmp_path / "c.jsonl", merge=resolvers.union())


def test_a_line_that_was_cut_is_no_conflict(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    conflicting(cluster, name, path, 2)
    path.write_bytes(path.read_bytes()[:-20])
    assert len(list(read_journal(path))) == 1


def test_replay_shows_where_another_merge_decides_otherwise(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    conflicting(cluster, name, path, 4)
    same = ringlet.replay(path, merge=resolvers.union())
    assert (same.total, same.same, same.differ, same.failed) == (4, 4, (), ())

    def longest(siblings: Any) -> Any:
        return max((sibling.value for sibling in siblings), key=len)

    other = ringlet.replay(path, merge=longest)
    assert len(other.differ) == 4 and other.same == 0
    assert "became ['milk', 'rum', 'tea'], and now ['milk', 'rum']" in str(other)
    assert "['milk', 'rum']" in str(other.differ[0].history()) and other.differ[0].history().svg().startswith("<svg")
    assert other._repr_html_().count("<svg") == 3

    def angry(siblings: Any) -> Any:
        raise ValueError("no")

    assert len(ringlet.replay(path, merge=angry).failed) == 4
    assert "raises on 4" in str(ringlet.replay(path, merge=angry))
    with pytest.raises(TypeError, match=r"write union\(\)"):
        ringlet.replay(path, merge=resolvers.union)


def test_check_merge_asks_the_conflicts_of_a_journal(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    conflicting(cluster, name, path, 4)
    assert ringlet.check_merge(resolvers.union(), journal=path).histories == 4

    def joined(siblings: Any) -> Any:
        return [item for sibling in siblings for item in sibling.value]

    report = ringlet.check_merge(joined, journal=path)
    assert {"commutative", "idempotent"} <= set(report.broken)
    assert f"line 1 of the journal: {name}/k0" in str(report)


def test_asyncio_and_a_resolver_that_is_awaited(cluster: ringlet.LocalCluster, name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"

    async def union(siblings: Any) -> Any:
        await asyncio.sleep(0)
        return sorted({item for sibling in siblings for item in sibling.value})

    async def main() -> None:
        async with ringlet.aio.connect(cluster.seeds, timeout=5.0, journal=path) as client:
            carts = client.bucket(name, codec=ringlet.Json, resolver=union)
            await carts.put("k", ["tea"])
            await carts.put("k", ["milk"])
            await carts.update("k", lambda items: [*items, "eggs"])

    asyncio.run(main())
    (conflict,) = read_journal(path, codec=ringlet.Json)
    assert conflict.result == b'["milk","tea"]'
