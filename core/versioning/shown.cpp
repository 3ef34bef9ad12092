#include "versioning/shown.hpp"

#include <algorithm>
#include <tuple>

namespace ringlet {
namespace {

bool same_value(const Version& a, const Version& b) {
  return a.content_type == b.content_type && a.value == b.value &&
         a.content_type != document_content_type;
}

bool newer(const Version& a, const Version& b) {
  return std::tie(a.written_us, a.dot) > std::tie(b.written_us, b.dot);
}

}  // namespace

Shown shown(const Object& object, Deletes deletes) {
  Shown result;
  result.versions = siblings(object);
  bool deleted = std::any_of(result.versions.begin(), result.versions.end(),
                             [](const Version* v) { return v->tombstone; });
  if (deleted && deletes == Deletes::win) {
    result.versions.clear();
    return result;
  }
  if (deleted && deletes == Deletes::lose) {
    std::erase_if(result.versions, [](const Version* v) { return v->tombstone; });
  }
  if (result.versions.size() < 2) return result;

  // The number of siblings is small and bounded (limits.max_siblings), and most are different in
  // size, so comparing each with each costs less than hashing all values would.
  std::vector<const Version*> one_each;
  one_each.reserve(result.versions.size());
  for (const Version* version : result.versions) {
    auto same = std::find_if(one_each.begin(), one_each.end(), [&](const Version* other) {
      return version->tombstone == other->tombstone &&
             (version->tombstone || same_value(*version, *other));
    });
    if (same == one_each.end()) {
      one_each.push_back(version);
    } else if (newer(*version, **same)) {
      *same = version;
    }
  }
  std::sort(one_each.begin(), one_each.end(),
            [](const Version* a, const Version* b) { return a->dot < b->dot; });
  result.versions = std::move(one_each);
  result.conflict = result.versions.size() > 1;
  return result;
}

}  // namespace ringlet
