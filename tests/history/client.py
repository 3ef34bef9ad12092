"""One client process of the history checker: it writes tokens, reads them, and writes down what it was told.

Started by run.py. It ends at its deadline or at SIGTERM, after the operation under way. Every operation has a line
before it begins and one after it ended, so that the history of a client which is killed is still true.

The value of a write is `token;writer;seen,seen;padding`.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

BUCKET = "history"
GENERATION_S = 12  # shared keys are new ones after so long: a key's history stays small enough to be read by a person
SHARED_KEYS = 5


@dataclass
class Answer:
    status: str = "ok"
    maybe: bool = False
    values: tuple = ()  # bytes of the versions that are no deletes
    context: object = None  # what to hand to a write; None: there is none
    context_bytes: int = 0
    error: str = ""
    write_id: str | None = None


# ---- the surfaces ----


class Python:
    """The package of python/, in either coordination."""

    def __init__(self, arguments):
        import ringlet

        self.ringlet = ringlet
        self.client = ringlet.connect(arguments.seeds, cluster=arguments.cluster, timeout=4.0,
                                      coordination=arguments.coordination)
        self.bucket = self.client.bucket(BUCKET)

    def run(self, call):
        try:
            found = call()
        except self.ringlet.RingletError as error:
            name = getattr(error.status, "name", str(error.status))
            return Answer(name, error.maybe_applied, error=str(error), write_id=error.details.get("write_id"))
        if found is None:
            return Answer()
        context = found.context
        return Answer(values=tuple(bytes(s.raw) for s in found.siblings if not s.deleted), context=context,
                      context_bytes=len(bytes(context)))

    def get(self, key, strict, timeout):
        return self.run(lambda: self.bucket.get(key, strict=strict, timeout=timeout))

    def put(self, key, value, context, strict, timeout, write_id):
        return self.run(lambda: self.bucket.put(key, value, context, strict=strict, timeout=timeout,
                                                write_id=id_text(write_id)))

    def delete(self, key, context, strict, timeout, write_id):
        return self.run(lambda: self.bucket.delete(key, context, strict=strict, timeout=timeout,
                                                   write_id=id_text(write_id)))

    def close(self):
        self.client.close(drain=0.1)


class C:
    """tests/history/client.c, told through a pipe."""

    def __init__(self, arguments):
        self.process = subprocess.Popen([str(pathlib.Path(arguments.bin) / "history_client"), arguments.seeds,
                                         arguments.cluster, arguments.coordination],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *fields):
        self.process.stdin.write(" ".join(str(f) for f in fields) + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().split()
        if not said:
            raise RuntimeError(f"the C client ended with {self.process.wait()}")
        status, maybe, context, message, _, *versions = said
        return Answer(status, maybe == "1", tuple(unhex(v) for v in versions if v != "T"), context,
                      len(unhex(context)), unhex(message).decode(errors="replace"))

    def get(self, key, strict, timeout):
        return self.ask("get", hexed(key.encode()), int(strict), 0, int(timeout * 1000))

    def put(self, key, value, context, strict, timeout, write_id):
        return self.ask("put", hexed(key.encode()), int(strict), 0, int(timeout * 1000), *write_id, context or "-",
                        hexed(value))

    def delete(self, key, context, strict, timeout, write_id):
        return self.ask("delete", hexed(key.encode()), int(strict), 0, int(timeout * 1000), *write_id, context)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class CommandLine:
    """`ringlet`, a process for each operation."""

    def __init__(self, arguments):
        self.start = [str(pathlib.Path(arguments.bin) / "ringlet"), "--output", "json", "--seeds", arguments.seeds,
                      "--cluster", arguments.cluster, "--bucket", BUCKET, "--coordination", arguments.coordination]

    def ask(self, strict, timeout, *arguments):
        said = subprocess.run([*self.start, *(["--strict"] if strict else []), "--timeout", str(int(timeout * 1000)),
                               *arguments], capture_output=True, text=True)
        if said.returncode not in (0, 1, 3) or (said.returncode != 0 and arguments[0] != "get"):
            try:
                error = json.loads(said.stderr)
                return Answer(error["code"].upper(), error["maybe_applied"], error=error["message"])
            except (ValueError, KeyError):
                maybe = "may have been applied" in said.stderr or said.returncode < 0
                return Answer(f"EXIT_{said.returncode}", maybe, error=said.stderr.strip())
        answer = json.loads(said.stdout)
        if arguments[0] != "get":  # it says how many versions there are, not which: its context is of no use here
            return Answer()
        context = answer["context_base64"]
        return Answer(values=tuple(base64.b64decode(s["value_base64"]) for s in answer["siblings"] if not s["deleted"]),
                      context=context, context_bytes=len(context) * 3 // 4)

    def get(self, key, strict, timeout):
        return self.ask(strict, timeout, "get", key)

    def put(self, key, value, context, strict, timeout, write_id):
        return self.ask(strict, timeout, "put", key, value.decode(), "--write-id", id_text(write_id),
                        *(["--context-text", context] if context else []))

    def delete(self, key, context, strict, timeout, write_id):
        return self.ask(strict, timeout, "delete", key, "--context-text", context, "--write-id", id_text(write_id))

    def close(self):
        pass


SURFACES = {"python": Python, "c": C, "cli": CommandLine}


def id_text(write_id):
    return f"{write_id[0]:016x}{write_id[1]:016x}"


def hexed(data):
    return data.hex() or "-"


def unhex(text):
    return b"" if text == "-" else bytes.fromhex(text)


# ---- the history ----


def value_of(token, writer, seen, padding):
    return f"{token};{writer};{','.join(sorted(seen))};{padding}".encode()


def token_of(value):
    """The token of a value that is as its writer made it; else "?" and what it is.

    The padding ends with a digest of all that stands before it: a value that was cut or mixed up is noticed.
    """
    text = value.decode(errors="replace")
    head, _, digest = text.rpartition("#")
    if digest and digest == digest_of(head):
        return head.split(";", 1)[0]
    return "?" + text[:60]


def digest_of(text):
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def sealed(value):
    return value + b"#" + digest_of(value.decode()).encode()


class Stopped(Exception):
    pass


class Client:
    def __init__(self, arguments):
        self.arguments, self.name = arguments, arguments.name
        self.surface = SURFACES[arguments.surface](arguments)
        self.label = arguments.surface if arguments.surface == "cli" else f"{arguments.surface}-{arguments.coordination}"
        self.random = random.Random(f"{arguments.seed}/{self.name}")
        self.history = open(arguments.history, "a", buffering=1)  # a line at a time reaches the file
        self.stop, self.count, self.written = False, 0, 0
        self.kept = {}  # shared key -> (context, tokens seen, bytes) of some earlier read
        self.mine = []  # writes with their ids, to be repeated

    def note(self, **record):
        self.history.write(json.dumps(record) + "\n")

    def operate(self, op, key, call, **more):
        if self.stop or time.monotonic() >= self.arguments.until:
            raise Stopped
        self.count += 1
        id_ = f"{self.name}.{self.count}"
        # A process of the command line is a client of its own each time.
        session = id_ if self.arguments.surface == "cli" else self.name
        self.note(t="invoke", id=id_, session=session, surface=self.label, op=op, key=key, at=time.monotonic_ns(),
                  strict=self.arguments.strict, r=0, w=0, **more)
        answer = call()
        end = time.monotonic_ns()
        shown = [token_of(v) for v in answer.values] if answer.status == "ok" and answer.context is not None else None
        self.note(t="done", id=id_, at=end, status=answer.status, maybe=answer.maybe, shown=shown,
                  **({"error": answer.error[:200]} if answer.error else {}),
                  **({"write_id": answer.write_id} if answer.write_id else {}))
        time.sleep(self.arguments.pause * self.random.random() * 2)
        if answer.status != "ok":
            time.sleep(0.05)
        return answer, shown

    def timeout(self):
        return self.random.choice((0.4, 1.0, 1.0, 4.0))

    def get(self, key):
        timeout = self.timeout()
        return self.operate("get", key, lambda: self.surface.get(key, self.arguments.strict, timeout))

    def write(self, op, key, context=None, seen=(), size=0):
        """`context` and the tokens that it had shown; without it a blind write."""
        self.written += 1
        token = f"{self.name}w{self.written}"
        write_id = (self.random.getrandbits(64) | 1, self.random.getrandbits(64))
        padding = "x" * self.random.choice((0, 0, 20, 300, 3000))
        value = sealed(value_of(token, self.name, seen, padding))
        write = (op, key, token, write_id, context, tuple(seen), size, value)
        answer, shown = self.attempt(write)
        tries = 0
        # Again under its id, as an application would that must know: while it may have happened, or at random.
        while answer.status != "ok" and answer.maybe and tries < 3 and self.random.random() < 0.7:
            tries += 1
            answer, shown = self.attempt(write)
        if not self.arguments.lww:
            self.mine = [*self.mine[-30:], write]
        return answer, shown

    def attempt(self, write):
        op, key, token, write_id, context, seen, size, value = write
        timeout, strict = self.timeout(), self.arguments.strict
        more = {"token": token, "context": list(seen), "context_bytes": size,
                "write_id": id_text(write_id)}
        if op == "put":
            return self.operate(op, key, lambda: self.surface.put(key, value, context, strict, timeout, write_id), **more)
        return self.operate(op, key, lambda: self.surface.delete(key, context, strict, timeout, write_id), **more)

    def careful(self):
        """A key of its own: put, get, put, get, delete, get, each after the last was acknowledged."""
        key = f"order-{self.name}-{self.count}"
        answer, _ = self.write("put", key)
        for op in ("put", "delete"):
            if answer.status != "ok":
                return
            read, shown = self.get(key)
            if read.status != "ok":
                return
            answer, _ = self.write(op, key, read.context, shown, read.context_bytes)
        if answer.status == "ok":
            self.get(key)
            if self.random.random() < 0.2:
                self.write("put", key)  # and created again

    def shared(self):
        generation = int(time.monotonic() / GENERATION_S)
        key = f"shared-{generation}-{self.random.randrange(SHARED_KEYS)}"
        chance = self.random.random()
        if chance < 0.06:
            self.write("put", key)
            return
        if chance < 0.14 and key in self.kept:  # with the context of some time ago
            context, shown, size = self.kept[key]
            self.write("put", key, context, shown, size)
            return
        read, shown = self.get(key)
        if read.status != "ok":
            return
        if chance < 0.3 or key not in self.kept:
            if len(self.kept) > 50:
                self.kept.clear()
            self.kept[key] = (read.context, shown, read.context_bytes)
        if chance < 0.45:
            return
        if chance < 0.57:
            self.write("delete", key, read.context, shown, read.context_bytes)
            return
        wrote, after = self.write("put", key, read.context, shown, read.context_bytes)
        if after is not None and chance > 0.85:  # its answer is as good as a read
            self.write("put", key, wrote.context, after, wrote.context_bytes)

    def run(self):
        try:
            while True:
                chance = self.random.random()
                if self.mine and chance < 0.06:
                    self.attempt(self.random.choice(self.mine))  # long done, perhaps replaced: once more
                elif chance < 0.45:
                    self.careful()
                else:
                    self.shared()
        except Stopped:
            pass
        self.history.close()
        self.surface.close()


def main():
    parser = argparse.ArgumentParser()
    for flag in ("seeds", "cluster", "name", "history", "bin"):
        parser.add_argument(f"--{flag}", required=True)
    parser.add_argument("--surface", choices=SURFACES, required=True)
    parser.add_argument("--coordination", choices=("server", "client"), default="server")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--lww", action="store_true")
    parser.add_argument("--pause", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--until", type=float, required=True, help="monotonic seconds")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client = Client(arguments)

    def stop(*_):
        client.stop = True

    signal.signal(signal.SIGTERM, stop)
    client.run()


if __name__ == "__main__":
    sys.exit(main())
