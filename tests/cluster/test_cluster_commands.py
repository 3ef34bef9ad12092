"""`ringlet cluster …`, `ringlet ring` and `ringlet repair` as an operator meets them: what is refused, with
which sentence and exit code, and who is turned away (R4.8.1-a; F-16, F-42, F-43, F-46).
"""

import shutil
import subprocess

import pytest
from conftest import BIN, wait_for


@pytest.fixture
def cluster(make_cluster):
    return make_cluster(nodes=3, strangers=1, cluster="partitions = 16\n").start()


def at(node, *arguments, cluster="test"):
    """The program with this one node as seed."""
    return subprocess.run([str(BIN / "ringlet"), "--seeds", node.address, "--cluster", cluster, *arguments],
                          capture_output=True, text=True, timeout=30)


def refused(cluster, code, words, *arguments, node="n1"):
    """Exit code and sentence; nothing is staged afterwards that was not before, and no epoch passed."""
    before = cluster.json("cluster", "status", "--node", "n1")
    said = cluster.tell(*arguments, node=node, fails=code)
    assert words in said, said
    after = cluster.json("cluster", "status", "--node", "n1")
    assert (after["epoch"], after["staged"]) == (before["epoch"], before["staged"])


def test_orders_are_staged_planned_committed_and_cleared(cluster):
    n4 = cluster.node("n4")
    assert "staged: join n4" in cluster.tell("join", "n4", n4.address)
    assert "staged: join n4" in cluster.tell("status")
    plan = cluster.json("cluster", "plan", "--node", "n1")
    assert {m["to"] for m in plan["moves"]} == {"n4"} and plan["efficiency_after"] > 0.7
    assert len(plan["moves"]) == 4, "a fourth node takes a quarter of 16 and nothing else moves"
    assert "forgot 1 staged change" in cluster.tell("clear")
    refused(cluster, 2, "nothing is staged", "commit")
    cluster.tell("join", "n4", n4.address)
    cluster.tell("commit")
    cluster.wait_members(["n1", "n2", "n3", "n4"], 30)
    ring = cluster.json("ring")
    assert {m["name"]: m["partitions"] for m in ring["members"]}["n4"] == 4
    refused(cluster, 2, "is a member already", "join", "n4", n4.address)
    cluster.tell("leave", "n4")
    cluster.tell("commit")
    cluster.wait_members(["n1", "n2", "n3"], 30)
    refused(cluster, 2, "has left and is no member", "leave", "n4")


def test_what_is_staged_survives_a_kill(cluster):
    """F-46."""
    cluster.tell("join", "n4", cluster.node("n4").address)
    cluster.nodes[0].kill()
    cluster.nodes[0].start()
    assert "staged: join n4" in cluster.tell("status")
    refused(cluster, 2, "nothing is staged", "commit", node="n2")  # what is staged is staged at one node


def test_orders_that_make_no_sense_are_refused(cluster):
    n1, n4 = cluster.nodes[0], cluster.node("n4")
    for words, *order in (
        ("is a member already", "join", "n2", "127.0.0.1:9"),
        ("which is that of member \"n1\"", "join", "n5", n1.address),
        ("needs an address", "join", "n5", "nonsense"),
        ("is not a member", "leave", "n9"),
        ("is not a member", "replace", "n9", "n5", "127.0.0.1:9"),
        ("replaced by itself", "replace", "n2", "n2", "127.0.0.1:9"),
        ("is a member already", "replace", "n2", "n3", "127.0.0.1:9"),
        ("nothing is staged", "plan"),
        ("nothing is staged", "commit"),
    ):
        refused(cluster, 2, words, *order)
    cluster.tell("join", "n4", n4.address)
    refused(cluster, 2, "is staged already", "join", "n4", n4.address)
    refused(cluster, 2, "contradicts what is staged", "leave", "n4")
    cluster.tell("leave", "n2")
    cluster.tell("leave", "n3")
    refused(cluster, 2, "contradicts what is staged", "replace", "n3", "n5", "127.0.0.1:9")


def test_the_last_member_cannot_leave(make_cluster):
    one = make_cluster(nodes=1).start()
    refused(one, 2, "last member", "leave", "n1")


@pytest.mark.parametrize("arguments", [
    ["cluster"], ["cluster", "frobnicate"], ["cluster", "join", "n4"], ["cluster", "join", "n4", "h:1", "--weight", "0"],
    ["cluster", "leave"], ["cluster", "replace", "n1", "n2"], ["repair", "--partition", "-1"], ["repair", "--partition", "x"],
])
def test_wrong_commands_exit_2(make_cluster, arguments):
    said = make_cluster(nodes=1).cli(*arguments)  # not started: nothing is sent
    assert said.returncode == 2 and said.stderr + said.stdout


def test_a_wrong_node_is_told_apart(cluster):
    refused(cluster, 2, "no member is named 'n9'", "status", node="n9")
    n4 = cluster.node("n4")
    refused(cluster, 4, "has not joined the cluster", "leave", "n1", node=n4.address)


def test_repair_says_with_whom_and_refuses_partitions_that_are_not_there(cluster):
    assert cluster.cli("put", "k", "v").returncode == 0
    said = cluster.cli("repair", "--node", "n1")
    assert said.returncode == 0 and "comparing with 2 members" in said.stdout
    assert cluster.cli("repair", "--node", "n1", "--partition", "3").returncode == 0
    far = cluster.cli("repair", "--node", "n1", "--partition", "16")
    assert far.returncode == 2 and "0 to 15" in far.stderr
    wait_for("repair", lambda: "repair: idle" not in cluster.tell("status"), 30)


def test_a_stranger_serves_nobody_and_says_why(cluster):
    n4 = cluster.node("n4")
    for arguments in (["put", "k", "v"], ["get", "k"], ["ring"], ["cluster", "status"]):
        said = at(n4, "--timeout", "1000", *arguments)
        assert said.returncode == 4, arguments
    wait_for("it has asked", lambda: "administrator" not in at(n4, "cluster", "status", "--node", n4.address).stderr, 10)
    assert "n4" not in cluster.members()
    assert "\"n4\"" in cluster.nodes[0].log() + cluster.nodes[1].log() + cluster.nodes[2].log()


def test_a_node_of_another_cluster_is_turned_away(cluster):
    """F-43."""
    other = cluster.add("other", cluster="elsewhere")
    other.start()
    wait_for("a sentence with both names", lambda: not (
        "'test'" in other.log() and "'elsewhere'" in other.log()), 10)
    assert set(cluster.members()) == {"n1", "n2", "n3"}


def test_a_second_node_of_a_members_name_is_turned_away(cluster):
    """F-43: at another address, with an empty directory."""
    twin = cluster.add("twin", name="n1")
    twin.start()
    wait_for("the sentence", lambda: "two nodes are named alike" not in twin.log(), 10)
    assert at(twin, "--timeout", "1000", "put", "k", "v").returncode == 4
    said = at(twin, "cluster", "status", "--node", twin.address)
    assert said.returncode == 4 and "two nodes are named alike" in said.stderr
    assert cluster.members()["n1"]["address"] == cluster.nodes[0].address
    assert cluster.cli("put", "k", "v").returncode == 0


def test_a_copied_directory_at_another_address_serves_nobody(cluster):
    """F-43, F-16: it has the name, the members and the data, and is not the member."""
    n1 = cluster.nodes[0]
    assert n1.terminate() == 0
    twin = cluster.add("twin", name="n1")
    shutil.copytree(n1.data, twin.data)
    n1.start()
    twin.start()
    wait_for("the reason", lambda: "was not found silent" not in at(
        twin, "cluster", "status", "--node", twin.address).stderr, 20)
    status = at(twin, "cluster", "status", "--node", twin.address)
    assert status.returncode == 4 and "serves nobody" in status.stderr
    assert "stop that one, or this copy of its directory" in status.stderr
    assert at(twin, "cluster", "leave", "n2", "--node", twin.address).returncode == 4
    assert cluster.cli("put", "k", "v").returncode == 0


def test_an_old_directory_that_comes_back_after_its_node_was_replaced_serves_nobody(cluster):
    """F-42."""
    n2, n4 = cluster.nodes[1], cluster.node("n4")
    for i in range(20):
        assert cluster.cli("put", f"k{i}", "v").returncode == 0
    n2.kill()
    cluster.tell("replace", "n2", "n4", n4.address)
    cluster.tell("commit")
    cluster.wait_members(["n1", "n3", "n4"], 30)
    n2.start()
    wait_for("it serves nobody", lambda: "serves nobody" not in at(
        n2, "cluster", "status", "--node", n2.address).stdout, 20)
    status = at(n2, "cluster", "status", "--node", n2.address)
    assert status.returncode == 4 and "was replaced by \"n4\"" in status.stdout
    order = at(n2, "cluster", "leave", "n1", "--node", n2.address)
    assert order.returncode == 4 and "was replaced" in order.stderr
    assert "was replaced" in n2.log()
    n2.kill()
    n2.start()  # again, after it was told once
    wait_for("it serves nobody", lambda: "serves nobody" not in at(
        n2, "cluster", "status", "--node", n2.address).stdout, 20)
    for i in range(20):
        assert cluster.cli("get", f"k{i}").stdout == "v\n"
    refused(cluster, 2, "was replaced by \"n4\"", "leave", "n2")


def test_the_same_node_joins_again_after_it_left(cluster):
    n4 = cluster.node("n4")
    for _ in range(2):
        cluster.tell("join", "n4", n4.address)
        cluster.tell("commit")
        cluster.wait_members(["n1", "n2", "n3", "n4"], 30)
        cluster.tell("leave", "n4")
        cluster.tell("commit")
        cluster.wait_members(["n1", "n2", "n3"], 30)
        assert cluster.members()["n4"]["state"] == "left"
