#include "fault.hpp"

#include <algorithm>
#include <optional>

#include "law.hpp"

namespace ringlet::sim {

void Faults::schedule() {
  network_.between_zones = Duration::millis(scene_.plan.zones > 1 ? 2 : 0);
  scene_.world.set_network(network_);
  Instant start = scene_.world.now();
  for (const FaultSpec& fault : scene_.plan.faults) {
    scene_.world.at(start + fault.at, [this, &fault] {
      if (!healed_) begin(fault);
    });
  }
}

void Faults::begin(const FaultSpec& fault) {
  Random random(fault.seed);
  HostId node = random.below(scene_.world.nodes());
  Duration time = fault.length;
  switch (fault.kind) {
    case FaultKind::process_crash:
      return crash(node, false, time);
    case FaultKind::machine_crash:
      return cut_power(node, time);
    case FaultKind::dead_owners:
      return kill_owners(time);
    case FaultKind::lost_disk:
      return lose_disk(node, time);
    case FaultKind::old_disk:
      return go_back(node, time);
    case FaultKind::pause:
      return pause(node, time);
    case FaultKind::split:
      return split(random, time, false);
    case FaultKind::zone_split:
      return split(random, time, true);
    case FaultKind::one_way:
      return one_way(node, random, time);
    case FaultKind::loss:
    case FaultKind::delay:
    case FaultKind::duplicates:
      return weather(fault.kind, random, time);
    case FaultKind::slow_node:
      return slow_node(node, random, time);
    case FaultKind::slow_disk:
      return slow_disk(node, random, time);
    case FaultKind::full_disk:
      return at_one_or_all(node, random, [=, this](HostId each) { full_disk(each, time); });
    case FaultKind::io_errors:
      return at_one_or_all(node, random, [=, this](HostId each) { io_errors(each, time); });
    case FaultKind::skew:
      for (HostId each = 0; each < scene_.world.nodes(); ++each)
        scene_.world.skew(each, random.between(-120'000, 120'000));
      return;
    case FaultKind::clock_jump:
      return jump(node, random, time);
    case FaultKind::part_split:
      return split_in_part(random, time);
    case FaultKind::hint_holder:
      return kill_hint_holder(time);
    case FaultKind::far_clock:
      scene_.saw(Seen::clock_far_off);
      // Days; back only half as often as ahead.
      return scene_.world.skew(node, random.between(-10, 20) * 86'400'000);
    case FaultKind::client_pause:
      return pause_client(random, time);
    case FaultKind::ring_join:
      if (auto via = member(random)) join(*via);
      return;
    case FaultKind::ring_leave:
      if (auto via = member(random)) leave(*via, node);
      return;
    case FaultKind::ring_replace:
      return replace(node, random, time);
    case FaultKind::split_changes:
      return change_on_two_sides(random, time);
    case FaultKind::transfer_crash:
      join_or_leave(random, member(random));
      return crash_in_transfer(random.next(), time);
    case FaultKind::join_lost_disk:
      join_or_leave(random, member(random));
      return once_moving([=, this] {
        std::size_t before = scene_.lost_disks.size();
        lose_disk(node, time);
        if (scene_.lost_disks.size() > before) scene_.saw(Seen::disk_lost_in_transfer);
      });
    case FaultKind::leave_with_hints:
      return leave_with_hints(node, random, time);
    case FaultKind::count:
      break;
  }
  RINGLET_ASSERT(false && "no such fault");
}

// A host in trouble from now until `end`, which is called even when healing comes first.
void Faults::trouble(HostId host, bool speaks, Duration time, std::function<void()> end) {
  scene_.troubles.begin(host, speaks);
  scene_.world.after(time, [=, this] {
    if (healed_) return;
    end();
    scene_.troubles.end(host, speaks);
  });
}

// ---- processes and disks ----

void Faults::crash(HostId node, bool machine, Duration time) {
  World& world = scene_.world;
  if (!world.up(node)) return;
  scene_.saw(machine ? Seen::machine_crashed : Seen::process_crashed);
  if (world.node(node)->in_flight() > 0) scene_.saw(Seen::crash_with_requests);
  world.crash(node, machine);
  trouble(node, false, time, [this, node] { bring_back(node); });
}

// A node whose disk is full or broken does not start: whoever watches over it tries again.
void Faults::bring_back(HostId node) {
  if (healed_) return;
  scene_.world.restart(node);
  if (!scene_.world.up(node))
    trouble(node, false, Duration::millis(200), [this, node] { bring_back(node); });
}

// Would nothing that was acknowledged be lost with what the node alone has?
bool Faults::can_lose(HostId node) {
  if (!scene_.lost_disks.empty() || !scene_.world.up(node)) return false;
  for (const auto& [key, ids] : scene_.book.by_key()) {
    std::vector<Object> copies = copies_of(scene_, key, node);
    std::vector<const Object*> present;
    for (const Object& copy : copies) present.push_back(&copy);
    std::set<WriteId> explained = scene_.book.explained_by(key, present);
    for (WriteId id : ids) {
      const WriteRecord& write = scene_.book.writes().at(id);
      if (!write.dots.empty() && !explained.contains(id)) return false;
    }
  }
  return scene_.plan.reconcile != Reconcile::lww;  // there a copy does not say what it has seen
}

void Faults::cut_power(HostId node, Duration time) {
  if (scene_.plan.durability == WriteDurability::disk) {
    for (HostId each = 0; each < scene_.world.nodes(); ++each) crash(each, true, time);
    return;
  }
  if (!can_lose(node)) return;
  scene_.lost_disks.insert(node);
  crash(node, true, time);
}

void Faults::kill_owners(Duration time) {
  if (scene_.book.by_key().empty()) return;
  const Key key = scene_.book.by_key().begin()->first;
  for (std::size_t i = 0; i < scene_.owners(); ++i) crash(scene_.owner(key, i), false, time);
}

void Faults::kill_hint_holder(Duration time) {
  World& world = scene_.world;
  HostId holder = 0;
  for (HostId node = 1; node < world.nodes(); ++node) {
    if (world.hints_at(node) > world.hints_at(holder)) holder = node;
  }
  if (world.hints_at(holder) > 0) crash(holder, false, time);
}

void Faults::lose_disk(HostId node, Duration time) {
  if (!can_lose(node)) return;
  scene_.lost_disks.insert(node);
  scene_.saw(Seen::disk_lost);
  crash(node, true, time);
  scene_.world.wipe(node);
  // Half of the machines have no clock of their own: the new store begins when the lost one did.
  if (time.us % 2 == 0) return;
  scene_.world.forget_time(node);
  scene_.saw(Seen::clock_stood_still);
}

// The backup of now returns after `time`, and the node with it a little later.
void Faults::go_back(HostId node, Duration time) {
  auto backup = std::make_shared<Rooms>(scene_.world.disk(node).backup());
  scene_.world.after(time, [=, this] {
    if (healed_ || !can_lose(node)) return;
    scene_.lost_disks.insert(node);
    scene_.saw(Seen::disk_restored);
    crash(node, true, Duration::millis(200));
    scene_.world.restore(node, *backup);
  });
}

void Faults::at_one_or_all(HostId node, Random& random, const std::function<void(HostId)>& what) {
  if (random.chance(0.7)) return what(node);
  for (HostId each = 0; each < scene_.world.nodes(); ++each) what(each);
}

void Faults::pause(HostId node, Duration time) {
  World& world = scene_.world;
  if (!world.up(node) || world.paused(node)) return;
  scene_.saw(Seen::paused);
  if (world.node(node)->in_flight() > 0) scene_.saw(Seen::zombie_reply);
  world.pause(node);
  trouble(node, false, time, [&world, node] { world.resume(node); });
}

// Its application sleeps with it: workloads wait.
void Faults::pause_client(Random& random, Duration time) {
  World& world = scene_.world;
  HostId client = scene_.clients[random.below(scene_.clients.size())];
  if (world.paused(client)) return;
  scene_.saw(Seen::client_paused);
  world.pause(client);
  trouble(client, false, time, [&world, client] { world.resume(client); });
}

void Faults::full_disk(HostId node, Duration time) {
  SimDisk& disk = scene_.world.disk(node);
  if (disk.full()) return;
  scene_.saw(Seen::disk_full_refusal);
  disk.set_full(true);
  trouble(node, true, time, [&disk] { disk.set_full(false); });
}

void Faults::io_errors(HostId node, Duration time) {
  SimDisk& disk = scene_.world.disk(node);
  // A node that cannot read its disk does not start; that is a test of its own.
  if (disk.broken() || !scene_.world.up(node)) return;
  scene_.saw(Seen::io_refusal);
  disk.set_broken(true);
  trouble(node, scene_.plan.durability != WriteDurability::disk, time,
          [&disk] { disk.set_broken(false); });
}

void Faults::slow_node(HostId node, Random& random, Duration time) {
  scene_.saw(Seen::slow_host);
  scene_.world.slow(node, Duration::millis(random.between(20, 400)));
  trouble(node, false, time, [this, node] { scene_.world.slow(node, Duration{}); });
}

void Faults::slow_disk(HostId node, Random& random, Duration time) {
  scene_.saw(Seen::slow_host);
  scene_.world.set_fsync(node, Duration::millis(random.between(50, 600)));
  trouble(node, false, time, [this, node] { scene_.world.set_fsync(node, Duration::millis(2)); });
}

void Faults::jump(HostId node, Random& random, Duration time) {
  scene_.saw(Seen::clock_jumped);
  scene_.world.skew(node, random.between(-600'000, 600'000));
  scene_.world.after(time, [this, node] { scene_.world.skew(node, 0); });
}

// ---- the network ----

void Faults::weather(FaultKind kind, Random& random, Duration time) {
  scene_.saw(Seen::weather);
  if (kind == FaultKind::loss) network_.loss = 0.02 + random.uniform() * 0.28;
  if (kind == FaultKind::delay) network_.slow = 0.02 + random.uniform() * 0.28;
  if (kind == FaultKind::duplicates) network_.duplicate = 0.02 + random.uniform() * 0.28;
  scene_.world.set_network(network_);
  scene_.troubles.begin_weather();
  scene_.world.after(time * 2, [this, kind] {
    if (kind == FaultKind::loss) network_.loss = 0;
    if (kind == FaultKind::delay) network_.slow = 0;
    if (kind == FaultKind::duplicates) network_.duplicate = 0;
    scene_.world.set_network(network_);
    scene_.troubles.end_weather();
  });
}

// Two sides, each with some nodes and perhaps some clients, that do not hear each other.
void Faults::split(Random& random, Duration time, bool by_zone) {
  World& world = scene_.world;
  if (cut_ || world.nodes() < 2) return;
  cut_ = true;
  scene_.saw(Seen::split);
  std::vector<HostId> apart, others;
  std::size_t zone = random.below(scene_.plan.zones);
  std::size_t small = static_cast<std::size_t>(
      random.between(1, static_cast<std::int64_t>(std::max<std::size_t>(1, world.nodes() / 2))));
  std::vector<HostId> order;
  for (HostId node = 0; node < world.nodes(); ++node) order.push_back(node);
  random.shuffle(order);
  for (HostId node : order) {
    bool away = by_zone ? node % scene_.plan.zones == zone : apart.size() < small;
    (away ? apart : others).push_back(node);
  }
  for (HostId client : scene_.clients) (random.chance(0.3) ? apart : others).push_back(client);
  for (HostId host : apart) {
    scene_.troubles.begin(host, false);
    cut_off_.push_back({host, false});
    scene_.troubles.set_side(host, 1);
    for (HostId other : others) {
      world.cut(host, other);
      world.cut(other, host);
    }
  }
  world.after(time, [this] { mend(); });
}

// Somebody still hears both groups, and so do all clients.
void Faults::split_in_part(Random& random, Duration time) {
  World& world = scene_.world;
  std::vector<HostId> members;
  for (HostId node = 0; node < world.nodes(); ++node) {
    if (scene_.is_member(node)) members.push_back(node);
  }
  if (cut_ || members.size() < 3) return;
  cut_ = true;
  scene_.saw(Seen::split_in_part);
  random.shuffle(members);
  HostId apart = members[0];
  auto others =
      static_cast<std::size_t>(random.between(1, static_cast<std::int64_t>(members.size()) - 2));
  for (std::size_t i = 0; i <= others; ++i) {
    scene_.troubles.begin(members[i], false);
    cut_off_.push_back({members[i], false});
    if (i == 0) continue;
    world.cut(apart, members[i]);
    world.cut(members[i], apart);
  }
  world.after(time, [this] { mend(); });
}

// A node whose messages do not arrive anywhere, or that hears nobody.
void Faults::one_way(HostId node, Random& random, Duration time) {
  World& world = scene_.world;
  if (cut_) return;
  cut_ = true;
  scene_.saw(Seen::one_way_cut);
  bool mute = random.chance(0.5);
  scene_.troubles.begin(node, false);
  cut_off_.push_back({node, false});
  auto cut = [&](HostId other) {
    if (other == node) return;
    if (mute) {
      world.cut(node, other);
    } else {
      world.cut(other, node);
    }
  };
  for (HostId other = 0; other < world.nodes(); ++other) cut(other);
  for (HostId client : scene_.clients) cut(client);
  world.after(time, [this] { mend(); });
}

// ---- the ring ----

std::optional<HostId> Faults::member(Random& random, int side) const {
  std::vector<HostId> some;
  for (HostId node = 0; node < scene_.world.nodes(); ++node) {
    if (scene_.world.up(node) && !scene_.world.paused(node) && scene_.is_member(node) &&
        (side == 0 || scene_.troubles.side(node) == side - 1))
      some.push_back(node);
  }
  if (some.empty()) return std::nullopt;
  return some[random.below(some.size())];
}

bool Faults::tell(HostId via, const std::string& verb, std::vector<std::string> arguments) {
  if (scene_.world.command(via, {verb, std::move(arguments)}).status &&
      scene_.world.command(via, {"commit", {}}).status)
    return true;
  (void)scene_.world.command(via, {"clear", {}});
  return false;
}

bool Faults::join(HostId via) {
  if (joined_ == scene_.plan.strangers) return false;
  HostId stranger = scene_.plan.nodes + joined_++;
  const std::string& name = scene_.world.name_of_host(stranger);
  std::string zone =
      scene_.plan.zones > 1 ? "z" + std::to_string(stranger % scene_.plan.zones + 1) : "";
  bool done = tell(via, "join", {name, name + ":1", zone, "1"});
  if (done) scene_.saw(Seen::ring_joined);
  return done;
}

bool Faults::leave(HostId via, HostId who) {
  if (!scene_.is_member(who) || scene_.ring()->members().size() < 3) return false;
  bool done = tell(via, "leave", {scene_.world.name_of_host(who)});
  if (done) scene_.saw(Seen::ring_left);
  return done;
}

void Faults::join_or_leave(Random& random, std::optional<HostId> via) {
  if (!via) return;
  HostId who = random.below(scene_.world.nodes());
  if (random.chance(0.3) || !join(*via)) leave(*via, who);
}

void Faults::replace(HostId node, Random& random, Duration time) {
  World& world = scene_.world;
  if (joined_ == scene_.plan.strangers || !scene_.is_member(node) || !can_lose(node) ||
      scene_.ring()->members().size() < 3)
    return;
  scene_.lost_disks.insert(node);
  world.crash(node, true);
  scene_.troubles.begin(node, false);
  const std::string name = world.name_of_host(node);
  HostId stranger = scene_.plan.nodes + joined_++;
  const std::string& fresh = world.name_of_host(stranger);
  auto via = member(random);
  if (via && tell(*via, "replace", {name, fresh, fresh + ":1"})) {
    scene_.gone.insert(node);
    scene_.saw(Seen::ring_replaced);
  }
  world.after(time, [this, node, &world] {
    if (scene_.gone.contains(node)) scene_.saw(Seen::replaced_returned);
    bring_back(node);
    if (!healed_ && world.up(node)) scene_.troubles.end(node, false);
  });
}

void Faults::change_on_two_sides(Random& random, Duration time) {
  if (cut_) return;
  split(random, time, false);
  if (!cut_) return;
  auto here = member(random, 1), there = member(random, 2);
  join_or_leave(random, here);
  join_or_leave(random, there);
  if (here && there) scene_.saw(Seen::changed_on_two_sides);
}

void Faults::leave_with_hints(HostId node, Random& random, Duration time) {
  if (!scene_.is_member(node)) return;
  crash(node, false, time);
  std::uint64_t seed = random.next();
  scene_.world.after(Duration::micros(time.us / 2), [=, this] {
    if (healed_) return;
    Random luck(seed);
    HostId who = node;
    bool hints = false;
    for (HostId each = 0; each < scene_.world.nodes(); ++each) {
      if (scene_.world.hints_at(each) == 0 || !scene_.is_member(each)) continue;
      hints = true;
      if (luck.chance(0.4)) who = each;
    }
    auto via = member(luck);
    if (via && leave(*via, who) && hints) scene_.saw(Seen::left_with_hints);
  });
}

void Faults::once_moving(std::function<void()> what, int tries) {
  if (healed_ || tries == 0) return;
  if (scene_.ring()->moving()) return what();
  scene_.world.after(Duration::millis(20), [=, this] { once_moving(what, tries - 1); });
}

void Faults::crash_in_transfer(std::uint64_t seed, Duration time) {
  once_moving([=, this] {
    Random random(seed);
    Duration wait = Duration::millis(random.between(0, 1500));
    scene_.world.after(wait, [=, this] {
      auto ring = scene_.ring();
      if (healed_ || !ring->moving()) return;
      Random luck(seed + 1);
      std::vector<std::uint32_t> moving;
      for (std::uint32_t p = 0; p < ring->partitions(); ++p) {
        if (!ring->incoming(p).empty()) moving.push_back(p);
      }
      if (moving.empty()) return;
      std::uint32_t partition = moving[luck.below(moving.size())];
      const auto& in = ring->incoming(partition);
      const auto& out = ring->outgoing(partition);
      const auto& list = ring->preference_list(partition);
      std::size_t part = luck.below(3);
      NodeId whom = part == 0                   ? in[0]
                    : part == 1 && !out.empty() ? out[0]
                                                : list[luck.below(ring->effective_replicas())];
      HostId victim = scene_.world.host_of(whom);
      if (scene_.world.up(victim)) scene_.saw(Seen::crash_in_transfer);
      crash(victim, false, time);
    });
  });
}

void Faults::mend() {
  if (!cut_) return;
  cut_ = false;
  scene_.world.mend_all();
  for (auto [host, speaks] : cut_off_) {
    scene_.troubles.end(host, speaks);
    scene_.troubles.set_side(host, 0);
  }
  cut_off_.clear();
}

void Faults::heal() {
  mend();
  healed_ = true;
  World& world = scene_.world;
  network_ = {};
  world.set_network(network_);
  for (HostId node = 0; node < world.nodes(); ++node) {
    world.disk(node).set_full(false);
    world.disk(node).set_broken(false);
    world.skew(node, 0);
    world.slow(node, Duration{});
    world.set_fsync(node, Duration::millis(2));
    world.resume(node);
    world.restart(node);
  }
}

}  // namespace ringlet::sim
