// What `ringlet inspect` and `ringlet why` print.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <vector>

namespace ringlet {

// What one owner of a key answered: an object, as replica_json() of node/ makes it, or the reason why there is none.
struct ReplicaAnswer {
  std::string node;
  boost::json::value holds;
  std::string error;
};

// The name of the member with this id, which is 16 hex digits; the id itself where the ring does not know it.
using NameOfNode = std::function<std::string(const std::string& id)>;

// Dots are written `n2·1:17`: node, the number of its epoch among those that are met here, counter.
std::string inspect_text(const std::string& key, const std::vector<ReplicaAnswer>& owners,
                         const NameOfNode& name_of);
std::string why_text(const std::string& key, const std::vector<ReplicaAnswer>& owners,
                     const NameOfNode& name_of);

// Whether any owner that answered holds a version, deletes included.
bool any_version(const std::vector<ReplicaAnswer>& owners);

}  // namespace ringlet
