"""Distributions: how long calls took, and how often a read was stale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from . import _svg, _words
from ._picture import Marks, Picture
from ._words import duration, many, name

_BARS = " ▁▂▃▄▅▆▇█"
_QUANTILES = ((50.0, "p50"), (95.0, "p95"), (99.0, "p99"), (99.9, "p99.9"))


def quantile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank: the smallest sample that ``percent`` of them do not exceed."""
    return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)]


class Latencies(Picture):
    """How long calls took: one small diagram a series, all with the same logarithmic axis."""

    _kind = "latencies"

    def _read(self) -> None:
        self.series: list[tuple[str, list[float]]] = []
        for index, each in enumerate(_words.rows(self.data, "series", "latencies", must=True)):
            where = f"latencies.series[{index}]"
            called = str(_words.need(each, "name", str, where))
            samples = _words.need(each, "samples_us", (list, tuple), where)
            bad = [s for s in samples if isinstance(s, bool) or not isinstance(s, int | float) or not 0 <= s < math.inf]
            if bad:
                raise ValueError(f"{where}.samples_us: wanted microseconds of at least 0, got {bad[0]!r}")
            self.series.append((called, sorted(map(float, samples))))
        all_ = [sample for _, samples in self.series for sample in (samples[:1] + samples[-1:])]
        low, high = (max(min(all_), 1.0), max(max(all_), 2.0)) if all_ else (1.0, 1000.0)
        self._low, self._high = math.floor(math.log10(low) * 2) / 2, math.ceil(math.log10(high * 1.0001) * 2) / 2

    def _title(self) -> str:
        return f"latencies of {many(len(self.series), 'series', 'series')}"

    def _counts(self, samples: Sequence[float], bins: int) -> list[int]:
        counts = [0] * bins
        for sample in samples:
            at = (math.log10(max(sample, 1.0)) - self._low) / (self._high - self._low)
            counts[min(max(int(at * bins), 0), bins - 1)] += 1
        return counts

    def _words_of(self, samples: Sequence[float]) -> dict[str, str]:
        if not samples:
            return {"calls": "0"}
        return {"calls": f"{len(samples):,}", **{label: duration(quantile(samples, p)) for p, label in _QUANTILES}, "max": duration(samples[-1])}

    def _items(self) -> dict[str, dict[str, str]]:
        return {called: self._words_of(samples) for called, samples in self.series}

    def _lines(self, marks: Marks) -> list[str]:
        wide = max([6, *(_words.columns(name(called, 30)) for called, _ in self.series)])
        head = f"{'':{wide}}  {duration(10**self._low):<20}{duration(10**self._high):>20}  {'calls':>8}" + "".join(f"  {label:>8}" for _, label in _QUANTILES) + "       max"
        lines = [self._title(), head]
        for called, samples in self.series:
            counts = self._counts(samples, 40)
            most = max([1, *counts])
            bars = "".join(_BARS[math.ceil(8 * count / most)] for count in counts)
            words = self._words_of(samples)
            numbers = "".join(f"  {words.get(label, '-'):>8}" for label in ("calls", *(label for _, label in _QUANTILES), "max"))
            mark = marks.get(called)
            lines.append(f"{_words.padded(name(called, 30), wide)}  {bars}{numbers}" + (f"  ≠ {mark}" if mark else ""))
        return lines

    def _describe(self) -> list[str]:
        return [self._title()] + [
            f"{name(called)}: " + ", ".join(f"{label} {text}" for label, text in self._words_of(samples).items())
            for called, samples in self.series
        ]

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        canvas = _svg.Canvas()
        canvas.text(8, 20, self._title(), "b")
        x0, y, wide, high, bins = 34.0, 40.0, 480.0, 72.0, 60
        for index, (called, samples) in enumerate(self.series):
            letter = _svg.SERIES[index % len(_svg.SERIES)]
            counts = self._counts(samples, bins)
            most = max([1, *counts])
            words = self._words_of(samples)
            canvas.begin(f"{called}\n" + ", ".join(f"{label} {text}" for label, text in words.items()))
            canvas.text(x0, y + 12, name(called), "b")
            canvas.text(x0 + wide, y + 12, f"{words['calls']} calls", "s", "end")
            base = y + 22 + high
            for place, count in enumerate(counts):
                if count:
                    tall = max(high * count / most, 1.5)
                    canvas.rect(x0 + place * wide / bins, base - tall, wide / bins - 1, tall, f"k{letter}")
            canvas.line(x0, base, x0 + wide, base, "edge")
            line = 0
            for percent, label in _QUANTILES if samples else ():
                found = quantile(samples, percent)
                x = x0 + wide * (math.log10(max(found, 1.0)) - self._low) / (self._high - self._low)
                canvas.line(x, base - high, x, base, f"l{letter}")
                canvas.text(x0 + wide + 14, y + 34 + line * _svg.LINE, f"{label:<5} {duration(found)}", "s")
                if percent in (50.0, 99.9):
                    canvas.text(x, base - high - 1, label, "t halo", "middle")
                line += 1
            if samples:
                canvas.text(x0 + wide + 14, y + 34 + line * _svg.LINE, f"max   {duration(samples[-1])}", "s")
            if marks.get(called):
                canvas.text(x0 + wide + 14, y + 12, f"≠ {_words.cut(marks[called], 40)}", "m")
            canvas.end()
            y = base + 14
            for half in range(round(2 * self._low), round(2 * self._high) + 1):
                if half % 2 == 0:
                    x = x0 + wide * (half / 2 - self._low) / (self._high - self._low)
                    canvas.line(x, base, x, base + 4, "edge")
                    canvas.text(x, base + 15, duration(10 ** (half / 2)), "s t", "middle")
            y += 22
        return canvas


class Staleness(Picture):
    """How often a read misses a write, by the time between the two: measured, and as predicted where that is known."""

    _kind = "staleness"

    def _read(self) -> None:
        self.series: list[Mapping[str, Any]] = _words.rows(self.data, "series", "staleness", must=True)
        self._most_us, self._most = 1.0, 0.01
        for index, each in enumerate(self.series):
            where = f"staleness.series[{index}]"
            _words.need(each, "name", str, where)
            points = _words.rows(each, "points", where, must=True)
            for place, point in enumerate([*points, *_words.rows(each, "predicted", where)]):
                at = f"{where}.points[{place}]"
                after = float(_words.need(point, "after_us", (int, float), at))
                stale = float(_words.need(point, "stale", (int, float), at))
                if not 0 <= stale <= 1:
                    raise ValueError(f"{at}.stale: wanted a share from 0 to 1, got {stale!r}")
                self._most_us, self._most = max(self._most_us, after), max(self._most, stale)

    def _title(self) -> str:
        return f"stale reads of {many(len(self.series), 'series', 'series')}"

    def _items(self) -> dict[str, dict[str, str]]:
        return {
            str(each["name"]): {duration(point["after_us"]): _share(point["stale"]) for point in each["points"]} for each in self.series
        }

    def _lines(self, marks: Marks) -> list[str]:
        lines = [self._title()]
        for each in self.series:
            mark = marks.get(str(each["name"]))
            lines.append(name(each["name"]) + (f"  ≠ {mark}" if mark else ""))
            predicted = {point["after_us"]: point["stale"] for point in each.get("predicted") or ()}
            for point in each["points"]:
                bar = "█" * round(30 * point["stale"] / self._most)
                said = _share(point["stale"])
                if point.get("reads") is not None:
                    said += f" of {point['reads']:,} reads"
                if point["after_us"] in predicted:
                    said += f", predicted {_share(predicted[point['after_us']])}"
                lines.append(f"  {duration(point['after_us']):>8} later  {bar:<30}  {said}")
        return lines

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        canvas = _svg.Canvas()
        canvas.text(8, 20, self._title(), "b")
        y, wide, high = 40.0, 420.0, 110.0
        for index, each in enumerate(self.series):
            letter = _svg.SERIES[index % len(_svg.SERIES)]
            mark = marks.get(str(each["name"]))
            canvas.begin(str(each["name"]))
            canvas.text(62, y + 12, name(each["name"]) + (f"  ≠ {_words.cut(mark, 50)}" if mark else ""), "m" if mark else "b")
            base = y + 26 + high
            for share in (0.0, self._most / 2, self._most):
                at = base - high * share / self._most
                canvas.line(62, at, 62 + wide, at, "rule")
                canvas.text(54, at + 4, _share(share), "s t", "end")

            def path(points: Sequence[Mapping[str, Any]], base: float = base) -> str:
                found = sorted(points, key=lambda point: float(point["after_us"]))
                return "".join(
                    f"{'L' if place else 'M'}{_svg.number(62 + wide * point['after_us'] / self._most_us)} "
                    f"{_svg.number(base - high * point['stale'] / self._most)}"
                    for place, point in enumerate(found)
                )

            if each.get("predicted"):
                canvas.path(path(each["predicted"]), "predicted")
            if each["points"]:
                canvas.path(path(each["points"]), f"l{letter}")
            for point in each["points"]:
                canvas.begin(f"{duration(point['after_us'])} later: {_share(point['stale'])}" + (f" of {point['reads']} reads" if point.get("reads") is not None else ""))
                canvas.circle(62 + wide * point["after_us"] / self._most_us, base - high * point["stale"] / self._most, 3.5, f"k{letter}")
                canvas.end()
            for share in (0.0, 0.5, 1.0):
                canvas.text(62 + wide * share, base + 16, duration(self._most_us * share) if share else "0", "s t", "middle")
            canvas.end()
            y = base + 30
        if any(each.get("predicted") for each in self.series):
            canvas.text(62, y + 4, "● measured   ⋯ predicted", "s")
        canvas.text(62, y + 22, "share of reads that miss the write, by the time after its acknowledgement", "s")
        return canvas


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"
