"""L19 with real processes: last-write-wins loses no write that follows another one.

Three nodes, N=3, R=W=2. Each writer has a client at every node and uses them in turn. A pair is two writes, one made
after the other was acknowledged; the second one must be what a read shows.

With clocks that agree the second write may be blind: the stamp is the client's, and the two clients of a writer are
in one process. With clocks of nodes ten seconds ahead and behind, what a client stamps is still above; and a write
which carries the context of a read must win in any case.

900 pairs of each kind; with RINGLET_LONG=1 100,000 in all.
"""

import os
import threading

import nemesis
import pytest

ringlet = pytest.importorskip("ringlet")

WRITERS = 6
LONG = os.environ.get("RINGLET_LONG") == "1"


def put_delete_put(first, second, key):
    """One client: the value that followed its own delete is there."""
    first.put(key, "old")
    first.delete(key, first.get(key))
    first.put(key, "new")


def put_delete_put_unread(first, second, key):
    """One client that never reads: the reply of its put is the context of its delete."""
    first.delete(key, first.put(key, "old"))
    first.put(key, "new")


def two_clients(first, second, key):
    """Acknowledged through one node, then a blind put by another client through another node."""
    first.put(key, "old")
    second.put(key, "new")


def with_context(first, second, key):
    """The second writer had read what it replaces."""
    first.put(key, "old")
    second.put(key, "new", context=second.get(key))


def delete_with_context(first, second, key):
    """The one who deletes had read what it deletes, and so had the one who writes anew."""
    first.put(key, "old")
    second.delete(key, second.get(key))
    first.put(key, "new", context=first.get(key))


class Writer(threading.Thread):
    def __init__(self, cluster, number, kinds, pairs):
        super().__init__(daemon=True)
        self.cluster, self.number, self.kinds, self.pairs = cluster, number, kinds, pairs
        self.done, self.lost, self.error = dict.fromkeys((kind.__name__ for kind in kinds), 0), [], None

    def run(self):
        clients = []
        try:
            # The same seeds for a client: its coordinator is the node it is given.
            clients = [ringlet.connect(node.address, cluster=self.cluster.name, timeout=10.0) for node in self.cluster.nodes]
            buckets = [client.bucket("pairs", codec=ringlet.Text) for client in clients]
            for i in range(self.pairs):
                kind, at = self.kinds[i % len(self.kinds)], (i // len(self.kinds) + self.number) % 3
                key = f"{self.number}-{i}"
                kind(buckets[at], buckets[(at + 1) % 3], key)
                seen = buckets[(at + 2) % 3].get(key).value
                self.done[kind.__name__] += 1
                if seen != "new":
                    self.lost.append((kind.__name__, key, seen))
        except Exception as error:  # a dead thread must fail the test, not hide
            self.error = error
        finally:
            for client in clients:
                client.close()


@pytest.mark.parametrize("skews, kinds", [
    ((0, 0, 0), (put_delete_put, put_delete_put_unread, two_clients, with_context, delete_with_context)),
    ((10, -10, 0), (put_delete_put, put_delete_put_unread, with_context, delete_with_context)),
], ids=["clocks that agree", "clocks ten seconds apart"])
def test_the_second_write_of_a_pair_is_what_is_read(make_cluster, tmp_path, skews, kinds):
    cluster = make_cluster(cluster='reconcile = "lww"\n')
    library = nemesis.skew_library(tmp_path)
    for node, skew in zip(cluster.nodes, skews, strict=True):
        node.environment = {"LD_PRELOAD": library, "RINGLET_TEST_SKEW": str(skew)}
    cluster.start()
    pairs = 50_000 // WRITERS + 1 if LONG else 150 * len(kinds)
    writers = [Writer(cluster, number, kinds, pairs) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not [writer.error for writer in writers if writer.error]
    lost = [each for writer in writers for each in writer.lost]
    done = {kind.__name__: sum(writer.done[kind.__name__] for writer in writers) for kind in kinds}
    print(f"skew {skews}: {sum(done.values())} pairs {done}, {len(lost)} lost")
    assert sum(done.values()) == WRITERS * pairs
    assert not lost, lost[:5]
