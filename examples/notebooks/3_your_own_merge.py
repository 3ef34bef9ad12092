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
# # 3. Your own merge, broken and mended
#
# A merge function is the part of a Dynamo application that loses data when it is wrong, and it runs when no test looks: when two processes
# wrote the same key and had not seen each other. `ringlet.check_merge` draws such histories and tries to break it.

# %%
import ringlet
from ringlet.laws import adding, counting, removing

# %% [markdown]
# ## A merge that looks right
# Carts are lists, and the longest one wins: it has the most in it.

# %%
def longest(siblings):
    return max((sibling.value for sibling in siblings), key=len)


def put_in(item):
    return adding(item, lambda items: sorted({*(items or []), item}))


def take_out(item):
    return removing(item, lambda items: [i for i in (items or []) if i != item])


edits = [put_in("tea"), put_in("milk"), put_in("jam"), take_out("tea")]
broken = ringlet.check_merge(longest, edits=edits, observe=set)
broken

# %% [markdown]
# The report has the law that is broken, the smallest history that was found, and code that repeats it.

# %%
print(broken)

# %% [markdown]
# ## Mended: the union
# Nothing that was added is lost any more. But what was taken out may come back, which this merge cannot know, and the report counts it.

# %%
def union(siblings):
    return sorted({item for sibling in siblings for item in sibling.value})


mended = ringlet.check_merge(union, edits=edits, observe=set)
print(mended)

# %% [markdown]
# Where the application promises that what was removed stays removed, it is a failure:

# %%
promised = ringlet.check_merge(union, edits=edits, observe=set, removed_stays=True)
print(promised.broken)

# %% [markdown]
# ## Quantities
# The sum counts twice what both sides had; the maximum forgets one of two additions.

# %%
def added(siblings):
    return sum(sibling.value for sibling in siblings)


def greatest(siblings):
    return max(sibling.value for sibling in siblings)


count = [counting(1, lambda value: (value or 0) + 1), counting(5, lambda value: (value or 0) + 5)]
sums, maxima = (ringlet.check_merge(merge, edits=count, measure=int) for merge in (added, greatest))
print(sums.broken, maxima.broken)

# %% [markdown]
# ## The document
# A document merges itself. Its edits are said, not computed, so nothing is counted twice and what was removed stays removed.

# %%
from ringlet.document import Map, Set

document = ringlet.check_merge(
    Map(items=Set),
    edits=[
        adding("tea", lambda cart: cart["items"].add("tea")),
        adding("milk", lambda cart: cart["items"].add("milk")),
        removing("tea", lambda cart: cart["items"].discard("tea")),
    ],
    observe=lambda value: set(value["items"]),
    removed_stays=True,
    histories=100,
)
print(document)

# %%
assert "no edit lost" in broken.broken
assert mended.ok
assert promised.broken == ("removed stays removed",)
assert "counted once" in sums.broken
assert "counted once" in maxima.broken
assert document.ok
