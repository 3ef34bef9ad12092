"""Real processes on free ports of 127.0.0.1. Binaries: RINGLET_BIN, else build/dev/bin."""

import errno
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
        self.around, self.environment = [], {}  # a command before ringletd's own, and more variables
        self.config = directory / "config.toml"

    @property
    def data(self):
        return self.directory / "data"

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def launch(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen([*self.around, str(BIN / "ringletd"), "--config", str(self.config)],
                                            stderr=log, env={**os.environ, **self.environment})

    def start(self):
        port = self.directory / "port"
        port.unlink(missing_ok=True)  # a killed node leaves it
        self.launch()
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
    """`nodes` of them found it together; a stranger knows seeds only and waits to be joined."""

    def __init__(self, directory, nodes=3, name="test", strangers=0, cluster="", more="", addresses=None):
        self.name, self.directory, self.cluster, self.more = name, directory, cluster, more
        addresses = addresses or [f"127.0.0.1:{port}" for port in free_ports(nodes + strangers)]
        self.nodes = [Node(directory / f"n{i + 1}", f"n{i + 1}", a) for i, a in enumerate(addresses)]
        self.founders = self.nodes[:nodes]
        members = "".join(f'[[members]]\nname = "{n.name}"\naddress = "{n.address}"\n' for n in self.founders)
        for n in self.founders:
            self.configure(n, members)
        for n in self.nodes[nodes:]:
            self.configure(n)

    def configure(self, node, members="", **other):
        """Writes its configuration; without members it is a stranger's."""
        seeds = "" if members else "seeds = " + json.dumps([n.address for n in self.founders]) + "\n"
        node.config.write_text(
            f'[node]\nname = "{other.get("name", node.name)}"\nlisten = "{node.address}"\ndata_dir = "{node.data}"\n'
            f'pid_file = "{node.directory}/pid"\nport_file = "{node.directory}/port"\n{self.more}'
            f'[cluster]\nname = "{other.get("cluster", self.name)}"\n{self.cluster}{seeds}{members}')

    def add(self, label, address=None, **other):
        """One stranger more, not started."""
        address = address or f"127.0.0.1:{free_ports(1)[0]}"
        node = Node(self.directory / label, label, address)
        self.nodes.append(node)
        self.configure(node, **other)
        return node

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    @property
    def seeds(self):
        return ",".join(n.address for n in self.nodes)

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

    def tell(self, *arguments, node="n1", fails=None):
        """`ringlet cluster …` to one node; the text it says. `fails`: the exit code wanted instead of 0."""
        said = self.cli("cluster", *arguments, "--node", node, "--timeout", "10000")
        assert said.returncode == (fails or 0), (arguments, said.returncode, said.stdout, said.stderr)
        return said.stderr if fails else said.stdout

    def members(self, node="n1"):
        """name -> what that node's view says of it; {} when it does not answer."""
        said = self.cli("--output", "json", "cluster", "status", "--node", node)
        return {m["name"]: m for m in json.loads(said.stdout)["members"]} if said.returncode == 0 else {}

    def wait_members(self, names, seconds=60):
        """Until each of `names` sees exactly these as members, with nothing on its way."""
        def settled(node):
            said = self.cli("--output", "json", "cluster", "status", "--node", node)
            if said.returncode != 0:
                return said.stderr
            status = json.loads(said.stdout)
            there = {m["name"] for m in status["members"] if m["state"] in ("in", "leaving")}
            if there != set(names) or status["moving"] != 0:
                return f"{node} sees {sorted(there)} and {status['moving']} moving"
            return ""

        wait_for(f"members {sorted(names)}", lambda: next(filter(None, map(settled, names)), ""), seconds)

    def json(self, *arguments):
        said = self.cli("--output", "json", *arguments)
        # status says 4 when a node is silent, and what the others said all the same.
        assert said.returncode == 0 or (said.returncode == 4 and said.stdout), said.stderr
        return json.loads(said.stdout)


def wait_for(what, missing, seconds=30.0):
    """Until missing() is empty or False; what it said last is in the failure."""
    end = time.monotonic() + seconds
    while last := missing():
        assert time.monotonic() < end, f"{what}: not within {seconds} s: {last}"
        time.sleep(0.3)


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
def small_disk(tmp_path):
    """A file system of 512 MiB, enough for a log and a ballast and little enough to be filled; needs root."""
    if os.geteuid() != 0:
        pytest.skip("a small file system takes root")
    path = tmp_path / "small"
    path.mkdir()
    said = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "none", str(path)], capture_output=True, text=True)
    if said.returncode != 0:
        pytest.skip(f"no small file system here: {said.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


def fill(path):
    """Writes to the file until its file system has no byte left."""
    with open(path, "ab", buffering=0) as out:
        try:
            while out.write(b"x" * 4096):
                pass
        except OSError as full:
            assert full.errno == errno.ENOSPC


@pytest.fixture
def cluster(make_cluster):
    return make_cluster().start()
