// Histories of one key, for the laws of versioning: replicas that mint, copies that arrive late,
// twice or never, fallbacks that hand over what they hold and forget it, clients that write with
// contexts they got long ago, and writes that are executed again anywhere, however old they are.
//
// Beside the objects it keeps the truth: for every write, exactly which writes its client had been
// shown. The truth is told without clocks, so it can judge them.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "versioning/encoding.hpp"
#include "versioning/object.hpp"

namespace ringlet::test {

inline constexpr int replica_count = 4;
inline constexpr int client_count = 3;

struct Step {
  enum Kind { read, put, remove, retry, sync, deliver, hand_over, truncate, kinds };
  int kind = 0, replica = 0, other = 0, client = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Step& step) {
  static const char* const names[] = {"read", "put",     "remove",    "retry",
                                      "sync", "deliver", "hand_over", "truncate"};
  return out << names[step.kind] << " r" << step.replica << " o" << step.other << " c"
             << step.client;
}

inline std::vector<Step> random_history(Random& random, int length, bool truncates) {
  std::vector<Step> steps;
  for (int i = 0; i < length; ++i) {
    auto pick = [&](int n) { return static_cast<int>(random.between(0, n - 1)); };
    int kind = pick(truncates ? Step::kinds : Step::truncate);
    int replica = pick(replica_count), other = pick(1000), client = pick(client_count);
    steps.push_back({kind, replica, other, client});
  }
  return steps;
}

class History {
 public:
  struct Replica {
    NodeId node;
    std::uint64_t epoch = 0;
    Object object;
    std::int64_t ahead_ms = 0;  // its clock
    Actor actor() const { return {node, epoch}; }
  };

  explicit History(bool fresh_epochs = true) : fresh_epochs_(fresh_epochs) {
    // The clocks of some are wrong, by less and by more than the steps of a history take.
    constexpr std::int64_t wrong_ms[replica_count] = {0, -10'000, 7000, 86'400'000};
    for (int i = 0; i < replica_count; ++i) {
      replicas_.push_back(
          {NodeId{static_cast<std::uint64_t>(i + 1)}, ++last_epoch_, {}, wrong_ms[i]});
    }
    clients_.resize(client_count);
  }

  void run(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      run(step);
      if (broken_) return;
    }
  }

  // The first law that a step broke, in words.
  const std::optional<std::string>& broken() const { return broken_; }
  const std::vector<Replica>& replicas() const { return replicas_; }
  const std::vector<Object>& mail() const { return mail_; }
  bool truncated() const { return truncated_; }

  Object everything() const {
    Object all;
    for (const Replica& replica : replicas_) ringlet::sync(all, replica.object);
    return all;
  }

  // Every write that no other write's client had been shown is somewhere (R4.4-b: never lost), and one
  // that another write's client had been shown is nowhere, under whatever dot (L18).
  std::optional<std::string> lost_write() const {
    Object all = everything();
    std::set<WriteId> superseded, there;
    for (const auto& [id, shown] : shown_) superseded.insert(shown.begin(), shown.end());
    for (const Version& version : all.versions) there.insert(version.write_id);
    for (const auto& [id, shown] : shown_) {
      if (!superseded.count(id) && !there.count(id)) {
        return "write " + to_string(id) + " is lost though nobody had seen it";
      }
      if (superseded.count(id) && there.count(id)) {
        return "write " + to_string(id) + " was replaced and is back";
      }
    }
    return std::nullopt;
  }

  std::size_t write_count() const { return shown_.size(); }

 private:
  struct Client {
    Bytes context;            // as Ringlet gave it
    std::set<WriteId> shown;  // the truth of it
    struct Sent {
      WriteId id;
      Bytes context;
      std::set<WriteId> shown;
      bool tombstone;
    };
    std::vector<Sent> sent;
  };

  void run(const Step& step) {
    now_ms_ += 1000;
    Replica& replica = replicas_[static_cast<std::size_t>(step.replica)];
    Client& client = clients_[static_cast<std::size_t>(step.client)];
    switch (step.kind) {
      case Step::read: {
        client.context = encode_client_context(context_of(replica.object, replica.node, 0), key_);
        client.shown.clear();  // what the context says, and no read before it
        for (const Version& version : replica.object.versions) {
          client.shown.insert(version.write_id);
          const std::set<WriteId>& before = shown_.at(version.write_id);
          client.shown.insert(before.begin(), before.end());
        }
        break;
      }
      case Step::put:
      case Step::remove:
        client.sent.push_back(
            {WriteId{1, ++last_write_}, client.context, client.shown, step.kind == Step::remove});
        write(replica, client.sent.back());
        break;
      case Step::retry:
        if (client.sent.empty()) break;
        write(replica, client.sent[static_cast<std::size_t>(step.other) % client.sent.size()]);
        break;
      case Step::sync: {
        Replica& other = replicas_[static_cast<std::size_t>(step.other % replica_count)];
        join(replica, other.object);
        break;
      }
      case Step::deliver:
        if (mail_.empty()) break;
        join(replica, mail_[static_cast<std::size_t>(step.other) % mail_.size()]);
        break;
      case Step::hand_over: {
        // A hint arrives and its holder drops its copy; what it minted it no longer remembers.
        Replica& owner = replicas_[static_cast<std::size_t>(step.other % replica_count)];
        if (&owner == &replica) break;
        join(owner, replica.object);
        replica.object = {};
        if (fresh_epochs_) replica.epoch = ++last_epoch_;
        break;
      }
      case Step::truncate:
        truncated_ |= ringlet::truncate(replica.object, replica.actor(), now_ms_, {2, 3000}) > 0;
        break;
    }
    look_at(replica.object);
  }

  void write(Replica& replica, const typename Client::Sent& sent) {
    auto context = decode_client_context(sent.context, key_);
    if (!context) return fail(context.status().to_string());
    bool known = false;
    for (const Version& version : replica.object.versions) known |= version.write_id == sent.id;
    bool spent = replica.object.is_spent(sent.id);
    Bytes value = sent.tombstone ? Bytes() : "value " + std::to_string(sent.id.low);
    Write write{sent.id, sent.tombstone, value, {}};
    write.replaces = context->shown;
    write.above_us = context->stamp_us;
    const Object before = replica.object;
    Dot dot = ringlet::update(replica.object, context->seen, replica.actor(), std::move(write),
                              (now_ms_ + replica.ahead_ms) * 1000);
    look_at_notes(before, replica.object, context->stamp_us / 1000);
    if (spent != (dot.counter == 0)) fail("a replaced write was minted again, or a new one not");
    mail_.push_back(replica.object);
    if (spent) return;
    shown_.try_emplace(sent.id, sent.shown);
    bool minted = seen_.try_emplace(dot, context->seen).second;
    if (!minted && !known) fail("dot " + to_string(dot) + " was minted twice");
  }

  // The order of the times of notes is that of the replacements, whatever the clocks say: each new one is
  // later than all that this copy has had and its writer had read.
  void look_at_notes(const Object& before, const Object& after, std::int64_t read_ms) {
    std::int64_t last_ms = std::max(before.forgotten_ms, read_ms);
    for (const SpentWrite& s : before.spent) last_ms = std::max(last_ms, s.time_ms);
    for (const SpentWrite& s : after.spent) {
      bool old = std::find(before.spent.begin(), before.spent.end(), s) != before.spent.end();
      if (!old && s.time_ms <= last_ms) fail("a note is as old as one before it");
    }
  }

  void join(Replica& replica, const Object& other) {
    Object before = replica.object;
    bool changed = ringlet::sync(replica.object, other);
    bool differs = encode_record(before) != encode_record(replica.object);
    if (changed && !differs) fail("sync says it changed what it did not");
    if (!changed && differs) fail("sync changed an object and says it did not");
    // Never drops a dot that no context contains.
    auto check = [&](const Object& from, const Object& against) {
      for (const Version& version : from.versions) {
        if (against.context.contains(version.dot)) continue;
        if (against.is_spent(version.write_id)) continue;
        bool there = false;
        for (const Version& now : replica.object.versions) there |= now == version;
        if (!there) fail("sync dropped " + to_string(version.dot) + ", which the other never saw");
      }
    };
    check(before, other);
    check(other, before);
  }

  void look_at(const Object& object) {
    for (std::size_t i = 0; i < object.versions.size(); ++i) {
      const Version& a = object.versions[i];
      std::string name = to_string(a.dot);
      if (!object.context.contains(a.dot)) fail(name + " is not covered by the context");
      if (i > 0 && !(object.versions[i - 1].dot < a.dot)) fail(name + " is there twice");
      for (const Version& b : object.versions) {
        // What truncation forgot may come back beside its descendant: a false sibling (O-3).
        if (!truncated_ && seen_.at(b.dot).contains(a.dot)) {
          fail("ancestor " + name + " stands beside its descendant " + to_string(b.dot));
        }
      }
    }
    std::set<WriteId> ids;
    for (const Version* version : siblings(object)) {
      if (!ids.insert(version->write_id).second) {
        fail("write " + to_string(version->write_id) + " is shown twice");
      }
    }
    Bytes bytes = encode_record(object);
    auto again = decode_record(bytes);
    if (!again || !(*again == object) || encode_record(*again) != bytes) {
      fail("an object does not survive its bytes");
    }
  }

  void fail(std::string why) {
    if (!broken_) broken_ = std::move(why);
  }

  const Key key_{"carts", "alice"};
  const bool fresh_epochs_;
  std::vector<Replica> replicas_;
  std::vector<Client> clients_;
  std::vector<Object> mail_;  // every object as it was replicated, to arrive whenever
  std::map<WriteId, std::set<WriteId>>
      shown_;                          // a write -> all its client had been shown: the truth
  std::map<Dot, CausalContext> seen_;  // a version -> the context it was written with
  std::uint64_t last_epoch_ = 0, last_write_ = 0;
  std::int64_t now_ms_ = 1'000'000;
  bool truncated_ = false;
  std::optional<std::string> broken_;
};

}  // namespace ringlet::test
