#include "membership/history.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace ringlet {
const char* name_of(MemberEvent::Kind kind) {
  switch (kind) {
    case MemberEvent::Kind::join:
      return "join";
    case MemberEvent::Kind::leave:
      return "leave";
    case MemberEvent::Kind::replace:
      return "replace";
    case MemberEvent::Kind::update:
      return "update";
  }
  return "unknown";
}

bool before(const MemberEvent& a, const MemberEvent& b) {
  auto all = [](const MemberEvent& e) {
    return std::tie(e.lamport, e.issuer, e.seq, e.wall_ms, e.kind, e.member.name, e.member.address,
                    e.member.zone, e.member.weight, e.replaces, e.member.advertise);
  };
  return all(a) < all(b);
}

void History::add(MemberEvent event) {
  auto at = std::lower_bound(events_.begin(), events_.end(), event, before);
  if (at == events_.end() || *at != event) events_.insert(at, std::move(event));
}

void History::merge(const History& other) {
  std::vector<MemberEvent> all;
  all.reserve(events_.size() + other.events_.size());
  std::set_union(events_.begin(), events_.end(), other.events_.begin(), other.events_.end(),
                 std::back_inserter(all), before);
  events_ = std::move(all);
}

std::uint64_t History::last_seq(NodeId issuer) const {
  std::uint64_t last = 0;
  for (const MemberEvent& event : events_) {
    if (event.issuer == issuer) last = std::max(last, event.seq);
  }
  return last;
}

std::uint64_t History::next_seq(NodeId issuer, std::uint64_t wall_ms) const {
  // No clock says so: the number was made up elsewhere. It need not be passed, as the next event is of a later
  // lamport time.
  constexpr std::uint64_t made_up = std::uint64_t{1} << 50;
  std::uint64_t last = last_seq(issuer);
  return last >= made_up ? wall_ms : std::max(last + 1, wall_ms);
}

std::vector<MemberRecord> History::records() const {
  using State = MemberRecord::State;
  std::map<NodeId, MemberRecord> records;
  for (const MemberEvent& event : events_) {
    if (event.kind == MemberEvent::Kind::replace) {
      MemberRecord& old = records[node_id_of(event.replaces)];
      if (old.member.name.empty()) {
        old.member = event.member;
        old.member.name = event.replaces;
        old.member.id = node_id_of(event.replaces);
      }
      old.state = State::replaced;
      old.replaced_by = event.member.name;
      old.last = event;
      ++old.events;
    }
    auto [at, fresh] = records.try_emplace(event.member.id);
    MemberRecord& record = at->second;
    ++record.events;
    switch (event.kind) {
      case MemberEvent::Kind::join:
      case MemberEvent::Kind::replace:
        record.member = event.member;
        record.state = State::in;
        record.replaced_by.clear();
        record.last = event;
        break;
      case MemberEvent::Kind::leave:
        if (fresh) record.member = event.member;
        if (record.state == State::replaced) break;  // ordered on another side: it is gone already
        record.state = State::leaving;
        record.last = event;
        break;
      case MemberEvent::Kind::update:
        if (fresh) record.state = State::leaving;  // of nobody: makes no member
        record.member = event.member;
        if (record.state == State::in) record.last = event;
        break;
    }
  }
  std::vector<MemberRecord> list;
  list.reserve(records.size());
  for (auto& [id, record] : records) list.push_back(std::move(record));
  return list;
}

}  // namespace ringlet
