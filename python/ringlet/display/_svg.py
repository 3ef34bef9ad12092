"""Scalable vector graphics without scripts: the same bytes for the same picture, readable in light and dark.

Text is set in a fixed-width font, whose widths are known without a browser: 0.602 em in DejaVu Sans Mono, Menlo
and Liberation Mono, less in the others that are named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from ._words import clean, columns

# Stands for the id of the whole picture until it is known. No text has it: clean() says it in words.
_OWN = "\ue000"
FONT = 12
ADVANCE = 7.3  # of one column at that size
LINE = 16  # from one line of text to the next

# Name: light, dark. Each state has a frame and a ground; they differ in shape as well, for whom colours say nothing.
_COLOURS: Mapping[str, tuple[str, str]] = {
    "ground": ("#ffffff", "#0d1117"),
    "text": ("#1f2328", "#e6edf3"),
    "soft": ("#57606a", "#9da7b3"),
    "faint": ("#d0d7de", "#30363d"),
    "line": ("#6e7781", "#8b949e"),
    "living": ("#116329", "#56d364"),
    "living-ground": ("#dafbe1", "#12351f"),
    "replaced": ("#57606a", "#8b949e"),
    "replaced-ground": ("#f6f8fa", "#161b22"),
    "deleted": ("#a40e26", "#ff7b72"),
    "deleted-ground": ("#ffebe9", "#3c1618"),
    "open": ("#7d4e00", "#e3b341"),
    "open-ground": ("#fff8c5", "#342a10"),
    "mark": ("#8250df", "#d2a8ff"),
    "mark-ground": ("#fbefff", "#271b3d"),
    "a": ("#0550ae", "#79c0ff"),
    "a-ground": ("#ddf4ff", "#0c2d6b"),
    "b": ("#953800", "#ffa657"),
    "b-ground": ("#fff1e5", "#4d2407"),
    "c": ("#116329", "#56d364"),
    "c-ground": ("#dafbe1", "#12351f"),
    "d": ("#6639ba", "#d2a8ff"),
    "d-ground": ("#fbefff", "#3c1e70"),
    "e": ("#99286e", "#ff9bce"),
    "e-ground": ("#ffeff7", "#5e103e"),
    "f": ("#4d5b00", "#d5de6b"),
    "f-ground": ("#f4f8c8", "#333a08"),
    "g": ("#00606b", "#6fdbe6"),
    "g-ground": ("#d8f5f8", "#053a41"),
    "h": ("#57606a", "#b1bac4"),
    "h-ground": ("#eaeef2", "#343b44"),
}

SERIES = "abcdefgh"  # colours of things that are only to be told apart


def _variables(theme: int) -> str:
    return "".join(f"--rl-{name}:{pair[theme]};" for name, pair in _COLOURS.items())


def _style() -> str:
    light, dark = _variables(0), _variables(1)
    rules = [
        f".rl{{{light}color:var(--rl-text);background:var(--rl-ground)}}",
        f"@media(prefers-color-scheme:dark){{.rl{{{dark}}}}}",
        # JupyterLab has a theme of its own, which need not be the system's.
        f"[data-jp-theme-light=true] .rl{{{light}}}[data-jp-theme-light=false] .rl{{{dark}}}",
        ".rl text{fill:currentColor;font:12px ui-monospace,'DejaVu Sans Mono',Menlo,'Liberation Mono',"
        "Consolas,monospace;white-space:pre}",
        ".rl .b{font-weight:bold}.rl .s{fill:var(--rl-soft)}.rl .t{font-size:10px}.rl .m{fill:var(--rl-mark)}",
        ".rl .ground{fill:var(--rl-ground)}.rl .edge{fill:none;stroke:var(--rl-line);stroke-width:1.5}",
        ".rl .head{fill:var(--rl-line)}.rl .rule{fill:none;stroke:var(--rl-faint);stroke-width:1}",
        ".rl .band{fill:var(--rl-replaced-ground)}.rl .halo{paint-order:stroke;stroke:var(--rl-ground);stroke-width:4px}",
        ".rl .living{fill:var(--rl-living-ground);stroke:var(--rl-living);stroke-width:2.5}",
        ".rl .replaced{fill:var(--rl-replaced-ground);stroke:var(--rl-replaced);stroke-width:1}",
        ".rl .deleted{fill:var(--rl-deleted-ground);stroke:var(--rl-deleted);stroke-width:2;stroke-dasharray:8 3 2 3}",
        ".rl .unacknowledged{fill:var(--rl-open-ground);stroke:var(--rl-open);stroke-width:2;stroke-dasharray:6 4}",
        ".rl .unknown{fill:var(--rl-ground);stroke:var(--rl-soft);stroke-width:1.5;stroke-dasharray:2 3}",
        ".rl .lost{fill:none;stroke:var(--rl-deleted);stroke-width:1.5;stroke-dasharray:5 4}",
        ".rl .reply{fill:none;stroke:var(--rl-line);stroke-width:1;stroke-dasharray:1 2}",
        ".rl .predicted{fill:none;stroke:var(--rl-text);stroke-width:1.5;stroke-dasharray:2 4}",
        ".rl .marked{fill:none;stroke:var(--rl-mark);stroke-width:3}",
        ".rl .word-living{fill:var(--rl-living)}.rl .word-replaced{fill:var(--rl-replaced)}",
        ".rl .word-deleted{fill:var(--rl-deleted)}.rl .word-unacknowledged{fill:var(--rl-open)}",
        ".rl .word-unknown{fill:var(--rl-soft)}",
    ]
    for letter in SERIES:
        rules.append(
            f".rl .k{letter}{{fill:var(--rl-{letter}-ground);stroke:var(--rl-{letter});stroke-width:1}}"
            f".rl .l{letter}{{fill:none;stroke:var(--rl-{letter});stroke-width:2}}"
            f".rl .w{letter}{{fill:var(--rl-{letter})}}"
        )
    return "".join(rules)


_STYLE = _style()


def escaped(text: str) -> str:
    """Any text as a part of XML, in an attribute too."""
    return (
        clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;").replace("'", "&#39;")
    )


def _escaped_lines(text: str) -> str:
    return "\n".join(escaped(line) for line in text.split("\n"))


def number(value: float) -> str:
    """A coordinate, as short as a tenth of a pixel can be said."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


class Canvas:
    """Where a picture is drawn. ``width`` and ``height`` grow with what is on it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.width = 0.0
        self.height = 0.0

    def reach(self, x: float, y: float) -> None:
        """The canvas is at least as large as this."""
        self.width, self.height = max(self.width, x), max(self.height, y)

    def text(self, x: float, y: float, text: str, css: str = "", anchor: str = "") -> None:
        """One line, whose base line is at ``y``."""
        attributes = (f' class="{css}"' if css else "") + (f' text-anchor="{anchor}"' if anchor else "")
        self.parts.append(f'<text x="{number(x)}" y="{number(y)}"{attributes}>{escaped(text)}</text>')
        wide = columns(text) * ADVANCE
        self.reach(x + (wide / 2 if anchor == "middle" else 0 if anchor == "end" else wide), y + 5)

    def rect(self, x: float, y: float, w: float, h: float, css: str, round_: float = 0) -> None:
        corner = f' rx="{number(round_)}"' if round_ else ""
        self.parts.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}"{corner} class="{css}"/>'
        )
        self.reach(x + w + 2, y + h + 2)

    def hatched(self, x: float, y: float, w: float, h: float) -> None:
        """Slanted lines over a rectangle: what is deleted, or not there."""
        self.parts.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}" fill="url(#{_OWN}hatch)"/>'
        )
        self.reach(x + w, y + h)

    def path(self, d: str, css: str, *, arrow: bool = False) -> None:
        head = f' marker-end="url(#{_OWN}arrow)"' if arrow else ""
        self.parts.append(f'<path d="{d}" class="{css}"{head}/>')

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str, *, arrow: bool = False) -> None:
        self.path(f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}", css, arrow=arrow)
        self.reach(max(x1, x2), max(y1, y2))

    def circle(self, x: float, y: float, r: float, css: str) -> None:
        self.parts.append(f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" class="{css}"/>')
        self.reach(x + r, y + r)

    def begin(self, title: str = "") -> None:
        """A group, whose title is shown where the pointer rests on it."""
        self.parts.append("<g>" + (f"<title>{_escaped_lines(title)}</title>" if title else ""))

    def end(self) -> None:
        self.parts.append("</g>")

    def place(self, other: Canvas, x: float, y: float) -> None:
        """Another canvas, at a place of this one."""
        self.parts.append(f'<g transform="translate({number(x)} {number(y)})">')
        self.parts += other.parts
        self.parts.append("</g>")
        self.reach(x + other.width, y + other.height)


def document(canvas: Canvas, title: str, describe: Iterable[str]) -> str:
    """The whole picture. ``title`` and ``describe`` are what a screen reader says."""
    body = "".join(canvas.parts)
    about = "\n".join(describe)
    # Pages hold several pictures, and ids are the page's: each picture has its own, made of what it shows.
    own = "rl" + hashlib.sha256((title + about + body).encode("utf-8", "replace")).hexdigest()[:10]
    width, height = number(canvas.width + 8), number(canvas.height + 8)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rl" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" aria-labelledby="{own}-t {own}-d">'
        f'<title id="{own}-t">{escaped(title)}</title><desc id="{own}-d">{_escaped_lines(about)}</desc>'
        f"<style>{_STYLE}</style><defs>"
        f'<marker id="{own}arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" class="head"/></marker>'
        f'<pattern id="{own}hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<path d="M0 0V8" class="rule"/></pattern></defs>'
        f'<rect class="ground" width="{width}" height="{height}"/>'
        f"{body.replace(_OWN, own)}</svg>"
    )
