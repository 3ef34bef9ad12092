"""Nodes that start while their disk is full (F-112), and hints that cannot be read or are too many (F-108)."""

import threading
import time

import pytest
from conftest import fill, wait_for


@pytest.mark.parametrize("how", ["terminated", "killed"])
def test_a_node_starts_while_its_disk_has_no_byte_free(make_cluster, small_disk, how):
    cluster = make_cluster(nodes=1, cluster="n = 1\nr = 1\nw = 1\npartitions = 16\n")
    node = cluster.nodes[0]
    node.config.write_text(node.config.read_text().replace(str(node.data), str(small_disk / "data")))
    cluster.start()
    for i in range(20):
        assert cluster.cli("--bucket", "b", "put", f"k{i}", f"v{i}").returncode == 0
    assert (small_disk / "data" / "ringlet.ballast").stat().st_size == 96 << 20
    node.terminate() if how == "terminated" else node.kill()
    filler = small_disk / "filler"
    fill(filler)
    for _ in range(2):  # a start that finds no room leaves some for the next
        node.start()
        fill(filler)  # a start gives back the log that the last run had reserved
        time.sleep(0.2)  # the node looks every 100 ms how much is free
        refused = cluster.cli("--bucket", "b", "put", "k0", "more")
        assert refused.returncode != 0 and "disk full" in refused.stderr, refused
        for i in range(20):
            assert cluster.cli("--bucket", "b", "get", f"k{i}").stdout == f"v{i}\n"
        node.kill()
    assert "empty one" not in node.log(), "advice that throws data away for want of room"
    node.start()
    filler.unlink()
    wait_for("writes go on", lambda: cluster.cli("--bucket", "b", "put", "new", "v").returncode != 0)
    assert cluster.cli("--bucket", "b", "get", "k7").stdout == "v7\n"


def test_a_disk_that_large_values_fill_refuses_in_words_and_keeps_what_was_acknowledged(make_cluster, small_disk):
    """Four writers of 6 MiB and less, until no value is taken any more; then there is room again."""
    ringlet = pytest.importorskip("ringlet")
    cluster = make_cluster(nodes=1, cluster="n = 1\nr = 1\nw = 1\npartitions = 16\n")
    node = cluster.nodes[0]
    node.config.write_text(node.config.read_text().replace(str(node.data), str(small_disk / "data")))
    cluster.start()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(150 << 20))
    stored, refused = {}, []

    def write(number):
        with ringlet.connect(cluster.seeds, cluster=cluster.name, timeout=5.0) as client:
            bucket = client.bucket("b")
            for i in range(60):
                key, value = f"{number}-{i}", bytes([number, i]) * (3 << 20 if i % 3 else 500)
                try:
                    bucket.put(key, value)
                    stored[key] = value
                except ringlet.RingletError as error:
                    refused.append(str(error))
                    if len(refused) > 20:
                        return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    print(f"{len(stored)} values stored, {len(refused)} refused: {refused[0] if refused else ''}")
    assert len(stored) > 10 and any("disk full" in why for why in refused), (len(stored), refused[:3])
    assert node.running, node.log()[-2000:]

    def all_there():
        with ringlet.connect(cluster.seeds, cluster=cluster.name, timeout=10.0) as client:
            for key, value in stored.items():
                assert [s.value for s in client.bucket("b").get(key).siblings] == [value], key

    all_there()
    node.kill()
    filler.unlink()
    node.start()
    all_there()
    with ringlet.connect(cluster.seeds, cluster=cluster.name, timeout=10.0) as client:
        wait_for("large values are taken again", lambda: put_fails(client, ringlet), 20)
    assert node.terminate() == 0


def put_fails(client, ringlet):
    try:
        client.bucket("b").put("again", bytes(6 << 20))
    except ringlet.RingletError as error:
        return str(error)
    return ""


def test_hints_beyond_their_bound_go_to_the_other_owners(make_cluster):
    """The bound is a MiB; what was written while n3 was away reaches it by the exchange of trees."""
    ringlet = pytest.importorskip("ringlet")
    cluster = make_cluster(nodes=4, cluster="partitions = 16\n",
                           more="[hints]\nmax_mb = 1\nscan_ms = 200\n[upkeep]\nrepair_ms = 1000\n")
    cluster.start()
    client = ringlet.connect(cluster.seeds, cluster=cluster.name)
    away = cluster.node("n3")
    away.kill()
    value = "x" * 100_000
    for i in range(60):
        assert cluster.cli("--bucket", "b", "put", f"k{i}", "-", text=value).returncode == 0

    def status():
        return [s for s in cluster.json("status") if "hints" in s]

    def too_many():
        said = status()
        return max(s["hint_bytes"] for s in said) > 1_300_000 or not any(s["hints_released"] for s in said)

    wait_for("hints are released", too_many, 60)
    assert any("are released" in n.log() for n in cluster.nodes if n is not away)
    away.start()

    def incomplete():
        for i in range(60):
            replicas = client.admin("key.inspect", bucket="b", key=f"k{i}", timeout=5.0)["replicas"]
            if len({r.get("holds", {}).get("bytes") for r in replicas}) != 1:
                return f"k{i}: {[(r['node'], r.get('holds', {}).get('bytes')) for r in replicas]}"
        return [s["hints"] for s in status() if s["hints"]]

    wait_for("the owner that was away has everything", incomplete, 60)
    client.close()
