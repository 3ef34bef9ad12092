"""The versions of one key: who wrote each, and what the writer had seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _layout, _svg, _words
from ._picture import Marks, Picture
from ._words import clean, listed, many, name, seconds

GLYPHS = {"living": "●", "replaced": "○", "deleted": "✕", "unacknowledged": "?", "unknown": "◇"}
_MEANINGS = {
    "living": "living: a read shows it",
    "replaced": "replaced by a writer that had seen it",
    "deleted": "a delete that is still kept",
    "unacknowledged": "its writer got no acknowledgement",
    "unknown": "whether it lives is not known",
}
_WIDTH = 32  # columns of a box


class Version:
    """One version, as a picture needs it."""

    def __init__(self, data: Mapping[str, Any], where: str, decode: _words.Decoder | None) -> None:
        self.dot: str = str(_words.need(data, "dot", str, where))
        self.long: str = str(data.get("long") or self.dot)
        self.deleted: bool = bool(data.get("deleted"))
        self.state: str = str(data.get("state") or "unknown")
        if self.state not in GLYPHS:
            raise ValueError(f"{where}.state: wanted {listed(list(GLYPHS), 'or')}, got {self.state!r}")
        self.raw: bytes | None = _words.raw_of(data.get("value"), f"{where}.value")
        self.value: str = _words.shown(self.raw, decode, deleted=self.deleted)
        self.client: Any | None = data.get("client")
        self.coordinator: Any | None = data.get("coordinator")
        self.at_us: int | None = data.get("at_us")
        self.read_at_us: int | None = data.get("read_at_us")
        self.write_id: str = str(data.get("write_id") or "")
        self.context: list[str] = [str(each) for each in data.get("context") or ()]
        self.seen: list[str] = [str(each) for each in data.get("seen") or ()]
        self.replaced_by: list[str] = [str(each) for each in data.get("replaced_by") or ()]
        self.aliases: list[str] = [str(each) for each in data.get("aliases") or ()]
        self.merges: bool = bool(data.get("merges")) or len(self.seen) > 1
        for field, moment in (("at_us", self.at_us), ("read_at_us", self.read_at_us)):
            if moment is not None and (isinstance(moment, bool) or not isinstance(moment, int)):
                raise ValueError(f"{where}.{field}: wanted whole microseconds or None, got {type(moment).__name__}")

    @property
    def blind(self) -> bool:
        return self.client is not None and self.read_at_us is None and not self.seen and not self.context

    def writer(self) -> str:
        return name(self.client) if self.client is not None else "an unknown writer"

    def through(self) -> str:
        return f" through {name(self.coordinator)}" if self.coordinator is not None else ""

    def at(self) -> str:
        return f" at {seconds(self.at_us)}" if self.at_us is not None else ""

    def what(self) -> str:
        return "the delete" if self.deleted else self.value

    def called(self) -> str:
        return f"{self.what()} ({name(self.dot)})"

    def knew(self) -> str:
        if self.client is None:
            return "writer unknown"
        if self.read_at_us is not None:
            return f"context of a read at {seconds(self.read_at_us)}"
        return "blind" if self.blind else "context of an earlier answer"

    def titled(self) -> str:
        """What a pointer that rests on the version is told."""
        lines = [
            f"{self.dot} = {self.long}",
            f"{self.value}, {self.state}",
            f"written by {self.writer()}{self.through()}{self.at()}, {self.knew()}",
        ]
        if self.context:
            lines.append("context: " + listed(self.context, most=24))
        if self.aliases:
            lines.append("the same write as " + listed(self.aliases))
        if self.replaced_by:
            lines.append("replaced by " + listed(self.replaced_by))
        if self.write_id:
            lines.append(f"write id {self.write_id}")
        return "\n".join(map(clean, lines))


class History(Picture):
    """The versions of a key as a graph: an arrow leads from a version to each that its writer had seen.

    From ``lab.history(bucket, key)``, ``recorder.history(bucket, key)`` or a dict of that shape.
    """

    _kind = "history"

    def _read(self) -> None:
        self.bucket: str = str(_words.need(self.data, "bucket", str, "history"))
        self.key: str = str(_words.need(self.data, "key", str, "history"))
        self.now_us: int | None = self.data.get("now_us")
        given = _words.rows(self.data, "versions", "history", must=True)
        self.versions: list[Version] = [Version(each, f"history.versions[{i}]", self._decode) for i, each in enumerate(given)]
        number: dict[str, int] = {}
        for index, version in enumerate(self.versions):
            if version.dot in number:
                raise ValueError(f"history.versions[{index}].dot: wanted each dot once, got {version.dot!r} again")
            number[version.dot] = index
        for index, version in enumerate(self.versions):
            for alias in version.aliases:
                number.setdefault(alias, index)
        self._number = number
        self._called: dict[int, str] = {}
        # What had been seen and is not in the list was left out, and has no place in the picture.
        self._parents = [
            list(dict.fromkeys(number[dot] for dot in version.seen if dot in number and number[dot] != index))
            for index, version in enumerate(self.versions)
        ]
        self._order = _layout.in_order(self._parents, [version.at_us for version in self.versions])

    def why(self) -> Why:
        """In words, why these versions are there."""
        return Why(self.data, self._decode)

    def _title(self) -> str:
        return f"{name(self.bucket)}/{name(self.key)}"

    def _head(self) -> str:
        counts = {state: sum(v.state == state for v in self.versions) for state in GLYPHS}
        said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        when = f" at {seconds(self.now_us)}" if self.now_us is not None else ""
        return f"{self._title()}{when}: {many(len(self.versions), 'version')}" + (f" ({said})" if said else "")

    def _notes(self) -> list[str]:
        notes = []
        if left := _words.left_out(self.data, "version"):
            notes.append(left)
        missing = sum(dot not in self._number for version in self.versions for dot in version.seen)
        if missing:
            notes.append(f"{many(missing, 'arrow leads', 'arrows lead')} to versions that are not in this picture.")
        if self.data.get("unknown_writers") or any(v.client is None for v in self.versions):
            notes.append("What other processes wrote is shown as seen; its writer is not known.")
        return notes

    def _items(self) -> dict[str, dict[str, str]]:
        # The same write has another dot in another run; its id is the same, and so are writer and value.
        items: dict[str, dict[str, str]] = {}
        called: dict[int, str] = {}
        counts: dict[str, int] = {}
        for index in self._order:
            version = self.versions[index]
            label = f"{version.value} of {version.writer()}"
            counts[label] = counts.get(label, 0) + 1
            names = label if counts[label] == 1 else f"{label} ({counts[label]})"
            called[index] = names
            items[names] = {
                "state": version.state,
                "seen": listed([called[parent] for parent in self._parents[index]]) or "nothing",
            }
        self._called = called
        return items

    def _mark(self, index: int, marks: Marks) -> str:
        return marks.get(self._called.get(index, ""), "") if marks else ""

    def _lines(self, marks: Marks) -> list[str]:
        layout = _layout.laid_out(self._parents, self._order, one_a_row=True)
        glyphs = [GLYPHS[version.state] for version in self.versions]
        graph = _layout.drawn_in_text(self._parents, layout, glyphs)
        room = min(max((len(text) for _, text in graph), default=0), 60)
        dots = min(max((_words.columns(name(v.dot)) for v in self.versions), default=0), 24)
        values = min(max((_words.columns(v.value) for v in self.versions), default=0), 48)
        lines = [self._head()]
        for index, text in graph:
            drawn = _words.padded(_words.cut(text, 60), room)
            if index is None:
                lines.append(drawn)
                continue
            version = self.versions[index]
            mark = self._mark(index, marks)
            lines.append(
                f"{drawn}  {_words.padded(name(version.dot, 24), dots)}  "
                f"{_words.padded(version.value, values)}  {version.writer()}{version.through()}{version.at()}"
                f"{', ' + version.knew() if version.client is not None else ''}; {self._fate(version)}"
                + (f"  ≠ {mark}" if mark else "")
            )
        return [*lines, *self._notes()]

    def _fate(self, version: Version) -> str:
        fate = version.state
        if version.state == "replaced" and version.replaced_by:
            fate += f" by {listed([name(dot) for dot in version.replaced_by], most=3)}"
        return f"merges {len(version.seen)}, {fate}" if version.merges else fate

    def _describe(self) -> list[str]:
        return [self._head(), *self.why()._sentences(), *self._notes()]

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        layout = _layout.laid_out(self._parents, self._order, one_a_row=False)
        canvas = _svg.Canvas()
        canvas.text(8, 20, self._head(), "b")
        texts = [self._box(index, marks) for index in range(len(self.versions))]
        lanes = max(layout.lane, default=-1) + 1
        rows_ = max(layout.row, default=-1) + 1
        wide = [12.0] * lanes
        tall = [0.0] * rows_
        for index, lines in enumerate(texts):
            need = max(_words.columns(text) for text, _ in lines) * _svg.ADVANCE + 20
            wide[layout.lane[index]] = max(wide[layout.lane[index]], need)
            tall[layout.row[index]] = max(tall[layout.row[index]], len(lines) * _svg.LINE + 12)
        left = [12.0]
        for each in wide:
            left.append(left[-1] + each + 18)
        gap = 34.0
        top = [36.0]
        for each in tall:
            top.append(top[-1] + each + gap)

        def middle(lane: int) -> float:
            return left[lane] + wide[lane] / 2

        heights = [len(lines) * _svg.LINE + 12 for lines in texts]
        for index in self._order:  # edges first: boxes lie over their ends
            parents = sorted(self._parents[index], key=lambda each: layout.lane[each])
            line, lane = layout.row[index], layout.lane[index]
            spread = min(14.0, (wide[lane] - 24) / max(len(parents), 1))
            for place, parent in enumerate(parents):
                x = middle(lane) + (place - (len(parents) - 1) / 2) * spread
                to = middle(layout.lane[parent])
                foot = top[layout.row[parent]] + heights[parent] + 2
                bend = top[line] - gap + 2
                n = _svg.number
                if abs(x - to) < 0.5 and len(parents) == 1:
                    path = f"M{n(x)} {n(top[line])}V{n(foot)}"
                else:
                    path = (
                        f"M{n(x)} {n(top[line])}C{n(x)} {n(top[line] - gap * 0.6)} {n(to)} {n(bend + gap * 0.6)} "
                        f"{n(to)} {n(max(bend, foot + 6))}V{n(foot)}"
                    )
                canvas.path(path, "edge", arrow=True)
        for index in self._order:
            version, lane = self.versions[index], layout.lane[index]
            x, y, height = left[lane], top[layout.row[index]], heights[index]
            canvas.begin(version.titled())
            canvas.rect(x, y, wide[lane], height, version.state, 0 if version.deleted else 9)
            if version.deleted:
                canvas.hatched(x, y, wide[lane], height)
            if self._mark(index, marks):
                canvas.rect(x - 5, y - 5, wide[lane] + 10, height + 10, "marked", 12)
            for place, (text, css) in enumerate(texts[index]):
                canvas.text(x + 10, y + 19 + place * _svg.LINE, text, css)
            canvas.end()
        y = top[-1] + 2 if rows_ else 44.0
        present = [state for state in GLYPHS if any(v.state == state for v in self.versions)]
        for state in present:
            canvas.begin()
            canvas.rect(13, y - 10, 22, 13, state, 0 if state == "deleted" else 4)
            canvas.text(42, y, f"{GLYPHS[state]} {_MEANINGS[state]}", "s")
            canvas.end()
            y += _svg.LINE + 3
        if any(self._parents):
            canvas.text(12, y, "An arrow leads from a version to one that its writer had seen.", "s")
            y += _svg.LINE + 3
        for note in self._notes():
            canvas.text(12, y, note, "s")
            y += _svg.LINE + 3
        return canvas

    def _box(self, index: int, marks: Marks) -> list[tuple[str, str]]:
        version = self.versions[index]
        lines = [
            (text, "b") for text in _words.wrapped(f"{GLYPHS[version.state]} {version.value}", _WIDTH, 3)
        ]
        lines.append((name(version.dot, _WIDTH), "s"))
        if version.client is not None:
            via = f" → {name(version.coordinator, 14)}" if version.coordinator is not None else ""
            lines.append((f"{name(version.client, 16)}{via}", ""))
        else:
            lines.append(("writer unknown", "s"))
        when = seconds(version.at_us) if version.at_us is not None else ""
        if version.client is not None:
            knew = f"read {seconds(version.read_at_us)}" if version.read_at_us is not None else "blind" if version.blind else ""
            when += (", " if when and knew else "") + knew
        if when:
            lines.append((when, "s"))
        state = f"merges {len(version.seen)}, {version.state}" if version.merges else version.state
        lines.append((state, f"word-{version.state}"))
        mark = self._mark(index, marks)
        if mark:
            lines += [(text, "m") for text in _words.wrapped(f"≠ {mark}", _WIDTH, 2)]
        return lines


class Why(Picture):
    """In words: why a key has the versions that it has."""

    _kind = "why"

    def _read(self) -> None:
        self.history: History = History(self.data, self._decode)

    def _title(self) -> str:
        return f"why {self.history._title()} has these versions"

    def _lines(self, marks: Marks) -> list[str]:
        return _words.paragraphs(self._sentences(), 110)

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        canvas = _svg.Canvas()
        canvas.text(8, 20, f"Why {self.history._title()} has these versions", "b")
        for index, line in enumerate(_words.paragraphs(self._sentences(), 100)):
            canvas.text(8, 44 + index * 18, line)
        return canvas

    def _sentences(self) -> list[str]:
        history = self.history
        where = history._title()
        living = [v for v in (history.versions[i] for i in history._order) if v.state in ("living", "deleted")]
        values = [v for v in living if not v.deleted]
        open_ = [v for v in history.versions if v.state == "unacknowledged"]
        said: list[str] = []
        if not history.versions:
            said.append(f"Nothing was written to {where}" + (", as far as is known." if history._notes() else "."))
        elif not living:
            said.append(f"No version of {where} is known to be living.")
        elif not values:
            said.append(f"{where} has no value: {self._delete(living)}.")
        elif len(living) == 1:
            said.append(f"{where} has one version, {values[0].called()}. {self._wrote(values[0])}")
            said += self._became(values[0])
        else:
            called = [v.called() for v in living]
            said.append(
                f"{where} has {many(len(living), 'version')} side by side: {listed(called)} are siblings, "
                "because no writer of one had seen another."
            )
            said += [f"- {self._wrote(v)} {self._unseen(v, living)}".rstrip() for v in living[:8]]
            if len(living) > 8:
                said.append(f"- {len(living) - 8} more siblings came about in the same way.")
            said += self._ancestor(living)
            said.append("A write with the context of a read that shows all of them replaces them.")
        for version in open_[:4]:
            said.append(
                f"{version.called()} of {version.writer()} was not acknowledged: it may be stored at some nodes, "
                "be shown later, or never."
            )
        if len(open_) > 4:
            said.append(f"{len(open_) - 4} more writes were not acknowledged.")
        return said

    @staticmethod
    def _delete(living: list[Version]) -> str:
        parts = [f"{v.writer()} deleted it{v.through()}{v.at()} ({name(v.dot)})" for v in living[:4]]
        return listed(parts)

    def _wrote(self, version: Version) -> str:
        did = "deleted the key" if version.deleted else f"wrote {version.value}"
        text = f"{version.writer()[:1].upper()}{version.writer()[1:]}" if version.client is None else version.writer()
        text += f" {did}{version.at()}{version.through()}"
        if version.client is None:
            return f"{text}; what that writer had seen is not known."
        if version.blind:
            return f"{text} without a context, so it replaces nothing."
        seen = [self.history.versions[i].called() for i in self.history._parents[self.history._number[version.dot]]]
        had = f"had seen {listed(seen, most=4)}" if seen else "had seen no version that is in this history"
        read = f"the context of a read at {seconds(version.read_at_us)}" if version.read_at_us is not None else "a context"
        return f"{text} with {read}, which {had}."

    def _unseen(self, version: Version, living: list[Version]) -> str:
        """Why its writer had not seen the others."""
        if version.client is None or version.blind:
            return ""
        later: list[str] = []
        missed: list[str] = []
        for other in living:
            if other is version:
                continue
            read = version.read_at_us if version.read_at_us is not None else version.at_us
            if read is not None and other.at_us is not None:
                (later if other.at_us >= read else missed).append(other.called())
        said = []
        if later:
            said.append(f"{listed(later, most=3)} {'was' if len(later) == 1 else 'were'} written after that read.")
        if missed:
            said.append(
                f"{listed(missed, most=3)} {'was' if len(missed) == 1 else 'were'} there by then, and the nodes that "
                "answered the read did not have it yet."
            )
        return " ".join(said)

    def _became(self, version: Version) -> list[str]:
        parents = self.history._parents[self.history._number[version.dot]]
        if len(parents) > 1:
            return [f"It merged {len(parents)} versions into one."]
        return []

    def _ancestor(self, living: list[Version]) -> list[str]:
        """The newest version that all writers had seen."""
        history = self.history
        common: set[int] | None = None
        for version in living:
            mine, look = set(), [history._number[version.dot]]
            while look:
                for parent in history._parents[look.pop()]:
                    if parent not in mine:
                        mine.add(parent)
                        look.append(parent)
            common = mine if common is None else common & mine
        if not common:
            return []
        last = max(common, key=lambda index: history._order.index(index))
        return [f"The last version that all of them had seen is {history.versions[last].called()}."]
