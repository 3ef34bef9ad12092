#include "versioning/shown.hpp"

#include <algorithm>
#include <tuple>

namespace ringlet {
namespace {

// Whether a reader is shown one of the two only.
bool shown_as_one(const Version& a, const Version& b) {
  if (a.tombstone || b.tombstone) return a.tombstone && b.tombstone;
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

  // Those that are shown as one come to lie side by side, the newest first. A key may have as many
  // siblings as limits.max_siblings lets it (65536 at most), and a client does this on the thread that
  // serves its other calls, so comparing each with each is no choice.
  std::vector<const Version*> one_each = std::move(result.versions);
  std::sort(one_each.begin(), one_each.end(), [](const Version* a, const Version* b) {
    auto what = [](const Version* v) {
      return std::tuple(v->tombstone, v->value.size(), BytesView(v->content_type),
                        BytesView(v->value));
    };
    if (auto x = what(a), y = what(b); x != y) return x < y;
    return newer(*a, *b);
  });
  one_each.erase(
      std::unique(one_each.begin(), one_each.end(),
                  [](const Version* a, const Version* b) { return shown_as_one(*a, *b); }),
      one_each.end());
  std::sort(one_each.begin(), one_each.end(),
            [](const Version* a, const Version* b) { return a->dot < b->dot; });
  result.versions = std::move(one_each);
  result.conflict = result.versions.size() > 1;
  return result;
}

}  // namespace ringlet
