// The conformance driver in C++: core/runtime/client.hpp, without the C ABI. driver.c says what it reads and
// answers, README.md of this folder lists the fields. With async=1 a call goes through submit or
// update_async.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "configuration/config_keys.hpp"
#include "document/edits.hpp"
#include "runtime/client.hpp"
#include "versioning/encoding.hpp"
#include "versioning/shown.hpp"

namespace {

using namespace ringlet;
bool use_async = false;

[[noreturn]] void die(const std::string& what) {
  std::cerr << "driver_cpp: " << what << '\n';
  std::exit(2);
}

// ---- the line protocol ----

std::string escaped(std::string_view bytes) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : bytes) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
        c == '_' || c == '-') {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += hex[c >> 4];
      out += hex[c & 15];
    }
  }
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
    i += 2;
  }
  return out;
}

struct Fields {
  std::vector<std::pair<std::string, std::string>> all;

  explicit Fields(const std::string& line) {
    std::size_t at = 0;
    while (at < line.size()) {
      std::size_t end = std::min(line.find(' ', at), line.size()), equals = line.find('=', at);
      if (equals >= end) die("a request has a bad field");
      all.emplace_back(line.substr(at, equals - at),
                       unescaped(std::string_view(line).substr(equals + 1, end - equals - 1)));
      at = end + 1;
    }
  }
  const std::string* find(std::string_view name) const {
    for (const auto& [key, value] : all)
      if (key == name) return &value;
    return nullptr;
  }
  std::string operator[](std::string_view name) const {
    const std::string* found = find(name);
    return found == nullptr ? std::string() : *found;
  }
  unsigned long number(std::string_view name) const {
    return std::strtoul((*this)[name].c_str(), nullptr, 10);
  }
};

struct Reply {
  std::string line;
  void field(const char* name, std::string_view bytes) {
    if (!line.empty()) line += ' ';
    line += name;
    line += '=';
    line += escaped(bytes);
  }
  void number(const char* name, unsigned long value) { field(name, std::to_string(value)); }
};

std::string status_name(Code code) {
  std::string name = name_of(code);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// ---- what a program of this language does with bytes: a codec ----

bool is_utf8(const std::string& s) {
  for (std::size_t i = 0; i < s.size();) {
    auto c = static_cast<unsigned char>(s[i]);
    std::size_t more = c < 0x80                ? 0
                       : c >= 0xC2 && c < 0xE0 ? 1
                       : c >= 0xE0 && c < 0xF0 ? 2
                       : c >= 0xF0 && c < 0xF5 ? 3
                                               : 9;
    if (more == 9 || i + more >= s.size()) return false;
    for (std::size_t j = 1; j <= more; ++j)
      if ((static_cast<unsigned char>(s[i + j]) & 0xC0) != 0x80) return false;
    i += more + 1;
  }
  return true;
}
bool decodable(const std::string& codec, const Version& version) {
  if (codec != "text" || version.tombstone) return true;
  return (version.content_type.empty() || version.content_type == "text/plain") &&
         is_utf8(version.value);
}

// ---- calls ----

std::map<std::string, std::unique_ptr<Client>> clients;
std::map<std::string, std::uint32_t> attempts;

Client& client_of(const Fields& in) {
  auto found = clients.find(in["client"]);
  if (found == clients.end()) die("a request names a client that is not open");
  return *found->second;
}

Deletes deletes_of(const Fields& in) {
  return in["deletes"] == "win"   ? Deletes::win
         : in["deletes"] == "ask" ? Deletes::ask
                                  : Deletes::lose;
}

RequestOptions options_of(const Fields& in) {
  RequestOptions options;
  options.timeout_ms = static_cast<std::uint32_t>(in.number("timeout_ms"));
  options.r = static_cast<std::uint8_t>(in.number("r"));
  options.w = static_cast<std::uint8_t>(in.number("w"));
  options.strict = in.number("strict") != 0;
  const std::string durability = in["durability"];
  options.durability = durability == "buffer" ? WriteDurability::buffer
                       : durability == "log"  ? WriteDurability::log
                       : durability == "disk" ? WriteDurability::disk
                                              : WriteDurability::unset;
  return options;
}

WriteId write_id_of(const Fields& in) {
  WriteId id;
  const std::string text = in["write_id"];
  if (text.size() == 32) {
    id.high = std::stoull(text.substr(0, 16), nullptr, 16);
    id.low = std::stoull(text.substr(16), nullptr, 16);
  }
  return id;
}

Key key_of(const Fields& in) {
  return {in["bucket"], in["key"]};
}

std::string id_text(WriteId id) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(id.high),
                static_cast<unsigned long long>(id.low));
  return text;
}

void tell_status(Reply& out, const Outcome& outcome) {
  const Status& status = outcome.reply.status;
  out.field("status", status_name(status.code()));
  if (status.is_ok()) return;
  out.field("message", status.message());
  out.number("maybe", status.maybe_applied());
  out.number("retryable", status.retryable());
}

std::string dot_bytes(const Dot& dot) {
  std::string out;
  for (std::uint64_t part : {dot.actor.node.value, dot.actor.epoch, dot.counter})
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(part >> shift & 255);
  return out;
}

void tell_reply(Reply& out, const Fields& in, const Outcome& outcome, bool versions, bool value) {
  out.field("context", outcome.context);
  out.number("merged", outcome.update.merged);
  out.number("left_out", outcome.reply.left_out);
  if (outcome.write_id) out.field("write_id", id_text(outcome.write_id));
  Shown there = shown(outcome.reply.object, deletes_of(in));
  const std::string codec = in["codec"];
  if (versions) {
    for (const Version* version : there.versions) {
      out.field("version", escaped(version->value) + "," + escaped(version->content_type) + "," +
                               escaped(dot_bytes(version->dot)) +
                               (version->tombstone ? ",1" : ",0") +
                               (decodable(codec, *version) ? ",0" : ",1"));
    }
  }
  if (!value) return;
  if (there.versions.empty()) {
    out.field("is", "missing");
  } else if (there.conflict) {
    out.field("is", "conflict");
  } else if (!decodable(codec, *there.versions.front())) {
    out.field("is", "undecodable");
  } else {
    out.field("is", "value");
    out.field("value", there.versions.front()->value);
  }
}

// ---- the application's functions ----

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find('+', at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}
template <typename Parts>
std::string join(const Parts& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "+") + part;
  return out;
}
std::map<std::string, long> counts_of(const std::string& text) {
  std::map<std::string, long> counts;
  for (const std::string& entry : split(text)) {
    std::size_t colon = entry.find(':');
    long count =
        colon == std::string::npos ? 0 : std::strtol(entry.c_str() + colon + 1, nullptr, 10);
    long& held = counts[entry.substr(0, colon)];
    held = std::max(held, count);
  }
  return counts;
}
std::string text_of(const std::map<std::string, long>& counts) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts) parts.push_back(name + ":" + std::to_string(count));
  return join(parts);
}

struct Application {
  const Fields& in;
  Client& client;
  unsigned edits = 0, merges = 0;
  bool written = false, raised = false, raised_after_write = false, conflict = false,
       undecodable = false;
  std::string seen;

  bool has_resolver() const { return in.find("resolver") != nullptr; }

  void rival(const std::string& value) {
    Client::Request request;
    request.kind = ClientCore::Kind::put;
    request.key = key_of(in);
    request.value = value;
    request.content_type = in["content_type"];
    if (!client.call(std::move(request)).reply.status.is_ok()) die("the rival's write failed");
  }

  UpdateAnswer plain(const std::string& what) {
    if (what == "raise") {
      raised = true;
      raised_after_write = written;
      return {UpdateAnswer::Kind::fail, {}, "the application's function failed"};
    }
    if (what == "nothing") return UpdateAnswer{};
    if (what == "delete") return {UpdateAnswer::Kind::erase, {}, {}};
    return {UpdateAnswer::Kind::keep, {}, {}};
  }
  static bool is_plain(const std::string& what) {
    return what == "raise" || what == "nothing" || what == "delete" || what == "keep";
  }

  UpdateAnswer resolve(const std::vector<const Version*>& siblings) {
    const std::string what = in["resolver"];
    if (written) {
      note(siblings.size());
      ++merges;
      if (merges <= in.number("rival_merges")) rival(in["rival_merge"] + std::to_string(merges));
      std::this_thread::sleep_for(std::chrono::milliseconds(in.number("merge_ms")));
    }
    if (is_plain(what)) return plain(what);
    std::set<std::string> all;
    std::string text;
    bool deleted = false;
    for (const Version* version : siblings) {
      if (version->tombstone) {
        deleted = true;
        continue;
      }
      if (!decodable(in["codec"], *version)) {
        all.insert("undecodable");
        continue;
      }
      for (std::string& part : split(version->value)) all.insert(std::move(part));
      text += "+" + version->value;
    }
    if (deleted && what == "delete_wins") return plain("delete");
    return {
        UpdateAnswer::Kind::value, what == "counter" ? text_of(counts_of(text)) : join(all), {}};
  }

  void note(std::size_t count) {
    seen += (seen.empty() ? "" : ",") + std::string(written ? "m" : "e") + std::to_string(count);
  }

  UpdateAnswer edit(const Version* current) {
    bool there = current != nullptr && !current->tombstone;
    bool asked = !there || decodable(in["codec"], *current) || has_resolver();
    if (seen.empty() && asked) note(current == nullptr ? 0 : 1);
    if (there && !decodable(in["codec"], *current)) {
      if (!has_resolver()) {
        undecodable = true;  // no function of the application was asked
        return {UpdateAnswer::Kind::fail, {}, "the application's codec cannot read the value"};
      }
      // One version that this program cannot read: it asks its resolver what to make of it.
      UpdateAnswer made = resolve({current});
      if (made.kind == UpdateAnswer::Kind::fail || made.kind == UpdateAnswer::Kind::keep)
        return made;
      there = made.kind == UpdateAnswer::Kind::value;
      return changed(there, made.value);
    }
    return changed(there, there ? current->value : Bytes());
  }

  UpdateAnswer changed(bool there, const std::string& current) {
    ++edits;
    if (const std::string* value = in.find("rival")) rival(*value);
    std::this_thread::sleep_for(std::chrono::milliseconds(in.number("edit_ms")));
    const std::string what = in["edit"], with = in["with"];
    if (is_plain(what)) return plain(what);
    if (what == "set") return {UpdateAnswer::Kind::value, with, {}};
    if (what == "append")
      return {
          UpdateAnswer::Kind::value, there && !current.empty() ? current + "+" + with : with, {}};
    if (what != "count") die("a request has an edit that is not known");
    auto counts = there ? counts_of(current) : std::map<std::string, long>();
    ++counts[with];
    return {UpdateAnswer::Kind::value, text_of(counts), {}};
  }
};

Outcome run_update(Client& client, const Fields& in, Application& app) {
  Client::UpdateOptions options;
  options.call = options_of(in);
  options.content_type = in["content_type"];
  options.write_id = write_id_of(in);
  options.attempts = attempts[in["client"]];
  options.deletes = deletes_of(in);
  Client::Resolver resolver;
  if (app.has_resolver()) {
    // The edit ends the first question; every merge after it belongs to an acknowledged write.
    resolver = [&app](const std::vector<const Version*>& siblings) {
      app.written = app.edits > 0;
      if (!app.written) app.note(siblings.size());
      return app.resolve(siblings);
    };
  }
  auto edit = [&app](const Version* current) { return app.edit(current); };
  if (!use_async) return client.update(key_of(in), edit, resolver, options);

  struct Asked {
    std::uint64_t update;
    UpdateQuestion question;
  };
  std::promise<Outcome> done;
  std::future<Outcome> outcome = done.get_future();
  ClientCore::Update update;
  update.request.kind = ClientCore::Kind::put;
  update.request.key = key_of(in);
  update.request.options = options.call;
  update.request.content_type = options.content_type;
  update.request.write_id = options.write_id;
  update.attempts = options.attempts;
  update.deletes = options.deletes;
  std::mutex mutex;
  std::vector<Asked> waiting;
  update.on_ask = [&](std::uint64_t number, UpdateQuestion question) {
    std::lock_guard lock(mutex);
    waiting.push_back({number, std::move(question)});
  };
  std::uint64_t number = client.update_async(
      std::move(update), [&done](Outcome ended) { done.set_value(std::move(ended)); });
  (void)number;
  while (outcome.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
    std::vector<Asked> now;
    {
      std::lock_guard lock(mutex);
      now.swap(waiting);
    }
    for (Asked& asked : now) {
      Shown there = shown(asked.question.read.reply.object, options.deletes);
      app.written = asked.question.written;
      UpdateAnswer answer;
      if (asked.question.written) {
        answer = resolver ? resolver(there.versions) : app.plain("keep");
      } else if (there.conflict) {
        if (!resolver) {
          app.conflict = true;
          answer = {UpdateAnswer::Kind::fail, {}, "a conflict and no resolver"};
        } else {
          answer = resolver(there.versions);
          Version merged;
          merged.value = answer.value;
          if (answer.kind == UpdateAnswer::Kind::value)
            answer = edit(&merged);
          else if (answer.kind == UpdateAnswer::Kind::erase)
            answer = edit(nullptr);
        }
      } else {
        answer = edit(there.versions.empty() ? nullptr : there.versions.front());
      }
      client.answer(asked.update, asked.question.attempt, std::move(answer));
    }
  }
  return outcome.get();
}

Outcome run(Client& client, Client::Request request, bool siblings) {
  if (use_async) {
    std::promise<Outcome> done;
    std::future<Outcome> outcome = done.get_future();
    client.submit(std::move(request), [&done](Outcome ended) { done.set_value(std::move(ended)); });
    return outcome.get();
  }
  if (request.kind == ClientCore::Kind::get) return client.get(request.key, request.options);
  Client::WriteOptions options(request.options);
  options.content_type = request.content_type;
  options.write_id = request.write_id;
  options.return_siblings = siblings;
  return request.kind == ClientCore::Kind::put
             ? client.put(request.key, request.value, request.context, options)
             : client.erase(request.key, request.context, options);
}

void call(const Fields& in, Reply& out) {
  Client& client = client_of(in);
  const std::string what = in["do"];
  if (what == "update" && in["resolver"] == "factory") {
    // What makes a resolver does not compile where a resolver is wanted.
    Outcome refused;
    refused.reply.status = Status(Code::invalid_argument, "no resolver");
    tell_status(out, refused);
    out.number("edits", 0);
    out.number("merges", 0);
    return out.field("seen", "");
  }
  if (what == "update") {
    Application app{in, client};
    Outcome outcome = run_update(client, in, app);
    Code code = outcome.reply.status.code();
    bool applied = outcome.reply.status.maybe_applied();
    if (code == Code::ok && app.raised && app.raised_after_write && !outcome.update.merged) {
      out.field("status", "RAISED");
      out.number("applied", 1);
    } else if (code == Code::merge_failed && app.raised) {
      out.field("status", "RAISED");
      out.number("applied", applied);
    } else if (code == Code::merge_failed && app.undecodable) {
      out.field("status", "UNDECODABLE");
      out.number("applied", applied);
    } else if (code == Code::merge_failed && !app.has_resolver() && app.edits == 0) {
      out.field("status", "CONFLICT");
      out.field("code", status_name(code));
      out.number("applied", applied);
    } else {
      tell_status(out, outcome);
      if (code == Code::ok) tell_reply(out, in, outcome, true, true);
    }
    out.number("edits", app.edits);
    out.number("merges", app.merges);
    out.field("seen", app.seen);
    return;
  }
  Client::Request request;
  request.kind = what == "get"   ? ClientCore::Kind::get
                 : what == "put" ? ClientCore::Kind::put
                                 : ClientCore::Kind::erase;
  request.key = key_of(in);
  request.context = in["context"];
  request.value = in["value"];
  request.content_type = in["content_type"];
  request.write_id = write_id_of(in);
  request.options = options_of(in);
  bool siblings = in.number("siblings") != 0;
  Outcome outcome = run(client, std::move(request), siblings);
  tell_status(out, outcome);
  if (!outcome.reply.status.is_ok()) {
    if (outcome.write_id) out.field("write_id", id_text(outcome.write_id));
    return;
  }
  // submit always brings the versions; put and erase where they are asked to.
  tell_reply(out, in, outcome, what == "get" || siblings || !use_async, what == "get");
}

void multi_get(const Fields& in, Reply& out) {
  std::vector<Key> keys;
  for (const auto& [name, value] : in.all)
    if (name == "key") keys.push_back({in["bucket"], value});
  out.field("status", "OK");
  for (const Outcome& outcome : client_of(in).multi_get(keys, options_of(in))) {
    Reply item;
    tell_status(item, outcome);
    if (outcome.reply.status.is_ok()) tell_reply(item, in, outcome, true, true);
    out.field("item", item.line);
  }
}

// ---- documents ----

std::vector<std::string> parts_of(const std::string& text, char by) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = std::min(text.find(by, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// "increment items/tea 2": what is to be done, the fields to it, a value or an amount.
document::Edit edit_of(const std::string& words) {
  static const std::vector<std::string> kinds = {"",      "add",     "remove", "increment",
                                                 "set",   "set_all", "enable", "disable",
                                                 "erase", "discard", "clear"};
  std::vector<std::string> parts = parts_of(words, ' ');
  document::Edit edit;
  auto kind = std::find(kinds.begin(), kinds.end(), parts[0]);
  if (kind == kinds.end()) die("a request has an edit that is not known: " + words);
  edit.kind = static_cast<document::EditKind>(kind - kinds.begin());
  for (const std::string& name : parts_of(parts[1], '/'))
    edit.path.push_back(document::Scalar::of_text(name));
  if (edit.kind == document::EditKind::increment) {
    edit.amount = std::stoll(parts[2]);
  } else if (parts.size() > 2) {
    edit.value = document::Scalar::of_text(parts[2]);
  }
  return edit;
}

// "coupons:A,B;gift;items:tea 2": the fields in order, what is empty is left out.
std::string text_of(const document::Map& root) {
  std::string out;
  for (const document::Field& field : root.fields) {
    std::vector<std::string> inside;
    if (const auto* map = std::get_if<document::Map>(&field.node)) {
      for (const document::Field& each : map->fields)
        inside.push_back(
            each.name.text + " " +
            document::to_string(document::total(std::get<document::Counter>(each.node))));
    } else if (const auto* set = std::get_if<document::Set>(&field.node)) {
      for (const document::Element& element : set->elements) inside.push_back(element.value.text);
    } else if (const auto* one = std::get_if<document::Register>(&field.node)) {
      inside.push_back(document::latest(*one)->value.text);
    } else if (const auto* all = std::get_if<document::RegisterAll>(&field.node)) {
      for (const auto& value : all->values) inside.push_back(value.value.text);
      std::sort(inside.begin(), inside.end());
      inside.erase(std::unique(inside.begin(), inside.end()), inside.end());
    }
    out += (out.empty() ? "" : ";") + field.name.text;
    for (std::size_t i = 0; i < inside.size(); ++i) out += (i == 0 ? ":" : ",") + inside[i];
  }
  return out;
}

void document_call(const Fields& in, Reply& out) {
  Client& client = client_of(in);
  Outcome outcome;
  if (in["do"] == "edit") {
    ClientCore::Edit edit;
    edit.request.kind = ClientCore::Kind::put;
    edit.request.key = key_of(in);
    edit.request.write_id = write_id_of(in);
    edit.request.options = options_of(in);
    edit.attempts = attempts[in["client"]];
    edit.deletes = deletes_of(in);
    for (const auto& [name, value] : in.all)
      if (name == "edit") edit.edits.push_back(edit_of(value));
    if (use_async) {
      std::promise<Outcome> done;
      std::future<Outcome> ended = done.get_future();
      client.edit_async(std::move(edit),
                        [&done](Outcome over) { done.set_value(std::move(over)); });
      outcome = ended.get();
    } else {
      outcome = client.edit(std::move(edit));
    }
  } else {
    outcome = client.get(key_of(in), options_of(in));
  }
  tell_status(out, outcome);
  if (!outcome.reply.status.is_ok()) {
    if (outcome.write_id) out.field("write_id", id_text(outcome.write_id));
    return;
  }
  Result<document::State> state = document::read(outcome.reply.object, deletes_of(in));
  if (!state) return out.field("document_status", status_name(state.status().code()));
  out.field("document", text_of(state->root));
}

void open(const Fields& in, Reply& out) {
  Config config;
  bool named = false;
  auto refuse = [&](const Status& status) {
    Outcome outcome;
    outcome.reply.status = status;
    tell_status(out, outcome);
  };
  for (const auto& [name, value] : in.all) {
    if (name != "option") continue;
    std::string option = value.substr(0, value.find('=')),
                given = value.substr(value.find('=') + 1);
    const ConfigKey* key = find_config_key(option);
    if (key == nullptr) {
      return refuse(Status(Code::unknown_option, "there is no option " + option +
                                                     "; the nearest is " +
                                                     nearest_config_key(option).name()));
    }
    ConfigValue parsed = key->parse(given);
    if (std::string wanted = key->wrong(parsed); !wanted.empty()) {
      return refuse(
          Status(Code::invalid_argument, option + ": wanted " + wanted + ", got " + given));
    }
    if ((key->uses & for_client) == 0)
      return refuse(Status(Code::invalid_argument, option + " is not for a client"));
    key->set(config, parsed);
    named |= option == "client.cluster";
  }
  if (!named) config.client.cluster = config.ring.cluster;
  Result<std::unique_ptr<Client>> opened = Client::open(config.client);
  if (!opened) return refuse(opened.status());
  clients[in["client"]] = std::move(*opened);
  attempts[in["client"]] = config.update_attempts;
  out.field("status", "OK");
}

void compare(const Fields& in, Reply& out) {
  Result<ClientContext> left = decode_client_context(in["left"], key_of(in)),
                        right = decode_client_context(in["right"], key_of(in));
  if (!left || !right) {
    Outcome refused;
    refused.reply.status = (!left ? left : right).status();
    return tell_status(out, refused);
  }
  CausalOrder order = left->seen.compare(right->seen);
  out.field("status", "OK");
  out.field("order", order == CausalOrder::equal    ? "same"
                     : order == CausalOrder::before ? "before"
                     : order == CausalOrder::after  ? "after"
                                                    : "concurrent");
}

void answer(const Fields& in, Reply& out) {
  const std::string what = in["do"];
  if (what == "open") return open(in, out);
  if (what == "get" || what == "put" || what == "delete" || what == "update") return call(in, out);
  if (what == "edit" || what == "read") return document_call(in, out);
  if (what == "multi_get") return multi_get(in, out);
  if (what == "compare") return compare(in, out);
  if (what == "close")
    return out.field("status", status_name(client_of(in).close(Duration::seconds(1)).code()));
  if (what == "release") {
    clients.erase(in["client"]);
    return out.field("status", "OK");
  }
  die("a request has a verb that is not known: " + what);
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    Reply out;
    Fields in(line);
    use_async = in.number("async") != 0;
    answer(in, out);
    std::cout << out.line << std::endl;
  }
  clients.clear();
}
