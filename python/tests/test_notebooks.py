"""The notebooks of examples/notebooks: each runs from top to bottom and ends with its assertions; its page is well-formed and has no script."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "notebooks"
NOTEBOOKS = sorted(path for path in FOLDER.glob("*.py") if path.name[0].isdigit())
VOID = {"meta", "br", "hr", "img", "line", "link"}


class Page(HTMLParser):
    """Whether each element is closed where it should be, and what elements there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag


def run(path: Path, pages: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), str(path), "--html", str(pages)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "python")},
    )


def test_there_are_eight() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == list("12345678")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "\nassert " in text.rsplit("# %%", 1)[1], "it ends with assertions"
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    page = Page()
    page.feed((tmp_path / f"{path.stem}.html").read_text(encoding="utf-8"))
    assert not page.open
    assert "script" not in page.seen
    assert page.seen["h1"] == 1
    if path.stem[0] not in "38":  # their reports are text, and the picture of 3 is inside of one
        assert page.seen["svg"] >= 1


def test_a_notebook_whose_assertion_fails_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "9_broken.py"
    broken.write_text("# %%\nprint('before')\n\n# %%\nassert 1 == 2, 'no'\n")
    done = run(broken, tmp_path)
    assert done.returncode != 0
    assert "9_broken.py, cell 1" in done.stderr
