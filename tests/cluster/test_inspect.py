"""`ringlet inspect` and `ringlet why`: what an operator is told of one key."""

import json
import subprocess

import pytest
from conftest import BIN


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(nodes=3, cluster="partitions = 16\n").start()


def tell(cluster, *arguments):
    node = cluster.nodes[0]
    return subprocess.run([str(BIN / "ringlet"), "--seeds", node.address, "--cluster", "test", *arguments],
                          capture_output=True, text=True, timeout=30)


def test_siblings_are_explained_and_owners_compared(cluster):
    assert tell(cluster, "why", "k").returncode == 1, "there is no such key"
    for value in ("tea", "milk"):
        assert tell(cluster, "put", "--w", "3", "k", value).returncode == 0
    said = tell(cluster, "why", "k")
    assert said.returncode == 0 and "k has 2 versions side by side" in said.stdout, said.stdout + said.stderr
    assert '"tea" (n' in said.stdout and "All 3 owners that answered hold the same." in said.stdout
    looked = tell(cluster, "inspect", "k")
    assert looked.returncode == 0 and looked.stdout.count(" holds n") == 3, looked.stdout
    whole = json.loads(tell(cluster, "--output", "json", "inspect", "k").stdout)
    assert len(whole["replicas"]) == 3 and all(len(each["holds"]["versions"]) == 2 for each in whole["replicas"])
    assert {bytes.fromhex(v["value_hex"]) for v in whole["replicas"][0]["holds"]["versions"]} == {b"tea", b"milk"}


def test_a_silent_owner_is_named_and_the_rest_is_shown(cluster):
    assert tell(cluster, "put", "--w", "3", "k", "tea").returncode == 0
    cluster.nodes[2].kill()
    said = tell(cluster, "inspect", "k")
    assert said.returncode == 4 and "n3 did not answer" in said.stdout, said.stdout + said.stderr
    assert "All 2 owners that answered hold the same." in said.stdout


def test_wrong_use(cluster):
    for arguments in (("inspect",), ("why", "")):
        said = tell(cluster, *arguments)
        assert said.returncode == 2 and said.stdout == "", said
