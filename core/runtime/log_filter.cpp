#include "runtime/log_filter.hpp"

#include <iterator>
#include <utility>

namespace ringlet {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A number that says how much, and not which: a port, or a count with a unit.
bool is_measure(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && text[begin - 1] == ':') return true;
  std::string_view after = text.substr(end);
  for (std::string_view unit : {" ms", " s", " us", " bytes", " MiB", " KiB", " times"}) {
    if (!after.starts_with(unit)) continue;
    char next = after.size() > unit.size() ? after[unit.size()] : ' ';
    if (!((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z'))) return true;
  }
  return false;
}

std::string condition_of(LogLevel level, std::string_view part, std::string_view text) {
  std::string condition(name_of(level));
  condition.append(":").append(part).append(":");
  for (std::size_t i = 0; i < text.size();) {
    if (!is_digit(text[i])) {
      condition += text[i++];
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && is_digit(text[end])) ++end;
    condition += is_measure(text, i, end) ? "#" : text.substr(i, end - i);
    i = end;
  }
  return condition;
}

}  // namespace

LogFilter::LogFilter(LogSink under, Duration quiet) : under_(std::move(under)), quiet_(quiet) {}

void LogFilter::write(LogLevel level, std::string_view part, const std::string& text, Instant now) {
  std::string line = one_line(text);
  std::lock_guard lock(mutex_);
  if (level < LogLevel::info) return under_(level, part, line);
  std::string name = condition_of(level, part, line);
  if (auto found = conditions_.find(name); found != conditions_.end()) {
    if (now - found->second.last < quiet_) {
      ++found->second.times;
      found->second.last = now;
      return;
    }
    end(found->second);
    conditions_.erase(found);
  }
  if (conditions_.size() < most_conditions) {
    conditions_.emplace(std::move(name), Condition{level, std::string(part), line, now, now});
  }
  under_(level, part, line);
}

void LogFilter::look(Instant now) {
  std::lock_guard lock(mutex_);
  for (auto it = conditions_.begin(); it != conditions_.end();) {
    bool over = now == Instant::never() || now - it->second.last >= quiet_;
    if (over) end(it->second);
    it = over ? conditions_.erase(it) : std::next(it);
  }
}

void LogFilter::end(const Condition& condition) {
  if (condition.times < 2) return;
  std::int64_t took_ms = (condition.last - condition.began).millis();
  under_(condition.level, condition.part,
         "no more of this, which was met " + std::to_string(condition.times) + " times in " +
             std::to_string(took_ms / 1000) + "." + std::to_string(took_ms / 100 % 10) +
             " s: " + condition.first);
}

}  // namespace ringlet
