"""The paper's figure 3 through the whole stack: D1 to D5 and their exact clocks (R4.4-f)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import ringlet

SX, SY, SZ = 0, 1, 2
Clock = list[tuple[str, int]]


class Figure:
    """Three nodes, each of which can be made the only one that runs and so the one that writes."""

    def __init__(self, cluster: ringlet.LocalCluster, client: ringlet.Client) -> None:
        self.cluster = cluster
        self.bucket = client.bucket("figure 3", codec=ringlet.Text)
        ids = {member["name"]: int(member["id"], 16) for member in client.admin("ring")["members"]}
        self.names = {ids["n1"]: "Sx", ids["n2"]: "Sy", ids["n3"]: "Sz"}

    @contextmanager
    def only(self, node: int) -> Iterator[None]:
        """The others are dead meanwhile; their memory is kept."""
        others = [index for index in (SX, SY, SZ) if index != node]
        for index in others:
            self.cluster.kill(index)
        try:
            yield
        finally:
            for index in others:
                self.cluster.restart(index)

    def put(self, node: int, value: str, context: ringlet.Context | None) -> ringlet.Versioned[str]:
        with self.only(node):
            return self.bucket.put("D", value, context)

    def clock(self, context: ringlet.Context) -> Clock:
        """As the paper prints it; each node has one epoch here, or the lengths differ."""
        seen = context.describe("figure 3", "D")
        assert seen == context.describe()
        return sorted((self.names[dot.node], dot.counter) for dot in seen)


@pytest.fixture
def figure() -> Iterator[Figure]:
    with ringlet.local_cluster(3, n=3, r=1, w=1) as cluster, cluster.connect(timeout=5) as client:
        yield Figure(cluster, client)


def test_d1_to_d5_with_their_exact_clocks(figure: Figure) -> None:
    d1 = figure.put(SX, "D1", None)
    assert figure.clock(d1.context) == [("Sx", 1)]
    d2 = figure.put(SX, "D2", d1.context)
    assert figure.clock(d2.context) == [("Sx", 2)]

    # Sy and Sz each take a write of a client that had read D2, and neither hears of the other's.
    d3 = figure.put(SY, "D3", d2.context)
    assert figure.clock(d3.context) == [("Sx", 2), ("Sy", 1)] and d3.value == "D3"
    d4 = figure.put(SZ, "D4", d2.context)
    assert figure.clock(d4.context) == [("Sx", 2), ("Sz", 1)] and d4.value == "D4"
    assert d3.context.concurrent_with(d4.context)
    assert d2.context < d3.context and d2.context < d4.context

    # A client reads both, and its context is a summary of theirs; Sx takes what it made of them.
    both = figure.bucket.get("D", r=3)
    assert sorted(sibling.value for sibling in both.siblings) == ["D3", "D4"]
    assert figure.clock(both.context) == [("Sx", 2), ("Sy", 1), ("Sz", 1)]
    d5 = figure.put(SX, "D5", both.context)
    assert figure.clock(d5.context) == [("Sx", 3), ("Sy", 1), ("Sz", 1)]

    after = figure.bucket.get("D", r=3)
    assert [sibling.value for sibling in after.siblings] == ["D5"]
    assert figure.clock(after.context) == [("Sx", 3), ("Sy", 1), ("Sz", 1)]
