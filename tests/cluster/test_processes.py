"""The programs as an operator meets them: commands, exit codes, signals, kills (failure-modes F-…)."""

import random
import resource
import signal
import subprocess
import time

import pytest

from conftest import BIN, ROOT, free_ports, wait_for


def test_put_get_delete_and_exit_codes(cluster, tmp_path):
    assert cluster.cli("get", "alice").returncode == 1
    assert cluster.cli("--bucket", "carts", "put", "alice", "tea").returncode == 0
    got = cluster.cli("--bucket", "carts", "get", "alice")
    assert (got.returncode, got.stdout) == (0, "tea\n")
    assert cluster.cli("--bucket", "carts", "put", "alice", "milk").returncode == 0
    context = str(tmp_path / "context")
    both = cluster.cli("--bucket", "carts", "get", "alice", "--context-out", context)
    assert both.returncode == 3 and "tea" in both.stdout and "milk" in both.stdout
    merged = cluster.cli("--bucket", "carts", "put", "alice", "-", "--context", context, text="tea milk")
    assert merged.returncode == 0, merged.stderr
    assert cluster.cli("--bucket", "carts", "get", "alice", "--context-out", context).stdout == "tea milk\n"
    assert cluster.cli("--bucket", "carts", "delete", "alice", "--context", context).returncode == 0
    assert cluster.cli("--bucket", "carts", "get", "alice").returncode == 1


def test_contexts_damaged_or_of_another_key_are_refused_and_nothing_is_written(cluster, tmp_path):
    """R4.1-b."""
    cluster.cli("put", "a", "1")
    context = tmp_path / "context"
    cluster.cli("get", "a", "--context-out", str(context))
    other = cluster.cli("put", "b", "2", "--context", str(context))
    assert other.returncode == 2 and "another key" in other.stderr
    damaged = bytearray(context.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    context.write_bytes(bytes(damaged))
    assert cluster.cli("put", "a", "2", "--context", str(context)).returncode == 2
    assert cluster.cli("get", "a").stdout == "1\n"
    assert cluster.cli("get", "b").returncode == 1


def test_a_context_of_another_cluster_is_refused_and_nothing_is_replaced(make_cluster, tmp_path):
    """F-66. Both have a node n1 that minted the first version of the key, so to each the other's context
    looks as if that version had been seen."""
    context = str(tmp_path / "context")
    tea, milk = (make_cluster(nodes=1, name=name).start() for name in ("tea", "milk"))
    for cluster in (tea, milk):
        assert cluster.cli("put", "a", cluster.name).returncode == 0
    assert tea.cli("get", "a", "--context-out", context).returncode == 0
    foreign = milk.cli("put", "a", "sugar", "--context", context)
    assert foreign.returncode == 2 and 'of another cluster, wanted one of "milk"' in foreign.stderr
    assert milk.cli("get", "a").stdout == "milk\n"
    assert tea.cli("put", "a", "sugar", "--context", context).returncode == 0
    assert tea.cli("get", "a").stdout == "sugar\n"


def test_status_ring_and_locate(cluster):
    assert {s["node"] for s in cluster.json("status")} == {"n1", "n2", "n3"}
    ring = cluster.json("ring")
    assert sum(m["partitions"] for m in ring["members"]) == ring["partitions"] == 64
    place = cluster.json("locate", "abc")  # R4.1-c: the MD5 of RFC 1321
    assert place["token"] == "900150983cd24fb0d6963f7d28e17f72"
    assert len({n["name"] for n in place["preference_list"]}) == 3


@pytest.mark.parametrize("arguments", [["get"], ["frobnicate"], ["get", "k", "--timeout", "0"], ["put", "k"],
                                       ["get", "k", "--r", "17"], ["put", "k", "v", "--context-text", "???"]])
def test_wrong_commands_exit_2(cluster, arguments):
    """F-93."""
    said = cluster.cli(*arguments)
    assert said.returncode == 2 and said.stderr + said.stdout


def test_nobody_there_exits_4():
    said = subprocess.run([str(BIN / "ringlet"), "--seeds", "127.0.0.1:1", "--timeout", "300", "get", "k"],
                          capture_output=True, text=True, timeout=20)
    assert said.returncode == 4 and "k" in said.stderr


@pytest.mark.parametrize("line, wanted", [
    ("[nodes]\nname = 'x'\n", "nodes"), ("[cluster]\nw = 'two'\n", "cluster.w"), ("[cluster]\nr = 99\n", "cluster.r"),
    ("[limits]\nmax_kye_bytes = 1\n", "max_kye_bytes"), ("[node]\nengine = 'paper'\n", "paper"), ("[node\n", "config.toml:1"),
])
def test_a_wrong_configuration_names_the_line_and_starts_nothing(tmp_path, line, wanted):
    """F-93."""
    config = tmp_path / "config.toml"
    config.write_text(line)
    said = subprocess.run([str(BIN / "ringletd"), "--config", str(config)], capture_output=True, text=True, timeout=20)
    assert said.returncode == 2 and wanted in said.stderr and "config.toml:" in said.stderr
    assert list(tmp_path.iterdir()) == [config]


def test_the_printed_default_configuration_is_accepted(tmp_path):
    config = tmp_path / "config.toml"
    config.write_bytes(subprocess.check_output([str(BIN / "ringletd"), "--print-default-config"]))
    assert subprocess.run([str(BIN / "ringletd"), "--config", str(config), "--check-config"]).returncode == 0


def test_the_documented_configuration_is_the_printed_one():
    printed = subprocess.check_output([str(BIN / "ringletd"), "--print-default-config"], text=True)
    documented = (ROOT / "docs" / "configuration.md").read_text().split("```toml\n")[1].split("```")[0]
    assert documented == printed


def test_sigterm_drains_and_exits_0(cluster):
    node = cluster.nodes[0]
    assert (node.directory / "port").read_text().strip() == node.address.split(":")[1]
    assert int((node.directory / "pid").read_text()) == node.process.pid
    assert node.terminate() == 0
    assert not (node.directory / "pid").exists() and not (node.directory / "port").exists()


def test_a_store_that_failed_for_good_ends_the_node_and_loses_nothing(cluster):
    """F-11: exit 5 and a sentence, for whoever starts it again; here its files end at 64 KiB."""
    node = cluster.nodes[0]
    node.terminate()
    node.around = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]  # a failed write, not a signal
    node.start()
    assert cluster.cli("put", "before", "v").returncode == 0
    hard = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (1 << 16, hard))
    written = 0
    while node.running and written < 200:
        assert cluster.cli("put", f"k{written}", f"{written} " + "x" * 4000).returncode == 0  # W others take it
        written += 1
    assert node.process.wait(10) == 5
    assert "start this node again" in node.log(), node.log()[-500:]
    node.start()
    wait_for("n1 to be back", lambda: any("error" in s for s in cluster.json("status")))
    assert cluster.cli("--r", "3", "get", "before").stdout == "v\n"
    for i in range(written):
        assert cluster.cli("get", f"k{i}").stdout.split()[0] == str(i)


def test_a_second_process_on_a_directory_is_refused(cluster):
    """F-07."""
    node = cluster.nodes[0]
    elsewhere = f"127.0.0.1:{free_ports(1)[0]}"
    text = node.config.read_text().replace(node.address, elsewhere).replace("/pid", "/pid2")
    second = node.directory / "second.toml"
    second.write_text(text)
    said = subprocess.run([str(BIN / "ringletd"), "--config", str(second)], capture_output=True, text=True, timeout=20)
    assert said.returncode == 3 and str(node.process.pid) in said.stderr
    assert cluster.cli("put", "k", "v").returncode == 0


def test_a_client_of_another_cluster_is_refused(cluster):
    """F-43."""
    said = subprocess.run([str(BIN / "ringlet"), "--seeds", cluster.seeds, "--cluster", "other", "--timeout", "500",
                           "put", "k", "v"], capture_output=True, text=True, timeout=20)
    assert said.returncode == 4
    assert cluster.cli("get", "k").returncode == 1


def test_a_stopped_node_is_routed_around(cluster):
    """F-08."""
    cluster.nodes[1].signal(signal.SIGSTOP)
    for i in range(10):
        assert cluster.cli("put", f"k{i}", "v").returncode == 0
    cluster.nodes[1].signal(signal.SIGCONT)
    for i in range(10):
        assert cluster.cli("--r", "3", "get", f"k{i}").returncode == 0


def test_kill_and_restart_lose_nothing(cluster):
    """F-01: every write acknowledged before, between and after 30 kills is there at the end."""
    wrote = 0
    for cycle in range(30):
        node = cluster.nodes[cycle % 3]
        node.kill()
        for _ in range(2):
            said = cluster.cli("put", f"k{wrote}", str(wrote))
            assert said.returncode == 0, said.stderr
            wrote += 1
        node.start()
    for i in range(wrote):
        assert cluster.cli("get", f"k{i}").stdout == f"{i}\n"


def test_hints_reach_their_owner(make_cluster):
    """R4.6-b with processes: what a dead node missed is on it after its return."""
    cluster = make_cluster(nodes=4).start()
    away = cluster.nodes[0]
    away.kill()
    for i in range(40):
        assert cluster.cli("put", f"k{i}", "v").returncode == 0
    waiting = sum(s.get("hints", 0) for s in cluster.json("status"))
    assert waiting > 0
    away.start()
    end = time.monotonic() + 20
    while sum(s.get("hints", 0) for s in cluster.json("status")) > 0:
        assert time.monotonic() < end, "hints did not drain within 20 s"
        time.sleep(0.2)


def test_kills_while_it_starts_and_while_it_stops(cluster):
    """F-06: at random moments of both; the next start serves, and nothing acknowledged is lost."""
    choose, node, wrote = random.Random(6), cluster.nodes[0], 0
    for cycle in range(16):
        said = cluster.cli("put", f"k{wrote}", str(wrote))
        assert said.returncode == 0, said.stderr
        wrote += 1
        if cycle % 2:
            node.signal(signal.SIGTERM)
        else:
            node.kill()
            node.launch()
        time.sleep(choose.uniform(0, 0.12))
        if node.running:
            node.kill()
        node.start()
    for i in range(wrote):
        assert cluster.cli("--r", "3", "get", f"k{i}").stdout == f"{i}\n"


def test_hints_for_a_node_that_left_reach_the_owners(make_cluster):
    """F-45: it is gone for good, an administrator lets it leave, and what was kept for it is not lost."""
    cluster = make_cluster(nodes=4, cluster="partitions = 16\n").start()
    cluster.nodes[3].kill()
    for i in range(40):
        assert cluster.cli("put", f"k{i}", str(i)).returncode == 0
    assert sum(s.get("hints", 0) for s in cluster.json("status")) > 0
    cluster.tell("leave", "n4")
    cluster.tell("commit")
    cluster.wait_members(["n1", "n2", "n3"], 60)
    wait_for("hints delivered", lambda: sum(s["hints"] for s in cluster.json("status")), 30)
    for i in range(40):
        assert cluster.cli("--r", "3", "get", f"k{i}").stdout == f"{i}\n"
