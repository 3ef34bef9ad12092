"""Runs the conformance scenarios: the same steps through every language, and what each of them answers.

    .venv/bin/python tests/conformance/run.py                      # all, and the table
    .venv/bin/python tests/conformance/run.py update_once deletes  # those whose names begin so
    .venv/bin/python tests/conformance/run.py --columns c,java update_once --show

A scenario is a file NAME.toml of this folder; README.md says what may stand in it. A column of the table is a
language, asked with blocking or with asynchronous calls; the column "mixed" gives each step to another
language than the step before, so that contexts and write ids go from one to the next. Every column has
buckets of its own on the same real nodes. A step's answer is compared with what the scenario expects, and
with the answers of the other columns.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.parse

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
BIN = pathlib.Path(os.environ.get("RINGLET_BIN", ROOT / "build" / "dev" / "bin")).resolve()
BUILD = BIN.parent
REPORT = BUILD / "reports" / "conformance.txt"
LANGUAGES = ("c", "cpp", "python", "java")
COLUMNS = ("c", "cpp", "python", "java", "c_async", "cpp_async", "python_async", "java_async", "mixed")
PATIENCE_S = 60  # for one answer; a call's own deadline is far below

# The clusters that scenarios share. "more" are lines of [node] and tables, "cluster" lines of [cluster]. On one
# node each answer is certain to know of every write before it, and a write has one dot; three may answer from any
# two, and a slow one may mint a write a second time, so that a read's context covers more than the write's.
CLUSTERS = {
    "one": {"nodes": 1, "more": 'engine = "memory"\n'},
    "plain": {"nodes": 3, "more": 'engine = "memory"\n'},
    "lww": {"nodes": 3, "more": 'engine = "memory"\n', "cluster": 'reconcile = "lww"\n'},
    "limits": {"nodes": 1, "more": 'engine = "memory"\n[limits]\nmax_key_bytes = 64\nmax_value_bytes = 1000\n'
                                   "max_siblings = 4\nmax_siblings_bytes = 2500\n"},
    # Nodes that are killed and come back with what they had; a scenario that hurts it waits until it is well.
    "faults": {"nodes": 3, "more": "cache_mb = 32\n"},
    "five": {"nodes": 5, "more": 'engine = "memory"\n'},
}
SHARED_NAME = "test"  # of every cluster but "stranger", whose contexts must not be taken
CLUSTERS["stranger"] = {"nodes": 1, "more": 'engine = "memory"\n', "name": "stranger"}

UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def escaped(data):
    return "".join(chr(c) if c in UNRESERVED else f"%{c:02X}" for c in data)


def fields_of(line):
    return [(name, urllib.parse.unquote_to_bytes(value))
            for name, _, value in (word.partition("=") for word in line.split(" ") if word)]


def processes():
    """tests/cluster's classes of real nodes."""
    spec = importlib.util.spec_from_file_location("ringlet_cluster_processes", ROOT / "tests" / "cluster" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_stopped(process):
    """Whether each thread has stopped: on a busy machine that takes a while after the signal."""
    tasks = pathlib.Path(f"/proc/{process}/task").glob("*/stat")
    return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)


class Differs(Exception):
    """A step's answer is not what it should be."""


class Driver:
    """The process of one language; it answers one line with one line."""

    def __init__(self, language, command, environment=None):
        self.language, self.command, self.environment = language, command, environment or {}
        self.process, self.buffer, self.said = None, b"", None

    def start(self):
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said,
                                        env={**os.environ, **self.environment})
        self.buffer = b""

    def ask(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.failed("ended before the step")

    def answer(self):
        end = time.monotonic() + PATIENCE_S
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                self.failed(f"did not answer within {PATIENCE_S} s")
            read = os.read(self.process.stdout.fileno(), 1 << 20)
            if not read:
                self.failed("ended")
            self.buffer += read
        line, _, self.buffer = self.buffer.partition(b"\n")
        return fields_of(line.decode())

    def failed(self, what):
        self.process.kill()
        code = self.process.wait()
        self.said.seek(0)
        text = self.said.read().decode(errors="replace").strip()
        self.start()  # for the scenarios that follow
        raise Died(f"the driver of {self.language} {what} (status {code}){': ' + text[-600:] if text else ''}")

    def stop(self):
        if self.process is None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.said.close()


class Died(Differs):
    """The driver's process ended or hangs: its clients are gone."""


def java_classes():
    """Compiles the client and the driver unless that was done already; the class path."""
    sources = [*sorted((ROOT / "java" / "ringlet-client" / "src" / "main" / "java").glob("io/**/*.java")),
               *sorted((BUILD / "bindings" / "java" / "generated").glob("**/*.java")), FOLDER / "Driver.java"]
    out = BUILD / "conformance-java"
    stamp = out / "compiled"
    if not stamp.exists() or any(source.stat().st_mtime > stamp.stat().st_mtime for source in sources):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        subprocess.run(["javac", "--release", "17", "-nowarn", "-d", str(out), *map(str, sources)], check=True)
        stamp.touch()
    return out


def drivers():
    library = BUILD / "bindings" / "java" / "resources" / "io" / "ringlet" / "native" / "linux-x86_64" / "libringlet_jni.so"
    return {
        "c": Driver("c", [str(BIN / "conformance_c")]),
        "cpp": Driver("cpp", [str(BIN / "conformance_cpp")]),
        "python": Driver("python", [sys.executable, "-X", "faulthandler", str(FOLDER / "driver.py")],
                         {"PYTHONPATH": str(ROOT / "python")}),
        "java": Driver("java", ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp",
                                str(java_classes()), f"-Dringlet.native.path={library}", "Driver"]),
    }


# ---- what an answer says ----

class Reply:
    """The answer of one column to one step."""

    PLAIN = ("status", "code", "is", "merged", "left_out", "edits", "merges", "seen", "maybe", "retryable", "applied",
             "order", "document", "document_status")

    def __init__(self, fields):
        one = dict(fields)
        texts = {name: value.decode(errors="replace") for name, value in one.items()}
        self.said = {name: int(texts[name]) if texts[name].isdigit() and name not in ("seen", "document") else texts[name]
                     for name in self.PLAIN if name in texts}
        self.message = texts.get("message", "")
        self.context = one.get("context", b"")
        told = {}
        for name in ("explain", "details"):
            if texts.get(name, "").startswith("{"):
                told = json.loads(texts[name])
        self.write_id = texts.get("write_id") or told.get("write_id") or ""
        if self.said.get("status") == "OK" and "merged" in self.said:
            self.said.setdefault("left_out", told.get("left_out", 0))
        if self.said.get("is") == "value":
            self.said["value"] = one["value"]
        self.dots, versions = set(), []
        for name, value in fields:
            if name == "version":
                raw, content_type, dot, deleted, undecodable = value.decode().split(",")
                self.dots.add(dot)
                versions.append((int(deleted), urllib.parse.unquote_to_bytes(raw),
                                 urllib.parse.unquote(content_type), int(undecodable)))
        self.said["versions"] = sorted(versions)
        self.items = [Reply(fields_of(value.decode())) for name, value in fields if name == "item"]
        if self.items:
            self.said["items"] = [item.said for item in self.items]

    @property
    def values(self):
        return [value for deleted, value, _, _ in self.said["versions"] if not deleted]

    def without(self, names):
        """What must be the same in every language."""
        return {name: value for name, value in self.said.items() if name not in names}


def as_bytes(given):
    """Bytes of a scenario: text, {hex = "00ff"} or {repeat = "x", times = 1000}."""
    if isinstance(given, dict):
        if "hex" in given:
            return bytes.fromhex(given["hex"])
        return given["repeat"].encode() * given["times"]
    return given.encode()


def wanted(what, want, got):
    def short(value):
        text = repr(value)
        return text if len(text) < 200 else text[:200] + "…"
    if want != got:
        raise Differs(f"{what}: wanted {short(want)}, got {short(got)}")


class Column:
    """One scenario in one column: its names for replies, its clients, its buckets."""

    def __init__(self, runner, scenario, name, turn):
        self.runner, self.scenario, self.name, self.turn = runner, scenario, name, turn
        self.replies, self.clients, self.failure = {}, {}, None

    def language(self, step, number):
        if self.name != "mixed":
            return self.name.removesuffix("_async")
        named = self.clients.get(step.get("client"))
        return named or LANGUAGES[(number + self.turn) % len(LANGUAGES)]

    def bucket(self, step):
        given = as_bytes(step.get("bucket", self.scenario["name"]))
        return given if step.get("bucket_as_it_is") else given + b"." + self.name.encode()

    def key(self, step, given):
        """{with_bucket = 64}: as long as makes so many bytes with the bucket's name."""
        if isinstance(given, dict) and "with_bucket" in given:
            return b"k" * (given["with_bucket"] - len(self.bucket(step)))
        return as_bytes(given)

    def named(self, data):
        """For scenarios in which all columns write one key: {column}, and {tens}, ten times their number."""
        return data.replace(b"{column}", self.name.encode()).replace(
            b"{tens}", str(10 * len(self.runner.columns)).encode())

    def context(self, given):
        if given is None or given == "":
            return b""
        if isinstance(given, str):
            return self.replies[given].context
        if "hex" in given:
            return bytes.fromhex(given["hex"])
        data = bytearray(self.replies[given["of"]].context)
        damage = given["damage"]
        if damage == "flip":
            data[len(data) // 2] ^= 0x40
        elif damage == "flip_format":
            data[0] ^= 0x7F
        elif damage == "flip_end":
            data[-1] ^= 1
        elif damage == "cut":
            del data[-1:]
        elif damage == "cut_to":
            del data[given["bytes"]:]
        elif damage == "grow":
            data += b"\0"
        elif damage == "fill":
            data += b"\0" * (given["bytes"] - len(data))
        else:
            raise ValueError(f"there is no damage {damage!r}")
        return bytes(data)

    def client(self, step, language):
        """The name of the client for a step; the usual one of a cluster is opened when it is first used."""
        if "client" in step:
            return f"{self.scenario['name']}.{self.name}.{step['client']}"
        cluster = step.get("cluster", self.scenario["cluster"])
        return self.runner.usual_client(language, cluster)

    def request(self, step, number, time_of):
        language = self.language(step, number)
        words = [f"do={step['do']}"]

        def field(name, value):
            words.append(f"{name}={escaped(value)}")

        if step["do"] == "open":
            self.clients[step["client"]] = language
            if step.get("seeds", True) is True:
                cluster = self.runner.cluster(step.get("cluster", self.scenario["cluster"]))
                field("option", f"client.seeds={cluster.seeds}".encode())
                if "client.cluster" not in step.get("options", {}):
                    field("option", f"client.cluster={cluster.name}".encode())
            elif step["seeds"]:
                field("option", f"client.seeds={step['seeds']}".encode())
            for name, value in step.get("options", {}).items():
                field("option", f"{name}={value}".encode())
        field("client", self.client(step, language).encode())
        if step["do"] in ("open", "close", "release"):
            return language, " ".join(words)
        if self.name.endswith("_async"):
            field("async", b"1")
        field("bucket", self.bucket(step))
        for key in step["keys"] if step["do"] == "multi_get" else [step.get("key", "key")]:
            field("key", self.key(step, key))
        for name in ("value", "with", "rival", "rival_merge"):
            if name in step:
                field(name, self.named(as_bytes(step[name]).replace(b"{n}", str(time_of).encode())))
        for name in ("edit", "resolver", "codec", "durability", "deletes"):
            if name in step:
                field(name, step[name].encode())
        for name in ("r", "w", "strict", "siblings", "timeout_ms", "rival_merges", "edit_ms", "merge_ms"):
            if name in step:
                field(name, str(int(step[name])).encode())
        if step["do"] in ("put", "update", "get", "multi_get"):
            usual = "text/plain" if step.get("codec") == "text" else "application/octet-stream"
            field("content_type", step.get("content_type", usual).encode())
        for edit in step.get("edits", ()):
            many = edit if isinstance(edit, dict) else {"repeat": edit, "times": 1}
            for number in range(many["times"]):
                field("edit", self.named(many["repeat"].replace("{n}", str(number)).encode()))
        if "value_of" in step:
            field("value", self.replies[step["value_of"]].values[0])
        if "write_id" in step:
            given = step["write_id"]
            field("write_id", (self.replies[given["of"]].write_id if isinstance(given, dict) else given).encode())
        if step["do"] == "compare":
            field("left", self.context(step["left"]))
            field("right", self.context(step["right"]))
        elif step["do"] in ("put", "delete"):
            field("context", self.context(step.get("context")))
        return language, " ".join(words)

    def compare(self, step, left, right):
        language = self.language(step, 0)
        driver = self.runner.drivers[language]
        driver.ask(f"do=compare client={escaped(self.client(step, language).encode())} bucket={escaped(self.bucket(step))} "
                   f"key={escaped(self.key(step, step.get('key', 'key')))} left={escaped(left)} right={escaped(right)}")
        return dict(driver.answer()).get("order", b"?").decode()

    def check(self, step, expect, reply):
        """Against what the scenario says."""
        said = reply.said
        status = expect.get("status", "OK")
        if said.get("status") not in (status if isinstance(status, list) else [status]):
            raise Differs(f"status: wanted {status}, got {said.get('status')}{': ' + reply.message if reply.message else ''}")
        for name, want in expect.items():
            if name == "status":
                continue
            if name == "document_status":
                if said.get(name) not in want:
                    raise Differs(f"{name}: wanted one of {want}, got {said.get(name)}")
            elif name in Reply.PLAIN:
                wanted(name, int(want) if isinstance(want, bool) else want, said.get(name))
            elif name == "value":
                wanted("what it is", "value", said.get("is"))
                wanted(name, as_bytes(want), said.get("value"))
            elif name == "values":
                wanted(name, sorted(map(as_bytes, want)), sorted(reply.values))
            elif name == "holds":
                there = said.get("document") or b"+".join(reply.values).decode()
                for part in want:
                    part = self.named(part.encode()).decode()
                    if part not in re.split("[+,;:]" if "document" in said else "[+]", there):
                        raise Differs(f"wanted {part!r} in it, got {there!r}")
            elif name == "count":
                wanted(name, want, len(said["versions"]))
            elif name == "deleted":
                wanted("deletes shown", want, sum(version[0] for version in said["versions"]))
            elif name == "undecodable":
                wanted("undecodable versions", want, sum(version[3] for version in said["versions"]))
            elif name == "content_types":
                wanted(name, sorted(want), sorted(version[2] for version in said["versions"] if not version[0]))
            elif name == "message":
                for part in want:
                    if part not in reply.message:
                        raise Differs(f"message: wanted {part!r} in it, got {reply.message!r}")
            elif name == "write_id":
                if want is True:
                    wanted("length of the write id", 32, len(reply.write_id))
                else:
                    wanted(name, self.replies[want["of"]].write_id if isinstance(want, dict) else want, reply.write_id)
            elif name == "dots":
                self.check_dots(want, reply)
            elif name == "context":
                self.check_context(step, want, reply)
            elif name == "items":
                wanted("keys answered", len(want), len(reply.items))
                for at, (each, item) in enumerate(zip(want, reply.items, strict=True)):
                    try:
                        self.check(step, each, item)
                    except Differs as differs:
                        raise Differs(f"key {at + 1}: {differs}") from None
            else:
                raise ValueError(f"{self.scenario['name']}: there is no expectation {name!r}")

    def check_dots(self, want, reply):
        for relation, other in want.items():
            theirs = self.replies[other].dots
            if relation == "same_as":
                wanted("dots", theirs, reply.dots)
            elif relation == "none_of":
                wanted(f"dots that {other} has, too", set(), reply.dots & theirs)
            else:
                raise ValueError(f"there is no relation of dots {relation!r}")

    def check_context(self, step, want, reply):
        orders = {"same_as": ("same",), "after": ("after",), "before": ("before",), "concurrent_with": ("concurrent",),
                  "covers": ("same", "after")}
        for relation, other in want.items():
            if relation == "bytes_at_most":
                if len(reply.context) > other:
                    raise Differs(f"context: wanted at most {other} bytes, got {len(reply.context)}")
                continue
            got = self.compare(step, reply.context, self.replies[other].context if other else b"")
            if got not in orders[relation]:
                raise Differs(f"context: wanted {relation.replace('_', ' ')} {other or 'the empty one'}, got {got}")


class Runner:
    """The clusters, the drivers, and what came of each scenario."""

    def __init__(self, columns=COLUMNS, show=False, coordination="server"):
        self.columns, self.show, self.coordination, self.results = columns, show, coordination, {}
        self.module, self.clusters, self.opened = processes(), {}, set()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ringlet-conformance-"))
        self.drivers = {}
        self.seconds = {}
        self.failed = False

    def cluster(self, name):
        if name not in self.clusters:
            settings = CLUSTERS[name]
            directory = self.directory / name
            directory.mkdir()
            cluster = self.module.Cluster(directory, nodes=settings["nodes"], name=settings.get("name", SHARED_NAME),
                                          cluster=settings.get("cluster", ""), more=settings.get("more", ""))
            self.clusters[name] = cluster
            for node in cluster.nodes:
                node.launch()
            for node in cluster.nodes:
                self.module.wait_for(f"{node.name} of {name}", lambda node=node: not (node.directory / "port").exists(), 30)
        return self.clusters[name]

    def usual_client(self, language, cluster):
        name = f"usual.{cluster}"
        if (language, name) not in self.opened:
            driver, there = self.drivers[language], self.cluster(cluster)
            options = (f"client.seeds={there.seeds}", f"client.cluster={there.name}", "client.timeout_ms=10000",
                       f"client.coordination={self.coordination}")
            driver.ask(f"do=open client={name} " + " ".join(f"option={escaped(o.encode())}" for o in options))
            wanted(f"opening a client in {language}", b"OK", dict(driver.answer())["status"])
            self.opened.add((language, name))
        return name

    def start(self):
        self.drivers = drivers()
        for driver in self.drivers.values():
            driver.start()

    def stop(self):
        for driver in self.drivers.values():
            driver.stop()
        for cluster in self.clusters.values():
            for node in cluster.nodes:
                if node.running:
                    node.signal(signal.SIGCONT)
            cluster.stop()
        if not self.failed:
            shutil.rmtree(self.directory, ignore_errors=True)

    # ---- one scenario ----

    def run(self, path):
        """Failures by column: {} when all answered as they should."""
        began = time.monotonic()
        scenario = read(path)
        columns = [Column(self, scenario, name, len(path.stem)) for name in self.columns]
        hurt = False
        try:
            for number, step in enumerate(scenario["step"], start=1):
                if step["do"] in ("kill", "restart", "pause", "resume", "sleep"):
                    hurt |= step["do"] in ("kill", "pause")
                    self.fault(scenario, step)
                    continue
                for at in range(1, step.get("times", 1) + 1):
                    self.step(columns, step, number, at)
                self.agree(columns, step, number)
        finally:
            if hurt:
                self.heal(scenario["cluster"])
        failures = {column.name: column.failure for column in columns if column.failure}
        self.failed |= bool(failures)
        self.results[scenario["name"]] = failures
        self.seconds[scenario["name"]] = time.monotonic() - began
        return failures

    def step(self, columns, step, number, at):
        """Sends it to the languages at the same time, one request to each."""
        waiting = [column for column in columns if column.failure is None]
        until = time.monotonic() + step.get("within_s", 0)
        while waiting:
            asked = {}
            for column in waiting:
                language = column.language(step, number)
                if language in asked:
                    continue
                try:
                    _, line = column.request(step, number, at)
                    self.drivers[language].ask(line)
                    asked[language] = column
                except Differs as differs:
                    self.note(column, step, number, differs)
                except KeyError as missing:
                    self.note(column, step, number, Differs(f"needs {missing} of an earlier step"))
            if self.show:
                for column in asked.values():
                    print(f"  {number} {step['do']} -> {column.name}")
            again = []
            for language, column in asked.items():
                try:
                    reply = Reply(self.drivers[language].answer())
                    if self.show:
                        print(f"  {number} {step['do']} {column.name}: {reply.said} {reply.message}")
                    column.last = reply
                    if "as" in step:
                        column.replies[step["as"]] = reply
                    column.check(step, step.get("expect", {}), reply)
                except Differs as differs:
                    if not isinstance(differs, Died) and time.monotonic() < until:
                        time.sleep(0.2)
                        again.append(column)
                        continue
                    self.note(column, step, number, differs)
            waiting = [column for column in waiting
                       if column in again or column not in asked.values() and column.failure is None]

    def note(self, column, step, number, differs):
        column.failure = f"step {number} ({step['do']}): {differs}"
        if isinstance(differs, Died):
            language = column.language(step, number)
            self.opened = {(known, name) for known, name in self.opened if known != language}

    def agree(self, columns, step, number):
        """Against the other columns: what most say counts as right."""
        answered = [column for column in columns if column.failure is None]
        said = {column.name: repr(sorted(column.last.without(step.get("differs", ())).items())) for column in answered}
        if len(set(said.values())) <= 1:
            return
        usual = max(said.values(), key=list(said.values()).count)
        model = next(column for column in answered if said[column.name] == usual)
        for column in answered:
            if said[column.name] == usual:
                continue
            theirs, own = (c.last.without(step.get("differs", ())) for c in (model, column))
            names = [name for name in sorted({*theirs, *own}) if theirs.get(name) != own.get(name)]
            self.note(column, step, number, Differs("; ".join(
                f"{name} is {own.get(name)!r}, in {model.name} {theirs.get(name)!r}" for name in names)[:400]))

    # ---- faults ----

    def fault(self, scenario, step):
        if step["do"] == "sleep":
            time.sleep(step["ms"] / 1000)
            return
        cluster = self.cluster(step.get("cluster", scenario["cluster"]))
        for name in step["nodes"]:
            node = cluster.node(name)
            if step["do"] == "kill":
                node.kill()
            elif step["do"] == "restart":
                node.start()
            elif step["do"] == "pause":
                node.signal(signal.SIGSTOP)
                self.module.wait_for(f"{name} stops", lambda node=node: not is_stopped(node.process.pid))
            else:
                node.signal(signal.SIGCONT)

    def heal(self, name):
        """All nodes run and each serves a request that needs all owners."""
        cluster = self.cluster(name)
        for node in cluster.nodes:
            if node.running:
                node.signal(signal.SIGCONT)
            else:
                node.start()

        def unwell():
            for node in cluster.nodes:
                said = subprocess.run(
                    [str(BIN / "ringlet"), "--seeds", node.address, "--cluster", cluster.name, "--timeout", "2000",
                     "--bucket", "heal", "--strict", "--r", "3", "get", "nothing"], capture_output=True, text=True, timeout=30)
                if said.returncode not in (0, 1):
                    return f"{node.name}: {said.stderr.strip()}"
            return ""

        self.module.wait_for(f"cluster {name} is well again", unwell, 60)

    # ---- the report ----

    def table(self):
        width = max([len(name) for name in self.results] + [8])
        lines = [f"{'scenario':<{width}}  " + "  ".join(f"{name:<12}" for name in (*self.columns, "seconds"))]
        for name, failures in sorted(self.results.items()):
            lines.append(f"{name:<{width}}  " + "  ".join(
                f"{failures[column].split(' (')[0] if column in failures else 'ok':<12}" for column in self.columns)
                + f"  {self.seconds[name]:.1f}")
        lines.append("")
        for name, failures in sorted(self.results.items()):
            lines += [f"{name}, {column}: {failure}" for column, failure in failures.items()]
        well = sum(not failures for failures in self.results.values())
        lines.append(f"{len(self.results)} scenarios in {len(self.columns)} columns, {well} the same in all, "
                     f"{len(self.results) - well} not ({sum(self.seconds.values()):.0f} s)")
        return "\n".join(lines)

    def report(self):
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(self.table() + "\n")
        return REPORT


def read(path):
    return {**tomllib.loads(path.read_text()), "name": path.stem}


def scenarios():
    return sorted(FOLDER.glob("*.toml"))


def main():
    parser = argparse.ArgumentParser(description="Runs the conformance scenarios through every language.")
    parser.add_argument("names", nargs="*", help="scenarios whose names begin so; all")
    parser.add_argument("--columns", default=",".join(COLUMNS), help="of %(default)s")
    parser.add_argument("--show", action="store_true", help="print each answer")
    parser.add_argument("--coordination", choices=("server", "client"), default="server",
                        help="what runs the quorum for the clients that a scenario does not open itself")
    arguments = parser.parse_args()
    columns = tuple(arguments.columns.split(","))
    if unknown := set(columns) - set(COLUMNS):
        parser.error(f"wanted columns of {', '.join(COLUMNS)}, got {', '.join(sorted(unknown))}")
    chosen = [path for path in scenarios()
              if not arguments.names or any(path.stem.startswith(name) for name in arguments.names)]
    if not chosen:
        parser.error(f"no scenario begins with {' or '.join(arguments.names)}")
    runner = Runner(columns, arguments.show, arguments.coordination)
    runner.start()
    try:
        for path in chosen:
            print(path.stem, flush=True)
            runner.run(path)
    finally:
        runner.stop()
    print(runner.table())
    print(runner.report())
    return 1 if runner.failed else 0


if __name__ == "__main__":
    sys.exit(main())
