"""What the command line client makes of conflicts, contexts and numbers."""


def test_blind_puts_conflict_and_all_are_printed(cluster):
    for value in ("a", "b"):
        assert cluster.cli("put", "k", value).returncode == 0
    got = cluster.cli("get", "k")
    assert got.returncode == 3
    assert {line for line in got.stdout.splitlines() if line[0] != "#"} == {"a", "b"}


def test_r_and_w_are_numbers(cluster):
    assert cluster.cli("--w", "3", "put", "k", "v").returncode == 0
    assert cluster.cli("--r", "3", "get", "k").stdout == "v\n"


def test_kill_one_node_and_go_on(cluster):
    cluster.nodes[0].kill()
    for i in range(5):
        put = cluster.cli("put", f"k{i}", "v")
        assert put.returncode == 0, put.stderr
        assert cluster.cli("get", f"k{i}").stdout == "v\n"
