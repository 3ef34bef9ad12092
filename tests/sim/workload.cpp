#include "workload.hpp"

#include "client/document_edit.hpp"
#include "law.hpp"

namespace ringlet::sim {

void Workload::start() {
  for (std::size_t client = 0; client < scene_.clients.size(); ++client) again(client);
}

void Workload::again(std::size_t client) {
  if (scene_.over()) return;
  scene_.world.after(Duration::micros(random_.between(1'000, 2 * pause_.us)), [this, client] {
    if (scene_.world.paused(scene_.clients[client])) return again(client);
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

// What every shopper's merge does: the items of all that is shown.
std::set<std::string> union_of(const Shown& shown) {
  std::set<std::string> items;
  for (const Version* version : shown.versions) items.merge(items_of(version->value));
  return items;
}

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
      std::set<std::string> items = union_of(ringlet::shown(outcome.reply.object));
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

UpdateAnswer answer_of(Bytes value) {
  UpdateAnswer answer;
  answer.kind = UpdateAnswer::Kind::value;
  answer.value = std::move(value);
  return answer;
}

// Sets of items, each put there by an update of its own (client/update_operation.hpp).
class Sets final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    Scene::Update update;
    update.key = shared_key("sets", random_, scene_.plan.keys);
    update.item = next_name(client);
    update.thinking = Duration::millis(100);
    update.answer = [this, key = update.key, item = update.item](const UpdateQuestion& question,
                                                                 const Shown& shown) {
      std::set<std::string> items = union_of(shown);
      if (!question.written) {
        if (items.size() > full) {
          for (const std::string& old : items) scene_.book.removed(key, old);
          items.clear();
        }
        items.insert(item);
      }
      return answer_of(value_of(items));
    };
    scene_.update(client, std::move(update), random_,
                  [=, this](const ClientCore::Outcome&) { again(client); });
  }
};

UpdateAnswer failed() {
  UpdateAnswer answer;
  answer.kind = UpdateAnswer::Kind::fail;
  answer.reason = "the application's function threw";
  return answer;
}

// Everybody counts, by an edit that is not idempotent: each call of it adds a token of its own, so that a
// second call of one update's edit shows (L22). A merge keeps every token once.
class Counters final : public Workload {
 public:
  Counters(Scene& scene, std::uint64_t seed, Duration pause)
      : Workload(scene, seed, pause), keys_(scene.plan.keys) {}

 private:
  static constexpr std::size_t longest = 30;  // tokens of a key; then another takes its place
  void turn(std::size_t client) override {
    std::size_t which = random_.below(keys_.size());
    Scene::Update update;
    update.key = {"counters", "k" + std::to_string(which) + "-" + std::to_string(keys_[which])};
    update.thinking =
        Duration::millis(random_.chance(0.2) ? 3000 : 300);  // past the deadline, some
    update.deletes = ringlet::Deletes(random_.below(3));  // nothing is deleted: all mean the same
    std::size_t number = scene_.book.begin_update(update.key, client);
    update.number = number;
    // Applications fail too, and may leave what they find.
    double luck = static_cast<double>(random_.below(100)) / 100;
    update.answer = [=, this, generation = keys_[which]](const UpdateQuestion& question,
                                                         const Shown& shown) {
      if (question.attempt > 1 && luck < 0.04) return failed();
      if (question.attempt > 1 && luck < 0.08) {
        UpdateAnswer keep;
        keep.kind = UpdateAnswer::Kind::keep;
        return keep;
      }
      std::set<std::string> tokens = union_of(shown);
      if (tokens.size() >= longest && keys_[which] == generation) ++keys_[which];
      if (!question.written) {
        if (luck > 0.98) return failed();
        tokens.insert(token_of_update(number, ++scene_.book.update(number).edits));
      }
      return answer_of(value_of(tokens));
    };
    scene_.update(client, std::move(update), random_,
                  [=, this](const ClientCore::Outcome&) { again(client); });
  }
  std::vector<std::size_t> keys_;  // how many were there before in its place
};

// Documents of sets, counters, a flag and a register, in maps: edits, deletes, and blind writes. Of the keys
// that end with "-cut" some writers have forgotten what they saw, as a truncated context makes them;
// nothing is deleted there, and no counter removed, so that all else is exact. In every fourth plan a delete
// wins over what was written beside it, on the keys that end with "-win".
class Documents final : public Workload {
 public:
  using Workload::Workload;

 private:
  using Edit = document::Edit;
  using EditKind = document::EditKind;
  using Scalar = document::Scalar;

  void turn(std::size_t client) override {
    bool cut = random_.chance(0.2);
    Key key = shared_key("documents", random_, scene_.plan.keys);
    const bool win = !cut && scene_.plan.seed % 4 == 2;
    const ringlet::Deletes deletes = win ? ringlet::Deletes::win : ringlet::Deletes::lose;
    if (cut) key.key += "-cut";
    if (win) key.key += "-win";
    document::Edits edits = some_edits(cut);
    double luck = random_.uniform();
    if (luck < 0.08) return blind(client, key, std::move(edits));
    if (luck < 0.13 && !cut) return erase(client, key);
    if (luck < 0.25) {
      return scene_.get(client, key, {}, false,
                        [=, this](const ClientCore::Outcome&) { again(client); });
    }
    Scene::Update update;
    update.key = key;
    update.thinking = Duration::millis(300);
    update.content_type = Bytes(document_content_type);
    update.edits = edits;
    update.deletes = deletes;
    bool forgets = cut && random_.chance(0.5);
    update.answer = [=, this](const UpdateQuestion& question, const Shown&) {
      std::int64_t wall_us = scene_.world.clock_of(scene_.clients[client]).wall_us();
      auto settled = [&](std::uint64_t print) {
        return scene_.world.client(scene_.clients[client]).is_settled(print);
      };
      if (!forgets) return answer_edit(question, edits, deletes, wall_us, {}, settled);
      const Object& object = question.read.reply.object;
      auto state = document::read(object);
      RINGLET_ASSERT(state.is_ok());
      CausalContext seen = object.context;
      for (const auto& entry : object.context.entries()) {
        if ((entry.counter + client) % 2 == 0) seen.erase(entry.actor);
      }
      document::Limits limits;
      limits.actors = 0;
      auto written =
          document::apply(std::move(*state), seen, question.written ? document::Edits() : edits,
                          wall_us, limits, settled);
      RINGLET_ASSERT(written.is_ok());
      return answer_of(document::encode(*written));
    };
    scene_.update(client, std::move(update), random_,
                  [=, this](const ClientCore::Outcome&) { again(client); });
  }

  void blind(std::size_t client, const Key& key, document::Edits edits) {
    Scene::Put put;
    put.key = key;
    put.content_type = Bytes(document_content_type);
    put.value = document::encode(
        *document::apply({}, {}, edits, scene_.world.clock_of(scene_.clients[client]).wall_us()));
    WriteId id = scene_.put(client, std::move(put), random_,
                            [=, this](const ClientCore::Outcome&) { again(client); });
    scene_.book.edited(id, std::move(edits));
  }
  void erase(std::size_t client, const Key& key) {
    scene_.get(client, key, {}, false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status) return again(client);
      Scene::Put put;
      put.key = key;
      put.tombstone = true;
      put.context = outcome.context;
      put.shown = shown_by(outcome.reply.object);
      scene_.put(client, std::move(put), random_,
                 [=, this](const ClientCore::Outcome&) { again(client); });
    });
  }

  document::Edits some_edits(bool cut) {
    document::Edits edits;
    for (std::uint64_t n = random_.below(3); n < 3; ++n) {
      auto name = [](const char* text) { return Scalar::of_text(text); };
      Scalar element = Scalar::of_integer(static_cast<std::int64_t>(random_.below(4)));
      const char* item = random_.chance(0.5) ? "tea" : "milk";
      switch (random_.below(cut ? 8 : 12)) {
        case 0:
        case 1:
          edits.push_back({EditKind::add, {name("coupons")}, element});
          break;
        case 2:
          edits.push_back({EditKind::remove, {name("coupons")}, element});
          break;
        case 3:
        case 4:
          edits.push_back(
              {EditKind::increment, {name("items"), name(item)}, {}, random_.between(-2, 9)});
          break;
        case 5:
          edits.push_back(
              {random_.chance(0.5) ? EditKind::enable : EditKind::disable, {name("gift")}});
          break;
        case 6:
          edits.push_back({EditKind::add, {name("deep"), name(item), name("set")}, element});
          break;
        case 7:
          edits.push_back({EditKind::discard, {name("deep"), name(item)}});
          break;
        case 8:
        case 9:
          edits.push_back({EditKind::discard, {name("items"), name(item)}});
          break;
        case 10:
          edits.push_back({EditKind::set,
                           {name("note")},
                           Scalar::of_integer(static_cast<std::int64_t>(random_.below(1000)))});
          break;
        default:
          edits.push_back({EditKind::clear, {}});
      }
    }
    return edits;
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
    if (random_.chance(0.2)) return update(client, key);
    scene_.get(client, key, {}, false, [=, this](const ClientCore::Outcome& outcome) {
      if (!outcome.reply.status) return again(client);
      bool there = !shown(outcome.reply.object).versions.empty();
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
  // An update that deletes or creates, whatever a delete beside a write means to its reader.
  void update(std::size_t client, const Key& key) {
    Scene::Update update;
    update.key = key;
    update.deletes = ringlet::Deletes(random_.below(3));
    update.thinking = Duration::millis(300);
    std::string name = next_name(client);
    bool erase = random_.chance(0.4);
    update.answer = [=](const UpdateQuestion& question, const Shown& shown) {
      if (!question.written && !erase) return answer_of("thing " + name);
      const Version* last = shown.versions.empty() ? nullptr : shown.versions.back();
      if (question.written && last != nullptr && !last->tombstone)
        return answer_of(last->value + " merged");
      UpdateAnswer answer;
      answer.kind = UpdateAnswer::Kind::erase;
      return answer;
    };
    scene_.update(client, std::move(update), random_,
                  [=, this](const ClientCore::Outcome&) { again(client); });
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

// One client to a key, each step after the one before was acknowledged: put, read, put over it, read,
// delete, and some create it again and delete that. Nothing happens beside it, so nothing but the last
// step may ever be seen (L18). A key whose step failed, or whose read was stale, is left alone.
class Careful final : public Workload {
 public:
  using Workload::Workload;

 private:
  struct Journey {
    std::size_t client;
    Key key;
    RequestOptions options;
    std::vector<bool> deletes;  // the steps: is it one?
    std::size_t step = 0;
    bool once = true;
    Bytes context;
    std::set<WriteId> shown;
  };
  void turn(std::size_t client) override {
    auto journey = std::make_shared<Journey>();
    journey->client = client;
    journey->key = {"careful", "order" + next_name(client)};
    journey->deletes = {false, false, true};
    if (random_.chance(0.3)) journey->deletes = {false, false, true, false, true};
    if (random_.chance(0.2)) journey->deletes = {false, false, false};
    journey->once = random_.chance(0.7);
    if (random_.chance(0.5)) {
      journey->options.strict = true;
      journey->options.r = journey->options.w = static_cast<std::uint8_t>(scene_.owners() / 2 + 1);
    }
    write(journey);
  }
  void write(const std::shared_ptr<Journey>& journey) {
    Scene::Put put;
    put.key = journey->key;
    put.tombstone = journey->deletes[journey->step];
    if (!put.tombstone) put.value = "step " + next_name(journey->client);
    put.context = journey->context;
    put.shown = journey->shown;
    put.options = journey->options;
    put.once = journey->once;
    auto id = std::make_shared<WriteId>();
    *id = scene_.put(journey->client, std::move(put), random_,
                     [=, this](const ClientCore::Outcome& outcome) {
                       bool last = ++journey->step == journey->deletes.size();
                       if (!outcome.reply.status || last || scene_.over())
                         return again(journey->client);
                       read(journey, *id);
                     });
  }
  void read(const std::shared_ptr<Journey>& journey, WriteId written) {
    scene_.get(journey->client, journey->key, journey->options, false,
               [=, this](const ClientCore::Outcome& outcome) {
                 if (!outcome.reply.status || scene_.over()) return again(journey->client);
                 journey->shown = shown_by(outcome.reply.object);
                 journey->context = outcome.context;
                 if (journey->shown != std::set<WriteId>{written}) return again(journey->client);
                 write(journey);
               });
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

// Last-write-wins: two clients often write at the same time, and now and then one writes with the
// context of what it has read.
class Stamps final : public Workload {
 public:
  using Workload::Workload;

 private:
  void turn(std::size_t client) override {
    Key key = shared_key("stamps", random_, scene_.plan.keys);
    if (random_.chance(0.4)) {
      return scene_.get(client, key, {}, false, [=, this](const ClientCore::Outcome& outcome) {
        if (!outcome.reply.status || !random_.chance(0.4)) return again(client);
        write(client, key, outcome.context, shown_by(outcome.reply.object));
      });
    }
    write(client, key, {}, {});
  }
  void write(std::size_t client, const Key& key, const Bytes& context,
             const std::set<WriteId>& shown) {
    Scene::Put put;
    put.key = key;
    put.context = context;
    put.shown = shown;
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
    case WorkloadKind::careful:
      return std::make_unique<Careful>(scene, seed, Duration::millis(5));
    case WorkloadKind::counters:
      return std::make_unique<Counters>(scene, seed, usual);
    case WorkloadKind::documents:
      return std::make_unique<Documents>(scene, seed, usual);
    case WorkloadKind::count:
      break;
  }
  RINGLET_ASSERT(false && "no such workload");
  return nullptr;
}

}  // namespace ringlet::sim
