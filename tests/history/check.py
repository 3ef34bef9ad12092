"""Judges a recorded history of a cluster: which of its promises were broken, and by which operations.

usage: check.py HISTORY [--show N]      exit status 1 when a promise was broken, 2 when the file is no history

The judgement is a pure function of the records (`judge`). It knows tokens only: every write has a token of its
own, every writer wrote down which tokens the context that it used had shown to it. Versions, clocks and contexts
of the store are never looked into, so an error in them cannot hide itself here.

A history is one JSON object a line:

  meta     n, r, w: the cluster's; reconcile: siblings or lww; truncated_at: bytes of a context, see below
  invoke   id, session, surface, op (get, put, delete), key, at (ns, monotonic, one clock for all), strict, r, w;
           of a write also token, write_id (or null), context: the tokens that it had seen ([]: a blind write),
           context_bytes. Two writes with one token are attempts of one write: same key, op and context
  done     id, at, status ("ok" or the error's name), maybe: a failed write may exist all the same; error;
           shown: tokens of the versions that came back, in the order given. A version that cannot be read, or whose
           text is not what its writer wrote, is shown as "?" and its text
  fault    name, node, at, until; weakens: "strict" when strict reads promise less meanwhile (a lost disk)
  final    key, node, status, shown: a strict read of all N owners through this node, when everything had healed
  replica  key, node, shown, digest: what one owner holds, before the final reads (which repair what they find)

Broken promises:

  lost            an acknowledged write is neither there at the end nor covered by a successor that had seen it
  phantom         something is shown that nobody wrote, to another key, before it was written, or although its
                  writer was told that it had certainly not happened
  twice           one answer shows a write twice
  back            a write is shown again that was replaced or deleted by a write that had seen it: at the end, when
                  the latter was acknowledged or is known to exist; to a strict reader who began after a strict
                  acknowledgement
  stale           a strict read that began after a strict write was acknowledged shows neither it nor a successor
  ancestor        at the end a write stands beside one that had seen it
  not_converged   owners of a key hold different things at the end, or nodes answer differently

A write covers what it had seen, and what those had seen in their turn. Deletes are writes that cannot be shown:
they only cover. Last write wins (lww): one version is shown; a write may be missing only when the winner does not
precede it, by context or in the order of one session.

Contexts longer than `truncated_at` bytes may have been truncated: then what was replaced may legally come back as
a sibling (paper 4.4). Keys with such contexts are judged without `back`, `ancestor` and `stale`, and counted.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
from dataclasses import dataclass, field

VERDICTS = ("lost", "phantom", "twice", "back", "stale", "ancestor", "not_converged")


@dataclass
class Write:
    token: str
    key: str
    op: str
    session: str
    context: frozenset
    begin: int
    acked: int | None = None  # first acknowledgement
    strict_acked: int | None = None  # of a strict attempt, by most of the owners
    possible: bool = False  # some attempt was acknowledged, failed with "may have been applied", or never returned
    bit: int = 0


@dataclass
class Read:
    id: str
    begin: int
    end: int
    shown: list
    strict: bool  # and of most of the owners
    what: str


@dataclass
class Key:
    writes: dict = field(default_factory=dict)
    reads: list = field(default_factory=list)
    finals: dict = field(default_factory=dict)  # node -> shown
    replicas: dict = field(default_factory=dict)  # node -> (shown, digest)
    truncated: bool = False


@dataclass
class Judgement:
    broken: dict = field(default_factory=lambda: {name: [] for name in VERDICTS})  # name -> sentences
    counts: dict = field(default_factory=lambda: collections.defaultdict(collections.Counter))  # surface op -> status
    took: dict = field(default_factory=lambda: collections.defaultdict(list))  # surface op -> ms
    faults: collections.Counter = field(default_factory=collections.Counter)
    passing_ancestors: int = 0  # in answers while faults were under way: not a verdict
    unjudged_strict: int = 0  # strict reads that fell into a fault which weakens them
    strict_reads: int = 0
    keys: int = 0
    finals: int = 0
    truncated_keys: int = 0
    errors: collections.Counter = field(default_factory=collections.Counter)

    @property
    def ok(self):
        return not any(self.broken.values())

    def found(self, verdict, sentence):
        self.broken[verdict].append(sentence)


class NoHistory(Exception):
    pass


def load(lines):
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or "t" not in record:
                raise ValueError("not an object with a field t")
        except ValueError as error:
            raise NoHistory(f"line {number}: {error}") from None
        records.append(record)
    return records


def judge(records):
    """All verdicts over a history, in whatever order its records stand."""
    result = Judgement()
    meta = next((r for r in records if r["t"] == "meta"), None)
    if meta is None:
        raise NoHistory("no record says what the cluster is (t: meta)")
    keys = collections.defaultdict(Key)
    done = {r["id"]: r for r in records if r["t"] == "done"}
    weak = [(r["at"], r["until"]) for r in records if r["t"] == "fault" and r.get("weakens") == "strict"]
    for record in records:
        kind = record["t"]
        if kind == "fault":
            result.faults[record["name"]] += 1
        elif kind == "final":
            if record["status"] == "ok":
                keys[record["key"]].finals[record["node"]] = record["shown"]
                result.finals += 1
            else:
                result.found("not_converged", f"{record['key']}: the final read through {record['node']} failed: {record['status']}")
        elif kind == "replica":
            keys[record["key"]].replicas[record["node"]] = (record["shown"], record["digest"])
        elif kind == "invoke":
            operation(record, done.get(record["id"]), meta, keys[record["key"]], result)
    for name, key in sorted(keys.items()):
        judge_key(name, key, meta, weak, result)
    result.keys = len(keys)
    tokens = collections.Counter(w.token for key in keys.values() for w in key.writes.values())
    for token, count in tokens.items():
        if count > 1:
            raise NoHistory(f"token {token} was written to {count} keys: the history cannot be judged")
    return result


def operation(asked, answer, meta, key, result):
    what = f"{asked['surface']} {asked['op']}"
    status = answer["status"] if answer else "unanswered"
    result.counts[what][status + (" (maybe)" if answer and status != "ok" and answer["maybe"] else "")] += 1
    if answer:
        result.took[what].append((answer["at"] - asked["at"]) / 1e6)
        if answer.get("error"):
            result.errors[f"{what}: {answer['error']}"] += 1
    ok = status == "ok"
    strict = asked["strict"]
    if asked["op"] != "get":
        write = key.writes.get(asked["token"])
        context = frozenset(asked["context"])
        if write is None:
            write = key.writes[asked["token"]] = Write(asked["token"], asked["key"], asked["op"], asked["session"],
                                                       context, asked["at"])
        elif (write.op, write.context) != (asked["op"], context):
            raise NoHistory(f"token {write.token} stands for two different writes")
        write.begin = min(write.begin, asked["at"])
        write.possible |= answer is None or ok or answer["maybe"]
        if ok:
            write.acked = min(write.acked or answer["at"], answer["at"])
            if strict and majority(asked, "w", meta):
                write.strict_acked = min(write.strict_acked or answer["at"], answer["at"])
        if asked.get("context_bytes", 0) >= meta.get("truncated_at", 1 << 30):
            key.truncated = True
    if ok and answer.get("shown") is not None:
        # What a put brings along is what its coordinator holds: it proves as much as a read that is not strict.
        counted = asked["op"] == "get" and strict and majority(asked, "r", meta)
        key.reads.append(Read(asked["id"], asked["at"], answer["at"], answer["shown"], counted, what))


def majority(asked, what, meta):
    """Of two majorities of the owners at least one owner is in both."""
    return 2 * (asked.get(what) or meta[what]) > meta["n"]


def bits(key, tokens):
    mask = 0
    for token in tokens:
        if token in key.writes:
            mask |= key.writes[token].bit
    return mask


def names(key, mask):
    return ", ".join(sorted(w.token for w in key.writes.values() if w.bit & mask))


def closures(key, lww):
    """token -> mask of all that it covers, itself not included."""
    before = {w.token: set(w.context) for w in key.writes.values()}
    if lww:  # what one session did one after the other follows, context or not
        sessions = collections.defaultdict(list)
        for w in key.writes.values():
            sessions[w.session].append(w)
        for its in sessions.values():
            for w in its:
                before[w.token] |= {o.token for o in its if o.acked is not None and o.acked < w.begin}
    masks, open_ = {}, set()
    for start in key.writes:
        stack = [start]
        while stack:
            token = stack[-1]
            if token in masks:
                stack.pop()
                continue
            inner = [t for t in before[token] if t in key.writes and t not in masks and t not in open_ and t != token]
            open_.add(token)
            if inner:
                stack += inner
                continue
            mask = 0
            for t in before[token]:
                if t in key.writes and t != token:
                    mask |= key.writes[t].bit | masks.get(t, 0)
            masks[token] = mask & ~key.writes[token].bit
            stack.pop()
    return masks


def judge_key(name, key, meta, weak, result):
    for i, write in enumerate(key.writes.values()):
        write.bit = 1 << i
    lww = meta["reconcile"] == "lww"
    covers = closures(key, lww)
    result.truncated_keys += key.truncated
    shown_somewhere(name, key, lww, result)
    converged(name, key, result)
    if key.finals:
        union = sorted({t for shown in key.finals.values() for t in shown})
        (final_lww if lww else final_siblings)(name, key, covers, union, result)
    if not key.truncated:
        for read in key.reads:
            passing = bits(key, read.shown)
            for token in set(read.shown):
                result.passing_ancestors += bool(covers.get(token, 0) & passing)
        strict_reads(name, key, covers, lww, weak, result)


def shown_somewhere(name, key, lww, result):
    answers = [(r.what + " " + r.id, r.shown, r.end) for r in key.reads]
    answers += [(f"the final read through {node}", shown, None) for node, shown in key.finals.items()]
    answers += [(f"the copy of {node}", shown, None) for node, (shown, _) in key.replicas.items()]
    for who, shown, end in answers:
        for token in set(shown):
            write = key.writes.get(token)
            if write is None or write.op != "put":
                result.found("phantom", f"{name}: {who} shows {token}, which nobody put there")
            elif not write.possible:
                result.found("phantom", f"{name}: {who} shows {token}, whose writer was told that it had not happened")
            elif end is not None and end < write.begin:
                result.found("phantom", f"{name}: {who} shows {token} before it was written")
        if who.startswith("the copy"):
            continue  # a row may hold a write under two names, which is folded when it is shown
        for token, count in collections.Counter(shown).items():
            if count > 1:
                result.found("twice", f"{name}: {who} shows {token} {count} times")
        if lww and len(shown) > 1:
            result.found("twice", f"{name}: {who} shows {len(shown)} versions although the last write wins")


def converged(name, key, result):
    if len({(tuple(sorted(shown)), digest) for shown, digest in key.replicas.values()}) > 1:
        result.found("not_converged", f"{name}: " + "; ".join(
            f"{node} holds {sorted(shown)} ({digest[:8]})" for node, (shown, digest) in sorted(key.replicas.items())))
    elif len({tuple(sorted(shown)) for shown in key.finals.values()}) > 1:
        result.found("not_converged", f"{name}: " + "; ".join(
            f"{node} answers {sorted(shown)}" for node, shown in sorted(key.finals.items())))


def final_siblings(name, key, covers, union, result):
    final = bits(key, union)
    explained = final
    for write in key.writes.values():
        if write.bit & final or (write.op == "delete" and write.possible):
            explained |= covers[write.token]
    lost = [w.token for w in key.writes.values() if w.op == "put" and w.acked is not None and not w.bit & explained]
    if lost:
        result.found("lost", f"{name}: {', '.join(lost)}: acknowledged, not there ({union}), not covered")
    if key.truncated:
        return
    for write in key.writes.values():
        if write.bit & final and covers[write.token] & final:
            result.found("ancestor", f"{name}: {names(key, covers[write.token] & final)} beside {write.token}, which had seen it")
    gone = 0  # what is known to exist, acknowledged or seen by such a write, covers for good
    for write in key.writes.values():
        if write.acked is not None:
            gone |= covers[write.token]
    for write in key.writes.values():
        if write.bit & final & gone:
            result.found("back", f"{name}: {write.token} is there at the end; replaced by " + follower(key, covers, write))


def follower(key, covers, write):
    by = [w for w in key.writes.values() if w.acked is not None and covers[w.token] & write.bit]
    first = min(by, key=lambda w: w.acked)
    return f"{first.op} {first.token}, acknowledged at {first.acked}"


def possible_deletes(key, until=None):
    return [w for w in key.writes.values() if w.op == "delete" and w.possible and (until is None or w.begin < until)]


def final_lww(name, key, covers, union, result):
    acked = [w for w in key.writes.values() if w.acked is not None]
    for token in union:
        winner = key.writes.get(token)
        after = [w for w in acked if winner and covers[w.token] & winner.bit]
        if after:
            verdict = "back" if any(token in w.context for w in after) else "lost"
            result.found(verdict, f"{name}: {token} is there at the end although {after[0].token} followed it")
    if not union:
        for put in (w for w in acked if w.op == "put"):
            if not any(not covers[put.token] & d.bit for d in possible_deletes(key)):
                result.found("lost", f"{name}: nothing is there although {put.token} was acknowledged and no delete may have won over it")
                break


def strict_reads(name, key, covers, lww, weak, result):
    writes = sorted((w for w in key.writes.values() if w.strict_acked is not None), key=lambda w: w.strict_acked)
    for read in key.reads:
        if not read.strict:
            continue
        result.strict_reads += 1
        if any(read.begin < until and read.end > begin for begin, until in weak):
            result.unjudged_strict += 1
            continue
        earlier = [w for w in writes if w.strict_acked < read.begin]
        shown = bits(key, read.shown)
        covered = shown
        for token in read.shown:
            covered |= covers.get(token, 0)
        deletes = possible_deletes(key, read.end)
        for d in deletes:
            covered |= covers[d.token]
        gone, stale = 0, []
        for w in earlier:
            gone |= covers[w.token]
            if lww:
                if not shown and w.op == "put" and not any(not covers[w.token] & d.bit for d in deletes):
                    stale.append(w.token)
            elif w.op == "put" and not w.bit & covered:
                stale.append(w.token)
        if shown & gone:
            result.found("back", f"{name}: {read.what} {read.id} (strict, begun at {read.begin}) shows {names(key, shown & gone)}, replaced before")
        if stale:
            result.found("stale", f"{name}: {read.what} {read.id} (strict, begun at {read.begin}) shows {read.shown} and misses {', '.join(stale[-3:])}")


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def report(result, show=5):
    out = []
    out.append(f"{'operation':24} {'ok':>8} {'failed':>7} {'maybe':>6} {'p50 ms':>8} {'p99 ms':>9}")
    for what, counts in sorted(result.counts.items()):
        good = counts["ok"]
        maybe = sum(c for s, c in counts.items() if s.endswith("(maybe)") or s == "unanswered")
        took = result.took[what] or [0]
        out.append(f"{what:24} {good:8} {sum(counts.values()) - good:7} {maybe:6} {quantile(took, 0.5):8.1f} {quantile(took, 0.99):9.1f}")
    failed = collections.Counter()
    for counts in result.counts.values():
        failed.update({s: c for s, c in counts.items() if s != "ok"})
    out.append("failed: " + (", ".join(f"{s} {c}" for s, c in failed.most_common()) or "none"))
    out.append("faults: " + (", ".join(f"{n} {c}" for n, c in sorted(result.faults.items())) or "none"))
    out.append(f"keys: {result.keys}, of these {result.truncated_keys} with truncated contexts; final reads: {result.finals}; "
               f"strict reads judged: {result.strict_reads - result.unjudged_strict} of {result.strict_reads}")
    for verdict in VERDICTS:
        its = result.broken[verdict]
        out.append(f"{verdict:14} {len(its)}")
        out += [f"    {sentence}" for sentence in its[:show]]
    out.append(f"(ancestors in answers while things were under way, no verdict: {result.passing_ancestors})")
    out.append("PASS" if result.ok else "BROKEN")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description="Judges a recorded history.")
    parser.add_argument("history", help="the JSON lines that run.py kept")
    parser.add_argument("--show", type=int, default=5, help="how many findings of a kind are printed")
    arguments = parser.parse_args()
    try:
        with open(arguments.history) as lines:
            result = judge(load(lines))
    except (OSError, NoHistory, KeyError) as error:
        what = f"a record lacks the field {error}" if isinstance(error, KeyError) else error
        print(f"check.py: {arguments.history}: {what}", file=sys.stderr)
        return 2
    print(report(result, arguments.show))
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
