"""The conformance driver in Python: the packages ringlet and, of async=1, ringlet.aio, as a program uses them.

driver.c says what it reads and answers, README.md of this folder lists the fields.
"""

import asyncio
import json
import sys
import time
import urllib.parse

import ringlet
import ringlet.aio
from ringlet.document import Counter, Flag, Map, Register, RegisterAll, Set

UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def escaped(data):
    return "".join(chr(c) if c in UNRESERVED else f"%{c:02X}" for c in data)


class Fields:
    def __init__(self, line):
        self.all = []
        for word in line.split(" "):
            name, _, value = word.partition("=")
            self.all.append((name, urllib.parse.unquote_to_bytes(value)))

    def get(self, name):
        return next((value for key, value in self.all if key == name), None)

    def text(self, name):
        return (self.get(name) or b"").decode()

    def number(self, name):
        return int(self.text(name) or 0)


class Answer:
    def __init__(self):
        self.words = []

    def field(self, name, value):
        if isinstance(value, bool | int):
            value = str(int(value))
        self.words.append(f"{name}={escaped(value.encode() if isinstance(value, str) else value)}")

    @property
    def line(self):
        return " ".join(self.words)


class Octets:
    """Bytes of one content type; that of octets takes all."""

    def __init__(self, content_type):
        self.content_type = content_type

    def encode(self, value):
        return value

    def decode(self, raw):
        return bytes(raw)


class Raised(Exception):
    """What the application's own functions raise."""


clients, async_clients = {}, {}
loop = asyncio.Runner()  # of all asynchronous clients, which belong to one loop


class Awaited:
    """A bucket of ringlet.aio whose calls this driver waits for."""

    def __init__(self, bucket):
        self.bucket = bucket

    def __getattr__(self, name):
        def call(*args, **more):
            return loop.run(getattr(self.bucket, name)(*args, **more))

        return call


def client_of(given):
    return (async_clients if given.number("async") else clients)[given.text("client")]


def opened_bucket(given, codec):
    bucket = client_of(given).bucket(given.get("bucket") or b"", codec=codec)
    return Awaited(bucket) if given.number("async") else bucket


def bucket_of(given):
    text = given.text("codec") == "text"
    codec = ringlet.Text if text else Octets(given.text("content_type") or "application/octet-stream")
    if not text and given.text("do") == "put":
        codec = Octets(given.text("content_type"))
    return opened_bucket(given, codec)


def options_of(given):
    options = {}
    if given.number("timeout_ms"):
        options["timeout"] = given.number("timeout_ms") / 1000
    for name in ("r", "w"):
        if given.number(name):
            options[name] = given.number(name)
    if given.number("strict"):
        options["strict"] = True
    for name in ("durability", "deletes"):
        if given.text(name):
            options[name] = given.text(name)
    if given.text("write_id"):
        options["write_id"] = given.text("write_id")
    return options


def decodable(sibling):
    if sibling.deleted:
        return True
    try:
        sibling.value
    except ringlet.DecodeError:
        return False
    return True


def tell_error(out, error):
    out.field("status", ringlet.Status(error.status).name)
    out.field("message", str(error))
    out.field("maybe", error.maybe_applied)
    out.field("retryable", error.retryable)
    out.field("details", json.dumps(error.details))


def wrong_argument(out, error):
    """Python's own kind of a wrong argument."""
    out.field("status", "INVALID_ARGUMENT")
    out.field("message", str(error))
    out.field("maybe", False)
    out.field("retryable", False)


def tell_reply(out, given, versioned, versions, value):
    out.field("context", bytes(versioned.context))
    out.field("merged", versioned.merged)
    out.field("left_out", versioned.left_out)
    out.field("explain", json.dumps(versioned.explain().data))
    if versions:
        for sibling in versioned.siblings:
            dot = b"".join(part.to_bytes(8, "big") for part in sibling.dot)
            raw = b"" if sibling.deleted else bytes(sibling.raw)
            out.field("version", ",".join((escaped(raw), escaped(sibling.content_type.encode()), escaped(dot),
                                           str(int(sibling.deleted)), str(int(not decodable(sibling))))))
    if value:
        try:
            plain = versioned.value
            out.field("is", "value")
            out.field("value", plain)
        except ringlet.ConflictError:
            out.field("is", "conflict")
        except ringlet.DecodeError:
            out.field("is", "undecodable")
        except ringlet.KeyMissing:
            out.field("is", "missing")


def join(parts, like):
    return (b"+" if isinstance(like, bytes) else "+").join(parts)


class Application:
    def __init__(self, given):
        self.given, self.edits, self.merges, self.seen = given, 0, 0, []
        self.text = given.text("codec") == "text"
        later = given.number("async")
        self.function = self.edit_later if later else self.edit
        self.resolver = None if given.get("resolver") is None else self.resolve_later if later else self.resolve
        if given.text("resolver") == "factory":
            self.resolver = ringlet.resolvers.union

    def given_value(self, name):
        return self.given.text(name) if self.text else (self.given.get(name) or b"")

    def own(self, text):
        return text if self.text else text.encode()

    def rival(self, value):
        clients[self.given.text("client")].bucket(
            self.given.get("bucket") or b"", codec=Octets(self.given.text("content_type"))
        ).put(self.given.get("key"), value)

    def plain(self, what):
        if what == "raise":
            raise Raised("the application's function failed")
        return {"nothing": None, "delete": ringlet.Delete, "keep": ringlet.Keep}[what]

    def resolve(self, siblings):
        self.before_merge(siblings)
        time.sleep(self.merge_seconds())
        return self.merged(siblings)

    async def resolve_later(self, siblings):
        self.before_merge(siblings)
        await asyncio.sleep(self.merge_seconds())
        return self.merged(siblings)

    def merge_seconds(self):
        return self.given.number("merge_ms") / 1000 if self.edits else 0

    def before_merge(self, siblings):
        written = self.edits > 0
        self.seen.append(f"{'m' if written else 'e'}{len(siblings)}")
        if written:
            self.merges += 1
            if self.merges <= self.given.number("rival_merges"):
                self.rival((self.given.get("rival_merge") or b"") + str(self.merges).encode())

    def merged(self, siblings):
        what = self.given.text("resolver")
        if what in ("raise", "nothing", "delete", "keep"):
            return self.plain(what)
        parts, deleted = set(), False
        plus = self.own("+")
        for sibling in siblings:
            if sibling.deleted:
                deleted = True
            elif not decodable(sibling):
                parts.add(self.own("undecodable"))
            else:
                parts.update(part for part in sibling.value.split(plus) if part)
        if deleted and what == "delete_wins":
            return ringlet.Delete
        if what == "counter":
            return self.counted(parts)
        return join(sorted(parts), plus)

    def counted(self, parts):
        colon, counts = self.own(":"), {}
        for part in parts:
            name, _, count = part.partition(colon)
            counts[name] = max(counts.get(name, 0), int(count or 0))
        return join((name + colon + self.own(str(count)) for name, count in sorted(counts.items())), self.own("+"))

    def edit(self, current):
        self.before_edit(current)
        time.sleep(self.given.number("edit_ms") / 1000)
        return self.edited(current)

    async def edit_later(self, current):
        self.before_edit(current)
        await asyncio.sleep(self.given.number("edit_ms") / 1000)
        return self.edited(current)

    def before_edit(self, current):
        if not self.seen:
            self.seen.append("e0" if current is None else "e1")
        self.edits += 1
        if self.given.get("rival") is not None:
            self.rival(self.given.get("rival"))

    def edited(self, current):
        what, value = self.given.text("edit"), self.given_value("with")
        if what in ("raise", "nothing", "delete", "keep"):
            return self.plain(what)
        if what == "set":
            return value
        plus = self.own("+")
        if what == "append":
            return current + plus + value if current else value
        assert what == "count", what
        parts = [part for part in (current or self.own("")).split(plus) if part]
        own = next((part for part in parts if part.partition(self.own(":"))[0] == value), None)
        count = int(own.partition(self.own(":"))[2]) if own else 0
        parts = [part for part in parts if part is not own] + [value + self.own(f":{count + 1}")]
        return join(sorted(parts), plus)


def update(given, out):
    app = Application(given)
    try:
        versioned = bucket_of(given).update(given.get("key"), app.function, resolver=app.resolver, **options_of(given))
        out.field("status", "OK")
        tell_reply(out, given, versioned, True, True)
    except Raised as raised:
        out.field("status", "RAISED")
        out.field("applied", any("applied=True" in note for note in raised.__notes__))
    except ringlet.ConflictError as error:
        out.field("status", "CONFLICT")
        out.field("code", ringlet.Status(error.status).name)
        out.field("applied", any("applied=True" in note for note in getattr(error, "__notes__", ())))
    except ringlet.DecodeError as error:
        out.field("status", "UNDECODABLE")
        out.field("applied", any("applied=True" in note for note in getattr(error, "__notes__", ())))
    except ringlet.RingletError as error:
        tell_error(out, error)
    except TypeError as error:
        wrong_argument(out, error)
    out.field("edits", app.edits)
    out.field("merges", app.merges)
    out.field("seen", ",".join(app.seen))


def get(given, out):
    versioned = bucket_of(given).get(given.get("key"), **options_of(given))
    out.field("status", "OK")
    tell_reply(out, given, versioned, True, True)


def put(given, out):
    context = ringlet.Context.from_bytes(given.get("context") or b"")
    value = given.get("value") or b""
    if given.text("codec") == "text":
        value = value.decode()
    versioned = bucket_of(given).put(given.get("key"), value, context, **options_of(given))
    out.field("status", "OK")
    tell_reply(out, given, versioned, bool(given.number("siblings")), False)


def delete(given, out):
    context = ringlet.Context.from_bytes(given.get("context") or b"")
    versioned = bucket_of(given).delete(given.get("key"), context, **options_of(given))
    out.field("status", "OK")
    tell_reply(out, given, versioned, bool(given.number("siblings")), False)


def multi_get(given, out):
    keys = [value for name, value in given.all if name == "key"]
    found = bucket_of(given).get_many(keys, **options_of(given))
    out.field("status", "OK")
    for key in keys:
        item = Answer()
        if key in found.errors:
            tell_error(item, found.errors[key])
        else:
            item.field("status", "OK")
            tell_reply(item, given, found[key], True, True)
        out.field("item", item.line)


CART = Map(coupons=Set, gift=Flag, items=Map(of=Counter), note=Register, notes=RegisterAll)


def edit_as(words, cart):
    """Such as "increment items/tea 2": what is to be done, the fields to it, a value or an amount."""
    what, path, *value = words.split(" ", 2)
    *before, last = path.split("/")
    parent = cart
    for name in before:
        parent = parent[name]
    if what == "erase":
        del parent[last]
    elif what == "discard":
        parent.discard(last)
    elif what == "remove":
        parent[last].discard(value[0])
    elif what == "increment":
        parent[last].increment(int(value[0]))
    elif what in ("add", "set", "set_all"):
        getattr(parent[last], "add" if what == "add" else "set")(value[0])
    else:
        getattr(parent[last], what)()


def text_of(cart):
    """Such as "coupons:A,B;gift;items:tea 2": the fields in order, what is empty is left out."""
    items = ",".join(f"{name} {count}" for name, count in sorted(cart["items"].items()))
    parts = [
        "coupons:" + ",".join(sorted(cart["coupons"])) if cart["coupons"] else "",
        "gift" if cart["gift"] else "",
        f"items:{items}" if items else "",
        f"note:{cart['note']}" if cart["note"] is not None else "",
        "notes:" + ",".join(sorted(set(cart["notes"]))) if cart["notes"] else "",
    ]
    return ";".join(part for part in parts if part)


def document(given, out):
    bucket = opened_bucket(given, CART)
    if given.text("do") == "edit":
        edits = [value.decode() for name, value in given.all if name == "edit"]
        found = bucket.edit(given.get("key"), lambda cart: [edit_as(words, cart) for words in edits], **options_of(given))
    else:
        found = bucket.get(given.get("key"), **options_of(given))
    out.field("status", "OK")
    try:
        out.field("document", text_of(found.value))
    except ringlet.KeyMissing:
        out.field("document", "")
    except ringlet.RingletError as error:
        out.field("document_status", ringlet.Status(error.status).name)


def compare(given, out):
    left, right = (ringlet.Context.from_bytes(given.get(name) or b"") for name in ("left", "right"))
    order = ("same" if left.same_history(right) else "concurrent" if left.concurrent_with(right)
             else "before" if left < right else "after")
    out.field("status", "OK")
    out.field("order", order)


def open_(given, out):
    options = {}
    for name, value in given.all:
        if name == "option":
            option, _, text = value.decode().partition("=")
            options[option] = text
    more = {}
    if "client.seeds" in options:
        more["seeds"] = options.pop("client.seeds")
    if "client.timeout_ms" in options:
        more["timeout"] = int(options.pop("client.timeout_ms")) / 1000
    clients[given.text("client")] = ringlet.connect(**more, **options)
    async_clients[given.text("client")] = ringlet.aio.connect(**more, **options)
    out.field("status", "OK")


def close(given, out):
    clients[given.text("client")].close(1.0)
    loop.run(async_clients[given.text("client")].close(1.0))
    out.field("status", "OK")


def release(given, out):
    clients.pop(given.text("client")).close(0.0)
    loop.run(async_clients.pop(given.text("client")).close(0.0))
    out.field("status", "OK")


VERBS = {"open": open_, "close": close, "release": release, "get": get, "put": put, "delete": delete,
         "update": update, "multi_get": multi_get, "compare": compare, "edit": document, "read": document}


def main():
    for line in sys.stdin:
        given, out = Fields(line.rstrip("\n")), Answer()
        try:
            VERBS[given.text("do")](given, out)
        except ringlet.RingletError as error:
            out = Answer()
            tell_error(out, error)
        except TypeError as error:
            out = Answer()
            wrong_argument(out, error)
        print(out.line, flush=True)
    for client in clients.values():
        client.close(0.0)
    for client in async_clients.values():
        loop.run(client.close(0.0))


main()
