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
# # 1. Quick start
#
# `ringlet.local_cluster()` starts real nodes in this process, with their data in memory. Each value is kept on N nodes; a write returns
# once W of them have it, a read asks R of them.

# %%
import ringlet

cluster = ringlet.local_cluster(nodes=5, n=3, r=2, w=2)
client = cluster.connect(timeout=5.0)
carts = client.bucket("carts", codec=ringlet.Json)

# %% [markdown]
# A write says what it replaces by the *context* of the read before it. `update` does read, edit and write in one, and again if another
# write came between.

# %%
carts.put("alice", ["tea"])
read = carts.get("alice")
carts.put("alice", [*read.value, "milk"], context=read.context)
carts.update("alice", lambda cart: [*cart, "sugar"])
carts.get("alice").value

# %% [markdown]
# Where does this key live? The ring says so: each partition has a preference list of nodes.

# %%
client.ring("carts", "alice")

# %% [markdown]
# And what does each of them hold?

# %%
client.inspect("carts", "alice", codec=ringlet.Json)

# %% [markdown]
# Two of five nodes die. Writes go on: other nodes take the copies of the dead ones, as *hints*, until those are back.

# %%
cluster.kill(0)
cluster.kill(1)
for number in range(20):
    carts.put(f"order-{number}", [number])
print("20 writes while two of five nodes were dead")
cluster.restart(0)
cluster.restart(1)

# %%
assert carts.get("alice").value == ["tea", "milk", "sugar"]
assert all(carts.get(f"order-{number}").value == [number] for number in range(20))
client.close()
cluster.close()
