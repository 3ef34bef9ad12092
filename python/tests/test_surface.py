"""The package as a whole: names, types, docstrings, the stub."""

from __future__ import annotations

import ast
import inspect
import os
import re
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


def test_the_documented_options_are_those_there_are():
    """docs/configuration.md has a row for each option that only programs have."""
    documents = PACKAGE.parents[1] / "docs" / "configuration.md"
    text = documents.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (\w+).* \| `(.*)` \| .* \| (.*) \|$", text, re.M)
    listed = {name: (kind, default, doc) for name, kind, default, doc in rows}
    file = text.split("```toml\n")[1].split("```")[0]
    sections = re.split(r"^\[(\w+)\]\n", file, flags=re.M)[1:]
    in_file = {
        f"{section}.{line.split(' = ')[0]}"
        for section, body in zip(sections[::2], sections[1::2], strict=True)
        for line in body.splitlines()
        if " = " in line
    }
    described = {option.name: option for option in ringlet.options()}
    for name, option in described.items():
        if name not in in_file:
            assert listed.pop(name) == (option.type, option.default, option.doc)
    assert set(listed) == {"node.members"}


def test_an_option_that_the_handle_has_no_use_for_is_refused():
    for wrong in ({"r": 1}, {"n": 5}, {"max_requests": 5}, {"partitions": 8}):
        with pytest.raises(ringlet.RingletError, match="a client has no use for it"):
            ringlet.connect("127.0.0.1:1", **wrong)
    for wrong in ({"max_in_flight": 5}, {"coordination": "client"}):
        with pytest.raises(ringlet.RingletError, match="a cluster inside a program has no use"):
            ringlet.local_cluster(1, **wrong)


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


TYPED = """
import ringlet, ringlet.aio

def blocking(client: ringlet.Client) -> None:
    raw = client.bucket("t")
    reveal_type(raw)
    reveal_type(raw.with_(r=1))
    texts = client.bucket("t", codec=ringlet.Text, r=2)
    reveal_type(texts.with_(timeout=2.0, durability="disk"))
    reveal_type(raw.with_(codec=ringlet.Text))
    reveal_type(raw.get("k").value)
    options: ringlet.WriteOptions = {"timeout": 1.0, "write_id": bytes(16)}
    texts.put("k", "v", **options)
    texts.get("k", timout=1)  # wrong
    texts.get("k", timeout="1")  # wrong
    texts.get("k", write_id=b"")  # wrong
    texts.put("k", "v", deletes="loose")  # wrong
    texts.put("k", b"v")  # wrong
    texts.with_(nosuch=1)  # wrong
    texts.update("k", lambda old: 7)  # wrong

async def awaited(client: ringlet.aio.Client) -> None:
    reveal_type(client.bucket("t").with_(r=1))
    reveal_type((await client.bucket("t").get("k", r=1)).value)
    await client.bucket("t").get("k", timout=1)  # wrong
"""


def test_mypy_knows_values_and_options(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not in this environment")
    program = tmp_path / "program.py"
    program.write_text(TYPED)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=PACKAGE.parent,
    )
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert [re.sub(r"builtins\.|ringlet\.client\.", "", each) for each in revealed] == [
        "Bucket[bytes]",
        "Bucket[bytes]",
        "Bucket[str]",
        "Bucket[str]",
        "bytes",
        "ringlet.aio.Bucket[bytes]",
        "bytes",
    ], done.stdout
    wrong = {n for n, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong")}
    assert {int(n) for n in re.findall(r":(\d+): error:", done.stdout)} == wrong, done.stdout


def environment():
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]),
    }
