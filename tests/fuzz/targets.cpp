#include "fuzz/target.hpp"

namespace ringlet::fuzz {
namespace {

constexpr Target all[] = {
    {"frame", frame, 4096},       {"message", message, 2048}, {"handshake", handshake, 1024},
    {"context", context, 5000},   {"record", record, 1024},   {"hint_row", hint_row, 256},
    {"history", history, 4 * 60}, {"config", config, 2048},   {"view", view, 2048},
    {"gossip", gossip, 2048},     {"changes", changes, 512},  {"cursor", cursor, 512},
    {"transfer", transfer, 1024}, {"tree", tree, 1024},       {"settings", settings, 1024},
    {"document", document, 2048}, {"edits", edits, 1024},
};

}  // namespace

std::span<const Target> targets() {
  return all;
}

const Target* find_target(std::string_view name) {
  for (const Target& target : all) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

}  // namespace ringlet::fuzz
