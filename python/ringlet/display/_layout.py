"""Where the versions of a history stand: rows from old to new, and lanes side by side.

A version keeps its lane for as long as a later one is joined to it. So an edge runs down the lane of the older
version, where no box stands, and changes lanes only in the gap above the newer one: it never runs behind a box,
however long the labels are. grandalf (a Sugiyama layout in pure Python) was weighed and not taken: its licence is
GPL or EPL, it brings pyparsing into a package that has no dependencies, and its last release is of 2023.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple


class Layout(NamedTuple):
    """By the number of each version."""

    order: list[int]  # old before new
    row: list[int]
    lane: list[int]
    end: list[int]  # the last row in which the lane is kept


def in_order(parents: Sequence[Sequence[int]], times: Sequence[int | None]) -> list[int]:
    """What was seen comes before what had seen it; else the earlier first, else as given."""
    children: list[list[int]] = [[] for _ in parents]
    missing = [len(of) for of in parents]
    for version, of in enumerate(parents):
        for parent in of:
            children[parent].append(version)
    # One of an unknown time comes right after what it had seen.
    known: list[tuple[float, int]] = []

    def key(version: int, after: float) -> tuple[float, int]:
        time = times[version]
        return (after if time is None else max(after, float(time)), version)

    for version, count in enumerate(missing):
        if not count:
            heapq.heappush(known, key(version, 0.0))
    order = []
    while known:
        time, version = heapq.heappop(known)
        order.append(version)
        for child in children[version]:
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(known, key(child, time))
    if len(order) < len(parents):
        raise ValueError("history: wanted versions that had seen earlier ones only, got a circle of 'seen'")
    return order


def laid_out(parents: Sequence[Sequence[int]], order: list[int], *, one_a_row: bool, most_a_row: int = 8) -> Layout:
    """Rows and lanes. ``one_a_row``: for text, where each version has a line of its own."""
    count = len(parents)
    row = [0] * count
    if one_a_row:
        for line, version in enumerate(order):
            row[version] = line
    else:
        line = filled = 0
        for version in order:
            # Never above one that is older, so that time runs downwards.
            after = max((row[parent] + 1 for parent in parents[version]), default=0)
            if after > line or filled >= most_a_row:
                line, filled = max(after, line + 1), 0
            filled += 1
            row[version] = line
    end = list(row)
    for version in order:
        for parent in parents[version]:
            end[parent] = max(end[parent], row[version] - 1)

    lane = [0] * count
    until: list[int] = []  # of each lane, the last row in which it is taken
    last: list[int] = []  # and by which version
    rank = {version: place for place, version in enumerate(order)}
    for version in sorted(order, key=lambda each: (row[each], rank[each])):
        of = parents[version]
        wanted = sum(lane[parent] for parent in of) / len(of) if of else 0.0
        # In text one version right below another in its lane is joined to it, so no other may stand there.
        free = [
            number for number, end_ in enumerate(until)
            if end_ < row[version] - one_a_row or (end_ < row[version] and last[number] in of)
        ]  # fmt: skip
        # Down the lane of what it had seen, if that is free: a straight line.
        straight = [number for number in free if any(lane[parent] == number for parent in of)]
        best = min(straight or [*free, len(until)], key=lambda number: (abs(number - wanted), number))
        if best == len(until):
            until.append(0)
            last.append(version)
        lane[version] = best
        last[best] = version
        until[best] = end[version]
    return Layout(order, row, lane, end)


_ARMS = {  # up, down, left, right
    (1, 1, 0, 0): "│", (1, 1, 0, 1): "├", (1, 1, 1, 0): "┤", (1, 1, 1, 1): "┼",
    (1, 0, 0, 1): "╰", (1, 0, 1, 0): "╯", (1, 0, 1, 1): "┴",
    (0, 1, 0, 1): "╭", (0, 1, 1, 0): "╮", (0, 1, 1, 1): "┬",
    (0, 0, 1, 1): "─", (0, 0, 0, 0): " ",
}  # fmt: skip


def drawn_in_text(parents: Sequence[Sequence[int]], layout: Layout, glyphs: Sequence[str]) -> list[tuple[int | None, str]]:
    """The lines of a graph in text, each with the version that stands in it, or None for one of edges alone."""
    lines: list[tuple[int | None, str]] = []
    active: dict[int, int] = {}  # the version whose lane it is, by lane
    for line, version in enumerate(layout.order):
        own = layout.lane[version]
        joined = {layout.lane[parent] for parent in parents[version]}
        through = {number for number, of in active.items() if layout.end[of] >= line}
        if joined - {own}:
            first, last = min(joined | {own}), max(joined | {own})
            text = ""
            for number in range(max([last, *through, 0]) + 1):
                if number in joined or number == own:
                    arms = (
                        int(number in joined),
                        int(number == own or number in through),
                        int(number > first),
                        int(number < last),
                    )
                    text += _ARMS[arms]
                elif number in through:
                    text += "│"
                else:
                    text += "─" if first < number < last else " "
                text += "─" if first <= number < last else " "
            lines.append((None, text.rstrip()))
        active = {number: active[number] for number in through}
        active[own] = version
        width = max(active) + 1
        marks = ["│" if number in through else " " for number in range(width)]
        marks[own] = glyphs[version]
        lines.append((version, " ".join(marks)))
    return lines
