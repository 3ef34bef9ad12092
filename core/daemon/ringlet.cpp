// ringlet: the command line client. What it prints, its exit codes and its errors as JSON are an interface
// for scripts: docs/operations.md describes them.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "base/log.hpp"
#include "base/token.hpp"
#include "configuration/config_keys.hpp"
#include "daemon/answers.hpp"
#include "daemon/document_text.hpp"
#include "daemon/replicas_text.hpp"
#include "daemon/standard_files.hpp"
#include "runtime/client.hpp"
#include "versioning/shown.hpp"

namespace ringlet {
namespace {
namespace json = boost::json;

enum Exit { done = 0, not_found = 1, usage = 2, conflict = 3, cluster_could_not = 4, other = 5 };

constexpr const char* exit_codes =
    "Exit codes:\n"
    "  0  done\n"
    "  1  get, delete, inspect, why: there is no such key; nothing was written\n"
    "  2  wrong verb, flags, key, value or context, or an order that the node refused: nothing "
    "was\n"
    "     changed\n"
    "  3  get: several versions, all printed: read, merge, put with the context\n"
    "  4  the cluster could not now: silent, too few replicas, overloaded; or a node that was "
    "asked\n"
    "     serves nobody (it waits to be joined, has left, was replaced or turned away)\n"
    "  5  anything else: a file that cannot be written, an answer that cannot be read\n"
    "\n"
    "With --output json every error is one JSON object on standard error, a line of its own:\n"
    "  {\"code\":\"timeout\",\"message\":\"...\",\"exit\":4,\"maybe_applied\":false}\n"
    "code: the status's name (timeout, quorum_not_met, ...) or usage; maybe_applied: the write "
    "that\n"
    "failed may exist all the same, and write_id says which --write-id repeats it. Standard\n"
    "output has answers only.\n";

int exit_for(const Status& status) {
  switch (static_cast<int>(status.code()) / 100) {
    case 0:
      return done;
    case 1:
      return usage;
    case 2:
      return cluster_could_not;
    default:
      return other;
  }
}

std::string to_base64(BytesView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                             reinterpret_cast<const unsigned char*>(bytes.data()),
                             static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<WriteId> parse_write_id(const std::string& text) {
  WriteId id;
  if (text.size() != 32) return std::nullopt;
  const char* half = text.data() + 16;
  auto high = std::from_chars(text.data(), half, id.high, 16);
  auto low = std::from_chars(half, half + 16, id.low, 16);
  if (high.ec != std::errc() || low.ec != std::errc() || high.ptr != half || low.ptr != half + 16)
    return std::nullopt;
  return id ? std::optional(id) : std::nullopt;
}

std::optional<Bytes> from_base64(const std::string& text) {
  Bytes bytes(text.size() / 4 * 3 + 3, '\0');
  if (text.size() % 4 != 0) return std::nullopt;
  int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

Result<Bytes> read_file(const std::string& path) {
  // By the system's calls: a stream takes a failed read for the end, and half a value would be written.
  bool standard = path == "-";
  auto failed = [&] {
    Status why(Code::invalid_argument, (standard ? "standard input" : path) + ": cannot be read: " +
                                           std::generic_category().message(errno));
    return Result<Bytes>(std::move(why));
  };
  int file = standard ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return failed();
  Bytes bytes;
  char part[65536];
  ssize_t got = 0;
  while ((got = read(file, part, sizeof part)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    bytes.append(part, static_cast<std::size_t>(got));
  }
  Result<Bytes> result = got < 0 ? failed() : Result<Bytes>(std::move(bytes));
  if (!standard) close(file);
  return result;
}

// The bounds that a setting has everywhere; `least`: where 0 leaves the choice to the cluster.
CLI::Range bounds_of(const char* name, std::optional<std::int64_t> least = std::nullopt) {
  const ConfigKey& key = *find_config_key(name);
  return CLI::Range(least.value_or(key.low), key.high);
}

class Program {
 public:
  int run(int argc, char** argv) {
    CLI::App app{"Talks to a Ringlet cluster.", "ringlet"};
    app.footer(exit_codes);
    app.set_version_flag("--version", "ringlet " RINGLET_VERSION_TEXT, "print the version and end");
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--seeds", seeds_, "HOST:PORT of nodes, separated by commas")
        ->capture_default_str();
    app.add_option("--cluster", options_.cluster, "the cluster's name")->capture_default_str();
    app.add_option("--bucket", bucket_, "the bucket of KEY; default: the empty one");
    app.add_option("--output", output_, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    app.add_option("--timeout", timeout_ms_,
                   "milliseconds for the whole verb (status: for each node), 1 to 3600000")
        ->check(bounds_of("client.timeout_ms"))
        ->capture_default_str();
    app.add_option("--coordination", coordination_,
                   "who runs the quorum: server (a node) or client (this process)")
        ->check(CLI::IsMember(find_config_key("client.coordination")->words))
        ->capture_default_str();
    app.add_option("--r", request_.r, "answers a read waits for, 1 to 16; 0: the cluster's")
        ->check(bounds_of("cluster.r", 0));
    app.add_option("--w", request_.w, "copies a write waits for, 1 to 16; 0: the cluster's")
        ->check(bounds_of("cluster.w", 0));
    app.add_flag("--strict", request_.strict, "count only the key's owners, no substitutes");
    auto* get = app.add_subcommand("get", "print the versions of KEY");
    auto* put = app.add_subcommand(
        "put", "write VALUE to KEY; without a context beside the versions that are there");
    auto* erase = app.add_subcommand(
        "delete", "read KEY and delete the versions read; with a context those that it has seen");
    auto* edit = app.add_subcommand(
        "edit", "edit the document at KEY: 'items/tea += 2', 'coupons add SUMMER', 'gift enable'");
    auto* status = app.add_subcommand("status", "what each node says of itself, a line a node");
    auto* ring = app.add_subcommand("ring", "members and their shares of the partitions");
    auto* locate = app.add_subcommand("locate", "where KEY lives: owners, then fallbacks");
    auto* inspect = app.add_subcommand(
        "inspect", "what each owner of KEY holds, and in what they differ; repairs nothing");
    auto* why = app.add_subcommand("why", "in words: why KEY has the versions that it has");
    auto* cluster = app.add_subcommand("cluster", "change who the members are, in steps");
    cluster->require_subcommand(1);
    auto* join =
        cluster->add_subcommand("join", "stage: a running node that waits becomes a member");
    auto* leave = cluster->add_subcommand("leave", "stage: a member gives its partitions away");
    auto* replace =
        cluster->add_subcommand("replace",
                                "stage: a new node takes the place of a dead member, with "
                                "its zone and weight");
    auto* weight = cluster->add_subcommand("weight", "stage: another share for a member");
    auto* move = cluster->add_subcommand("move", "stage: a member is at another address");
    auto* set = cluster->add_subcommand("set", "stage: a setting of the whole cluster, as r or w");
    set->add_option("KEY", setting_, "r, w, durability, max_value_bytes, ...")->required();
    set->add_option("VALUE", setting_value_, "its value, as in a node's file")->required();
    cluster->add_subcommand("rebalance", "stage: even out who owns how much, nobody comes or goes");
    cluster->add_subcommand("plan", "what commit would move, and how even it would be");
    cluster->add_subcommand("commit", "do what is staged");
    cluster->add_subcommand("clear", "forget what is staged");
    cluster->add_subcommand("status", "members, their states, what is still moving");
    auto* repair = app.add_subcommand("repair", "compare replicas now and mend what differs");
    auto* reap = app.add_subcommand(
        "reap", "look now for tombstones that may go, instead of every upkeep.tombstone_ms");
    for (auto* verb : {join, leave, replace, weight, move}) {
      verb->add_option("NAME", member_, "the member's name")->required();
    }
    replace->add_option("NEW", new_member_, "the new node's name")->required();
    for (auto* verb : {join, replace})
      verb->add_option("ADDRESS", address_, "HOST:PORT of the new node")->required();
    join->add_option("--zone", zone_, "its zone, e.g. a rack; default: none");
    const char* share = "its share in relation to the other members' (1), 1 to 1000";
    join->add_option("--weight", weight_, share)->check(CLI::Range(1, 1000));
    weight->add_option("WEIGHT", weight_, share)->required()->check(CLI::Range(1, 1000));
    move->add_option("ADDRESS", address_, "HOST:PORT where other members reach it now")->required();
    for (auto* verb : {join, move}) {
      verb->add_option("--advertise", advertise_,
                       "HOST:PORT where clients reach it, behind a port map or NAT; none: at its "
                       "address");
    }
    for (auto* verb : {cluster, repair, reap}) {
      verb->add_option("--node", node_,
                       "the node to tell, by name, or by address when it is no member; empty: any. "
                       "What is staged at a node is planned and committed there");
    }
    repair->add_option("--partition", partition_, "only this one, 0 to the ring's partitions - 1")
        ->check(CLI::Range(0, 65535));
    for (auto* verb : {get, put, erase, edit, locate, inspect, why})
      verb->add_option("KEY", key_, "the key, at least one byte")->required();
    edit->add_option(
            "EDIT", edits_,
            "PATH and += N, -= N, = VALUE, also VALUE, add VALUE, remove VALUE, enable, "
            "disable, erase, discard or clear; all in one write. PATH: names with / between them, "
            "/ "
            "alone is the document; [5], [true] and 0xff are names that are no text, and \\ "
            "takes the meaning from the character behind it. VALUE: as in JSON, 0xff for bytes, "
            "other words are text")
        ->required();
    get->add_flag("--document", document_, "print the document that the versions come to, as JSON");
    auto* value = put->add_option("VALUE", value_, "the value; - reads it from standard input");
    put->add_option("--file", value_file_, "read the value from a file")->excludes(value);
    put->add_option("--content-type", content_type_, "kept beside the value, e.g. text/plain");
    for (auto* verb : {put, erase}) {
      auto* file = verb->add_option("--context", context_file_,
                                    "file with the context of an earlier get; - reads it from "
                                    "standard input");
      auto* text = verb->add_option("--context-text", context_text_, "the same as base64 text");
      text->excludes(file);
      if (verb == erase) {
        erase
            ->add_flag("--blind", blind_,
                       "delete nothing that is there: write a delete beside it, as put without a "
                       "context does")
            ->excludes(file)
            ->excludes(text);
      }
    }
    for (auto* verb : {get, put, erase, edit}) {
      verb->add_option("--deletes", deletes_,
                       "what a delete beside a write of the same time means: lose (the write is "
                       "there), win (there is no such key), ask (both are shown)")
          ->check(CLI::IsMember({"lose", "win", "ask"}))
          ->capture_default_str();
    }
    for (auto* verb : {put, erase, edit}) {
      verb->add_option(
          "--write-id", write_id_,
          "32 hexadecimal digits: the write_id of an earlier try, which is then repeated and "
          "makes no second version; default: a new write");
    }
    for (auto* verb : {get, put})
      verb->add_option("--context-out", context_out_, "write the context to this file");
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return wrong_usage(app, error, argc, argv);
    }
    for (auto* verb : {get, put, erase, edit, locate, inspect, why}) {
      if (*verb && key_.empty()) return complain(usage, "KEY: wanted at least one byte, got none");
    }
    for (const auto* verb : {put, erase}) {
      for (const char* option : {"--context", "--context-text"}) {
        if (verb->count(option) != 0 && verb->get_option(option)->as<std::string>().empty())
          return complain(usage, std::string(option) + ": wanted a context, got none");
      }
    }
    if (!write_id_.empty()) {
      given_id_ = parse_write_id(write_id_);
      if (!given_id_) {
        return complain(usage,
                        "--write-id: wanted 32 hexadecimal digits that are not all zero, got \"" +
                            printable(write_id_) + "\"");
      }
    }
    std::istringstream list(seeds_);
    for (std::string seed; std::getline(list, seed, ',');) {
      if (!seed.empty()) options_.seeds.push_back(seed);
    }
    options_.timeout = Duration::millis(timeout_ms_);
    options_.coordination = coordination_ == "client" ? Coordination::client : Coordination::server;
    auto client = Client::open(options_);
    if (!client) return complain(client.status());
    client_ = std::move(*client);
    if (*get) return do_get();
    if (*put) return do_put();
    if (*erase) return do_delete();
    if (*edit) return do_edit();
    if (*status) return do_status();
    if (*ring) return do_ring();
    if (*inspect) return do_inspect(inspect_text);
    if (*why) return do_inspect(why_text);
    if (*repair) return do_order("repair");
    if (*reap) return do_order("reap");
    if (*cluster) return do_cluster(cluster->get_subcommands().front()->get_name());
    return do_locate();
  }

  // Returns the exit code after standard output is flushed. If the flush fails, the caller did not receive the
  // answer, so the exit code says that instead of what the answer said.
  int finish(int exit) {
    std::cout.flush();
    return std::cout ? exit : complain_file("standard output");
  }

 private:
  // Errors are text, or with --output json one object; see exit_codes.
  int complain(int exit, const std::string& text, const char* code = "usage",
               bool maybe_applied = false, WriteId id = {}) const {
    if (output_ == "json") {
      json::object error{{"code", code},
                         {"message", printable(text, 4096)},
                         {"exit", exit},
                         {"maybe_applied", maybe_applied}};
      if (maybe_applied && id) error["write_id"] = to_string(id);
      std::fprintf(stderr, "%s\n", json::serialize(error).c_str());
    } else {
      // Words of a node may be in it, and a terminal would obey them.
      std::string applied = "; --write-id " + to_string(id) + " repeats it";
      applied = " (the write may have been applied" + (id ? applied : "") + ")";
      std::fprintf(stderr, "ringlet: %s%s\n", one_line(text).c_str(),
                   maybe_applied ? applied.c_str() : "");
    }
    return exit;
  }
  int complain(const Status& status) const {
    return complain(exit_for(status), status.message(), name_of(status.code()),
                    status.maybe_applied());
  }

  // Of a write: it can be repeated under its id.
  int complain(const Outcome& outcome) const {
    const Status& status = outcome.reply.status;
    return complain(exit_for(status), status.message(), name_of(status.code()),
                    status.maybe_applied(), outcome.write_id);
  }

  // Of a file that would not take the answer. What was written or ordered before stays so, and a script
  // that repeats it without its id would make a second version.
  int complain_file(const std::string& file) const {
    std::string text = file + " cannot be written";
    if (applied_) text += "; what was asked for is done";
    if (output_ == "text") return complain(other, text, "io");
    return complain(other, text, "io", applied_, applied_id_);
  }
  void note_applied(WriteId id = {}) {
    applied_ = true;
    applied_id_ = id;
  }

  // --help and --version are "errors" of the parser as well.
  int wrong_usage(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
    if (error.get_exit_code() == 0) return app.exit(error) == 0 ? done : usage;
    // The parser may have stopped before it came to --output.
    for (int i = 1; i < argc; ++i) {
      std::string word = argv[i], next = i + 1 < argc ? argv[i + 1] : "";
      if (word == "--output=json" || (word == "--output" && next == "json")) output_ = "json";
    }
    std::string text = error.what();
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    auto left = app.remaining(true);
    auto verbs = at->get_subcommands([](const CLI::App*) { return true; });
    bool unknown = std::any_of(left.begin(), left.end(),
                               [](const std::string& word) { return !word.starts_with("-"); });
    if (!verbs.empty()) {  // a verb was wanted here
      std::string names;
      for (const CLI::App* verb : verbs) names += (names.empty() ? "" : ", ") + verb->get_name();
      std::string what = at == &app ? "verb" : at->get_name() + " verb";
      auto word = std::find_if(left.begin(), left.end(),
                               [](const std::string& each) { return !each.starts_with("-"); });
      text = unknown ? "there is no " + what + " \"" + printable(*word) + "\"; there are " + names
                     : "wanted a " + what + ": " + names + "; got none";
    }
    complain(usage, text);
    if (output_ == "text") std::fprintf(stderr, "ringlet --help says what there is.\n");
    return usage;
  }

  // What is left of --timeout; at least a millisecond, so that the call says itself that it is over.
  Duration left() const {
    auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - began_);
    return Duration::millis(std::max<std::int64_t>(1, timeout_ms_ - spent.count()));
  }
  RequestOptions options_within() const {
    RequestOptions options = request_;
    options.timeout_ms = static_cast<std::uint32_t>(left().millis());
    return options;
  }

  int keep_context(const Outcome& outcome) {
    if (context_out_.empty()) return done;
    std::ofstream out(context_out_, std::ios::binary);
    out << outcome.context;
    out.close();
    return out ? done : complain_file(context_out_);
  }
  // Before anything is written to the cluster.
  bool can_keep_context() const {
    return context_out_.empty() || std::ofstream(context_out_, std::ios::binary | std::ios::app);
  }

  // What is shown of an object is the core's choice, the same in every language.
  Shown what_is_shown(const Object& object) const {
    Deletes deletes = deletes_ == "win"   ? Deletes::win
                      : deletes_ == "ask" ? Deletes::ask
                                          : Deletes::lose;
    return shown(object, deletes);
  }

  static json::array listed(const std::vector<const Version*>& versions) {
    json::array out;
    for (const Version* version : versions) {
      out.push_back(json::object{{"dot", to_string(version->dot)},
                                 {"value_base64", to_base64(version->value)},
                                 {"content_type", version->content_type},
                                 {"written_ms", version->written_us / 1000},
                                 {"deleted", version->tombstone}});
    }
    return out;
  }

  int complain_document(const Status& why) const {
    return complain(Status(why.code(), printable(Key{bucket_, key_}) + ": " + why.message()));
  }

  int do_edit() {
    ClientCore::Edit edit;
    for (const std::string& text : edits_) {
      auto parsed = parse_edit(text);
      if (!parsed) return complain(usage, parsed.status().message());
      edit.edits.push_back(std::move(*parsed));
    }
    edit.request.key = {bucket_, key_};
    edit.request.options = options_within();
    edit.request.write_id = given_id_.value_or(WriteId{});
    edit.deletes = deletes_ == "win" ? Deletes::win : Deletes::lose;
    Outcome outcome = client_->edit(std::move(edit));
    if (!outcome.reply.status) return complain(outcome);
    note_applied(outcome.write_id);
    if (output_ == "json") std::cout << json::serialize(written(outcome)) << "\n";
    return done;
  }

  int print_document(const Outcome& outcome) {
    const Object& object = outcome.reply.object;
    Deletes deletes = deletes_ == "win" ? Deletes::win : Deletes::lose;
    if (shown(object, deletes).versions.empty())
      return complain(not_found, printable(Key{bucket_, key_}) + ": no such key");
    auto state = document::read(object, deletes);
    if (!state) return complain_document(state.status());
    auto value = json_of(*state);
    if (!value) return complain_document(value.status());
    if (int failed = keep_context(outcome)) return failed;
    std::cout << json::serialize(*value) << "\n";
    return done;
  }

  int do_get() {
    Outcome outcome = client_->get({bucket_, key_}, options_within());
    if (!outcome.reply.status) return complain(outcome.reply.status);
    if (document_) return print_document(outcome);
    if (int failed = keep_context(outcome)) return failed;
    Shown found = what_is_shown(outcome.reply.object);
    const auto& versions = found.versions;
    if (output_ == "json") {
      std::cout << json::serialize(json::object{{"key", printable(key_)},
                                                {"siblings", listed(versions)},
                                                {"left_out", outcome.reply.left_out},
                                                {"context_base64", to_base64(outcome.context)}})
                << "\n";
    } else {
      for (const Version* version : versions) {
        if (versions.size() > 1)
          std::cout << "# " << to_string(version->dot) << (version->tombstone ? " deleted" : "")
                    << "\n";
        std::cout << version->value
                  << (version->value.ends_with("\n") || versions.size() == 1 ? "" : "\n");
      }
      if (versions.size() == 1 && !versions[0]->value.ends_with("\n")) std::cout << "\n";
    }
    if (outcome.reply.left_out > 0) {
      std::fprintf(
          stderr,
          "ringlet: %s: %u more versions are there, too large to be shown with these: write "
          "with this context, then read again\n",
          printable(Key{bucket_, key_}).c_str(), outcome.reply.left_out);
    }
    if (versions.empty()) {
      // As JSON the answer is the empty list of siblings: a missing key is no error of the cluster's.
      if (output_ == "text") complain(not_found, printable(Key{bucket_, key_}) + ": no such key");
      return not_found;
    }
    return found.conflict || outcome.reply.left_out > 0 ? conflict : done;
  }

  // The context of --context or --context-text; empty when neither is given.
  Result<Bytes> given_context() const {
    if (!context_file_.empty()) {
      auto context = read_file(context_file_);
      if (context && context->empty())
        return Status(Code::invalid_context, context_file_ + ": wanted a context, got no bytes");
      return context;
    }
    if (context_text_.empty()) return Bytes();
    auto context = from_base64(context_text_);
    if (context) return std::move(*context);
    return Status(Code::invalid_context,
                  "--context-text: wanted base64, got \"" + printable(context_text_) + "\"");
  }

  json::object written(const Outcome& outcome) const {
    return {{"key", printable(key_)},
            {"dot", to_string(outcome.reply.dot)},
            {"copies", outcome.reply.tally.got},
            {"siblings", what_is_shown(outcome.reply.object).versions.size()},
            {"write_id", to_string(outcome.write_id)},
            {"context_base64", to_base64(outcome.context)}};
  }

  int do_put() {
    ClientCore::Request request;
    request.kind = ClientCore::Kind::put;
    request.key = {bucket_, key_};
    request.content_type = content_type_;
    auto context = given_context();
    if (!context) return complain(context.status());
    request.context = std::move(*context);
    if (value_.has_value() == !value_file_.empty())
      return complain(usage, "put: wanted either VALUE or --file");
    if (value_ && *value_ != "-") {
      request.value = *value_;
    } else if (value_ && context_file_ == "-") {
      return complain(usage, "put: the value and the context cannot both be standard input");
    } else {
      auto value = read_file(value_ ? "-" : value_file_);
      if (!value) return complain(value.status());
      request.value = std::move(*value);
    }
    if (!can_keep_context()) return complain_file(context_out_);
    request.write_id = given_id_.value_or(WriteId{});
    request.options = options_within();
    Outcome outcome = client_->call(std::move(request));
    if (!outcome.reply.status) return complain(outcome);
    note_applied(outcome.write_id);
    if (int failed = keep_context(outcome)) return failed;
    if (output_ == "json") std::cout << json::serialize(written(outcome)) << "\n";
    return done;
  }

  static std::string versions(std::size_t count) {
    return std::to_string(count) + (count == 1 ? " version" : " versions");
  }

  static std::size_t living(const Object& object) { return shown(object).versions.size(); }

  // Without a context it deletes what it reads: a delete that has seen nothing would replace nothing.
  int do_delete() {
    auto context = given_context();
    if (!context) return complain(context.status());
    std::optional<std::size_t> replaced;  // not known of a context that was given
    if (blind_) replaced = 0;
    if (context->empty() && !blind_) {
      Outcome read = client_->get({bucket_, key_}, options_within());
      if (!read.reply.status) return complain(read.reply.status);
      replaced = living(read.reply.object);
      if (*replaced == 0)
        return complain(not_found, printable(Key{bucket_, key_}) + ": no such key", "not_found");
      context = std::move(read.context);
    }
    ClientCore::Request request;
    request.kind = ClientCore::Kind::erase;
    request.key = {bucket_, key_};
    request.context = std::move(*context);
    request.write_id = given_id_.value_or(WriteId{});
    request.options = options_within();
    Outcome outcome = client_->call(std::move(request));
    if (!outcome.reply.status) return complain(outcome);
    note_applied(outcome.write_id);
    std::size_t remain = living(outcome.reply.object);
    if (output_ == "json") {
      json::object out = written(outcome);
      out["replaced"] = replaced ? json::value(*replaced) : json::value();
      out["remain"] = remain;
      std::cout << json::serialize(out) << "\n";
    } else {
      std::cout << (replaced ? "deleted " + versions(*replaced)
                             : std::string("deleted what the context has seen"))
                << (remain == 0 ? "" : "; " + versions(remain) + " that it has not seen remain")
                << "\n";
    }
    return done;
  }

  std::shared_ptr<const Ring> wait_for_ring() { return client_->ring(left()); }
  int no_ring() { return complain(client_->why_no_ring()); }

  static std::vector<Member> by_name(std::vector<Member> members) {
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.name < b.name; });
    return members;
  }

  // Where a client looks for it.
  static std::string where(const Member& member) {
    return member.address +
           (member.advertise.empty() ? "" : " (for clients at " + member.advertise + ")");
  }

  int do_status() {
    auto ring = wait_for_ring();
    if (!ring) return no_ring();
    json::array nodes;
    int exit = done;
    auto failed = [&](const std::string& name, const std::string& address, const Status& reason) {
      exit = std::max(exit, exit_for(reason));
      // The line, or the object, names the node already.
      std::string words = reason.message();
      if (words.starts_with(name + ": ")) words.erase(0, name.size() + 2);
      Status why(reason.code(), words);
      nodes.push_back(
          json::object{{"node", name}, {"error", why.message()}, {"code", name_of(why.code())}});
      if (output_ == "text") {
        std::cout << one_line(name + "  " + address + "  " + why.message()) << "\n";
      }
    };
    auto show = [&](const std::string& name, const std::string& address, json::value said) {
      if (!why_it_serves_nobody(NodeAnswer(said)).empty())
        exit = std::max<int>(exit, cluster_could_not);
      if (output_ == "text") std::cout << status_line(name, address, NodeAnswer(said)) << "\n";
      nodes.push_back(std::move(said));
    };
    auto members = by_name(ring->members());
    for (const auto& member : members) {
      StatusText text = client_->query(member.name, "status", {}, Duration::millis(timeout_ms_));
      if (!text.status) {
        failed(member.name, where(member), text.status);
      } else if (auto said = parse_answer(member.name, text.json); !said) {
        failed(member.name, where(member), said.status());
      } else {
        show(member.name, where(member), std::move(*said));
      }
    }
    // A seed that is no member any more answers with the table of the others.
    for (const auto& seed : options_.seeds) {
      if (std::any_of(members.begin(), members.end(),
                      [&](const Member& member) { return member.address == seed; }))
        continue;
      StatusText text = client_->query(seed, "status", {}, left());
      auto said = text.status ? parse_answer(seed, text.json) : Result<json::value>(text.status);
      if (!said || why_it_serves_nobody(NodeAnswer(*said)).empty()) continue;
      show(NodeAnswer(*said)["node"].text(), seed, std::move(*said));
    }
    if (output_ == "json") std::cout << json::serialize(nodes) << "\n";
    return exit;
  }

  int do_ring() {
    auto ring = wait_for_ring();
    if (!ring) return no_ring();
    json::array members;
    for (const auto& member : by_name(ring->members())) {
      auto owned = std::count(ring->owners().begin(), ring->owners().end(), member.id);
      members.push_back(json::object{{"name", member.name},
                                     {"address", member.address},
                                     {"zone", member.zone},
                                     {"weight", member.weight},
                                     {"partitions", owned}});
      if (output_ == "text") {
        std::cout << member.name << "  " << member.address << "  " << owned << " of "
                  << ring->partitions() << " partitions"
                  << (member.zone.empty() ? "" : "  zone " + member.zone) << "\n";
      }
    }
    if (output_ == "json") {
      std::cout << json::serialize(json::object{{"cluster", ring->cluster()},
                                                {"epoch", ring->epoch()},
                                                {"partitions", ring->partitions()},
                                                {"replicas", ring->replicas()},
                                                {"members", members}})
                << "\n";
    }
    return done;
  }

  // What a node answered to a command; nothing when it refused, which has been said then.
  std::optional<json::value> command(ClusterCommand command, int& exit) {
    StatusText text = client_->command(node_, std::move(command), left());
    if (!text.status) {
      exit = complain(text.status);
      return std::nullopt;
    }
    auto said = parse_answer(node_, text.json);
    if (!said) {
      exit = complain(said.status());
      return std::nullopt;
    }
    if (output_ == "json") std::cout << text.json << "\n";
    exit = done;
    return std::move(*said);
  }

  int do_cluster(const std::string& verb) {
    ClusterCommand asked{verb, {}};
    if (verb == "join") asked.arguments = {member_, address_, zone_, std::to_string(weight_)};
    if (verb == "move") asked.arguments = {member_, address_};
    if (advertise_) asked.arguments.push_back(*advertise_ == "none" ? "" : *advertise_);
    if (verb == "set") asked.arguments = {setting_, setting_value_};
    if (verb == "leave") asked.arguments = {member_};
    if (verb == "replace") asked.arguments = {member_, new_member_, address_};
    if (verb == "weight") asked.arguments = {member_, std::to_string(weight_)};
    int exit = done;
    auto said = command(std::move(asked), exit);
    if (!said) return exit;
    if (verb != "status" && verb != "plan") note_applied();
    if (output_ == "text") std::cout << cluster_text(verb, NodeAnswer(*said));
    if (verb == "status" && !why_it_serves_nobody(NodeAnswer(*said)).empty())
      return cluster_could_not;
    return exit;
  }

  // A verb whose whole answer is a sentence.
  int do_order(const std::string& verb) {
    ClusterCommand asked{verb, {}};
    if (partition_ >= 0) asked.arguments = {std::to_string(partition_)};
    int exit = done;
    auto said = command(std::move(asked), exit);
    if (said) note_applied();
    if (said && output_ == "text") std::cout << NodeAnswer(*said)["message"].text() << "\n";
    return exit;
  }

  int do_locate() {
    auto ring = wait_for_ring();
    if (!ring) return no_ring();
    Token token = token_of({bucket_, key_});
    json::array list;
    std::size_t place = 0;
    std::uint32_t partition = ring->partition_of(token);
    if (output_ == "text")
      std::cout << "token " << to_string(token) << "  partition " << partition << "\n";
    for (NodeId id : ring->preference_list(partition)) {
      const Member* member = ring->find(id);
      bool owner = place++ < ring->effective_replicas();
      list.push_back(
          json::object{{"name", member->name}, {"address", member->address}, {"owner", owner}});
      if (output_ == "text")
        std::cout << (owner ? "owner     " : "fallback  ") << member->name << "  "
                  << member->address << "\n";
    }
    if (output_ == "json") {
      std::cout << json::serialize(json::object{{"token", to_string(token)},
                                                {"partition", partition},
                                                {"preference_list", list}})
                << "\n";
    }
    return done;
  }

  // Asks each owner for its copy: that repairs nothing, as a read might.
  int do_inspect(std::string (*as_text)(const std::string&, const std::vector<ReplicaAnswer>&,
                                        const NameOfNode&)) {
    auto ring = wait_for_ring();
    if (!ring) return no_ring();
    Key key{bucket_, key_};
    std::vector<ReplicaAnswer> owners;
    json::array list;
    int exit = done;
    const auto& nodes = ring->preference_list(token_of(key));
    for (std::size_t i = 0; i < nodes.size() && i < ring->effective_replicas(); ++i) {
      const Member* member = ring->find(nodes[i]);
      if (member == nullptr) continue;
      StatusText text = client_->query(member->name, "replica", key, left());
      auto said =
          text.status ? parse_answer(member->name, text.json) : Result<json::value>(text.status);
      ReplicaAnswer owner{member->name, nullptr, ""};
      json::object shown{{"node", member->name}};
      if (said) {
        owner.holds = shown["holds"] = std::move(*said);
      } else {
        exit = std::max(exit, exit_for(said.status()));
        owner.error = said.status().message();
        shown["error"] = printable(owner.error, 4096);
      }
      owners.push_back(std::move(owner));
      list.push_back(std::move(shown));
    }
    if (output_ == "json") {
      std::cout << json::serialize(json::object{{"key", printable(key)},
                                                {"partition", ring->partition_of(token_of(key))},
                                                {"replicas", list}})
                << "\n";
    } else {
      std::cout << as_text(printable(key), owners, [&](const std::string& id) {
        for (const auto& member : ring->members()) {
          if (to_string(member.id) == id) return member.name;
        }
        return id;
      });
    }
    return exit == done && !any_version(owners) ? not_found : exit;
  }

  ClientOptions options_;
  RequestOptions request_;
  std::string seeds_ = "127.0.0.1:7400", bucket_, key_, output_ = "text", coordination_ = "server";
  std::vector<std::string> edits_;
  bool document_ = false;
  std::string value_file_, content_type_, context_file_, context_text_, context_out_;
  std::optional<std::string> value_;
  std::string deletes_ = "lose", write_id_;
  std::optional<WriteId> given_id_;
  bool blind_ = false;
  std::string node_, member_, new_member_, address_, zone_, setting_, setting_value_;
  std::optional<std::string> advertise_;
  bool applied_ = false;  // what was asked for is done, under this id if it was a write
  WriteId applied_id_;
  int timeout_ms_ = 2000, weight_ = 1, partition_ = -1;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::unique_ptr<Client> client_;
};

}  // namespace
}  // namespace ringlet

int main(int argc, char** argv) {
  ringlet::take_standard_files(false);
  ringlet::Program program;
  int exit = 5;
  try {
    exit = program.run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ringlet: an error of the program: %s\n", error.what());
  }
  return program.finish(exit);
}
