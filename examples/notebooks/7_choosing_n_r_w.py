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
# # 7. Choosing N, R and W
#
# R + W > N makes a read meet the latest write. Less is faster, and now and then stale. How often, and how much faster?

# %%
from ringlet.lab import Lab


def workload(lab):
    """Two clients, one writes and the other reads soon after, on a network with a long tail."""
    writer, reader = lab.client("writer").bucket("b"), lab.client("reader").bucket("b")
    for number in range(150):
        key = f"k{number % 10}"
        writer.put(key, str(number).encode(), context=writer.get(key).context)
        reader.get(key)


table = Lab.sweep(
    over={"r": [1, 2, 3], "w": [1, 2, 3]}, workload=workload, nodes=5, n=3, seed=7, latency=0.005, slow=0.02
)
table

# %% [markdown]
# ## Beside the formula
# Bailis and others ("Probabilistically Bounded Staleness for Practical Partial Quorums", VLDB 2012) give the chance that a read misses the latest
# write where a write stays on its W nodes and a read asks R at random (their equation 1): the number of ways to choose R of the N - W nodes without
# it, over the number of ways to choose R of N. A store that sends each write to all N, as Dynamo and Ringlet do, is staler than that only for as long as the
# other copies are under way.

# %%
from math import comb


def misses(n, r, w):
    return comb(n - w, r) / comb(n, r)


print(" r  w   formula  measured")
for row in table:
    print(f"{row['r']:>2} {row['w']:>2} {misses(3, row['r'], row['w']):>9.3f} {row['stale']:>9.3f}")

# %% [markdown]
# ## Staleness by the age of the write

# %%
stale = Lab(nodes=5, n=3, r=1, w=1, seed=7, latency=0.005, slow=0.02)
writer, reader = stale.client("writer").bucket("b"), stale.client("reader").bucket("b")
for number in range(300):
    key = f"k{number % 10}"
    writer.put(key, str(number).encode(), context=writer.get(key).context)
    stale.run((0, 0.002, 0.005, 0.01, 0.02, 0.05)[number % 6])
    reader.get(key)
stale.staleness()

# %%
stale.latencies()

# %%
strict = [row for row in table if row["r"] + row["w"] > 3]
assert all(row["stale"] == 0 for row in strict), "R + W > N is never stale"
assert all(row["stale"] <= misses(3, row["r"], row["w"]) + 0.05 for row in table)
assert min(row["p99_ms"] for row in strict) >= min(row["p50_ms"] for row in table)
