"""The examples, by C, C++, Python and Java at the same time: what they write is one cart, one document, one log."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import BIN, ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture
def example(make_cluster):
    """A function that starts one example in one language."""
    jar = ROOT / "java" / "ringlet-client" / "target" / "ringlet-client-0.1.0.jar"
    if not jar.exists():
        pytest.skip(f"no {jar}: ./dev test builds it before it comes here")
    if not list((ROOT / "python" / "ringlet").glob("_core*.so")) or shutil.which("java") is None:
        pytest.skip("the Python extension or java is missing")
    cluster = make_cluster(name="ringlet").start()
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}

    def start(folder, language, *words):
        target, file = {"shopping_cart": ("cart", "cart"), "document_cart": ("document_cart", "cart"),
                        "order_log": ("order_log", "order_log")}[folder]
        program = {"c": [str(BIN / f"{target}_c")], "c++": [str(BIN / f"{target}_cpp")],
                   "python": [sys.executable, str(EXAMPLES / folder / "python" / f"{file}.py")],
                   "java": ["sh", str(EXAMPLES / folder / "java" / f"{file}.sh")]}[language]
        return subprocess.Popen([*program, cluster.seeds, "alice", *words], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    return start


LANGUAGES = ("c", "c++", "python", "java")


def ended(*processes):
    """What each printed; all must have ended well."""
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


def shown(example, folder):
    """The lines that every language shows, which must be the same."""
    said = ended(*(example(folder, language, "show") for language in LANGUAGES))
    assert len(set(said)) == 1, said
    return said[0].splitlines()


def test_one_cart_in_four_languages(example):
    for language in LANGUAGES:  # in turn
        ended(example("shopping_cart", language, "add", f"in turn {language}"))
    ended(*(example("shopping_cart", language, "add", f"together {language}") for language in LANGUAGES for _ in range(2)))
    assert shown(example, "shopping_cart") == sorted(
        [f"in turn {language}" for language in LANGUAGES] + [f"together {language}" for language in LANGUAGES])


def test_one_document_in_four_languages(example):
    ended(example("document_cart", "c", "add", "milk"), example("document_cart", "java", "add", "salt"))
    ended(*(example("document_cart", language, *words) for language in LANGUAGES
            for words in (("add", "tea", "2"), ("coupon", f"BY {language}"))),
          example("document_cart", "python", "remove", "milk"), example("document_cart", "c++", "remove", "salt"))
    assert shown(example, "document_cart") == [f"coupon BY {language}" for language in sorted(LANGUAGES)] + ["   8 tea"]


def test_one_log_in_four_languages(example):
    """The edit is not idempotent: an entry that an update appended twice would be there twice."""
    for language in LANGUAGES:
        ended(example("order_log", language, "append", f"seen by {language}"))
    ended(*(example("order_log", language, "append", "packed") for language in LANGUAGES for _ in range(2)))
    lines = shown(example, "order_log")
    assert lines[:4] == [f"{i + 1} seen by {language}" for i, language in enumerate(LANGUAGES)]
    assert len(lines) == 12 and all(line.endswith(" packed") and int(line.split()[0]) >= 5 for line in lines[4:])
