"""What nodes hold: the ring, the replicas of a key, and the comparison of two trees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from . import _svg, _words
from ._picture import Marks, Picture
from ._words import listed, many, name
from .history import GLYPHS


class Ring(Picture):
    """Partitions and their owners, where a key lives, and what a change moves."""

    _kind = "ring"

    def _read(self) -> None:
        data = self.data
        self.partitions: int = _words.need(data, "partitions", int, "ring")
        self.n: int = _words.need(data, "n", int, "ring")
        self.members: list[Mapping[str, Any]] = _words.rows(data, "members", "ring", must=True)
        for index, member in enumerate(self.members):
            _words.need(member, "name", str, f"ring.members[{index}]")
        self.slots: list[Mapping[str, Any]] = sorted(_words.rows(data, "slots", "ring", must=True), key=lambda slot: int(slot.get("partition", 0)))
        for index, slot in enumerate(self.slots):
            _words.need(slot, "partition", int, f"ring.slots[{index}]")
            _words.need(slot, "owners", (list, tuple), f"ring.slots[{index}]")
        self.key: Mapping[str, Any] | None = data.get("key")
        if self.key is not None:
            _words.need(self.key, "preference", (list, tuple), "ring.key")
        names = [str(member["name"]) for member in self.members]
        for slot in self.slots:
            names += [str(each) for each in [*slot["owners"], *(slot.get("next") or ())]]
        self._names = list(dict.fromkeys(names))
        self._letter = {called: _svg.SERIES[i % len(_svg.SERIES)] for i, called in enumerate(self._names)}
        self._moves = [slot for slot in self.slots if slot.get("next") and list(slot["next"]) != list(slot["owners"])]

    def _title(self) -> str:
        return f"ring of {many(self.partitions, 'partition')}"

    def _head(self) -> str:
        epoch = f", epoch {self.data['epoch']}" if self.data.get("epoch") is not None else ""
        return f"{self._title()}, {many(len(self.members), 'member')}, n={self.n}{epoch}"

    def _items(self) -> dict[str, dict[str, str]]:
        items = {f"partition {slot['partition']}": {"owners": listed([str(o) for o in slot["owners"]], most=9)} for slot in self.slots}
        for member in self.members:
            items[str(member["name"])] = {
                field: str(member[field]) for field in ("weight", "zone", "state") if field in member
            }
        return items

    def _of(self, called: str) -> list[int]:
        """How many partitions a node owns as the first, the second, … owner."""
        counts = [0] * self.n
        for slot in self.slots:
            for place, owner in enumerate(slot["owners"][: self.n]):
                counts[place] += str(owner) == called
        return counts

    def _member_lines(self, marks: Marks) -> list[str]:
        rows = [("node", "state", "weight", "zone", "partitions", "as 1st … last owner")]
        for member in self.members:
            called = str(member["name"])
            counts = self._of(called)
            owned = member.get("slots")
            rows.append((
                name(called), name(member.get("state") or "up"), str(member.get("weight", 1)), name(member.get("zone") or "-"),
                str(owned if owned is not None else sum(counts)), " ".join(map(str, counts)) if self.slots else "-",
            ))  # fmt: skip
        wide = [max(_words.columns(row[i]) for row in rows) for i in range(6)]
        lines = ["  ".join(_words.padded(text, width) for text, width in zip(row, wide, strict=True)) for row in rows]
        for index, member in enumerate(self.members, 1):
            if marks.get(str(member["name"])):
                lines[index] += f"  ≠ {marks[str(member['name'])]}"
        return lines

    def _key_lines(self) -> list[str]:
        if self.key is None:
            return []
        where = f"{name(self.key.get('bucket') or '')}/{name(self.key.get('key') or '')}"
        at = f" lies in partition {self.key['partition']};" if self.key.get("partition") is not None else ":"
        lines = [f"{where}{at} its preference list is {listed([name(each) for each in self.key['preference']])}."]
        if self.key.get("substitutes"):
            lines.append(f"Substitutes, in their order: {listed([name(each) for each in self.key['substitutes']])}.")
        return lines

    def _move_lines(self, most: int = 12) -> list[str]:
        if not self._moves:
            return []
        lines = [f"{many(len(self._moves), 'partition moves', 'partitions move')}:"]
        for slot in self._moves[:most]:
            lines.append(
                f"  partition {slot['partition']}: {' '.join(name(o) for o in slot['owners'])} → {' '.join(name(o) for o in slot['next'])}"
            )
        if len(self._moves) > most:
            lines.append(f"  and {len(self._moves) - most} more")
        return lines

    def _lines(self, marks: Marks) -> list[str]:
        lines = [self._head(), *self._member_lines(marks), ""]
        # One row a node, one column a partition: 1 is its first owner.
        called = min(max((_words.columns(name(each)) for each in self._names), default=0), 16)
        room = 96
        for begin in range(0, len(self.slots), room):
            part = self.slots[begin : begin + room]
            key = [bool(self.key) and self.key is not None and self.key.get("partition") == slot["partition"] for slot in part]
            scale = "".join(str(slot["partition"] // 10 % 10) if slot["partition"] % 10 == 0 else "·" for slot in part)
            lines.append(f"{'':{called}}  {scale}  partitions from {part[0]['partition']}")
            for each in self._names:
                row = ""
                for slot in part:
                    owners = [str(owner) for owner in slot["owners"]]
                    coming = [str(owner) for owner in slot.get("next") or ()]
                    if each in owners:
                        row += "-" if coming and each not in coming else "123456789"[min(owners.index(each), 8)]
                    else:
                        row += "+" if each in coming else "."
                lines.append(f"{_words.padded(name(each, called), called)}  {row}")
            if any(key):
                lines.append(f"{'':{called}}  {''.join('▲' if here else ' ' for here in key).rstrip()} the key")
            moved = "".join("≠" if marks.get(f"partition {slot['partition']}") else " " for slot in part)
            if moved.strip():
                lines.append(f"{'':{called}}  {moved.rstrip()}")
        return [*lines, *self._key_lines(), *self._move_lines()]

    def _describe(self) -> list[str]:
        return [self._head(), *self._member_lines({}), *self._key_lines(), *self._move_lines()]

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        canvas = _svg.Canvas()
        canvas.text(8, 20, self._head(), "b")
        count = max(len(self.slots), 1)
        outer = min(max(count * 2.4, 170.0), 300.0)
        band = min(26.0, outer * 0.5 / max(self.n, 1))
        cx = cy = outer + 46
        cy += 12
        turn = 2 * math.pi / count

        def point(r: float, angle: float) -> str:
            return f"{_svg.number(cx + r * math.sin(angle))} {_svg.number(cy - r * math.cos(angle))}"

        for index, slot in enumerate(self.slots):
            begin, end = index * turn, (index + 1) * turn
            for place, owner in enumerate(slot["owners"][: self.n]):
                big, small = outer - place * band, outer - (place + 1) * band + 1.5
                n = _svg.number
                wide = int(turn > math.pi)
                d = (
                    f"M{point(big, begin)}A{n(big)} {n(big)} 0 {wide} 1 {point(big, end - 1e-4)}"
                    f"L{point(small, end - 1e-4)}A{n(small)} {n(small)} 0 {wide} 0 {point(small, begin)}z"
                )
                canvas.begin(f"partition {slot['partition']}: owner {place + 1} of {self.n} is {owner}")
                canvas.path(d, f"k{self._letter[str(owner)]}")
                label = str(self._names.index(str(owner)) + 1)
                if (big + small) / 2 * turn >= len(label) * 6.5 + 3:
                    middle, angle = (big + small) / 2, (begin + end) / 2
                    canvas.text(cx + middle * math.sin(angle), cy - middle * math.cos(angle) + 3.5, label, "t", "middle")
                canvas.end()
            if slot in self._moves:
                angle = (begin + end) / 2
                canvas.begin(f"partition {slot['partition']} moves: {listed([str(o) for o in slot['owners']])} → {listed([str(o) for o in slot['next']])}")
                canvas.path(f"M{point(outer + 2, angle)}L{point(outer + 14, angle)}", "lb")
                canvas.end()
            if marks.get(f"partition {slot['partition']}"):
                angle = (begin + end) / 2
                canvas.path(f"M{point(outer + 2, angle)}L{point(outer + 14, angle)}", "marked")
        if self.key is not None and self.key.get("partition") is not None:
            at = next((i for i, slot in enumerate(self.slots) if slot["partition"] == self.key["partition"]), None)
            if at is not None:
                angle = (at + 0.5) * turn
                canvas.path(f"M{point(outer + 26, angle)}L{point(outer + 5, angle)}", "edge", arrow=True)
                canvas.text(cx + (outer + 34) * math.sin(angle), cy - (outer + 34) * math.cos(angle) + 4, "key", "b", "middle")
        canvas.reach(cx + outer + 50, cy + outer + 50)
        canvas.text(cx, cy - 4, f"{self.partitions}", "b", "middle")
        canvas.text(cx, cy + 12, "partitions", "s", "middle")
        x, y = cx + outer + 60, 62.0
        for index, line in enumerate(self._member_lines(marks)):
            if index:
                canvas.rect(x, y - 11, 20, 14, f"k{self._letter[str(self.members[index - 1]['name'])]}", 2)
                canvas.text(x + 10, y, str(index), "t", "middle")
            canvas.text(x + 28, y, line, "s" if not index else "m" if "≠" in line else "")
            y += 19
        y += 12
        said = ["The outer band is the first owner of each partition.", *self._key_lines(), *self._move_lines()]
        for line in _words.paragraphs(said, 78):
            canvas.text(x, y, line, "s")
            y += _svg.LINE + 1
        return canvas


_HELD = {"holds": "●", "hint": "▣", "seen": "○", "lacks": "·", "apart": " ", "silent": "?"}


class Replicas(Picture):
    """What each node holds of a key, and where nodes differ."""

    _kind = "replicas"

    def _read(self) -> None:
        self.bucket: str = str(_words.need(self.data, "bucket", str, "replicas"))
        self.key: str = str(_words.need(self.data, "key", str, "replicas"))
        self.nodes: list[Mapping[str, Any]] = _words.rows(self.data, "nodes", "replicas", must=True)
        self._dots: dict[str, Mapping[str, Any]] = {}
        for index, node in enumerate(self.nodes):
            where = f"replicas.nodes[{index}]"
            _words.need(node, "name", str, where)
            for place, version in enumerate(_words.rows(node, "versions", where)):
                dot = _words.need(version, "dot", str, f"{where}.versions[{place}]")
                self._dots.setdefault(dot, version)
        self._order = sorted(self._dots, key=lambda dot: (self._dots[dot].get("at_us") or 0, _by_number(dot)))

    def _title(self) -> str:
        return f"{name(self.bucket)}/{name(self.key)} at each node"

    def _role(self, node: Mapping[str, Any]) -> str:
        role = str(node.get("role") or "own")
        if role == "hint":
            return f"hint for {name(node.get('hint_for') or 'another', 16)}"
        return {"own": "owner", "other": "no owner"}.get(role, name(role))

    def held(self, node: Mapping[str, Any], dot: str) -> str:
        """What a node has of a version: ``holds``, ``hint``, ``seen``, ``lacks``, ``apart`` (a hint of others) or ``silent``."""
        if str(node.get("state") or "ok") != "ok":
            return "silent"
        if any(version["dot"] == dot for version in node.get("versions") or ()):
            return "hint" if node.get("role") == "hint" else "holds"
        if node.get("role") == "hint":
            return "apart"  # a hint is of some versions, and says nothing of the others
        return "seen" if _words.covers(node.get("clock") or (), dot) else "lacks"

    def differences(self) -> list[str]:
        """In words, what nodes differ in; empty where all owners that answered hold the same."""
        said = []
        owners = [node for node in self.nodes if node.get("role", "own") == "own"]
        for node in owners:
            if str(node.get("state") or "ok") != "ok":
                error = f": {name(node['error'], 60)}" if node.get("error") else ""
                said.append(f"{name(node['name'])} did not answer ({name(node['state'])}{error}).")
        well = [node for node in owners if str(node.get("state") or "ok") == "ok"]
        for dot in self._order:
            by = {what: [name(node["name"]) for node in well if self.held(node, dot) == what] for what in _HELD}
            label = f"{self._value(dot)} ({name(dot)})"
            if by["holds"] and by["lacks"]:
                said.append(f"{listed(by['lacks'])} {'lacks' if len(by['lacks']) == 1 else 'lack'} {label}.")
            if by["holds"] and by["seen"]:
                said.append(f"{listed(by['seen'])} {'has' if len(by['seen']) == 1 else 'have'} replaced {label}, and {listed(by['holds'])} not yet.")
        for node in self.nodes:
            if node.get("role") == "hint":
                said.append(f"{name(node['name'])} keeps {many(len(node.get('versions') or ()), 'version')} for {name(node.get('hint_for') or 'another')}, which is handed over when that node is back.")
        return said

    def _value(self, dot: str) -> str:
        version = self._dots[dot]
        return _words.shown(_words.raw_of(version.get("value"), "replicas.value"), self._decode, deleted=bool(version.get("deleted")))

    def _items(self) -> dict[str, dict[str, str]]:
        return {
            str(node["name"]): {
                "versions": listed([self._value(dot) for dot in self._order if self.held(node, dot) in ("holds", "hint")]) or "none",
                "state": str(node.get("state") or "ok"),
            }
            for node in self.nodes
        }

    def _said(self) -> list[str]:
        return self.differences() or ["All nodes that answered hold the same."]

    def _lines(self, marks: Marks) -> list[str]:
        wide = [max(_words.columns(name(dot, 20)), 3) for dot in self._order]
        called = max([4, *(_words.columns(name(node["name"], 20)) for node in self.nodes)])
        role = max([4, *(_words.columns(self._role(node)) for node in self.nodes)])
        lines = [self._title()]
        for dot in self._order:
            lines.append(f"  {name(dot, 20)} is {self._value(dot)}")
        heads = "  ".join(_words.padded(name(dot, 20), width) for dot, width in zip(self._order, wide, strict=True))
        lines.append(f"{'node':{called}}  {'role':{role}}  {heads}  context")
        for node in self.nodes:
            cells = "  ".join(_words.padded(_HELD[self.held(node, dot)], width) for dot, width in zip(self._order, wide, strict=True))
            state = str(node.get("state") or "ok")
            clock = listed([name(each) for each in node.get("clock") or ()], "and", 4) if state == "ok" else name(node.get("error") or state, 60)
            mark = marks.get(str(node["name"]))
            lines.append(
                f"{_words.padded(name(node['name'], 20), called)}  {_words.padded(self._role(node), role)}  {cells}  {clock}"
                + (f"  ≠ {mark}" if mark else "")
            )
        lines.append("● holds it   ○ has replaced it   ▣ keeps it as a hint   · lacks it   ? did not answer")
        return [*lines, *self._said()]

    def _describe(self) -> list[str]:
        return [self._title(), *(f"{name(dot)} is {self._value(dot)}" for dot in self._order), *self._said()]

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        canvas = _svg.Canvas()
        canvas.text(8, 20, self._title(), "b")
        first = max([110.0, *(_words.columns(name(node["name"], 24)) * _svg.ADVANCE + 24 for node in self.nodes)])
        first = max([first, *(_words.columns(self._role(node)) * _svg.ADVANCE + 24 for node in self.nodes)])
        texts = [_words.wrapped(self._value(dot), 24, 3) for dot in self._order]
        wide = [max([132.0, _words.columns(name(dot, 24)) * _svg.ADVANCE + 20, *(_words.columns(t) * _svg.ADVANCE + 20 for t in text)]) for dot, text in zip(self._order, texts, strict=True)]
        left = [12 + first]
        for each in wide:
            left.append(left[-1] + each)
        top = 40.0
        tall = max([1, *(len(text) for text in texts)]) * _svg.LINE + _svg.LINE + 12
        for place, dot in enumerate(self._order):
            canvas.begin(str(self._dots[dot].get("long") or dot))
            for line, text in enumerate(texts[place]):
                canvas.text(left[place] + 8, top + 14 + line * _svg.LINE, text, "b")
            canvas.text(left[place] + 8, top + tall - 10, name(dot, 24), "s")
            canvas.end()
        canvas.text(left[-1] + 8, top + tall - 10, "context", "s")
        y, high = top + tall, 44.0
        odd = {dot for dot in self._order if len({self.held(node, dot) for node in self.nodes if node.get("role", "own") == "own" and str(node.get("state") or "ok") == "ok"}) > 1}
        for node in self.nodes:
            state = str(node.get("state") or "ok")
            canvas.begin(f"{node['name']}: {state}")
            canvas.line(12, y, left[-1] + 200, y, "rule")
            canvas.text(16, y + 19, name(node["name"], 24), "b")
            canvas.text(16, y + 35, self._role(node), "s")
            for place, dot in enumerate(self._order):
                what = self.held(node, dot)
                if what == "apart":
                    continue
                css = {"holds": "living", "hint": "kb", "seen": "replaced", "lacks": "unknown", "silent": "unacknowledged"}[what]
                x = left[place] + 8
                canvas.begin(f"{node['name']} {what} {dot}")
                canvas.rect(x, y + 8, wide[place] - 16, high - 16, css, 8 if what in ("holds", "seen") else 0)
                if what == "lacks":
                    canvas.hatched(x, y + 8, wide[place] - 16, high - 16)
                words = {"holds": "● holds", "hint": "▣ hint", "seen": "○ replaced", "lacks": "lacks", "silent": "? silent"}[what]
                canvas.text(x + 10, y + 26, words + (" ≠" if dot in odd and what in ("lacks", "seen") else ""))
                canvas.end()
            clock = [name(each) for each in node.get("clock") or ()] if state == "ok" else [name(node.get("error") or state, 40)]
            canvas.text(left[-1] + 8, y + 26, _words.cut(listed(clock, "and", 4), 60), "s")
            if marks.get(str(node["name"])):
                canvas.rect(9, y + 3, left[-1] + 4, high - 6, "marked", 6)
                canvas.text(left[-1] + 8, y + 40, f"≠ {marks[str(node['name'])]}", "m t")
            canvas.end()
            y += high
        canvas.line(12, y, left[-1] + 200, y, "rule")
        y += 22
        for sentence in _words.paragraphs(self._said(), 100):
            canvas.text(12, y, sentence)
            y += _svg.LINE + 1
        return canvas


def _by_number(dot: str) -> tuple[str, int]:
    node, _, counter = dot.rpartition(":")
    return node, int(counter) if counter.isdigit() else 0


class Trees(Picture):
    """How two nodes found what differs between them: their Merkle trees, level by level, and the bytes that it took."""

    _kind = "trees"

    def _read(self) -> None:
        self.a: str
        self.b: str
        self.a, self.b = str(_words.need(self.data, "a", str, "trees")), str(_words.need(self.data, "b", str, "trees"))
        self.levels: list[Mapping[str, Any]] = _words.rows(self.data, "levels", "trees", must=True)
        for index, level in enumerate(self.levels):
            for field in ("level", "compared", "different"):
                _words.need(level, field, int, f"trees.levels[{index}]")
        self.keys_different: int = _words.need(self.data, "keys_different", int, "trees")
        self.bytes: int = _words.need(self.data, "bytes", int, "trees")

    def _title(self) -> str:
        of = f" of partition {self.data['partition']}" if self.data.get("partition") is not None else ""
        return f"trees{of} at {name(self.a)} and {name(self.b)}"

    def _head(self) -> str:
        compared = sum(level["compared"] for level in self.levels)
        if not self.keys_different:
            return f"{self._title()}: equal, found out by {many(compared, 'comparison')} and {_words.size(self.bytes)}"
        return f"{self._title()}: {many(self.keys_different, 'key differs', 'keys differ')}, found by {many(compared, 'comparison')} and {_words.size(self.bytes)}"

    def _keys(self) -> list[str]:
        keys = [name(each, 60) for each in self.data.get("keys") or ()]
        return [f"Different: {listed(keys, most=10)}"] if keys else []

    def _items(self) -> dict[str, dict[str, str]]:
        return {f"level {level['level']}": {"compared": str(level["compared"]), "different": str(level["different"])} for level in self.levels}

    def _lines(self, marks: Marks) -> list[str]:
        lines = [self._head()]
        most = max([1, *(level["compared"] for level in self.levels)])
        for level in self.levels:
            room = max(round(40 * level["compared"] / most), 1 if level["compared"] else 0)
            odd = min(max(round(room * level["different"] / max(level["compared"], 1)), 1 if level["different"] else 0), room)
            said = f"{level['different']:,} of {level['compared']:,} differ"
            if level.get("bytes") is not None:
                said += f", {_words.size(level['bytes'])}"
            mark = marks.get(f"level {level['level']}")
            lines.append(f"level {level['level']:>2}  {'█' * odd + '░' * (room - odd):<40}  {said}" + (f"  ≠ {mark}" if mark else ""))
        return lines + self._keys()

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        canvas = _svg.Canvas()
        canvas.text(8, 20, self._head(), "b")
        most = max([1, *(level["compared"] for level in self.levels)])
        y = 40.0
        for level in self.levels:
            canvas.begin(f"level {level['level']}: {level['different']} of {level['compared']} differ")
            canvas.text(12, y + 15, f"level {level['level']}", "s")
            wide = max(420 * level["compared"] / most, 6 if level["compared"] else 0)
            odd = max(wide * level["different"] / max(level["compared"], 1), 4 if level["different"] else 0)
            x = 90.0
            canvas.rect(x, y, wide, 20, "replaced", 3)
            if odd:
                canvas.rect(x, y, min(odd, wide), 20, "deleted", 3)
                canvas.hatched(x, y, min(odd, wide), 20)
            said = f"{level['different']:,} of {level['compared']:,} differ"
            if level.get("bytes") is not None:
                said += f", {_words.size(level['bytes'])}"
            mark = marks.get(f"level {level['level']}")
            canvas.text(x + wide + 12, y + 15, said + (f"  ≠ {mark}" if mark else ""), "m" if mark else "")
            canvas.end()
            y += 30
        for line in _words.paragraphs(self._keys(), 90):
            canvas.text(12, y + 14, line, "s")
            y += _svg.LINE
        return canvas
