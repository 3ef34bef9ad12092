"""The README's session works as printed."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import ringlet

HERE = Path(__file__).parent


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_session():
    assert doctest.testfile(str(HERE / "session.txt"), module_relative=False).failed == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_packages_own_example():
    result = doctest.testmod(ringlet)
    assert result.attempted >= 2 and result.failed == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_readme_shows_what_happens():
    readme = HERE.parents[1] / "README.md"
    if not readme.is_file():
        pytest.skip("there is no README.md yet")
    result = doctest.testfile(str(readme), module_relative=False)
    assert result.attempted >= 15 and result.failed == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_asyncio_shows_what_happens():
    page = HERE.parents[1] / "docs" / "asyncio.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted >= 8 and result.failed == 0
    result = doctest.testmod(ringlet.aio)
    assert result.attempted >= 4 and result.failed == 0


def test_readme_has_the_session():
    readme = HERE.parents[1] / "README.md"
    if not readme.is_file():
        pytest.skip("there is no README.md yet")
    wanted = [
        line
        for line in (HERE / "session.txt").read_text("utf-8").splitlines()
        if line.startswith((">>> ", "... "))
    ]
    text = readme.read_text("utf-8")
    assert [line for line in wanted if line not in text] == []
