// history: bytes drive replicas, clients, late copies and truncation; the laws of versioning hold
#include "unit/versioning/history.hpp"
#include "fuzz/input.hpp"
#include "fuzz/laws.hpp"
#include "fuzz/target.hpp"

namespace ringlet::fuzz {

// Four bytes a step: kind, replica, other, client.
Verdict history(BytesView input) {
  Input in(input.substr(0, std::size_t{4 * 60}));
  std::vector<test::Step> steps;
  while (!in.empty()) {
    int kind = in.byte() % test::Step::kinds, replica = in.byte() % test::replica_count;
    int other = in.byte(), client = in.byte() % test::client_count;
    steps.push_back({kind, replica, other, client});
  }
  test::History history;
  history.run(steps);
  if (history.broken()) throw Broken{*history.broken()};
  if (auto lost = history.lost_write()) throw Broken{*lost};

  std::vector<Object> objects;
  for (const auto& replica : history.replicas()) objects.push_back(replica.object);
  for (std::size_t i = 0; i < history.mail().size() && i < 2; ++i) {
    objects.push_back(history.mail()[i]);
  }
  for (std::size_t i = 0; i < objects.size(); ++i) {
    hold_join_laws(objects[i], objects[(i + 1) % objects.size()],
                   objects[(i + 2) % objects.size()]);
  }
  return history.write_count() > 0 ? Verdict::taken : Verdict::refused;
}

}  // namespace ringlet::fuzz
