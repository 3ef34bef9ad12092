"""YCSB's binding: workloads on ringletd, a node of which is killed in the middle; no operation may fail."""

import re
import shutil
import subprocess
import sys

import pytest
from conftest import BUILD, LONG, ROOT


def test_no_operation_fails_while_a_node_is_killed():
    folder = ROOT / "java/ringlet-ycsb"
    if shutil.which("java") is None or not (folder / "target/classpath.txt").exists() or not (BUILD / "bin/ringletd").exists():
        pytest.skip("java, the jars or ringletd are missing; ./dev test builds them before it comes here")
    names, seconds = (("A", "B", "C", "D", "F"), 20) if LONG else (("A",), 3)
    done = subprocess.run([sys.executable, folder / "run.py", "--bin", BUILD / "bin", "--workloads", ",".join(names), "--seconds",
                           str(seconds), "--records", "2000" if LONG else "100"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^([A-F]) +(\d+) +(\d+) ", done.stdout, re.MULTILINE)
    assert tuple(name for name, _, _ in rows) == names, done.stdout
    assert all(int(throughput) > 0 and int(errors) == 0 for _, throughput, errors in rows), done.stdout
