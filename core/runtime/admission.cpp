#include "runtime/admission.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "wire/codec.hpp"

namespace ringlet {
namespace {

constexpr Duration round_budget = Duration::millis(1);
constexpr double least_window = 16, most_window = 10'000;

// What stores or reads objects, from a client that coordinates or one that does not. All else
// (pings, tables, an administrator's questions) is little and must get through.
bool is_work(std::uint8_t type) {
  switch (static_cast<wire::Type>(type)) {
    case wire::Type::client_get:
    case wire::Type::client_put:
    case wire::Type::replica_get:
    case wire::Type::replica_put:
    case wire::Type::mint_put:
      return true;
    default:
      return false;
  }
}

bool is_read(std::uint8_t type) {
  auto kind = static_cast<wire::Type>(type);
  return kind == wire::Type::client_get || kind == wire::Type::replica_get;
}

bool is_coordinated(std::uint8_t type) {
  auto kind = static_cast<wire::Type>(type);
  return kind == wire::Type::client_get || kind == wire::Type::client_put;
}

}  // namespace

std::uint64_t Admission::key_of(const Message& message) {
  return std::visit(
      [](const auto& work) -> std::uint64_t {
        if constexpr (requires { work.key.bucket; }) {
          return LargeKeys::hash_of(work.key);
        } else {
          return 0;
        }
      },
      message);
}

Admission::Admission(const ServerLimits& limits, Shared& shared)
    : limits_(limits), shared_(shared), turns_(limits.max_requests_per_key) {}

Result<std::string> Admission::arrived(std::uint64_t link, bool member, const wire::Frame& frame,
                                       Instant now) {
  if (!std::exchange(round_open_, true)) round_began_ = now;
  if (!is_work(frame.type)) return std::string();
  std::string full;
  if (!member) {
    Works& works = links_[link];
    if (works.contains(frame.number)) {
      return Status(Code::corrupt, "wanted the number of no request under way, got " +
                                       std::to_string(frame.number) + " again");
    }
    full = admit(works, frame, now);
  } else {
    if (static_cast<wire::Type>(frame.type) == wire::Type::replica_put &&
        frame.body.size() < large_object_bytes) {
      object_seen(frame.body.size());
    }
    full = shared_.memory.full();
  }
  if (!full.empty()) ++refused_full_;
  return full;
}

// Counts the request in; or says why not.
std::string Admission::admit(Works& works, const wire::Frame& frame, Instant now) {
  std::size_t bytes = frame.body.size();
  // What is coordinated holds what each replica said or is told, the merged object and the answer.
  std::size_t copies = is_coordinated(frame.type) ? 5 : 2;
  std::size_t expected = copies * static_cast<std::size_t>(usual_object_);
  if (works.size() >= limits_.max_requests_per_connection) {
    return "serves " + std::to_string(works.size()) + " requests of this connection, its limit";
  }
  if (shared_.requests >= limits_.max_requests_per_node) {
    return "serves " + std::to_string(shared_.requests.load()) + " requests, its limit";
  }
  if (std::string no = shared_.memory.objection(bytes, expected); !no.empty()) return no;
  if (now < stands_until_ && !asked_.empty()) {
    Duration waits = now - asked_.front().arrived;
    if (waits > limits_.shed_after / 2) {
      stands_until_ = now + limits_.shed_after * 2;
      return "has requests that wait for " + std::to_string(waits.millis()) +
             " ms, after it refused some that waited for " +
             std::to_string(limits_.shed_after.millis()) + " ms";
    }
  }
  Work& work = works[frame.number];
  work.bytes = bytes;
  work.expected = expected;
  work.is_read = ringlet::is_read(frame.type);
  work.is_coordinated = is_coordinated(frame.type);
  ++shared_.requests;
  shared_.memory.requests += bytes;
  shared_.memory.answers += expected;
  return "";
}

std::string Admission::arrived_for(std::uint64_t link, std::uint64_t number, std::uint64_t key,
                                   std::size_t bytes) {
  Work* work = find(link, number);
  if (work == nullptr) return "";  // a member's
  std::size_t expected = (work->is_coordinated ? 5 : 2) * bytes;
  if (std::string no = shared_.memory.take_large(expected); !no.empty()) {
    ++refused_full_;
    return no;
  }
  shared_.memory.answers -= std::exchange(work->expected, 0);
  work->key = key;
  work->large = expected;
  return "";
}

Admission::Work* Admission::find(std::uint64_t link, std::uint64_t number) {
  auto works = links_.find(link);
  if (works == links_.end()) return nullptr;
  auto work = works->second.find(number);
  return work == works->second.end() ? nullptr : &work->second;
}

std::optional<Admission::Request> Admission::take(Request request, Instant now,
                                                  std::string& refused) {
  bool client = !request.member && is_work(request.type);
  Work* work = nullptr;
  if (client) {
    request.key = key_of(request.message);
    if (!turns_.enter(request.key)) {
      turns_.wait(std::move(request));
      return std::nullopt;
    }
    work = find(request.link, request.number);
    RINGLET_ASSERT(work != nullptr);
    work->turn_of = work->key = request.key;
  }
  // Served as it comes while the round is young and nobody waits; then queued, so that every socket
  // is read in time and nothing waits where it is not seen.
  bool waits = !admitted_.empty() || (client && (!asked_.empty() || !window_open())) ||
               now - round_began_ > round_budget;
  if (!waits) {
    if (work != nullptr) serve(*work, request.link, request.number, now);
    request.arrived = round_began_;  // so long it may have been readable
    return request;
  }
  if (client) {
    asked_.push_back(std::move(request));
    return std::nullopt;
  }
  if (shared_.memory.requests + request.bytes > 2 * limits_.max_request_bytes) {
    ++refused_full_;
    refused = "has too many bytes of requests under way";
    return std::nullopt;
  }
  shared_.memory.requests += request.bytes;
  admitted_.push_back(std::move(request));
  return std::nullopt;
}

void Admission::serve(Work& work, std::uint64_t link, std::uint64_t number, Instant now) {
  work.served = now;
  ++serving_;
  served_.push_back({link, number, now});
  // Those that were answered while one before them was not are dropped now and then.
  if (served_.size() <= 2 * serving_ + 256) return;
  std::erase_if(served_, [&](const Served& served) {
    const Work* other = find(served.link, served.number);
    return other == nullptr || other->served != served.at || other->only_waits;
  });
}

void Admission::rested(Duration time, Instant now) {
  rest_ = rest_ + time;
  Duration elapsed = now - load_since_;
  if (elapsed < limits_.shed_after * 2) return;
  busy_ = rest_ < elapsed / 2;
  rest_ = Duration{};
  load_since_ = now;
}

void Admission::set_apart_who_waits(Instant now) {
  while (!served_.empty()) {
    Served oldest = served_.front();
    Work* work = find(oldest.link, oldest.number);
    if (work != nullptr && work->served == oldest.at) {
      if (busy_ || now - oldest.at < limits_.shed_after * 2) return;
      work->only_waits = true;
      --serving_;
      ++only_waiting_;
      if (auto key = std::exchange(work->turn_of, std::nullopt)) end_turn(*key, now);
    }
    served_.pop_front();
  }
}

Instant Admission::next_wake() const {
  if (asked_.empty() || window_open() || served_.empty()) return Instant::never();
  Duration in_time = limits_.shed_after * 2;
  return std::max(served_.front().at, load_since_) + in_time;
}

void Admission::begin_turn(Instant now) {
  set_apart_who_waits(now);
  round_open_ = false;
  turn_ends_ = now + round_budget;
}

std::optional<Admission::Next> Admission::next(Instant now) {
  auto taken = [](std::deque<Request>& queue) {
    Request request = std::move(queue.front());
    queue.pop_front();
    return request;
  };
  while (std::optional<Request> late = turns_.expired(now - limits_.key_wait)) {
    if (find(late->link, late->number) == nullptr) continue;
    return shed(std::move(*late), now, "has requests of this key that wait for ", limits_.key_wait);
  }
  while (now < turn_ends_) {
    // Refusing is cheap, and those who waited too long must hear of it whoever else is served.
    bool late = !asked_.empty() && sheds(now - asked_.front().arrived, now);
    if (!late && !admitted_.empty()) {
      Request request = taken(admitted_);
      shared_.memory.requests -= request.bytes;
      Duration waited = now - request.arrived;
      return Next{std::move(request), waited, "", true};
    }
    if (asked_.empty() || (!late && !window_open())) break;
    Request request = taken(asked_);
    Work* work = find(request.link, request.number);
    if (work == nullptr) continue;  // its client is gone
    if (late) {
      stands_until_ = now + limits_.shed_after * 2;
      return shed(std::move(request), now, "has requests that wait for ", limits_.shed_after);
    }
    serve(*work, request.link, request.number, now);
    Duration waited = now - request.arrived;
    return Next{std::move(request), waited, "", true};
  }
  if (asked_.empty()) late_since_ = Instant::never();
  return std::nullopt;
}

bool Admission::wants_turn() const {
  return !admitted_.empty() || (!asked_.empty() && window_open());
}

// Waited too long, and so did everybody for a while?
bool Admission::sheds(Duration waited, Instant now) {
  if (waited <= limits_.shed_after) {
    late_since_ = Instant::never();
    return false;
  }
  if (late_since_ == Instant::never()) late_since_ = now;
  return now - late_since_ > limits_.shed_after * 2;
}

Admission::Next Admission::shed(Request request, Instant now, const char* what, Duration limit) {
  Duration waited = now - request.arrived;
  bool for_lane = find(request.link, request.number)->turn_of.has_value();
  ++shed_;
  answered(request.link, request.number, 0, now);
  return {std::move(request), waited,
          what + std::to_string(waited.millis()) + " ms, its limit is " +
              std::to_string(limit.millis()) + " ms",
          for_lane};
}

void Admission::answered(std::uint64_t link, std::uint64_t number, std::size_t bytes, Instant now) {
  auto works = links_.find(link);
  if (works == links_.end()) return;
  auto entry = works->second.find(number);
  if (entry == works->second.end()) return;  // a member's, or no work
  Work work = entry->second;
  works->second.erase(entry);
  settle(work);
  if (work.served != Instant::never() && !work.only_waits) window_heard(now - work.served, now);
  if (work.is_read && bytes != 0 && work.large == 0) object_seen(bytes);
  bool tells = work.is_read && bytes != 0 && (work.large != 0 || bytes >= large_object_bytes);
  if (tells && shared_.large_keys != nullptr) {
    shared_.large_keys->seen(work.key, bytes);
  }
  if (work.turn_of) end_turn(*work.turn_of, now);
}

// What the request took of the node's accounts goes back.
void Admission::settle(const Work& work) {
  shared_.memory.requests -= work.bytes;
  shared_.memory.answers -= work.expected;
  shared_.memory.large -= work.large;
  --shared_.requests;
  if (work.served != Instant::never()) --(work.only_waits ? only_waiting_ : serving_);
}

void Admission::object_seen(std::size_t bytes) {
  // One of megabytes would be expected of every key for a while, and small requests be refused for want of
  // its memory. What a large one takes is known by its key.
  bytes = std::min(bytes, large_object_bytes);
  usual_object_ += (static_cast<double>(bytes) - usual_object_) / 16;
}

// The key's turn goes to the next that waits for it and whose client is still there.
void Admission::end_turn(std::uint64_t key, Instant now) {
  while (std::optional<Request> next = turns_.leave(key)) {
    Work* work = find(next->link, next->number);
    if (work == nullptr) continue;
    work->turn_of = key;
    next->arrived = now;  // it waits for the lane from now on
    asked_.push_back(std::move(*next));
    return;
  }
}

void Admission::window_heard(Duration took, Instant now) {
  Duration in_time = limits_.shed_after * 2;
  ++heard_;
  if (took > in_time && busy_) ++late_;
  if (took <= in_time && static_cast<double>(serving_) * 2 > window_) {
    window_ = std::min(window_ + 1 / window_, most_window);
  }
  if (now - window_since_ < in_time) return;
  if (heard_ >= 8 && late_ * 2 > heard_) window_ = std::max(window_ * 3 / 4, least_window);
  heard_ = late_ = 0;
  window_since_ = now;
}

bool Admission::window_open() const {
  return static_cast<double>(serving_) < (shared_.memory.tight() ? least_window : window_);
}

void Admission::closed(std::uint64_t link, Instant now) {
  auto found = links_.find(link);
  if (found == links_.end()) return;
  Works works = std::move(found->second);
  links_.erase(found);
  for (const auto& [number, work] : works) settle(work);
  for (const auto& [number, work] : works) {
    if (work.turn_of) end_turn(*work.turn_of, now);
  }
}

void Admission::close_all(Instant now) {
  while (!links_.empty()) closed(links_.begin()->first, now);
  for (const Request& request : admitted_) shared_.memory.requests -= request.bytes;
  admitted_.clear();
  asked_.clear();
}

bool Admission::has_work(std::uint64_t link) const {
  auto works = links_.find(link);
  return works != links_.end() && !works->second.empty();
}

bool Admission::is_read(std::uint64_t link, std::uint64_t number) const {
  auto works = links_.find(link);
  if (works == links_.end()) return false;
  auto work = works->second.find(number);
  return work != works->second.end() && work->second.is_read;
}

std::uint32_t Admission::retry_after_ms(Instant now) const {
  std::int64_t waited = asked_.empty() ? 0 : (now - asked_.front().arrived).millis();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(2 * waited, 50, 1000));
}

}  // namespace ringlet
