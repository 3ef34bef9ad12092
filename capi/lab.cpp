#include "lab.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "node/upkeep.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::capi {
namespace {

constexpr std::uint32_t most_nodes = 256;
constexpr std::size_t most_clients = 1000;
constexpr std::int64_t longest_us = std::int64_t{366} * 86'400 * 1'000'000;

Status invalid(std::string why) {
  return Status(Code::invalid_argument, std::move(why));
}

std::string shown(const json::value& value) {
  return printable(json::serialize(value));
}

Result<std::int64_t> whole(const json::object& from, const char* name, std::int64_t low,
                           std::int64_t high, std::int64_t otherwise) {
  const json::value* value = from.if_contains(name);
  if (value == nullptr) return otherwise;
  boost::system::error_code wrong;
  auto number = value->is_number() ? value->to_number<std::int64_t>(wrong) : std::int64_t{0};
  if (!value->is_number() || wrong || number < low || number > high) {
    return invalid(std::string(name) + ": wanted a whole number from " + std::to_string(low) +
                   " to " + std::to_string(high) + ", got " + shown(*value));
  }
  return number;
}

Result<double> share(const json::object& from, const char* name, double otherwise) {
  const json::value* value = from.if_contains(name);
  if (value == nullptr) return otherwise;
  double number = value->is_double()  ? value->get_double()
                  : value->is_int64() ? static_cast<double>(value->get_int64())
                                      : -1;
  if (!(number >= 0 && number <= 1))
    return invalid(std::string(name) + ": wanted a chance from 0 to 1, got " + shown(*value));
  return number;
}

Result<bool> yes_or_no(const json::object& from, const char* name, bool otherwise) {
  const json::value* value = from.if_contains(name);
  if (value == nullptr) return otherwise;
  if (!value->is_bool())
    return invalid(std::string(name) + ": wanted true or false, got " + shown(*value));
  return value->get_bool();
}

template <typename List>
std::string listed(const List& names) {
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ", ") + std::string(name);
  return all;
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

// A fingerprint of what was said, for the trace: two runs that write other values have other traces.
class Print {
 public:
  Print& operator<<(BytesView bytes) {
    for (unsigned char byte : bytes) value_ = (value_ ^ byte) * 1099511628211ULL;
    return *this << bytes.size();
  }
  Print& operator<<(std::uint64_t number) {
    for (int i = 0; i < 8; ++i) value_ = (value_ ^ (number >> (8 * i) & 255)) * 1099511628211ULL;
    return *this;
  }
  std::string text() const {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (int i = 60; i >= 0; i -= 4) out += digits[value_ >> i & 15];
    return out;
  }

 private:
  std::uint64_t value_ = 1469598103934665603ULL;  // FNV-1a
};

Print& operator<<(Print& print, const ClientCore::Request& request) {
  const RequestOptions& o = request.options;
  return print << request.value << request.context << request.content_type << request.write_id.high
               << request.write_id.low << o.timeout_ms
               << (std::uint64_t{o.r} << 16 | std::uint64_t{o.w} << 8 | std::uint64_t{o.strict})
               << static_cast<std::uint64_t>(o.durability);
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

}  // namespace

Status unknown_field(const std::string& where, std::string_view got,
                     std::initializer_list<const char*> known) {
  return Status(Code::unknown_option,
                where + ": there is no \"" + printable(got) + "\"; there are " + listed(known));
}

// ---- settings ----

Result<LabSettings> LabSettings::read(const json::object& given) {
  if (Status s = check_fields("settings", given,
                              {"nodes",
                               "spares",
                               "n",
                               "r",
                               "w",
                               "seed",
                               "partitions",
                               "reconcile",
                               "durability",
                               "coordination",
                               "loss",
                               "duplicate",
                               "slow",
                               "latency_us",
                               "min_latency_us",
                               "between_zones_us",
                               "fsync_us",
                               "zones",
                               "weights",
                               "trace",
                               "options"});
      !s) {
    return s;
  }
  LabSettings out;
  out.given = given;
  if (const json::value* nodes = given.if_contains("nodes");
      nodes != nullptr && nodes->is_int64() && nodes->get_int64() > most_nodes) {
    return invalid(
        "nodes: wanted 1 to " + std::to_string(most_nodes) + ", got " +
        std::to_string(nodes->get_int64()) +
        ": each node is a whole store in this process, and each one gossips with the others");
  }
  auto nodes = whole(given, "nodes", 1, most_nodes, 5);
  if (!nodes) return nodes.status();
  out.nodes = static_cast<std::uint32_t>(*nodes);
  auto spares = whole(given, "spares", 0, 32, 3);
  if (!spares) return spares.status();
  out.spares = static_cast<std::uint32_t>(*spares);
  auto seed = whole(given, "seed", 0, INT64_MAX, 7);
  if (!seed) return seed.status();
  out.seed = static_cast<std::uint64_t>(*seed);
  auto trace = whole(given, "trace", 100, 10'000'000, 100'000);
  if (!trace) return trace.status();
  out.trace = static_cast<std::size_t>(*trace);
  for (auto [name, into] : {std::pair{"loss", &out.network.loss},
                            {"duplicate", &out.network.duplicate},
                            {"slow", &out.network.slow}}) {
    auto chance = share(given, name, 0);
    if (!chance) return chance.status();
    *into = *chance;
  }
  for (auto [name, into] : {std::pair{"latency_us", &out.network.mean_delay},
                            {"min_latency_us", &out.network.min_delay},
                            {"between_zones_us", &out.network.between_zones},
                            {"fsync_us", &out.fsync}}) {
    auto time = whole(given, name, 0, 3'600'000'000, into->us);
    if (!time) return time.status();
    *into = Duration::micros(*time);
  }
  // Whole numbers and words of a cluster's file, by the file's own rules.
  for (const char* name :
       {"n", "r", "w", "partitions", "reconcile", "durability", "coordination"}) {
    const json::value* value = given.if_contains(name);
    if (value == nullptr) continue;
    bool number = std::string_view(name).size() == 1 || std::string_view(name) == "partitions";
    if (number ? !value->is_int64() : !value->is_string()) {
      return invalid(std::string(name) + ": wanted " + (number ? "a whole number" : "a text") +
                     ", got " + shown(*value));
    }
    std::string text =
        number ? std::to_string(value->get_int64()) : std::string(value->get_string());
    std::string key =
        (std::string_view(name) == "coordination" ? "client." : "cluster.") + std::string(name);
    if (Status s = out.cluster.set(key, text); !s) return s;
  }
  if (const json::value* options = given.if_contains("options")) {
    if (!options->is_object())
      return invalid("options: wanted an object of names and texts, got " + shown(*options));
    for (const auto& option : options->get_object()) {
      std::string name(option.key());
      std::string text = option.value().is_string() ? std::string(option.value().get_string())
                                                    : json::serialize(option.value());
      if (Status s = out.cluster.set(name, text); !s) return s;
    }
  }
  Config& config = out.cluster.config();
  auto give_way = [&](const char* name, auto& value) {
    std::uint32_t copies = std::min(config.ring.replicas, out.nodes);
    if (!out.cluster.is_set(name) && value > copies)
      value = static_cast<std::remove_reference_t<decltype(value)>>(copies);
  };
  give_way("cluster.n", config.ring.replicas);
  give_way("cluster.r", config.node.coordination.r);
  give_way("cluster.w", config.node.coordination.w);
  if (!out.cluster.is_set("cluster.partitions")) {
    while (config.ring.partitions < 4 * out.nodes) config.ring.partitions *= 2;
  }
  if (Status s = check_together(config); !s) return s;
  for (auto [name, value] :
       {std::pair{"r", config.node.coordination.r}, {"w", config.node.coordination.w}}) {
    if (value > out.nodes) {
      return invalid(std::string(name) + ": wanted at most the " + std::to_string(out.nodes) +
                     " nodes there are, got " + std::to_string(value));
    }
  }
  out.coordination = config.client.coordination;
  if (const json::value* zones = given.if_contains("zones")) {
    if (!zones->is_array() || zones->get_array().size() != out.nodes)
      return invalid("zones: wanted a list of " + std::to_string(out.nodes) + " names, got " +
                     shown(*zones));
    for (const json::value& zone : zones->get_array()) {
      if (!zone.is_string() || (!zone.get_string().empty() && !is_name(zone.get_string())))
        return invalid("zones: wanted names of letters, digits, '.', '_' and '-', got " +
                       shown(zone));
      out.zones.emplace_back(zone.get_string());
    }
  }
  if (const json::value* weights = given.if_contains("weights")) {
    if (!weights->is_array() || weights->get_array().size() != out.nodes)
      return invalid("weights: wanted a list of " + std::to_string(out.nodes) + " numbers, got " +
                     shown(*weights));
    for (const json::value& weight : weights->get_array()) {
      if (!weight.is_int64() || weight.get_int64() < 1 || weight.get_int64() > 1000)
        return invalid("weights: wanted whole numbers from 1 to 1000, got " + shown(weight));
      out.weights.push_back(static_cast<std::uint32_t>(weight.get_int64()));
    }
  }
  return out;
}

// ---- who uses it ----

Lab::Use::Use(Lab& lab) : lab_(&lab) {
  std::thread::id nobody{}, self = std::this_thread::get_id();
  if (lab.owner_.load() != self && !lab.owner_.compare_exchange_strong(nobody, self)) {
    lab_ = nullptr;
    status_ = Status(Code::busy,
                     "the laboratory is for one thread at a time, and another one is using it");
    return;
  }
  ++lab.depth_;
  if (lab.released_) status_ = Status(Code::closed, "the laboratory was released");
}

Lab::Use::~Use() {
  if (lab_ != nullptr && --lab_->depth_ == 0) lab_->owner_.store(std::thread::id{});
}

// ---- the world ----

Lab::Lab(LabSettings settings) : settings_(std::move(settings)) {}

Lab::~Lab() {
  release();
}

Result<std::shared_ptr<Lab>> Lab::make(LabSettings settings) {
  std::shared_ptr<Lab> lab(new Lab(std::move(settings)));
  if (Status s = lab->build(); !s) return s;
  return lab;
}

Status Lab::build() {
  world_.reset();
  recorder_ = std::make_unique<sim::Recorder>(settings_.trace);
  world_ = std::make_unique<sim::World>(settings_.seed, settings_.network);
  hosts_.clear();
  calls_.clear();
  contexts_.clear();
  backups_.clear();
  gone_.clear();
  skipped_.clear();
  asked_.clear();
  last_call_ = 0;
  for (std::uint32_t i = 0; i < settings_.nodes + settings_.spares; ++i) {
    bool founder = i < settings_.nodes;
    std::string name = "n" + std::to_string(i + 1);
    hosts_[name] =
        world_->add_node(name, founder && !settings_.zones.empty() ? settings_.zones[i] : "",
                         founder && !settings_.weights.empty() ? settings_.weights[i] : 1);
  }
  recorder_->attach(*world_);
  start_ = world_->now();
  Ring::Options ring = settings_.cluster.ring({});
  NodeOptions options = settings_.cluster.node("");
  options.founding_is_agreed = true;
  std::vector<Member> members;
  for (std::uint32_t i = 0; i < settings_.nodes; ++i) {
    Member member;
    member.name = "n" + std::to_string(i + 1);
    member.id = node_id_of(member.name);
    member.address = world_->address_of(i);
    if (!settings_.zones.empty()) member.zone = settings_.zones[i];
    if (!settings_.weights.empty()) member.weight = settings_.weights[i];
    members.push_back(std::move(member));
  }
  ring.members = std::move(members);
  if (auto fits = Ring::build(ring); !fits) return fits.status();
  world_->start_cluster(std::move(ring), std::move(options), settings_.fsync, settings_.nodes);
  return Status::ok();
}

void Lab::release() {
  if (released_) return;
  released_ = true;
  std::vector<std::uint64_t> open;
  for (const auto& [call, under_way] : calls_) open.push_back(call);
  for (std::uint64_t call : open)
    give_up(call, Status(Code::closed, "the laboratory was released before the answer came"));
  world_.reset();
  recorder_.reset();
  acts_.clear();
}

void Lab::log(decltype(Act::what) what) {
  if (redoing_) return;
  acts_.push_back({world_->events(), world_->trace_hash(), world_->now(), std::move(what)});
}

bool Lab::step_once() {
  if (!prepared_.empty()) answer_prepared();
  return world_->step();
}

Status Lab::step(std::uint64_t count, std::uint64_t* done) {
  for (*done = 0; *done < count && step_once(); ++*done) {
  }
  return Status::ok();
}

Status Lab::run(Duration time) {
  if (time.us < 0 || time.us > longest_us)
    return invalid("time: wanted 0 to " + std::to_string(longest_us) + " us, got " +
                   std::to_string(time.us));
  Instant until = world_->now() + time;
  while (world_->next_event() <= until) step_once();
  world_->run_until(until);
  return Status::ok();
}

bool Lab::anything_can_end() const {
  return std::any_of(calls_.begin(), calls_.end(),
                     [&](const auto& call) { return !world_->paused(call.second.client); });
}

Status Lab::wait(Duration time, const std::function<bool()>& ready) {
  Use use(*this);
  if (!use.status()) {
    // What the release ended is there to be fetched.
    return use.status().code() == Code::closed && ready() ? Status::ok() : use.status();
  }
  Instant until = time.us < 0 ? Instant::never() : world_->now() + time;
  while (!ready()) {
    if (time.us < 0 && !anything_can_end()) break;
    if (world_->next_event() > until) {
      world_->run_until(until);
      break;
    }
    if (!step_once()) break;
  }
  return Status::ok();
}

// ---- clients and calls ----

Result<sim::HostId> Lab::client(const std::string& name, const Settings* options) {
  auto known = hosts_.find(name);
  if (known != hosts_.end()) {
    if (known->second < world_->nodes())
      return invalid("name: wanted one that is not a node's, got " + name);
    if (options != nullptr)
      return invalid("options: " + name + " is there already, with the options it was made with");
    return known->second;
  }
  if (!is_name(name)) {
    return invalid("name: wanted 1 to 64 letters, digits, '.', '_' and '-', got \"" +
                   printable(name) + "\"");
  }
  if (hosts_.size() - world_->nodes() >= most_clients)
    return invalid("name: there are " + std::to_string(most_clients) + " clients already");
  ClientOptions wanted =
      options == nullptr ? settings_.cluster.config().client : options->config().client;
  if (options != nullptr) {
    if (Status s = options->check_use(for_client); !s) return s;
    if (options->is_set("client.seeds"))
      return invalid("client.seeds: a client of a laboratory knows its nodes; wanted none");
    if (!options->is_set("client.coordination")) wanted.coordination = settings_.coordination;
  }
  wanted.cluster = settings_.cluster.config().ring.cluster;
  log(Made{name, wanted});
  if (Status s = make_client(name, std::move(wanted)); !s) return s;
  return hosts_.at(name);
}

Status Lab::make_client(const std::string& name, ClientOptions options) {
  world_->note("lab: a client " + name);
  hosts_[name] = world_->add_client(std::move(options), name);
  return Status::ok();
}

Status Lab::check_client(sim::HostId client) const {
  if (client >= hosts_.size()) {
    return Status(Code::closed,
                  "the client was made later than the event to which the laboratory was rewound");
  }
  if (world_->paused(client)) {
    return Status(Code::busy,
                  world_->name_of_host(client) + " is paused: resume it before it calls");
  }
  return Status::ok();
}

Status Lab::begin(sim::HostId client, Wanted wanted, OnDone on_done, std::uint64_t* call) {
  if (Status s = check_client(client); !s) return s;
  Called called{client, wanted, 0};
  if (auto* update = std::get_if<ClientCore::Update>(&called.wanted)) update->on_ask = nullptr;
  if (auto* request = std::get_if<ClientCore::Request>(&called.wanted);
      request != nullptr && !request->context.empty()) {
    auto from = contexts_.find(request->context);
    if (from != contexts_.end()) called.context_of = from->second;
  }
  log(std::move(called));
  *call = begin_now(client, std::move(wanted), std::move(on_done));
  return Status::ok();
}

std::uint64_t Lab::begin_now(sim::HostId client, Wanted wanted, OnDone on_done) {
  std::uint64_t call = ++last_call_;
  const std::string& name = world_->name_of_host(client);
  UnderWay under_way;
  under_way.client = client;
  under_way.on_done = std::move(on_done);
  Print print;
  const char* kind = "get";
  const Key* key = nullptr;
  if (auto* request = std::get_if<ClientCore::Request>(&wanted)) {
    kind = request->kind == ClientCore::Kind::get   ? "get"
           : request->kind == ClientCore::Kind::put ? "put"
                                                    : "delete";
    key = &request->key;
    print << *request;
  } else if (auto* update = std::get_if<ClientCore::Update>(&wanted)) {
    kind = "update";
    key = &update->request.key;
    under_way.update = true;
    print << update->request << update->attempts << static_cast<std::uint64_t>(update->deletes);
  } else {
    auto& edit = std::get<ClientCore::Edit>(wanted);
    kind = "edit";
    key = &edit.request.key;
    print << edit.request << document::encode(edit.edits);
  }
  world_->note("lab: call " + std::to_string(call) + ": " + name + " " + kind + " " +
               printable(*key) + " #" + print.text());
  under_way.record = recorder_->begin_call(client, kind, *key);
  calls_.emplace(call, std::move(under_way));
  auto done = [this, call](Outcome outcome) { ended(call, std::move(outcome)); };
  std::uint64_t number = 0;
  if (auto* request = std::get_if<ClientCore::Request>(&wanted)) {
    number = world_->submit(client, std::move(*request), done);
  } else if (auto* update = std::get_if<ClientCore::Update>(&wanted)) {
    update->on_ask = [this, call, then = std::move(update->on_ask)](std::uint64_t,
                                                                    UpdateQuestion question) {
      on_ask(call, std::move(question), then);
    };
    number = world_->update(client, std::move(*update), done);
  } else {
    number = world_->edit(client, std::move(std::get<ClientCore::Edit>(wanted)), done);
  }
  recorder_->end_cause();
  if (auto it = calls_.find(call); it != calls_.end()) it->second.number = number;
  return call;
}

void Lab::on_ask(std::uint64_t call, UpdateQuestion question, const OnAsk& then) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return;
  recorder_->read(it->second.record, question.read.reply.object);
  asked_.insert({call, question.attempt});
  if (then) then(call, std::move(question));
}

void Lab::ended(std::uint64_t call, Outcome outcome) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return;
  UnderWay under_way = std::move(it->second);
  calls_.erase(it);
  asked_.erase(asked_.lower_bound({call, 0}), asked_.lower_bound({call + 1, 0}));
  recorder_->end_call(under_way.record, outcome);
  Print print;
  for (const Version& version : outcome.reply.object.versions)
    print << version.value << version.dot.actor.node.value << version.dot.actor.epoch
          << version.dot.counter;
  const Status& status = outcome.reply.status;
  world_->note("lab: call " + std::to_string(call) +
               " ends: " + (status ? "ok" : name_of(status.code())) + " #" + print.text());
  if (!outcome.context.empty()) {
    contexts_.try_emplace(outcome.context, call);
    if (redoing_) brought_[call] = outcome.context;
  }
  if (under_way.on_done) under_way.on_done(std::move(outcome));
}

void Lab::give_up(std::uint64_t call, const Status& why) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return;
  OnDone on_done = std::exchange(it->second.on_done, nullptr);
  Outcome outcome;
  outcome.reply.status = why;
  outcome.reply.status.set_maybe_applied(true);
  if (released_) calls_.erase(it);
  if (on_done) on_done(std::move(outcome));
}

Status Lab::answer(std::uint64_t call, std::uint32_t attempt, UpdateAnswer answer) {
  log(Answered{call, attempt, answer});
  return answer_now(call, attempt, std::move(answer));
}

Status Lab::answer_now(std::uint64_t call, std::uint32_t attempt, UpdateAnswer answer) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return Status(Code::closed, "the update is over");
  const UnderWay under_way = {it->second.client, it->second.number, it->second.record, nullptr,
                              true};
  asked_.erase({call, attempt});
  Print print;
  print << answer.value << answer.reason << static_cast<std::uint64_t>(answer.kind);
  world_->note("lab: an answer of call " + std::to_string(call) + " #" + print.text());
  recorder_->answered(under_way.record,
                      "the application answers question " + std::to_string(attempt));
  Status status = world_->answer(under_way.client, under_way.number, attempt, std::move(answer));
  recorder_->end_cause();
  return status;
}

void Lab::answer_prepared() {
  for (auto it = asked_.begin(); it != asked_.end();) {
    auto question = *it++;
    auto prepared = prepared_.find(question);
    if (prepared == prepared_.end()) continue;
    UpdateAnswer answer = std::move(prepared->second);
    prepared_.erase(prepared);
    acts_.push_back({world_->events(), world_->trace_hash(), world_->now(),
                     Answered{question.first, question.second, answer}});
    (void)answer_now(question.first, question.second, std::move(answer));
    it = asked_.upper_bound(question);
  }
}

void Lab::cancel(std::uint64_t call) {
  auto it = calls_.find(call);
  if (it == calls_.end()) return;
  log(Cancelled{call});
  world_->note("lab: call " + std::to_string(call) + " is cancelled");
  world_->cancel(it->second.client, it->second.number);
}

// ---- acts ----

Result<sim::HostId> Lab::host(const json::object& act, const char* field, bool nodes_alone) {
  const json::value* value = act.if_contains(field);
  std::string name = value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  auto it = hosts_.find(name);
  if (it != hosts_.end() && (!nodes_alone || it->second < world_->nodes())) return it->second;
  std::vector<std::string> names;
  for (sim::HostId host = 0; host < hosts_.size(); ++host) {
    if (!nodes_alone || host < world_->nodes()) names.push_back(world_->name_of_host(host));
    if (names.size() == 12) {
      names.emplace_back("…");
      break;
    }
  }
  return invalid(std::string(field) + ": wanted one of " + listed(names) + ", got " +
                 (value == nullptr ? "nothing" : shown(*value)));
}

Status Lab::tell(const std::string& verb, const std::vector<std::string>& arguments) {
  for (sim::HostId via = 0; via < world_->nodes(); ++via) {
    if (!world_->up(via) || world_->paused(via) || gone_.contains(via)) continue;
    if (newest_ring()->find(world_->id_of(via)) == nullptr) continue;
    const std::string& name = world_->name_of_host(via);
    if (!arguments.empty() && arguments[0] == name && verb != "leave") continue;
    StatusText said = world_->command(via, {verb, arguments});
    if (said.status) said = world_->command(via, {"commit", {}});
    if (!said.status) (void)world_->command(via, {"clear", {}});
    return said.status;
  }
  return Status(Code::unavailable, verb + ": no member is up that could be told");
}

Status Lab::act(const json::object& act) {
  const json::value* value = act.if_contains("act");
  if (value == nullptr || !value->is_string())
    return invalid("act: wanted the name of an act, got " +
                   (value == nullptr ? std::string("nothing") : shown(*value)));
  Act before{world_->events(), world_->trace_hash(), world_->now(), act};
  Status done = do_act(act);
  // An act that was refused has not touched the world.
  if (!redoing_ && world_->trace_hash() != before.hash) acts_.push_back(std::move(before));
  recorder_->end_cause();
  return done;
}

Status Lab::do_act(const json::object& act) {
  std::string verb(act.at("act").get_string());
  std::string where = "act " + verb;
  auto fields = [&](std::initializer_list<const char*> known) {
    return check_fields(where, act, known);
  };
  auto begins = [&](const std::string& words) {
    world_->note("lab: " + words);
    recorder_->act(words);
  };
  auto name = [&](sim::HostId host) { return world_->name_of_host(host); };
  if (verb == "partition") {
    if (Status s = fields({"act", "groups", "mend"}); !s) return s;
    const json::value* groups = act.if_contains("groups");
    if (groups == nullptr || !groups->is_array() || groups->get_array().size() < 2)
      return invalid("groups: wanted at least two lists of names, got " +
                     (groups == nullptr ? std::string("nothing") : shown(*groups)));
    std::vector<std::vector<sim::HostId>> apart;
    std::map<sim::HostId, std::size_t> seen;
    auto mends = yes_or_no(act, "mend", false);
    if (!mends) return mends.status();
    std::string words = *mends ? "mend the partition" : "partition";
    for (const json::value& group : groups->get_array()) {
      if (!group.is_array()) return invalid("groups: wanted lists of names, got " + shown(group));
      if (!apart.empty()) words += " |";
      apart.emplace_back();
      for (const json::value& member : group.get_array()) {
        auto found = host({{"groups", member}}, "groups", false);
        if (!found) return found.status();
        if (!seen.emplace(*found, apart.size()).second)
          return invalid("groups: wanted each name once, got " + name(*found) + " twice");
        apart.back().push_back(*found);
        words += " " + name(*found);
      }
    }
    begins(words);
    for (const auto& one : apart) {
      for (const auto& other : apart) {
        if (&one == &other) continue;
        for (sim::HostId from : one) {
          for (sim::HostId to : other) {
            if (*mends) {
              world_->mend(from, to);
              recorder_->close("cut", from, to);
            } else {
              world_->cut(from, to);
              recorder_->open("cut", from, to);
            }
          }
        }
      }
    }
    return Status::ok();
  }
  if (verb == "heal") {
    if (Status s = fields({"act"}); !s) return s;
    begins("heal the network");
    world_->mend_all();
    recorder_->close_all("cut");
    return Status::ok();
  }
  if (verb == "cut" || verb == "mend") {
    if (Status s = fields({"act", "from", "to"}); !s) return s;
    auto from = host(act, "from", false), to = host(act, "to", false);
    if (!from) return from.status();
    if (!to) return to.status();
    if (*from == *to) return invalid("to: wanted another host than from, got " + name(*to));
    begins(verb + " " + name(*from) + " -> " + name(*to));
    if (verb == "cut") {
      world_->cut(*from, *to);
      recorder_->open("cut", *from, *to);
    } else {
      world_->mend(*from, *to);
      recorder_->close("cut", *from, *to);
    }
    return Status::ok();
  }
  if (verb == "loss") {
    if (Status s = fields({"act", "chance", "duplicate"}); !s) return s;
    auto loss = share(act, "chance", 0), twice = share(act, "duplicate", 0);
    if (!loss) return loss.status();
    if (!twice) return twice.status();
    begins("loss " + std::to_string(*loss) + " duplicate " + std::to_string(*twice));
    settings_.network.loss = *loss;
    settings_.network.duplicate = *twice;
    world_->set_network(settings_.network);
    return Status::ok();
  }
  if (verb == "latency") {
    if (Status s = fields({"act", "host", "more_us", "mean_us", "min_us"}); !s) return s;
    if (act.contains("host")) {
      auto slow = host(act, "host", false);
      if (!slow) return slow.status();
      auto more = whole(act, "more_us", 0, 3'600'000'000, 0);
      if (!more) return more.status();
      begins("latency of " + name(*slow) + ": " + std::to_string(*more) + " us more");
      world_->slow(*slow, Duration::micros(*more));
      if (*more > 0) {
        recorder_->open("slow", *slow);
      } else {
        recorder_->close("slow", *slow);
      }
      return Status::ok();
    }
    auto mean = whole(act, "mean_us", 0, 3'600'000'000, settings_.network.mean_delay.us);
    auto least = whole(act, "min_us", 0, 3'600'000'000, settings_.network.min_delay.us);
    if (!mean) return mean.status();
    if (!least) return least.status();
    begins("latency " + std::to_string(*least) + " us and " + std::to_string(*mean) +
           " us more on average");
    settings_.network.mean_delay = Duration::micros(*mean);
    settings_.network.min_delay = Duration::micros(*least);
    world_->set_network(settings_.network);
    return Status::ok();
  }
  // The others are done to one host.
  bool clients_too = verb == "pause" || verb == "resume";
  static constexpr const char* acts[] = {"partition", "heal",  "cut",     "mend",   "kill",
                                         "restart",   "pause", "resume",  "wipe",   "backup",
                                         "restore",   "loss",  "latency", "skew",   "slow_disk",
                                         "full_disk", "join",  "leave",   "replace"};
  if (std::find(std::begin(acts), std::end(acts), verb) == std::end(acts)) {
    return Status(Code::unknown_option,
                  "act: there is no \"" + printable(verb) + "\"; there are " + listed(acts));
  }
  auto found = host(act, "host", !clients_too);
  if (!found) return found.status();
  sim::HostId target = *found;
  const std::string who = name(target);
  bool up = world_->up(target);
  auto wants_down = [&] {
    return up ? invalid(verb + ": " + who + " is up: kill it first") : Status::ok();
  };
  if (verb == "kill") {
    if (Status s = fields({"act", "host", "machine"}); !s) return s;
    auto machine = yes_or_no(act, "machine", false);
    if (!machine) return machine.status();
    if (!up) return invalid("kill: " + who + " is down already");
    begins(*machine ? who + " loses power" : "kill " + who);
    world_->crash(target, *machine);
    return Status::ok();
  }
  if (verb == "restart") {
    if (Status s = fields({"act", "host"}); !s) return s;
    if (up) return invalid("restart: " + who + " is up already");
    begins("restart " + who);
    world_->restart(target);
    if (!world_->up(target))
      return Status(Code::unavailable,
                    "restart: " + who + " did not start: its disk cannot be read");
    return Status::ok();
  }
  if (verb == "pause" || verb == "resume") {
    if (Status s = fields({"act", "host"}); !s) return s;
    if (!up) return invalid(verb + ": " + who + " is down");
    bool paused = world_->paused(target);
    if (paused == (verb == "pause"))
      return invalid(verb + ": " + who + (paused ? " is paused already" : " is not paused"));
    begins(verb + " " + who);
    if (paused) {
      world_->resume(target);
      recorder_->close("paused", target);
    } else {
      world_->pause(target);
      recorder_->open("paused", target);
    }
    return Status::ok();
  }
  if (verb == "wipe" || verb == "restore") {
    if (Status s = fields({"act", "host"}); !s) return s;
    if (Status s = wants_down(); !s) return s;
    if (verb == "wipe") {
      begins("wipe the disk of " + who);
      world_->wipe(target);
      return Status::ok();
    }
    auto backup = backups_.find(who);
    if (backup == backups_.end())
      return invalid("restore: there is no backup of " + who + ": make one first (act backup)");
    begins("restore the disk of " + who);
    world_->restore(target, backup->second);
    return Status::ok();
  }
  if (verb == "backup") {
    if (Status s = fields({"act", "host"}); !s) return s;
    begins("backup the disk of " + who);
    backups_[who] = world_->disk(target).backup();
    return Status::ok();
  }
  if (verb == "skew") {
    if (Status s = fields({"act", "host", "ms"}); !s) return s;
    auto ms = whole(act, "ms", -longest_us / 1000, longest_us / 1000, 0);
    if (!ms) return ms.status();
    begins("skew the clock of " + who + " by " + std::to_string(*ms) + " ms");
    world_->skew(target, *ms);
    if (*ms != 0) {
      recorder_->open("skewed", target);
    } else {
      recorder_->close("skewed", target);
    }
    return Status::ok();
  }
  if (verb == "slow_disk") {
    if (Status s = fields({"act", "host", "fsync_us"}); !s) return s;
    auto time = whole(act, "fsync_us", 0, 3'600'000'000, settings_.fsync.us);
    if (!time) return time.status();
    begins("a sync of the disk of " + who + " takes " + std::to_string(*time) + " us");
    world_->set_fsync(target, Duration::micros(*time));
    return Status::ok();
  }
  if (verb == "full_disk") {
    if (Status s = fields({"act", "host", "full"}); !s) return s;
    auto full = yes_or_no(act, "full", true);
    if (!full) return full.status();
    begins("the disk of " + who + (*full ? " is full" : " has room again"));
    world_->disk(target).set_full(*full);
    if (*full) {
      recorder_->open("full_disk", target);
    } else {
      recorder_->close("full_disk", target);
    }
    return Status::ok();
  }
  auto ring = newest_ring();
  auto fresh = [&](sim::HostId node) {
    if (ring->find(world_->id_of(node)) != nullptr)
      return invalid(verb + ": " + name(node) + " is a member already");
    if (gone_.contains(node)) return invalid(verb + ": " + name(node) + " has left for good");
    return Status::ok();
  };
  if (verb == "join") {
    if (Status s = fields({"act", "host"}); !s) return s;
    if (Status s = fresh(target); !s) return s;
    begins("join " + who);
    if (!up) world_->restart(target);
    return tell("join", {who, world_->address_of(target), "", "1"});
  }
  if (ring->find(world_->id_of(target)) == nullptr)
    return invalid(verb + ": " + who + " is not a member");
  if (verb == "leave") {
    if (Status s = fields({"act", "host"}); !s) return s;
    begins("leave " + who);
    return tell("leave", {who});
  }
  if (Status s = fields({"act", "host", "by"}); !s) return s;
  auto by = host(act, "by", true);
  if (!by) return by.status();
  if (Status s = fresh(*by); !s) return s;
  if (up) return invalid("replace: " + who + " is up: kill it first, or let it leave");
  begins("replace " + who + " by " + name(*by));
  if (!world_->up(*by)) world_->restart(*by);
  Status told = tell("replace", {who, name(*by), world_->address_of(*by)});
  if (told) gone_.insert(target);
  return told;
}

std::shared_ptr<const Ring> Lab::newest_ring() const {
  std::shared_ptr<const Ring> newest;
  for (sim::HostId node = 0; node < world_->nodes(); ++node) {
    NodeState* state = world_->state(node);
    if (state == nullptr || gone_.contains(node)) continue;
    auto its = state->ring();
    if (its && (!newest || its->epoch() > newest->epoch())) newest = its;
  }
  return newest ? newest : world_->ring();
}

// ---- coming to rest ----

std::vector<std::string> Lab::unrest() {
  std::vector<std::string> why;
  auto ring = newest_ring();
  auto name = [&](sim::HostId host) { return world_->name_of_host(host); };
  for (sim::HostId node = 0; node < world_->nodes(); ++node) {
    bool member = ring->find(world_->id_of(node)) != nullptr;
    if (member && !world_->up(node)) why.push_back(name(node) + " is down");
    if (!world_->up(node)) continue;
    if (std::size_t hints = world_->hints_at(node); hints > 0)
      why.push_back(name(node) + " holds " + std::to_string(hints) + " hints");
    boost::system::error_code wrong;
    json::value said =
        json::parse(world_->state(node)->upkeep().status_json(world_->clock_of(node)), wrong);
    const json::value* moves =
        said.is_object() ? said.get_object().if_contains("transfer") : nullptr;
    for (const char* what : {"left", "waiting"}) {
      const json::value* count =
          moves != nullptr && moves->is_object() ? moves->get_object().if_contains(what) : nullptr;
      boost::system::error_code bad;
      std::int64_t number =
          count != nullptr && count->is_number() ? count->to_number<std::int64_t>(bad) : 0;
      if (number > 0)
        why.push_back(name(node) + " has " + std::to_string(number) + " partitions to fetch");
    }
    for (NodeId down : world_->node(node)->health().down()) {
      const Member* other = ring->find(down);
      if (member && other != nullptr)
        why.push_back(name(node) + " believes that " + other->name + " is down");
    }
  }
  if (!ring->next().empty()) {
    auto moving = std::count_if(ring->next().begin(), ring->next().end(),
                                [](NodeId next) { return bool(next); });
    if (moving > 0) why.push_back(std::to_string(moving) + " partitions are moving");
  }
  if (!why.empty()) return why;
  std::size_t differing = 0;
  for (const Key& key : recorder_->keys()) {
    const auto& owners = ring->preference_list(token_of(key));
    std::optional<Object> first;
    for (std::size_t i = 0; i < owners.size() && i < ring->effective_replicas(); ++i) {
      Object held = world_->stored(world_->host_of(owners[i]), key);
      if (!first) {
        first = std::move(held);
      } else if (*first != held) {
        if (++differing <= 5) why.push_back(printable(key) + " differs between its owners");
        break;
      }
    }
  }
  if (differing > 5) why.push_back("and " + std::to_string(differing - 5) + " keys more differ");
  return why;
}

Result<std::string> Lab::settle(Duration patience) {
  if (patience.us < 0 || patience.us > longest_us)
    return invalid("patience: wanted 0 to " + std::to_string(longest_us) + " us, got " +
                   std::to_string(patience.us));
  Instant began = world_->now();
  if (Status s = act({{"act", "heal"}}); !s) return s;
  if (settings_.network.loss > 0 || settings_.network.duplicate > 0) {
    if (Status s = act({{"act", "loss"}, {"chance", 0}}); !s) return s;
  }
  for (sim::HostId host = 0; host < hosts_.size(); ++host) {
    const std::string name = world_->name_of_host(host);
    if (world_->paused(host)) {
      if (Status s = act({{"act", "resume"}, {"host", name}}); !s) return s;
    }
    if (host >= world_->nodes()) continue;
    if (world_->disk(host).full()) {
      if (Status s = act({{"act", "full_disk"}, {"host", name}, {"full", false}}); !s) return s;
    }
  }
  Instant until = world_->now() + patience;
  std::vector<std::string> why;
  // Quiet at two looks, so that what is on its way is not taken for what will never come.
  int quiet = 0;
  std::set<sim::HostId> started;
  while (true) {
    // Who is a member may be known only now that its members hear each other again.
    auto ring = newest_ring();
    for (sim::HostId node = 0; node < world_->nodes(); ++node) {
      bool wanted = !world_->up(node) && ring->find(world_->id_of(node)) != nullptr;
      if (!wanted || !started.insert(node).second) continue;
      if (Status s = act({{"act", "restart"}, {"host", world_->name_of_host(node)}}); !s) return s;
    }
    why = unrest();
    quiet = why.empty() ? quiet + 1 : 0;
    if (quiet == 2 || world_->now() >= until) break;
    if (Status s = run(std::min(Duration::millis(100), until - world_->now())); !s) return s;
  }
  json::array said;
  for (const std::string& line : why) said.emplace_back(line);
  return json::serialize(json::object{
      {"quiet", why.empty()}, {"waited_us", (world_->now() - began).us}, {"not", std::move(said)}});
}

// ---- doing it again ----

Status Lab::redo(const Act& act) {
  if (const auto* made = std::get_if<Made>(&act.what))
    return make_client(made->name, made->options);
  if (const auto* called = std::get_if<Called>(&act.what)) {
    (void)begin_now(called->client, called->wanted, nullptr);
  } else if (const auto* answered = std::get_if<Answered>(&act.what)) {
    (void)answer_now(answered->call, answered->attempt, answered->answer);
  } else if (const auto* cancelled = std::get_if<Cancelled>(&act.what)) {
    cancel(cancelled->call);
  } else {
    const auto& again = std::get<json::object>(act.what);
    if (Status s = this->act(again); !s)
      skipped_.push_back(json::serialize(again) + ": " + s.message());
  }
  return Status::ok();
}

Status Lab::rewind(std::uint64_t event) {
  if (event > world_->events()) {
    return invalid("event: wanted 0 to " + std::to_string(world_->events()) +
                   ", which is the last one, got " + std::to_string(event));
  }
  // Their answers belong to a time that has not been.
  for (auto& [call, under_way] : calls_) {
    if (OnDone on_done = std::exchange(under_way.on_done, nullptr)) {
      Outcome outcome;
      outcome.reply.status = Status(Code::cancelled, "the laboratory was rewound");
      on_done(std::move(outcome));
    }
  }
  // What was done after the event is undone; that a client was there is not.
  // The clock may have gone on since the event, until the first thing that is undone was done.
  std::optional<Instant> then;
  if (event == world_->events()) then = world_->now();
  std::deque<Act> acts;
  for (Act& act : acts_) {
    bool before =
        act.events < event || (act.events == event && std::holds_alternative<Made>(act.what));
    if (!before && act.events == event && (!then || act.at < *then)) then = act.at;
    if (before) acts.push_back(std::move(act));
  }
  auto read = LabSettings::read(settings_.given);
  if (!read) return read.status();
  settings_ = std::move(*read);  // acts have changed the network's
  acts_ = std::move(acts);
  if (Status s = build(); !s) return s;
  redoing_ = true;
  struct Redone {
    bool& redoing;
    ~Redone() { redoing = false; }
  } redone{redoing_};
  for (const Act& act : acts_) {
    while (world_->events() < act.events && world_->step()) {
    }
    if (act.events < event && world_->now() < act.at) world_->run_until(act.at);
    if (act.events < event && (world_->events() != act.events || world_->trace_hash() != act.hash))
      return Status(Code::internal, "rewind: the second run went another way than the first");
    if (Status s = redo(act); !s) return s;
  }
  while (world_->events() < event && world_->step()) {
  }
  if (then && world_->next_event() > *then) world_->run_until(*then);
  return Status::ok();
}

Result<std::shared_ptr<Lab>> Lab::fork(const json::object& changed) {
  json::object merged = settings_.given;
  for (const auto& field : changed) merged[field.key()] = field.value();
  auto read = LabSettings::read(merged);
  if (!read) return read.status();
  auto made = make(std::move(*read));
  if (!made) return made.status();
  Use use(**made);
  if (Status s = (*made)->replay_in_time(acts_, world_->now(), world_->nodes()); !s) return s;
  return made;
}

// Under other settings events have other numbers, so what was done is done at the same times. A write
// follows what the same read brought here; an answer of a merge is the one that was given there.
// `nodes`: of the first laboratory, whose clients are numbered after them.
Status Lab::replay_in_time(const std::deque<Act>& acts, Instant until, std::size_t nodes) {
  for (const Act& act : acts) {
    if (const auto* answered = std::get_if<Answered>(&act.what))
      prepared_[{answered->call, answered->attempt}] = answered->answer;
  }
  redoing_ = true;
  for (const Act& act : acts) {
    while (world_->next_event() <= act.at) step_once();
    world_->run_until(act.at);
    Act again = act;
    if (auto* called = std::get_if<Called>(&again.what)) {
      called->client = called->client - nodes + world_->nodes();
      if (called->context_of != 0) {
        while (calls_.contains(called->context_of) && step_once()) {
        }
        auto brought = brought_.find(called->context_of);
        std::get<ClientCore::Request>(called->wanted).context =
            brought == brought_.end() ? Bytes() : brought->second;
      }
    }
    again.events = world_->events();
    again.hash = world_->trace_hash();
    again.at = world_->now();
    if (!std::holds_alternative<Answered>(again.what)) {
      acts_.push_back(again);
      if (Status s = redo(again); !s) return s;
    }
  }
  while (world_->next_event() <= until) step_once();
  world_->run_until(until);
  redoing_ = false;
  brought_.clear();
  return Status::ok();
}

}  // namespace ringlet::capi
