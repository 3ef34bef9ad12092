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
# # 6. Anti-entropy
#
# Hints mend what was missed while a node was away. What if its disk was lost, and hints with it? Replicas compare *Merkle trees* of the key
# ranges they share, and exchange what differs (section 4.7 of the paper).

# %%
from ringlet.lab import Lab

lab = Lab(nodes=3, n=3, r=2, w=2, seed=7, partitions=8)
bucket = lab.client("alice").bucket("carts")
for number in range(200):
    bucket.put(f"cart-{number}", b"tea")
lab.settle()

# %% [markdown]
# n2 loses its disk. Of the 200 carts it has none.

# %%
lab.kill("n2", machine=True)
lab.wipe("n2")
lab.restart("n2")


def carts_of(node):
    return sum(
        any(row["name"] == node and row["versions"] for row in lab.replicas("carts", f"cart-{number}").data["nodes"])
        for number in range(200)
    )


lost = carts_of("n2")
print("n2 has", lost, "of 200 carts")

# %% [markdown]
# No client reads; the trees alone repair it.

# %%
settled = lab.settle()
found = carts_of("n2")
print("n2 has", found, "of 200 carts")
lab.trees("n1", "n2")

# %% [markdown]
# ## A backup that is too old
# The same with an old disk: what was deleted since the backup must not come back from it.

# %%
lab.kill("n3", machine=True)
lab.backup("n3")
lab.restart("n3")
lab.run(2)
for number in range(0, 200, 2):
    bucket.delete(f"cart-{number}", context=bucket.get(f"cart-{number}").context)
lab.kill("n3", machine=True)
lab.restore("n3")
lab.restart("n3")
lab.settle()
back = [number for number in range(0, 200, 2) if bucket.get(f"cart-{number}").siblings]
print(len(back), "of 100 deleted carts are back")

# %%
assert lost < 200
assert settled
assert found == 200
assert not back
assert all(bucket.get(f"cart-{number}").value == b"tea" for number in range(1, 200, 2))
