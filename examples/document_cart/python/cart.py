"""A shopping cart as a document, in Python: no merge is written, and what was removed does not come back.

    cart.py SEEDS CUSTOMER show                 cart.py SEEDS CUSTOMER add THING [AMOUNT]
    cart.py SEEDS CUSTOMER remove THING         cart.py SEEDS CUSTOMER coupon CODE

The cart is the document CUSTOMER in the bucket "baskets": a map "items" of counters and a set "coupons".
The C, C++ and Java examples use the same carts. Two shoppers may change a cart at the same time: amounts
add up, and a thing is gone only if the shopper who removed it had seen it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import ringlet
from ringlet.document import Counter, Map, MapEditor, Set

CART = Map(items=Map(of=Counter), coupons=Set)
USAGE = """usage: cart.py SEEDS CUSTOMER show | add THING [AMOUNT] | remove THING | coupon CODE
cart: an amount is a whole number from 1 to 1000000"""


def change_of(words: list[str]) -> Callable[[MapEditor], object] | None:
    """What the words ask for, None for "show". An edit says what is to be done; Ringlet does it."""
    match words:
        case ["show"]:
            return None
        case ["add", thing]:
            return lambda cart: cart["items"][thing].increment()
        case ["add", thing, amount] if amount.isdecimal() and 1 <= int(amount) <= 1_000_000:
            return lambda cart: cart["items"][thing].increment(int(amount))
        case ["remove", thing]:
            return lambda cart: cart["items"].discard(thing)
        case ["coupon", code]:
            return lambda cart: cart["coupons"].add(code)
    raise ValueError(USAGE)


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit status."""
    try:
        seeds, customer, *words = arguments
        change = change_of(words)
    except ValueError:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        with ringlet.connect(seeds, timeout=5.0) as client:
            carts = client.bucket("baskets", codec=CART)
            found = carts.edit(customer, change) if change else carts.get(customer)
            cart = found.value if found else {"items": {}, "coupons": set()}
    except ringlet.RingletError as error:
        maybe = " (the change may have been made)" if error.maybe_applied else ""
        print(f"cart: {error}{maybe}", file=sys.stderr)
        return 1
    for code in sorted(cart["coupons"]):
        print(f"coupon {code}")
    for thing, amount in sorted(cart["items"].items()):
        print(f"{amount:4} {thing}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
