// ringlet: the command line client.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include <openssl/evp.h>
#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "base/token.hpp"
#include "runtime/client.hpp"

namespace ringlet {
namespace {
namespace json = boost::json;

enum Exit { done = 0, not_found = 1, usage = 2, conflict = 3, cluster_could_not = 4, other = 5 };

constexpr const char* exit_codes =
    "Exit codes:\n"
    "  0  done\n"
    "  1  get: there is no such key\n"
    "  2  wrong flags, key, value, context, or an order that the node refused: nothing was "
    "changed\n"
    "  3  get: several versions, all printed: read, merge, put with the context\n"
    "  4  the cluster could not now: silent, too few replicas, overloaded; the node that was told "
    "is\n"
    "     no member\n"
    "  5  anything else\n";

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

int complain(int code, const std::string& text) {
  std::fprintf(stderr, "ringlet: %s\n", text.c_str());
  return code;
}
int complain(const Status& status) {
  return complain(
      exit_for(status),
      status.message() + (status.maybe_applied() ? " (the write may have been applied)" : ""));
}

std::string to_base64(BytesView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                             reinterpret_cast<const unsigned char*>(bytes.data()),
                             static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
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
  if (path == "-") return Bytes(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream in(path, std::ios::binary);
  if (!in) return Status(Code::invalid_argument, path + ": cannot be read");
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

class Program {
 public:
  int run(int argc, char** argv) {
    CLI::App app{"Talks to a Ringlet cluster."};
    app.footer(exit_codes);
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--seeds", seeds_, "host:port of nodes, by commas")->capture_default_str();
    app.add_option("--cluster", options_.cluster, "the cluster's name")->capture_default_str();
    app.add_option("--bucket", bucket_, "the bucket of KEY");
    app.add_option("--output", output_, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    app.add_option("--timeout", timeout_ms_, "milliseconds for the whole call")
        ->check(CLI::Range(1, 3'600'000))
        ->capture_default_str();
    app.add_option("--coordination", coordination_, "server or client")
        ->check(CLI::IsMember({"server", "client"}))
        ->capture_default_str();
    app.add_option("--r", request_.r, "answers a get waits for; 0: the cluster's")
        ->check(CLI::Range(0, 16));
    app.add_option("--w", request_.w, "copies a write waits for; 0: the cluster's")
        ->check(CLI::Range(0, 16));
    app.add_flag("--strict", request_.strict, "count only the key's owners");
    auto* get = app.add_subcommand("get", "print the versions of KEY");
    auto* put = app.add_subcommand("put", "write VALUE to KEY");
    auto* erase =
        app.add_subcommand("delete", "delete the versions of KEY that the context has seen");
    auto* status = app.add_subcommand("status", "what each node says of itself");
    auto* ring = app.add_subcommand("ring", "members and their shares");
    auto* locate = app.add_subcommand("locate", "where KEY lives");
    auto* cluster = app.add_subcommand("cluster", "change who the members are, in steps");
    cluster->require_subcommand(1);
    auto* join =
        cluster->add_subcommand("join", "stage: a running node that waits becomes a member");
    auto* leave = cluster->add_subcommand("leave", "stage: a member gives its partitions away");
    auto* replace =
        cluster->add_subcommand("replace", "stage: a new node takes the place of a dead member");
    cluster->add_subcommand("rebalance", "stage: even out who owns how much, nobody comes or goes");
    cluster->add_subcommand("plan", "what commit would move, and how even it would be");
    cluster->add_subcommand("commit", "do what is staged");
    cluster->add_subcommand("clear", "forget what is staged");
    cluster->add_subcommand("status", "members, their states, what is still moving");
    auto* repair = app.add_subcommand("repair", "compare replicas now and mend what differs");
    for (auto* verb : {join, leave, replace}) {
      verb->add_option("NAME", member_, "the member's name")->required();
    }
    replace->add_option("NEW", new_member_, "the new node's name")->required();
    for (auto* verb : {join, replace}) {
      verb->add_option("ADDRESS", address_, "host:port of the new node")->required();
      verb->add_option("--zone", zone_, "its zone");
      verb->add_option("--weight", weight_, "its share, 1 to 1000")->check(CLI::Range(1, 1000));
    }
    for (auto* verb : {cluster, repair}) {
      verb->add_option("--node", node_,
                       "the node to tell, by name, or by address when it is no member; empty: any. "
                       "What is staged at a node is planned and committed there");
    }
    repair->add_option("--partition", partition_, "only this one")->check(CLI::Range(0, 65535));
    for (auto* verb : {get, put, erase, locate})
      verb->add_option("KEY", key_, "the key")->required();
    put->add_option("VALUE", value_, "the value; - reads it from standard input");
    put->add_option("--file", value_file_, "read the value from a file");
    put->add_option("--content-type", content_type_, "kept beside the value");
    for (auto* verb : {put, erase}) {
      verb->add_option("--context", context_file_, "file with the context of an earlier get");
      verb->add_option("--context-text", context_text_, "the same as base64 text");
    }
    for (auto* verb : {get, put})
      verb->add_option("--context-out", context_out_, "write the context to this file");
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? done : usage;
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
    if (*put) return do_write(false);
    if (*erase) return do_write(true);
    if (*status) return do_status();
    if (*ring) return do_ring();
    if (*repair) return do_repair();
    if (*cluster) return do_cluster(cluster->get_subcommands().front()->get_name());
    return do_locate();
  }

 private:
  int keep_context(const Outcome& outcome) {
    if (context_out_.empty()) return done;
    std::ofstream out(context_out_, std::ios::binary);
    out << outcome.context;
    out.close();
    return out ? done : complain(other, context_out_ + ": cannot be written");
  }

  static json::array shown(const std::vector<const Version*>& versions) {
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

  int do_get() {
    Outcome outcome = client_->get({bucket_, key_}, request_);
    if (!outcome.reply.status) return complain(outcome.reply.status);
    auto versions = siblings(outcome.reply.object);
    if (output_ == "json") {
      std::cout << json::serialize(json::object{{"key", printable(key_)},
                                                {"siblings", shown(versions)},
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
    if (int failed = keep_context(outcome)) return failed;
    if (versions.empty()) {
      if (output_ == "text")
        std::fprintf(stderr, "ringlet: %s: no such key\n", printable(Key{bucket_, key_}).c_str());
      return not_found;
    }
    return versions.size() > 1 || outcome.reply.left_out > 0 ? conflict : done;
  }

  int do_write(bool erase) {
    ClientCore::Request request;
    request.kind = erase ? ClientCore::Kind::erase : ClientCore::Kind::put;
    request.key = {bucket_, key_};
    request.options = request_;
    request.content_type = content_type_;
    if (!context_file_.empty() && !context_text_.empty())
      return complain(usage, "--context and --context-text: wanted one of them");
    if (!context_file_.empty()) {
      auto context = read_file(context_file_);
      if (!context) return complain(context.status());
      request.context = std::move(*context);
    } else if (!context_text_.empty()) {
      auto context = from_base64(context_text_);
      if (!context)
        return complain(usage,
                        "--context-text: wanted base64, got \"" + printable(context_text_) + "\"");
      request.context = std::move(*context);
    }
    if (!erase) {
      if (value_.has_value() == !value_file_.empty())
        return complain(usage, "put: wanted either VALUE or --file");
      if (value_ && *value_ != "-") {
        request.value = *value_;
      } else {
        auto value = read_file(value_ ? "-" : value_file_);
        if (!value) return complain(value.status());
        request.value = std::move(*value);
      }
    }
    Outcome outcome = client_->call(std::move(request));
    if (!outcome.reply.status) return complain(outcome.reply.status);
    if (output_ == "json") {
      std::cout << json::serialize(json::object{{"key", printable(key_)},
                                                {"dot", to_string(outcome.reply.dot)},
                                                {"copies", outcome.reply.tally.got},
                                                {"siblings", siblings(outcome.reply.object).size()},
                                                {"context_base64", to_base64(outcome.context)}})
                << "\n";
    }
    return keep_context(outcome);
  }

  std::shared_ptr<const Ring> wait_for_ring() {
    return client_->ring(Duration::millis(timeout_ms_));
  }
  int no_ring() {
    return complain(cluster_could_not, "wanted the routing table from " + seeds_ + " within " +
                                           std::to_string(timeout_ms_) + " ms, got none");
  }

  static std::vector<Member> by_name(std::vector<Member> members) {
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.name < b.name; });
    return members;
  }

  // "  memory 71 of 192 MiB"; nothing from a node that does not say.
  static std::string memory_of(const json::value& said) {
    const json::value* memory = said.as_object().if_contains("memory");
    if (memory == nullptr) return "";
    auto mib = [&](const char* what) { return memory->at(what).to_number<std::uint64_t>() >> 20; };
    std::string limit = mib("limit") == 0 ? "" : " of " + std::to_string(mib("limit"));
    return "  memory " + std::to_string(mib("resident")) + limit + " MiB";
  }

  int do_status() {
    auto ring = wait_for_ring();
    if (!ring) return no_ring();
    json::array nodes;
    int exit = done;
    for (const auto& member : by_name(ring->members())) {
      StatusText text = client_->query(member.name, "status", {}, Duration::millis(timeout_ms_));
      if (!text.status) {
        exit = cluster_could_not;
        nodes.push_back(json::object{{"node", member.name}, {"error", text.status.message()}});
        if (output_ == "text")
          std::cout << member.name << "  " << member.address << "  " << text.status.message()
                    << "\n";
        continue;
      }
      json::value said = json::parse(text.json);
      if (output_ == "text") {
        std::cout << member.name << "  " << member.address << "  hints " << said.at("hints")
                  << "  gets " << said.at("gets") << "  puts " << said.at("puts") << "  failed "
                  << said.at("failed") << "  down " << said.at("down") << memory_of(said) << "\n";
      }
      nodes.push_back(std::move(said));
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
    StatusText text = client_->command(node_, std::move(command), Duration::millis(timeout_ms_));
    if (!text.status) {
      exit = complain(text.status);
      return std::nullopt;
    }
    json::error_code error;
    json::value said = json::parse(text.json, error);
    if (error) {
      exit = complain(other, "the node's answer is no JSON: " + printable(text.json));
      return std::nullopt;
    }
    if (output_ == "json") std::cout << text.json << "\n";
    exit = done;
    return said;
  }

  int do_cluster(const std::string& verb) {
    ClusterCommand asked{verb, {}};
    if (verb == "join") asked.arguments = {member_, address_, zone_, std::to_string(weight_)};
    if (verb == "leave") asked.arguments = {member_};
    if (verb == "replace")
      asked.arguments = {member_, new_member_, address_, zone_, std::to_string(weight_)};
    int exit = done;
    auto said = command(std::move(asked), exit);
    if (!said || output_ == "json") return exit;
    const json::object& answer = said->as_object();
    if (const auto* message = answer.if_contains("message"))
      std::cout << message->as_string().c_str() << "\n";
    if (const auto* staged = answer.if_contains("staged");
        staged && (verb == "plan" || verb == "status")) {
      for (const auto& each : staged->as_array()) {
        std::cout << "staged: " << each.as_string().c_str() << "\n";
      }
    }
    if (const auto* members = answer.if_contains("members")) {
      auto sorted = members->as_array();
      std::sort(sorted.begin(), sorted.end(), [](const json::value& a, const json::value& b) {
        return a.at("name").as_string() < b.at("name").as_string();
      });
      for (const auto& each : sorted) {
        std::string zone = each.at("zone").as_string().c_str();
        std::cout << each.at("name").as_string().c_str() << "  "
                  << each.at("address").as_string().c_str() << "  "
                  << each.at("state").as_string().c_str() << "  " << each.at("owns")
                  << " partitions" << coming(each.at("coming").to_number<std::int64_t>())
                  << (zone.empty() ? "" : "  zone " + zone) << "\n";
      }
    }
    if (const auto* upkeep = answer.if_contains("upkeep")) print_upkeep(upkeep->as_object());
    if (const auto* moves = answer.if_contains("moves")) {
      for (const auto& move : moves->as_array()) {
        std::cout << "partition " << move.at("partition") << "  "
                  << move.at("from").as_string().c_str() << " -> "
                  << move.at("to").as_string().c_str() << "\n";
      }
    }
    return done;
  }

  static std::string coming(std::int64_t count) {
    return count == 0 ? "" : ", " + std::to_string(count) + " coming";
  }

  // What the node that was asked is at.
  static void print_upkeep(const json::object& upkeep) {
    if (const auto* moved = upkeep.if_contains("transfer")) {
      std::cout << "copies to this node: " << moved->at("left") << " partitions left, "
                << moved->at("objects") << " objects and " << moved->at("bytes") << " bytes came\n";
    }
    if (const auto* pushed = upkeep.if_contains("surplus")) {
      std::cout << "copies it need not keep: " << pushed->at("checked") << " checked, "
                << pushed->at("pushed") << " handed over, " << pushed->at("erased") << " erased\n";
    }
    if (const auto* trees = upkeep.if_contains("anti_entropy")) {
      std::cout << "repair: " << (trees->at("idle").as_bool() ? "idle" : "running") << ", "
                << trees->at("exchanges") << " exchanges, " << trees->at("keys_received")
                << " keys received, " << trees->at("keys_sent") << " sent, "
                << trees->at("bytes_received") << " bytes in, " << trees->at("bytes_sent")
                << " bytes out\n";
    }
  }

  int do_repair() {
    ClusterCommand asked{"repair", {}};
    if (partition_ >= 0) asked.arguments = {std::to_string(partition_)};
    int exit = done;
    auto said = command(std::move(asked), exit);
    if (said && output_ == "text") std::cout << said->at("message").as_string().c_str() << "\n";
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

  ClientOptions options_;
  RequestOptions request_;
  std::string seeds_ = "127.0.0.1:7400", bucket_, key_, output_ = "text", coordination_ = "server";
  std::string value_file_, content_type_, context_file_, context_text_, context_out_;
  std::optional<std::string> value_;
  std::string node_, member_, new_member_, address_, zone_;
  int timeout_ms_ = 2000, weight_ = 1, partition_ = -1;
  std::unique_ptr<Client> client_;
};

}  // namespace
}  // namespace ringlet

int main(int argc, char** argv) {
  return ringlet::Program().run(argc, argv);
}
