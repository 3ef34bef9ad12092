#include "document/deletes.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "base/planted.hpp"

namespace ringlet::document {
namespace {

bool deletes(const Object& object) {
  return object.mode == Reconcile::siblings &&
         std::any_of(object.versions.begin(), object.versions.end(),
                     [](const Version& v) { return v.tombstone; });
}

// The tables of the documents that may be dropped, taken before a change and noted after it.
class Tables {
 public:
  void take(const Object& object) {
    for (const Version& version : object.versions) {
      if (version.tombstone || version.content_type != document_content_type) continue;
      auto document = decode(version.value);
      // Damaged, or of a later release: then its table is lost.
      if (document) tables_.push_back({version.dot, std::move(document->events)});
    }
  }
  bool note(Object& object) const {
    if (tables_.empty() || !deletes(object) || planted(PlantedBug::document_table_deleted)) {
      return false;
    }
    std::int64_t newest_ms = 0;
    std::set<std::uint64_t> kept;  // only a copy of a document goes by what a document says
    for (const Version& version : object.versions) {
      newest_ms = std::max(newest_ms, version.written_us / 1000);
      if (version.tombstone || version.content_type != document_content_type) {
        kept.insert(fingerprint(version.write_id));
      }
    }
    std::vector<SpentWrite> notes;
    for (const auto& [dot, events] : tables_) {
      auto living = std::lower_bound(object.versions.begin(), object.versions.end(), dot,
                                     [](const Version& v, const Dot& d) { return v.dot < d; });
      if (living != object.versions.end() && living->dot == dot) continue;
      for (const Event& event : events) {
        if (kept.contains(event.print)) continue;
        // By the clocks of clients: one that is ahead must not keep a note for ever.
        notes.push_back({event.print, std::min(event.time_s * 1000, newest_ms)});
      }
    }
    return add_spent(object, std::move(notes));
  }

 private:
  std::vector<std::pair<Dot, std::vector<Event>>> tables_;
};

template <typename Sync>
bool with_tables(Object& object, const Object& other, const Sync& sync) {
  if (!deletes(object) && !deletes(other)) return sync(object, other);
  Tables tables;
  tables.take(object);
  tables.take(other);
  bool changed = sync(object, other);
  return tables.note(object) || changed;
}

}  // namespace

bool sync_with_tables(Object& object, const Object& other) {
  return with_tables(object, other, [](Object& a, const Object& b) { return ringlet::sync(a, b); });
}

bool sync_stored_with_tables(Object& object, const Object& other) {
  return with_tables(object, other,
                     [](Object& a, const Object& b) { return ringlet::sync_stored(a, b); });
}

Dot update_with_tables(Object& object, const CausalContext& seen, const Actor& actor, Write write,
                       std::int64_t wall_us) {
  Tables tables;
  if (write.tombstone || deletes(object)) tables.take(object);
  Dot dot = ringlet::update(object, seen, actor, std::move(write), wall_us);
  tables.note(object);
  return dot;
}

}  // namespace ringlet::document
