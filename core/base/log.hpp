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

}  // namespace ringlet
