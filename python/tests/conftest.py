"""One local cluster for tests that leave it as it was; those that kill nodes start their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

import ringlet

_numbers = count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[ringlet.LocalCluster]:
    with ringlet.local_cluster(3) as running:
        yield running


@pytest.fixture
def client(cluster: ringlet.LocalCluster) -> Iterator[ringlet.Client]:
    with cluster.connect(timeout=5.0) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A bucket nobody used before."""
    return f"bucket-{next(_numbers)}"
