"""Greenlets of gevent call the blocking surface: a call waits through the hub, and the others run."""

from __future__ import annotations

import pytest

from test_process import run_python

pytest.importorskip("gevent")

PATCHED = """
from gevent import monkey
monkey.patch_all()
import gevent, time, ringlet

def counted(done):
    "What done() gives, and how often another greenlet ran meanwhile."
    ran = [0]
    def tick():
        while True:
            gevent.sleep(0.005)
            ran[0] += 1
    ticking = gevent.spawn(tick)
    try:
        return done(), ran[0]
    finally:
        ticking.kill()
"""

# A listener that takes connections and never says a word.
SILENT = """
import socket
silent = socket.socket(); silent.bind(("127.0.0.1", 0)); silent.listen()
seeds = f"127.0.0.1:{silent.getsockname()[1]}"
"""


def works(code: str) -> str:
    ended = run_python(PATCHED + code, 60)
    assert ended.returncode == 0 and not ended.stderr, ended
    return ended.stdout


def test_greenlets_share_a_client():
    said = works("""
with ringlet.local_cluster() as cluster, cluster.connect(timeout=20.0) as client:
    carts = client.bucket("carts", codec=ringlet.Json)
    def shop(number):
        for _ in range(10):
            carts.update("alice", lambda items: sorted({*(items or []), number}), resolver=lambda siblings: sorted(
                {item for sibling in siblings for item in sibling.value}))
        found = carts.get_many([f"k{at}" for at in range(20)])
        assert not found.errors and len(found) == 20
        return carts.get("alice").value
    jobs = [gevent.spawn(shop, number) for number in range(20)]
    gevent.joinall(jobs, raise_error=True)
    print(carts.get("alice").value == list(range(20)))
    print(gevent.get_hub().threadpool.apply(lambda: carts.get("alice").value == list(range(20))))
    print(client.admin("ring")["partitions"] > 0)
""")
    assert said.split() == ["True"] * 3


@pytest.mark.parametrize(
    "call",
    [
        "bucket.get('k')",
        "bucket.update('k', lambda value: b'x')",
        "bucket.get_many(['a', 'b'])['a']",
        "client.admin('ring', timeout=0.5)",
    ],
)
def test_a_silent_node_stalls_no_other_greenlet(call):
    said = works(
        SILENT
        + f"""
client = ringlet.connect(seeds, timeout=0.5)
bucket = client.bucket("b")
def done():
    try:
        {call}
    except ringlet.RingletError as error:
        return type(error).__name__
failure, ran = counted(done)
client.close()
print(failure, ran)
"""
    )
    failure, ran = said.split()
    assert failure in ("Timeout", "Unavailable") and int(ran) > 20


def test_a_timeout_of_gevent_ends_a_call_and_the_client_goes_on():
    said = works(
        SILENT
        + """
client = ringlet.connect(seeds, timeout=30.0)
bucket = client.bucket("b")
begun = time.monotonic()
with gevent.Timeout(0.2, False):
    bucket.put("k", b"v")
job = gevent.spawn(bucket.get, "k")
gevent.sleep(0.1)
job.kill()
print(time.monotonic() - begun < 5)
client.close()
"""
    )
    assert said.split() == ["True"]
