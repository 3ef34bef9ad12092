"""Fixtures for pytest: a real cluster, a laboratory, a bucket, faults. Loaded by itself where Ringlet is installed.

=====================  =============================================================================================
``ringlet_cluster``    a ``LocalCluster`` of real nodes in this process, new for each test (some 20 ms)
``ringlet_client``     a client of it
``ringlet_bucket``     a bucket of it that no other test uses
``ringlet_nemesis``    makes ``ringlet.testing.Nemesis`` for the cluster: ``with ringlet_nemesis("kill", "pause"): …``
``ringlet_lab``        a ``ringlet.lab.Lab``: the same code in virtual time, which the seed repeats exactly
``ringlet_seed``       the test's own number, from ``--ringlet-seed`` or drawn; a failure prints the option
=====================  =============================================================================================

``@pytest.mark.ringlet(nodes=5, n=3, r=2, w=2, reconcile="lww", codec=ringlet.Json, resolver=merge, timeout=2.0)`` sets
what these are made with: ``nodes`` and the options of ``ringlet.options()`` for cluster and laboratory, ``timeout``
for the client, ``codec``, ``resolver``, ``strict``, ``deletes`` for the bucket. An inner mark wins over an outer one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client import Bucket, Client
    from .cluster import LocalCluster
    from .lab import Lab
    from .testing import Nemesis

# What a mark may say beside the options of the cluster.
_CLIENT = {"timeout", "coordination"}
_BUCKET = {"codec", "resolver", "strict", "deletes"}

_seed_key = pytest.StashKey[int]()
_used_key = pytest.StashKey[bool]()
_nemeses_key = pytest.StashKey[list["Nemesis"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("ringlet").addoption(
        "--ringlet-seed",
        type=int,
        default=None,
        metavar="N",
        help="what ringlet_seed, ringlet_lab and ringlet_nemesis draw from; a failed test prints it (default: a new one)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "ringlet(nodes=3, **options): what ringlet_cluster, ringlet_lab, ringlet_client and ringlet_bucket are made with",
    )
    seed = config.getoption("--ringlet-seed")
    if seed is not None and not 0 <= seed < 2**63:
        raise pytest.UsageError(f"--ringlet-seed: wanted 0 to 2^63 - 1, got {seed}")
    # Workers of pytest-xdist draw what their parent drew, so that one option repeats all of them.
    worker = getattr(config, "workerinput", {})
    config.stash[_seed_key] = worker.get("ringlet_seed", random.SystemRandom().getrandbits(31) if seed is None else seed)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker of pytest-xdist starts."""
    node.workerinput["ringlet_seed"] = node.config.stash[_seed_key]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if not report.failed or not item.stash.get(_used_key, False):
        return
    lines = [f"repeat with --ringlet-seed={item.config.stash[_seed_key]} '{item.nodeid}'"]
    for nemesis in item.stash.get(_nemeses_key, []):
        lines += ["faults made:", *(f"  {what}" for what in nemesis.done)]
    report.sections.append(("ringlet", "\n".join(lines)))


def _asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("ringlet"))):
        if mark.args:
            raise pytest.UsageError(f"@pytest.mark.ringlet: wanted names only, got {mark.args[0]!r} without one")
        asked |= mark.kwargs
    return asked


def _of_cluster(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name not in _CLIENT | _BUCKET}


def _own_seed(request: pytest.FixtureRequest) -> int:
    request.node.stash[_used_key] = True
    text = f"{request.config.stash[_seed_key]}/{request.node.nodeid}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


@pytest.fixture
def ringlet_seed(request: pytest.FixtureRequest) -> int:
    """A number for this test alone, 0 to 2^56 - 1: the same for the same --ringlet-seed and test."""
    return _own_seed(request)


@pytest.fixture
def ringlet_cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """Real nodes on free ports of 127.0.0.1, memory engine; ended with the test."""
    from .cluster import local_cluster

    with local_cluster(**_of_cluster(_asked(request))) as cluster:
        yield cluster


@pytest.fixture
def ringlet_client(request: pytest.FixtureRequest, ringlet_cluster: LocalCluster) -> Iterator[Client]:
    """A client of ``ringlet_cluster``."""
    asked = {name: value for name, value in _asked(request).items() if name in _CLIENT}
    with ringlet_cluster.connect(**asked) as client:
        yield client


@pytest.fixture
def ringlet_bucket(request: pytest.FixtureRequest, ringlet_client: Client) -> Bucket[Any]:
    """A bucket of ``ringlet_cluster``, named after the test."""
    asked = {name: value for name, value in _asked(request).items() if name in _BUCKET}
    return ringlet_client.bucket(request.node.name, **asked)


@pytest.fixture
def ringlet_nemesis(
    request: pytest.FixtureRequest, ringlet_cluster: LocalCluster
) -> Callable[..., Nemesis]:
    """``with ringlet_nemesis("kill", "pause", lasting=0.2): …``, without names all of ``ringlet.testing.FAULTS``."""
    from .testing import FAULTS, Nemesis

    seed = _own_seed(request)
    made: list[Nemesis] = []
    request.node.stash[_nemeses_key] = made

    def make(*faults: str, **settings: float) -> Nemesis:
        made.append(Nemesis(ringlet_cluster, seed + len(made), faults or FAULTS, **settings))
        return made[-1]

    return make


@pytest.fixture
def ringlet_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A laboratory with the test's own seed; ``@pytest.mark.ringlet(seed=7)`` gives it another one."""
    from .lab import Lab

    settings = {"seed": _own_seed(request)} | _of_cluster(_asked(request))
    with Lab(**settings) as lab:
        yield lab
