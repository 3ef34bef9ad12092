#include "repair/partition_transfer.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "base/planted.hpp"
#include "versioning/encoding.hpp"
#include "versioning/hash.hpp"

namespace ringlet {
namespace {

void append_u64(Bytes& out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}
void append_bytes(Bytes& out, BytesView bytes) {
  append_u64(out, bytes.size());
  out += bytes;
}

// Reads what append_* wrote; after a field that is not there everything reads as nothing.
class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}
  std::uint64_t u64() {
    BytesView field = take(8);
    std::uint64_t value = 0;
    for (std::size_t i = field.size(); i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(field[i]);
    }
    return value;
  }
  BytesView bytes() { return take(u64()); }
  bool ended_well() const { return ok_ && rest_.empty(); }

 private:
  BytesView take(std::uint64_t count) {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    BytesView field = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return field;
  }
  BytesView rest_;
  bool ok_ = true;
};

constexpr std::uint64_t cursor_format = 1;
constexpr std::uint64_t most_sources = 64;
constexpr std::uint64_t has_after = 1, has_arrived = 2;

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

std::uint64_t checksum_of(const std::vector<KeyedObject>& objects) {
  std::uint64_t sum = objects.size();
  Bytes bytes;
  for (const KeyedObject& o : objects) {
    bytes.clear();
    append_bytes(bytes, o.key.bucket);
    append_bytes(bytes, o.key.key);
    encode_object(o.object, bytes);
    sum = xxh3(bytes, sum);
  }
  return sum;
}

Bytes encode_cursor(const TransferCursor& cursor) {
  Bytes out;
  append_u64(out, cursor_format);
  append_u64(out, cursor.move);
  append_u64(out, (cursor.after ? has_after : 0u) | (cursor.arrived ? has_arrived : 0u));
  append_u64(out, cursor.source.value);
  append_u64(out, cursor.done.size());
  for (NodeId node : cursor.done) append_u64(out, node.value);
  if (cursor.after) {
    append_bytes(out, cursor.after->bucket);
    append_bytes(out, cursor.after->key);
  }
  append_u64(out, xxh3(out));
  return out;
}

Result<TransferCursor> decode_cursor(BytesView bytes) {
  auto corrupt = [](const std::string& why) {
    return Status(Code::corrupt, "cursor of a transfer: " + why);
  };
  if (bytes.size() < 8) {
    return corrupt("wanted at least 8 bytes, got " + std::to_string(bytes.size()));
  }
  BytesView body = bytes.substr(0, bytes.size() - 8);
  if (Reader(bytes.substr(body.size())).u64() != xxh3(body)) {
    return corrupt("the checksum does not fit the " + std::to_string(body.size()) +
                   " bytes it was made for");
  }
  Reader in(body);
  if (std::uint64_t format = in.u64(); format != cursor_format) {
    return corrupt("wanted format 1, got format " + std::to_string(format));
  }
  TransferCursor cursor;
  cursor.move = in.u64();
  std::uint64_t flags = in.u64();
  cursor.arrived = (flags & has_arrived) != 0;
  cursor.source = NodeId{in.u64()};
  std::uint64_t done = in.u64();
  if (done > most_sources) {
    return corrupt("wanted at most 64 sources, got " + std::to_string(done));
  }
  for (std::uint64_t i = 0; i < done; ++i) cursor.done.push_back(NodeId{in.u64()});
  if ((flags & has_after) != 0) {
    Key key;
    key.bucket = Bytes(in.bytes());
    key.key = Bytes(in.bytes());
    cursor.after = std::move(key);
  }
  if (!in.ended_well()) return corrupt("too short or too long");
  return cursor;
}

namespace {

// The pull of one partition.
struct Pull {
  Incoming in;
  TransferCursor cursor;
  RequestId number = RequestId::none;  // of the question that is out
  Instant until;                       // of its patience
  Instant again{INT64_MIN / 2};
  Duration pause{};
  int strikes = 0;                       // failures of the source in a row
  std::map<NodeId, Instant> avoid;       // sources that failed, until then
  std::optional<Instant> unready_since;  // the source says so
  bool waiting = false;                  // no source answers
  Instant waiting_since;
};

constexpr Duration look_again = Duration::seconds(1);  // for a source, or at a store that is ill
constexpr int most_strikes = 3;

}  // namespace

struct PartitionTransfer::Impl {
  NodeId self;
  Options options;
  TransferStore& store;
  const Whereabouts& placement;
  const Health& health;
  Pace* pace;
  std::map<std::uint32_t, Pull> pulls;
  PendingRequests<std::uint32_t> asked;  // partitions
  std::vector<Incoming> wanted;
  std::map<std::uint32_t, TransferCursor> found;  // cursors of before, not taken up yet
  std::set<std::uint32_t> to_forget;
  bool loaded = false;
  Instant store_again = Instant::never();
  Instant pace_at = Instant::never();
  std::vector<Outgoing> outgoing;
  bool news = false;
  std::optional<Instant> asking_since;
  Progress progress;

  Impl(NodeId me, Options o, TransferStore& s, const Whereabouts& p, const Health& h, Pace* c)
      : self(me), options(o), store(s), placement(p), health(h), pace(c) {
    RINGLET_ASSERT(options.parallel >= 1);
    RINGLET_ASSERT(options.page_bytes >= 1);
    RINGLET_ASSERT(options.patience > Duration{});
    RINGLET_ASSERT(options.first_pause > Duration{});
  }

  // ---- what to pull ----

  void load(Now now) {
    if (loaded) return;
    auto cursors = store.cursors();
    if (!cursors) {
      store_again = now.instant + look_again;
      return;
    }
    for (auto& [partition, cursor] : *cursors) found.emplace(partition, std::move(cursor));
    loaded = true;
  }

  void reconcile(Now now) {
    store_again = Instant::never();
    load(now);
    if (!loaded) return;
    std::map<std::uint32_t, Incoming> work;
    for (const Incoming& in : wanted) work.emplace(in.partition, in);
    for (const auto& [partition, cursor] : found) {
      auto in = work.find(partition);
      if (in == work.end() || in->second.move != cursor.move) to_forget.insert(partition);
    }
    for (auto it = pulls.begin(); it != pulls.end();) {
      auto in = work.find(it->first);
      // After its own flip a node may still wait for others' (move 0): what it pulled is good.
      bool stays =
          in != work.end() && (in->second.move == it->second.in.move || in->second.move == 0);
      if (!stays) {
        drop_question(it->second);
        to_forget.insert(it->first);
      }
      it = stays ? std::next(it) : pulls.erase(it);
    }
    forget(now);
    for (auto& [partition, in] : work) take_up(in);
    found.clear();
    for (auto& [partition, pull] : pulls) arrive_if_complete(pull, now);
  }

  void take_up(Incoming& in) {
    auto [it, is_new] = pulls.try_emplace(in.partition);
    Pull& pull = it->second;
    std::uint32_t partition = in.partition;
    if (!is_new && in.move == 0) in.move = pull.in.move;
    pull.in = std::move(in);
    if (is_new) {
      pull.cursor.move = pull.in.move;
      auto before = found.find(partition);
      if (before != found.end() && before->second.move == pull.in.move) {
        pull.cursor = before->second;
      }
    }
    if (pull.cursor.source && !is_source(pull, pull.cursor.source)) {
      drop_question(pull);
      begin_with(pull, NodeId{});
    }
  }

  void forget(Now now) {
    for (auto it = to_forget.begin(); it != to_forget.end();) {
      if (store.forget_cursor(*it)) {
        it = to_forget.erase(it);
      } else {
        store_again = now.instant + look_again;
        ++it;
      }
    }
  }

  // ---- which source ----

  static bool is_source(const Pull& pull, NodeId node) {
    return node && (node == pull.in.outgoing || contains(pull.in.staying, node));
  }

  bool usable(const Pull& pull, NodeId node, Now now) const {
    if (!is_source(pull, node) || node == self || contains(pull.cursor.done, node)) return false;
    auto avoided = pull.avoid.find(node);
    if (avoided != pull.avoid.end() && avoided->second > now.instant) return false;
    return !health.is_down(node);
  }

  static void begin_with(Pull& pull, NodeId source) {
    pull.cursor.source = source;
    pull.cursor.after.reset();
    pull.strikes = 0;
    pull.unready_since.reset();
  }

  bool choose_source(Pull& pull, Now now) {
    if (usable(pull, pull.cursor.source, now)) return true;
    std::vector<NodeId> others = pull.in.staying;
    others.insert(others.begin(), pull.in.outgoing);
    for (NodeId node : others) {
      if (!usable(pull, node, now)) continue;
      begin_with(pull, node);
      return true;
    }
    return false;
  }

  bool has_all(const Pull& pull) const {
    const auto& done = pull.cursor.done;
    if (pull.in.outgoing && contains(done, pull.in.outgoing)) return true;
    if (pull.in.outgoing && pull.in.staying.empty()) return false;
    return std::all_of(pull.in.staying.begin(), pull.in.staying.end(),
                       [&](NodeId node) { return node == self || contains(done, node); });
  }

  void arrive_if_complete(Pull& pull, Now now) {
    if (pull.cursor.arrived || !has_all(pull)) return;
    arrive(pull, now);
  }

  void arrive(Pull& pull, Now now) {
    drop_question(pull);
    TransferCursor cursor = pull.cursor;
    cursor.source = {};
    cursor.after.reset();
    cursor.arrived = true;
    if (!store.store_page(pull.in.partition, {}, cursor)) {
      store_again = now.instant + look_again;
      return;
    }
    pull.cursor = std::move(cursor);
    news = true;
  }

  // ---- asking ----

  bool has_to_ask(const Pull& pull) const {
    return !pull.cursor.arrived && !has_all(pull) && !to_forget.contains(pull.in.partition);
  }

  void fill(Now now) {
    if (asking_since) progress.busy = progress.busy + (now.instant - *asking_since);
    ask_all(now);
    asking_since.reset();
    if (!asked.empty()) asking_since = now.instant;
  }

  void ask_all(Now now) {
    pace_at = Instant::never();
    for (auto& [partition, pull] : pulls) {
      if (asked.size() >= options.parallel) return;
      if (pull.number != RequestId::none || pull.again > now.instant || !has_to_ask(pull)) continue;
      if (!choose_source(pull, now)) {
        wait(pull, now);
        continue;
      }
      // Paid when the page is here: a source that refuses costs nothing, or two nodes that pull from
      // each other would spend on questions what they owe to answers.
      if (pace != nullptr && !pace->open(Pace::Kind::transfer, now)) {
        pace_at = pace->next(Pace::Kind::transfer, now);
        return;
      }
      ask(pull, now);
    }
  }

  void wait(Pull& pull, Now now) {
    if (!pull.waiting) pull.waiting_since = now.instant;
    pull.waiting = true;
    pull.again = now.instant + look_again;
    bool some = std::any_of(pull.in.staying.begin(), pull.in.staying.end(),
                            [&](NodeId node) { return contains(pull.cursor.done, node); });
    if (some && now.instant - pull.waiting_since >= options.lenient_after) {
      ++progress.lenient;
      arrive(pull, now);
    }
  }

  void ask(Pull& pull, Now now) {
    pull.waiting = false;
    pull.number = asked.add(pull.in.partition);
    pull.until = now.instant + options.patience;
    TransferPull question;
    question.partition = pull.in.partition;
    question.partitions = placement.partitions();
    question.first = !pull.cursor.after;
    if (pull.cursor.after) question.after = *pull.cursor.after;
    question.max_bytes = options.page_bytes;
    if (pace != nullptr) {
      question.max_bytes =
          static_cast<std::uint32_t>(std::min<std::size_t>(question.max_bytes, pace->step(now)));
    }
    outgoing.push_back({pull.cursor.source, pull.number, std::move(question)});
  }

  void drop_question(Pull& pull) {
    if (pull.number != RequestId::none) asked.erase(pull.number);
    pull.number = RequestId::none;
  }

  // ---- hearing ----

  enum class Fault { once, source };  // once: perhaps the same source answers next time

  void fail(Pull& pull, Fault fault, Now now) {
    drop_question(pull);
    ++progress.failed_pages;
    ++pull.strikes;
    pull.pause = std::min(options.longest_pause, std::max(options.first_pause, pull.pause * 2));
    NodeId source = pull.cursor.source;
    pull.again = now.instant + pull.pause;
    if (fault == Fault::source || pull.strikes >= most_strikes || health.is_down(source)) {
      // Others are asked at once; this one when it had time to mend. Should there be no other, it goes
      // on where it was.
      pull.avoid[source] = now.instant + std::max(pull.pause, look_again);
      pull.strikes = 0;
      if (others_usable(pull, source, now)) pull.again = now.instant;
    }
  }

  bool others_usable(const Pull& pull, NodeId source, Now now) const {
    if (pull.in.outgoing != source && usable(pull, pull.in.outgoing, now)) return true;
    return std::any_of(pull.in.staying.begin(), pull.in.staying.end(),
                       [&](NodeId node) { return node != source && usable(pull, node, now); });
  }

  bool fits(const Pull& pull, const TransferPage& page) const {
    if (page.checksum != checksum_of(page.objects)) return false;
    if (page.objects.empty() && !page.last) return false;
    const Key* before = pull.cursor.after ? &*pull.cursor.after : nullptr;
    for (const KeyedObject& o : page.objects) {
      if (before != nullptr && !row_before(*before, o.key)) return false;
      if (placement.partition_of(o.key) != pull.in.partition || o.object.missing()) return false;
      before = &o.key;
    }
    return true;
  }

  void take(Pull& pull, const TransferPage& page, Now now) {
    if (!fits(pull, page)) return fail(pull, Fault::source, now);
    std::size_t bytes = size_about(page.objects);
    if (pace != nullptr) {
      pace->charge(Pace::Kind::transfer, std::max<std::size_t>(1, bytes), now);
    }
    Pull after = pull;
    if (page.last) {
      after.cursor.done.push_back(pull.cursor.source);
      after.cursor.source = {};
      after.cursor.after.reset();
      after.cursor.arrived = has_all(after);
    } else {
      after.cursor.after = page.objects.back().key;
    }
    if (!store.store_page(pull.in.partition, page.objects, after.cursor)) {
      // Not the source's fault: it is asked again for the same page.
      fail(pull, Fault::once, now);
      pull.strikes = 0;
      return;
    }
    drop_question(pull);
    pull.cursor = std::move(after.cursor);
    pull.pause = {};
    pull.strikes = 0;
    pull.unready_since.reset();
    pull.avoid.erase(pull.cursor.source);
    ++progress.pages;
    progress.objects += page.objects.size();
    progress.bytes += bytes;
    news = news || pull.cursor.arrived;
  }

  void hear(Pull& pull, const Message& message, Now now) {
    if (const auto* page = std::get_if<TransferPage>(&message)) return take(pull, *page, now);
    const auto* refused = std::get_if<Refused>(&message);
    if (refused != nullptr && refused->status.code() == Code::overloaded) {
      drop_question(pull);  // no failure: the source paces itself, and so does this node
      if (pace != nullptr) pace->peer_is_busy(now);
      pull.again = now.instant + std::clamp(Duration::millis(refused->retry_after_ms),
                                            Duration::millis(1), options.longest_pause);
      return;
    }
    if (refused == nullptr || !refused->status.retryable()) return fail(pull, Fault::source, now);
    if (!pull.unready_since) pull.unready_since = now.instant;
    if (now.instant - *pull.unready_since >= options.ready_within) {
      return fail(pull, Fault::source, now);
    }
    drop_question(pull);
    pull.again = now.instant + std::clamp(Duration::millis(refused->retry_after_ms),
                                          options.first_pause, options.longest_pause);
  }
};

PartitionTransfer::PartitionTransfer(NodeId self, Options options, TransferStore& store,
                                     const Whereabouts& placement, const Health& health, Pace* pace)
    : impl_(std::make_unique<Impl>(self, options, store, placement, health, pace)) {}
PartitionTransfer::~PartitionTransfer() = default;

void PartitionTransfer::set_work(std::vector<Incoming> work, Now now) {
  impl_->wanted = std::move(work);
  impl_->reconcile(now);
  impl_->fill(now);
}

void PartitionTransfer::on_reply(NodeId from, RequestId number, const Message& message, Now now) {
  const std::uint32_t* partition = impl_->asked.find(number);
  if (partition == nullptr) return;
  Pull& pull = impl_->pulls.at(*partition);
  if (pull.cursor.source != from) return;
  impl_->hear(pull, message, now);
  impl_->fill(now);
}

void PartitionTransfer::on_unreachable(NodeId node, Now now) {
  for (auto& [partition, pull] : impl_->pulls) {
    if (pull.number != RequestId::none && pull.cursor.source == node)
      impl_->fail(pull, Impl::Fault::source, now);
  }
  impl_->fill(now);
}

void PartitionTransfer::on_recovered(NodeId node, Now now) {
  for (auto& [partition, pull] : impl_->pulls) {
    pull.avoid.erase(node);
    if (pull.waiting && Impl::is_source(pull, node)) pull.again = now.instant;
  }
  impl_->fill(now);
}

void PartitionTransfer::on_wake(Now now) {
  for (auto& [partition, pull] : impl_->pulls) {
    if (pull.number != RequestId::none && pull.until <= now.instant)
      impl_->fail(pull, Impl::Fault::once, now);
  }
  if (impl_->store_again <= now.instant) impl_->reconcile(now);
  impl_->fill(now);
}

std::vector<Outgoing> PartitionTransfer::take_outgoing() {
  return std::exchange(impl_->outgoing, {});
}

Instant PartitionTransfer::next_wake() const {
  Instant next = std::min(impl_->store_again, impl_->pace_at);
  bool full = impl_->asked.size() >= impl_->options.parallel;
  for (const auto& [partition, pull] : impl_->pulls) {
    if (pull.number != RequestId::none) {
      next = std::min(next, pull.until);
    } else if (!full && impl_->pace_at == Instant::never() && impl_->has_to_ask(pull)) {
      next = std::min(next, pull.again);
    }
  }
  return next;
}

bool PartitionTransfer::arrived(std::uint32_t partition) const {
  auto found = impl_->pulls.find(partition);
  return found != impl_->pulls.end() && found->second.cursor.arrived;
}

bool PartitionTransfer::all_arrived() const {
  return impl_->loaded && std::all_of(impl_->pulls.begin(), impl_->pulls.end(),
                                      [](const auto& p) { return p.second.cursor.arrived; });
}

bool PartitionTransfer::has_all_of(std::uint32_t partition) const {
  if (!impl_->loaded) return false;
  return impl_->pulls.contains(partition) ? arrived(partition) : impl_->placement.keeps(partition);
}

bool PartitionTransfer::take_news() {
  return std::exchange(impl_->news, false);
}

PartitionTransfer::Progress PartitionTransfer::progress() const {
  Progress progress = impl_->progress;
  progress.partitions = impl_->pulls.size();
  for (const auto& [partition, pull] : impl_->pulls) {
    if (!pull.cursor.arrived) ++progress.left;
    if (!pull.cursor.arrived && pull.waiting) ++progress.waiting;
  }
  return progress;
}

Message answer(const TransferPull& pull, bool may_pull, std::uint32_t most_bytes,
               const Whereabouts& placement, OwnCopies& copies, Pace* pace, Now now) {
  auto refuse = [&](Code code, const std::string& why) {
    return Refused{
        Status(code, "transfer of partition " + std::to_string(pull.partition) + ": " + why), 0};
  };
  if (pull.partitions != placement.partitions()) {
    return refuse(Code::invalid_argument,
                  "wanted one of " + std::to_string(placement.partitions()) +
                      " partitions, asked for one of " + std::to_string(pull.partitions));
  }
  if (pull.partition >= pull.partitions) {
    return refuse(Code::invalid_argument,
                  "there are " + std::to_string(pull.partitions) + " partitions");
  }
  if (!pull.first && placement.partition_of(pull.after) != pull.partition) {
    return refuse(Code::invalid_argument, "the key to go on after, " + printable(pull.after) +
                                              ", lies in partition " +
                                              std::to_string(placement.partition_of(pull.after)));
  }
  if (pull.max_bytes == 0) return refuse(Code::invalid_argument, "wanted pages of 0 bytes");
  if (!may_pull) {
    return refuse(Code::unavailable, "this node does not know that the asker owns it or will");
  }
  if (pace != nullptr && !pace->open(Pace::Kind::transfer, now)) {
    return requests_first("transfer of partition " + std::to_string(pull.partition),
                          pace->next(Pace::Kind::transfer, now) - now.instant);
  }
  constexpr std::size_t most_objects = 4096;
  std::size_t bytes = std::min(pull.max_bytes, most_bytes);
  if (pace != nullptr) bytes = std::min(bytes, pace->step(now));
  auto objects =
      copies.copies_of(pull.partition, pull.first ? nullptr : &pull.after, most_objects, bytes);
  if (!objects) return Refused{objects.status(), 0};
  TransferPage page;
  page.objects = std::move(*objects);
  page.last = page.objects.empty();
  if (!page.last) {  // spares the asker a question that would bring nothing
    auto more = copies.copies_of(pull.partition, &page.objects.back().key, 1, 1);
    if (!more) return Refused{more.status(), 0};
    page.last = more->empty();
  }
  if (pace != nullptr) {
    pace->charge(Pace::Kind::transfer, std::max<std::size_t>(1, size_about(page.objects)), now);
  }
  page.checksum = checksum_of(page.objects);
  return page;
}

}  // namespace ringlet
