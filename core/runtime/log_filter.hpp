// Between those who log and the log: one line a record, and two for a condition that repeats.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/instant.hpp"
#include "base/log.hpp"

namespace ringlet {

// Records of one condition that repeats, such as "connection to 10.0.0.7:7400 lost", become two: the
// first goes out at once, and when the condition has been quiet for `quiet`, one more says how often
// it was met in all. Two records are of one condition when part, level and text agree, apart from
// ports and from numbers that carry a unit (ms, s, us, bytes, MiB). Records below info pass as they
// are. Every text is also made one_line(). Thread-safe.
class LogFilter {
 public:
  // `under` is called with the filter's lock held.
  explicit LogFilter(LogSink under, Duration quiet = Duration::seconds(10));
  void write(LogLevel level, std::string_view part, const std::string& text, Instant now);
  // Says which conditions are over. To be called now and then, and with Instant::never() at the end.
  void look(Instant now);
  static constexpr std::size_t most_conditions = 512;  // beyond it records pass as they are

 private:
  struct Condition {
    LogLevel level;
    std::string part, first;
    Instant began, last;
    std::uint64_t times = 1;
  };
  void end(const Condition& condition);

  const LogSink under_;
  const Duration quiet_;
  std::mutex mutex_;
  std::map<std::string, Condition> conditions_;
};

}  // namespace ringlet
