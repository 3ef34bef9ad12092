"""L20, F-102, F-105: members that disagree, addresses that change, and data directories of older releases."""

import base64
import json
import pathlib
import shutil
import subprocess
import tarfile

import pytest
from conftest import BIN, Cluster, free_ports, wait_for

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def members_of(nodes):
    return "".join(f'[[members]]\nname = "{n.name}"\naddress = "{n.address}"\n' for n in nodes)


def write(cluster, node, lines="", members=None, more=""):
    """The node's file with other lines in [cluster]."""
    before, cluster.cluster = cluster.cluster, lines
    moved, cluster.more = cluster.more, more or cluster.more
    cluster.configure(node, members_of(cluster.founders) if members is None else members)
    cluster.cluster, cluster.more = before, moved


def put(cluster, key, value, seeds=None, context=None):
    more = ["--context", context] if context else []
    return subprocess.run([str(BIN / "ringlet"), "--seeds", seeds or cluster.seeds, "--cluster", cluster.name,
                           "put", key, value, *more], capture_output=True, text=True, timeout=30)


def shown(said):
    versions = next(v for v in json.loads(said.stdout).values() if isinstance(v, list))
    return sorted(base64.b64decode(v["value_base64"]).decode() for v in versions if not v["deleted"])


def values(cluster, key, seeds=None, options=()):
    said = subprocess.run([str(BIN / "ringlet"), "--seeds", seeds or cluster.seeds, "--cluster", cluster.name,
                           "--output", "json", *options, "get", key], capture_output=True, text=True, timeout=30)
    if said.returncode == 1:
        return []
    assert said.returncode in (0, 3), (key, said.returncode, said.stdout, said.stderr)
    return shown(said)


def serves(cluster, seconds=20, seeds=None):
    wait_for("a put is taken", lambda: "" if (p := put(cluster, "probe", "x", seeds)).returncode == 0 else p.stderr, seconds)


def test_a_file_that_contradicts_the_store_is_refused_or_said_key_by_key(make_cluster):
    cluster = make_cluster().start()
    serves(cluster)
    n1 = cluster.node("n1")
    assert n1.terminate() == 0
    write(cluster, n1, 'reconcile = "lww"\nn = 2\n')
    n1.launch()
    assert n1.process.wait(20) == 2
    log = n1.log()
    assert 'cluster.reconcile: the cluster has "siblings", this file "lww"; it never changes' in log
    assert "cluster.n: the cluster has 3, this file 2; it never changes" in log
    # What may change is said, and the cluster's counts.
    write(cluster, n1, 'r = 3\nw = 1\n[limits]\nmax_siblings = 5\n')
    n1.start()
    assert 'cluster.r: the cluster has 2, this file 3; change it with "ringlet cluster set r 3"' in n1.log()
    assert "cluster.w: the cluster has 2, this file 1;" in n1.log()
    assert "limits.max_siblings: the cluster has 1000, this file 5;" in n1.log()
    settings = json.loads(cluster.cli("--output", "json", "cluster", "status", "--node", "n1").stdout)["settings"]
    assert (settings["r"], settings["w"], settings["max_siblings"]) == (2, 2, 1000)


def test_a_founder_whose_file_has_another_reconcile_serves_nobody_and_says_why(make_cluster):
    cluster = make_cluster()
    n3 = cluster.node("n3")
    write(cluster, n3, 'reconcile = "lww"\n')
    cluster.start()
    serves(cluster, seeds=cluster.node("n1").address)
    wait_for("n3 says it", lambda: "" if "reconcile" in n3.log() else n3.log(), 10)
    said = put(cluster, "k", "v", seeds=n3.address)
    assert said.returncode == 4, said.stdout + said.stderr
    status = cluster.cli("cluster", "status", "--node", n3.address)
    assert status.returncode != 0 and "reconcile" in status.stderr, status.stderr
    for i in range(20):
        for value in ("tea", "milk"):
            assert put(cluster, f"a{i}", value, seeds=cluster.node(f"n{i % 2 + 1}").address).returncode == 0
        assert values(cluster, f"a{i}") == ["milk", "tea"]
    # With the file corrected it belongs: it kept nothing of what it proposed.
    assert n3.terminate() == 0
    write(cluster, n3)
    n3.start()
    serves(cluster, seeds=n3.address)


def test_a_node_whose_members_name_it_though_the_others_do_not_serves_nobody(make_cluster):
    cluster = make_cluster(strangers=1)
    n4 = cluster.node("n4")
    write(cluster, n4, members=members_of(cluster.nodes))
    n4.start()
    said = put(cluster, "k", "v", seeds=n4.address)
    assert said.returncode == 4, said.stdout + said.stderr
    for name in ("n1", "n2", "n3"):
        cluster.node(name).start()
    serves(cluster, seeds=cluster.node("n1").address)
    wait_for("n4 says it", lambda: "" if "was founded with other members" in n4.log() else n4.log(), 10)
    assert put(cluster, "k", "v", seeds=n4.address).returncode == 4
    status = cluster.cli("cluster", "status", "--node", n4.address)
    assert status.returncode != 0 and "serves nobody" in status.stderr, (status.stdout, status.stderr)
    # It left nothing behind: as a stranger it may be joined.
    assert n4.terminate() == 0
    cluster.configure(n4)
    n4.start()
    cluster.tell("join", "n4", n4.address)
    cluster.tell("commit")
    cluster.wait_members(["n1", "n2", "n3", "n4"])


def test_one_wrong_file_of_three_counts_for_none_of_the_founders(make_cluster):
    cluster = make_cluster()
    n1, n2, n3 = cluster.nodes
    port = n2.address.rpartition(":")[2]
    # Which of two founding entries a merge would prefer depends on their bytes: three wrong ones at once.
    wrong = "".join(f'[[members]]\nname = "{n.name}"\naddress = "{a}"\n{more}' for n, a, more in [
        (n1, n1.address, 'zone = "a"\n'), (n2, f"localhost:{port}", ""), (n3, n3.address, "weight = 2\n")])
    write(cluster, n1, members=wrong)
    for node in (n1, n2, n3):
        node.start()
    serves(cluster, seeds=n2.address)
    wanted = {n.name: (n.address, "", 1) for n in cluster.nodes}

    def differs():
        for node in (n1, n2, n3):
            members = cluster.members(node.address)
            if {k: (m["address"], m["zone"], m["weight"]) for k, m in members.items()} != wanted:
                return f"{node.name} has {members}"
        return ""

    wait_for("all go by the list that most were given", differs, 20)
    assert "other addresses, zones or weights" in n1.log(), n1.log()
    for node in (n1, n2, n3):
        serves(cluster, seeds=node.address)
    assert not differs(), differs()


def test_founding_needs_most_members_once_and_a_restart_none(make_cluster):
    cluster = make_cluster(cluster="r = 1\nw = 1\n")
    n1, n2, _ = cluster.nodes
    n1.start()
    assert put(cluster, "k", "v", seeds=n1.address).returncode == 4
    n2.start()  # n3 is not there at the first start
    serves(cluster)
    assert n1.kill() and n2.kill()
    n2.start()  # alone
    serves(cluster, seeds=n2.address)


def test_a_newcomer_takes_the_settings_and_one_that_contradicts_is_told(make_cluster):
    cluster = make_cluster(strangers=2, cluster='reconcile = "lww"\nr = 1\n')
    for name in ("n4", "n5"):
        write(cluster, cluster.node(name), members="")
    write(cluster, cluster.node("n5"), 'reconcile = "siblings"\n', members="")
    cluster.start()
    serves(cluster, seeds=cluster.node("n1").address)
    cluster.tell("join", "n4", cluster.node("n4").address)
    cluster.tell("join", "n5", cluster.node("n5").address)
    cluster.tell("commit")
    n5 = cluster.node("n5")
    wait_for("n5 is told", lambda: "" if 'the cluster has "lww", this file "siblings"' in n5.log() else "not yet", 20)
    assert put(cluster, "k", "v", seeds=n5.address).returncode == 4
    status = ("--output", "json", "cluster", "status", "--node", "n4")
    wait_for("n4 serves", lambda: cluster.cli(*status).returncode != 0, 20)
    said = json.loads(cluster.cli(*status).stdout)
    assert said["settings"]["reconcile"] == "lww" and said["settings"]["r"] == 1
    n4 = cluster.node("n4")
    for i in range(20):
        assert put(cluster, f"b{i}", "tea", seeds=n4.address).returncode == 0
        assert put(cluster, f"b{i}", "milk", seeds=n4.address).returncode == 0
        # The cluster's R is 1, with which a read may miss what two of three have just taken.
        assert len(values(cluster, f"b{i}", options=("--r", "2"))) == 1
    # A start with this file is refused like that of any member; with the file corrected the node belongs.
    assert n5.terminate() == 0
    n5.launch()
    assert n5.process.wait(20) == 2, n5.log()[-2000:]
    assert 'the cluster has "lww", this file "siblings"; it never changes' in n5.log()
    write(cluster, n5, members="")
    n5.start()
    serves(cluster, seeds=n5.address)


def test_cluster_set_is_staged_committed_and_survives(make_cluster):
    cluster = make_cluster().start()
    serves(cluster)
    for wrong, why in ((("set", "reconcile", "lww"), "never changes"), (("set", "n", "4"), "never changes"),
                       (("set", "r", "4"), "wanted at most cluster.n (3), got 4"), (("set", "r", "two"), 'got "two"'),
                       (("set", "cache_mb", "9"), "wanted a setting of the cluster"), (("set", "r", "2"), "is 2 already"),
                       (("set", "durability", "paper"), "wanted buffer or log or disk")):
        assert why in cluster.tell(*wrong, fails=2), wrong
    cluster.tell("set", "max_value_bytes", "1000")
    cluster.tell("set", "w", "3")
    assert "is staged already" in cluster.tell("set", "w", "1", fails=2)
    assert put(cluster, "k", "v" * 2000).returncode == 0  # staged is not done
    assert "set w 3" in cluster.tell("plan")
    cluster.tell("commit")
    settings = lambda n: json.loads(cluster.cli("--output", "json", "cluster", "status", "--node", n).stdout)["settings"]
    wait_for("all have it", lambda: [n for n in ("n1", "n2", "n3") if (settings(n)["w"], settings(n)["max_value_bytes"]) != (3, 1000)])
    assert "wanted a value of at most 1000 bytes" in put(cluster, "k", "v" * 2000, seeds=cluster.node("n3").address).stderr
    for node in cluster.nodes:
        assert node.terminate() == 0
    cluster.start()
    assert settings("n2")["w"] == 3


def rewrite(node, old, new):
    node.config.write_text(node.config.read_text().replace(old, new))
    node.address = new


def test_a_member_comes_back_at_another_address(make_cluster):
    cluster = make_cluster().start()
    serves(cluster)
    n2 = cluster.node("n2")
    old = n2.address
    assert n2.terminate() == 0
    rewrite(n2, old, f"127.0.0.1:{free_ports(1)[0]}")
    check = subprocess.run([str(BIN / "ringletd"), "--config", str(n2.config), "--check-config"], capture_output=True, text=True)
    assert check.returncode == 0 and f"the store has n2 at {old}, this file at {n2.address}" in check.stdout, check.stdout
    n2.start()
    wait_for("all have it there", lambda: [n for n in ("n1", "n2", "n3") if cluster.members(n).get("n2", {}).get("address") != n2.address], 30)
    assert "has moved from" in cluster.node("n1").log() + cluster.node("n3").log()
    serves(cluster, seeds=n2.address)


def test_a_copied_directory_does_not_take_over_a_live_member(make_cluster, tmp_path):
    cluster = make_cluster().start()
    serves(cluster)
    n2 = cluster.node("n2")
    assert n2.terminate() == 0
    copy = tmp_path / "copy"
    shutil.copytree(n2.directory, copy)
    n2.start()
    serves(cluster, seeds=n2.address)
    other = f"127.0.0.1:{free_ports(1)[0]}"
    config = copy / "config.toml"
    config.write_text(config.read_text().replace(str(n2.directory), str(copy)).replace(n2.address, other))
    with open(copy / "log2", "wb") as log:
        thief = subprocess.Popen([str(BIN / "ringletd"), "--config", str(config)], stderr=log)
    try:
        wait_for("it is refused", lambda: "" if "was not found silent" in (copy / "log2").read_text() else (copy / "log2").read_text())
        assert put(cluster, "k", "v", seeds=other).returncode == 4
        assert cluster.members("n1")["n2"]["address"] == n2.address
        serves(cluster, seeds=n2.address)
    finally:
        thief.kill()
        thief.wait()


def test_cluster_move_orders_another_address(make_cluster):
    cluster = make_cluster().start()
    serves(cluster)
    n2 = cluster.node("n2")
    new = f"127.0.0.1:{free_ports(1)[0]}"
    assert 'wants the address' in cluster.tell("move", "n2", cluster.node("n3").address, fails=2)
    assert "is at" in cluster.tell("move", "n2", n2.address, fails=2)
    assert "not a member" in cluster.tell("move", "n9", new, fails=2)
    cluster.tell("move", "n2", new, "--advertise", "localhost:" + new.split(":")[1])
    cluster.tell("commit")
    assert n2.terminate() == 0
    rewrite(n2, n2.address, new)
    n2.config.write_text(n2.config.read_text().replace("[node]\n", f'[node]\nadvertise = "localhost:{new.split(":")[1]}"\n'))
    n2.start()
    wait_for("all have it there", lambda: [n for n in ("n1", "n2", "n3") if cluster.members(n).get("n2", {}).get("address") != new], 30)
    assert cluster.members("n3")["n2"]["advertise"].startswith("localhost:")
    serves(cluster, seeds=n2.address)


def test_an_address_for_clients_is_taken_back(make_cluster):
    """A wrong one would keep clients, and the command line, from a member for ever."""
    cluster = make_cluster().start()
    serves(cluster)
    n2, none = cluster.node("n2"), f"127.0.0.1:{free_ports(1)[0]}"
    for offline in (False, True):
        staged = cluster.tell("move", "n2", n2.address, "--advertise", none)
        assert f"for clients at {none}" in staged
        cluster.tell("commit")
        wait_for("all tell it to clients", lambda: [n for n in ("n1", "n3") if cluster.members(n).get("n2", {}).get("advertise") != none], 30)
        wait_for("it is asked there", lambda: f"n2  {n2.address} (for clients at {none})  the connection was refused" not in cluster.cli("status").stdout, 30)
        assert f"for clients at {none}" in cluster.cli("cluster", "status", "--node", "n1").stdout
        assert "--advertise changes" in cluster.tell("move", "n2", n2.address, fails=2)
        if not offline:
            assert "for clients" not in cluster.tell("move", "n2", n2.address, "--advertise", "none")
            cluster.tell("commit")
        else:
            for node in cluster.nodes:
                assert node.terminate() == 0
            for node in cluster.nodes:
                order = [str(BIN / "ringletd"), "--config", str(node.config), "--set-address"]
                kept = subprocess.run([*order, f"n2={n2.address}"], capture_output=True, text=True)
                gone = subprocess.run([*order, f"n2={n2.address},none"], capture_output=True, text=True)
                assert (kept.returncode, gone.returncode) == (0, 0), (kept, gone)
                # n2 can't be asked what it holds, since clients look for it elsewhere: it may have ended
                # before it heard of the second move.
                if node is not n2:
                    assert f"clients still at {none}" in kept.stdout and f"no more at {none}" in gone.stdout, (kept, gone)
            cluster.start()
        wait_for("it is told no more", lambda: [n for n in ("n1", "n2", "n3") if cluster.members(n).get("n2", {}).get("advertise", "?")], 30)
        wait_for("all answer", lambda: cluster.cli("status").returncode, 30)


def test_a_node_that_listens_elsewhere_than_its_table_says_so(make_cluster):
    """node.listen was corrected, its [[members]] table was not: the others look for it where it is no more."""
    cluster = make_cluster().start()
    n2 = cluster.node("n2")
    assert n2.terminate() == 0
    new = f"127.0.0.1:{free_ports(1)[0]}"
    n2.config.write_text(n2.config.read_text().replace(f'listen = "{n2.address}"', f'listen = "{new}"'))
    said = subprocess.run([str(BIN / "ringletd"), "--config", str(n2.config), "--check-config"], capture_output=True, text=True)
    assert said.returncode == 0 and f"node.listen is {new}" in said.stdout and n2.address in said.stdout, said
    n2.start()
    assert f"node.listen is {new}" in n2.log()


@pytest.mark.parametrize("offline", [False, True])
def test_all_members_come_back_at_other_addresses(make_cluster, offline):
    cluster = make_cluster().start()
    serves(cluster)
    for i in range(10):
        assert put(cluster, f"k{i}", f"v{i}").returncode == 0
    for node in cluster.nodes:
        assert node.terminate() == 0
    moves = {}
    for node, port in zip(cluster.nodes, free_ports(3)):
        moves[node.name] = (node.address, f"127.0.0.1:{port}")
    orders = [x for name, (_, new) in moves.items() for x in ("--set-address", f"{name}={new}")]
    for node in cluster.nodes:
        if offline:
            for wrong, why in (("n1", "wanted NAME=HOST:PORT"), ("n9=127.0.0.1:1", "is not a member"),
                               ("n1=" + moves["n2"][0], "would be at")):
                said = subprocess.run([str(BIN / "ringletd"), "--config", str(node.config), "--set-address", wrong],
                                      capture_output=True, text=True)
                assert said.returncode == 2 and why in said.stderr, (said.returncode, said.stderr)
        text = node.config.read_text()
        for old, new in moves.values():
            text = text.replace(old, new)
        if offline:  # nothing but its own address: only the order says where the others are
            text = text[:text.index("[[members]]")].replace("[cluster]\n", f'[cluster]\nseeds = ["{moves[node.name][1]}"]\n')
        node.config.write_text(text)
        if offline:
            said = subprocess.run([str(BIN / "ringletd"), "--config", str(node.config), *orders], capture_output=True, text=True)
            assert said.returncode == 0, said.stderr
        node.address = moves[node.name][1]
    cluster.start()
    serves(cluster, 40)
    wait_for("all see all there", lambda: [n.name for n in cluster.nodes for m in cluster.nodes
                                           if cluster.members(n.name).get(m.name, {}).get("address") != m.address], 40)
    for i in range(10):
        assert values(cluster, f"k{i}") == [f"v{i}"]


def unpacked(directory):
    """A cluster of the old release's directories, at new addresses, with its manifest."""
    with tarfile.open(FIXTURES / "f2ab83d.tar.xz") as archive:
        archive.extractall(directory / "old")
    manifest = json.loads((directory / "old" / "manifest.json").read_text())
    cluster = Cluster(directory, nodes=3, strangers=1, name=manifest["cluster"], cluster="partitions = 16\n", more="cache_mb = 16\n")
    for node in cluster.nodes:
        shutil.copytree(directory / "old" / node.name, node.data)
    return cluster, manifest


def test_directories_of_an_older_release_open_and_lose_nothing(tmp_path):
    cluster, manifest = unpacked(tmp_path)
    olds = dict(zip([n.name for n in cluster.nodes], (f"127.0.0.1:{p}" for p in manifest["ports"])))
    try:
        orders = [x for n in cluster.nodes for x in ("--set-address", f"{n.name}={n.address}")]
        for node in cluster.nodes:
            said = subprocess.run([str(BIN / "ringletd"), "--config", str(node.config), *orders], capture_output=True, text=True)
            assert said.returncode == 0, said.stderr
            assert olds[node.name] in said.stdout
        cluster.start()
        cluster.name = manifest["cluster"]

        def missing():
            for key, wanted in manifest["expected"].items():
                said = cluster.cli("--bucket", manifest["bucket"], "--output", "json", "get", key)
                if said.returncode not in (0, 1, 3):
                    return said.stderr
            return ""

        wait_for("all keys are read", missing, 40)
        for key, wanted in manifest["expected"].items():
            said = cluster.cli("--bucket", manifest["bucket"], "--output", "json", "get", key, "--r", "3")
            if said.returncode == 1:
                assert wanted == [], key
                continue
            assert shown(said) == wanted, key
        assert "staged: leave n1" in cluster.tell("plan", node="n3")
        wait_for("hints are delivered", lambda: [s["node"] for s in cluster.json("status") if s["hints"] != 0], 30)
    finally:
        cluster.stop()
