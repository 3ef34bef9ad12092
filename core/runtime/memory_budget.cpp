#include "runtime/memory_budget.hpp"

#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace ringlet {
namespace {

constexpr Duration measure_every = Duration::millis(20);
constexpr Duration trim_every = Duration::millis(500);

}  // namespace

std::size_t resident_bytes() {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                       std::fclose);
  unsigned long total = 0, resident = 0;
  if (!file || std::fscanf(file.get(), "%lu %lu", &total, &resident) != 2) return 0;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::string MemoryBudget::uses() const {
  return "uses " + std::to_string(resident() >> 20) + " MiB of memory, its limit is " +
         std::to_string(limits_.resident_bytes >> 20) + " MiB";
}

std::string MemoryBudget::objection(std::size_t request_bytes, std::size_t answer_bytes) const {
  if (tight()) return uses();
  std::size_t asked = requests.load(std::memory_order_relaxed);
  if (asked + request_bytes > limits_.request_bytes) {
    return "has " + std::to_string(asked) + " bytes of requests under way and would have " +
           std::to_string(request_bytes) + " more, wanted at most " +
           std::to_string(limits_.request_bytes);
  }
  std::size_t owed = answers.load(std::memory_order_relaxed);
  if (owed != 0 && owed + answer_bytes > limits_.answer_bytes) {
    return "has " + std::to_string(owed) + " bytes of answers that were not taken yet and " +
           "expects " + std::to_string(answer_bytes) + " more, wanted at most " +
           std::to_string(limits_.answer_bytes);
  }
  return "";
}

std::string MemoryBudget::take_large(std::size_t bytes) {
  std::size_t all = large.load(std::memory_order_relaxed), most = limits_.answer_bytes;
  do {
    if (all == 0 || all + bytes <= most) continue;
    return "expects " + std::to_string(all) +
           " bytes for requests of large values and would expect " + std::to_string(bytes) +
           " more, wanted at most " + std::to_string(most);
  } while (!large.compare_exchange_weak(all, all + bytes, std::memory_order_relaxed));
  return "";
}

bool MemoryBudget::resize_reading(std::size_t now, std::size_t wanted, bool member) {
  std::size_t limit = limits_.reading_bytes * (member ? 2 : 1);
  std::size_t all = reading.load(std::memory_order_relaxed);
  do {
    std::size_t others = all - now;
    if (wanted > now && others != 0 && others + wanted > limit) return false;
  } while (!reading.compare_exchange_weak(all, all - now + wanted, std::memory_order_relaxed));
  return true;
}

bool MemoryBudget::reading_is_short() const {
  std::size_t waits = wait_to_read.load(std::memory_order_relaxed);
  if (waits == 0) return false;
  return tight() || reading.load(std::memory_order_relaxed) + waits > limits_.reading_bytes;
}

std::string MemoryBudget::full() const {
  return limits_.resident_bytes != 0 && resident() >= limits_.resident_bytes ? uses() : "";
}

bool MemoryBudget::measured(std::size_t bytes) {
  resident_.store(bytes, std::memory_order_relaxed);
  if (limits_.resident_bytes == 0) return false;
  bool was = tight();
  bool is =
      bytes > limits_.resident_bytes / 8 * 7 || (was && bytes > limits_.resident_bytes / 4 * 3);
  tight_.store(is, std::memory_order_relaxed);
  return is != was;
}

bool MemoryBudget::measure(Instant now) {
  if (measured_at_ != Instant::never() && now - measured_at_ < measure_every) return false;
  measured_at_ = now;
  if (tight() && (trimmed_at_ == Instant::never() || now - trimmed_at_ > trim_every)) {
    trimmed_at_ = now;
    ::malloc_trim(0);
  }
  return measured(resident_bytes());
}

}  // namespace ringlet
