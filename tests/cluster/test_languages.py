"""Writers in C, C++, Python and Java at once (tests/history/languages.py): 20 seconds; with RINGLET_LONG=1 ten minutes.

What it prints names the history, which `tests/history/languages_check.py` judges again.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import BIN, ROOT

sys.path.insert(0, str(ROOT / "tests" / "history"))
import languages_check  # noqa: E402

pytest.importorskip("ringlet")
LONG = os.environ.get("RINGLET_LONG") == "1"
SEED = os.environ.get("RINGLET_SEED")


def run(directory, *arguments):
    """The program's exit code, what it printed, and the verdict on its history."""
    if shutil.which("java") is None or not (BIN.parent / "bindings" / "java" / "generated").exists():
        pytest.skip("java or the JNI library is missing")
    said = subprocess.run([sys.executable, str(ROOT / "tests" / "history" / "languages.py"), "--bin", str(BIN), "--out",
                           str(directory), *(["--seed", SEED] if SEED else []), *arguments], capture_output=True, text=True)
    print(said.stdout[-6000:], said.stderr[-3000:])
    with open(next(pathlib.Path(directory).glob("*/history.jsonl"))) as lines:
        return said.returncode, said.stdout, languages_check.judge(languages_check.load(lines))


def test_four_languages_count_once_and_documents_keep_every_add(tmp_path):
    """L22 and L23 from outside, under kills, pauses and partitions."""
    amount = ("--minutes", "10") if LONG else ("--minutes", "0.33", "--each", "2", "--faults", "kill,stall,client,partition")
    code, printed, result = run(tmp_path, *amount)
    assert code == 0 and result.ok, printed[-4000:]
    assert sum(result.languages.values()) >= 200, "too little happened to prove anything"


@pytest.mark.parametrize(("cheat", "names"), [
    ("double", {"twice"}),
    pytest.param("drop", {"lost"}, marks=pytest.mark.skipif(not LONG, reason="a long form")),
    pytest.param("back", {"came_back"}, marks=pytest.mark.skipif(not LONG, reason="a long form")),
])
def test_writers_that_do_other_than_they_write_down_are_found_out(tmp_path, cheat, names):
    """The checks can fail, the whole way from a writer to the verdict."""
    code, _, result = run(tmp_path, "--minutes", "0.4" if cheat == "back" else "0.12", "--each", "1", "--faults", "none", "--nodes", "3", "--cheat", cheat)
    assert code == 1
    assert names <= {name for name, found in result.broken.items() if found}
