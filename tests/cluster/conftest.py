"""Real processes on free ports of 127.0.0.1. Binaries: RINGLET_BIN, else build/dev/bin."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RINGLET_BIN", ROOT / "build/dev/bin"))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    def __init__(self, directory, nodes=3, name="test"):
        self.directory, self.name, self.ports = directory, name, free_ports(nodes)
        self.processes = {}

    def config(self, i):
        text = (f'[node]\nname = "n{i}"\nengine = "memory"\npid_file = "{self.directory}/n{i}.pid"\n'
                f'port_file = "{self.directory}/n{i}.port"\n[cluster]\nname = "{self.name}"\n')
        for j, port in enumerate(self.ports):
            text += f'[[members]]\nname = "n{j}"\naddress = "127.0.0.1:{port}"\n'
        path = self.directory / f"n{i}.toml"
        path.write_text(text)
        return path

    def start(self, i):
        log = open(self.directory / f"n{i}.log", "ab")
        self.processes[i] = subprocess.Popen([BIN / "ringletd", "--config", self.config(i)], stderr=log)
        log.close()
        deadline = time.monotonic() + 10
        while not (self.directory / f"n{i}.port").exists():
            assert self.processes[i].poll() is None, (self.directory / f"n{i}.log").read_text()
            assert time.monotonic() < deadline, "not ready in 10 s"
            time.sleep(0.02)

    def end(self, i, how=signal.SIGTERM):
        process = self.processes.pop(i)
        process.send_signal(how)
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def cli(self, *words, cluster=None, stdin=None):
        seeds = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return subprocess.run([BIN / "ringlet", "--seeds", seeds, "--cluster", cluster or self.name, *words],
                              capture_output=True, text=True, timeout=30, input=stdin)


@pytest.fixture
def cluster(tmp_path):
    for program in ("ringletd", "ringlet"):
        if not (BIN / program).exists():
            pytest.skip(f"{BIN / program} is not built")
    running = Cluster(tmp_path)
    try:
        for i in range(len(running.ports)):
            running.start(i)
        yield running
    finally:
        for process in running.processes.values():
            process.kill()
            process.wait()
