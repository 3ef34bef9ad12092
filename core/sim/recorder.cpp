#include "sim/recorder.hpp"

#include <algorithm>

#include "node/hint_key.hpp"
#include "versioning/encoding.hpp"

namespace ringlet::sim {
namespace {

constexpr std::size_t most_shown_of_a_key = 256;
constexpr std::size_t most_exchanges = 50'000;
constexpr std::size_t most_tree_steps = 10'000;

const Key* key_of(const Message& message) {
  if (const auto* m = std::get_if<ClientGet>(&message)) return &m->key;
  if (const auto* m = std::get_if<ClientPut>(&message)) return &m->key;
  if (const auto* m = std::get_if<ReplicaGet>(&message)) return &m->key;
  if (const auto* m = std::get_if<ReplicaPut>(&message)) return &m->key;
  if (const auto* m = std::get_if<MintPut>(&message)) return &m->key;
  return nullptr;
}

std::vector<Dot> dots_of(const Object& object) {
  std::vector<Dot> dots;
  dots.reserve(object.versions.size());
  for (const Version& version : object.versions) dots.push_back(version.dot);
  return dots;
}

std::vector<Dot> dots_in(const Message& message) {
  if (const auto* m = std::get_if<ReplicaPut>(&message)) return dots_of(m->object);
  if (const auto* m = std::get_if<ReplicaObject>(&message)) return dots_of(m->object);
  if (const auto* m = std::get_if<Minted>(&message)) return dots_of(m->object);
  if (const auto* m = std::get_if<ClientReply>(&message)) return dots_of(m->object);
  return {};
}

}  // namespace

const char* name_of(TraceRecord::Kind kind) {
  using Kind = TraceRecord::Kind;
  switch (kind) {
    case Kind::act:
      return "act";
    case Kind::call:
      return "call";
    case Kind::answer:
      return "answer";
    case Kind::send:
      return "send";
    case Kind::deliver:
      return "deliver";
    case Kind::lost:
      return "lost";
    case Kind::store:
      return "store";
    case Kind::hint:
      return "hint";
    case Kind::hint_done:
      return "hint_done";
    case Kind::down:
      return "down";
    case Kind::up:
      return "up";
  }
  return "unknown";
}

void Recorder::attach(World& world) {
  world_ = &world;
  world.set_observer(this);
  for (HostId node = 0; node < world.nodes(); ++node) {
    SimDisk& disk = world.disk(node);
    disk.on_written = [this, node](Table table, BytesView row, BytesView record) {
      stored(node, table, row, record);
    };
    disk.on_erased = [this, node](Table table, BytesView row, BytesView) {
      if (table == Table::objects) rows_.erase({node, Bytes(row)});
    };
    disk.on_hint_dropped = [this, node](BytesView row, BytesView) {
      auto hint = parse_hint_row(row);
      if (!hint) return;
      std::int32_t key = number_of(hint->key);
      HostId owner = world_->host_of(hint->target);
      close("hint", node, owner, key);
      TraceRecord gone;
      gone.kind = TraceRecord::Kind::hint_done;
      gone.host = node;
      gone.peer = owner;
      gone.key = key;
      add(std::move(gone));
    };
  }
}

std::uint64_t Recorder::add(TraceRecord record) {
  record.at = world_->now();
  record.event = world_->events();
  if (record.request == 0) record.request = request_;
  if (record.cause == 0) record.cause = cause_;
  records_.push_back(std::move(record));
  if (records_.size() > most_) {
    records_.pop_front();
    ++first_;
  }
  return first_ + records_.size() - 1;
}

std::int32_t Recorder::number_of(const Key& key) {
  auto [it, fresh] = numbers_.try_emplace(key, static_cast<std::int32_t>(keys_.size()));
  if (fresh) {
    keys_.push_back(key);
    by_key_.emplace_back();
    epochs_.emplace_back();
    shown_.emplace_back();
  }
  return it->second;
}

std::int32_t Recorder::find(const Key& key) const {
  auto it = numbers_.find(key);
  return it == numbers_.end() ? -1 : it->second;
}

Written* Recorder::find(WriteId id) {
  auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &writes_[it->second];
}

std::size_t Recorder::epoch_of(std::int32_t key, const Actor& actor) const {
  const auto& nodes = epochs_.at(static_cast<std::size_t>(key));
  auto node = nodes.find(actor.node);
  if (node == nodes.end()) return 0;
  auto at = std::find(node->second.begin(), node->second.end(), actor.epoch);
  return at == node->second.end() ? 0 : static_cast<std::size_t>(at - node->second.begin()) + 1;
}

// ---- acts and calls ----

void Recorder::act(std::string words) {
  TraceRecord record;
  record.kind = TraceRecord::Kind::act;
  record.words = std::move(words);
  cause_ = add(std::move(record));
}

std::uint64_t Recorder::begin_call(HostId client, const char* kind, const Key& key) {
  CallRecord begun;
  begun.id = calls_forgotten_ + calls_.size() + 1;
  begun.client = client;
  begun.kind = kind;
  begun.key = number_of(key);
  begun.from = world_->now();
  TraceRecord record;
  record.kind = TraceRecord::Kind::call;
  record.host = client;
  record.key = begun.key;
  record.request = begun.id;
  record.words = kind;
  open_calls_.insert(begun.id);
  calls_.push_back(begun);
  if (calls_.size() > most_) {
    open_calls_.erase(calls_.front().id);
    calls_.pop_front();
    ++calls_forgotten_;
  }
  request_ = begun.id;
  cause_ = add(std::move(record));
  return begun.id;
}

CallRecord* Recorder::call(std::uint64_t id) {
  if (id <= calls_forgotten_ || id > calls_forgotten_ + calls_.size()) return nullptr;
  return &calls_[id - calls_forgotten_ - 1];
}

void Recorder::answered(std::uint64_t id, std::string words) {
  TraceRecord record;
  record.kind = TraceRecord::Kind::act;
  record.request = id;
  if (const CallRecord* of = call(id)) {
    record.host = of->client;
    record.key = of->key;
  }
  record.words = std::move(words);
  request_ = id;
  cause_ = add(std::move(record));
}

void Recorder::read(std::uint64_t id, const Object& object) {
  if (const CallRecord* of = call(id)) shown(of->key, object.context);
}

void Recorder::end_call(std::uint64_t id, const ClientCore::Outcome& outcome) {
  CallRecord* ended = call(id);
  open_calls_.erase(id);
  if (ended == nullptr) return;
  ended->to = world_->now();
  ended->attempts = outcome.attempts;
  const Status& status = outcome.reply.status;
  ended->result = status ? "ok" : status.to_string();
  ended->versions = ringlet::siblings(outcome.reply.object).size();
  if (status) shown(ended->key, outcome.reply.object.context);
  std::string_view kind = ended->kind;
  if (kind == "put" || kind == "delete") {
    Written* write = find(outcome.write_id);
    if (write != nullptr && status) write->acknowledged = true;
  } else if (kind != "get") {
    // The last write of an update that did not come to its end may be one that was not acknowledged.
    Written* last = nullptr;
    for (std::size_t at : by_key_[static_cast<std::size_t>(ended->key)]) {
      if (writes_[at].request != id) continue;
      if (last != nullptr) last->acknowledged = true;
      last = &writes_[at];
    }
    if (last != nullptr && outcome.update.edited && outcome.update.merged)
      last->acknowledged = true;
  }
  TraceRecord record;
  record.kind = TraceRecord::Kind::answer;
  record.host = ended->client;
  record.key = ended->key;
  record.request = id;
  record.dots = dots_of(outcome.reply.object);
  record.words = ended->result;
  add(std::move(record));
}

// A call of this client for this key that is under way: the youngest, for want of better knowledge.
std::uint64_t Recorder::call_of(HostId client, std::int32_t key) const {
  for (auto id = open_calls_.rbegin(); id != open_calls_.rend(); ++id) {
    const CallRecord& of = calls_[*id - calls_forgotten_ - 1];
    if (of.client == client && of.key == key) return *id;
  }
  return 0;
}

void Recorder::open(const char* kind, HostId host, HostId peer, std::int32_t key, const Dot& dot) {
  if (spans_.size() >= most_) return;
  auto [it, fresh] = open_spans_.try_emplace({kind, host, peer, key}, spans_.size());
  if (fresh) spans_.push_back({kind, host, peer, key, dot, world_->now(), {}});
}

void Recorder::close(const char* kind, HostId host, HostId peer, std::int32_t key) {
  auto it = open_spans_.find({kind, host, peer, key});
  if (it == open_spans_.end()) return;
  spans_[it->second].to = world_->now();
  open_spans_.erase(it);
}

void Recorder::close_all(const char* kind) {
  std::erase_if(open_spans_, [&](const auto& open) {
    if (std::get<0>(open.first) != kind) return false;
    spans_[open.second].to = world_->now();
    return true;
  });
}

// ---- messages ----

void Recorder::on_sent(HostId from, HostId to, std::uint64_t exchange, bool reply,
                       const Message& message) {
  TraceRecord record;
  record.kind = TraceRecord::Kind::send;
  record.reply = reply;
  record.host = from;
  record.peer = to;
  record.message = name_of(message);
  record.dots = dots_in(message);
  if (reply) {
    auto at = exchanges_.find(exchange);
    if (at == exchanges_.end()) {
      add(std::move(record));
      return;
    }
    Exchange& asked = at->second;
    record.key = asked.key;
    record.request = asked.request;
    if (cause_ == 0) record.cause = asked.arrived;
    asked.answer = record.message;
    asked.replied = add(std::move(record));
    return;
  }
  Exchange asked;
  asked.from = from;
  asked.to = to;
  asked.message = record.message;
  if (const Key* key = key_of(message)) asked.key = number_of(*key);
  bool of_client = from >= world_->nodes();
  asked.request = request_;
  if (of_client && asked.key >= 0 && asked.request == 0) asked.request = call_of(from, asked.key);
  if (const auto* put = std::get_if<ClientPut>(&message)) {
    asked.write = put->write.write_id;
    if (of_client) {
      auto context = decode_client_context(put->context, put->key);
      ClientContext seen = context ? std::move(*context) : ClientContext{};
      request_ = asked.request;
      asked_to_write(from, asked.key, seen.seen, seen.shown, put->write);
    }
  } else if (const auto* mint = std::get_if<MintPut>(&message); mint != nullptr && of_client) {
    request_ = asked.request;
    asked_to_write(from, asked.key, mint->seen, mint->write.replaces, mint->write);
  }
  asked.step = tree_question(from, to, message);
  record.key = asked.key;
  record.request = asked.request;
  asked.sent = add(std::move(record));
  exchanges_.emplace_hint(exchanges_.end(), exchange, std::move(asked));
  if (exchanges_.size() > most_exchanges) exchanges_.erase(exchanges_.begin());
}

void Recorder::on_lost(std::uint64_t exchange, bool reply, Loss why) {
  auto at = exchanges_.find(exchange);
  if (at == exchanges_.end()) return;
  const Exchange& asked = at->second;
  TraceRecord record;
  record.kind = TraceRecord::Kind::lost;
  record.reply = reply;
  record.why = why;
  record.host = reply ? asked.to : asked.from;
  record.peer = reply ? asked.from : asked.to;
  record.key = asked.key;
  record.request = asked.request;
  record.cause = reply ? asked.replied : asked.sent;
  record.message = reply ? asked.answer : asked.message;
  add(std::move(record));
  exchanges_.erase(at);
}

void Recorder::on_arrived(std::uint64_t exchange, bool reply, const Message& message) {
  auto at = exchanges_.find(exchange);
  if (at == exchanges_.end()) return;
  Exchange& asked = at->second;
  TraceRecord record;
  record.kind = TraceRecord::Kind::deliver;
  record.reply = reply;
  record.host = reply ? asked.from : asked.to;
  record.peer = reply ? asked.to : asked.from;
  record.key = asked.key;
  record.request = asked.request;
  record.cause = reply ? asked.replied : asked.sent;
  record.message = name_of(message);
  request_ = asked.request;
  std::uint64_t number = add(std::move(record));
  if (!reply) {
    asked.arrived = number;
    if (Written* write = asked.write ? find(asked.write) : nullptr;
        write != nullptr && write->coordinator == no_host && asked.from >= world_->nodes()) {
      write->coordinator = asked.to;
    }
  } else {
    if (asked.step != 0) tree_answer(asked.step, message);
    const auto* answer = std::get_if<ClientReply>(&message);
    if (answer != nullptr && answer->status && asked.from >= world_->nodes()) {
      if (Written* write = asked.write ? find(asked.write) : nullptr) {
        write->acknowledged = true;
        write->coordinator = asked.to;
      }
      if (asked.key >= 0) shown(asked.key, answer->object.context);
    }
    exchanges_.erase(at);
  }
  cause_ = number;
}

void Recorder::on_started(HostId node) {
  TraceRecord record;
  record.kind = TraceRecord::Kind::up;
  record.host = node;
  add(std::move(record));
  close("down", node);
  close("paused", node);
  std::erase_if(rows_, [&](const auto& row) { return row.first.first == node; });
  for (const auto& [row, bytes] : world_->disk(node).rows(Table::objects)) {
    if (auto object = decode_record(bytes)) rows_[{node, row}] = object->context;
  }
}

void Recorder::on_crashed(HostId node) {
  TraceRecord record;
  record.kind = TraceRecord::Kind::down;
  record.host = node;
  add(std::move(record));
  close("paused", node);
  open("down", node);
  // What it had not worked off, and the replies that were on their way to it.
  std::vector<std::pair<std::uint64_t, bool>> gone;
  for (const auto& [exchange, asked] : exchanges_) {
    if (asked.from == node && asked.replied != 0) gone.emplace_back(exchange, true);
    if (asked.to == node && asked.arrived == 0) gone.emplace_back(exchange, false);
  }
  for (const auto& [exchange, reply] : gone) on_lost(exchange, reply, Loss::down);
}

std::size_t Recorder::tree_question(HostId from, HostId to, const Message& message) {
  TreeStep step;
  step.from = from;
  step.to = to;
  step.at = world_->now();
  if (const auto* trees = std::get_if<TreeCompare>(&message)) {
    step.partition = trees->partition;
    step.level = trees->level;
    step.compared = std::max<std::size_t>(trees->hashes.size(), 1);
    step.bytes = trees->nodes.size() * 4 + trees->hashes.size() * 8;
  } else if (const auto* keys = std::get_if<SegmentCompare>(&message)) {
    step.partition = keys->partition;
    step.level = 3;
    step.compared = keys->segments.size();
    step.bytes = keys->segments.size() * 4 + keys->key_hashes.size() * 16;
  } else {
    return 0;
  }
  tree_steps_.push_back(std::move(step));
  if (tree_steps_.size() > most_tree_steps) {
    tree_steps_.pop_front();
    ++tree_steps_forgotten_;
  }
  return tree_steps_forgotten_ + tree_steps_.size();
}

void Recorder::tree_answer(std::size_t number, const Message& message) {
  if (number <= tree_steps_forgotten_) return;
  TreeStep& step = tree_steps_[number - tree_steps_forgotten_ - 1];
  if (const auto* differs = std::get_if<TreeDiffers>(&message)) {
    step.answered = true;
    step.different = differs->nodes.size();
    step.bytes += differs->nodes.size() * 4;
  } else if (const auto* keys = std::get_if<SegmentDiffers>(&message)) {
    step.answered = true;
    step.different = keys->objects.size() + keys->wanted.size();
    step.bytes += keys->wanted.size() * 8;
    for (const KeyedObject& object : keys->objects) step.keys.push_back(number_of(object.key));
  }
}

// ---- the book ----

void Recorder::asked_to_write(HostId client, std::int32_t key, const CausalContext& seen,
                              const std::vector<std::uint64_t>& shown_there, const Write& write) {
  Written* known = find(write.write_id);
  if (known == nullptr) {
    by_id_[write.write_id] = writes_.size();
    by_key_[static_cast<std::size_t>(key)].push_back(writes_.size());
    known = &writes_.emplace_back();
    known->id = write.write_id;
    known->key = key;
  } else if (known->at) {
    return;  // a repetition
  }
  known->value = write.value;
  known->content_type = write.content_type;
  known->tombstone = write.tombstone;
  known->client = client;
  known->at = world_->now();
  known->request = request_;
  known->seen = seen;
  known->shown = shown_there;
  const auto& reads = shown_[static_cast<std::size_t>(key)];
  if (!seen.empty()) {
    for (auto read = reads.rbegin(); read != reads.rend() && !known->read_at; ++read) {
      if (read->context == seen) known->read_at = read->at;
    }
  }
  // An update is asked to merge, and merges, only what its acknowledged write met.
  for (std::size_t at : by_key_[static_cast<std::size_t>(key)]) {
    Written& earlier = writes_[at];
    if (request_ != 0 && earlier.request == request_ && earlier.id != write.write_id)
      earlier.acknowledged = true;
  }
}

void Recorder::shown(std::int32_t key, const CausalContext& context) {
  auto& reads = shown_[static_cast<std::size_t>(key)];
  reads.push_back({world_->now(), context});
  if (reads.size() > most_shown_of_a_key) reads.pop_front();
}

void Recorder::stored(HostId node, Table table, BytesView row, BytesView bytes) {
  if (table != Table::objects && table != Table::hints) return;
  TraceRecord record;
  std::optional<Key> key;
  if (table == Table::objects) {
    record.kind = TraceRecord::Kind::store;
    key = parse_object_row(row);
  } else if (auto hint = parse_hint_row(row)) {
    record.kind = TraceRecord::Kind::hint;
    record.peer = world_->host_of(hint->target);
    key = std::move(hint->key);
  }
  auto object = decode_record(bytes);
  if (!key || !object) return;
  record.host = node;
  record.key = number_of(*key);
  record.dots = dots_of(*object);
  record.after = object->context;
  note_versions(record.key, *object);
  if (table == Table::objects) {
    CausalContext& held = rows_[{node, Bytes(row)}];
    record.before = std::exchange(held, object->context);
  } else {
    open("hint", node, record.peer, record.key, record.dots.empty() ? Dot{} : record.dots.back());
  }
  add(std::move(record));
}

void Recorder::note_versions(std::int32_t key, const Object& object) {
  auto note_epoch = [&](const Actor& actor) {
    auto& of_node = epochs_[static_cast<std::size_t>(key)][actor.node];
    if (std::find(of_node.begin(), of_node.end(), actor.epoch) == of_node.end())
      of_node.push_back(actor.epoch);
  };
  for (const auto& entry : object.context.entries()) note_epoch(entry.actor);
  for (const Version& version : object.versions) {
    note_epoch(version.dot.actor);
    Written* write = find(version.write_id);
    if (write == nullptr) {
      by_id_[version.write_id] = writes_.size();
      by_key_[static_cast<std::size_t>(key)].push_back(writes_.size());
      write = &writes_.emplace_back();
      write->id = version.write_id;
      write->key = key;
      write->value = version.value;
      write->content_type = version.content_type;
      write->tombstone = version.tombstone;
    }
    if (object.mode == Reconcile::lww) write->stamp_us = version.written_us;
    if (std::find(write->dots.begin(), write->dots.end(), version.dot) == write->dots.end())
      write->dots.push_back(version.dot);
  }
}

}  // namespace ringlet::sim
