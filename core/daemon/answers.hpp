// What nodes answer to the command line, as text for people. Answers come from another process, perhaps
// of an older or newer release, perhaps not a node at all: nothing in them is taken for granted. A
// field that is missing or of another type is shown as "?"; no answer makes these functions throw.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "base/status.hpp"

namespace ringlet {

// A place in an answer; nothing when there is no such place. Cheap to copy; the answer must outlive it.
class NodeAnswer {
 public:
  NodeAnswer() = default;
  explicit NodeAnswer(const boost::json::value& value) : value_(&value) {}

  NodeAnswer operator[](
      const char* name) const;  // nothing when this is no object or has no such field
  explicit operator bool() const { return value_ != nullptr; }

  std::string text()
      const;  // a string, number or bool as text, "?" for all else; one line, printable
  std::string text_or(const std::string& otherwise) const;  // when it is no string
  std::optional<std::int64_t> number() const;               // a whole number that fits
  std::optional<bool> flag() const;
  std::vector<NodeAnswer> items() const;  // of an array; empty for all else

 private:
  const boost::json::value* value_ = nullptr;
};

// An answer that is a JSON object, else a sentence with the beginning of what came instead.
Result<boost::json::value> parse_answer(const std::string& node, const std::string& text);

// Why the node that gave this answer (to "status" or to "cluster status") serves no client, as far as
// the answer says: it waits to be joined, has left, was replaced, was turned away. "" when it serves.
std::string why_it_serves_nobody(const NodeAnswer& answer);

// One line of `ringlet status`: counts since the node's start, memory in MiB.
std::string status_line(const std::string& name, const std::string& address,
                        const NodeAnswer& answer);

// All lines that `ringlet cluster VERB` prints of an answer.
std::string cluster_text(const std::string& verb, const NodeAnswer& answer);

}  // namespace ringlet
