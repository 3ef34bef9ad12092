"""Judges a history of languages.py: from what writers were told, and from what is there at the end, alone.

usage: languages_check.py HISTORY.jsonl      exit status: 0 every promise was kept, 1 one was broken

An operation that was acknowledged counts once. One that failed and may have been done counts once or not at all; one
that failed and was not done counts nothing. An element is there when putting it in was acknowledged, unless taking it
out may have been done; it is not there when taking it out was acknowledged by a writer whose edit had seen it.
Where an element is put in and taken out again and again, the last one counts: putting it in, where that began when
every removal was over; taking it out, where that is strict and began when every putting in was acknowledged.
"""

import collections
import json
import sys
from dataclasses import dataclass, field

BROKEN = {
    "lost": "an acknowledged change is not there",
    "twice": "a change counts more than once",
    "phantom": "something is there that was never written, or whose write was refused as not done",
    "came_back": "an element is there whose removal was acknowledged",
    "torn": "of one edit a part is there and a part is not",
    "sum": "a counter is not between what was acknowledged and what may have been done",
    "replicas": "owners do not hold the same bytes",
    "finals": "nodes do not answer alike, or do not answer",
}


@dataclass
class Operation:
    record: dict
    acknowledged: bool = False
    maybe: bool = True  # until it is told otherwise: its writer was killed
    begin: int = 0
    end: int = 1 << 62

    @property
    def done(self):
        """It may have been done."""
        return self.acknowledged or self.maybe


@dataclass
class Result:
    broken: dict = field(default_factory=lambda: {name: [] for name in BROKEN})
    operations: list = field(default_factory=list)
    keys: int = 0
    judged: collections.Counter = field(default_factory=collections.Counter)
    faults: collections.Counter = field(default_factory=collections.Counter)

    @property
    def languages(self):
        return {language: sum(o.acknowledged for o in self.operations if o.record["language"] == language)
                for language in sorted({o.record["language"] for o in self.operations})}

    @property
    def ok(self):
        """Also not where too little happened to prove anything."""
        return (not any(self.broken.values()) and len(self.languages) == 4 and all(self.languages.values())
                and all(self.judged[name] for name in ("counters", "elements kept", "elements taken out", "merges", "replicas")))

    def report(self):
        acknowledged, maybe = (sum(o.acknowledged for o in self.operations), sum(not o.acknowledged and o.maybe for o in self.operations))
        by_op = collections.Counter(o.record["op"] for o in self.operations if o.acknowledged)
        lines = [
            f"{len(self.operations)} operations on {self.keys} keys: {acknowledged} acknowledged, {maybe} that may have been done, "
            f"{len(self.operations) - acknowledged - maybe} refused and not done",
            "acknowledged: " + ", ".join(f"{count} {name}" for name, count in self.languages.items()) + "; "
            + ", ".join(f"{count} {name}" for name, count in sorted(by_op.items())),
            "judged: " + ", ".join(f"{count} {name}" for name, count in sorted(self.judged.items())),
            "faults: " + (", ".join(f"{count} {name}" for name, count in sorted(self.faults.items())) or "none")]
        for name, found in self.broken.items():
            lines += [f"BROKEN {name} ({BROKEN[name]}): {len(found)}", *(f"    {each}" for each in found[:8])] if found else []
        lines.append("every promise was kept" if self.ok else "NOT every promise was kept" if any(self.broken.values())
                     else "too little happened to prove anything")
        return "\n".join(lines)


def judge(records):
    result, operations, finals = Result(), {}, collections.defaultdict(dict)
    for record in records:
        kind = record["t"]
        if kind == "invoke":
            operations[record["id"]] = Operation(record, begin=record["at"])
        elif kind == "done":
            one = operations[record["id"]]
            one.acknowledged, one.maybe, one.end = record["status"] == "OK", record["maybe"], record["at"]
            result.judged["merges"] += record.get("merges", 0)
        elif kind == "fault":
            result.faults[record["name"]] += 1
        elif kind == "final":
            finals[record["key"]][record["node"]] = {k: v for k, v in record.items() if k not in ("t", "key", "node")}
        elif kind == "replicas":
            result.judged["replicas"] += len(record["copies"])
            said = record["copies"]
            if len(said) < 3 or len(set(said.values())) != 1 or any(v.startswith("unknown") for v in said.values()):
                result.broken["replicas"].append(f"{record['key']}: {said}")
    result.operations = list(operations.values())
    by_key = collections.defaultdict(list)
    for one in result.operations:
        by_key[one.record["key"]].append(one)
    result.keys = len(by_key)
    for key, there in sorted(by_key.items()):
        said = finals.get(key, {})
        if not said or any(final["status"] != "ok" or final != next(iter(said.values())) for final in said.values()):
            result.broken["finals"].append(f"{key}: {said}"[:500])
            continue
        final = next(iter(said.values()))
        if "entries" in final:
            judge_counts(result, key, there, final["entries"])
        else:
            judge_document(result, key, there, final)
    return result


def judge_counts(result, key, there, entries):
    """Each entry, and their sum."""
    low, high = collections.Counter(), collections.Counter()
    for one in there:
        low[one.record["entry"]] += one.acknowledged
        high[one.record["entry"]] += one.done
    for entry in sorted({*low, *high, *entries}):
        got, least, most = entries.get(entry, 0), low[entry], high[entry]
        if got < least:
            result.broken["lost"].append(f"{key}: {entry} is {got}, acknowledged were {least}")
        elif got > most:
            result.broken["twice" if most else "phantom"].append(f"{key}: {entry} is {got}, at most {most} were written")
    bounds(result, key, "the sum", sum(entries.values()), sum(low.values()), sum(high.values()))


def bounds(result, key, name, got, least, most):
    result.judged["counters"] += 1
    if not least <= got <= most:
        result.broken["sum"].append(f"{key}: {name} is {got}, wanted {least} to {most}")


def judge_document(result, key, there, final):
    items, coupons = dict(final["items"]), set(final["coupons"])
    added = [one for one in there if one.record["op"] == "add"]
    bounds(result, key, "tea", items.pop("tea", 0), sum(o.record["amount"] for o in added if o.acknowledged),
           sum(o.record["amount"] for o in added if o.done))
    again = {one.record["element"] for one in there if one.record["op"].endswith("_again")}
    for element in sorted(again):
        judge_again(result, key, element, [o for o in there if o.record.get("element") == element], element in coupons)
    coupons -= again
    puts = {one.record["element"]: one for one in there if one.record["op"] == "put"}
    takes = collections.defaultdict(list)
    for one in there:
        if one.record["op"] == "take":
            takes[one.record["element"]].append(one)
    for element in sorted({*puts, *coupons, *items}):
        put, here = puts.get(element), element in coupons
        if here != (element in items):
            result.broken["torn"].append(f"{key}: {element} is {'' if here else 'not '}in the set, and in the map it is "
                                         f"{items.get(element, 'not')}")
        here = here or element in items
        if here and (put is None or not put.done):
            result.broken["phantom"].append(f"{key}: {element}: {'never written' if put is None else 'refused as not done'}")
            continue
        if here and items.get(element, put.record["amount"]) != put.record["amount"]:
            result.broken["twice"].append(f"{key}: {element} is {items[element]}, wanted {put.record['amount']}")
        # An edit that takes out without `strict` is acknowledged only where it saw the element. A strict one has seen
        # what was acknowledged before it began.
        out = [t for t in takes[element] if t.acknowledged and (not t.record["strict"] or put.acknowledged and put.end < t.begin)]
        if out:
            result.judged["elements taken out"] += 1
            if here:
                result.broken["came_back"].append(f"{key}: {element}, taken out by {out[0].record['id']}")
        elif put.acknowledged and not any(t.done for t in takes[element]):
            result.judged["elements kept"] += 1
            if not here:
                result.broken["lost"].append(f"{key}: {element}, put in by {put.record['id']}")


def judge_again(result, key, element, there, here):
    puts = [o for o in there if o.record["op"] == "put_again" and o.done]
    takes = [o for o in there if o.record["op"] == "take_again" and o.done]
    last_put = max((o.begin for o in puts if o.acknowledged), default=-1)
    last_take = max((o.begin for o in takes if o.acknowledged and o.record["strict"]), default=-1)
    if last_put > max((o.end for o in takes), default=-1):
        result.judged["elements put in again"] += 1
        if not here:
            result.broken["lost"].append(f"{key}: {element}, put in again after every removal")
    elif all(o.acknowledged and o.end < last_take for o in puts):
        result.judged["elements taken out again"] += 1
        if here:
            result.broken["came_back" if puts else "phantom"].append(f"{key}: {element}, taken out after it was last put in")
    elif not puts and here:
        result.broken["phantom"].append(f"{key}: {element}")


def load(lines):
    return [json.loads(line) for line in lines]


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1]) as lines:
        result = judge(load(lines))
    print(result.report())
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
