// What a laboratory is asked, as JSON: the shapes are docs/pictures.md's, which ringlet.display draws.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "lab.hpp"
#include "node/hint_key.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::capi {
namespace {

Status invalid(std::string why) {
  return Status(Code::invalid_argument, std::move(why));
}

std::string base64(BytesView bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      word = word << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() ? digits[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string hex(BytesView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (unsigned char byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string hex(std::uint64_t number) {
  Bytes bytes;
  for (int i = 56; i >= 0; i -= 8) bytes += static_cast<char>(number >> i & 255);
  return hex(bytes);
}

std::string long_dot(const Dot& dot) {
  return to_string(dot.actor.node) + " epoch " + hex(dot.actor.epoch) + " counter " +
         std::to_string(dot.counter);
}

Status check_fields(const std::string& where, const json::object& given,
                    std::initializer_list<const char*> known) {
  for (const auto& field : given) {
    std::string_view name(field.key().data(), field.key().size());
    if (std::find(known.begin(), known.end(), name) == known.end())
      return unknown_field(where, name, known);
  }
  return Status::ok();
}

Result<Key> key_in(const json::object& given) {
  Key key;
  for (auto [name, part] : {std::pair{"bucket", &key.bucket}, {"key", &key.key}}) {
    const json::value* value = given.if_contains(name);
    if (value == nullptr) continue;
    if (!value->is_string())
      return invalid(std::string(name) + ": wanted a text, got " + json::serialize(*value));
    *part = key_bytes(value->get_string());
  }
  if (key.key.empty()) return invalid("key: wanted the key to look at, got none");
  return key;
}

Result<std::int64_t> number_in(const json::object& given, const char* name,
                               std::int64_t otherwise) {
  const json::value* value = given.if_contains(name);
  if (value == nullptr || value->is_null()) return otherwise;
  if (!value->is_int64() || value->get_int64() < 0)
    return invalid(std::string(name) + ": wanted a whole number from 0, got " +
                   json::serialize(*value));
  return value->get_int64();
}

// Sets of versions by their number.
class Bits {
 public:
  explicit Bits(std::size_t size) : words_((size + 63) / 64) {}
  void set(std::size_t i) { words_[i / 64] |= std::uint64_t{1} << (i % 64); }
  bool has(std::size_t i) const { return (words_[i / 64] >> (i % 64) & 1) != 0; }
  void add(const Bits& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }

 private:
  std::vector<std::uint64_t> words_;
};

const char* name_of(sim::Observer::Loss why) {
  return why == sim::Observer::Loss::cut      ? "cut"
         : why == sim::Observer::Loss::chance ? "loss"
                                              : "down";
}

}  // namespace

std::string key_text(const Bytes& bytes) {
  bool plain =
      is_utf8(bytes) && !bytes.starts_with("hex:") &&
      std::none_of(bytes.begin(), bytes.end(), [](unsigned char c) { return c < 32 || c == 127; });
  return plain ? bytes : "hex:" + hex(BytesView(bytes));
}

Bytes key_bytes(std::string_view text) {
  if (!text.starts_with("hex:") || text.size() % 2 != 0) return Bytes(text);
  Bytes bytes;
  for (std::size_t i = 4; i < text.size(); i += 2) {
    int byte = 0;
    for (std::size_t k = i; k < i + 2; ++k) {
      char c = text[k];
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) return Bytes(text);
      byte = byte * 16 + digit;
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

Result<std::string> Lab::ask(const std::string& what, const json::object& arguments) {
  if (what == "trace") return trace_json(arguments);
  if (what == "history") return history_json(arguments);
  if (what == "timeline") return timeline_json(arguments);
  if (what == "ring") return ring_json(arguments);
  if (what == "inspect") return inspect_json(arguments);
  if (what == "trees") return trees_json(arguments);
  if (what == "status" || what == "calls" || what == "keys" || what == "settings") {
    if (Status s = check_fields(what, arguments, {}); !s) return s;
    if (what == "calls") return calls_json();
    if (what == "settings") return json::serialize(settings_.given);
    if (what == "keys") {
      json::array keys;
      for (const Key& key : recorder_->keys())
        keys.push_back({{"bucket", key_text(key.bucket)}, {"key", key_text(key.key)}});
      return json::serialize(keys);
    }
    return status_json();
  }
  return unknown_field("what", what,
                       {"trace", "history", "timeline", "ring", "inspect", "trees", "status",
                        "calls", "keys", "settings"});
}

// ---- names ----

std::string Lab::node_name(NodeId id) const {
  for (sim::HostId node = 0; node < world_->nodes(); ++node) {
    if (world_->id_of(node) == id) return world_->name_of_host(node);
  }
  return to_string(id);
}

std::string Lab::dot_name(std::int32_t key, const Dot& dot) const {
  return node_name(dot.actor.node) + "·" + std::to_string(recorder_->epoch_of(key, dot.actor)) +
         ":" + std::to_string(dot.counter);
}

std::string Lab::version_name(const sim::Written& write) const {
  if (write.dots.empty()) return "unstored:" + to_string(write.id).substr(20);
  // With last-write-wins a version has no dot of its own: who stamped it, and when, by its own clock.
  if (write.stamp_us != 0)
    return node_name(write.dots[0].actor.node) + "·" + std::to_string(write.stamp_us);
  return dot_name(write.key, write.dots[0]);
}

json::array Lab::context_json(std::int32_t key, const CausalContext& context) const {
  json::array clock;
  for (const auto& entry : context.entries())
    clock.emplace_back(dot_name(key, {entry.actor, entry.counter}));
  return clock;
}

// What all disks together hold of a key: what a reader who reached everybody would find.
Object Lab::merged(const Key& key) {
  Object all;
  bool first = true;
  auto add = [&](const Object& held) {
    if (held.missing()) return;
    if (std::exchange(first, false)) {
      all = held;
    } else {
      (void)sync(all, held);
    }
  };
  for (sim::HostId node = 0; node < world_->nodes(); ++node) {
    if (gone_.contains(node)) continue;
    add(world_->stored(node, key));
    for (const auto& [row, bytes] : world_->disk(node).rows(Table::hints)) {
      auto hint = parse_hint_row(row);
      if (!hint || hint->key != key) continue;
      if (auto object = decode_record(bytes)) add(*object);
    }
  }
  return all;
}

// ---- the version DAG ----

Result<std::string> Lab::history_json(const json::object& arguments) {
  if (Status s = check_fields("history", arguments, {"bucket", "key", "most"}); !s) return s;
  auto key = key_in(arguments);
  if (!key) return key.status();
  auto most = number_in(arguments, "most", 2000);
  if (!most) return most.status();
  json::object out{
      {"bucket", key_text(key->bucket)}, {"key", key_text(key->key)}, {"now_us", now_us()}};
  json::array versions;
  std::size_t truncated = 0;
  bool unknown = false;
  std::int32_t number = recorder_->find(*key);
  if (number >= 0) {
    std::vector<const sim::Written*> writes;
    for (std::size_t at : recorder_->writes_of(number)) writes.push_back(&recorder_->writes()[at]);
    if (writes.size() > static_cast<std::size_t>(*most)) {
      truncated = writes.size() - static_cast<std::size_t>(*most);
      writes.erase(writes.begin(), writes.begin() + static_cast<std::ptrdiff_t>(truncated));
    }
    // A write was first heard of after what it had seen, so their order is one of causes first.
    std::vector<Bits> before(writes.size(), Bits(writes.size()));
    std::vector<std::vector<std::size_t>> nearest(writes.size()), replaced_by(writes.size());
    for (std::size_t i = 0; i < writes.size(); ++i) {
      const sim::Written& write = *writes[i];
      Bits through(writes.size());
      for (std::size_t a = 0; a < i; ++a) {
        const sim::Written& other = *writes[a];
        bool seen = std::any_of(other.dots.begin(), other.dots.end(),
                                [&](const Dot& dot) {
                                  return write.stamp_us == 0 && write.seen.contains(dot);
                                }) ||
                    std::find(write.shown.begin(), write.shown.end(), fingerprint(other.id)) !=
                        write.shown.end();
        if (seen) before[i].set(a);
      }
      for (std::size_t a = 0; a < i; ++a) {
        if (before[i].has(a)) through.add(before[a]);
      }
      for (std::size_t a = 0; a < i; ++a) {
        if (!before[i].has(a) || through.has(a)) continue;
        nearest[i].push_back(a);
        if (!write.dots.empty()) replaced_by[a].push_back(i);
      }
      before[i].add(through);
    }
    Object all = merged(*key);
    for (std::size_t i = 0; i < writes.size(); ++i) {
      const sim::Written& write = *writes[i];
      bool there = std::any_of(all.versions.begin(), all.versions.end(),
                               [&](const Version& v) { return v.write_id == write.id; });
      bool known = write.client != sim::no_host;
      unknown |= !known;
      const char* state = !known && !there ? "replaced"
                          : known && !write.acknowledged && (there || write.dots.empty())
                              ? "unacknowledged"
                          : !there          ? "replaced"
                          : write.tombstone ? "deleted"
                                            : "living";
      json::object v{{"dot", version_name(write)},
                     {"long", write.dots.empty() ? "stored nowhere" : long_dot(write.dots[0])},
                     {"deleted", write.tombstone},
                     {"write_id", to_string(write.id)},
                     {"state", state},
                     {"stored", there},
                     {"merges", nearest[i].size() > 1}};
      v["value"] = write.tombstone ? json::value() : json::value(base64(write.value));
      if (write.request != 0) v["request"] = write.request;
      v["content_type"] = key_text(write.content_type);
      v["client"] = known ? json::value(world_->name_of_host(write.client)) : json::value();
      v["coordinator"] = write.coordinator != sim::no_host
                             ? json::value(world_->name_of_host(write.coordinator))
                         : !write.dots.empty() ? json::value(node_name(write.dots[0].actor.node))
                                               : json::value();
      v["at_us"] = write.at ? json::value(us(*write.at)) : json::value();
      v["read_at_us"] = write.read_at ? json::value(us(*write.read_at)) : json::value();
      v["context"] = context_json(number, write.seen);
      json::array seen, by, aliases;
      for (std::size_t a : nearest[i]) seen.emplace_back(version_name(*writes[a]));
      for (std::size_t b : replaced_by[i]) by.emplace_back(version_name(*writes[b]));
      for (std::size_t d = 1; d < write.dots.size() && write.stamp_us == 0; ++d)
        aliases.emplace_back(dot_name(number, write.dots[d]));
      v["seen"] = std::move(seen);
      v["replaced_by"] = std::move(by);
      v["aliases"] = std::move(aliases);
      versions.push_back(std::move(v));
    }
  }
  out["versions"] = std::move(versions);
  out["unknown_writers"] = unknown;
  out["truncated"] = truncated;
  return json::serialize(out);
}

// ---- what happened ----

Result<std::string> Lab::trace_json(const json::object& arguments) {
  if (Status s =
          check_fields("trace", arguments, {"from", "most", "request", "kind", "bucket", "key"});
      !s)
    return s;
  auto from = number_in(arguments, "from", 0), most = number_in(arguments, "most", 100'000),
       request = number_in(arguments, "request", 0);
  for (const auto* each : {&from, &most, &request}) {
    if (!*each) return each->status();
  }
  std::string kind;
  if (const json::value* given = arguments.if_contains("kind")) {
    if (!given->is_string())
      return invalid("kind: wanted the kind of a record, got " + json::serialize(*given));
    kind = given->get_string();
  }
  std::int32_t wanted = -1;
  if (arguments.contains("key")) {
    auto key = key_in(arguments);
    if (!key) return key.status();
    wanted = recorder_->find(*key);
    if (wanted < 0) return std::string("[]");
  }
  json::array out;
  std::uint64_t number = recorder_->first() - 1;
  auto name = [&](sim::HostId host) { return world_->name_of_host(host); };
  for (const sim::TraceRecord& r : recorder_->records()) {
    ++number;
    if (number < static_cast<std::uint64_t>(*from)) continue;
    if (*request != 0 && r.request != static_cast<std::uint64_t>(*request)) continue;
    if (wanted >= 0 && r.key != wanted) continue;
    if (!kind.empty() && kind != sim::name_of(r.kind)) continue;
    if (out.size() >= static_cast<std::size_t>(*most)) break;
    using Kind = sim::TraceRecord::Kind;
    json::object o{
        {"n", number}, {"t", us(r.at)}, {"event", r.event}, {"kind", sim::name_of(r.kind)}};
    if (r.host != sim::no_host) o["host"] = name(r.host);
    if (r.peer != sim::no_host) o["peer"] = name(r.peer);
    if (r.request != 0) o["request"] = r.request;
    if (r.message != nullptr) o["message"] = r.message;
    if (r.reply) o["reply"] = true;
    std::string key;
    if (r.key >= 0) {
      const Key& of = recorder_->keys()[static_cast<std::size_t>(r.key)];
      o["bucket"] = key_text(of.bucket);
      o["key"] = key_text(of.key);
      key = printable(of);
    }
    if (r.key >= 0 && !r.dots.empty()) {
      json::array dots;
      for (const Dot& dot : r.dots) dots.emplace_back(dot_name(r.key, dot));
      o["dots"] = std::move(dots);
    }
    if (r.kind == Kind::store) {
      o["before"] = context_json(r.key, r.before);
      o["after"] = context_json(r.key, r.after);
    }
    o["cause"] = r.cause != 0 ? json::value(r.cause) : json::value();
    std::string words;
    switch (r.kind) {
      case Kind::act:
        words = r.words;
        break;
      case Kind::call:
        words = name(r.host) + " calls " + r.words + " " + key;
        break;
      case Kind::answer:
        words = name(r.host) + " has the answer of " + key + ": " + r.words;
        break;
      case Kind::send:
        words = name(r.host) + " sends " + r.message + " to " + name(r.peer);
        break;
      case Kind::deliver:
        words = name(r.host) + " gets " + r.message + " from " + name(r.peer);
        break;
      case Kind::lost:
        words = std::string(r.message) + " of " + name(r.host) + " to " + name(r.peer) +
                " is lost: " +
                (r.why == sim::Observer::Loss::cut      ? "the line is cut"
                 : r.why == sim::Observer::Loss::chance ? "by chance"
                                                        : name(r.peer) + " is down");
        o["why_lost"] = name_of(r.why);
        break;
      case Kind::store:
        words = name(r.host) + " stores " + key;
        break;
      case Kind::hint:
        words = name(r.host) + " keeps " + key + " as a hint for " + name(r.peer);
        break;
      case Kind::hint_done:
        words = name(r.host) + " gives up its hint of " + key + " for " + name(r.peer);
        break;
      case Kind::down:
        words = name(r.host) + " is down";
        break;
      case Kind::up:
        words = name(r.host) + " is up";
        break;
    }
    o["words"] = std::move(words);
    out.push_back(std::move(o));
  }
  return json::serialize(out);
}

Result<std::string> Lab::timeline_json(const json::object& arguments) {
  if (Status s =
          check_fields("timeline", arguments,
                       {"bucket", "key", "request", "from_us", "to_us", "background", "most"});
      !s) {
    return s;
  }
  auto from = number_in(arguments, "from_us", 0), to = number_in(arguments, "to_us", now_us()),
       request = number_in(arguments, "request", 0), most = number_in(arguments, "most", 5000);
  for (const auto* each : {&from, &to, &request, &most}) {
    if (!*each) return each->status();
  }
  const json::value* background = arguments.if_contains("background");
  if (background != nullptr && !background->is_bool())
    return invalid("background: wanted true or false, got " + json::serialize(*background));
  bool all = background != nullptr && background->get_bool();
  std::int32_t wanted = -1;
  bool by_key = arguments.contains("key");
  if (by_key) {
    auto key = key_in(arguments);
    if (!key) return key.status();
    wanted = recorder_->find(*key);
  }
  auto name = [&](sim::HostId host) { return json::value(world_->name_of_host(host)); };
  auto put_key = [&](json::object& o, std::int32_t key) {
    if (key < 0) return;
    const Key& of = recorder_->keys()[static_cast<std::size_t>(key)];
    o["bucket"] = key_text(of.bucket);
    o["key"] = key_text(of.key);
  };
  auto within = [&](Instant begin, const std::optional<Instant>& end) {
    return us(begin) <= *to && (!end || us(*end) >= *from);
  };
  std::size_t truncated = 0;
  json::array requests, messages, spans, cuts, hints, acts;
  for (const sim::CallRecord& call : recorder_->calls()) {
    if (by_key && call.key != wanted) continue;
    if (*request != 0 && call.id != static_cast<std::uint64_t>(*request)) continue;
    if (!within(call.from, call.to)) continue;
    if (requests.size() >= static_cast<std::size_t>(*most)) {
      ++truncated;
      continue;
    }
    const Key& of = recorder_->keys()[static_cast<std::size_t>(call.key)];
    json::object o{{"id", call.id},
                   {"client", name(call.client)},
                   {"what", std::string(call.kind) + " " + printable(of)},
                   {"from_us", us(call.from)},
                   {"attempts", call.attempts}};
    put_key(o, call.key);
    o["to_us"] = call.to ? json::value(us(*call.to)) : json::value();
    if (call.to) o["result"] = is_utf8(call.result) ? call.result : printable(call.result);
    requests.push_back(std::move(o));
  }
  std::map<std::uint64_t, std::size_t> sent;  // record, place in messages
  std::uint64_t number = recorder_->first() - 1;
  std::set<sim::HostId> heard;
  for (const sim::TraceRecord& r : recorder_->records()) {
    ++number;
    using Kind = sim::TraceRecord::Kind;
    if (r.kind == Kind::act && us(r.at) >= *from && us(r.at) <= *to && r.request == 0)
      acts.push_back({{"at_us", us(r.at)}, {"what", r.words}});
    if (r.kind == Kind::send) {
      if (by_key ? r.key != wanted : !all && r.key < 0) continue;
      if (*request != 0 && r.request != static_cast<std::uint64_t>(*request)) continue;
      if (us(r.at) < *from || us(r.at) > *to) continue;
      if (messages.size() >= static_cast<std::size_t>(*most)) {
        ++truncated;
        continue;
      }
      json::object o{{"from", name(r.host)}, {"to", name(r.peer)},    {"type", r.message},
                     {"sent_us", us(r.at)},  {"arrived_us", nullptr}, {"reply", r.reply},
                     {"why_lost", nullptr}};
      o["request"] = r.request != 0 ? json::value(r.request) : json::value();
      put_key(o, r.key);
      sent.emplace(number, messages.size());
      messages.push_back(std::move(o));
    } else if (r.kind == Kind::deliver || r.kind == Kind::lost) {
      auto of = sent.find(r.cause);
      if (of == sent.end()) continue;
      json::object& o = messages[of->second].get_object();
      if (r.kind == Kind::lost) {
        if (o["arrived_us"].is_null()) o["why_lost"] = name_of(r.why);
      } else if (o["arrived_us"].is_null()) {
        o["arrived_us"] = us(r.at);
      }
    }
  }
  for (const sim::Span& span : recorder_->spans()) {
    if (!within(span.from, span.to)) continue;
    std::string_view kind = span.kind;
    json::value until = span.to ? json::value(us(*span.to)) : json::value();
    if (kind == "cut") {
      cuts.push_back({{"from", name(span.host)},
                      {"to", name(span.peer)},
                      {"from_us", us(span.from)},
                      {"to_us", until}});
    } else if (kind == "hint") {
      if (by_key && span.key != wanted) continue;
      json::object o{{"at", name(span.host)},
                     {"for", name(span.peer)},
                     {"from_us", us(span.from)},
                     {"to_us", until}};
      put_key(o, span.key);
      if (span.dot.counter != 0) o["dot"] = dot_name(span.key, span.dot);
      hints.push_back(std::move(o));
    } else {
      spans.push_back({{"kind", span.kind},
                       {"host", name(span.host)},
                       {"from_us", us(span.from)},
                       {"to_us", until}});
    }
  }
  json::array hosts;
  for (sim::HostId host = 0; host < hosts_.size(); ++host) {
    bool node = host < world_->nodes();
    // A spare that was never started is no host of the picture.
    if (node && host >= settings_.nodes && !world_->up(host) && !gone_.contains(host)) continue;
    hosts.push_back({{"name", name(host)}, {"kind", node ? "node" : "client"}});
  }
  return json::serialize(json::object{{"hosts", std::move(hosts)},
                                      {"from_us", *from},
                                      {"to_us", *to},
                                      {"truncated", truncated},
                                      {"requests", std::move(requests)},
                                      {"messages", std::move(messages)},
                                      {"spans", std::move(spans)},
                                      {"cuts", std::move(cuts)},
                                      {"hints", std::move(hints)},
                                      {"acts", std::move(acts)}});
}

std::string Lab::calls_json() {
  json::array calls;
  for (const sim::CallRecord& call : recorder_->calls()) {
    const Key& of = recorder_->keys()[static_cast<std::size_t>(call.key)];
    json::object o{{"id", call.id},
                   {"client", world_->name_of_host(call.client)},
                   {"kind", call.kind},
                   {"bucket", key_text(of.bucket)},
                   {"key", key_text(of.key)},
                   {"from_us", us(call.from)},
                   {"attempts", call.attempts},
                   {"versions", call.versions}};
    o["to_us"] = call.to ? json::value(us(*call.to)) : json::value();
    o["result"] = !call.to               ? json::value()
                  : is_utf8(call.result) ? json::value(call.result)
                                         : json::value(printable(call.result));
    calls.push_back(std::move(o));
  }
  return json::serialize(
      json::object{{"calls", std::move(calls)}, {"truncated", recorder_->calls_forgotten()}});
}

std::string Lab::status_json() {
  json::array hosts;
  for (sim::HostId host = 0; host < hosts_.size(); ++host) {
    bool node = host < world_->nodes();
    json::object o{{"name", world_->name_of_host(host)},
                   {"kind", node ? "node" : "client"},
                   {"up", world_->up(host)},
                   {"paused", world_->paused(host)}};
    if (node) o["hints"] = world_->hints_at(host);
    hosts.push_back(std::move(o));
  }
  json::array skipped;
  for (const std::string& act : skipped_) skipped.emplace_back(act);
  return json::serialize(json::object{{"now_us", now_us()},
                                      {"events", world_->events()},
                                      {"skipped", std::move(skipped)},
                                      {"hash", hex(world_->trace_hash())},
                                      {"under_way", calls_.size()},
                                      {"records", recorder_->records().size()},
                                      {"records_forgotten", recorder_->first() - 1},
                                      {"hosts", std::move(hosts)}});
}

// ---- where things are ----

Result<std::string> Lab::ring_json(const json::object& arguments) {
  if (Status s = check_fields("ring", arguments, {"bucket", "key"}); !s) return s;
  auto ring = newest_ring();
  json::array members, slots;
  for (const Member& member : ring->members()) {
    sim::HostId host = world_->host_of(member.id);
    std::size_t owned = 0, coming = 0, going = 0;
    for (std::size_t slot = 0; slot < ring->owners().size(); ++slot) {
      if (ring->owners()[slot] != member.id) continue;
      ++owned;
      NodeId next = slot < ring->next().size() ? ring->next()[slot] : NodeId{};
      going += next && next != member.id;
    }
    for (NodeId next : ring->next()) coming += next == member.id;
    members.push_back({{"name", member.name},
                       {"weight", member.weight},
                       {"zone", member.zone},
                       {"state", !world_->up(host)             ? "down"
                                 : owned > 0 && going == owned ? "leaving"
                                 : owned == 0 && coming > 0    ? "joining"
                                                               : "up"},
                       {"slots", owned}});
  }
  std::sort(members.begin(), members.end(), [](const json::value& a, const json::value& b) {
    const auto &one = a.at("name").get_string(), &other = b.at("name").get_string();
    return std::pair(one.size(), one) < std::pair(other.size(), other);
  });
  auto owners_of = [&](std::uint32_t partition) {
    json::array owners;
    const auto& list = ring->preference_list(partition);
    for (std::size_t i = 0; i < list.size() && i < ring->effective_replicas(); ++i)
      owners.emplace_back(node_name(list[i]));
    return owners;
  };
  for (std::uint32_t partition = 0; partition < ring->partitions(); ++partition) {
    json::object slot{{"partition", partition}, {"owners", owners_of(partition)}};
    if (!ring->next().empty() && ring->next()[partition])
      slot["next"] = json::array{json::value(node_name(ring->next()[partition]))};
    slots.push_back(std::move(slot));
  }
  json::object out{{"partitions", ring->partitions()},
                   {"n", ring->replicas()},
                   {"epoch", ring->epoch()},
                   {"members", std::move(members)},
                   {"slots", std::move(slots)}};
  if (arguments.contains("key")) {
    auto key = key_in(arguments);
    if (!key) return key.status();
    std::uint32_t partition = ring->partition_of(token_of(*key));
    json::array substitutes;
    const auto& list = ring->preference_list(partition);
    std::size_t missing = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      bool up = world_->up(world_->host_of(list[i]));
      if (i < ring->effective_replicas()) {
        missing += !up;
      } else if (up && substitutes.size() < missing) {
        substitutes.emplace_back(node_name(list[i]));
      }
    }
    out["key"] = json::object{{"bucket", key_text(key->bucket)},
                              {"key", key_text(key->key)},
                              {"partition", partition},
                              {"preference", owners_of(partition)},
                              {"substitutes", std::move(substitutes)}};
  }
  return json::serialize(out);
}

Result<std::string> Lab::inspect_json(const json::object& arguments) {
  if (Status s = check_fields("inspect", arguments, {"bucket", "key"}); !s) return s;
  auto key = key_in(arguments);
  if (!key) return key.status();
  auto ring = newest_ring();
  const auto& list = ring->preference_list(token_of(*key));
  std::set<NodeId> owners(list.begin(),
                          list.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(
                                             list.size(), ring->effective_replicas())));
  std::int32_t number = recorder_->find(*key);
  json::array nodes;
  auto row = [&](sim::HostId node, const char* role, const Object& held) {
    json::object o{{"name", world_->name_of_host(node)},
                   {"role", role},
                   {"state", world_->up(node) ? "ok" : "down"}};
    json::array versions;
    for (const Version& version : held.versions) {
      json::object v{{"dot", dot_name(number, version.dot)},
                     {"long", long_dot(version.dot)},
                     {"deleted", version.tombstone},
                     {"at_us", version.written_us - 1'700'000'000'000'000 - start_.us},
                     {"write_id", to_string(version.write_id)}};
      v["value"] = version.tombstone ? json::value() : json::value(base64(version.value));
      if (held.mode == Reconcile::lww)
        v["dot"] = node_name(version.dot.actor.node) + "·" + std::to_string(version.written_us);
      versions.push_back(std::move(v));
    }
    o["clock"] = number >= 0 ? context_json(number, held.context) : json::array{};
    o["versions"] = std::move(versions);
    return o;
  };
  auto add = [&](sim::HostId node) {
    bool own = owners.contains(world_->id_of(node));
    Object held = world_->stored(node, *key);
    if (own || !held.missing()) nodes.push_back(row(node, own ? "own" : "other", held));
    for (const auto& [name, bytes] : world_->disk(node).rows(Table::hints)) {
      auto hint = parse_hint_row(name);
      if (!hint || hint->key != *key) continue;
      auto object = decode_record(bytes);
      if (!object) continue;
      json::object o = row(node, "hint", *object);
      o["hint_for"] = node_name(hint->target);
      nodes.push_back(std::move(o));
    }
  };
  for (std::size_t i = 0; i < list.size() && i < ring->effective_replicas(); ++i)
    add(world_->host_of(list[i]));
  for (sim::HostId node = 0; node < world_->nodes(); ++node) {
    if (!owners.contains(world_->id_of(node)) && !gone_.contains(node)) add(node);
  }
  return json::serialize(json::object{
      {"bucket", key_text(key->bucket)}, {"key", key_text(key->key)}, {"nodes", std::move(nodes)}});
}

// The latest comparison of the two nodes that found a difference; without one the latest of all.
Result<std::string> Lab::trees_json(const json::object& arguments) {
  if (Status s = check_fields("trees", arguments, {"a", "b"}); !s) return s;
  auto one = host(arguments, "a", true), other = host(arguments, "b", true);
  if (!one) return one.status();
  if (!other) return other.status();
  std::vector<const sim::TreeStep*> steps;
  for (const sim::TreeStep& step : recorder_->tree_steps()) {
    if ((step.from == *one && step.to == *other) || (step.from == *other && step.to == *one))
      steps.push_back(&step);
  }
  std::size_t begin = steps.size();
  bool found = false;
  for (std::size_t i = steps.size(); i-- > 0 && !found;) {
    if (steps[i]->level != 0) continue;
    if (begin == steps.size()) begin = i;
    if (steps[i]->different > 0) {
      begin = i;
      found = true;
      // The roots are asked for twice: one hash over all of them, then each.
      while (begin > 0 && steps[begin - 1]->level == 0 && steps[begin - 1]->different > 0 &&
             steps[begin - 1]->from == steps[i]->from)
        --begin;
    }
  }
  json::object out{{"a", world_->name_of_host(*one)}, {"b", world_->name_of_host(*other)}};
  std::map<std::uint32_t, json::object> levels;
  std::set<std::int32_t> keys;
  std::size_t bytes = 0, different = 0;
  bool deeper = false;
  for (std::size_t i = begin; i < steps.size(); ++i) {
    const sim::TreeStep& step = *steps[i];
    if (step.from != steps[begin]->from) continue;
    if (step.level == 0 && deeper) break;  // the next comparison
    deeper |= step.level > 0;
    json::object& level = levels[step.level];
    auto more = [&](const char* what, std::size_t by) {
      std::uint64_t so_far = level.contains(what) ? level[what].to_number<std::uint64_t>() : 0;
      level[what] = so_far + by;
    };
    level["level"] = step.level;
    more("compared", step.compared);
    // Asked for one hash over all partitions, the answer names those that it is over.
    more("different", step.level == 0 ? std::min(step.different, step.compared) : step.different);
    more("bytes", step.bytes);
    bytes += step.bytes;
    if (step.level > 0) out["partition"] = step.partition;
    if (step.level == 3) different += step.different;
    keys.insert(step.keys.begin(), step.keys.end());
    out["at_us"] = us(step.at);
  }
  json::array list, names;
  for (auto& [number, level] : levels) list.push_back(std::move(level));
  for (std::int32_t key : keys)
    names.emplace_back(printable(recorder_->keys()[static_cast<std::size_t>(key)]));
  out["levels"] = std::move(list);
  out["keys_different"] = different;
  out["bytes"] = bytes;
  out["keys"] = std::move(names);
  return json::serialize(out);
}

}  // namespace ringlet::capi
