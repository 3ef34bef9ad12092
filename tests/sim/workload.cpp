#include "workload.hpp"

#include "law.hpp"

namespace ringlet::sim {

void Workload::start() {
  for (std::size_t client = 0; client < scene_.clients.size(); ++client) again(client);
}

void Workload::again(std::size_t client) {
  if (scene_.over()) return;
  scene_.world.after(Duration::micros(random_.between(1'000, 2 * pause_.us)), [this, client] {
    if (!scene_.over()) turn(client);
  });
}

std::string Workload::next_name(std::size_t client) {
  return std::to_string(client) + "-" + std::to_string(names_++);
}

namespace {

// Shared keys of a workload, "k0", "k1", …
Key shared_key(const char* bucket, Random& random, std::size_t keys) {
  return {bucket, "k" + std::to_string(random.below(keys))};
}

constexpr std::size_t full = 24;  // items; more only cost time

// Read, merge, add an item, write (R1-a, the paper's shopping cart).
class Carts final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    Key cart = shared_key("carts", random_, scene_.plan.keys);
    if (random_.chance(0.1)) return put(client, cart, {}, {}, {});  // blind: it has read nothing
    scene_.get(client, cart, {}, false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status) return again(client);
      std::set<std::string> items;
      for (const Version* version : siblings(outcome.reply.object))
        items.merge(items_of(version->value));
      std::set<WriteId> shown = shown_by(outcome.reply.object);
      // Sometimes a shopper thinks, so that others write meanwhile.
      Duration thinking = Duration::micros(random_.chance(0.3) ? random_.between(0, 400'000) : 0);
      scene_.world.after(thinking, [=, this, context = outcome.context] {
        put(client, cart, items, context, shown);
      });
    });
  }

  void put(std::size_t client, const Key& cart, std::set<std::string> items, const Bytes& context,
           const std::set<WriteId>& shown) {
    Scene::Put put;
    put.key = cart;
    put.context = context;
    put.shown = shown;
    if (items.size() > full) {
      for (const std::string& item : items) scene_.book.removed(cart, item);
      items.clear();  // paid for
    } else if (!items.empty() && random_.chance(0.05)) {
      std::string gone = *std::next(items.begin(), static_cast<long>(random_.below(items.size())));
      items.erase(gone);
      scene_.book.removed(cart, gone);
    } else {
      put.item = cart.key + "/" + next_name(client);
      items.insert(put.item);
    }
    put.value = value_of(items);
    scene_.put(client, std::move(put), random_,
               [=, this](const ClientCore::Outcome&) { again(client); });
  }
};

// Whole values, some written blind; now and then to a key that nobody touches again, so that nothing
// later makes up for what this write left undone.
class Registers final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    if (random_.chance(0.15))
      return write(client, {"registers", "once" + next_name(client)}, {}, {});
    Key key = shared_key("registers", random_, scene_.plan.keys);
    if (random_.chance(0.25)) return write(client, key, {}, {});
    scene_.get(client, key, {}, false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status || random_.chance(0.3)) return again(client);
      write(client, key, outcome.context, shown_by(outcome.reply.object));
    });
  }
  void write(std::size_t client, const Key& key, const Bytes& context,
             const std::set<WriteId>& shown) {
    Scene::Put put;
    put.key = key;
    put.value = "value " + next_name(client);
    put.context = context;
    put.shown = shown;
    scene_.put(client, std::move(put), random_,
               [=, this](const ClientCore::Outcome&) { again(client); });
  }
};

// Update until nobody is beside: the context of a put's answer is written with at once.
class Sets final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    Key key = shared_key("sets", random_, scene_.plan.keys);
    scene_.get(client, key, {}, false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status) return again(client);
      update(client, key, outcome, next_name(client), 3);
    });
  }
  void update(std::size_t client, const Key& key, const ClientCore::Outcome& read,
              const std::string& item, int rounds) {
    std::set<std::string> items;
    for (const Version* version : siblings(read.reply.object))
      items.merge(items_of(version->value));
    if (items.size() > full) {
      for (const std::string& old : items) scene_.book.removed(key, old);
      items.clear();
    }
    items.insert(item);
    Scene::Put put;
    put.key = key;
    put.value = value_of(items);
    put.item = item;
    put.context = read.context;
    put.shown = shown_by(read.reply.object);
    scene_.put(client, std::move(put), random_, [=, this](const ClientCore::Outcome& outcome) {
      bool alone = siblings(outcome.reply.object).size() < 2;
      if (!outcome.reply.status || alone || rounds == 0 || scene_.over()) return again(client);
      update(client, key, outcome, item, rounds - 1);
    });
  }
};

// Deletes and re-creations, on keys of one client and on shared ones, where a put may race.
class Deletes final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    if (scene_.plan.reaping && random_.chance(0.5)) return once(client);
    bool own = random_.chance(0.5);
    Key key = own ? Key{"deletes", "own" + std::to_string(client)}
                  : shared_key("deletes", random_, scene_.plan.keys);
    scene_.get(client, key, {}, false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status) return again(client);
      bool there = !siblings(outcome.reply.object).empty();
      Scene::Put put;
      put.key = key;
      put.tombstone = there && random_.chance(0.5);
      put.context = outcome.context;
      put.shown = shown_by(outcome.reply.object);
      if (!put.tombstone) put.value = "thing " + next_name(client);
      if (!there && !outcome.reply.object.versions.empty())
        scene_.saw(Seen::recreated_after_delete);
      Duration thinking = Duration::micros(random_.chance(0.3) ? random_.between(0, 300'000) : 0);
      scene_.world.after(thinking, [=, this] {
        scene_.put(client, put, random_, [=, this](const ClientCore::Outcome& answer) {
          const auto& versions = answer.reply.object.versions;
          bool dead = false, alive = false;
          for (const auto& version : versions) (version.tombstone ? dead : alive) = true;
          if (dead && alive) scene_.saw(Seen::delete_raced_a_put);
          again(client);
        });
      });
    });
  }
  // Made, deleted and left alone, so that the delete is forgotten.
  void once(std::size_t client) {
    Scene::Put made;
    made.key = {"deletes", "once" + next_name(client)};
    made.value = "short-lived";
    scene_.put(client, made, random_, [=, this](const ClientCore::Outcome& answer) {
      if (!answer.reply.status || scene_.over()) return again(client);
      Scene::Put gone;
      gone.key = made.key;
      gone.tombstone = true;
      gone.context = answer.context;
      gone.shown = shown_by(answer.reply.object);
      scene_.put(client, gone, random_, [=, this](const ClientCore::Outcome&) { again(client); });
    });
  }
};

// One client, one key, quorums that overlap on the owners: what it was told stays told (L7). After a
// write of which it has not heard it takes another key: such a write may come and go.
class Sessions final : public Workload {
 public:
  Sessions(Scene& scene, std::uint64_t seed, Duration pause)
      : Workload(scene, seed, pause), keys_(scene.clients.size()) {}

 private:
  void turn(std::size_t client) override {
    if (keys_[client].key.empty()) keys_[client] = {"sessions", "s" + next_name(client)};
    Key key = keys_[client];
    std::size_t owners = scene_.owners();
    RequestOptions options;
    options.strict = true;
    options.r = static_cast<std::uint8_t>(owners / 2 + 1);
    options.w = static_cast<std::uint8_t>(owners / 2 + 1);
    scene_.get(client, key, options, true, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status || random_.chance(0.4)) return again(client);
      Scene::Put put;
      put.key = key;
      put.value = "note " + next_name(client);
      put.context = outcome.context;
      put.shown = shown_by(outcome.reply.object);
      put.options = options;
      put.session = true;
      scene_.put(client, std::move(put), random_, [=, this](const ClientCore::Outcome& answer) {
        if (!answer.reply.status) keys_[client] = {};
        again(client);
      });
    });
  }
  std::vector<Key> keys_;
};

// Several clients read and write a few keys, each time with quorums that overlap on the owners. Often
// somebody else reads at once what was just acknowledged: a stale answer shows there first (L21).
class Strict final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    Key key = shared_key("strict", random_, scene_.plan.keys);
    scene_.get(client, key, options(), false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status || random_.chance(0.3)) return again(client);
      Scene::Put put;
      put.key = key;
      put.value = "line " + next_name(client);
      put.context = outcome.context;
      put.shown = shown_by(outcome.reply.object);
      put.options = options();
      scene_.put(client, std::move(put), random_, [=, this](const ClientCore::Outcome& answer) {
        again(client);
        if (!answer.reply.status || scene_.over() || !random_.chance(0.6)) return;
        std::size_t other = random_.below(scene_.clients.size());
        scene_.get(other, key, options(), false, [](const ClientCore::Outcome&) {});
      });
    });
  }
  RequestOptions options() const {
    RequestOptions options;
    options.strict = true;
    options.r = options.w = static_cast<std::uint8_t>(scene_.plan.n / 2 + 1);
    return options;
  }
};

// Everybody writes one key without reading it (F-51); now and then somebody tidies up.
class HotKey final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    Key key{"hot", "key0"};
    if (random_.chance(0.9)) return write(client, key, {}, {});
    scene_.get(client, key, {}, false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status) return again(client);
      write(client, key, outcome.context, shown_by(outcome.reply.object));
    });
  }
  void write(std::size_t client, const Key& key, const Bytes& context,
             const std::set<WriteId>& shown) {
    Scene::Put put;
    put.key = key;
    put.value = "hot " + next_name(client);
    put.context = context;
    put.shown = shown;
    scene_.put(client, std::move(put), random_,
               [=, this](const ClientCore::Outcome&) { again(client); });
  }
};

// Last-write-wins: two clients often write in the same millisecond.
class Stamps final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    Key key = shared_key("stamps", random_, scene_.plan.keys);
    if (random_.chance(0.4)) {
      return scene_.get(client, key, {}, false,
                        [=, this](const ClientCore::Outcome&) { again(client); });
    }
    Scene::Put put;
    put.key = key;
    put.tombstone = random_.chance(0.1);
    if (!put.tombstone) put.value = "stamped " + next_name(client);
    // On the beat, so that clocks agree.
    Instant beat{(scene_.world.now().us / 20'000 + 1) * 20'000};
    scene_.world.at(beat, [=, this] {
      scene_.put(client, put, random_, [=, this](const ClientCore::Outcome&) { again(client); });
    });
  }
};

}  // namespace

std::unique_ptr<Workload> make_workload(WorkloadKind kind, Scene& scene, std::uint64_t seed) {
  Duration usual = Duration::millis(30), rare = Duration::millis(60);
  switch (kind) {
    case WorkloadKind::carts:
      return std::make_unique<Carts>(scene, seed, usual);
    case WorkloadKind::registers:
      return std::make_unique<Registers>(scene, seed, rare);
    case WorkloadKind::sets:
      return std::make_unique<Sets>(scene, seed, usual);
    case WorkloadKind::deletes:
      return std::make_unique<Deletes>(scene, seed,
                                       scene.plan.reaping ? Duration::millis(200) : usual);
    case WorkloadKind::sessions:
      return std::make_unique<Sessions>(scene, seed, usual);
    case WorkloadKind::hot_key:
      return std::make_unique<HotKey>(scene, seed, rare);
    case WorkloadKind::stamps:
      return std::make_unique<Stamps>(scene, seed, usual);
    case WorkloadKind::strict:
      return std::make_unique<Strict>(scene, seed, usual);
    case WorkloadKind::count:
      break;
  }
  RINGLET_ASSERT(false && "no such workload");
  return nullptr;
}

}  // namespace ringlet::sim
