// O-2: why versions are dotted. A small model of the paper's clocks, (node, counter) pairs compared
// as in section 4.4, against the real thing, on a healthy cluster of three with R = W = 2.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "base/random.hpp"
#include "versioning/object.hpp"

namespace ringlet {
namespace {

enum class Counting { from_context, per_node };

struct PlainVersion {
  std::map<int, int> clock;
  int write = 0;
};
using PlainObject = std::vector<PlainVersion>;

bool descends(const std::map<int, int>& a, const std::map<int, int>& b) {
  return std::all_of(b.begin(), b.end(), [&](auto& pair) {
    auto at = a.find(pair.first);
    return at != a.end() && at->second >= pair.second;
  });
}

// One key on three replicas, with the paper's clocks.
class PlainStore {
 public:
  using Context = std::map<int, int>;
  explicit PlainStore(Counting counting) : counting_(counting) {}

  void read(int a, int b, Context& context, std::set<int>& writes) {
    for (int at : {a, b}) {
      for (const PlainVersion& version : replicas_[at]) {
        for (auto [node, n] : version.clock) context[node] = std::max(context[node], n);
        writes.insert(version.write);
      }
    }
  }

  void write(int coordinator, Context context, int id) {
    int& highest = highest_[coordinator];
    highest = (counting_ == Counting::per_node ? highest : context[coordinator]) + 1;
    context[coordinator] = highest;
    std::erase_if(context, [](auto& pair) { return pair.second == 0; });
    for (PlainObject& replica : replicas_) add(replica, {context, id});
  }

  std::set<int> present() const {
    std::set<int> writes;
    for (const PlainObject& replica : replicas_) {
      for (const PlainVersion& version : replica) writes.insert(version.write);
    }
    return writes;
  }

 private:
  static void add(PlainObject& replica, const PlainVersion& version) {
    for (const PlainVersion& mine : replica) {
      if (descends(mine.clock, version.clock) && mine.clock != version.clock) return;
    }
    std::erase_if(replica, [&](auto& mine) { return descends(version.clock, mine.clock); });
    replica.push_back(version);
  }

  Counting counting_;
  PlainObject replicas_[3];
  int highest_[3] = {};
};

class DottedStore {
 public:
  using Context = CausalContext;

  void read(int a, int b, Context& context, std::set<int>& writes) {
    for (int at : {a, b}) {
      context.join(replicas_[at].context);
      for (const Version& version : replicas_[at].versions) {
        writes.insert(static_cast<int>(version.write_id.low));
      }
    }
  }

  void write(int coordinator, const Context& context, int id) {
    Object& minter = replicas_[coordinator];
    update(minter, context, Actor{NodeId{static_cast<std::uint64_t>(coordinator + 1)}, 1},
           {WriteId{0, static_cast<std::uint64_t>(id)}, false, "v", ""}, id);
    for (Object& replica : replicas_) {
      if (&replica != &minter) sync(replica, minter);
    }
  }

  std::set<int> present() const {
    std::set<int> writes;
    for (const Object& replica : replicas_) {
      for (const Version& v : replica.versions) writes.insert(static_cast<int>(v.write_id.low));
    }
    return writes;
  }

 private:
  Object replicas_[3];
};

// Clients read, think, and write back what they read plus one more; every write is acknowledged.
// Returns how many writes vanished although no write had seen them, of `writes`.
template <typename Store>
int lost_writes(Store store, int clients, bool always_first, int writes) {
  struct Client {
    typename Store::Context context;
    std::set<int> seen;
    bool thinking = false;
  };
  std::vector<Client> all(static_cast<std::size_t>(clients));
  Random random(2007);
  std::set<int> covered, unseen;  // by a later write; written and by none
  int lost = 0, id = 0;
  while (id < writes) {
    Client& client = all[random.below(all.size())];
    if (!client.thinking) {
      client = {};
      int a = static_cast<int>(random.below(3)), b = (a + 1) % 3;
      store.read(a, b, client.context, client.seen);
    } else {
      int coordinator = always_first ? 0 : static_cast<int>(random.below(3));
      store.write(coordinator, client.context, ++id);
      covered.insert(client.seen.begin(), client.seen.end());
      unseen.insert(id);
      std::erase_if(unseen, [&](int w) { return covered.count(w) > 0; });
      std::set<int> present = store.present();
      std::erase_if(unseen, [&](int w) {
        bool gone = present.count(w) == 0;
        lost += gone;
        return gone;
      });
    }
    client.thinking = !client.thinking;
  }
  return lost;
}

TEST_CASE("O-2 plain (node, counter) clocks lose acknowledged writes without failures, dots none") {
  constexpr int writes = 1000;
  for (bool always_first : {true, false}) {
    for (int clients : {2, 4}) {
      int context = lost_writes(PlainStore(Counting::from_context), clients, always_first, writes);
      int node = lost_writes(PlainStore(Counting::per_node), clients, always_first, writes);
      int dotted = lost_writes(DottedStore(), clients, always_first, writes);
      INFO((always_first ? "always first" : "any of three")
           << ", " << clients << " clients: lost of " << writes << ": counter from context "
           << context << ", per node " << node << ", dotted " << dotted);
      CHECK(context > writes / 20);
      CHECK(node > writes / 20);
      CHECK(dotted == 0);
    }
  }
}

TEST_CASE("O-2 one client alone loses nothing with any of them: the model itself is sound") {
  CHECK(lost_writes(PlainStore(Counting::from_context), 1, true, 200) == 0);
  CHECK(lost_writes(PlainStore(Counting::per_node), 1, false, 200) == 0);
  CHECK(lost_writes(DottedStore(), 1, false, 200) == 0);
}

}  // namespace
}  // namespace ringlet
