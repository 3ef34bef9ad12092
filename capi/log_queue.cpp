#include "log_queue.hpp"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "handles.hpp"

namespace ringlet::capi {

std::shared_ptr<LogQueue> LogQueue::make(std::optional<LogLevel> least) {
  auto queue = std::make_shared<LogQueue>();
  queue->least_ = least;
  return queue;
}

LogSink LogQueue::sink(std::shared_ptr<LogQueue> queue, std::string prefix) {
  return [queue = std::move(queue), prefix = std::move(prefix)](
             LogLevel level, std::string_view part, const std::string& text) {
    try {
      queue->add(level, part, prefix + text);
    } catch (...) {
      // No memory for a log record: it is lost, the request it told about is not.
    }
  };
}

void LogQueue::add(LogLevel level, std::string_view part, const std::string& text) {
  if (!least_ || level < *least_) return;
  std::lock_guard lock(mutex_);
  if (records_.size() >= room) {
    ++dropped_;
    return;
  }
  records_.push_back({level, std::string(part), text});
}

std::optional<LogQueue::Record> LogQueue::next() {
  std::lock_guard lock(mutex_);
  if (records_.empty()) {
    if (dropped_ == 0) return std::nullopt;
    Record record{LogLevel::warn, "log",
                  std::to_string(dropped_) + " records did not fit and are lost"};
    dropped_ = 0;
    return record;
  }
  Record record = std::move(records_.front());
  records_.pop_front();
  return record;
}

ringlet_text* LogQueue::next_text() {
  std::optional<Record> record = next();
  if (!record) return nullptr;
  boost::json::object json;
  json["level"] = name_of(record->level);
  json["part"] = record->part;
  // What a peer sent may be quoted in it; JSON has to be UTF-8.
  json["text"] = is_utf8(record->text) ? record->text : printable(record->text, 1024);
  return make_text(boost::json::serialize(json));
}

std::size_t LogQueue::drain(ringlet_log_fn fn, void* user_data) {
  std::size_t count = 0;
  // At most what may wait at once: a busy logger must not keep the caller for ever.
  while (count <= room) {
    std::optional<Record> record = next();
    if (!record) break;
    fn(user_data, static_cast<int>(record->level), record->part.c_str(), record->text.c_str());
    ++count;
  }
  return count;
}

}  // namespace ringlet::capi
