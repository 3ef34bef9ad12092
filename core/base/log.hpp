// Where a record goes is the embedder's business: a node or client is given a sink and knows no
// logging library. The sink may be called from any Ringlet thread and must not block or throw.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace ringlet {

enum class LogLevel { trace, debug, info, warn, error };
const char* name_of(LogLevel level);
using LogSink = std::function<void(LogLevel level, std::string_view part, const std::string& text)>;

// The text on one line of a log: control characters and bytes that are not UTF-8 become \xNN, so
// that what a stranger sent can neither begin a record of its own nor move a terminal's cursor.
std::string one_line(std::string_view text);

}  // namespace ringlet
