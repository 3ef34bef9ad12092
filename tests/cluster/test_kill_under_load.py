"""F-01: shoppers fill shared carts while one node after another is killed; nothing counted is lost."""

import json
import random
import threading
import time

import pytest

ringlet = pytest.importorskip("ringlet")

WRITERS = 4
CARTS = [f"cart{i}" for i in range(6)]
SECONDS = 20


def items_of(siblings):
    """The union: what a shopper makes of carts that went apart."""
    return {item for sibling in siblings for item in json.loads(bytes(sibling.value))}


class Shopper(threading.Thread):
    """Adds its own items, each one counted once the cluster has acknowledged it."""

    def __init__(self, name, cluster, stop):
        super().__init__(name=name, daemon=True)
        self.cluster, self.stop, self.added, self.refused, self.error = cluster, stop, [], [], None

    def run(self):
        try:
            with ringlet.connect(self.cluster.seeds, cluster=self.cluster.name, timeout=5.0) as client:
                carts = client.bucket("carts")
                choose = random.Random(self.name)
                number = 0
                while not self.stop.is_set():
                    self.add(carts, choose.choice(CARTS), f"{self.name}-{number}")
                    number += 1
        except Exception as error:  # a dead thread must fail the test, not hide
            self.error = error

    def add(self, carts, cart, item):
        """Read, merge, write with the context that was read."""
        try:
            seen = carts.get(cart)
            merged = items_of(seen.siblings) | {item}
            carts.put(cart, json.dumps(sorted(merged)).encode(), context=seen.context)
        except ringlet.RingletError as error:
            self.refused.append((cart, item, str(error)))
        else:
            self.added.append((cart, item))


def holdings(client, cart):
    """The digest of the bytes that each owner stores for the cart."""
    inspected = client.admin("key.inspect", bucket="carts", key=cart, timeout=5.0)
    return [replica["holds"]["bytes"] for replica in inspected["replicas"]]


def hints_left(client, cluster):
    return sum(client.admin("status", node=node.name, timeout=5.0)["hints"] for node in cluster.nodes)


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def test_no_acknowledged_add_is_lost_and_none_refused(cluster):
    stop = threading.Event()
    shoppers = [Shopper(f"s{i}", cluster, stop) for i in range(WRITERS)]
    for shopper in shoppers:
        shopper.start()
    kills, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end or kills < 6:
        time.sleep(0.4)
        node = cluster.nodes[kills % 3]
        node.kill()
        time.sleep(0.4)
        node.start()  # waits until it serves: never two away at once
        kills += 1
    stop.set()
    for shopper in shoppers:
        shopper.join(30)
        assert not shopper.is_alive(), f"{shopper.name} hangs"
        assert shopper.error is None, repr(shopper.error)
    added = {cart: {item for s in shoppers for at, item in s.added if at == cart} for cart in CARTS}
    refused = [line for s in shoppers for line in s.refused]
    counted = sum(len(items) for items in added.values())
    print(f"{counted} acknowledged adds, {len(refused)} refused, {kills} kills")
    assert refused == []
    assert counted >= 100, "too little happened to prove anything"
    assert all(s.added for s in shoppers)

    with ringlet.connect(cluster.seeds, cluster=cluster.name, timeout=10.0) as client:
        carts = client.bucket("carts", r=3)
        wait_for("hints gone", lambda: hints_left(client, cluster) == 0)
        for cart in CARTS:
            lost = added[cart] - items_of(carts.get(cart).siblings)
            assert not lost, f"{cart} lost {len(lost)} of {len(added[cart])}: {sorted(lost)[:5]}"
        # The reads above repaired what differed; that the bytes are one on all three:
        for cart in CARTS:
            wait_for(f"{cart} the same on every node", lambda: len(set(holdings(client, cart))) == 1)
            assert len(holdings(client, cart)) == 3
