"""The package as a whole: names, types, docstrings, the stub."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ringlet
from ringlet import _core

PACKAGE = Path(ringlet.__file__).parent


def test_tree_of_exceptions():
    tree = {
        ringlet.RingletError: Exception,
        ringlet.TransientError: ringlet.RingletError,
        ringlet.UsageError: ringlet.RingletError,
        ringlet.DataError: ringlet.RingletError,
        ringlet.UpdateExhausted: ringlet.RingletError,
        ringlet.InternalError: ringlet.RingletError,
        ringlet.Timeout: ringlet.TransientError,
        ringlet.Unavailable: ringlet.TransientError,
        ringlet.QuorumNotMet: ringlet.TransientError,
        ringlet.Overloaded: ringlet.TransientError,
        ringlet.InvalidContext: ringlet.UsageError,
        ringlet.TooLarge: ringlet.UsageError,
        ringlet.OptionError: ringlet.UsageError,
        ringlet.ClientClosed: ringlet.UsageError,
        ringlet.ClientForked: ringlet.UsageError,
        ringlet.ConflictError: ringlet.DataError,
        ringlet.DecodeError: ringlet.DataError,
        ringlet.KeyMissing: ringlet.DataError,
    }
    for cls, base in tree.items():
        assert cls.__mro__[1] is base
    assert issubclass(ringlet.Timeout, TimeoutError) and issubclass(ringlet.KeyMissing, KeyError)


def test_statuses_are_the_extensions():
    for status in ringlet.Status:
        if status is not ringlet.Status.OK:
            assert _core.status_name(status).upper() == status.name
    assert _core.has("client") and _core.has("cluster") and not _core.has("nosuch")


def test_everything_public_has_a_docstring():
    bare = []
    for name in ringlet.__all__:
        thing = getattr(ringlet, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            bare += [] if thing.__doc__ else [name]
        if inspect.isclass(thing) and thing.__module__.startswith("ringlet"):
            for member, value in vars(thing).items():
                inside = getattr(
                    value, "__func__", value.fget if isinstance(value, property) else value
                )
                if not member.startswith("_") and inspect.isfunction(inside) and not inside.__doc__:
                    bare.append(f"{name}.{member}")
    assert bare == []


def test_the_stub_names_what_the_module_has():
    tree = ast.parse((PACKAGE / "_core.pyi").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            real = getattr(_core, node.name)
            stubbed = {
                item.name
                for item in node.body
                if isinstance(item, ast.FunctionDef) and not item.name.startswith("__")
            }
            assert {name for name in vars(real) if not name.startswith("_")} == stubbed, node.name
        elif isinstance(node, ast.FunctionDef):
            assert callable(getattr(_core, node.name))
    stubbed = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    stubbed |= {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)} - {
        "Failure",
        "Event",
    }
    assert {name for name in vars(_core) if not name.startswith("_")} == stubbed


def test_options_are_described():
    found = {option.name: option for option in ringlet.options()}
    assert found["client.coordination"].doc and "cluster.reconcile" in found


def test_import_has_no_side_effects():
    code = (
        "import threading, logging; before = len(logging.root.handlers); import ringlet; "
        "assert threading.active_count() == 1 and len(logging.root.handlers) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, env=environment())


def test_mypy_strict():
    pytest.importorskip("mypy", reason="mypy is not in this environment")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "-p", "ringlet"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stdout


def environment():
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]),
    }
