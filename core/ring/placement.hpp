// Four ways to lay nodes on the circle (paper 6.2, R6.2), behind one interface:
//
//   random_tokens      strategy 1: T random tokens a node; the ranges lie between the tokens
//   token_partitions   strategy 2: T random tokens a node, Q equal ranges; tokens only order nodes
//   random_owners      strategy 3: Q equal ranges, Q/S a node, dealt at random
//   constrained        strategy 3 with owners chosen so that neighbours differ (O-16): production
//
// All four are the same thing underneath: where ranges end, and where nodes stand. A range lives on
// the first N distinct nodes met clockwise from its end. A range is (start, end] (R4.2-a), and the
// circle begins just after token 0, which is therefore its last token.
// Nodes are numbers chosen by the caller. Not thread-safe to change, safe to read.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "base/token.hpp"

namespace ringlet {

// The last token of the p-th of q equal ranges: (p + 1) * 2^128 / q, rounded down, modulo 2^128.
Token equal_range_end(std::uint32_t p, std::uint32_t q);

// What constrained placement knows of a node.
struct PlacementNode {
  std::uint32_t weight = 1;
  std::string zone;  // "": shares its fate with nobody, as if it were a zone of its own
};

// How many of q partitions each node gets: floor or ceil of its weighted share. A share above
// q/replicas is cut to that (more cannot be used without putting two replicas on one node) and
// the excess goes to the others by weight. With at least as many partitions as nodes each node gets one:
// where more nodes are due less than one than a rounding up can serve, they get one each and the others
// share what is left by weight.
std::vector<std::uint32_t> weighted_shares(const std::vector<PlacementNode>& nodes, std::uint32_t q,
                                           std::uint32_t replicas);

// Owner (an index into nodes) of each of q partitions, such that any `replicas` neighbours, also
// across the wrap, are distinct nodes and, where there are enough zones, in distinct zones. Where
// counts make that impossible (3 nodes cannot alternate around a circle of 64) the fewest
// neighbours found repeat. Fallbacks are varied on purpose: a dead node's load falls on many.
// A pure function of its arguments.
std::vector<std::uint32_t> constrained_owners(const std::vector<PlacementNode>& nodes,
                                              std::uint32_t q, std::uint32_t replicas);

// The same after a change, with the fewest moves: nodes are those that are there now, owners[p] an
// index into them, or `no_owner` where the owner has left. Each node ends with floor or ceil of its
// weighted share, so a join moves about q/(S+1) slots, all to the joiner, and a leave moves only
// the leaver's. Among the ways to do that, neighbours are kept distinct, and their zones, as far as
// a bounded search can. A pure function of its arguments.
inline constexpr std::uint32_t no_owner = UINT32_MAX;
std::vector<std::uint32_t> rebalanced_owners(const std::vector<PlacementNode>& nodes,
                                             const std::vector<std::uint32_t>& owners,
                                             std::uint32_t q, std::uint32_t replicas);

class Placement {
 public:
  using Node = std::uint32_t;

  static Placement of_tokens(
      std::vector<std::pair<Token, Node>> tokens);  // strategy 1, chosen ones
  static Placement random_tokens(std::uint32_t nodes, std::uint32_t tokens_each, Random& random);
  static Placement token_partitions(std::uint32_t nodes, std::uint32_t tokens_each,
                                    std::uint32_t partitions, Random& random);
  static Placement random_owners(std::uint32_t nodes, std::uint32_t partitions, Random& random);
  static Placement constrained(const std::vector<PlacementNode>& nodes, std::uint32_t partitions,
                               std::uint32_t replicas);

  std::size_t ranges() const { return ends_.size(); }
  std::size_t range_of(const Token& token) const;
  Token end_of(std::size_t range) const { return ends_[range]; }
  double share_of(std::size_t range) const;  // of the circle, in (0, 1]
  // The first n distinct nodes clockwise from the end of the range; all of them if fewer exist.
  std::vector<Node> replicas(std::size_t range, std::size_t n) const;
  std::vector<Node> nodes() const;  // who has a token, ascending

  // One node comes or goes, as each strategy does it: under 1 and 2 with tokens of its own; under 3
  // it steals its share from those who have most, and its share is dealt at random to those who
  // have least (R6.2-c). A constrained placement is built anew instead: asserts.
  void join(Node node, std::uint32_t tokens_each, Random& random);
  void leave(Node node, Random& random);

 private:
  enum class Strategy { random_tokens, token_partitions, random_owners, constrained };
  struct Stand {
    Token token;
    Node node;
  };
  explicit Placement(Strategy strategy) : strategy_(strategy) {}
  void add_random_tokens(Node node, std::uint32_t count, Random& random);
  void settle();  // sorts, and derives the ranges from the tokens under strategy 1

  Strategy strategy_;
  std::vector<Token> ends_;    // clockwise
  std::vector<Stand> stands_;  // clockwise; under strategies 1 and 3 one at each end
};

}  // namespace ringlet
