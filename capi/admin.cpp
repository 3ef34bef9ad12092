// Questions of operators, JSON in and out.
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <initializer_list>

#include "client_handle.hpp"

namespace json = boost::json;
using namespace ringlet;
using namespace ringlet::capi;

namespace {

Status invalid(std::string why) {
  return Status(Code::invalid_argument, std::move(why));
}

// The arguments of a command: an object of texts with known names.
Result<json::object> read_arguments(const char* text, std::initializer_list<const char*> known) {
  if (text == nullptr) return json::object{};
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  if (failed)
    return invalid("json: wanted a JSON object, got something else (" + failed.message() + ")");
  if (!value.is_object()) return invalid("json: wanted a JSON object, got another value");
  for (const auto& field : value.get_object()) {
    std::string name(field.key());
    bool found = false;
    for (const char* k : known) found |= name == k;
    if (!found)
      return invalid("json: there is no field \"" + printable(name) + "\" in this command");
    if (!field.value().is_string()) return invalid("json: " + name + ": wanted a text");
  }
  return value.get_object();
}

std::string field(const json::object& arguments, const char* name) {
  const json::value* value = arguments.if_contains(name);
  return value == nullptr ? std::string() : std::string(value->get_string());
}

Result<Bytes> from_hex(const std::string& text, const char* name) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int high = digit(text[i]), low = i + 1 < text.size() ? digit(text[i + 1]) : -1;
    if (high < 0 || low < 0)
      return invalid(std::string("json: ") + name + ": wanted pairs of hex digits");
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

Result<Key> read_inspected(const json::object& arguments) {
  Key key{field(arguments, "bucket"), field(arguments, "key")};
  for (auto [name, part] : {std::pair{"bucket_hex", &key.bucket}, {"key_hex", &key.key}}) {
    if (!arguments.contains(name)) continue;
    Result<Bytes> bytes = from_hex(field(arguments, name), name);
    if (!bytes) return bytes.status();
    *part = std::move(*bytes);
  }
  if (key.key.empty()) return invalid("json: key: wanted the key to inspect, got none");
  return key;
}

Result<std::shared_ptr<const Ring>> ring_of(Backend& client, Duration timeout) {
  std::shared_ptr<const Ring> ring = client.ring(timeout);
  if (ring != nullptr) return ring;
  return Status(Code::unavailable, "ring: no node gave its routing table within " +
                                       std::to_string(timeout.millis()) + " ms");
}

json::value parsed(const std::string& text) {
  boost::system::error_code failed;
  json::value value = json::parse(text, failed);
  return failed ? json::value(is_utf8(text) ? text : printable(text, 1024)) : value;
}

Result<std::string> status_of(Backend& client, const json::object& arguments, Duration timeout) {
  StatusText answer = client.query(field(arguments, "node"), "status", Key{}, timeout);
  if (!answer.status) return answer.status;
  return answer.json;
}

Result<std::string> describe_ring(Backend& client, Duration timeout) {
  Result<std::shared_ptr<const Ring>> found = ring_of(client, timeout);
  if (!found) return found.status();
  const Ring& ring = **found;
  json::array members;
  for (const Member& member : ring.members()) {
    std::size_t owned = 0;
    for (NodeId owner : ring.owners()) owned += owner == member.id;
    members.push_back({{"id", to_string(member.id)},
                       {"name", member.name},
                       {"address", member.address},
                       {"zone", member.zone},
                       {"weight", member.weight},
                       {"partitions", owned}});
  }
  auto name_of_member = [&](NodeId id) {
    const Member* member = ring.find(id);
    return member != nullptr ? member->name : to_string(id);
  };
  json::array owners, replicas, moves;
  for (NodeId owner : ring.owners()) owners.emplace_back(name_of_member(owner));
  constexpr std::uint32_t most_in_full = 4096;  // a list a partition; of more partitions it is long
  if (ring.partitions() <= most_in_full) {
    for (std::uint32_t partition = 0; partition < ring.partitions(); ++partition) {
      json::array names;
      const auto& list = ring.preference_list(partition);
      for (std::size_t i = 0; i < list.size() && i < ring.effective_replicas(); ++i)
        names.emplace_back(name_of_member(list[i]));
      replicas.push_back(std::move(names));
    }
  }
  if (!ring.next().empty()) {
    for (std::uint32_t partition = 0; partition < ring.partitions(); ++partition) {
      if (ring.incoming(partition).empty()) continue;
      json::array names;
      for (NodeId id : ring.owners_in_the_end(partition)) names.emplace_back(name_of_member(id));
      moves.push_back(json::object{{"partition", partition}, {"owners", std::move(names)}});
    }
  }
  return json::serialize(json::object{{"cluster", ring.cluster()},
                                      {"epoch", ring.epoch()},
                                      {"partitions", ring.partitions()},
                                      {"replicas", ring.replicas()},
                                      {"members", std::move(members)},
                                      {"owners", std::move(owners)},
                                      {"preference_lists", std::move(replicas)},
                                      {"moves", std::move(moves)}});
}

// What each owner holds; a silent one says so in its place, the others are of use without it.
Result<std::string> inspect(Backend& client, const Key& key, Duration timeout) {
  Result<std::shared_ptr<const Ring>> found = ring_of(client, timeout);
  if (!found) return found.status();
  const Ring& ring = **found;
  Token token = token_of(key);
  json::array replicas, preference;
  const std::vector<NodeId>& nodes = ring.preference_list(token);
  for (std::size_t i = 0; i < nodes.size() && i < ring.effective_replicas(); ++i) {
    const Member* member = ring.find(nodes[i]);
    if (member == nullptr) continue;
    StatusText answer = client.query(member->name, "replica", key, timeout);
    json::object replica{{"node", member->name}};
    if (answer.status.is_ok()) {
      replica["holds"] = parsed(answer.json);
    } else {
      replica["error"] = answer.status.to_string();
    }
    replicas.push_back(std::move(replica));
  }
  for (NodeId node : nodes) {
    if (const Member* member = ring.find(node); member != nullptr)
      preference.emplace_back(member->name);
  }
  return json::serialize(json::object{{"key", printable(key)},
                                      {"token", to_string(token)},
                                      {"partition", ring.partition_of(token)},
                                      {"preference_list", std::move(preference)},
                                      {"replicas", std::move(replicas)}});
}

Result<std::string> run(Backend& client, const std::string& command, const char* text,
                        Duration timeout) {
  if (command == "status") {
    Result<json::object> arguments = read_arguments(text, {"node"});
    if (!arguments) return arguments.status();
    return status_of(client, *arguments, timeout);
  }
  if (command == "ring") {
    Result<json::object> arguments = read_arguments(text, {});
    if (!arguments) return arguments.status();
    return describe_ring(client, timeout);
  }
  if (command == "key.inspect") {
    Result<json::object> arguments =
        read_arguments(text, {"key", "bucket", "key_hex", "bucket_hex"});
    if (!arguments) return arguments.status();
    Result<Key> key = read_inspected(*arguments);
    if (!key) return key.status();
    return inspect(client, *key, timeout);
  }
  return invalid("command: wanted status, ring or key.inspect, got \"" + printable(command) + "\"");
}

}  // namespace

ringlet_status ringlet_admin(ringlet_client* client, const char* command, const char* text,
                             const ringlet_call* call, ringlet_text** answer,
                             ringlet_error** error) {
  if (answer != nullptr) *answer = nullptr;
  return guarded(error, [&]() -> Failure {
    if (Status s = check_client(client); !s) return s;
    if (answer == nullptr) return missing("answer");
    if (Status s = check_text("command", command, 256); !s) return s;
    if (text != nullptr) {
      if (Status s = check_text("json", text, 1 << 20); !s) return s;
    }
    Result<CallOptions> options = read_call(call);
    if (!options) return options.status();
    std::shared_ptr<ClientState> state = state_of(client);
    std::uint32_t ms =
        options->options.timeout_ms != 0 ? options->options.timeout_ms : state->timeout_ms;
    Result<std::string> result = run(*state->client, command, text, Duration::millis(ms));
    if (!result) return result.status();
    *answer = make_text(std::move(*result));
    return {};
  });
}
