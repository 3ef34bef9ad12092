"""Pyright, which editors run: what the package exports has types, and wrong options are errors.

Its program comes from the npm registry when it runs for the first time; without it these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from test_surface import PACKAGE, TYPED

AT_LEAST = 0.97


@pytest.fixture(scope="module")
def pyright():
    """A function that runs it and gives what it says as JSON."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not in this environment: .dev/requirements.txt names it")
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    run = [sys.executable, "-m", "pyright"]
    there = subprocess.run([*run, "--version"], capture_output=True, text=True, timeout=300, env=environment)
    if there.returncode != 0:
        pytest.skip("pyright could not be had: " + (there.stderr or there.stdout).strip()[-300:])

    def ask(*words: str, cwd: Path | None = None):
        done = subprocess.run(
            [*run, "--outputjson", "--pythonpath", sys.executable, *words],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment,
            cwd=cwd,
        )
        return json.loads(done.stdout)

    return ask


def test_what_is_exported_has_types(pyright):
    told = pyright("--verifytypes", "ringlet", "--ignoreexternal")["typeCompleteness"]
    lacking = [
        f"{symbol['name']}: {each['message']}"
        for symbol in told["symbols"]
        for each in symbol.get("diagnostics", [])
        if "No docstring" not in each["message"]
    ]
    assert sum(told["exportedSymbolCounts"].values()) > 500
    assert told["completenessScore"] >= AT_LEAST, "\n".join(lacking)


def test_wrong_options_are_errors(pyright, tmp_path):
    """The program that mypy is asked about, too (test_surface.py): pyright finds the same lines wrong and the same types."""
    (tmp_path / "program.py").write_text(TYPED)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    told = pyright("program.py", cwd=tmp_path)["generalDiagnostics"]
    wrong = {n for n, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong")}
    assert any('timeout="1"' in line for line in TYPED.splitlines()) and any("timout=1" in line for line in TYPED.splitlines())
    assert {each["range"]["start"]["line"] + 1 for each in told if each["severity"] == "error"} == wrong, told
    revealed = [each["message"].split('is "')[1].rstrip('"') for each in told if each["severity"] == "information"]
    assert revealed == [
        "Bucket[bytes]",
        "Bucket[bytes]",
        "Bucket[str]",
        "Bucket[str]",
        "bytes",
        "Bucket[bytes]",
        "bytes",
    ]
