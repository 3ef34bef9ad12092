// Replicas without a network, clients that edit documents on them, writes that are executed twice, and
// the oracle beside them.
#pragma once

#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "base/planted.hpp"
#include "base/random.hpp"
#include "document/deletes.hpp"
#include "unit/document/oracle.hpp"
#include "versioning/shown.hpp"

namespace ringlet::document::test {

struct Step {
  int kind = 0, replica = 0, other = 0, what = 0;
  enum Kind { edit, edit2, edit3, twice, late, blind, sync1, sync2, gone, restart, kinds };
};
inline void showValue(const Step& step, std::ostream& out) {
  out << "{" << step.kind << "," << step.replica << "," << step.other << "," << step.what << "}";
}

inline constexpr int replica_count = 3;

class Model {
 public:
  struct Settings {
    Limits limits;
    bool removes = true;           // else only adds and increments
    bool removes_counters = true;  // else counters only grow
    bool forgets = false;          // the notes of replaced writes are few
    Deletes deletes = Deletes::lose;
  };
  Model() = default;
  explicit Model(Settings settings) : settings_(settings) {
    for (int i = 0; i < replica_count; ++i)
      replicas_.push_back({{}, Actor{NodeId{10u + static_cast<unsigned>(i)}, 1}});
  }

  void run(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      if (broken_) return;
      take(step);
    }
    // In the end all meet.
    for (int round = 0; round < 2; ++round) {
      for (Replica& a : replicas_) {
        for (Replica& b : replicas_) join(a, b.object);
      }
    }
    for (Replica& replica : replicas_) read(replica.object);
  }
  const std::optional<std::string>& broken() const { return broken_; }
  const std::vector<State>& states() const { return states_; }
  std::size_t writes() const { return static_cast<std::size_t>(next_id_); }
  std::size_t twice() const { return twice_; }
  std::size_t deleted() const { return deleted_; }

 private:
  struct Replica {
    Object object;
    Actor actor;
  };
  struct Letter {
    ringlet::Write write;
    CausalContext seen;
  };

  static Edits edits_of(int what, int id, bool removes) {
    auto element = Scalar::of_integer(what / 16 % 3);
    const char* item = what / 48 % 2 == 0 ? "a" : "b";
    Edit counter{EditKind::increment, {name("items"), name(item)}, {}, what / 96 % 5 + 1};
    switch (removes ? what % 16 : what % 4) {
      case 0:
        return {{EditKind::add, {name("set")}, element}};
      case 1:
      case 2:
        return {counter};
      case 3:
        return {{EditKind::add, {name("deep"), name("set")}, element}, counter};
      case 4:
      case 5:
        return {{EditKind::remove, {name("set")}, element}};
      case 6:
        return {{EditKind::discard, {name("items"), name(item)}}};
      case 7:
        return {{EditKind::discard, {name("items"), name(item)}}, counter};
      case 8:
        return {{EditKind::clear, {name("deep")}}};
      case 9:
        return {{EditKind::enable, {name("gift")}}};
      case 10:
        return {{EditKind::disable, {name("gift")}}};
      case 11:
      case 12:
        return {{EditKind::set, {name("note")}, Scalar::of_integer(id)}};
      case 13:
        if (what % 32 == 13) return {{EditKind::set_all, {name("size")}, Scalar::of_integer(id)}};
        return {{EditKind::discard, {name("note")}}};
      case 14:
        return {{EditKind::clear, {}}, {EditKind::add, {name("set")}, element}};
      default:
        return {};
    }
  }

  static int id_of(WriteId id) { return static_cast<int>(id.low); }

  // Reads `object` as a client does, and compares.
  std::optional<State> read(const Object& object) {
    auto state = document::read(object, settings_.deletes);
    if (!state) {
      broken_ = "a read failed: " + state.status().message();
      return std::nullopt;
    }
    Seen is = look(*state), wanted = oracle_.look(living(object));
    if (is != wanted) broken_ = "wanted " + text(wanted) + " got " + text(is);
    // Beside a tombstone a reader knows of replaced writes by their ids alone, also of those that documents have
    // no event of any more: what comes of merging that in any order is told by the dots only when it is
    // written, with the context of the read. The sums and elements above are compared all the same.
    bool deleted = std::any_of(object.versions.begin(), object.versions.end(),
                               [](const Version& v) { return v.tombstone; });
    if (!deleted) states_.push_back(*state);
    return std::move(*state);
  }
  std::set<int> living(const Object& object) const {
    std::set<int> ids;
    bool deleted = std::any_of(object.versions.begin(), object.versions.end(),
                               [](const Version& v) { return v.tombstone; });
    if (deleted && settings_.deletes == Deletes::win) return ids;
    for (const Version& v : object.versions) {
      if (!v.tombstone) ids.insert(id_of(v.write_id));
    }
    return ids;
  }
  static std::set<int> all(const Object& object) {
    std::set<int> ids;
    for (const Version& v : object.versions) ids.insert(id_of(v.write_id));
    return ids;
  }

  void take(const Step& step) {
    Replica& replica = replicas_[static_cast<std::size_t>(step.replica % replica_count)];
    Replica& other = replicas_[static_cast<std::size_t>(step.other % replica_count)];
    now_us_ += 1000;
    switch (step.kind) {
      case Step::edit:
      case Step::edit2:
      case Step::edit3:
      case Step::twice:
      case Step::late:
      case Step::blind: {
        // A reader asks one replica or two, and writes to any.
        Object shown = step.kind == Step::blind ? Object() : replica.object;
        if (step.kind == Step::edit2) document::sync_with_tables(shown, other.object);
        int id = next_id_++;
        Edits edits = edits_of(step.what, id, settings_.removes);
        if (!settings_.removes_counters) {
          std::erase_if(edits, [](const Edit& e) {
            return e.path.empty() ||
                   (e.kind == EditKind::discard && e.path.front() == name("items"));
          });
        }
        auto state = read(shown);
        if (!state) return;
        oracle_.write(id, living(shown), all(shown), edits);
        auto document = apply(std::move(*state), shown.context, edits, now_us_, settings_.limits,
                              [&](std::uint64_t print) { return settled_.contains(print); });
        if (!document) {
          broken_ = document.status().message();
          return;
        }
        Letter letter{{WriteId{7, static_cast<std::uint64_t>(id)}, false, encode(*document),
                       Bytes(document_content_type)},
                      shown.context};
        for (const Version& v : shown.versions) {
          letter.write.replaces.push_back(fingerprint(v.write_id));
        }
        deliver(step.kind == Step::edit3 ? other : replica, letter);
        if (step.kind == Step::twice) {
          ++twice_;
          deliver(other, letter);
        }
        if (step.kind == Step::late) late_.push_back({letter, step.other});
        // Executed once, and its client knows it at once; or it believes so of every write (the planted bug).
        if ((step.kind != Step::twice && step.kind != Step::late) ||
            planted(PlantedBug::document_event_settled_early)) {
          settled_.insert(fingerprint(letter.write.write_id));
        }
        return;
      }
      case Step::sync1:
      case Step::sync2:
        join(replica, other.object);
        if (step.kind == Step::sync2 && !late_.empty()) {
          // A minter that slept executes what was asked of it.
          auto [letter, where] = late_[static_cast<std::size_t>(step.what) % late_.size()];
          ++twice_;
          deliver(replicas_[static_cast<std::size_t>(where % replica_count)], letter);
        }
        return;
      case Step::gone: {
        if (step.what % 4 != 0 || !settings_.removes || !settings_.removes_counters) return;
        int id = next_id_++;
        ++deleted_;
        oracle_.erase(id, all(replica.object));
        Letter letter{{WriteId{7, static_cast<std::uint64_t>(id)}, true}, replica.object.context};
        deliver(replica, letter);
        return;
      }
      case Step::restart:
        ++replica.actor.epoch;
        return;
    }
  }

  void deliver(Replica& at, const Letter& letter) {
    document::update_with_tables(at.object, letter.seen, at.actor, letter.write, now_us_);
    forget(at);
  }
  void join(Replica& at, const Object& other) {
    document::sync_stored_with_tables(at.object, other);
    forget(at);
  }
  // As a store does, but sooner: a tombstone keeps what documents do.
  void forget(Replica& at) const {
    if (!settings_.forgets) return;
    SpentLimits limits;
    limits.most = 1;
    forget_spent(at.object, now_us_, limits);
  }

  Settings settings_;
  std::vector<Replica> replicas_;
  std::vector<std::pair<Letter, int>> late_;
  std::vector<State> states_;
  Oracle oracle_;
  std::set<std::uint64_t> settled_;
  int next_id_ = 1;
  std::size_t twice_ = 0, deleted_ = 0;
  std::int64_t now_us_ = 1'700'000'000'000'000;
  std::optional<std::string> broken_;
};

inline std::vector<Step> random_history(Random& random, int length) {
  std::vector<Step> steps;
  for (int i = 0; i < length; ++i) {
    Step step;
    step.kind = static_cast<int>(random.below(Step::kinds));
    step.replica = static_cast<int>(random.below(replica_count));
    step.other = static_cast<int>(random.below(replica_count));
    step.what = static_cast<int>(random.below(480));
    steps.push_back(step);
  }
  return steps;
}

}  // namespace ringlet::document::test
