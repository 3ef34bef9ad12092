#include "repair/own_copies.hpp"

#include <tuple>

namespace ringlet {

bool row_before(const Key& a, const Key& b) {
  return std::forward_as_tuple(a.bucket.size(), a.bucket, a.key) <
         std::forward_as_tuple(b.bucket.size(), b.bucket, b.key);
}

}  // namespace ringlet
