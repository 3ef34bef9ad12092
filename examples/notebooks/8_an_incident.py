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
# # 8. A production incident, replayed
#
# Carts lost items last night. The service kept a *conflict journal*: each conflict that its merge met, with the siblings and what it made of them. Would
# another merge have done better? Run it over yesterday's conflicts and see.

# %%
import os
import tempfile

import ringlet
from ringlet.lab import Lab

journal = os.path.join(tempfile.mkdtemp(), "conflicts.jsonl")


def longest(siblings):
    return max((sibling.value for sibling in siblings), key=len)


def union(siblings):
    return sorted({item for sibling in siblings for item in sibling.value})


# %% [markdown]
# ## Last night
# The network between two data centres came and went, and both went on to take orders.

# %%
lab = Lab(nodes=6, n=3, r=2, w=2, seed=11)
goods = ["tea", "milk", "jam", "rice", "salt", "eggs"]
shops = []
for name in ("east", "west"):
    client = lab.client(name, resolver=longest, journal=journal)
    shops.append(client.bucket("carts", codec=ringlet.Json))
ordered = {}
for night in range(6):
    with lab.partition({"n1", "n2", "n3", "east"}, {"n4", "n5", "n6", "west"}):
        for turn in range(10):
            cart, item = f"cart-{turn % 5}", goods[(night + turn) % 6]
            shops[turn % 2].update(cart, lambda items: sorted({*(items or []), item}))
            ordered.setdefault(cart, set()).add(item)
    lab.settle()
    for cart in ordered:
        shops[0].update(cart, lambda items: items or [])
lost = {cart: sorted(items - set(shops[0].get(cart).value)) for cart, items in ordered.items()}
print("lost:", {cart: items for cart, items in lost.items() if items})

# %% [markdown]
# ## The journal

# %%
with open(journal) as lines:
    conflicts = lines.readlines()
print(len(conflicts), "conflicts; the first one:")
print(conflicts[0][:400])

# %% [markdown]
# ## Another merge over the same conflicts

# %%
replayed = ringlet.replay(journal, merge=union, codec=ringlet.Json)
print(replayed)

# %% [markdown]
# `check_merge` takes the journal, too: the siblings of last night are asked all laws.

# %%
report = ringlet.check_merge(
    union, edits=[lambda items: sorted({*(items or []), "tea"})], observe=set, journal=journal, histories=100
)
print(report.ok)

# %%
assert any(lost.values()), "the longest list loses items"
assert conflicts
assert report.ok
