#include "sim/world.hpp"

#include <tuple>

#include "node/hint_key.hpp"
#include "node/upkeep.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::sim {

// A process and its machine: the disk and the clock's skew outlive the process.
struct World::Host {
  std::string name, address, zone;
  std::uint32_t weight = 1;
  Duration fsync, slowness;
  std::unique_ptr<SimDisk> disk;  // nodes
  std::shared_ptr<NodeState> state;
  std::unique_ptr<Node> node;
  std::unique_ptr<ClientCore> client;
  std::uint64_t generation = 1;  // of the process
  bool up = true, paused = false, sync_scheduled = false;
  std::int64_t skew_ms = 0, started_ms = 0;  // the wall clock's, when the process started
  bool forgot_time = false;
  std::vector<std::function<void()>> held;  // while paused
  Instant wake = Instant::never();
};

World::World(std::uint64_t seed, NetworkOptions network) : random_(seed), network_(network) {}
World::~World() = default;

void World::at(Instant when, std::function<void()> what) {
  queue_.push({std::max(when, now_), sequence_++, std::move(what)});
}

bool World::step() {
  if (queue_.empty()) return false;
  Event event = std::move(const_cast<Event&>(queue_.top()));  // a copy would copy the closure
  queue_.pop();
  now_ = event.when;
  ++events_;
  event.what();
  if (observer_ != nullptr) observer_->on_event_over();
  return true;
}

void World::run_until(Instant end) {
  while (!queue_.empty() && queue_.top().when <= end) step();
  now_ = std::max(now_, end);
}

Now World::clock(const Host& host) const {
  return {now_, 1'700'000'000'000 + now_.us / 1000 + host.skew_ms, now_.us % 1000};
}

Now World::clock(HostId host) const {
  return clock(*hosts_.at(host));
}

void World::trace(const std::string& line) {
  std::string text = std::to_string(now_.us) + " " + line;
  for (unsigned char byte : text) hash_ = (hash_ ^ byte) * 1099511628211ULL;  // FNV-1a, 64 bits
  if (on_trace) on_trace(text);
}

// ---- hosts ----

HostId World::add_node(const std::string& name, const std::string& zone, std::uint32_t weight) {
  RINGLET_ASSERT(node_count_ == hosts_.size());  // nodes come before clients
  auto host = std::make_unique<Host>();
  host->name = name;
  host->address = name + ":1";
  host->zone = zone;
  host->weight = weight;
  host->disk = std::make_unique<SimDisk>();
  host->up = false;
  by_address_[host->address] = hosts_.size();
  by_id_[node_id_of(name)] = hosts_.size();
  hosts_.push_back(std::move(host));
  return node_count_++;
}

void World::start_cluster(Ring::Options ring, NodeOptions options, Duration fsync,
                          std::size_t founders) {
  founders_ = std::min(founders, node_count_);
  ring.members.clear();
  for (HostId node = 0; node < founders_; ++node) {
    Member member;
    member.name = hosts_[node]->name;
    member.id = node_id_of(member.name);
    member.address = hosts_[node]->address;
    member.zone = hosts_[node]->zone;
    member.weight = hosts_[node]->weight;
    ring.members.push_back(std::move(member));
  }
  auto built = Ring::build(std::move(ring));
  RINGLET_ASSERT(built.is_ok());
  ring_ = *built;
  node_options_ = std::move(options);
  for (HostId node = 0; node < node_count_; ++node) {
    hosts_[node]->fsync = fsync;
    SimDisk& disk = *hosts_[node]->disk;
    disk.on_sync_wanted = [this, node] {
      Host& host = *hosts_[node];
      if (host.sync_scheduled) return;
      host.sync_scheduled = true;
      std::uint64_t generation = host.generation;
      after(host.fsync, [this, node, generation] {
        Host& same = *hosts_[node];
        if (same.generation != generation) return;
        same.sync_scheduled = false;
        same.disk->sync();
      });
    };
    if (node < founders_) restart(node);
  }
}

HostId World::add_client(ClientOptions options, const std::string& name) {
  auto host = std::make_unique<Host>();
  host->name = name.empty() ? "c" + std::to_string(hosts_.size() - node_count_) : name;
  options.seeds.clear();
  for (HostId node = 0; node < (name.empty() ? node_count_ : founders_); ++node)
    options.seeds.push_back(hosts_[node]->address);
  host->client = std::make_unique<ClientCore>(std::move(options), random_.next());
  hosts_.push_back(std::move(host));
  HostId id = hosts_.size() - 1;
  hosts_[id]->client->start(clock(*hosts_[id]));
  pump(id);
  return id;
}

ClientCore& World::client(HostId host) {
  return *hosts_.at(host)->client;
}

std::uint64_t World::submit(HostId client, ClientCore::Request request,
                            ClientCore::OnDone on_done) {
  Host& host = *hosts_.at(client);
  trace(host.name + " submits " + printable(request.key));
  std::uint64_t number = host.client->submit(std::move(request), clock(host), std::move(on_done));
  pump(client);
  return number;
}

std::uint64_t World::update(HostId client, ClientCore::Update update, ClientCore::OnDone on_done) {
  Host& host = *hosts_.at(client);
  trace(host.name + " updates " + printable(update.request.key));
  std::uint64_t number = host.client->update(std::move(update), clock(host), std::move(on_done));
  pump(client);
  return number;
}

std::uint64_t World::edit(HostId client, ClientCore::Edit edit, ClientCore::OnDone on_done) {
  Host& host = *hosts_.at(client);
  trace(host.name + " edits " + printable(edit.request.key));
  std::uint64_t number = host.client->edit(std::move(edit), clock(host), std::move(on_done));
  pump(client);
  return number;
}

Status World::answer(HostId client, std::uint64_t update, std::uint32_t attempt,
                     UpdateAnswer answer) {
  Host& host = *hosts_.at(client);
  trace(host.name + " answers question " + std::to_string(attempt) + " of its update");
  Status status = host.client->answer(update, attempt, std::move(answer), clock(host));
  pump(client);
  return status;
}

Now World::clock_of(HostId host) const {
  return clock(*hosts_.at(host));
}

void World::cancel(HostId client, std::uint64_t call) {
  Host& host = *hosts_.at(client);
  trace(host.name + " cancels");
  host.client->cancel(call, clock(host));
  pump(client);
}

NodeId World::id_of(HostId node) const {
  return node_id_of(hosts_.at(node)->name);
}
HostId World::host_of(NodeId id) const {
  auto it = by_id_.find(id);
  RINGLET_ASSERT(it != by_id_.end());
  return it->second;
}
SimDisk& World::disk(HostId node) {
  return *hosts_.at(node)->disk;
}
bool World::up(HostId host) const {
  return hosts_.at(host)->up;
}
bool World::paused(HostId host) const {
  return hosts_.at(host)->paused;
}

Object World::stored(HostId node, const Key& key) {
  const auto& rows = hosts_.at(node)->disk->rows(Table::objects);
  auto it = rows.find(object_row(ring_->partition_of(token_of(key)), key));
  if (it == rows.end()) return {};
  auto object = decode_record(it->second);
  return object ? std::move(*object) : Object{};  // a damaged copy is none
}

StatusText World::command(HostId node, ClusterCommand command) {
  Host& host = *hosts_.at(node);
  if (!host.up) return {Status(Code::unavailable, host.name + " is not up"), ""};
  trace(host.name + " is told " + command.verb);
  StatusText said = host.state->upkeep().command(command, clock(host));
  host.node->on_wake(clock(host));
  pump(node);
  return said;
}

StatusText World::query(HostId node, StatusQuery question) {
  Host& host = *hosts_.at(node);
  if (!host.up || host.paused) {
    return {Status(Code::unavailable, host.name + (host.up ? " is paused" : " is not up")), ""};
  }
  std::uint64_t link = next_link_++;
  host.node->on_request(link, 1, std::move(question), clock(host));
  StatusText answer{Status(Code::unavailable, host.name + " gave no answer"), ""};
  for (auto& out : host.node->take_replies()) {
    if (out.link != link) {
      reply(node, out.link, out.number, std::move(out.message));
    } else if (auto* text = std::get_if<StatusText>(&out.message)) {
      answer = std::move(*text);
    } else if (auto* refused = std::get_if<Refused>(&out.message)) {
      answer.status = refused->status;
    }
  }
  pump(node);
  return answer;
}

std::size_t World::hints_at(HostId node) {
  return hosts_.at(node)->disk->rows(Table::hints).size();
}

const std::string& World::name_of_host(HostId host) const {
  return hosts_.at(host)->name;
}
const std::string& World::address_of(HostId node) const {
  return hosts_.at(node)->address;
}
const Node* World::node(HostId node) const {
  return hosts_.at(node)->node.get();
}
NodeState* World::state(HostId node) const {
  return hosts_.at(node)->state.get();
}

// ---- faults ----

void World::restart(HostId node) {
  Host& host = *hosts_.at(node);
  if (host.up) return;
  NodeOptions options = node_options_;
  options.name = host.name;
  options.cluster = ring_->cluster();
  options.address = host.address;
  options.seeds = {hosts_[0]->address};
  if (founders_ > 1) options.seeds.push_back(hosts_[1]->address);
  if (on_options) on_options(node, options);
  // Of a stream of their own: these bits are drawn at every start, whether the store needs them or not.
  if (std::exchange(host.forgot_time, false)) host.skew_ms += host.started_ms - clock(host).wall_ms;
  FirstEpoch first(clock(host).wall_ms,
                   Random(now_.us * 64 + static_cast<std::int64_t>(node)).next());
  auto state = NodeState::open(std::move(options), first, host.disk->open(),
                               node < founders_ ? ring_ : nullptr);
  if (!state) return trace(host.name + " does not start: " + state.status().message());
  host.state = *state;
  host.started_ms = clock(host).wall_ms;
  host.node = std::make_unique<Node>(host.state, 0, random_.next());
  host.up = true;
  host.sync_scheduled = false;  // one that the opening asked for was of the old process
  std::uint64_t generation = ++host.generation;
  host.state->engine().set_durable_listener([this, node, generation](StorageEngine::Ticket ticket) {
    // Not inside the transaction that may have caused it.
    after(Duration::micros(1), [this, node, generation, ticket] {
      whenever_awake(node, generation, [this, node, ticket] {
        hosts_[node]->node->on_durable(ticket, clock(*hosts_[node]));
      });
    });
  });
  trace(host.name + " starts");
  if (observer_ != nullptr) observer_->on_started(node);
  host.node->start(clock(host));
  pump(node);
}

void World::crash(HostId node, bool machine) {
  Host& host = *hosts_.at(node);
  if (!host.up) return;
  trace(host.name + (machine ? " loses power" : " is killed"));
  if (observer_ != nullptr) observer_->on_crashed(node);
  host.up = false;
  host.paused = false;
  host.held.clear();
  host.sync_scheduled = false;
  host.wake = Instant::never();
  ++host.generation;
  host.node.reset();
  host.state.reset();
  if (machine) {
    host.disk->crash_machine();
  } else {
    host.disk->crash_process();
  }
  // Whoever waits for it sees the connection break. What it had sent goes on its way, and is executed.
  for (auto it = links_.begin(); it != links_.end();) {
    const Link& link = it->second;
    if (link.to == node && !link.answered && !machine) {
      unreachable(link.from, node, link.generation, link.addressed);
    }
    it = link.to == node ? links_.erase(it) : std::next(it);
  }
}

void World::wipe(HostId node) {
  RINGLET_ASSERT(!hosts_.at(node)->up);
  trace(hosts_[node]->name + " gets an empty disk");
  hosts_[node]->disk->wipe();
}

void World::forget_time(HostId node) {
  hosts_.at(node)->forgot_time = true;
}

void World::restore(HostId node, Rooms backup) {
  RINGLET_ASSERT(!hosts_.at(node)->up);
  trace(hosts_[node]->name + " gets an old disk of its own");
  hosts_[node]->disk->restore(std::move(backup));
}

void World::pause(HostId node) {
  trace(hosts_.at(node)->name + " is stopped");
  hosts_[node]->paused = true;
}

void World::resume(HostId node) {
  Host& host = *hosts_.at(node);
  if (!host.paused) return;
  trace(host.name + " goes on");
  host.paused = false;
  for (auto& what : std::exchange(host.held, {})) after(Duration::micros(1), std::move(what));
}

void World::skew(HostId node, std::int64_t ms) {
  hosts_.at(node)->skew_ms = ms;
}
void World::slow(HostId node, Duration more) {
  hosts_.at(node)->slowness = more;
}
void World::set_fsync(HostId node, Duration time) {
  hosts_.at(node)->fsync = time;
}
void World::cut(HostId from, HostId to) {
  trace(hosts_.at(from)->name + " no longer reaches " + hosts_.at(to)->name);
  cuts_.insert({from, to});
}
void World::mend(HostId from, HostId to) {
  cuts_.erase({from, to});
}
void World::mend_all() {
  trace("the network is whole");
  cuts_.clear();
}
bool World::connected(HostId a, HostId b) const {
  return !cuts_.contains({a, b}) && !cuts_.contains({b, a});
}

// ---- the network ----

Duration World::delay(HostId from, HostId to) {
  Duration time =
      network_.min_delay +
      Duration::micros(static_cast<std::int64_t>(random_.exponential(network_.mean_delay.us)));
  if (network_.slow > 0 && random_.chance(network_.slow)) {
    time = time + Duration::micros(random_.between(0, 50'000));
  }
  time = time + hosts_[from]->slowness + hosts_[to]->slowness;
  const std::string &one = hosts_[from]->zone, &other = hosts_[to]->zone;
  if (one != other && !one.empty() && !other.empty()) time = time + network_.between_zones;
  return time;
}

bool World::lost(HostId from, HostId to) {
  return cuts_.contains({from, to}) || (network_.loss > 0 && random_.chance(network_.loss));
}

void World::tell_lost(HostId from, HostId to, std::uint64_t exchange, bool reply) {
  if (observer_ == nullptr) return;
  bool cut = cuts_.contains({from, to});
  observer_->on_lost(exchange, reply, cut ? Observer::Loss::cut : Observer::Loss::chance);
}

void World::whenever_awake(HostId id, std::uint64_t generation, std::function<void()> what) {
  Host& host = *hosts_[id];
  if (!host.up || host.generation != generation) return;
  if (host.paused) {
    host.held.push_back(
        [this, id, generation, what = std::move(what)] { whenever_awake(id, generation, what); });
    return;
  }
  what();
  pump(id);
}

void World::unreachable(HostId at_host, HostId whom, std::uint64_t generation, NodeId addressed) {
  if (lost(whom, at_host)) return;
  after(delay(whom, at_host), [=, this] {
    whenever_awake(at_host, generation, [=, this] {
      Host& host = *hosts_[at_host];
      trace(host.name + " finds " + hosts_[whom]->name + " unreachable");
      if (host.node) {
        host.node->on_unreachable(addressed, clock(host));
      } else {
        host.client->on_unreachable(addressed, clock(host));
      }
    });
  });
}

Instant World::monotonic(HostId host) const {
  auto n = static_cast<std::int64_t>(host);
  std::int64_t ppm = (n * 77) % 401 - 200;
  return {Duration::seconds(1000 * (n + 1)).us + now_.us + now_.us / 1'000'000 * ppm};
}

// As a connection of runtime/ does it: its first message of all, the greeting, came as quickly as most.
Arrival World::arrival_of(const Link& link) {
  Instant now = monotonic(link.to);
  auto [line, fresh] =
      delays_.try_emplace({link.to, hosts_[link.to]->generation, link.from, link.generation});
  if (fresh) {
    Duration since_sent = now_ - link.sent_at;
    line->second.heard(link.sent_us, now - (since_sent - network_.min_delay - network_.mean_delay));
  }
  Arrival by_host = arrival(link.asking, line->second.heard(link.sent_us, now), now);
  // The node is told the time of the simulation.
  if (by_host.until != Instant::never()) by_host.until = now_ + (by_host.until - now);
  return by_host;
}

void World::request(HostId from, HostId to, NodeId addressed, std::uint64_t number, Message message,
                    const Asking& asking) {
  Host& sender = *hosts_[from];
  trace(sender.name + " -> " + hosts_[to]->name + " " + name_of(message));
  std::uint64_t exchange = ++last_exchange_;
  if (observer_ != nullptr) observer_->on_sent(from, to, exchange, false, message);
  if (lost(from, to)) return tell_lost(from, to, exchange, false);
  if (!hosts_[to]->up) {
    if (observer_ != nullptr) observer_->on_lost(exchange, false, Observer::Loss::down);
    return unreachable(from, to, sender.generation, addressed);
  }
  std::uint64_t link = next_link_++;
  Link line{from,
            to,
            sender.generation,
            addressed,
            number,
            asking,
            static_cast<std::uint64_t>(monotonic(from).us),
            now_,
            exchange};
  links_.emplace(link, line);
  int copies = network_.duplicate > 0 && random_.chance(network_.duplicate) ? 2 : 1;
  auto shared = std::make_shared<Message>(std::move(message));
  for (int copy = 0; copy < copies; ++copy) {
    // A duplicate is a request of its own to the receiver: it comes over another link.
    std::uint64_t name = copy == 0 ? link : next_link_++;
    if (copy > 0) links_.emplace(name, line);
    after(delay(from, to),
          [this, to, name, shared, copies] { deliver(to, name, shared, copies == 1); });
  }
}

void World::deliver(HostId to, std::uint64_t name, const std::shared_ptr<Message>& message,
                    bool only) {
  auto it = links_.find(name);
  if (it == links_.end()) return;
  Host& host = *hosts_[to];
  if (!host.up) {
    Link link = it->second;
    links_.erase(it);
    if (observer_ != nullptr) observer_->on_lost(link.exchange, false, Observer::Loss::down);
    return unreachable(link.from, to, link.generation, link.addressed);
  }
  whenever_awake(to, host.generation, [this, to, name, message, only] {
    auto same = links_.find(name);
    if (same == links_.end()) return;
    Host& receiver = *hosts_[to];
    HostId from = same->second.from;
    if (on_delivery) on_delivery(from, to, *message);
    if (observer_ != nullptr) observer_->on_arrived(same->second.exchange, false, *message);
    receiver.node->on_request(name, same->second.number, only ? std::move(*message) : *message,
                              clock(receiver), from < node_count_ ? id_of(from) : NodeId{},
                              arrival_of(same->second));
  });
}

void World::reply(HostId from, std::uint64_t name, std::uint64_t number, Message message) {
  auto it = links_.find(name);
  if (it == links_.end()) return;  // the asker is gone
  if (it->second.answered || it->second.number != number) {
    if (on_violation)
      on_violation(hosts_[from]->name + " answered a request twice: " + name_of(message));
    return;
  }
  it->second.answered = true;
  Link link = it->second;
  trace(hosts_[from]->name + " => " + hosts_[link.from]->name + " " + name_of(message));
  // Kept for a while so that a second answer is seen.
  after(Duration::seconds(5), [this, name] { links_.erase(name); });
  if (observer_ != nullptr) observer_->on_sent(from, link.from, link.exchange, true, message);
  if (lost(from, link.from)) return tell_lost(from, link.from, link.exchange, true);
  auto shared = std::make_shared<Message>(std::move(message));
  after(delay(from, link.from), [this, from, link, shared] {
    const Host& asker = *hosts_[link.from];
    if (observer_ != nullptr && (!asker.up || asker.generation != link.generation))
      observer_->on_lost(link.exchange, true, Observer::Loss::down);
    whenever_awake(link.from, link.generation, [this, from, link, shared] {
      if (on_delivery) on_delivery(from, link.from, *shared);
      if (observer_ != nullptr) observer_->on_arrived(link.exchange, true, *shared);
      Host& host = *hosts_[link.from];
      if (host.node) {
        host.node->on_reply(link.addressed, link.number, std::move(*shared), clock(host));
      } else {
        host.client->on_reply(link.addressed, link.number, std::move(*shared), clock(host));
      }
    });
  });
}

// Does what the host's machines asked for.
void World::pump(HostId id) {
  Host& host = *hosts_[id];
  if (host.node) {
    for (auto& out : host.node->take_replies())
      reply(id, out.link, out.number, std::move(out.message));
    for (auto& out : host.node->take_requests())
      request(id, out.address.empty() ? host_of(out.to) : by_address_.at(out.address), out.to,
              out.number, std::move(out.message), out.asking);
  } else if (host.client) {
    for (auto& out : host.client->take_outgoing()) {
      request(id, by_address_.at(out.address), out.to, out.number, std::move(out.message),
              out.asking);
    }
  }
  Instant next = host.node     ? host.node->next_wake()
                 : host.client ? host.client->next_wake()
                               : Instant::never();
  if (next == Instant::never() || (host.wake <= next && host.wake > now_)) return;
  next = std::max(next, now_ + Duration::micros(1));
  host.wake = next;
  std::uint64_t generation = host.generation;
  at(next, [this, id, generation, next] {
    Host& same = *hosts_[id];
    if (same.generation != generation || same.wake != next) return;
    same.wake = Instant::never();
    whenever_awake(id, generation, [this, id] {
      Host& awake = *hosts_[id];
      if (awake.node) {
        awake.node->on_wake(clock(awake));
      } else {
        awake.client->on_wake(clock(awake));
      }
    });
  });
}

}  // namespace ringlet::sim
