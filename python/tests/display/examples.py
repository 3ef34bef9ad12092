"""What the pictures of the tests and of the gallery are drawn from: one dict for each case that differs."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from ringlet.display import History, Latencies, Picture, Replicas, Ring, Staleness, Timeline, Trees, Why


def b64(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def version(dot: str, value: Any, client: str | None, at: int | None, seen: list[str], state: str, **more: Any) -> dict[str, Any]:
    node = dot.split("·")[0]
    return {
        "dot": dot, "long": f"4443aee183b279f7.6b0e1c22:{dot.rpartition(':')[2]}", "deleted": False,
        "value": b64(value) if value is not None else None, "client": client, "coordinator": node if client else None,
        "at_us": at, "read_at_us": None, "write_id": f"{abs(hash(dot)) % 1:032x}", "context": seen, "seen": seen, "state": state, **more,
    }  # fmt: skip


def history() -> dict[str, Any]:
    """Two siblings of one ancestor, a merge before them, an unacknowledged write, a delete beside."""
    return {
        "bucket": "carts", "key": "c", "now_us": 2_000_000, "truncated": 0, "unknown_writers": False,
        "versions": [
            version("n1·1:1", '["eggs"]', "alice", 100_000, [], "replaced", replaced_by=["n2·1:1"]),
            version("n4·1:1", '["salt"]', "bob", 110_000, [], "replaced", replaced_by=["n2·1:1"]),
            version("n2·1:1", '["eggs", "salt"]', "alice", 300_000, ["n1·1:1", "n4·1:1"], "replaced", read_at_us=250_000, merges=True, replaced_by=["n1·1:4", "n4·1:2"]),
            version("n1·1:4", '["eggs", "salt", "tea"]', "alice", 1_204_000, ["n2·1:1"], "living", read_at_us=900_000),
            version("n4·1:2", '["eggs", "salt", "milk"]', "bob", 1_210_000, ["n2·1:1"], "living", read_at_us=905_000),
            version("n5·2:1", None, "carol", 1_400_000, ["n2·1:1"], "deleted", read_at_us=910_000, deleted=True),
            version("n3·1:9", '["eggs", "salt", "rum"]', "dave", 1_500_000, ["n4·1:2"], "unacknowledged", read_at_us=1_450_000),
        ],
    }  # fmt: skip


def fork() -> dict[str, Any]:
    """The same writes where the last one wins."""
    data = history()
    data["versions"][3]["state"] = "replaced"
    data["versions"] = data["versions"][:5]
    return data


def hostile() -> dict[str, Any]:
    """Values and names that are no harmless text, and long ones."""
    return {
        "bucket": "<b>&\"'", "key": "k\x00\x1b[31m\u202e", "now_us": 0, "truncated": 12, "unknown_writers": True,
        "versions": [
            version("n1·1:1", "<script>alert('x')</script>", "<img src=x onerror=alert(1)>", 1, [], "replaced"),
            version("n1·1:2", b"\x00\x01\xff" * 40, "mallory\x07", 2, ["n1·1:1"], "living"),
            version("n2·1:1", "x" * 10_240, None, None, ["n1·1:1"], "unknown"),
            version("n3·1:1", "茶と牛乳と卵と塩と茶と牛乳と卵と塩と茶と牛乳と卵と塩と茶と牛乳と卵と塩", "a client whose name is much longer than a box is wide", 4, ["n1·1:1", "n9·1:1"], "living"),
            version("n4·1:1", "", "empty", 5, ["n1·1:1"], "living"),
            version("n5·1:1", "\ue000hatch ]]> &amp; \ud83e\udd5a".encode("utf-8", "surrogatepass"), "ab", 6, [], "unacknowledged"),
        ],
    }  # fmt: skip


def long_history(count: int = 1000) -> dict[str, Any]:
    """Many versions of several writers, with merges; some are never joined."""
    draw = random.Random(7)
    tips: list[str] = []
    versions = []
    for number in range(count):
        dot = f"n{draw.randint(1, 5)}·1:{number + 1}"
        seen = draw.sample(tips, min(len(tips), draw.choice([0, 1, 1, 1, 2, 3])))
        versions.append(version(dot, f'["item {number}"]', draw.choice(["alice", "bob", "carol"]), 1000 * number, seen, "replaced"))
        if draw.random() < 0.9:
            tips = [tip for tip in tips if tip not in seen]
        tips = [*tips, dot][-9:]
    for each in versions:
        if each["dot"] in tips:
            each["state"] = "living"
    return {"bucket": "carts", "key": "long", "now_us": 1000 * count, "versions": versions}


def many_siblings(count: int = 30) -> dict[str, Any]:
    """Siblings in one row, and the write that merges them."""
    first = version("n1·1:1", "0", "alice", 0, [], "replaced")
    siblings = [version(f"n{i % 5 + 1}·1:{i + 2}", str(i), f"writer {i}", 1000 + i, ["n1·1:1"], "replaced") for i in range(count)]
    last = version("n1·1:99", "all", "alice", 9000, [each["dot"] for each in siblings], "living", merges=True)
    return {"bucket": "b", "key": "siblings", "now_us": 9000, "versions": [first, *siblings, last]}


def timeline() -> dict[str, Any]:
    def message(one: str, other: str, what: str, sent: int, arrived: int | None, **more: Any) -> dict[str, Any]:
        return {"from": one, "to": other, "type": what, "sent_us": sent, "arrived_us": arrived, "bucket": "carts", "key": "c", **more}

    left, right = ("n1", "n2", "alice"), ("n3", "n4", "bob")
    return {
        "hosts": [{"name": n, "kind": "node"} for n in ("n1", "n2", "n3", "n4")] + [{"name": "alice", "kind": "client"}, {"name": "bob", "kind": "client"}],
        "from_us": 0, "to_us": 3_000_000, "truncated": 0,
        "acts": [{"at_us": 0, "what": "new lab of 4 nodes, n=3 r=2 w=2, seed 7"}, {"at_us": 1_000_000, "what": "partition n1 n2 alice | n3 n4 bob"}, {"at_us": 2_000_000, "what": "heal"}],
        "cuts": [{"from": one, "to": other, "from_us": 1_000_000, "to_us": 2_000_000} for a, b in ((left, right), (right, left)) for one in a for other in b] + [{"from": "n1", "to": "n2", "from_us": 2_300_000, "to_us": None}],
        "spans": [{"kind": "down", "host": "n4", "from_us": 1_100_000, "to_us": 1_900_000}, {"kind": "paused", "host": "n3", "from_us": 2_100_000, "to_us": None}],
        "requests": [
            {"id": 1, "client": "alice", "what": "put carts/c", "bucket": "carts", "key": "c", "from_us": 10_000, "to_us": 13_100, "result": "ok", "attempts": 1},
            {"id": 2, "client": "bob", "what": "put carts/c", "bucket": "carts", "key": "c", "from_us": 1_200_000, "to_us": 1_700_000, "result": "timeout: 1 of 2 copies", "attempts": 3},
            {"id": 3, "client": "alice", "what": "get carts/c", "bucket": "carts", "key": "c", "from_us": 2_200_000, "to_us": None, "result": None, "attempts": 1},
        ],
        "messages": [
            message("alice", "n1", "ClientPut", 10_000, 10_400, request=1),
            message("n1", "n2", "ReplicaPut", 10_500, 10_900, request=1),
            message("n1", "n3", "ReplicaPut", 10_500, 11_200, request=1),
            message("n2", "n1", "ReplicaPutReply", 11_600, 12_100, request=1, reply=True),
            message("n1", "alice", "ClientPutReply", 12_600, 13_100, request=1, reply=True),
            message("bob", "n3", "ClientPut", 1_200_000, 1_200_300, request=2),
            message("n3", "n2", "ReplicaPut", 1_200_400, None, request=2, why_lost="cut"),
            message("n3", "n4", "ReplicaPut", 1_200_400, None, request=2, why_lost="down"),
            message("alice", "n1", "ClientGet", 2_200_000, 2_200_500, request=3),
        ],
        "hints": [{"at": "n3", "for": "n2", "from_us": 1_201_000, "to_us": 2_050_000, "bucket": "carts", "key": "c", "dot": "n3·1:1"}, {"at": "n1", "for": "n4", "from_us": 1_300_000, "to_us": None}],
    }  # fmt: skip


def ring(partitions: int = 64, nodes: int = 5) -> dict[str, Any]:
    names = [f"n{i + 1}" for i in range(nodes)]
    slots = [{"partition": p, "owners": [names[(p + k) % nodes] for k in range(min(3, nodes))]} for p in range(partitions)]
    return {
        "partitions": partitions, "n": 3, "epoch": 4, "slots": slots,
        "members": [{"name": n, "weight": 1 + (i == 2), "zone": "ab"[i % 2], "state": "down" if n == "n4" else "up", "slots": 3 * partitions // nodes} for i, n in enumerate(names)],
        "key": {"bucket": "carts", "key": "c", "partition": 7, "preference": ["n3", "n4", "n5"], "substitutes": ["n1", "n2"]},
    }  # fmt: skip


def moving_ring() -> dict[str, Any]:
    data = ring(24, 4)
    data["members"].append({"name": "n5", "weight": 1, "zone": "c", "state": "joining", "slots": 0})
    for slot in data["slots"][::5]:
        slot["next"] = [*slot["owners"][:2], "n5"]
    del data["key"]
    return data


def replicas() -> dict[str, Any]:
    def held(dot: str, value: str | None, **more: Any) -> dict[str, Any]:
        return {"dot": dot, "value": b64(value) if value else None, "deleted": False, **more}

    tea, milk = held("n1·1:4", '["tea"]', at_us=5), held("n4·1:2", '["milk"]', at_us=6)
    return {
        "bucket": "carts", "key": "c",
        "nodes": [
            {"name": "n1", "role": "own", "state": "ok", "clock": ["n1·1:4", "n4·1:2"], "versions": [tea, milk]},
            {"name": "n2", "role": "own", "state": "ok", "clock": ["n1·1:4"], "versions": [tea]},
            {"name": "n3", "role": "own", "state": "ok", "clock": ["n1·1:4", "n4·1:2", "n5·1:1"], "versions": [held("n5·1:1", '["tea", "milk"]', at_us=9)]},
            {"name": "n4", "role": "hint", "hint_for": "n2", "state": "ok", "clock": ["n4·1:2"], "versions": [milk]},
            {"name": "n5", "role": "own", "state": "timeout", "error": "no answer within 1000 ms", "clock": [], "versions": []},
        ],
    }  # fmt: skip


def trees() -> dict[str, Any]:
    return {
        "a": "n1", "b": "n3", "partition": 7, "keys_different": 3, "bytes": 4_312, "keys": ["carts/c", "carts/d", "stock/7"],
        "levels": [
            {"level": 0, "compared": 1, "different": 1, "bytes": 40}, {"level": 1, "compared": 16, "different": 2, "bytes": 640},
            {"level": 2, "compared": 32, "different": 3, "bytes": 1280},
        ],
    }  # fmt: skip


def latencies() -> dict[str, Any]:
    draw = random.Random(3)
    return {"series": [
        {"name": "get r=1", "samples_us": [int(draw.lognormvariate(6.2, 0.5)) for _ in range(2000)]},
        {"name": "get r=2", "samples_us": [int(draw.lognormvariate(6.6, 0.5)) for _ in range(2000)]},
        {"name": "get r=3, one slow node", "samples_us": [int(draw.lognormvariate(7.0, 0.5)) + (20_000 if draw.random() < 0.02 else 0) for _ in range(2000)]},
        {"name": "nothing yet", "samples_us": []},
    ]}  # fmt: skip


def staleness() -> dict[str, Any]:
    def points(first: float) -> list[dict[str, Any]]:
        return [{"after_us": 500 * i, "stale": round(first * 0.6**i, 6), "reads": 400} for i in range(9)]

    def predicted(first: float) -> list[dict[str, Any]]:
        return [{"after_us": 500 * i, "stale": round(first * 0.58**i, 6)} for i in range(9)]

    return {"series": [
        {"name": "r=1 w=1", "points": points(0.32), "predicted": predicted(0.30)},
        {"name": "r=1 w=2", "points": points(0.11), "predicted": predicted(0.12)},
        {"name": "r=2 w=2", "points": [{"after_us": 500 * i, "stale": 0.0, "reads": 400} for i in range(9)]},
    ]}  # fmt: skip


PICTURES: dict[str, Picture] = {
    "history": History(history(), json.loads),
    "history_hostile": History(hostile()),
    "history_siblings": History(many_siblings(12)),
    "history_empty": History({"bucket": "b", "key": "k", "now_us": 0, "versions": []}),
    "why": Why(history(), json.loads),
    "timeline": Timeline(timeline()),
    "timeline_of_a_request": Timeline(timeline()).only(request=2),
    "ring": Ring(ring()),
    "ring_moving": Ring(moving_ring()),
    "replicas": Replicas(replicas(), json.loads),
    "trees": Trees(trees()),
    "latencies": Latencies(latencies()),
    "staleness": Staleness(staleness()),
}
BESIDE = {
    "history_beside": PICTURES["history"].beside(History(fork(), json.loads)),
    "replicas_beside": PICTURES["replicas"].beside(Replicas({**replicas(), "nodes": replicas()["nodes"][:3]}, json.loads)),
    "ring_beside": PICTURES["ring_moving"].beside(Ring({**moving_ring(), "slots": ring(24, 5)["slots"]})),
}
