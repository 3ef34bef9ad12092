"""The log of an order, in Python: an edit that must not be made twice, and a resolver of our own.

    order_log.py SEEDS ORDER append TEXT        order_log.py SEEDS ORDER show

The log of ORDER is a value in the bucket "orders": UTF-8 text, one entry a line, in order. An entry is
"NUMBER ID TEXT", where NUMBER is one more than the greatest that its writer saw and ID is drawn at random.
So two clerks who append at the same time write two entries with one number, and the same words twice are two
entries, too. The C, C++ and Java examples write the same logs.

`update` calls `append` at most once, and exactly once when it succeeds; what the write met, `merge`
puts together. Appending again in the merge would put the entry into the log twice.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence

import ringlet

USAGE = "usage: order_log.py SEEDS ORDER append TEXT | show"


def lines_of(log: str | None) -> list[str]:
    """The entries, in order."""
    return [line for line in (log or "").split("\n") if line]


def merge(siblings: Sequence[ringlet.Sibling[str]]) -> str:
    """Every entry of any version, each once: an entry that two versions share is the same line in both."""
    lines = {line for sibling in siblings for line in lines_of(sibling.value)}
    return "".join(f"{line}\n" for line in sorted(lines))


def append(log: str | None, text: str) -> str:
    """The log with one more entry. Not idempotent: called twice, it appends two entries."""
    lines = lines_of(log)
    number = int(lines[-1].split(" ")[0]) + 1 if lines else 1
    return (log or "") + f"{number:08} {secrets.token_hex(8)} {text}\n"


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    match arguments:
        case [seeds, order, "show"]:
            text = None
        case [seeds, order, "append", text] if text and "\n" not in text:
            pass
        case _:
            print(f"{USAGE}\norder_log: an entry is one line of text", file=sys.stderr)
            return 2
    try:
        with ringlet.connect(seeds, timeout=5.0) as client:
            orders = client.bucket("orders", codec=ringlet.Text, resolver=merge)
            if text is None:
                log = orders.get(order)
            else:
                log = orders.update(order, lambda old: append(old, text))
            lines = lines_of(log.resolved(merge)) if log else []
    except ringlet.RingletError as error:
        maybe = " (the entry may be in the log: look before you append it again)"
        print(f"order_log: {error}{maybe if error.maybe_applied else ''}", file=sys.stderr)
        return 1
    for line in lines:
        number, _, words = line.split(" ", 2)
        print(f"{int(number)} {words}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
