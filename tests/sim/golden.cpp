// D1 to D5 (paper, figure 3): Sx, Sy and Sz are three nodes; whoever is to coordinate is named by
// the context's fastest reader, and the others are cut off where the figure says so.
#include "run.hpp"
#include "sim/world.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::sim {
namespace {

struct Golden {
  World world{7};
  HostId client = 0;
  Key key{"", "D"};

  Golden() {
    for (const char* name : {"Sx", "Sy", "Sz"}) world.add_node(name);
    Ring::Options ring;
    ring.partitions = 4;
    NodeOptions options;
    options.coordination.r = 1;
    options.coordination.w = 1;
    world.start_cluster(ring, options);
    ClientOptions client_options;
    client_options.coordination = Coordination::client;
    client = world.add_client(client_options);
    world.run_for(Duration::seconds(1));
  }

  // Puts through one node, given what was read; the context that the write leaves there.
  CausalContext put(HostId node, const CausalContext& seen, const Bytes& value) {
    ClientCore::Request request;
    request.kind = ClientCore::Kind::put;
    request.key = key;
    request.value = value;
    request.context = encode_client_context({seen, world.id_of(node)}, key);
    CausalContext after;
    world.submit(client, std::move(request), [&](ClientCore::Outcome outcome) {
      RINGLET_ASSERT(outcome.reply.status.is_ok());
      after = outcome.reply.object.context;
    });
    world.run_for(Duration::seconds(1));
    return after;
  }
  CausalContext get(std::size_t& versions) {
    ClientCore::Request request;
    request.key = key;
    request.options.r = 3;
    CausalContext seen;
    world.submit(client, std::move(request), [&](ClientCore::Outcome outcome) {
      RINGLET_ASSERT(outcome.reply.status.is_ok());
      seen = outcome.reply.object.context;
      versions = outcome.reply.object.versions.size();
    });
    world.run_for(Duration::seconds(2));
    return seen;
  }
  // "[(Sx,2),(Sy,1)]": epochs left out, one each.
  std::string text(const CausalContext& context) const {
    std::string out;
    for (HostId node = 0; node < 3; ++node) {
      for (const auto& entry : context.entries()) {
        if (entry.actor.node != world.id_of(node)) continue;
        out += std::string(out.empty() ? "" : ",") + "(S" + "xyz"[node] + "," +
               std::to_string(entry.counter) + ")";
      }
    }
    return "[" + out + "]";
  }
  void only_reach(HostId node) {
    for (HostId other = 0; other < 3; ++other) {
      if (other != node) {
        part(client, other);
      } else {
        world.mend(client, other);
        world.mend(other, client);
      }
    }
  }
  void part(HostId a, HostId b) {
    world.cut(a, b);
    world.cut(b, a);
  }
};

}  // namespace

std::string golden_history() {
  Golden g;
  constexpr HostId sx = 0, sy = 1, sz = 2;
  std::string wrong;
  auto expect = [&](const std::string& step, const CausalContext& got, const std::string& wanted) {
    if (g.text(got) != wanted) wrong += step + ": wanted " + wanted + ", got " + g.text(got) + "\n";
  };
  CausalContext d1 = g.put(sx, {}, "D1");
  expect("D1", d1, "[(Sx,1)]");
  CausalContext d2 = g.put(sx, d1, "D2");
  expect("D2", d2, "[(Sx,2)]");
  // D3 and D4 do not see each other: the nodes are apart, and the client reaches one of them.
  g.part(sy, sz);
  g.part(sx, sy);
  g.part(sx, sz);
  g.only_reach(sy);
  CausalContext d3 = g.put(sy, d2, "D3");
  expect("D3", d3, "[(Sx,2),(Sy,1)]");
  g.world.run_for(Duration::seconds(4));
  g.only_reach(sz);
  CausalContext d4 = g.put(sz, d2, "D4");
  expect("D4", d4, "[(Sx,2),(Sz,1)]");
  g.world.mend_all();
  g.world.run_for(Duration::seconds(10));
  std::size_t versions = 0;
  CausalContext read = g.get(versions);
  expect("the read", read, "[(Sx,2),(Sy,1),(Sz,1)]");
  if (versions != 2)
    wrong += "the read: wanted D3 and D4, got " + std::to_string(versions) + " versions\n";
  CausalContext d5 = g.put(sx, read, "D5");
  expect("D5", d5, "[(Sx,3),(Sy,1),(Sz,1)]");
  g.get(versions);
  if (versions != 1)
    wrong += "after D5: wanted one version, got " + std::to_string(versions) + "\n";
  return wrong;
}

}  // namespace ringlet::sim
