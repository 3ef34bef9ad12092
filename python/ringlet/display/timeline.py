"""Who sent what to whom, when: hosts side by side, time downwards."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import _svg, _words
from ._picture import Marks, Picture
from ._words import many, name

_SPANS = {
    "down": ("╎", "down"),
    "paused": ("║", "paused"),
    "slow": ("≀", "slow"),
    "skewed": ("≠", "clock off"),
    "full_disk": ("▒", "disk full"),
}
# In the order in which they are shown, when they are of one moment.
_KINDS = ("act", "cut", "healed", "span", "spanned", "request", "message", "hint", "delivered", "answer")
_ENDS = ("answer", "delivered", "spanned")
_MOST = 2000  # messages in one picture


class _Event(NamedTuple):
    at: int
    phase: int
    order: int
    kind: str
    data: Mapping[str, Any]


def _time(data: Mapping[str, Any], field: str, where: str, *, must: bool = True) -> int | None:
    if not must and data.get(field) is None:
        return None
    found: int = _words.need(data, field, int, where)
    return found


class Timeline(Picture):
    """Hosts as lines, time from top to bottom: requests as bars, messages as arrows, lost ones broken, partitions and
    pauses shaded, hints as parcels with the node that they are for.

    Time is not to scale: what happened close together is drawn apart, and quiet stretches are short. The moments
    stand at the left.
    """

    _kind = "timeline"

    def _read(self) -> None:
        data = self.data
        self.hosts: list[str] = []
        self._clients: set[str] = set()
        for index, host in enumerate(_words.rows(data, "hosts", "timeline", must=True)):
            called = str(_words.need(host, "name", str, f"timeline.hosts[{index}]"))
            self.hosts.append(called)
            if host.get("kind") == "client":
                self._clients.add(called)
        self.from_us: int = _words.need(data, "from_us", int, "timeline")
        self.to_us: int = _words.need(data, "to_us", int, "timeline")
        self.messages: list[Mapping[str, Any]] = _words.rows(data, "messages", "timeline")
        self.requests: list[Mapping[str, Any]] = _words.rows(data, "requests", "timeline")
        self.spans: list[Mapping[str, Any]] = _words.rows(data, "spans", "timeline")
        self.cuts: list[Mapping[str, Any]] = _words.rows(data, "cuts", "timeline")
        self.hints: list[Mapping[str, Any]] = _words.rows(data, "hints", "timeline")
        self.acts: list[Mapping[str, Any]] = _words.rows(data, "acts", "timeline")
        self._unshown = max(len(self.messages) - _MOST, 0)
        self.messages = self.messages[:_MOST]
        self._not_asked = max(len(self.requests) - _MOST, 0)
        self.requests = self.requests[:_MOST]
        known = set(self.hosts)

        def host_of(each: Mapping[str, Any], field: str, where: str) -> None:
            found = str(_words.need(each, field, str, where))
            if found not in known:  # it joined later, or is a client that was not listed
                known.add(found)
                self.hosts.append(found)

        for index, each in enumerate(self.messages):
            where = f"timeline.messages[{index}]"
            host_of(each, "from", where)
            host_of(each, "to", where)
            _time(each, "sent_us", where)
            _time(each, "arrived_us", where, must=False)
            _words.need(each, "type", str, where)
        for index, each in enumerate(self.requests):
            where = f"timeline.requests[{index}]"
            host_of(each, "client", where)
            self._clients.add(str(each["client"]))
            _time(each, "from_us", where)
            _time(each, "to_us", where, must=False)
            _words.need(each, "what", str, where)
        for field, all_, hosts in (
            ("spans", self.spans, ("host",)), ("cuts", self.cuts, ("from", "to")), ("hints", self.hints, ("at",))
        ):  # fmt: skip
            for index, each in enumerate(all_):
                where = f"timeline.{field}[{index}]"
                for host_field in hosts:
                    host_of(each, host_field, where)
                _time(each, "from_us", where)
                _time(each, "to_us", where, must=False)
        for index, each in enumerate(self.acts):
            _time(each, "at_us", f"timeline.acts[{index}]")
        # Clients stand at the left, where requests begin.
        self.hosts.sort(key=lambda host: host not in self._clients)
        self._column = {host: index for index, host in enumerate(self.hosts)}

    def only(
        self,
        *,
        bucket: str | None = None,
        key: str | None = None,
        request: int | None = None,
        hosts: Iterable[str] | None = None,
        from_us: int | None = None,
        to_us: int | None = None,
    ) -> Timeline:
        """The same picture with a part of its messages: those of a key, of a request, between hosts, of a time."""
        wanted = set(hosts) if hosts is not None else None
        begin = self.from_us if from_us is None else from_us
        end = self.to_us if to_us is None else to_us
        of_key = {
            each.get("id")
            for each in self.requests
            if (key is None or each.get("key") == key) and (bucket is None or each.get("bucket") == bucket)
        }

        def fits(each: Mapping[str, Any], number: Any) -> bool:
            if request is not None and number != request:
                return False
            if key is None and bucket is None:
                return True
            if each.get("key") is None and each.get("bucket") is None:
                return number in of_key
            return (key is None or each.get("key") == key) and (bucket is None or each.get("bucket") == bucket)

        def within(first: int, last: int | None) -> bool:
            return first <= end and (last is None or last >= begin)

        parts: dict[str, Any] = {
            "requests": [
                each for each in self.data.get("requests") or ()
                if fits(each, each.get("id")) and within(each["from_us"], each.get("to_us"))
                and (wanted is None or each["client"] in wanted)
            ],
            "messages": [
                each for each in self.data.get("messages") or ()
                if fits(each, each.get("request")) and within(each["sent_us"], each.get("arrived_us") or each["sent_us"])
                and (wanted is None or {each["from"], each["to"]} <= wanted)
            ],
            "hints": [
                each for each in self.data.get("hints") or ()
                if request is None and fits(each, None) and within(each["from_us"], each.get("to_us"))
                and (wanted is None or each["at"] in wanted)
            ],
            "spans": [
                each for each in self.spans
                if within(each["from_us"], each.get("to_us")) and (wanted is None or each["host"] in wanted)
            ],
            "cuts": [
                each for each in self.cuts
                if within(each["from_us"], each.get("to_us"))
                and (wanted is None or {each["from"], each["to"]} <= wanted)
            ],
            "acts": [each for each in self.acts if begin <= each["at_us"] <= end],
            "hosts": [
                each for each in self.data["hosts"] if wanted is None or each["name"] in wanted
            ],
            "from_us": begin,
            "to_us": end,
        }  # fmt: skip
        return Timeline({**self.data, **parts}, self._decode)

    def _title(self) -> str:
        return f"{_at(self.from_us)} to {_at(self.to_us)}"

    def _head(self) -> str:
        lost = sum(each.get("arrived_us") is None for each in self.messages)
        return (
            f"{self._title()}: {many(len(self.requests), 'request')}, {many(len(self.messages), 'message')}"
            + (f" ({lost} lost)" if lost else "")
        )

    def _notes(self) -> list[str]:
        notes = []
        if left := _words.left_out(self.data, "record"):
            notes.append(left)
        if self._unshown:
            notes.append(
                f"{many(self._unshown, 'more message')} {'is' if self._unshown == 1 else 'are'} not drawn: ask for a part, as .only(key=…) or .only(from_us=…)."
            )
        if self._not_asked:
            notes.append(f"{many(self._not_asked, 'more request')} {'is' if self._not_asked == 1 else 'are'} not drawn.")
        return notes

    def _items(self) -> dict[str, dict[str, str]]:
        items: dict[str, dict[str, str]] = {}
        counts: dict[str, int] = {}
        for each in self.requests:
            called = label = f"{each['client']}: {each['what']}"
            counts[label] = counts.get(label, 0) + 1
            if counts[label] > 1:
                called = f"{label} ({counts[label]})"
            items[called] = {"result": str(each.get("result") or "none yet"), "attempts": str(each.get("attempts", 1))}
        return items

    def _request_marks(self, marks: Marks) -> list[str]:
        return [marks.get(called, "") for called in self._items()] if marks else [""] * len(self.requests)

    def _events(self) -> list[_Event]:
        events: list[_Event] = []

        def add(at: int | None, kind: str, data: Mapping[str, Any]) -> None:
            if at is not None:
                # What ends at a moment comes before what begins then.
                phase = -1 if kind in _ENDS and data.get("from_us", at - 1) < at else _KINDS.index(kind)
                events.append(_Event(min(max(at, self.from_us), self.to_us), phase, len(events), kind, data))

        for each in self.acts:
            add(each["at_us"], "act", each)
        # A partition cuts many pairs at once: they are one event.
        for field, kind in (("from_us", "cut"), ("to_us", "healed")):
            together: dict[int, list[tuple[str, str]]] = {}
            for each in self.cuts:
                if each.get(field) is not None:
                    together.setdefault(each[field], []).append((str(each["from"]), str(each["to"])))
            for at, pairs in together.items():
                add(at, kind, {"pairs": pairs, "words": _cut_words(pairs, cut=kind == "cut")})
        for each in self.spans:
            add(each["from_us"], "span", each)
            add(each.get("to_us"), "spanned", each)
        for each in self.requests:
            add(each["from_us"], "request", each)
        for each in self.messages:
            add(each["sent_us"], "message", each)
        for each in self.hints:
            add(each["from_us"], "hint", each)
            add(each.get("to_us"), "delivered", each)
        for each in self.requests:
            add(each.get("to_us"), "answer", each)
        return sorted(events, key=lambda event: (event.at, event.phase, event.order))

    # ---- text ----

    def _lines(self, marks: Marks) -> list[str]:
        wide = min(max([9, *(_words.columns(name(host)) + 2 for host in self.hosts)]), 16)
        mark_of = {id(each): mark for each, mark in zip(self.requests, self._request_marks(marks), strict=True)}
        lines = [self._head(), ""]
        lines.append(" " * 13 + "".join(_centred(name(host, wide - 1), wide) for host in self.hosts))
        state: dict[str, list[str]] = {host: [] for host in self.hosts}
        for span in self.spans:
            if span["from_us"] < self.from_us:
                state[span["host"]].append(str(span.get("kind")))
        last: int | None = None
        for event in self._events():
            data, kind = event.data, event.kind
            when = _at(event.at) if event.at != last else ""
            last = event.at
            cells = [_centred(_SPANS.get(state[host][-1], ("┊", ""))[0] if state[host] else "│", wide) for host in self.hosts]
            line = "".join(cells)
            if kind == "message":
                line = self._arrow(line, data, wide)
                said = name(data["type"])
                if data.get("arrived_us") is None:
                    said += f" lost ({name(data.get('why_lost') or 'no reason known')})"
                else:
                    said += f", arrives at {_at(data['arrived_us'])}"
            elif kind in ("request", "answer"):
                line = _put(line, self._column[data["client"]] * wide + wide // 2, "┳" if kind == "request" else "┻")
                said = name(data["what"], 60)
                if kind == "answer":
                    said += f": {name(data.get('result') or 'ok', 60)}"
                    if (data.get("attempts") or 1) > 1:
                        said += f", {data['attempts']} attempts"
                if mark_of.get(id(data)):
                    said += f"  ≠ {mark_of[id(data)]}"
            elif kind == "act":
                said = f"act: {name(data.get('what') or '', 90)}"
            elif kind in ("cut", "healed"):
                said = str(data["words"])
            elif kind in ("span", "spanned"):
                what = str(data.get("kind"))
                words = _SPANS.get(what, ("┊", name(what)))[1]
                if kind == "span":
                    state[data["host"]].append(what)
                    said = f"{name(data['host'])} is {words}"
                else:
                    if what in state[data["host"]]:
                        state[data["host"]].remove(what)
                    said = f"{name(data['host'])} is no longer {words}"
            else:
                line = _put(line, self._column[data["at"]] * wide + wide // 2, "▣" if kind == "hint" else "□")
                said = f"{name(data['at'])} {'keeps' if kind == 'hint' else 'has handed over'} a hint for {name(data.get('for'))}"
                if data.get("dot"):
                    said += f" ({name(data['dot'])})"
            lines.append(f"{when:>11}  {line}  {said}")
        waiting = [each for each in self.requests if each.get("to_us") is None]
        for each in waiting[:8]:
            lines.append(f"{name(each['client'])} still waits for {name(each['what'], 60)}.")
        for each in [each for each in self.hints if each.get("to_us") is None][:8]:
            lines.append(f"{name(each['at'])} still keeps a hint for {name(each.get('for'))}.")
        return [*lines, *self._notes()]

    def _arrow(self, line: str, data: Mapping[str, Any], wide: int) -> str:
        begin = self._column[data["from"]] * wide + wide // 2
        end = self._column[data["to"]] * wide + wide // 2
        if begin == end:
            return _put(line, begin, "↺")
        lost = data.get("arrived_us") is None
        stroke = "╌" if lost else "─"
        right = end > begin
        text = list(line)
        for at in range(min(begin, end) + 1, max(begin, end)):
            text[at] = stroke
        text[begin] = "├" if right else "┤"
        last = end - 1 if right else end + 1
        text[last] = "✕" if lost else "▶" if right else "◀"
        return "".join(text)

    def _describe(self) -> list[str]:
        said = [self._head()]
        said += [f"{_at(each['at_us'])}: {name(each.get('what') or '', 90)}" for each in self.acts[:20]]
        for each in self.requests[:40]:
            end = f"{name(each.get('result') or 'ok', 60)} at {_at(each['to_us'])}" if each.get("to_us") is not None else "no end yet"
            said.append(f"{_at(each['from_us'])}: {name(each['client'])}, {name(each['what'], 60)}: {end}")
        return said + self._notes()

    # ---- SVG ----

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        canvas = _svg.Canvas()
        canvas.text(8, 20, self._head(), "b")
        wide = [max(_words.columns(name(host, 18)) * _svg.ADVANCE + 30, 128.0) for host in self.hosts]
        centre, x = [], 92.0
        for each in wide:
            centre.append(x + each / 2)
            x += each
        right = x + 6
        events = self._events()
        # Each event has a line of its own, so that no two labels meet; arrivals are placed between.
        moments: dict[int, float] = {}
        places: list[float] = []
        drawn: dict[tuple[str, int], float] = {}
        y, last = 60.0, self.from_us
        gaps: list[tuple[float, int]] = []
        for event in events:
            gap = event.at - last
            if gap > 200_000:
                gaps.append((y + 19, gap))
                y += 20
            y += 22 if event.kind == "message" else 18
            places.append(y)
            moments.setdefault(event.at, y)
            drawn[event.kind, id(event.data)] = y
            last = event.at
        if self.to_us - last > 200_000:
            gaps.append((y + 22, self.to_us - last))
            y += 26
        bottom = y + 26
        known = sorted(moments)
        moments.setdefault(self.from_us, 66.0)
        moments.setdefault(self.to_us, bottom - 8)

        def place(at: int | None) -> float:
            if at is None:
                return bottom - 4
            at = min(max(at, self.from_us), self.to_us)
            if at in moments:
                return moments[at]
            after = bisect.bisect_left(known, at)
            low, high = (known[after - 1] if after else self.from_us), (known[after] if after < len(known) else self.to_us)
            share = (at - low) / max(high - low, 1)
            return moments[low] + (moments[high] - moments[low]) * share

        gapped = {(event.kind, event.at): y for event, y in zip(events, places, strict=True) if event.kind in ("cut", "healed")}
        stretches = {(int(cut["from_us"]), -1 if cut.get("to_us") is None else int(cut["to_us"])) for cut in self.cuts}
        for first, last_ in sorted(stretches):
            y = gapped.get(("cut", first), place(first))
            until = place(None) if last_ < 0 else gapped.get(("healed", last_), place(last_))
            canvas.begin(f"messages were cut off from {_at(first)} to {_at(last_) if last_ >= 0 else 'the end'}")
            canvas.rect(92, y, right - 92, max(until - y, 4), "band")
            canvas.end()
        for host, at in zip(self.hosts, centre, strict=True):
            canvas.begin(host)
            kind = "ka" if host in self._clients else "kh"
            label = name(host, 18)
            half = _words.columns(label) * _svg.ADVANCE / 2 + 10
            canvas.rect(at - half, 36, 2 * half, 22, kind, 11 if host in self._clients else 3)
            canvas.text(at, 51, label, "b", "middle")
            canvas.end()
            canvas.line(at, 58, at, bottom, "edge")
        for span in self.spans:
            what = str(span.get("kind"))
            words = _SPANS.get(what, ("", name(what)))[1]
            at = centre[self._column[span["host"]]]
            top = drawn.get(("span", id(span)), place(span["from_us"]))
            end = drawn.get(("spanned", id(span)), place(span.get("to_us")))
            canvas.begin(f"{span['host']} {words} from {_at(span['from_us'])} to {_at(span['to_us']) if span.get('to_us') is not None else 'the end'}")
            canvas.rect(at - 9, top, 18, max(end - top, 8), "deleted" if what == "down" else "unacknowledged", 2)
            if what == "down":
                canvas.hatched(at - 9, top, 18, max(end - top, 8))
            canvas.end()
        marked = self._request_marks(marks)
        for index, request in enumerate(self.requests):
            at = centre[self._column[request["client"]]]
            top = drawn.get(("request", id(request)), place(request["from_us"]))
            end = drawn.get(("answer", id(request)), place(request.get("to_us")))
            canvas.begin(f"{request['client']}: {request['what']}\n{_at(request['from_us'])}: {request.get('result') or 'no end yet'}")
            ok = request.get("result") in (None, "ok")
            state = "unknown" if request.get("to_us") is None else "living" if ok else "unacknowledged"
            canvas.rect(at - 5, top, 10, max(end - top, 6), state, 4)
            if marked[index]:
                canvas.rect(at - 9, top - 4, 18, max(end - top, 6) + 8, "marked", 6)
            canvas.end()
        said_at: int | None = None
        for event, y in zip(events, places, strict=True):
            data, kind = event.data, event.kind
            if event.at != said_at:
                canvas.text(84, y + 4, _at(event.at), "s t", "end")
                said_at = event.at
            if kind == "act":
                canvas.line(92, y, right, y, "rule")
                canvas.text(98, y + 4, _words.cut(_words.clean(f"act: {data.get('what') or ''}"), 110), "halo b")
            elif kind in ("cut", "healed"):
                self._gap(canvas, centre, data, y, kind == "cut", right)
            elif kind in ("span", "spanned"):
                words = _SPANS.get(str(data.get("kind")), ("", name(data.get("kind"))))[1]
                at = centre[self._column[data["host"]]]
                canvas.text(at + 14, y + 4, words if kind == "span" else f"no longer {words}", "s t halo")
            elif kind == "message":
                self._message(canvas, centre, data, y, place)
            elif kind in ("hint", "delivered"):
                at = centre[self._column[data["at"]]]
                canvas.begin(f"a hint at {data['at']} for {data.get('for')} {data.get('dot') or ''}")
                canvas.rect(at - 6, y - 6, 12, 12, "kb" if kind == "hint" else "unknown")
                canvas.path(f"M{_svg.number(at - 6)} {_svg.number(y)}H{_svg.number(at + 6)}", "lb")
                canvas.text(at + 12, y + 4, f"{'hint for' if kind == 'hint' else 'handed over to'} {name(data.get('for'), 12)}", "t halo wb")
                canvas.end()
            elif kind == "request":
                at = centre[self._column[data["client"]]]
                canvas.text(at + 10, y + 4, _words.cut(_words.clean(str(data["what"])), 40), "halo b")
            else:
                at = centre[self._column[data["client"]]]
                result = str(data.get("result") or "ok")
                more = f", {data['attempts']} attempts" if (data.get("attempts") or 1) > 1 else ""
                canvas.text(at + 10, y + 4, _words.cut(_words.clean(result + more), 46), "halo " + ("word-living" if result == "ok" else "word-unacknowledged"))
        for y, gap in gaps:
            canvas.text(84, y, f"⋮ {_words.duration(gap)}", "s t", "end")
            canvas.line(92, y - 3, right, y - 3, "reply")
        y = bottom + 18
        legend = ["━ request at its client, ─▶ message, ┄✕ lost message; time is not to scale."]
        for line in [*legend, *self._notes()]:
            canvas.text(8, y, line, "s")
            y += _svg.LINE + 2
        canvas.reach(right, y)
        return canvas

    def _message(self, canvas: _svg.Canvas, centre: list[float], data: Mapping[str, Any], y: float, place: Any) -> None:
        begin, end = centre[self._column[data["from"]]], centre[self._column[data["to"]]]
        lost = data.get("arrived_us") is None
        arrives = "lost, " + str(data.get("why_lost") or "no reason known") if lost else f"arrives at {_at(data['arrived_us'])}"
        canvas.begin(f"{data['type']} from {data['from']} to {data['to']}\nsent at {_at(data['sent_us'])}, {arrives}")
        step = 1 if end >= begin else -1
        css = "lost" if lost else "reply" if data.get("reply") else "edge"
        n = _svg.number
        if lost:
            stop = begin + (end - begin) * 0.6
            canvas.line(begin + step * 7, y, stop, y + 6, css)
            canvas.path(f"M{n(stop - 5)} {n(y + 1)}l10 10m0 -10l-10 10", "lb")
        else:
            low = min(max(place(data["arrived_us"]), y + 6), y + 60)
            canvas.line(begin + step * 7, y, end - step * 7, low, css, arrow=True)
        label = name(data["type"], 16)
        if step > 0:
            canvas.text(begin + 12, y - 3, label, "t halo" + (" word-deleted" if lost else ""))
        else:
            canvas.text(begin - 12, y - 3, label, "t halo" + (" word-deleted" if lost else ""), "end")
        canvas.end()

    def _gap(self, canvas: _svg.Canvas, centre: list[float], data: Mapping[str, Any], y: float, cut: bool, right: float) -> None:
        canvas.begin(str(data["words"]))
        pairs = data["pairs"]
        if len(pairs) == 1:
            begin, end = (centre[self._column[host]] for host in pairs[0])
            middle = (begin + end) / 2
            canvas.line(begin, y, end, y, "lost" if cut else "reply", arrow=True)
            if cut:
                canvas.path(f"M{_svg.number(middle - 4)} {_svg.number(y - 4)}l8 8m0 -8l-8 8", "lb")
            canvas.text(min(begin, end) + 12, y - 3, f"{'cut to' if cut else 'open to'} {name(pairs[0][1], 12)}", "t s halo")
        else:
            canvas.line(92, y, right, y, "lost" if cut else "reply")
            canvas.text(98, y - 3, _words.cut(str(data["words"]), 110), "t s halo")
        canvas.end()


def _cut_words(pairs: list[tuple[str, str]], *, cut: bool) -> str:
    """Who cannot reach whom, in as few words as it can be said."""
    by: dict[tuple[str, ...], list[str]] = {}
    for begin in dict.fromkeys(begin for begin, _ in pairs):
        by.setdefault(tuple(sorted(end for one, end in pairs if one == begin)), []).append(begin)
    word = "cannot" if cut else "can again"
    sides = list(by.items())
    if len(sides) == 2 and sorted(sides[0][0]) == sorted(sides[1][1]) and sorted(sides[1][0]) == sorted(sides[0][1]):
        one, other = (_words.listed([name(host) for host in hosts], most=6) for _, hosts in sides)
        return f"{one} {word} reach {other}, nor the other way" if cut else f"{one} {word} reach {other}, and the other way"
    said = [
        f"{_words.listed([name(host) for host in begins], most=6)} {word} reach {_words.listed([name(end) for end in ends], most=6)}"
        for ends, begins in sides
    ]
    return _words.cut("; ".join(said), 160)


def _at(us: int) -> str:
    return f"{us / 1e6:.4f} s"


def _centred(text: str, wide: int) -> str:
    before = wide // 2 if len(text) == 1 else max((wide - _words.columns(text)) // 2, 0)
    return _words.padded(" " * before + text, wide)


def _put(line: str, at: int, glyph: str) -> str:
    return line[:at] + glyph + line[at + 1 :]
