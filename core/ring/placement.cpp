#include "ring/placement.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/assert.hpp"

namespace ringlet {
namespace {

using Wide = unsigned __int128;

Wide wide(const Token& token) {
  return static_cast<Wide>(token.high) << 64 | token.low;
}

// Token 0 is the last of the circle, so positions count from token 1.
Wide position(const Token& token) {
  return wide(token) - 1;
}

bool stands_before(const Token& a, const Token& b) {
  return position(a) < position(b);
}

// Owners of q partitions on a circle. "Cost" counts neighbours that repeat: a node is worse than any
// number of zones.
class Circle {
 public:
  Circle(const std::vector<PlacementNode>& nodes, std::vector<std::uint32_t> owners,
         std::uint32_t q, std::uint32_t replicas)
      : q_(q), zones_(nodes.size()), owners_(std::move(owners)) {
    std::map<std::string, std::uint32_t> numbers;
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].zone.empty()) {
        zones_[i] = next++;
      } else if (auto [at, fresh] = numbers.try_emplace(nodes[i].zone, next); fresh) {
        zones_[i] = next++;
      } else {
        zones_[i] = at->second;
      }
    }
    auto count = static_cast<std::uint32_t>(nodes.size());
    node_reach_ = std::min({replicas, count, q});
    zone_reach_ = std::min(node_reach_, next);
  }

  std::uint64_t cost() const {
    std::uint64_t total = 0;
    for (std::uint32_t p = 0; p < q_; ++p) total += cost_at(p);
    return total / 2;
  }

  const std::vector<std::uint32_t>& owners() const { return owners_; }

 protected:
  static constexpr std::uint64_t node_repeats = 1'000'000;

  std::uint64_t cost_between(std::uint32_t a, std::uint32_t b, std::uint32_t distance) const {
    if (a == no_owner || b == no_owner) return 0;
    if (a == b && distance < node_reach_) return node_repeats;
    return zones_[a] == zones_[b] && distance < zone_reach_ ? 1 : 0;
  }

  std::uint64_t cost_at(std::uint32_t p) const { return cost_if(p, owners_[p]); }
  std::uint64_t cost_if(std::uint32_t p, std::uint32_t node) const {
    std::uint64_t total = 0;
    for (std::uint32_t d = 1; d < node_reach_; ++d) {
      total += cost_between(node, owners_[p + d < q_ ? p + d : p + d - q_], d);
      total += cost_between(node, owners_[p >= d ? p - d : p + q_ - d], d);
    }
    return total;
  }

  std::uint32_t q_;
  std::uint32_t node_reach_;  // neighbours nearer than this are distinct nodes
  std::uint32_t zone_reach_;  // and nearer than this in distinct zones
  std::vector<std::uint32_t> zones_;
  std::vector<std::uint32_t> owners_;
};

// Filled in clockwise, then mended.
class Arrangement : public Circle {
 public:
  Arrangement(const std::vector<PlacementNode>& nodes, std::vector<std::uint32_t> shares,
              std::uint32_t q, std::uint32_t replicas)
      : Circle(nodes, std::vector<std::uint32_t>(q), q, replicas), shares_(std::move(shares)) {}

  // Each node's k-th partition is due near (k + 1)/share of the circle; `looseness` (in 1024ths of
  // that distance) moves the due dates about, so that neighbours vary.
  void fill(std::int64_t looseness, Random random) {
    std::size_t count = shares_.size();
    std::vector<std::uint32_t> placed(count, 0);
    std::vector<std::int64_t> due(count);
    auto set_due = [&](std::uint32_t node) {
      if (placed[node] == shares_[node]) return;
      std::int64_t k = (placed[node] + 1) * 1024ll + random.between(-looseness, looseness);
      due[node] = k * 4096 * q_ / shares_[node];
    };
    for (std::uint32_t node = 0; node < count; ++node) set_due(node);
    for (std::uint32_t p = 0; p < q_; ++p) {
      std::uint32_t best = 0;
      std::uint64_t best_cost = UINT64_MAX;
      for (std::uint32_t node = 0; node < count; ++node) {
        if (placed[node] == shares_[node]) continue;
        if (best_cost != UINT64_MAX && best_cost == 0 && due[node] >= due[best]) continue;
        std::uint64_t cost = cost_of_next(p, node);
        if (cost < best_cost || (cost == best_cost && due[node] < due[best])) {
          best = node;
          best_cost = cost;
        }
      }
      owners_[p] = best;
      ++placed[best];
      set_due(best);
    }
  }

  // Swaps partitions while that lowers the cost, within a number of tries fixed beforehand.
  void mend(std::uint64_t tries) {
    bool better = true;
    while (better && tries > 0) {
      better = false;
      for (std::uint32_t p = 0; p < q_ && tries > 0; ++p) {
        if (cost_at(p) == 0) continue;
        for (std::uint32_t step = 1; step < q_ && tries > 0; ++step, --tries) {
          if (try_swap(p, (p + step) % q_)) {
            better = true;
            if (cost_at(p) == 0) break;
          }
        }
      }
    }
  }

 private:
  // Against those placed before p, and across the wrap against the first ones.
  std::uint64_t cost_of_next(std::uint32_t p, std::uint32_t node) const {
    std::uint64_t total = 0;
    for (std::uint32_t d = 1; d < node_reach_; ++d) {
      if (d <= p) total += cost_between(node, owners_[p - d], d);
      if (p + d >= q_ && p + d - q_ < p) total += cost_between(node, owners_[p + d - q_], d);
    }
    return total;
  }

  bool try_swap(std::uint32_t a, std::uint32_t b) {
    if (owners_[a] == owners_[b]) return false;
    std::uint64_t before = cost_at(a) + cost_at(b);
    std::swap(owners_[a], owners_[b]);
    if (cost_at(a) + cost_at(b) < before) return true;
    std::swap(owners_[a], owners_[b]);
    return false;
  }

  std::vector<std::uint32_t> shares_;
};

// Owners of a circle that is in use, changed in as few places as the new shares allow. Which places
// is what can be chosen: first greedily, then by exchanges that leave the number of moves as it is.
class Rebalance : public Circle {
 public:
  struct Shares {
    std::vector<std::uint32_t> wanted, least, most;
  };
  Rebalance(const std::vector<PlacementNode>& nodes, std::vector<std::uint32_t> owners,
            Shares shares, std::uint32_t q, std::uint32_t replicas)
      : Circle(nodes, std::move(owners), q, replicas),
        origin_(owners_),
        shares_(std::move(shares)) {}

  enum class Spread { random, evenly, packed };
  void fill(Spread spread, Random& random) {
    owners_ = origin_;
    moved_.clear();
    counts_.assign(shares_.wanted.size(), 0);
    for (std::uint32_t owner : owners_) {
      if (owner != no_owner) ++counts_[owner];
    }
    std::vector<std::uint32_t> takers;
    std::uint32_t most_lacking = 0;
    auto lacks = [&](std::uint32_t node) {
      return counts_[node] < shares_.wanted[node] ? shares_.wanted[node] - counts_[node] : 0;
    };
    for (std::uint32_t node = 0; node < counts_.size(); ++node) {
      if (lacks(node) == 0) continue;
      takers.push_back(node);
      most_lacking = std::max(most_lacking, lacks(node));
    }
    std::vector<std::uint32_t> last(counts_.size(), 0);
    for (std::uint32_t node : takers) last[node] = static_cast<std::uint32_t>(random.below(q_));
    // Whoever lacks more begins earlier, so that all end together.
    for (std::uint32_t lacking = most_lacking; lacking > 0; --lacking) {
      for (std::uint32_t node : takers) {
        if (lacks(node) >= lacking) take_best(node, spread, last[node], random);
      }
    }
  }

  void mend(std::int64_t tries, Random& random) {
    std::uint64_t best = cost();
    std::vector<std::uint32_t> best_owners = owners_;
    for (int idle = 0; best > 0 && tries > 0 && idle < 4; ++idle) {
      bool tried = false;
      for (std::uint32_t p = 0; p < q_ && tries > 0; ++p) {
        if (cost_at(p) == 0) continue;
        std::int64_t before = tries;
        improve(p, &tries, random);
        tried |= tries != before;
      }
      if (std::uint64_t now = cost(); now < best) {
        best = now;
        best_owners = owners_;
        idle = -1;
      }
      if (!tried) break;
    }
    owners_ = best_owners;
  }

 private:
  void take_best(std::uint32_t node, Spread spread, std::uint32_t& last, Random& random) {
    std::uint32_t best = q_;
    std::int64_t best_cost = INT64_MAX;
    std::uint64_t alike = 0;
    std::uint32_t stride = q_ / shares_.wanted[node];
    std::uint32_t start = spread == Spread::evenly ? (last + stride) % q_ : last;
    for (std::uint32_t step = 0, p = start; step < q_; ++step, p = p + 1 == q_ ? 0 : p + 1) {
      std::uint32_t owner = owners_[p];
      if (owner == node || origin_[p] != owner) continue;  // its own, or taken already
      if (owner != no_owner && counts_[owner] <= shares_.wanted[owner]) continue;
      std::int64_t cost = static_cast<std::int64_t>(cost_if(p, node)) -
                          static_cast<std::int64_t>(owner == no_owner ? 0 : cost_at(p));
      if (cost > best_cost) continue;
      if (cost < best_cost) alike = 0;
      ++alike;
      if (cost == best_cost && (spread != Spread::random || random.below(alike) != 0)) continue;
      best = p;
      best_cost = cost;
    }
    RINGLET_ASSERT(best < q_);
    if (owners_[best] != no_owner) --counts_[owners_[best]];
    owners_[best] = node;
    ++counts_[node];
    moved_.push_back(best);
    last = best;
  }

  bool is_moved(std::uint32_t p) const { return owners_[p] != origin_[p]; }

  // Keeps the change if it is better, at times if it is as good (so as to get out of a dead end).
  bool keep(std::uint32_t a, std::uint32_t a_owner, std::uint32_t b, std::uint32_t b_owner,
            Random& random) {
    std::uint64_t before = cost_at(a) + cost_at(b);
    std::swap(owners_[a], a_owner);
    std::swap(owners_[b], b_owner);
    std::uint64_t after = cost_at(a) + cost_at(b);
    if (after < before || (after == before && random.below(32) == 0)) return true;
    owners_[a] = a_owner;
    owners_[b] = b_owner;
    return false;
  }

  void improve(std::uint32_t p, std::int64_t* tries, Random& random) {
    if (!is_moved(p)) {
      // Another slot of its owner went; could this one have gone instead?
      for (std::uint32_t& other : moved_) {
        if (origin_[other] != owners_[p] || owners_[other] == origin_[other]) continue;
        if (--*tries <= 0) return;
        if (keep(other, owners_[p], p, owners_[other], random)) {
          other = p;
          return;
        }
      }
      return;
    }
    auto self = std::find(moved_.begin(), moved_.end(), p);
    if (self == moved_.end()) return;
    std::size_t first = random.below(moved_.size());
    for (std::size_t i = 0; i < moved_.size(); ++i) {
      std::uint32_t other = moved_[(first + i) % moved_.size()];
      // Neither may go back to whence it came: that would be a swap of the other kind.
      if (owners_[other] == owners_[p] || owners_[other] == origin_[p] ||
          owners_[p] == origin_[other]) {
        continue;
      }
      if (--*tries <= 0) return;
      if (keep(p, owners_[other], other, owners_[p], random) && cost_at(p) == 0) return;
    }
    std::uint32_t origin = origin_[p];
    if (origin != no_owner) {
      std::uint32_t from = static_cast<std::uint32_t>(random.below(q_));
      for (std::uint32_t step = 0; step < q_; ++step) {
        std::uint32_t other = (from + step) % q_;
        if (owners_[other] != origin || origin_[other] != origin) continue;
        if (--*tries <= 0) return;
        if (keep(p, origin, other, owners_[p], random)) {
          *self = other;
          return;
        }
      }
    }
    // The larger of two shares may change hands.
    std::uint32_t owner = owners_[p];
    if (counts_[owner] <= shares_.least[owner]) return;
    for (std::uint32_t node = 0; node < counts_.size(); ++node) {
      if (node == owner || node == origin || counts_[node] >= shares_.most[node]) continue;
      if (--*tries <= 0) return;
      if (cost_if(p, node) >= cost_at(p)) continue;
      --counts_[owner];
      ++counts_[node];
      owners_[p] = node;
      return;
    }
  }

  std::vector<std::uint32_t> origin_;
  Shares shares_;
  std::vector<std::uint32_t> counts_;
  std::vector<std::uint32_t> moved_;
};

}  // namespace

Token equal_range_end(std::uint32_t p, std::uint32_t q) {
  RINGLET_ASSERT(p < q);
  Wide whole = ~Wide{0} / q;
  Wide rest = ~Wide{0} % q + 1;  // 2^128 = whole * q + rest
  if (rest == q) {
    ++whole;
    rest = 0;
  }
  Wide end = (Wide{p} + 1) * whole + (Wide{p} + 1) * rest / q;
  return {static_cast<std::uint64_t>(end >> 64), static_cast<std::uint64_t>(end)};
}

namespace {

// `held`: how many each has now; whoever has more than its floor keeps one when some must have one.
// `most` gets, if asked for, how many each may have at most without leaving floor or ceil.
std::vector<std::uint32_t> shares_near(const std::vector<PlacementNode>& nodes, std::uint32_t q,
                                       std::uint32_t replicas,
                                       const std::vector<std::uint32_t>& held,
                                       std::vector<std::uint32_t>* most,
                                       std::vector<std::uint32_t>* least) {
  RINGLET_ASSERT(!nodes.empty() && replicas >= 1);
  std::size_t count = nodes.size();
  auto neighbours = static_cast<std::uint32_t>(std::min<std::size_t>(replicas, count));
  std::vector<std::uint32_t> shares(count, 0);
  std::vector<std::uint64_t> remainders(count, 0);
  std::vector<bool> capped(count, false);
  std::uint32_t cap = std::max<std::uint32_t>(1, q / neighbours);
  std::uint64_t left = q, weights = 0;
  for (auto& node : nodes) weights += node.weight;

  // Whoever is due more than the cap gets the cap, which raises what the others are due: repeat.
  // (With as many nodes as replicas all are capped, and what is left over is dealt below.)
  for (bool again = true; again && weights > 0;) {
    again = false;
    for (std::size_t i = 0; i < count; ++i) {
      if (capped[i] || nodes[i].weight * left <= cap * weights) continue;
      capped[i] = again = true;
      shares[i] = cap;
      left -= cap;
      weights -= nodes[i].weight;
      break;
    }
  }
  auto deal = [&](std::size_t i) {
    if (capped[i]) return;
    shares[i] = static_cast<std::uint32_t>(nodes[i].weight * left / weights);
    remainders[i] = nodes[i].weight * left % weights;
  };
  for (std::size_t i = 0; i < count; ++i) deal(i);
  // Where more are due less than one than there are rests to give them: one each, and what is left is
  // dealt to the others, who are due less then.
  while (count <= q) {
    std::uint64_t sum = std::accumulate(shares.begin(), shares.end(), std::uint64_t{0});
    auto none = static_cast<std::uint64_t>(std::count(shares.begin(), shares.end(), 0u));
    if (none <= q - sum) break;
    for (std::size_t i = 0; i < count; ++i) {
      if (shares[i] != 0) continue;
      capped[i] = true;
      shares[i] = 1;
      remainders[i] = 0;
      weights -= nodes[i].weight;
      if (left > 0) {
        --left;
        continue;
      }
      // Those at the cap have it all: the first of the largest gives one up.
      std::size_t most_of_all = i;
      for (std::size_t j = 0; j < count; ++j) {
        if (capped[j] && shares[j] > shares[most_of_all]) most_of_all = j;
      }
      --shares[most_of_all];
    }
    if (weights == 0) break;
    for (std::size_t i = 0; i < count; ++i) deal(i);
  }
  std::uint64_t dealt = std::accumulate(shares.begin(), shares.end(), std::uint64_t{0});
  // The rest goes one each to those who have none yet, then to the largest remainders.
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if ((shares[a] == 0) != (shares[b] == 0)) return shares[a] == 0;
    if ((remainders[a] == 0) != (remainders[b] == 0)) return remainders[a] != 0;
    bool a_keeps = held[a] > shares[a], b_keeps = held[b] > shares[b];
    if (a_keeps != b_keeps) return a_keeps;
    return remainders[a] > remainders[b];
  });
  if (least != nullptr) *least = shares;
  if (most != nullptr) {
    *most = shares;
    bool some_have_rests = std::any_of(remainders.begin(), remainders.end(),
                                       [](std::uint64_t remainder) { return remainder != 0; });
    for (std::size_t i = 0; i < count; ++i) {
      if (remainders[i] != 0 || !some_have_rests) ++(*most)[i];
    }
  }
  for (std::size_t i = 0; dealt < q; i = (i + 1) % count, ++dealt) ++shares[order[i]];
  return shares;
}

}  // namespace

std::vector<std::uint32_t> weighted_shares(const std::vector<PlacementNode>& nodes, std::uint32_t q,
                                           std::uint32_t replicas) {
  return shares_near(nodes, q, replicas, std::vector<std::uint32_t>(nodes.size()), nullptr,
                     nullptr);
}

std::vector<std::uint32_t> constrained_owners(const std::vector<PlacementNode>& nodes,
                                              std::uint32_t q, std::uint32_t replicas) {
  Arrangement arrangement(nodes, weighted_shares(nodes, q, replicas), q, replicas);
  // Loose first, for variety; tight ones meet the constraint where there is little room.
  constexpr std::int64_t looseness[] = {512, 512, 256, 256, 128, 128, 64, 64, 0, 0};
  std::uint64_t work = 0, best_cost = UINT64_MAX, seed = 0;
  std::vector<std::uint32_t> best;
  for (std::int64_t loose : looseness) {
    // A large circle that cannot be perfect is not tried ten times: after two of them, the tight one.
    if (work > 20'000'000 && loose != 0) continue;
    arrangement.fill(loose, Random(++seed));
    arrangement.mend(200'000);
    work += std::uint64_t{q} * nodes.size() + 200'000;
    if (std::uint64_t cost = arrangement.cost(); cost < best_cost) {
      best_cost = cost;
      best = arrangement.owners();
    }
    if (best_cost == 0) break;
  }
  return best;
}

std::vector<std::uint32_t> rebalanced_owners(const std::vector<PlacementNode>& nodes,
                                             const std::vector<std::uint32_t>& owners,
                                             std::uint32_t q, std::uint32_t replicas) {
  RINGLET_ASSERT(owners.size() == q && !nodes.empty());
  if (std::all_of(owners.begin(), owners.end(), [](auto owner) { return owner == no_owner; })) {
    return constrained_owners(nodes, q, replicas);
  }
  std::vector<std::uint32_t> held(nodes.size());
  for (std::uint32_t owner : owners) {
    RINGLET_ASSERT(owner == no_owner || owner < nodes.size());
    if (owner != no_owner) ++held[owner];
  }
  Rebalance::Shares shares;
  shares.wanted = shares_near(nodes, q, replicas, held, &shares.most, &shares.least);
  for (std::uint32_t& least : shares.least) least = std::max(least, 1u);
  Rebalance rebalance(nodes, owners, std::move(shares), q, replicas);
  constexpr Rebalance::Spread spreads[] = {Rebalance::Spread::random, Rebalance::Spread::evenly,
                                           Rebalance::Spread::packed, Rebalance::Spread::random,
                                           Rebalance::Spread::evenly, Rebalance::Spread::random};
  std::uint64_t best_cost = UINT64_MAX, seed = 0;
  std::vector<std::uint32_t> best;
  for (Rebalance::Spread spread : spreads) {
    Random random(++seed);
    rebalance.fill(spread, random);
    rebalance.mend(100'000, random);
    if (std::uint64_t cost = rebalance.cost(); cost < best_cost) {
      best_cost = cost;
      best = rebalance.owners();
    }
    if (best_cost == 0) break;
  }
  return best;
}

Placement Placement::of_tokens(std::vector<std::pair<Token, Node>> tokens) {
  RINGLET_ASSERT(!tokens.empty());
  Placement placement(Strategy::random_tokens);
  for (auto& [token, node] : tokens) placement.stands_.push_back({token, node});
  placement.settle();
  return placement;
}

Placement Placement::random_tokens(std::uint32_t nodes, std::uint32_t tokens_each, Random& random) {
  Placement placement(Strategy::random_tokens);
  placement.stands_.reserve(std::size_t{nodes} * tokens_each);
  for (Node node = 0; node < nodes; ++node) placement.add_random_tokens(node, tokens_each, random);
  placement.settle();
  return placement;
}

Placement Placement::token_partitions(std::uint32_t nodes, std::uint32_t tokens_each,
                                      std::uint32_t partitions, Random& random) {
  Placement placement(Strategy::token_partitions);
  for (std::uint32_t p = 0; p < partitions; ++p) {
    placement.ends_.push_back(equal_range_end(p, partitions));
  }
  placement.stands_.reserve(std::size_t{nodes} * tokens_each);
  for (Node node = 0; node < nodes; ++node) placement.add_random_tokens(node, tokens_each, random);
  placement.settle();
  return placement;
}

Placement Placement::random_owners(std::uint32_t nodes, std::uint32_t partitions, Random& random) {
  RINGLET_ASSERT(nodes >= 1);
  Placement placement(Strategy::random_owners);
  std::vector<Node> owners(partitions);
  for (std::uint32_t p = 0; p < partitions; ++p) owners[p] = p % nodes;
  random.shuffle(owners);
  for (std::uint32_t p = 0; p < partitions; ++p) {
    placement.ends_.push_back(equal_range_end(p, partitions));
    placement.stands_.push_back({placement.ends_.back(), owners[p]});
  }
  return placement;
}

Placement Placement::constrained(const std::vector<PlacementNode>& nodes, std::uint32_t partitions,
                                 std::uint32_t replicas) {
  Placement placement(Strategy::constrained);
  std::vector<std::uint32_t> owners = constrained_owners(nodes, partitions, replicas);
  for (std::uint32_t p = 0; p < partitions; ++p) {
    placement.ends_.push_back(equal_range_end(p, partitions));
    placement.stands_.push_back({placement.ends_.back(), owners[p]});
  }
  return placement;
}

std::size_t Placement::range_of(const Token& token) const {
  auto at = std::lower_bound(ends_.begin(), ends_.end(), token, stands_before);
  return at == ends_.end() ? 0 : static_cast<std::size_t>(at - ends_.begin());
}

double Placement::share_of(std::size_t range) const {
  if (ends_.size() == 1) return 1;
  const Token& start = ends_[range == 0 ? ends_.size() - 1 : range - 1];
  return std::ldexp(static_cast<double>(wide(ends_[range]) - wide(start)), -128);
}

std::vector<Placement::Node> Placement::replicas(std::size_t range, std::size_t n) const {
  std::vector<Node> found;
  auto at = std::lower_bound(
      stands_.begin(), stands_.end(), ends_[range],
      [](const Stand& stand, const Token& token) { return stands_before(stand.token, token); });
  for (std::size_t step = 0; step < stands_.size() && found.size() < n; ++step, ++at) {
    if (at == stands_.end()) at = stands_.begin();
    if (std::find(found.begin(), found.end(), at->node) == found.end()) found.push_back(at->node);
  }
  return found;
}

std::vector<Placement::Node> Placement::nodes() const {
  std::vector<Node> found;
  for (auto& stand : stands_) found.push_back(stand.node);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

void Placement::join(Node node, std::uint32_t tokens_each, Random& random) {
  RINGLET_ASSERT(strategy_ != Strategy::constrained);
  if (strategy_ != Strategy::random_owners) {
    add_random_tokens(node, tokens_each, random);
    return settle();
  }
  std::map<Node, std::vector<std::size_t>> held;
  for (std::size_t i = 0; i < stands_.size(); ++i) held[stands_[i].node].push_back(i);
  RINGLET_ASSERT(!held.contains(node));
  std::size_t wanted = stands_.size() / (held.size() + 1);
  for (; wanted > 0; --wanted) {
    auto richest = std::max_element(held.begin(), held.end(), [](auto& a, auto& b) {
      return a.second.size() < b.second.size();
    });
    auto& theirs = richest->second;
    std::size_t pick = random.below(theirs.size());
    stands_[theirs[pick]].node = node;
    theirs.erase(theirs.begin() + static_cast<std::ptrdiff_t>(pick));
  }
}

void Placement::leave(Node node, Random& random) {
  RINGLET_ASSERT(strategy_ != Strategy::constrained);
  if (strategy_ != Strategy::random_owners) {
    std::erase_if(stands_, [&](const Stand& stand) { return stand.node == node; });
    RINGLET_ASSERT(!stands_.empty());
    return settle();
  }
  std::map<Node, std::size_t> held;
  std::vector<std::size_t> orphans;
  for (std::size_t i = 0; i < stands_.size(); ++i) {
    if (stands_[i].node == node) {
      orphans.push_back(i);
    } else {
      ++held[stands_[i].node];
    }
  }
  RINGLET_ASSERT(!held.empty());
  random.shuffle(orphans);
  for (std::size_t orphan : orphans) {
    std::vector<Node> poorest;
    std::size_t least = SIZE_MAX;
    for (auto& [who, count] : held) {
      if (count < least) poorest.clear();
      if (count <= least) poorest.push_back(who);
      least = std::min(least, count);
    }
    Node heir = poorest[random.below(poorest.size())];
    stands_[orphan].node = heir;
    ++held[heir];
  }
}

void Placement::add_random_tokens(Node node, std::uint32_t count, Random& random) {
  for (std::uint32_t i = 0; i < count; ++i) {
    Token token;
    token.high = random.next();
    token.low = random.next();
    stands_.push_back({token, node});
  }
}

void Placement::settle() {
  std::sort(stands_.begin(), stands_.end(), [](const Stand& a, const Stand& b) {
    if (a.token != b.token) return stands_before(a.token, b.token);
    return a.node < b.node;
  });
  if (strategy_ != Strategy::random_tokens) return;
  ends_.clear();
  for (auto& stand : stands_) {
    if (ends_.empty() || ends_.back() != stand.token) ends_.push_back(stand.token);
  }
}

}  // namespace ringlet
