"""docs/languages.md names what is there: each name of the table is looked up in its language."""

from __future__ import annotations

import pathlib
import re

import ringlet

ROOT = pathlib.Path(__file__).resolve().parents[2]
JAVA = ROOT / "java/ringlet-client/src/main/java/io/ringlet"


def rows():
    lines = (ROOT / "docs/languages.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ")][1:]
    assert len(table) > 30
    for line in table:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert len(cells) == 7, line
        yield cells[0], [re.findall(r"`([^`]+)`", cell) for cell in cells[1:]], cells[1:]


def test_no_cell_is_empty():
    for what, names, cells in rows():
        assert all(cells), what


def test_c_names_are_in_the_header():
    header = (ROOT / "capi/include/ringlet/ringlet.h").read_text()
    for what, (c, *_), _ in rows():
        for name in c:
            assert re.search(rf"\b{name}\b", header), (what, name)


def test_cpp_names_are_in_the_header():
    header = (ROOT / "capi/include/ringlet/ringlet.hpp").read_text()
    for what, (_, hpp, *_), _ in rows():
        for name in hpp:
            within = header
            if "::" in name:
                owner, _, name = name.partition("::")
                within = re.search(rf"^(?:class|struct) {owner} \{{$.*?^\}};$", header, re.S | re.M).group(0)
            assert re.search(rf"\b{name}\b", within), (what, name)


def test_cpp_names_are_in_the_core():
    text = "".join(
        (ROOT / "core" / path).read_text()
        for path in (
            "runtime/client.hpp",
            "client/update_operation.hpp",
            "client/outcome.hpp",
            "versioning/shown.hpp",
            "versioning/object.hpp",
            "versioning/causal_context.hpp",
            "protocol/messages.hpp",
        )
    )
    for what, (_, _, cpp, *_), _ in rows():
        for name in cpp:
            for part in name.split("::"):
                assert re.search(rf"\b{part}\b", text), (what, name)


def test_python_names_are_there():
    for what, (_, _, _, python, *_), _ in rows():
        for name in python:
            if name.endswith("="):
                source = (ROOT / "python/ringlet/client.py").read_text()
                assert re.search(rf"\b{name}|\b{name[:-1]}:", source), (what, name)
                continue
            at = ringlet
            for part in name.split("."):
                annotations = getattr(at, "__annotations__", {})
                assert hasattr(at, part) or part in annotations, (what, name)
                at = getattr(at, part, None)


def test_java_names_are_there():
    for what, (_, _, _, _, java, _), _ in rows():
        last = None
        for name in java:
            last, _, method = name.partition(".") if "." in name else (last, "", name)
            source = (JAVA / f"{last}.java").read_text()
            assert re.search(rf"public [^=;]*\b{method}\(|static [^=;]*\b{method}\(", source), name


def test_words_of_the_command_line_are_there():
    source = (ROOT / "core/daemon/ringlet.cpp").read_text()
    for what, (*_, cli), _ in rows():
        for name in cli:
            assert f'"{name}"' in source, (what, name)
