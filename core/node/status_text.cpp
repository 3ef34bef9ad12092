#include "node/status_text.hpp"

#include <boost/json.hpp>

#include "base/token.hpp"
#include "versioning/encoding.hpp"

namespace ringlet {
namespace json = boost::json;

std::string status_text(NodeState& state, const Ring& ring, const NodeReport& report) {
  const NodeCounters& counters = state.counters();
  const NodeGauges& gauges = state.gauges();
  EngineStats engine = state.engine().stats();
  json::array versions;
  for (const auto& count : counters.versions_per_get) versions.push_back(count.load());
  json::array down;
  for (const auto& name : report.down) down.push_back(json::value(name));
  json::object status{
      {"node", state.options().name},
      {"cluster", ring.cluster()},
      {"members", ring.members().size()},
      {"ring_epoch", ring.epoch()},
      {"degraded", ring.effective_replicas() < ring.replicas()},
      {"draining", report.draining},
      {"out", report.out},
      {"hints", report.hints},
      {"hints_delivered", report.hints_delivered},
      {"in_flight", report.in_flight},
      {"connections", gauges.connections.load()},
      {"connections_of_clients", gauges.client_connections.load()},
      {"connections_of_members", gauges.member_connections.load()},
      {"max_connections", gauges.max_connections.load()},
      {"requests", gauges.requests.load()},
      {"memory", json::object{{"limit", gauges.memory_limit.load()},
                              {"resident", gauges.resident_bytes.load()},
                              {"requests", gauges.request_bytes.load()},
                              {"reading", gauges.reading_bytes.load()},
                              {"answers", gauges.answer_bytes.load()}}},
      {"down", down},
      {"incarnation", state.incarnation()},
      {"gets", counters.gets.load()},
      {"puts", counters.puts.load()},
      {"failed", counters.failed.load()},
      {"refused_overload", counters.refused_overload.load()},
      {"refused_late", counters.refused_late.load()},
      {"stalled_frames", gauges.stalled_frames.load()},
      {"minted", counters.minted.load()},
      {"merged", counters.merged.load()},
      {"hint_bytes", state.hint_counts().total_bytes()},
      {"hints_stored", counters.hints_stored.load()},
      {"hints_refused", counters.hints_refused.load()},
      {"hints_released", counters.hints_released.load()},
      {"hints_damaged", counters.hints_damaged.load()},
      {"dual_writes", counters.dual_writes.load()},
      {"dual_writes_hinted", counters.dual_writes_hinted.load()},
      {"dual_writes_failed", counters.dual_writes_failed.load()},
      {"fresh_epochs", counters.fresh_epochs.load()},
      {"corrupt_records", counters.corrupt_records.load()},
      {"forwarded", counters.forwarded.load()},
      {"asked_early", counters.asked_early.load()},
      {"versions_per_get", versions},
      {"engine", json::object{{"name", state.engine().name()},
                              {"reads", engine.reads},
                              {"commits", engine.commits},
                              {"conflicts", engine.conflicts},
                              {"failures", engine.failures},
                              {"flushes", engine.flushes},
                              {"cache_bytes", engine.cache_bytes}}},
  };
  return json::serialize(status);
}

namespace {

// For programs: `value` is for people, and says neither what was cut nor which bytes were unprintable.
std::string hex_of(const Bytes& bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (char byte : bytes) {
    auto number = static_cast<unsigned char>(byte);
    text += "0123456789abcdef"[number >> 4U];
    text += "0123456789abcdef"[number & 15U];
  }
  return text;
}

}  // namespace

std::string replica_json(const std::string& node, const Key& key, const Object& object) {
  json::array versions;
  constexpr std::size_t most_in_hex = 16'384;  // bytes of all values; larger ones are not repeated
  std::size_t in_hex = 0;
  for (const auto& version : object.versions) {
    json::object said{{"dot", to_string(version.dot)},    {"write_id", to_string(version.write_id)},
                      {"written_us", version.written_us}, {"tombstone", version.tombstone},
                      {"size", version.value.size()},     {"value", printable(version.value, 256)}};
    if (in_hex + version.value.size() <= most_in_hex) {
      in_hex += version.value.size();
      said["value_hex"] = hex_of(version.value);
    }
    versions.push_back(std::move(said));
  }
  // Each replica forgets replaced writes at its own time: what is remembered of them is not compared.
  Object compared = object;
  compared.spent.clear();
  compared.forgotten_ms = 0;
  json::array context;
  for (const auto& entry : object.context.entries()) {
    context.push_back(json::value(to_string(Dot{entry.actor, entry.counter})));
  }
  return json::serialize(json::object{{"node", node},
                                      {"bucket", printable(key.bucket)},
                                      {"key", printable(key.key)},
                                      {"bytes", to_string(md5(encode_record(compared)))},
                                      {"versions", versions},
                                      {"context", context}});
}

}  // namespace ringlet
