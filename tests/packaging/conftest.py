"""Packaging: what is installed and packed, used from outside of the source tree."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RINGLET_BUILD", ROOT / "build" / "dev")).resolve()
HERE = pathlib.Path(__file__).resolve().parent
LONG = os.environ.get("RINGLET_LONG") == "1"

long = pytest.mark.skipif(not LONG, reason="long: ./dev test --long, or RINGLET_LONG=1")


def run(*command, check=True, **more):
    """Runs a command; what it said is in the failure."""
    more.setdefault("timeout", 300)
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        said = f"{done.stdout}\n{done.stderr}".strip()
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}", pytrace=False)
    return done


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A prefix with everything that `cmake --install` copies. It was moved since: no file may know where it was put."""
    first = tmp_path_factory.mktemp("install") / "first"
    run("cmake", "--install", BUILD, "--prefix", first)
    prefix = first.with_name("moved")
    first.rename(prefix)
    yield prefix
    shutil.rmtree(prefix)
