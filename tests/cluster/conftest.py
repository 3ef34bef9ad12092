"""Real processes on free ports of 127.0.0.1. Binaries: RINGLET_BIN, else build/dev/bin."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("RINGLET_BIN", ROOT / "build" / "dev" / "bin")).resolve()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Node:
    def __init__(self, directory, name, address):
        directory.mkdir()
        self.directory, self.name, self.address, self.process = directory, name, address, None
        self.config = directory / "config.toml"

    def start(self):
        port = self.directory / "port"
        port.unlink(missing_ok=True)  # a killed node leaves it
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen([str(BIN / "ringletd"), "--config", str(self.config)], stderr=log)
        end = time.monotonic() + 20
        while not port.exists():
            assert self.process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < end, f"{self.name} was not ready within 20 s"
            time.sleep(0.02)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        return self.process.wait()

    def terminate(self):
        self.signal(signal.SIGTERM)
        return self.process.wait(20)


class Cluster:
    def __init__(self, directory, nodes=3, name="test"):
        self.name = name
        addresses = [f"127.0.0.1:{port}" for port in free_ports(nodes)]
        self.seeds = ",".join(addresses)
        self.nodes = [Node(directory / f"n{i + 1}", f"n{i + 1}", a) for i, a in enumerate(addresses)]
        members = "".join(f'[[members]]\nname = "{n.name}"\naddress = "{n.address}"\n' for n in self.nodes)
        for n in self.nodes:
            n.config.write_text(
                f'[node]\nname = "{n.name}"\nlisten = "{n.address}"\ndata_dir = "{n.directory}/data"\n'
                f'pid_file = "{n.directory}/pid"\nport_file = "{n.directory}/port"\n'
                f'[cluster]\nname = "{name}"\n{members}')

    def start(self):
        for node in self.nodes:
            node.start()
        return self

    def stop(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill()

    def cli(self, *arguments, text=None):
        return subprocess.run([str(BIN / "ringlet"), "--seeds", self.seeds, "--cluster", self.name, *arguments],
                              capture_output=True, text=True, timeout=30, input=text)

    def json(self, *arguments):
        said = self.cli("--output", "json", *arguments)
        # status says 4 when a node is silent, and what the others said all the same.
        assert said.returncode == 0 or (said.returncode == 4 and said.stdout), said.stderr
        return json.loads(said.stdout)


@pytest.fixture
def make_cluster(tmp_path):
    for program in ("ringletd", "ringlet"):
        if not (BIN / program).exists():
            pytest.skip(f"{BIN / program} is not built")
    made = []

    def make(**options):
        directory = tmp_path / f"cluster{len(made)}"
        directory.mkdir()
        made.append(Cluster(directory, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture
def cluster(make_cluster):
    return make_cluster().start()
