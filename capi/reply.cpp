#include "reply.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <protozero/pbf_reader.hpp>

#include "client_handle.hpp"
#include "versioning/encoding.hpp"

namespace json = boost::json;
using namespace ringlet;
using namespace ringlet::capi;

namespace {

std::array<unsigned char, 24> dot_bytes(const Dot& dot) {
  std::array<unsigned char, 24> bytes;
  std::uint64_t words[3] = {dot.actor.node.value, dot.actor.epoch, dot.counter};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<unsigned char>(words[i / 8] >> (56 - 8 * (i % 8)));
  }
  return bytes;
}

json::array names(const std::vector<NodeId>& nodes) {
  json::array array;
  for (NodeId node : nodes) array.emplace_back(to_string(node));
  return array;
}

json::object tally_of(const Outcome& outcome) {
  const Tally& tally = outcome.reply.tally;
  json::object o;
  o["status"] = ringlet_status_name(static_cast<ringlet_status>(outcome.reply.status.code()));
  o["node"] = is_utf8(outcome.node) ? outcome.node : printable(outcome.node);
  o["attempts"] = outcome.attempts;
  if (outcome.instead_of_client) {
    o["instead_of_client"] =
        "client coordination was wanted, but too few members were within reach: a node coordinated";
  }
  o["write_id"] = outcome.write_id ? to_string(outcome.write_id) : "";
  o["wanted"] = tally.wanted;
  o["got"] = tally.got;
  o["asked"] = tally.asked;
  o["not_found"] = tally.not_found;
  o["answered"] = names(tally.answered);
  o["silent"] = names(tally.silent);
  o["refused"] = names(tally.refused);
  o["substitutes"] = names(tally.substitutes);
  o["retry_after_ms"] = outcome.reply.retry_after_ms;
  o["left_out"] = outcome.reply.left_out;
  return o;
}

json::array clock_of(const CausalContext& context) {
  json::array clock;
  for (const CausalContext::Entry& entry : context.entries()) {
    clock.push_back({{"node", to_string(entry.actor.node)},
                     {"epoch", entry.actor.epoch},
                     {"counter", entry.counter}});
  }
  return clock;
}

// A context without its key: its fields can be read, its checksum (seeded with the key) not checked.
Result<CausalContext> seen_of(const char* name, ringlet_bytes bytes) {
  if (bytes.size == 0) return CausalContext{};
  auto bad = [&](const std::string& why) {
    return Status(Code::invalid_context, std::string(name) + ": " + why);
  };
  if (bytes.size < 9 || bytes.size > max_context_bytes) {
    return bad("wanted 0 or 9 to " + std::to_string(max_context_bytes) + " bytes, got " +
               std::to_string(bytes.size));
  }
  BytesView v = view(bytes);
  if (v[0] != 1) {
    return bad("wanted format 1, got " + std::to_string(static_cast<unsigned char>(v[0])));
  }
  try {
    protozero::pbf_reader in{v.data() + 1, v.size() - 9};
    CausalContext seen;
    while (in.next()) {
      if (in.tag() == 1 && in.wire_type() == protozero::pbf_wire_type::length_delimited) {
        auto inner = in.get_view();
        Result<CausalContext> context = decode_causal_context({inner.data(), inner.size()});
        if (!context) return bad(context.status().message());
        seen = std::move(*context);
      } else {
        in.skip();
      }
    }
    return seen;
  } catch (const protozero::exception& e) {
    return bad(std::string("not a context (") + e.what() + ")");
  }
}

}  // namespace

ringlet_reply::ringlet_reply(Outcome o, const char* name, bool show_versions, Deletes deletes)
    : outcome(std::move(o)), operation(name), deletes(deletes) {
  if (show_versions) shown = ringlet::shown(outcome.reply.object, deletes).versions;
  dots.reserve(shown.size());
  for (const Version* version : shown) dots.push_back(dot_bytes(version->dot));
}

namespace ringlet::capi {

std::string details_of(const Outcome& outcome) {
  return json::serialize(tally_of(outcome));
}

Failure failure_of(const Outcome& outcome) {
  const Status& status = outcome.reply.status;
  if (status.is_ok()) return {};
  return {status, details_of(outcome)};
}

}  // namespace ringlet::capi

namespace {

const Version* at(const ringlet_reply* reply, size_t index) {
  return reply != nullptr && index < reply->shown.size() ? reply->shown[index] : nullptr;
}

}  // namespace

size_t ringlet_reply_count(const ringlet_reply* reply) {
  return reply == nullptr ? 0 : reply->shown.size();
}

ringlet_bytes ringlet_reply_value(const ringlet_reply* reply, size_t index) {
  const Version* version = at(reply, index);
  return version == nullptr ? ringlet_bytes{nullptr, 0} : bytes_of(version->value);
}

ringlet_bytes ringlet_reply_content_type(const ringlet_reply* reply, size_t index) {
  const Version* version = at(reply, index);
  return version == nullptr ? ringlet_bytes{nullptr, 0} : bytes_of(version->content_type);
}

ringlet_bytes ringlet_reply_dot(const ringlet_reply* reply, size_t index) {
  if (at(reply, index) == nullptr) return {nullptr, 0};
  return {reply->dots[index].data(), reply->dots[index].size()};
}

uint64_t ringlet_reply_written_ms(const ringlet_reply* reply, size_t index) {
  const Version* version = at(reply, index);
  return version == nullptr || version->written_us < 0
             ? 0
             : static_cast<uint64_t>(version->written_us) / 1000;
}

int ringlet_reply_is_tombstone(const ringlet_reply* reply, size_t index) {
  const Version* version = at(reply, index);
  return version != nullptr && version->tombstone;
}

int ringlet_reply_merged(const ringlet_reply* reply) {
  return reply == nullptr || reply->outcome.update.merged;
}

size_t ringlet_reply_left_out(const ringlet_reply* reply) {
  return reply == nullptr ? 0 : reply->outcome.reply.left_out;
}

ringlet_bytes ringlet_reply_context(const ringlet_reply* reply) {
  return reply == nullptr ? ringlet_bytes{nullptr, 0} : bytes_of(reply->outcome.context);
}

ringlet_text* ringlet_reply_explain(const ringlet_reply* reply) {
  return guarded_pointer([&]() -> ringlet_text* {
    if (reply == nullptr) return make_text("{}");
    json::object o = tally_of(reply->outcome);
    o["operation"] = reply->operation;
    if (reply->operation == std::string_view("update")) {
      const UpdateEnd& end = reply->outcome.update;
      o["edited"] = end.edited;
      o["merged"] = end.merged;
      o["left"] = end.left;
      o["why"] = is_utf8(end.why) ? end.why : printable(end.why);
    }
    json::array versions;
    for (const Version& version : reply->outcome.reply.object.versions) {
      json::object v;
      v["dot"] = {{"node", to_string(version.dot.actor.node)},
                  {"epoch", version.dot.actor.epoch},
                  {"counter", version.dot.counter}};
      v["write_id"] = to_string(version.write_id);
      v["written_us"] = version.written_us;
      v["tombstone"] = version.tombstone;
      v["bytes"] = version.value.size();
      versions.push_back(std::move(v));
    }
    o["versions"] = std::move(versions);
    o["context"] = clock_of(reply->outcome.reply.object.context);
    return make_text(json::serialize(o));
  });
}

void ringlet_reply_retain(ringlet_reply* reply) {
  if (reply != nullptr) reply->references.fetch_add(1, std::memory_order_relaxed);
}

void ringlet_reply_release(ringlet_reply* reply) {
  if (reply != nullptr && reply->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete reply;
}

ringlet_status ringlet_context_compare(ringlet_bytes a, ringlet_bytes b, int* order) {
  if (order != nullptr) *order = 0;
  return guarded(nullptr, [&]() -> Failure {
    if (order == nullptr) return missing("order");
    for (ringlet_bytes bytes : {a, b}) {
      if (bytes.size > 0 && bytes.data == nullptr) return missing("context");
    }
    Result<CausalContext> first = seen_of("first context", a),
                          second = seen_of("second context", b);
    if (!first) return first.status();
    if (!second) return second.status();
    switch (first->compare(*second)) {
      case CausalOrder::equal:
        *order = 0;
        break;
      case CausalOrder::before:
        *order = -1;
        break;
      case CausalOrder::after:
        *order = 1;
        break;
      case CausalOrder::concurrent:
        *order = 2;
        break;
    }
    return {};
  });
}

ringlet_status ringlet_context_describe(const ringlet_key* key, ringlet_bytes context,
                                        ringlet_text** text, ringlet_error** error) {
  if (text != nullptr) *text = nullptr;
  return guarded(error, [&]() -> Failure {
    if (text == nullptr) return missing("text");
    if (context.size > 0 && context.data == nullptr) return missing("context");
    CausalContext seen;
    if (key != nullptr) {
      Result<Key> wanted = read_key(*key);
      if (!wanted) return wanted.status();
      Result<ClientContext> decoded = decode_client_context(view(context), *wanted);
      if (!decoded) return decoded.status();
      seen = std::move(decoded->seen);
    } else {
      Result<CausalContext> read = seen_of("context", context);
      if (!read) return read.status();
      seen = std::move(*read);
    }
    *text = make_text(
        json::serialize(json::object{{"checked", key != nullptr}, {"seen", clock_of(seen)}}));
    return {};
  });
}
