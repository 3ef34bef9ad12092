"""Shoppers: people who share carts and write down what they were promised.

A process runs a few groups of shoppers, each shopper a thread. A group shares a client and, at any
moment, a cart; after some baskets it takes a new cart. Every item is labelled with who added it, so
an add that was acknowledged can be told from every other one when the carts are read at the end.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any

import ringlet
from ringlet.document import Counter as CounterField
from ringlet.document import Map, Set

ADDS_PER_CART = 80
OPEN_CARTS = 6  # of a group at a time; its shoppers meet in one often, not always
REMOVE_EVERY = 20  # about 5 % of the changes are removes
COUNT_EVERY = 4  # adds after which the quantity of the thing goes up
LOOK_EVERY = 4  # edits of documents before which the cart is looked at
CALL_SECONDS = 5.0


@dataclass
class Plan:
    """What one process of shoppers needs to know."""

    seeds: list[str]
    coordination: str
    groups: list[list[str]]  # names of the shoppers that share carts
    baskets: list[list[str]]
    seed: int
    merge: str  # "document": carts merge themselves; "union": the application's own merge
    journal: str | None = None  # a file for the conflicts that the application's merge meets


@dataclass
class Ledger:
    """What shoppers were promised, and how long it took. Sent to the main process at the end."""

    acknowledged: dict[str, set[str]] = field(default_factory=dict)  # cart -> items
    removed: dict[str, set[str]] = field(
        default_factory=dict
    )  # cart -> items, acknowledged removes
    unsure_removed: dict[str, set[str]] = field(
        default_factory=dict
    )  # a remove that may have happened
    counted: dict[str, Counter[str]] = field(default_factory=dict)  # cart -> acknowledged quantities
    unsure_counted: dict[str, Counter[str]] = field(default_factory=dict)  # that may have happened
    carts: set[str] = field(default_factory=set)
    refused: int = 0
    maybe_applied: int = 0
    refusals: list[str] = field(default_factory=list)  # the first few, for people
    versions: Counter[int] = field(default_factory=Counter)  # siblings seen by a read -> how often
    get_ms: list[tuple[bool, float]] = field(default_factory=list)  # (was a node down, time)
    put_ms: list[tuple[bool, float]] = field(default_factory=list)

    def add(self, other: Ledger) -> None:
        """Puts another shopper's promises into this one."""
        for mine, theirs in (
            (self.acknowledged, other.acknowledged),
            (self.removed, other.removed),
            (self.unsure_removed, other.unsure_removed),
        ):
            for cart, items in theirs.items():
                mine.setdefault(cart, set()).update(items)
        for counts, more in (
            (self.counted, other.counted),
            (self.unsure_counted, other.unsure_counted),
        ):
            for cart, amounts in more.items():
                counts.setdefault(cart, Counter()).update(amounts)
        self.carts |= other.carts
        self.refused += other.refused
        self.maybe_applied += other.maybe_applied
        self.refusals = (self.refusals + other.refusals)[:5]
        self.versions += other.versions
        self.get_ms += other.get_ms
        self.put_ms += other.put_ms


class CartCodec:
    """A cart is text: its items sorted, one a line. All examples of Ringlet share this format."""

    content_type = "text/plain"

    def encode(self, value: frozenset[str]) -> bytes:
        """The same cart is the same bytes."""
        return "".join(f"{item}\n" for item in sorted(value)).encode("utf-8")

    def decode(self, raw: memoryview) -> frozenset[str]:
        """The items."""
        return frozenset(line for line in str(raw, "utf-8").split("\n") if line)


# A cart as a document: it merges itself.
CART = Map(things=Set, quantities=Map(of=CounterField))
QUANTITY = "quantity of "  # of a cart that is text: "quantity of tea: 3"


def merge_carts(siblings: Sequence[ringlet.Sibling[frozenset[str]]]) -> frozenset[str]:
    """The application's own rule: what anybody put into the cart is in the cart, and of two quantities
    the greater one counts.
    """
    lines = frozenset[str]().union(*(sibling.value for sibling in siblings))
    return with_quantities(things_of(lines), quantities_of(lines))


def things_of(lines: frozenset[str]) -> frozenset[str]:
    """The lines that are no quantities."""
    return frozenset(line for line in lines if not line.startswith(QUANTITY))


def quantities_of(lines: frozenset[str]) -> dict[str, int]:
    """The greatest quantity of each thing."""
    amounts: dict[str, int] = {}
    for line in lines:
        if line.startswith(QUANTITY):
            name, _, amount = line[len(QUANTITY) :].rpartition(": ")
            amounts[name] = max(amounts.get(name, 0), int(amount))
    return amounts


def with_quantities(things: frozenset[str], amounts: dict[str, int]) -> frozenset[str]:
    """A cart's lines."""
    return things | {f"{QUANTITY}{name}: {amount}" for name, amount in amounts.items()}


@dataclass(frozen=True)
class Change:
    """What a shopper wants of a cart."""

    kind: str  # "add", "remove": a label; "count": one more of a thing
    what: str

    def of_lines(self, lines: frozenset[str]) -> frozenset[str]:
        """The changed cart, as text."""
        if self.kind == "add":
            return lines | {self.what}
        if self.kind == "remove":
            return lines - {self.what}
        amounts = quantities_of(lines)
        amounts[self.what] = amounts.get(self.what, 0) + 1
        return with_quantities(things_of(lines), amounts)

    def of_document(self, cart: Any) -> None:
        """The same as an edit of a document."""
        if self.kind == "add":
            cart["things"].add(self.what)
        elif self.kind == "remove":
            cart["things"].discard(self.what)
        else:
            cart["quantities"][self.what].increment()


class Group:
    """Shoppers that share a client and carts."""

    def __init__(self, name: str, client: ringlet.Client, merge: str) -> None:
        self.name = name
        self.documents = merge == "document"
        codec: Any = CART if self.documents else CartCodec()
        self.carts = client.bucket("carts", codec=codec, timeout=CALL_SECONDS)
        self._lock = threading.Lock()
        self._adds = 0

    def next_cart(self, slot: int) -> str:
        """Counts an add and says which cart it goes to: one of OPEN_CARTS, until all are full."""
        with self._lock:
            self._adds += 1
            full = self._adds // (ADDS_PER_CART * OPEN_CARTS)
            return f"{self.name}-{full * OPEN_CARTS + slot}"


class Shopper:
    """Adds baskets line by line and now and then takes something out again."""

    def __init__(
        self,
        name: str,
        group: Group,
        baskets: list[list[str]],
        seed: int,
        down: Synchronized[int],
        counters: dict[str, Synchronized[int]],
    ) -> None:
        self._name = name
        self._group = group
        self._baskets = baskets
        self._random = random.Random(f"{seed}/{name}")
        self._down = down
        self._counters = counters
        self._adds = 0
        self.ledger = Ledger()
        self.failure: BaseException | None = None

    def run(self, stop: Event) -> None:
        """Shops until told to stop."""
        try:
            while not stop.is_set():
                for item in self._random.choice(self._baskets):
                    if stop.is_set():
                        return
                    self._add(item)
                    if self._random.randrange(REMOVE_EVERY) == 0:
                        self._remove()
        except (
            BaseException
        ) as failure:  # a mistake of the demo, not of the cluster: shown by the main process
            self.failure = failure

    def _add(self, item: str) -> None:
        self._adds += 1
        label = f"{item} ({self._name}.{self._adds})"
        cart = self._group.next_cart(self._random.randrange(OPEN_CARTS))
        if self._change(cart, Change("add", label)) == "done":
            self.ledger.acknowledged.setdefault(cart, set()).add(label)
            self._count("adds")
        if self._random.randrange(COUNT_EVERY) == 0:
            outcome = self._change(cart, Change("count", item))
            if outcome != "no":
                counts = self.ledger.counted if outcome == "done" else self.ledger.unsure_counted
                counts.setdefault(cart, Counter())[item] += 1

    def _remove(self) -> None:
        """Takes out something that this shopper itself put in."""
        cart = max(
            self.ledger.acknowledged, key=lambda name: int(name.rpartition("-")[2]), default=None
        )
        if cart is None:
            return
        gone = self.ledger.removed.get(cart, set()) | self.ledger.unsure_removed.get(cart, set())
        mine = sorted(self.ledger.acknowledged[cart] - gone)
        if not mine:
            return
        label = self._random.choice(mine)
        outcome = self._change(cart, Change("remove", label))
        if outcome == "done":
            self.ledger.removed.setdefault(cart, set()).add(label)
        elif outcome == "maybe":
            self.ledger.unsure_removed.setdefault(cart, set()).add(label)

    def _change(self, cart: str, change: Change) -> str:
        """One read-merge-write. "done": acknowledged; "maybe": it may have happened; "no": it did
        not.
        """
        self.ledger.carts.add(cart)
        if self._group.documents:
            return self._edit(cart, change)
        watch = Stopwatch(self.ledger, self._down)

        def merge(siblings: Sequence[ringlet.Sibling[frozenset[str]]]) -> frozenset[str]:
            watch.siblings = len(siblings)
            return merge_carts(siblings)

        def edit(items: frozenset[str] | None) -> frozenset[str]:
            watch.read(0 if items is None else max(1, watch.siblings))
            if watch.siblings > 1:
                self._count("siblings")
            changed = change.of_lines(items or frozenset())
            watch.wrote()
            return changed

        try:
            self._group.carts.update(cart, edit, resolver=merge)
        except ringlet.RingletError as error:
            return self._refused(error)
        watch.ended()
        return "done"

    def _edit(self, cart: str, change: Change) -> str:
        """The same of a document: there is no merge to be written, and none to be got wrong."""
        watch = Stopwatch(self.ledger, self._down)
        try:
            if self._random.randrange(LOOK_EVERY) == 0:
                found = self._group.carts.get(cart)
                versions = len(found.explain()["versions"])
                watch.read(versions)
                if versions > 1:
                    self._count("siblings")
            watch.wrote()
            self._group.carts.edit(cart, change.of_document)
        except ringlet.RingletError as error:
            return self._refused(error)
        watch.ended()
        return "done"

    def _refused(self, error: ringlet.RingletError) -> str:
        self.ledger.refused += 1
        self.ledger.maybe_applied += error.maybe_applied
        if len(self.ledger.refusals) < 3:
            self.ledger.refusals.append(f"{type(error).__name__}: {error}")
        self._count("refused")
        return "maybe" if error.maybe_applied else "no"

    def _count(self, name: str) -> None:
        counter = self._counters[name]
        with counter.get_lock():
            counter.value += 1


class Stopwatch:
    """Times the two halves of an update: until its function is asked, and from its answer on."""

    def __init__(self, ledger: Ledger, down: Synchronized[int]) -> None:
        self._ledger = ledger
        self._down = down
        self._was_down = down.value > 0
        self._start: float | None = time.monotonic()
        self._written: float | None = None
        self.siblings = 0

    def read(self, versions: int) -> None:
        """The function was asked. Only an update's first question is timed as a get; a later one
        ends a put.
        """
        if self._start is not None:
            self._note(self._ledger.get_ms, self._start)
            self._start = None
            if versions:
                self._ledger.versions[versions] += 1
        else:
            self.ended()

    def wrote(self) -> None:
        """The function answered: the put begins."""
        self._written = time.monotonic()
        self.siblings = 0

    def ended(self) -> None:
        """The put is acknowledged."""
        if self._written is not None:
            self._note(self._ledger.put_ms, self._written)
            self._written = None

    def _note(self, where: list[tuple[bool, float]], start: float) -> None:
        where.append((self._was_down or self._down.value > 0, (time.monotonic() - start) * 1000))


def shop(
    plan: Plan,
    stop: Event,
    down: Synchronized[int],
    counters: dict[str, Synchronized[int]],
    result: Connection,
) -> None:
    """A process of shoppers, from start to its ledger."""
    import signal

    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the main process's, which then sets `stop`
    ledger = Ledger()
    failures: list[str] = []
    clients = []
    shoppers = []
    for names in plan.groups:
        client = ringlet.connect(
            plan.seeds,
            timeout=CALL_SECONDS,
            client_cluster="demo",
            client_coordination=plan.coordination,
            client_update_attempts=100,
            journal=plan.journal,
        )
        clients.append(client)
        group = Group(names[0], client, plan.merge)
        shoppers += [
            Shopper(name, group, plan.baskets, plan.seed, down, counters) for name in names
        ]
    threads = [
        threading.Thread(target=shopper.run, args=(stop,), name="shopper") for shopper in shoppers
    ]
    for thread in threads:
        thread.start()
    parent = multiprocessing.parent_process()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.5)
            if parent is not None and not parent.is_alive():
                stop.set()  # nobody is left to shop for
    for shopper in shoppers:
        ledger.add(shopper.ledger)
        if shopper.failure is not None:
            failures.append(f"{type(shopper.failure).__name__}: {shopper.failure}")
    for client in clients:
        client.close()
    try:
        result.send((ledger, failures))
    except BrokenPipeError:
        pass
    result.close()
