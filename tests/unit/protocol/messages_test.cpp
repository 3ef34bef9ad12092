#include "protocol/messages.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "protocol/effects.hpp"

using namespace ringlet;

TEST_CASE("every message has its own name, and is a request or a reply") {
  const Message all[] = {
      ReplicaGet{},   ReplicaObject{},  MintPut{},     Minted{},         ReplicaPut{},
      Stored{},       Refused{},        Ping{},        Pong{},           ClientGet{},
      ClientPut{},    ClientReply{},    RingPull{},    RingTable{},      StatusQuery{},
      StatusText{},   ClusterCommand{}, Gossip{},      GossipAnswer{},   TransferPull{},
      TransferPage{}, TreeCompare{},    TreeDiffers{}, SegmentCompare{}, SegmentDiffers{},
      ReapAsk{},      ReapAnswer{},     Reap{},        HeldCheck{},      HeldAnswer{}};
  static_assert(std::size(all) == std::variant_size_v<Message>);
  std::set<std::string> names;
  for (const Message& message : all) names.insert(name_of(message));
  CHECK(names.size() == std::size(all));
  CHECK(std::string(name_of(MintPut{})) == "MintPut");
  CHECK(std::string(name_of(StatusText{})) == "StatusText");

  std::set<std::string> requests;
  for (const Message& message : all) {
    if (is_request(message)) requests.insert(name_of(message));
  }
  CHECK(requests == std::set<std::string>{"ReplicaGet", "MintPut", "ReplicaPut", "Ping",
                                          "ClientGet", "ClientPut", "RingPull", "StatusQuery",
                                          "ClusterCommand", "Gossip", "TransferPull", "TreeCompare",
                                          "SegmentCompare", "ReapAsk", "Reap", "HeldCheck"});
}
