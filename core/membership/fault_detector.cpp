#include "membership/fault_detector.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/planted.hpp"

namespace ringlet {

FaultDetector::FaultDetector(Options options, std::uint64_t seed)
    : options_(options), random_(seed) {
  RINGLET_ASSERT(options_.silences_to_suspect >= 1);
  RINGLET_ASSERT(options_.retry > Duration{});
  RINGLET_ASSERT(options_.min_patience > Duration{});
  RINGLET_ASSERT(options_.min_patience <= options_.max_patience);
}

bool FaultDetector::is_down(NodeId node) const {
  auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.down;
}

void FaultDetector::heard_from(NodeId node, Instant now) {
  State& state = nodes_[node];
  state.silences = 0;
  state.ping = State::Ping::none;
  state.unanswered = false;
  state.news = std::max(state.news, now);
  state.heard = std::max(state.heard, now);
  if (!state.down) return;
  state.down = false;
  recovered_.push_back(node);
  std::erase(fallen_silent_, node);
}

// A question that is late now was asked a patience ago: was there news of the node since?
bool FaultDetector::says_something_new(const State& state, Instant now) const {
  return !state.down && now - state.news >= usual_patience(state);
}

void FaultDetector::was_silent(NodeId node, Instant now) {
  State& state = nodes_[node];
  if (says_something_new(state, now)) count_silence(node, state, now);
}

bool FaultDetector::doubt(NodeId node, Instant now) {
  State& state = nodes_[node];
  if (!says_something_new(state, now)) return false;
  if (state.silences + 1 < options_.silences_to_suspect) {
    count_silence(node, state, now);
  } else if (state.ping == State::Ping::none) {
    ping_now(state, now);
  }
  return true;
}

void FaultDetector::check(NodeId node, Instant now) {
  State& state = nodes_[node];
  if (says_something_new(state, now) && state.ping == State::Ping::none) ping_now(state, now);
}

Instant FaultDetector::last_heard(NodeId node) const {
  auto found = nodes_.find(node);
  return found == nodes_.end() ? State().heard : found->second.heard;
}

Duration FaultDetector::retry_of(const State& state) const {
  if (state.heard != State().heard || options_.longest_retry < options_.retry)
    return options_.retry;
  return std::min(options_.retry * (std::int64_t{1} << std::min(state.unheard_pings, 20)),
                  options_.longest_retry);
}

bool FaultDetector::is_in_doubt(NodeId node) const {
  auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.unanswered;
}

void FaultDetector::count_silence(NodeId node, State& state, Instant now) {
  state.news = now;
  if (++state.silences < options_.silences_to_suspect) return ping_now(state, now);
  unreachable(node, now);
  fallen_silent_.push_back(node);
}

void FaultDetector::ping_now(State& state, Instant now) {
  state.ping = State::Ping::due;
  state.next_ping = now;
}

void FaultDetector::notice_silence(Instant now) {
  for (auto& [node, state] : nodes_) {
    if (state.ping != State::Ping::sent || state.next_ping > now) continue;
    state.unanswered = true;
    count_silence(node, state, now);
  }
}

void FaultDetector::unreachable(NodeId node, Instant now) {
  State& state = nodes_[node];
  if (state.down) return;
  state.down = true;
  state.ping = State::Ping::none;
  state.unanswered = false;
  state.silences = 0;
  state.next_ping = now + options_.retry;
  // It may have come back and gone again before anybody asked: then it is not back.
  std::erase(recovered_, node);
}

Duration FaultDetector::patience(NodeId node) const {
  if (planted(PlantedBug::dead_owner_waited_for)) return Duration::seconds(3600);
  auto found = nodes_.find(node);
  return usual_patience(found == nodes_.end() ? State() : found->second);
}

Duration FaultDetector::usual_patience(const State& state) const {
  Duration wanted =
      state.smoothed_us < 0 ? options_.first_patience : Duration::micros(state.smoothed_us * 4);
  return std::clamp(wanted, options_.min_patience, options_.max_patience);
}

// Up fast, down slowly: reads are answered from memory and writes after a flush, and a mean of the
// two would find every write late. One very late answer must not make everybody patient, so a
// sample counts no more than half the longest patience.
void FaultDetector::answer_took(NodeId node, Duration took) {
  State& state = nodes_[node];
  std::int64_t sample = std::clamp<std::int64_t>(took.us, 0, options_.max_patience.us / 2);
  if (state.smoothed_us < 0) state.smoothed_us = sample;
  std::int64_t step = sample - state.smoothed_us;
  state.smoothed_us += step > 0 ? step / 4 : step / 64;
}

std::vector<NodeId> FaultDetector::due_pings(Instant now) {
  notice_silence(now);
  std::vector<NodeId> due;
  for (auto& [node, state] : nodes_) {
    if (state.next_ping > now) continue;
    if (state.ping == State::Ping::due) {
      due.push_back(node);
      state.ping = State::Ping::sent;
      state.next_ping = now + usual_patience(state);
    }
    if (!state.down || state.next_ping > now) continue;
    due.push_back(node);
    // Between three quarters of the period and the whole of it, so that members that lost a node
    // together do not find it again together.
    Duration retry = retry_of(state);
    ++state.unheard_pings;
    state.next_ping = now + (retry - Duration{random_.between(0, retry.us / 4)});
  }
  return due;
}

Instant FaultDetector::next_wake() const {
  Instant next = Instant::never();
  for (auto& [node, state] : nodes_) {
    bool pings = state.down || state.ping != State::Ping::none;
    if (pings) next = std::min(next, state.next_ping);
  }
  return next;
}

std::vector<NodeId> FaultDetector::take_recovered() {
  return std::exchange(recovered_, {});
}

std::vector<NodeId> FaultDetector::take_fallen_silent() {
  return std::exchange(fallen_silent_, {});
}

std::vector<NodeId> FaultDetector::down() const {
  std::vector<NodeId> nodes;
  for (auto& [node, state] : nodes_) {
    if (state.down) nodes.push_back(node);
  }
  return nodes;
}

}  // namespace ringlet
