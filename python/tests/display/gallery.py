"""Writes the gallery: every picture in a page that follows the reader's theme, and in one page each of light and dark.

usage: gallery.py DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

import examples



def pages() -> dict[str, str]:
    """The pages, by the names of their files."""
    made = {}
    parts = [
        f"<h2>{called}</h2>{picture._repr_html_()}<details><summary>as text</summary><pre>{_escaped(str(picture))}</pre></details>"
        for called, picture in {**examples.PICTURES, **examples.BESIDE}.items()
    ]
    for theme in ("", "light", "dark"):
        # The theme of JupyterLab is an attribute of the page, and the pictures obey it.
        attribute = f' data-jp-theme-light="{str(theme == "light").lower()}"' if theme else ""
        colours = {"": "color-scheme:light dark", "light": "background:#fff;color:#111", "dark": "background:#0d1117;color:#eee"}
        made[f"gallery{'-' if theme else ''}{theme}.html"] = (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>Pictures of Ringlet</title></head><body{attribute} style=\"font-family:sans-serif;{colours[theme]}\">"
            f"<h1>Pictures</h1>{''.join(parts)}</body></html>\n"
        )
    return made


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def write(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for called, text in pages().items():
        (directory / called).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
