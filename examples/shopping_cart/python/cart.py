"""A shopping cart in Python: cart.py SEEDS CUSTOMER add ITEM… | remove ITEM | show

The cart of a customer is a value in the bucket "carts": UTF-8 text, the items sorted, one a line.
The C, C++ and Java examples read and write the same carts. When two people change a cart at the
same time, all that either of them put in is in the cart; an item that only one of them took out
comes back.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import ringlet

USAGE = "usage: cart.py SEEDS CUSTOMER add ITEM... | remove ITEM | show"


def items_of(cart: str | None) -> set[str]:
    """The lines of the text."""
    return {line for line in (cart or "").split("\n") if line}


def text_of(items: set[str]) -> str:
    """The same cart is the same text."""
    return "".join(f"{item}\n" for item in sorted(items))


def merge(siblings: Sequence[ringlet.Sibling[str]]) -> str:
    """What anybody put into the cart is in the cart."""
    return text_of(set().union(*(items_of(sibling.value) for sibling in siblings)))


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    if len(arguments) < 3:
        print(USAGE, file=sys.stderr)
        return 2
    seeds, customer, verb, *items = arguments
    wanted = {"add": len(items) >= 1, "remove": len(items) == 1, "show": not items}
    if not wanted.get(verb, False) or any("\n" in item or not item for item in items):
        print(
            f"{USAGE}\ncart: got {verb} with {len(items)} items; an item is a line of text",
            file=sys.stderr,
        )
        return 2
    try:
        with ringlet.connect(seeds, timeout=5.0) as client:
            carts = client.bucket("carts", codec=ringlet.Text, resolver=merge)
            if verb == "add":
                cart = carts.update(customer, lambda text: text_of(items_of(text) | set(items)))
            elif verb == "remove":
                cart = carts.update(customer, lambda text: text_of(items_of(text) - set(items)))
            else:
                cart = carts.get(customer)
            sys.stdout.write(cart.resolved(merge) if cart else "")
    except ringlet.RingletError as error:
        maybe = " (the change may have been made)" if error.maybe_applied else ""
        print(f"cart: {error}{maybe}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
