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
# # 5. Failures and hinted handoff
#
# A node dies. What happens to a write that belongs on it? Another node takes the copy together with a *hint*, for whom it is, and hands it over
# when that node is back (section 4.6 of the paper).

# %%
from ringlet.lab import Lab

lab = Lab(nodes=5, n=3, r=2, w=2, seed=7)
alice = lab.client("alice")
carts = alice.bucket("carts")
carts.put("cart", b"milk")
preference = lab.ring("carts", "cart").data["key"]["preference"]
dead = preference[1]
print("the key lives on", preference)

# %% [markdown]
# One of its three nodes is killed. The write succeeds, and the copy for the dead node waits elsewhere.

# %%
began = lab.now
lab.kill(dead)
carts.put("cart", b"milk, tea", context=carts.get("cart").context)
lab.run(2)
lab.replicas("carts", "cart")

# %%
held = [node for node in lab.replicas("carts", "cart").data["nodes"] if node["role"] == "hint"]
print([(node["name"], "for", node["hint_for"]) for node in held])

# %% [markdown]
# It comes back, and is handed what it missed. In the timeline the parcels are hints.

# %%
lab.restart(dead)
settled = lab.settle()
lab.timeline("carts", "cart", since=began, until=began + 6)

# %%
lab.replicas("carts", "cart")

# %% [markdown]
# ## A slow node is not a dead one
# A node that stands still (its machine is suspended, its disk hangs) answers nothing, and no connection breaks that would say so. The coordinator
# asks another node early instead of waiting.

# %%
quick = Lab(nodes=5, n=3, r=2, w=2, seed=7)
bucket = quick.client("alice").bucket("carts")
for number in range(200):
    bucket.put(f"cart-{number}", b"tea")
with quick.pause("n2"):
    for number in range(400):
        bucket.get(f"cart-{number % 200}")
print(quick.latencies())

# %%
assert held
assert held[0]["hint_for"] == dead
assert settled
final = lab.replicas("carts", "cart").data["nodes"]
assert not [node for node in final if node["role"] == "hint"]
assert carts.get("cart").value == b"milk, tea"
