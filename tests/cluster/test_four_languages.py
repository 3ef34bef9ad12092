"""One cart, written in turn and at the same time by the C, C++, Python and Java examples, is one cart."""

import os
import shutil
import subprocess
import sys

import pytest

from conftest import BIN, ROOT

EXAMPLES = ROOT / "examples" / "shopping_cart"


@pytest.fixture
def languages():
    jar = ROOT / "java" / "ringlet-client" / "target" / "ringlet-client-0.1.0.jar"
    programs = {
        "c": [str(BIN / "cart_c")],
        "c++": [str(BIN / "cart_cpp")],
        "python": [sys.executable, str(EXAMPLES / "python" / "cart.py")],
        "java": ["sh", str(EXAMPLES / "java" / "cart.sh")],
    }
    for path in (BIN / "cart_c", BIN / "cart_cpp", jar):
        if not path.exists():
            pytest.skip(f"no {path}: ./dev test builds it before it comes here")
    if not list((ROOT / "python" / "ringlet").glob("_core*.so")) or shutil.which("java") is None:
        pytest.skip("the Python extension or java is missing")
    return programs


def test_one_cart_in_four_languages(make_cluster, languages):
    cluster = make_cluster(name="ringlet").start()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}

    def command(language, *arguments):
        return [*languages[language], cluster.seeds, "alice", *arguments]

    for language in languages:  # in turn
        subprocess.run(command(language, "add", f"in turn {language}"), check=True, env=environment, timeout=60)
    together = [subprocess.Popen(command(language, "add", f"together {language}"), env=environment)
                for language in languages for _ in range(2)]
    assert [process.wait(timeout=120) for process in together] == [0] * 8
    wanted = sorted([f"in turn {language}" for language in languages] + [f"together {language}" for language in languages])
    shown = {language: subprocess.run(command(language, "show"), check=True, env=environment, capture_output=True,
                                      text=True, timeout=60).stdout.splitlines() for language in languages}
    for language, items in shown.items():
        assert items == wanted, language
