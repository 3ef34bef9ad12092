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
# # 4. The ring
#
# Which nodes keep a key? Section 6.2 of the Dynamo paper compares three ways to cut the ring. Ringlet uses the third: Q partitions of equal
# size, and each node is given Q/S of them.

# %%
import random
import statistics

from ringlet.lab import Lab

lab = Lab(nodes=5, n=3, r=2, w=2, seed=7, partitions=64)
client = lab.client("alice")
bucket = client.bucket("carts")
for number in range(300):
    bucket.put(f"cart-{number}", b"tea")
lab.ring("carts", "cart-0")

# %% [markdown]
# ## A join
# A sixth node joins. It takes some partitions of each of the others; the rest stay where they are. Every read in between finds its value.

# %%
before = {slot["partition"]: slot["owners"] for slot in lab.ring().data["slots"]}
lab.join("n6")
reads = 0
for number in range(300):
    assert bucket.get(f"cart-{number}").value == b"tea"
    reads += 1
settled = lab.settle()
after = {slot["partition"]: slot["owners"] for slot in lab.ring().data["slots"]}
moved = sum(len(set(after[p]) - set(before[p])) for p in after)
total = sum(len(owners) for owners in after.values())
print(f"{reads} reads during the join; {moved} of {total} places in preference lists changed their node")
lab.ring()

# %% [markdown]
# ## Strategies 1 to 3, figure 8
# How even is the load? The paper's measure is *load balancing efficiency*: the mean load of a node over that of the busiest one. With S=30
# nodes and N=3, as in figure 8, by the number of tokens of a node. Here the load of a node is the share of keys for which it is in the
# preference list.

# %%
S, N = 30, 3


def efficiency(load):
    return statistics.mean(load) / max(load)


def owners_after(tokens, position):
    """The first N different nodes clockwise from a position on the ring."""
    found = []
    for step in range(len(tokens)):
        node = tokens[(position + step) % len(tokens)][1]
        if node not in found:
            found.append(node)
        if len(found) == N:
            return found
    return found


def strategy_1(count, rng):
    """T random tokens a node; a partition reaches from one token to the next."""
    tokens = sorted((rng.random(), node) for node in range(S) for _ in range(count))
    load = [0.0] * S
    for i, (token, _) in enumerate(tokens):
        size = (token - tokens[i - 1][0]) % 1.0
        for node in owners_after(tokens, i):
            load[node] += size
    return efficiency(load)


def strategy_2(count, rng, partitions=3072):
    """T random tokens a node; partitions of equal size, kept by the N nodes that follow their end."""
    tokens = sorted((rng.random(), node) for node in range(S) for _ in range(count))
    load, at = [0.0] * S, 0
    for partition in range(1, partitions + 1):
        while at < len(tokens) and tokens[at][0] < partition / partitions:
            at += 1
        for node in owners_after(tokens, at % len(tokens)):
            load[node] += 1
    return efficiency(load)


def strategy_3(count, rng):
    """Q/S tokens a node, partitions of equal size: in each round of S partitions each node is first once."""
    order = []
    for _ in range(count):
        places = list(range(S))
        rng.shuffle(places)
        order += places
    tokens = [(i, node) for i, node in enumerate(order)]
    load = [0.0] * S
    for i in range(len(tokens)):
        for node in owners_after(tokens, i):
            load[node] += 1
    return efficiency(load)


rng = random.Random(8)
figure = {
    strategy.__name__: {
        count: statistics.mean(strategy(count, rng) for _ in range(10)) for count in (5, 10, 20, 50)
    }
    for strategy in (strategy_1, strategy_2, strategy_3)
}
print("tokens a node   " + "".join(f"{count:>8}" for count in figure["strategy_1"]))
for name, values in figure.items():
    print(f"{name:<16}" + "".join(f"{value:>8.3f}" for value in values.values()))

# %% [markdown]
# The third is the most even at every size, as in the paper's figure, and its membership is the smallest to send: Q names in a row, instead of a
# token for each place.

# %%
assert settled
assert len(lab.ring().data["members"]) == 6
assert 0 < moved < total / 2
assert all(figure["strategy_3"][count] > figure["strategy_1"][count] for count in (5, 10, 20, 50))
