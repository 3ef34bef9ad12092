#include "repair/pace.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>
#include <vector>

#include "base/assert.hpp"

namespace ringlet {
namespace {

// Durations of a trailing window in a ring of a dozen cells: how many there were, how many beyond the
// threshold (so that the verdict is exact), and a histogram for people, four buckets an octave.
class Trail {
 public:
  Trail(Duration window, Duration threshold)
      : cell_us_(std::max<std::int64_t>(1, window.us / cells)), threshold_us_(threshold.us) {}

  void add(Duration took, Instant now) {
    turn_to(now);
    Cell& cell = cells_[static_cast<std::size_t>(newest_ % cells)];
    std::int64_t us = std::max<std::int64_t>(0, took.us);
    ++cell.count;
    if (us > threshold_us_) ++cell.beyond;
    ++cell.buckets[bucket_of(us)];
  }

  // More than one in a hundred is beyond the threshold, that is: p99 is.
  bool too_slow(Instant now, std::uint64_t few) {
    Cell all = sum(now);
    return all.count >= few && all.beyond * 100 > all.count;
  }
  Duration p99(Instant now, std::uint64_t few) {
    Cell all = sum(now);
    if (all.count < few || all.count == 0) return {};
    std::uint64_t rank = all.count - all.count / 100, seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
      seen += all.buckets[i];
      if (seen >= rank) return Duration::micros(top_of(i));
    }
    return Duration::micros(top_of(bucket_count - 1));
  }

 private:
  // One more than the window has, so that a whole window is always covered.
  static constexpr std::int64_t cells = 13;
  static constexpr std::size_t bucket_count = 128;
  struct Cell {
    std::uint64_t count = 0, beyond = 0;
    std::array<std::uint32_t, bucket_count> buckets{};
  };

  static std::size_t bucket_of(std::int64_t us) {
    auto value = static_cast<std::uint64_t>(us) + 4;
    int octave = std::bit_width(value) - 3;
    auto index = static_cast<std::size_t>(octave) * 4 + ((value >> octave) & 3);
    return std::min(index, bucket_count - 1);
  }
  static std::int64_t top_of(std::size_t bucket) {
    auto octave = static_cast<int>(bucket / 4);
    auto quarter = static_cast<std::int64_t>(bucket % 4);
    return ((4 + quarter + 1) << octave) - 5;
  }

  void turn_to(Instant now) {
    std::int64_t cell = now.us / cell_us_;
    if (cell <= newest_) return;
    std::int64_t empty = std::min(cell - newest_, cells);
    for (std::int64_t i = 0; i < empty; ++i) {
      cells_[static_cast<std::size_t>((cell - i) % cells)] = {};
    }
    newest_ = cell;
  }

  Cell sum(Instant now) {
    turn_to(now);
    Cell all;
    for (const Cell& cell : cells_) {
      all.count += cell.count;
      all.beyond += cell.beyond;
      for (std::size_t i = 0; i < bucket_count; ++i) all.buckets[i] += cell.buckets[i];
    }
    return all;
  }

  std::int64_t cell_us_, threshold_us_, newest_ = 0;
  std::vector<Cell> cells_{static_cast<std::size_t>(cells)};
};

constexpr std::int64_t million = 1'000'000;  // micro-slices make a slice
constexpr Duration busy_window = Duration::millis(100);
constexpr std::uint64_t busy_from = 5;  // requests in it, or in the one before
constexpr Duration busy_for_peers = Duration::seconds(1);

struct Bucket {
  std::int64_t micro = million;  // what is there; below zero: owed
  Instant filled{};
  Instant wanted{INT64_MIN / 2};  // when it last asked
  std::int64_t taken = 0;         // micro-slices
  std::uint64_t held_back = 0;
};

}  // namespace

struct Pace::Impl {
  Options options;
  mutable std::mutex mutex;  // guards all below
  mutable Trail storage, queue;
  std::array<Bucket, kinds> buckets;
  std::int64_t slices;  // a second, all kinds together
  std::uint64_t failed = 0, failed_before = 0;
  Instant step_at{};
  bool begun = false;
  Instant window_at{INT64_MIN / 2};  // of the requests counted
  std::uint64_t served = 0, served_before = 0;
  Instant peer_busy_until{INT64_MIN / 2};

  explicit Impl(Options o)
      : options(o),
        storage(o.window, o.storage_threshold),
        queue(o.queue_window, o.queue_threshold),
        slices(o.most) {
    RINGLET_ASSERT(options.floor >= 1);
    RINGLET_ASSERT(options.most >= options.floor * static_cast<std::uint32_t>(kinds));
    RINGLET_ASSERT(options.slice_bytes >= 1 && options.busy >= 1);
    RINGLET_ASSERT(options.busy_step >= 1);
    RINGLET_ASSERT(options.step > Duration{});
    RINGLET_ASSERT(options.window > Duration{} && options.queue_window > Duration{});
  }

  Bucket& bucket(Kind kind) { return buckets[static_cast<std::size_t>(kind)]; }

  void begin(Instant now) {
    if (begun) return;
    begun = true;
    step_at = now + options.step;
    for (Bucket& b : buckets) b.filled = now;
  }

  std::int64_t least() const { return static_cast<std::int64_t>(options.floor) * kinds; }

  // The steps that have passed. A long silence is many steps without a complaint.
  void adjust(Instant now) {
    begin(now);
    if (now < step_at) return;
    std::int64_t steps = 1 + (now - step_at).us / options.step.us;
    step_at = step_at + options.step * steps;
    bool hurt = failed != failed_before || storage.too_slow(now, options.few) ||
                queue.too_slow(now, options.few);
    failed_before = failed;
    std::int64_t most = allowed(now);
    if (hurt) {
      slices = std::max(least(), std::min(slices, most) / 2);
    } else {
      std::int64_t more = std::max<std::int64_t>(1, most / 20);
      slices =
          std::min<std::int64_t>(options.most, slices + more * std::min<std::int64_t>(steps, 20));
    }
  }

  void turn_window(Instant now) {
    if (now < window_at + busy_window) return;
    served_before = now < window_at + busy_window * 2 ? served : 0;
    served = 0;
    window_at = now;
  }
  bool busy(Instant now) {
    turn_window(now);
    return served >= busy_from || served_before >= busy_from || now < peer_busy_until;
  }

  std::int64_t allowed(Instant now) {
    return busy(now) ? std::min(options.busy, options.most) : options.most;
  }

  // A second's slices of one kind: an equal share among those who asked in the last second.
  std::int64_t rate(Kind kind, Instant now) {
    std::int64_t all = std::min(slices, allowed(now));
    std::int64_t working = 1;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      if (i != static_cast<std::size_t>(kind) && buckets[i].wanted > now - Duration::seconds(1)) {
        ++working;
      }
    }
    return std::max<std::int64_t>(options.floor, all / working);
  }

  // At most a fiftieth of a second of arrears, or steps would come in bursts; but part of a slice.
  void fill(Kind kind, Instant now) {
    Bucket& b = bucket(kind);
    if (now <= b.filled) return;
    std::int64_t passed = std::min<std::int64_t>((now - b.filled).us, 3600 * million);
    std::int64_t a_second = rate(kind, now);
    std::int64_t most = std::max(million / 8, a_second * million / 50);
    b.micro = std::min(most, b.micro + passed * a_second);
    b.filled = now;
  }

  std::int64_t cost(std::uint64_t bytes) const {
    if (bytes == 0) return million;
    return million * static_cast<std::int64_t>(bytes + options.step_bytes) / options.slice_bytes;
  }

  bool open(Kind kind, Instant now) {
    adjust(now);
    Bucket& b = bucket(kind);
    b.wanted = now;
    fill(kind, now);
    if (b.micro > 0) return true;
    ++b.held_back;
    return false;
  }

  void spend(Kind kind, std::int64_t micro) {
    bucket(kind).taken += micro;
    bucket(kind).micro -= micro;
  }
};

Pace::Pace(Options options) : impl_(std::make_unique<Impl>(options)) {}
Pace::~Pace() = default;

bool Pace::take(Kind kind, std::uint64_t bytes, Now now, std::uint64_t steps) {
  std::lock_guard lock(impl_->mutex);
  if (!impl_->open(kind, now.instant)) return false;
  impl_->spend(kind, impl_->cost(bytes) * static_cast<std::int64_t>(steps));
  return true;
}

std::size_t Pace::step(Now now) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->busy(now.instant) ? impl_->options.busy_step : SIZE_MAX;
}

bool Pace::open(Kind kind, Now now) {
  std::lock_guard lock(impl_->mutex);
  return impl_->open(kind, now.instant);
}

void Pace::charge(Kind kind, std::uint64_t bytes, Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->adjust(now.instant);
  impl_->fill(kind, now.instant);
  impl_->spend(kind, impl_->cost(bytes));
}

Instant Pace::next(Kind kind, Now now) const {
  std::lock_guard lock(impl_->mutex);
  impl_->adjust(now.instant);
  impl_->fill(kind, now.instant);
  std::int64_t missing = 1 - impl_->bucket(kind).micro;
  if (missing <= 0) return now.instant;
  std::int64_t a_second = impl_->rate(kind, now.instant);
  return now.instant + Duration::micros((missing + a_second - 1) / a_second);
}

void Pace::served(Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->turn_window(now.instant);
  ++impl_->served;
}
void Pace::peer_is_busy(Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->peer_busy_until = now.instant + busy_for_peers;
}
void Pace::storage_took(Duration took, Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->storage.add(took, now.instant);
}
void Pace::queue_waited(Duration waited, Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->queue.add(waited, now.instant);
}
void Pace::storage_failed(Now now) {
  std::lock_guard lock(impl_->mutex);
  impl_->adjust(now.instant);
  ++impl_->failed;
}

Pace::Report Pace::report(Now now) const {
  std::lock_guard lock(impl_->mutex);
  impl_->adjust(now.instant);
  Report report;
  report.slices = static_cast<std::uint32_t>(impl_->slices);
  report.busy = impl_->busy(now.instant);
  if (report.busy) report.slices = std::min(report.slices, impl_->options.busy);
  report.storage_p99 = impl_->storage.p99(now.instant, impl_->options.few);
  report.queue_p99 = impl_->queue.p99(now.instant, impl_->options.few);
  report.failed = impl_->failed;
  for (std::size_t i = 0; i < kinds; ++i) {
    report.taken[i] = static_cast<std::uint64_t>(impl_->buckets[i].taken / million);
    report.held_back[i] = impl_->buckets[i].held_back;
  }
  return report;
}

Refused requests_first(const std::string& work, Duration wait) {
  return {Status(Code::overloaded, work + ": this node serves requests first"),
          static_cast<std::uint32_t>(std::max<std::int64_t>(1, (wait.us + 999) / 1000))};
}

const char* name_of(Pace::Kind kind) {
  switch (kind) {
    case Pace::Kind::hints:
      return "hints";
    case Pace::Kind::transfer:
      return "transfer";
    case Pace::Kind::tree:
      return "tree";
    case Pace::Kind::reaping:
      return "reaping";
  }
  return "unknown";
}

}  // namespace ringlet
