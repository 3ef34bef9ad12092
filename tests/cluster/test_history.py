"""A minute of the independent history checker (tests/history/); with RINGLET_LONG=1 ten.

What it prints names the history, which `tests/history/check.py` judges again.
"""

import os
import pathlib
import subprocess
import sys

import pytest
from conftest import BIN, ROOT

sys.path.insert(0, str(ROOT / "tests" / "history"))
import check  # noqa: E402

pytest.importorskip("ringlet")
SEED = os.environ.get("RINGLET_SEED")


def run(directory, *arguments):
    """The program's exit code, what it printed, and the records of the history."""
    if not (BIN / "history_client").exists():
        pytest.skip(f"{BIN / 'history_client'} is not built")
    said = subprocess.run([sys.executable, str(ROOT / "tests" / "history" / "run.py"), "--bin", str(BIN), "--out", str(directory),
                           *(["--seed", SEED] if SEED else []), *arguments], capture_output=True, text=True)
    print(said.stdout[-6000:], said.stderr[-3000:])
    with open(next(pathlib.Path(directory).glob("*/history.jsonl"))) as lines:
        return said.returncode, said.stdout, check.load(lines)


def test_all_promises_hold_under_all_faults(tmp_path):
    """L1 to L4, L8, L18, L21, from outside: clients of four kinds, real nodes, every fault of run.py."""
    minutes = "10" if os.environ.get("RINGLET_LONG") == "1" else "1"
    code, printed, records = run(tmp_path, "--minutes", minutes)
    assert code == 0, printed[-4000:]
    writes = {r["id"] for r in records if r["t"] == "invoke" and r["op"] != "get"}
    acknowledged = sum(r["t"] == "done" and r["status"] == "ok" and r["id"] in writes for r in records)
    assert acknowledged >= 200, f"{acknowledged} writes were acknowledged: too little happened to prove anything"


def test_last_write_wins_loses_only_what_is_concurrent(tmp_path):
    """L19. The same history, judged as if every concurrent version had to be kept, is full of losses: the whole
    way from a client's pen to the verdict can fail.
    """
    code, printed, records = run(tmp_path, "--minutes", "0.2", "--reconcile", "lww", "--faults", "none", "--nodes", "3")
    assert code == 0, printed[-4000:]
    meta = next(r for r in records if r["t"] == "meta")
    meta["reconcile"] = "siblings"
    assert check.judge(records).broken["lost"], "nothing was written at the same time: nothing was proved"
