# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Siblings
#
# Alice and Bob share a cart. A network fault parts them, and each goes on to shop. What is in the cart afterwards?
#
# This runs in `ringlet.lab`: the production code of nodes and clients in virtual time. Same seed, same run.

# %%
import ringlet
from ringlet.lab import Lab


def shop(**settings):
    """Both start with milk. In the partition Alice adds tea, and Bob puts jam in place of the milk."""
    lab = Lab(nodes=5, n=3, r=2, w=2, seed=7, **settings)
    alice, bob = lab.client("alice"), lab.client("bob")
    mine, his = (client.bucket("carts", codec=ringlet.Json) for client in (alice, bob))
    mine.put("cart", ["milk"])
    lab.run(1)
    first, second = mine.get("cart"), his.get("cart")
    with lab.partition({"n1", "n2", "alice"}, {"n3", "n4", "n5", "bob"}):
        mine.put("cart", ["milk", "tea"], context=first.context)
        his.put("cart", ["jam"], context=second.context)
    lab.settle()
    return lab, mine


# %% [markdown]
# ## Last write wins
# One of the two changes is gone, and neither of the two was told.

# %%
lww, cart = shop(reconcile="lww")
print(cart.get("cart").value)
lww.history("carts", "cart")

# %% [markdown]
# ## Siblings
# Ringlet's default keeps both: neither writer had seen the other's version, so neither replaces the other.

# %%
kept, cart = shop()
print([sibling.value for sibling in cart.get("cart").siblings])
kept.history("carts", "cart")

# %%
print(kept.why("carts", "cart"))

# %% [markdown]
# ## A merge of your own
# A resolver gets the siblings and says what they come to. The union of both keeps the tea and the jam, and the milk is back, which Bob
# had taken out: a list cannot say what was removed.

# %%
def union(siblings):
    return sorted({item for sibling in siblings for item in sibling.value})


with_union = kept.client("carol", resolver=union).bucket("carts", codec=ringlet.Json)
print(with_union.update("cart", lambda items: items).value)

# %% [markdown]
# ## A document
# A document knows what was removed. The same story, with a set of items.

# %%
from ringlet.document import Map, Set

Cart = Map(items=Set)
lab = Lab(nodes=5, n=3, r=2, w=2, seed=7)
mine, his = (lab.client(name).bucket("carts", codec=Cart) for name in ("alice", "bob"))
mine.edit("cart", lambda cart: cart["items"].add("milk"))
lab.run(1)
with lab.partition({"n1", "n2", "alice"}, {"n3", "n4", "n5", "bob"}):
    mine.edit("cart", lambda cart: cart["items"].add("tea"))
    with his.editing("cart") as cart:
        cart["items"].remove("milk")
        cart["items"].add("jam")
lab.settle()
merged = mine.get("cart").value["items"]
print(sorted(merged))

# %%
assert sorted(merged) == ["jam", "tea"]
assert len(lww.history("carts", "cart").data["versions"]) >= 3
assert sorted(with_union.get("cart").value) == ["jam", "milk", "tea"]
