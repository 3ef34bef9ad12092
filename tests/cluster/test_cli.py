import json
import signal


def test_put_get_delete_and_exit_codes(cluster):
    assert cluster.cli("put", "k", "one").returncode == 0
    got = cluster.cli("--output", "json", "get", "k")
    assert got.returncode == 0
    context = json.loads(got.stdout)["context_base64"]
    assert cluster.cli("get", "k").stdout == "one\n"
    assert cluster.cli("delete", "k", "--context-text", context).returncode == 0
    assert cluster.cli("get", "k").returncode == 1


def test_blind_puts_conflict_and_all_are_printed(cluster):
    for value in ("a", "b"):
        assert cluster.cli("put", "k", value).returncode == 0
    got = cluster.cli("get", "k")
    assert got.returncode == 3
    assert {line for line in got.stdout.splitlines() if line[0] != "#"} == {"a", "b"}


def test_wrong_flags_and_contexts_are_refused(cluster):
    assert cluster.cli("get", "k", "--output", "xml").returncode == 2
    assert cluster.cli("put", "k", "v", "--context-text", "!").returncode == 2
    assert cluster.cli("put", "k", "v", "--context-text", "AAAA").returncode == 2


def test_r_and_w_are_numbers(cluster):
    assert cluster.cli("--w", "3", "put", "k", "v").returncode == 0
    assert cluster.cli("--r", "3", "get", "k").stdout == "v\n"


def test_kill_one_node_and_go_on(cluster):
    cluster.end(0, signal.SIGKILL)
    for i in range(5):
        put = cluster.cli("put", f"k{i}", "v")
        assert put.returncode == 0, put.stderr
        assert cluster.cli("get", f"k{i}").stdout == "v\n"


def test_sigterm_exits_0_and_removes_its_files(cluster):
    assert cluster.end(1) == 0
    assert not (cluster.directory / "n1.pid").exists()
    assert not (cluster.directory / "n1.port").exists()


def test_wrong_cluster_name_is_refused(cluster):
    got = cluster.cli("get", "k", cluster="other")
    assert got.returncode != 0 and got.stderr
