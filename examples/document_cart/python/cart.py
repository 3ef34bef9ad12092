"""A shopping cart as a document: no merge is written, and what was removed does not come back.

    cart.py SEEDS NAME                       shows the cart
    cart.py SEEDS NAME add THING [AMOUNT]    puts something in
    cart.py SEEDS NAME remove THING          takes it out
    cart.py SEEDS NAME coupon CODE           adds a coupon
"""

from __future__ import annotations

import sys

import ringlet
from ringlet.document import Counter, Map, Set

CART = Map(items=Map(of=Counter), coupons=Set)
USAGE = "wanted SEEDS NAME, then nothing, add THING [AMOUNT], remove THING or coupon CODE"


def main(arguments: list[str]) -> int:
    """One call; the exit status is 2 for wrong words and 1 for a cluster that could not."""
    match arguments:
        case [seeds, name]:
            change = None
        case [seeds, name, "add", thing, *more] if len(more) < 2:
            amount = int(more[0]) if more and more[0].lstrip("-").isdigit() else 1

            def change(cart: ringlet.document.MapEditor) -> None:
                cart["items"][thing].increment(amount)

        case [seeds, name, "remove", thing]:

            def change(cart: ringlet.document.MapEditor) -> None:
                cart["items"].discard(thing)

        case [seeds, name, "coupon", code]:

            def change(cart: ringlet.document.MapEditor) -> None:
                cart["coupons"].add(code)

        case _:
            print(f"cart: {USAGE}", file=sys.stderr)
            return 2
    try:
        with ringlet.connect(seeds, timeout=5.0) as client:
            carts = client.bucket("carts", codec=CART)
            found = carts.get(name) if change is None else carts.edit(name, change)
            cart = found.value if found else {"items": {}, "coupons": set()}
    except ringlet.RingletError as error:
        print(f"cart: {error}", file=sys.stderr)
        return 1
    for thing, amount in sorted(cart["items"].items()):
        print(f"{amount:4} {thing}")
    for code in sorted(cart["coupons"]):
        print(f"coupon {code}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
