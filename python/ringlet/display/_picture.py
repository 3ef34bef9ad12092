"""What all pictures can do: text, SVG, HTML, a file, and two of them side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from . import _svg, _words

Marks = Mapping[str, str]  # what differs, by the name of the part


class Shown:
    """Text, SVG, HTML and files of whatever has a text form and a canvas."""

    def _title(self) -> str:
        raise NotImplementedError

    def svg(self) -> str:
        """The picture as scalable vector graphics, without scripts; readable in light and dark."""
        raise NotImplementedError

    def html(self) -> str:
        """A page of its own with the picture."""
        return (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
            f"<title>{_svg.escaped(self._title())}</title></head><body>{self._repr_html_()}</body></html>\n"
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the picture to a file. Its ending says the form: ``.svg``, ``.html`` or ``.txt``."""
        file = Path(path)
        forms: dict[str, Callable[[], str]] = {
            ".svg": lambda: f"{self.svg()}\n", ".html": self.html, ".txt": lambda: f"{self}\n"
        }  # fmt: skip
        if file.suffix not in forms:
            raise ValueError(f"save: wanted a name that ends in .svg, .html or .txt, got {file.name!r}")
        file.write_text(forms[file.suffix](), encoding="utf-8")
        return file

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        # A wide picture scrolls in its own frame, not the page.
        return f'<div style="overflow-x:auto">{self.svg()}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_(), "image/svg+xml": self.svg()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._title()}>"


class Picture(Shown):
    """Something drawn from a dict. ``print`` gives text; a notebook shows the SVG.

    Immutable: the same dict gives the same bytes on every machine.
    """

    _kind = "picture"

    def __init__(self, data: Mapping[str, Any], decode: Any = None) -> None:
        """
        Args:
            data: what ``ringlet.lab``, a client or a recorder gives; docs/pictures.md has the shape.
            decode: reads the bytes of a value: a function, or a codec as ``ringlet.Json``. Default: text
                where the bytes are UTF-8, else hexadecimal digits.

        Raises:
            ValueError: a field is missing or of another type; the message names it.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"{self._kind}: wanted a dict, got {type(data).__name__}")
        self.data = data
        self._decode = _words.decoder(decode)
        self._read()

    def _read(self) -> None:
        """Reads ``data``, and refuses what cannot be drawn."""

    def _lines(self, marks: Marks) -> list[str]:
        raise NotImplementedError

    def _canvas(self, marks: Marks) -> _svg.Canvas:
        raise NotImplementedError

    def _items(self) -> dict[str, dict[str, str]]:
        """The parts that can be compared: what each is called, and what is said of it."""
        return {}

    def _describe(self) -> list[str]:
        """What a screen reader says of the picture."""
        return self._lines({})

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self._lines({}))

    def svg(self) -> str:
        """The picture as scalable vector graphics, without scripts; readable in light and dark."""
        return _svg.document(self._canvas({}), self._title(), _limited(self._describe()))

    def beside(self, other: Self) -> Beside:
        """Both pictures side by side, with what differs marked."""
        if type(other) is not type(self):
            raise TypeError(f"beside wanted another {type(self).__name__}, got {type(other).__name__}")
        return Beside(self, other)


def _limited(lines: list[str], most: int = 60) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[:most], f"{len(lines) - most} more lines are in the picture's text form."]


class Beside(Shown):
    """Two pictures side by side. What differs has a frame and a ``≠``, and is listed in ``differences``."""

    def __init__(self, left: Picture, right: Picture) -> None:
        self.left: Picture
        self.right: Picture
        self.left, self.right = left, right
        here, there = left._items(), right._items()
        self._marks: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.differences: list[str] = []
        for part in [*here, *(part for part in there if part not in here)]:
            if part not in there:
                self._marks[0][part] = "only here"
                self.differences.append(f"{part}: only on the left")
            elif part not in here:
                self._marks[1][part] = "only here"
                self.differences.append(f"{part}: only on the right")
            else:
                a, b = here[part], there[part]
                fields = [field for field in {**a, **b} if a.get(field) != b.get(field)]
                if fields:
                    self._marks[0][part] = self._marks[1][part] = "other " + ", ".join(fields)
                    self.differences.append(
                        f"{part}: "
                        + "; ".join(f"{f} {a.get(f) or 'none'} on the left, {b.get(f) or 'none'} on the right" for f in fields)
                    )

    def _said(self) -> list[str]:
        if not self.differences:
            return ["nothing differs"]
        most = 12
        more = len(self.differences) - most
        return [f"≠ {each}" for each in self.differences[:most]] + (
            [f"≠ {_words.many(more, 'more difference')}"] if more > 0 else []
        )

    def __str__(self) -> str:
        left = self.left._lines(self._marks[0])
        right = self.right._lines(self._marks[1])
        width = max(map(_words.columns, left), default=0)
        if width + max(map(_words.columns, right), default=0) > 220:
            lines = ["left:", *left, "", "right:", *right]
        else:
            left += [""] * (len(right) - len(left))
            right += [""] * (len(left) - len(right))
            lines = [f"{_words.padded(a, width)}  ┃  {b}" for a, b in zip(left, right, strict=True)]
        return "\n".join(line.rstrip() for line in [*lines, "", *self._said()])

    def svg(self) -> str:
        """Both as one picture."""
        left, right = self.left._canvas(self._marks[0]), self.right._canvas(self._marks[1])
        whole = _svg.Canvas()
        whole.place(left, 0, 0)
        whole.place(right, left.width + 40, 0)
        bottom = max(left.height, right.height) + 12
        whole.line(left.width + 20, 8, left.width + 20, bottom - 12, "rule")
        for index, line in enumerate(self._said()):
            whole.text(8, bottom + 14 + index * _svg.LINE, _words.cut(line, 160), "m")
        title = f"{self.left._title()} beside {self.right._title()}"
        return _svg.document(whole, title, _limited(self._said() + self.left._describe() + self.right._describe()))

    def _title(self) -> str:
        return f"{self.left._title()} beside {self.right._title()}"

    def __repr__(self) -> str:
        return f"<Beside {self._title()}: {_words.many(len(self.differences), 'difference')}>"
