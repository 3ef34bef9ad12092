"""The wheel: what is in it, that it works in an environment that has nothing else, and what pip says where it cannot be built."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, long, run
from test_install import VERSION

DIST = ROOT / "dist"
# What every Linux has, as auditwheel's policies say.
EVERYWHERE = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-x86-64.so.2"}


@pytest.fixture(scope="module")
def wheel():
    """The wheel of `./dev package` for this Python, if it is there; the long form makes it anew."""
    if os.environ.get("RINGLET_LONG") == "1":
        run("./dev", "package", "wheel", cwd=ROOT, timeout=3600)
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    found = sorted(DIST.glob(f"ringlet-{VERSION}-{tag}-{tag}-manylinux_*.whl"))
    if not found:
        pytest.skip("no wheel is in dist/: ./dev package wheel makes one, and the long form does")
    sources = [*ROOT.glob("python/ringlet/**/*.py"), ROOT / "pyproject.toml", ROOT / "LICENSE"]
    if max(path.stat().st_mtime for path in sources) > found[-1].stat().st_mtime:
        pytest.skip("the wheel in dist/ is older than what it is made of: ./dev package wheel")
    return found[-1]


def test_what_is_in_the_wheel(wheel, tmp_path):
    assert wheel.stat().st_size < 6_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert "ringlet/py.typed" in names and "ringlet/_core.pyi" in names
    modules = [
        {path.relative_to(package) for path in package.rglob("*.py")}
        for package in (tmp_path / "ringlet", ROOT / "python/ringlet")
    ]
    assert modules[0] == modules[1]
    extensions = list(tmp_path.glob("**/*.so*"))
    assert len(extensions) == 1
    words = tmp_path / f"ringlet-{VERSION}.dist-info"
    assert (words / "licenses/LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (words / "licenses/packaging/THIRD-PARTY.txt").exists()
    assert "License-Expression: Apache-2.0" in (words / "METADATA").read_text()
    shown = run("objdump", "-p", extensions[0]).stdout
    assert set(re.findall(r"NEEDED\s+(\S+)", shown)) <= EVERYWHERE
    assert "RPATH" not in shown and "RUNPATH" not in shown
    assert not run("nm", extensions[0], check=False).stdout.strip(), "not stripped"
    assert "lantedBug" not in run("strings", extensions[0]).stdout
    # The tag says which C library it needs, and no symbol is younger.
    at_most = int(re.search(r"manylinux_2_(\d+)_", wheel.name).group(1))
    assert max(int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", shown)) <= at_most


def test_readme_works_with_the_wheel_alone(wheel, tmp_path):
    """In an environment with nothing else in it, from a directory without the tree, with nothing of a compiler in the way."""
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    clean = {"PATH": "/nowhere", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    run(python, "-m", "pip", "install", "-q", "--no-index", "--disable-pip-version-check", wheel, env=clean)
    shutil.copy(ROOT / "README.md", tmp_path)
    program = ("import doctest, warnings, ringlet, sys; warnings.simplefilter('ignore', ResourceWarning); "
               "result = doctest.testfile('README.md', module_relative=False); "
               "print(ringlet.__file__, result.attempted, result.failed)")
    said = run(python, "-I", "-c", program, env=clean, cwd=tmp_path, timeout=120).stdout.split()
    assert said[0].startswith(str(tmp_path / "venv")) and int(said[1]) >= 15 and said[2] == "0"


NAMESPACE = ["unshare", "--mount", "sh", "-e", "-c"]


def without(path, tmp_path, *command, **more):
    """Runs a command on a machine that has nothing at this path."""
    (tmp_path / "empty").mkdir()
    if os.geteuid() != 0 or shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be made, which takes root")
    return run(*NAMESPACE, f'mount --bind "{tmp_path}/empty" "{path}"; exec "$@"', "sh", *command, check=False, **more)


@pytest.mark.parametrize("path, said", [
    ("/usr/include/boost", ["Boost 1.81 or later (headers)", "apt-get install g++ ninja-build libboost1.81-dev\n"]),
    ("/usr/include/protozero", ["protozero (headers)", "apt-get install g++ ninja-build libprotozero-dev\n"]),
])
def test_pip_says_what_the_machine_lacks(tmp_path, path, said):
    if not Path(path).is_dir():
        pytest.skip(f"no {path} to take away")
    done = without(path, tmp_path, sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--no-deps",
                   "--no-build-isolation", "-w", tmp_path / "wheel", f"--config-settings=build-dir={tmp_path}/build", ROOT)
    assert done.returncode != 0
    text = "\n".join(line.strip() for line in (done.stdout + done.stderr).splitlines())
    assert "This machine lacks what Ringlet is built of:" in text
    for each in said:
        assert each in text


@long
def test_pip_install_in_a_fresh_clone(tmp_path):
    """The words of docs/packaging.md; what it is built with comes from PyPI."""
    run("git", "clone", "-q", ROOT, tmp_path / "clone")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    run(tmp_path / "venv/bin/python", "-m", "pip", "install", "-q", ".", cwd=tmp_path / "clone", timeout=3600)
    done = run(tmp_path / "venv/bin/python", "-I", "-c", "import ringlet; print(ringlet.__version__)", cwd=tmp_path)
    assert done.stdout == f"{VERSION}\n"
