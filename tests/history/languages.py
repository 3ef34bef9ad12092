"""Writers in C, C++, Python and Java at once on real nodes, under faults: `update` counts once, documents keep every add.

usage: .venv/bin/python tests/history/languages.py --minutes 10 [--each 4] [--seed N] [--faults stall,kill,…] [--bin DIR]

Four writers of each language (--each) change the same keys. A writer drives a process of its own, one of the drivers of
tests/conformance, and writes a line before each operation and one after it; what the operation came to is judged from
these lines alone, by languages_check.py. The nodes, the faults and the settling are those of run.py.

Four kinds of keys, new ones every few seconds:

    each     update without `strict`; an operation counts an entry of its own: 1 if it was acknowledged, never 2
    sum      update with `strict`; a writer counts one entry up: exact, because a strict read has seen its last write
    basket   a document edited without `strict`: one edit puts an element and a counter in, another one takes both out
             and is refused where it does not see them; all writers increment one counter, and put a few elements in
             and take them out again and again
    strict   the same with `strict`; taking out is asked without a condition

Exit status: 0 every promise was kept, 1 one was broken or the cluster did not settle, 2 wrong usage.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import random
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import languages_check  # noqa: E402
import run as history  # noqa: E402

LANGUAGES = ("c", "cpp", "python", "java")
USUAL = "stall,late,kill,client,partition,one_way,flap"
BUCKET = "languages"
GENERATION_S = 6  # so long writers use one set of keys: a value stays small enough to be written often
KEYS = {"each": 3, "sum": 2, "basket": 3, "strict": 2}  # of each kind at a time
CHEATS = {
    "double": "some changes are made twice and written down once",
    "drop": "some changes are written down as acknowledged and not made",
    "back": "some elements that were taken out are put in again, and that is not written down",
}


def conformance():
    """tests/conformance/run.py, which knows how the drivers are started and what they say."""
    spec = importlib.util.spec_from_file_location("conformance_run", ROOT / "tests" / "conformance" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Writer(threading.Thread):
    """One writer with its driver's process, which may be killed at any time and is then started again."""

    def __init__(self, run, name, language, driver, drivers, until):
        super().__init__(daemon=True, name=name)
        self.run_, self.language, self.driver, self.drivers, self.until = run, language, driver, drivers, until
        self.random = random.Random(f"{run.seed}/{name}")
        self.history = open(run.directory / f"client-{name}.jsonl", "w", buffering=1)
        self.count, self.error, self.seen, self.deaths = 0, None, {}, 0

    def run(self):
        try:
            self.driver.start()
            self.open()
            while time.monotonic() < self.until:
                self.change()
                time.sleep(self.run_.pause * self.random.random() * 2)
            self.driver.stop()
        except BaseException as error:
            self.error = error
        finally:
            self.history.close()

    def open(self):
        run = self.run_
        seeds = ",".join(self.random.sample([n.address for n in run.cluster.nodes], 3))
        said = self.tell(do="open", client=self.name, option=(
            f"client.seeds={seeds}", f"client.cluster={run.cluster.name}",
            f"client.coordination={self.random.choice(('server', 'client'))}"))
        assert said["status"] == b"OK", said

    def tell(self, **fields):
        """One line to the driver, and its answer."""
        words = []
        for name, value in fields.items():
            for one in value if isinstance(value, tuple | list) else (value,):
                words.append(f"{name}={self.drivers.escaped(str(one).encode())}")
        self.driver.ask(" ".join(words))
        return dict(self.driver.answer())

    # ---- one operation, written down ----

    def operate(self, what, key, strict, fields, **more):
        """`more` is what the operation is to bring about, for the one who judges."""
        self.count += 1
        number = f"{self.name}.{self.count}"
        background = self.language != "python" and self.random.random() < 0.3
        fields = {"do": what, "client": self.name, "bucket": BUCKET, "key": key, "strict": int(strict),
                  "timeout_ms": self.random.choice((500, 1500, 1500, 4000)), **({"async": 1} if background else {}), **fields}
        cheat = self.run_.options.cheat if self.random.random() < 0.05 else None
        self.note(t="invoke", id=number, writer=self.name, language=self.language, key=key, strict=strict,
                  at=time.monotonic_ns(), **more)
        try:
            said = {"status": b"OK"} if cheat == "drop" else self.tell(**fields)
            if cheat == "double":
                self.tell(**fields)
        except self.drivers.Died as died:
            self.deaths += 1
            said = {"status": b"DIED", "maybe": b"1", "message": str(died).encode()}
        status = said["status"].decode()
        # A failure of the application's own function says "applied" where others say "maybe".
        maybe = status != "OK" and said.get("maybe", said.get("applied", b"0")) == b"1"
        self.note(t="done", id=number, at=time.monotonic_ns(), status=status, maybe=maybe, merges=int(said.get("merges", b"0")),
                  **({"error": said.get("message", b"").decode(errors="replace")[:300]} if status != "OK" else {}))
        if status == "DIED":
            self.open()
        elif cheat == "back" and status == "OK" and more["op"] == "take":
            self.tell(**{**fields, "edit": self.put(more["element"], 1)})
        return status == "OK", said

    def note(self, **record):
        self.history.write(json.dumps(record) + "\n")

    # ---- what a writer does ----

    def change(self):
        kind = self.random.choice(list(KEYS))
        key = f"{kind}-{int(time.monotonic() / GENERATION_S)}-{self.random.randrange(KEYS[kind])}"
        if kind in ("each", "sum"):
            entry = self.name if kind == "sum" else f"{self.name}x{self.count + 1}"
            self.operate("update", key, kind == "sum", {"edit": "count", "with": entry, "resolver": "counter",
                                                        "content_type": "application/octet-stream"}, op="count", entry=entry)
            return
        strict, chance, there = kind == "strict", self.random.random(), self.seen.get(key)
        if chance < 0.1:
            element, what = f"again{self.random.randrange(4)}", self.random.choice(("add", "remove"))
            done, said = self.operate("edit", key, strict, {"edit": f"{what} coupons {element}"}, element=element,
                                      op="put_again" if what == "add" else "take_again")
        elif chance < 0.45:
            amount = self.random.randint(1, 3)
            done, said = self.operate("edit", key, strict, {"edit": f"increment items/tea {amount}"}, op="add", entry="tea",
                                      amount=amount)
        elif chance < 0.7 or not there:
            element, amount = f"{self.name}x{self.count + 1}", self.random.randint(1, 3)
            done, said = self.operate("edit", key, strict, {"edit": self.put(element, amount)}, op="put", element=element,
                                      amount=amount)
        else:
            element = self.random.choice(there)
            # "erase" is refused where the document that the edit is applied to has not got it.
            last = "discard" if strict else "erase"
            done, said = self.operate("edit", key, strict, {"edit": (f"{last} items/{element}", f"remove coupons {element}")},
                                      op="take", element=element)
        if done and "document" in said:
            self.seen = {k: v for k, v in self.seen.items() if k.split("-")[1] == key.split("-")[1]}
            for field in said["document"].decode().split(";"):
                if field.startswith("coupons:"):
                    self.seen[key] = [e for e in field.removeprefix("coupons:").split(",") if not e.startswith("again")]

    @staticmethod
    def put(element, amount):
        return f"add coupons {element}", f"increment items/{element} {amount}"


class Writers:
    def __init__(self, run, until):
        self.random, drivers = random.Random(f"{run.seed}/writers"), conformance()
        sets = [drivers.drivers() for _ in range(run.options.each)]
        self.writers = [Writer(run, f"{language}{i}", language, sets[i][language], drivers, until)
                        for i in range(run.options.each) for language in LANGUAGES]
        for writer in self.writers:
            writer.start()

    def kill_one(self):
        writer = self.random.choice([w for w in self.writers if w.driver.process is not None])
        writer.driver.process.kill()
        return writer.name

    def end(self):
        for writer in self.writers:
            writer.join(max(0.0, writer.until - time.monotonic()) + 90)
        return [f"{w.name}: {w.error!r}" for w in self.writers if w.error is not None] + [
            f"{w.name} does not end" for w in self.writers if w.is_alive()]


class Run(history.Run):
    def start_clients(self, until):
        return Writers(self, until)

    def settled(self, keys):
        """What each owner holds, once all hold the same, and what each node answers to a read of all owners."""
        ringlet, waiting, last, end = history.ringlet, keys, {}, time.monotonic() + 120
        while waiting and time.monotonic() < end:
            with self.connect() as asking:
                for key in waiting:
                    try:
                        replicas = asking.admin("key.inspect", bucket=BUCKET, key=key)["replicas"]
                        last[key] = {r["node"]: r["holds"]["bytes"] if "holds" in r else f"unknown: {r.get('error')}" for r in replicas}
                    except ringlet.RingletError as error:
                        last[key] = {"the owners": f"unknown: {error}"}
            waiting = [k for k in waiting if len(last[k]) < 3 or len(set(last[k].values())) > 1]
            if waiting:
                time.sleep(1)
        for key, copies in last.items():
            self.note(t="replicas", key=key, copies=copies)
        from ringlet.document import Counter, Flag, Map, Register, RegisterAll, Set

        cart = Map(coupons=Set, gift=Flag, items=Map(of=Counter), note=Register, notes=RegisterAll)
        for node in self.members:
            with self.connect([node]) as asking:
                for documents in (True, False):
                    bucket = asking.bucket(BUCKET, strict=True, r=3, **({"codec": cart} if documents else {}))
                    part = [k for k in keys if k.startswith(("basket", "strict")) == documents]
                    for at in range(0, len(part), 200):
                        found = history.read_all(bucket, part[at:at + 200])
                        for key, value in found.items():
                            self.note(t="final", key=key, node=node.name, **self.told(value, documents))

    @staticmethod
    def told(found, document):
        if isinstance(found, history.ringlet.RingletError):
            return {"status": str(found)}
        if document:
            value = found.value if found else {"coupons": (), "items": {}}
            return {"status": "ok", "coupons": sorted(value["coupons"]), "items": value["items"]}
        entries = {}
        for sibling in found.siblings if found else ():  # any reader merges them so
            for entry in bytes(sibling.raw).decode().split("+"):
                name, _, count = entry.partition(":")
                entries[name] = max(entries.get(name, 0), int(count))
        return {"status": "ok", "entries": entries}

    def run(self):
        options, self.faults = self.options, set(self.options.faults)
        self.note(t="meta", seed=self.seed, nodes=options.nodes, each=options.each, faults=sorted(self.faults), bin=str(self.bin),
                  minutes=options.minutes)
        path = self.directory / "history.jsonl"
        try:
            self.set_up(self.faults)
            history.say(f"{options.nodes} nodes of {self.bin}, seed {self.seed}, {options.each} writers of each language, "
                        f"{options.minutes} minutes of: {', '.join(sorted(self.faults)) or 'no faults'}")
            self.work()
            keys = sorted({o["key"] for o in self.history() if o["t"] == "invoke"})
            history.say(f"settling; {len(keys)} keys")
            try:
                self.settle()
                history.say("reading what is there")
                self.settled(keys)
            except Exception as error:
                self.problems.append(f"the cluster does not settle: {error!r}"[:2000])
        finally:
            records = [*self.records, *self.history()]
            with open(path, "w") as out:
                out.writelines(json.dumps(record) + "\n" for record in records)
            self.tear_down()
        result = languages_check.judge(records)
        print(result.report())
        for problem in self.problems:
            print(f"PROBLEM {problem}")
        print(f"history: {path}\nto judge it again: {sys.executable} tests/history/languages_check.py {path}")
        return 0 if result.ok and not self.problems else 1


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="faults: those of run.py that change no members; cheats, to see that they are found:\n"
                                     + "\n".join(f"  {n:10} {w}" for n, w in CHEATS.items()))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--each", type=int, default=4, help="writers of each language, 1 to 16 (4)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--faults", default=USUAL, help="names separated by commas, or none (%(default)s)")
    parser.add_argument("--nodes", type=int, default=5, help="3 to 9 (5)")
    parser.add_argument("--pause", type=float, default=0.05, help="mean pause of a writer between operations, seconds")
    parser.add_argument("--cheat", choices=CHEATS, help="writers that do not do what they write down")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "dev" / "bin")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "history", help="where histories are kept")
    options = parser.parse_args(arguments)
    for name, low, high in (("nodes", 3, 9), ("each", 1, 16), ("minutes", 0.05, 24 * 60)):
        if not low <= getattr(options, name) <= high:
            parser.error(f"--{name}: wanted {low} to {high}, got {getattr(options, name)}")
    allowed = [f for f in history.FAULTS if f not in history.MEMBERS]
    names = [] if options.faults == "none" else options.faults.split(",")
    if wrong := [n for n in names if n not in allowed]:
        parser.error(f"--faults: there is no {wrong[0]!r}; there are {', '.join(allowed)}")
    if os.geteuid() != 0 and (left := sorted(set(names) & history.ROOT_ONLY)):
        history.say(f"not root: left out are {', '.join(left)}")
        names = [n for n in names if n not in history.ROOT_ONLY]
    options.faults, options.reconcile, options.surfaces = names, "siblings", []
    options.bin = options.bin.resolve()
    for program in ("ringletd", "ringlet", "conformance_c", "conformance_cpp"):
        if not (options.bin / program).exists():
            parser.error(f"--bin: {options.bin / program} is not built")
    return options


def main():
    options = parse(sys.argv[1:])
    history.load_package()
    history.harness.load(options.bin)
    return Run(options).run()


if __name__ == "__main__":
    sys.exit(main())
