"""Runs a notebook's cells in this process, as a kernel does, and writes what it shows as one HTML page.

    python run.py 2_siblings.py [--html DIRECTORY]

For tests and for machines without Jupyter; `./dev notebooks` opens them in JupyterLab. A notebook here is a Python file in
jupytext's "percent" format: `# %%` begins a cell, `# %% [markdown]` one of text.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import html
import io
import re
import sys
import time
from pathlib import Path
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
pre { overflow-x: auto; padding: .6rem .8rem; border-radius: 4px; background: color-mix(in srgb, currentColor 8%, transparent); }
pre.out { background: none; border-left: 3px solid color-mix(in srgb, currentColor 30%, transparent); }
div.out { overflow-x: auto; }
"""


def cells(text: str) -> list[tuple[str, str]]:
    """("markdown" or "code", its text) of each cell; what is before the first is jupytext's header."""
    found = []
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        kind = "markdown" if "[markdown]" in head else "code"
        if kind == "markdown":
            body = "\n".join(re.sub(r"^# ?", "", line) for line in body.splitlines())
        found.append((kind, body.strip("\n")))
    return found


def run_cell(code: str, names: dict[str, Any], where: str) -> Any:
    """Runs it; the value of its last line, if that is an expression."""
    tree = ast.parse(code, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), where, "eval"), names)


def shown(value: Any) -> str:
    """As a notebook shows it: HTML or SVG if it has one, else its text."""
    for method in ("_repr_html_", "_repr_svg_"):
        if (draw := getattr(value, method, None)) and (drawn := draw()):
            return f'<div class="out">{drawn}</div>'
    return f'<pre class="out">{html.escape(repr(value))}</pre>'


def inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", text)


def paragraph(text: str) -> str:
    """The little of Markdown that these notebooks use."""
    out = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if lines and lines[0].startswith("#"):
            level = len(lines[0]) - len(lines[0].lstrip("#"))
            out.append(f"<h{level}>{inline(lines.pop(0).lstrip('# '))}</h{level}>")
        if lines:
            out.append(f"<p>{inline(' '.join(lines))}</p>")
    return "\n".join(out)


def run(path: Path) -> str:
    """Its page; what a cell raises goes through."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    page = []
    for number, (kind, text) in enumerate(cells(path.read_text(encoding="utf-8"))):
        if kind == "markdown":
            page.append(paragraph(text))
            continue
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                value = run_cell(text, names, f"{path.name}, cell {number}")
        except BaseException:
            sys.stdout.write(printed.getvalue())
            raise
        page.append(f"<pre><code>{html.escape(text)}</code></pre>")
        if printed.getvalue():
            page.append(f'<pre class="out">{html.escape(printed.getvalue())}</pre>')
        if value is not None:
            page.append(shown(value))
    title = html.escape(path.stem.replace("_", " "))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body>{''.join(page)}</body></html>"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs notebooks.")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK.py")
    parser.add_argument("--html", type=Path, metavar="DIRECTORY", help="where each one's page is written")
    asked = parser.parse_args()
    for path in asked.notebooks:
        began = time.monotonic()
        page = run(path)
        if asked.html is not None:
            asked.html.mkdir(parents=True, exist_ok=True)
            (asked.html / f"{path.stem}.html").write_text(page, encoding="utf-8")
        print(f"{path.name}: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
