#include "base/status.hpp"

namespace ringlet {

const char* name_of(Code code) {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::invalid_context:
      return "invalid_context";
    case Code::too_large:
      return "too_large";
    case Code::unknown_option:
      return "unknown_option";
    case Code::busy:
      return "busy";
    case Code::closed:
      return "closed";
    case Code::forked:
      return "forked";
    case Code::abi_mismatch:
      return "abi_mismatch";
    case Code::unsupported:
      return "unsupported";
    case Code::timeout:
      return "timeout";
    case Code::unavailable:
      return "unavailable";
    case Code::quorum_not_met:
      return "quorum_not_met";
    case Code::overloaded:
      return "overloaded";
    case Code::cancelled:
      return "cancelled";
    case Code::too_many_siblings:
      return "too_many_siblings";
    case Code::corrupt:
      return "corrupt";
    case Code::merge_failed:
      return "merge_failed";
    case Code::update_exhausted:
      return "update_exhausted";
    case Code::internal:
      return "internal";
    case Code::no_memory:
      return "no_memory";
    case Code::io:
      return "io";
  }
  return "unknown";
}

bool Status::retryable() const {
  switch (code_) {
    case Code::timeout:
    case Code::unavailable:
    case Code::quorum_not_met:
    case Code::overloaded:
    case Code::busy:
      return true;
    default:
      return false;
  }
}

std::string Status::to_string() const {
  std::string text = name_of(code_);
  if (!message_.empty()) text += ": " + message_;
  return text;
}

}  // namespace ringlet
