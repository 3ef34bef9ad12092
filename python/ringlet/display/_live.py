"""What a live cluster answers, as the dicts that pictures are drawn from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .. import _core
from .._watch import Observed, now_us
from ..errors import RingletError
from ._words import name
from .nodes import Replicas, Ring
from .timeline import Timeline

_KINDS = {_core.GET: "get", _core.PUT: "put", _core.DELETE: "delete", _core.UPDATE: "update", _core.EDIT: "edit"}


def text_of(data: str | bytes) -> str:
    """A bucket or a key as a picture is given it."""
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return f"hex:{data.hex()}"


class Dots:
    """Dots as people read them: the epochs of a node are numbered in the order in which they are met."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = dict(names)
        self._epochs: dict[str, list[int]] = {}

    def node(self, id_: str) -> str:
        return self.names.get(id_, id_)

    def short(self, id_: str, epoch: int, counter: int) -> str:
        epochs = self._epochs.setdefault(id_, [])
        if epoch not in epochs:
            epochs.append(epoch)
        return f"{self.node(id_)}·{epochs.index(epoch) + 1}:{counter}"

    @staticmethod
    def long(id_: str, epoch: int, counter: int) -> str:
        return f"{id_}.{epoch:016x}:{counter}"

    def of_text(self, text: str) -> tuple[str, str]:
        """Of the text ``node.epoch:counter``; the short and the long form."""
        actor, _, counter = text.rpartition(":")
        id_, _, epoch = actor.partition(".")
        if not (epoch.isdigit() and counter.isdigit()):
            return text, text
        parts = id_, int(epoch), int(counter)
        return self.short(*parts), self.long(*parts)


def names_of(ring: Mapping[str, Any]) -> dict[str, str]:
    """The members' names by their ids, and by their addresses: a seed is known by its address alone at first."""
    members = ring.get("members", ())
    return {str(member[field]): str(member["name"]) for field in ("address", "id") for member in members}


def replicas(
    found: Mapping[str, Any], ring: Mapping[str, Any], bucket: str | bytes, key: str | bytes, codec: Any
) -> Replicas:
    dots = Dots(names_of(ring))
    first: int | None = None
    for replica in found["replicas"]:
        for version in replica.get("holds", {}).get("versions", ()):
            written = int(version["written_us"])
            first = written if first is None else min(first, written)
    nodes = []
    for replica in found["replicas"]:
        node: dict[str, Any] = {"name": replica["node"], "role": "own", "state": "ok", "clock": [], "versions": []}
        if "error" in replica:
            node["state"], node["error"] = "error", str(replica["error"])
        holds = replica.get("holds", {})
        for version in holds.get("versions", ()):
            short, long = dots.of_text(str(version["dot"]))
            raw = version.get("value_hex")
            node["versions"].append(
                {
                    "dot": short,
                    "long": long,
                    "value": bytes.fromhex(raw) if raw is not None else None,
                    "deleted": bool(version["tombstone"]),
                    "at_us": int(version["written_us"]) - (first or 0),
                }
            )
        node["clock"] = [dots.of_text(str(entry))[0] for entry in holds.get("context", ())]
        nodes.append(node)
    return Replicas({"bucket": text_of(bucket), "key": text_of(key), "nodes": nodes}, codec)


def ring(
    ring_: Mapping[str, Any],
    status: Mapping[str, Any],
    found: Mapping[str, Any] | None,
    bucket: str | bytes | None,
    key: str | bytes | None,
) -> Ring:
    down = set(status.get("down") or ())
    lists = ring_.get("preference_lists") or [[owner] for owner in ring_["owners"]]
    coming = {move["partition"]: move["owners"] for move in ring_.get("moves") or ()}
    slots = [
        {"partition": number, "owners": owners, **({"next": coming[number]} if number in coming else {})}
        for number, owners in enumerate(lists)
    ]
    data: dict[str, Any] = {
        "partitions": ring_["partitions"],
        "n": ring_["replicas"],
        "epoch": ring_["epoch"],
        "members": [
            {
                "name": member["name"],
                "weight": member["weight"],
                "zone": member["zone"],
                "state": "down" if member["name"] in down else "up",
                "slots": sum(member["name"] in owners for owners in lists),
            }
            for member in sorted(ring_["members"], key=lambda member: str(member["name"]))
        ],
        "slots": slots,
    }
    if found is not None and bucket is not None and key is not None:
        order = found.get("preference_list") or [replica["node"] for replica in found["replicas"]]
        count = len(found["replicas"])
        data["key"] = {
            "bucket": text_of(bucket),
            "key": text_of(key),
            "partition": found["partition"],
            "preference": order[:count],
            "substitutes": order[count:],
        }
    return Ring(data)


def described(observed: Observed, names: Mapping[str, str]) -> tuple[str, str, int]:
    """What was asked, how it ended with who answered, and the number of attempts."""
    target = observed.request.target
    what = f"{_KINDS.get(observed.request.kind, 'call')} {name(text_of(target.bucket))}/{name(text_of(target.key))}"
    if observed.reply is None:
        error = observed.error
        tally = f"{type(error).__name__}: {error}"
        return what, tally, int(getattr(error, "attempts", None) or 1)
    said = json.loads(observed.reply.explain())

    def called(ids: Any) -> str:
        return " ".join(names.get(str(each), str(each)) for each in ids)

    parts = [f"{called(said.get('answered', ()))} answered" if said.get("answered") else ""]
    parts += [f"{called(said[field])} {word}" for field, word in (("silent", "silent"), ("refused", "refused"), ("substitutes", "stood in")) if said.get(field)]
    status = "ok" if said.get("status") == "OK" else str(said.get("status"))
    tally = ", ".join(part for part in parts if part)
    return what, f"{status}: {tally}" if tally else status, int(said.get("attempts") or 1)


class Trace(Timeline):
    """The calls that were made while one function ran."""

    returned: Any = None
    error: RingletError | None = None


def timeline_data(calls: list[Observed], names: Mapping[str, str], client: str, from_us: int, to_us: int) -> dict[str, Any]:
    """Calls of a client as the dict of a timeline, in microseconds after ``from_us``."""
    hosts: dict[str, str] = {client: "client"}
    requests, messages = [], []
    for number, observed in enumerate(calls):
        what, result, attempts = described(observed, names)
        begun, ended = observed.begun_us - from_us, observed.ended_us - from_us
        target = observed.request.target
        named = {"bucket": text_of(target.bucket), "key": text_of(target.key), "request": number}
        requests.append(
            {
                "id": number, "client": client, "what": what, "from_us": begun, "to_us": ended, "result": result,
                "attempts": attempts, "bucket": named["bucket"], "key": named["key"],
            }
        )  # fmt: skip
        node = str(json.loads(observed.reply.explain()).get("node") or "") if observed.reply is not None else ""
        if node:
            hosts.setdefault(names.get(node, node), "node")
            # When the node took it is not known: the message and its answer are drawn at the ends of the call.
            kind = _KINDS.get(observed.request.kind, "call")
            messages.append({"from": client, "to": names.get(node, node), "type": kind, "sent_us": begun, "arrived_us": begun, **named})
            messages.append({"from": names.get(node, node), "to": client, "type": "answer", "sent_us": ended, "arrived_us": ended, "reply": True, **named})
    return {
        "hosts": [{"name": host, "kind": kind} for host, kind in hosts.items()],
        "from_us": 0, "to_us": max(to_us - from_us, 0), "requests": requests, "messages": messages,
    }  # fmt: skip


def trace(client: Any, call: Callable[[], Any]) -> Trace:
    """What ``Client.trace`` does."""
    tracing = Tracing(client, call)
    with tracing:
        tracing.returned = call()
    try:
        ring_ = client.admin("ring") if tracing.calls else {}
    except RingletError:
        ring_ = {}  # the ids say it as well
    return tracing.made(ring_)


class Tracing:
    """The calls of a client inside a ``with`` block."""

    def __init__(self, client: Any, call: Callable[[], Any]) -> None:
        if not callable(call):
            raise TypeError(f"trace wanted a function that makes a call, got {type(call).__name__}")
        self._client = client
        self.calls: list[Observed] = []
        self.returned: Any = None
        self.error: RingletError | None = None

    def __enter__(self) -> None:
        self._begun = now_us()
        self._watcher = self.calls.append
        self._client._watch(self._watcher)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self._client._unwatch(self._watcher)
        self._ended = now_us()
        if isinstance(error, RingletError):
            self.error = error
            return True
        return False

    def made(self, ring_: Mapping[str, Any]) -> Trace:
        made = Trace(timeline_data(self.calls, names_of(ring_), "this process", self._begun, self._ended))
        made.returned, made.error = self.returned, self.error
        return made


