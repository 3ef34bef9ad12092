// Log records wait here until the embedding program fetches them: no thread of Ringlet runs its code.
// Bounded; what does not fit is counted. Thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "ringlet/ringlet.h"

namespace ringlet::capi {

class LogQueue {
 public:
  struct Record {
    LogLevel level;
    std::string part, text;
  };
  // Records below `least` are dropped and not counted. An empty optional: all of them are.
  static std::shared_ptr<LogQueue> make(std::optional<LogLevel> least);
  // A sink that keeps the queue alive.
  static LogSink sink(std::shared_ptr<LogQueue> queue, std::string prefix = {});

  std::optional<Record> next();
  ringlet_text* next_text();  // JSON; nullptr: none
  std::size_t drain(ringlet_log_fn fn, void* user_data);

 private:
  static constexpr std::size_t room = 1000;
  void add(LogLevel level, std::string_view part, const std::string& text);
  std::optional<LogLevel> least_;
  std::mutex mutex_;  // guards what follows
  std::deque<Record> records_;
  std::size_t dropped_ = 0;
};

}  // namespace ringlet::capi
