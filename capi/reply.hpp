// A reply owns what an Outcome brought, and knows what an application is shown of it.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <vector>

#include "handles.hpp"
#include "runtime/client.hpp"

struct ringlet_reply {
  // `operation`: "get", "put", … for explain. Without `show_versions` count is 0.
  ringlet_reply(ringlet::Outcome outcome, const char* operation, bool show_versions,
                ringlet::Deletes deletes);
  std::atomic<std::size_t> references{1};
  const ringlet::Outcome outcome;
  const char* const operation;
  const ringlet::Deletes deletes;
  std::vector<const ringlet::Version*> shown;       // into outcome
  std::vector<std::array<unsigned char, 24>> dots;  // of `shown`
  ringlet::capi::Counted counted;
};

namespace ringlet::capi {

// Who answered and how often it was tried, as JSON: of an error, and of explain.
std::string details_of(const Outcome& outcome);
// The Failure an outcome is, with its details.
Failure failure_of(const Outcome& outcome);

}  // namespace ringlet::capi
