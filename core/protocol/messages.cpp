#include "protocol/messages.hpp"

namespace ringlet {

std::size_t value_bytes(const Object& object) {
  std::size_t bytes = 0;
  for (const Version& version : object.versions) bytes += version.value.size();
  return bytes;
}
namespace {

// In the order of the variant's alternatives.
struct Kind {
  const char* name;
  bool request;
};
constexpr Kind kinds[] = {
    {"ReplicaGet", true},      {"ReplicaObject", false},
    {"MintPut", true},         {"Minted", false},
    {"ReplicaPut", true},      {"Stored", false},
    {"Refused", false},        {"Ping", true},
    {"Pong", false},           {"ClientGet", true},
    {"ClientPut", true},       {"ClientReply", false},
    {"RingPull", true},        {"RingTable", false},
    {"StatusQuery", true},     {"StatusText", false},
    {"ClusterCommand", true},  {"Gossip", true},
    {"GossipAnswer", false},   {"TransferPull", true},
    {"TransferPage", false},   {"TreeCompare", true},
    {"TreeDiffers", false},    {"SegmentCompare", true},
    {"SegmentDiffers", false}, {"ReapAsk", true},
    {"ReapAnswer", false},     {"Reap", true},
    {"HeldCheck", true},       {"HeldAnswer", false},
};
static_assert(std::size(kinds) == std::variant_size_v<Message>);

}  // namespace

const char* name_of(const Message& message) {
  return kinds[message.index()].name;
}

bool is_request(const Message& message) {
  return kinds[message.index()].request;
}

}  // namespace ringlet
