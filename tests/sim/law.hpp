// A law of docs/requirements.md: a small class that listens, and says when it is broken.
#pragma once

#include "scene.hpp"

namespace ringlet::sim {

// Where an object was seen, put into words only when something is wrong.
struct Where {
  const char* what;  // "a get by", "stored by", …
  HostId host;
};

class Law {
 public:
  Law(Scene& scene, Kind kind, const char* id, const char* name)
      : scene_(scene), kind_(kind), id_(id), name_(name) {}
  virtual ~Law() = default;
  const char* id() const { return id_; }
  const char* name() const { return name_; }

  virtual void on_reply(const Key&, const Object&, const Where&) {}
  virtual void on_stored(HostId, Table, const Key&, const Object&) {}  // each commit
  virtual void on_done(const Call&, const ClientCore::Outcome&) {}
  virtual void on_erased(HostId, const Key&, const Object&) {}  // an own copy; it is gone already
  virtual void on_hint_dropped(HostId, HostId, const Key&, const Object&) {}
  virtual void on_beat() {}         // often, while rings change
  virtual void on_tick() {}         // now and then while faults come and go
  virtual void hints_are_gone() {}  // healed, nothing read yet
  virtual void at_the_end() {}      // healed, read and quiet

 protected:
  void fail(const std::string& what) { scene_.fail({kind_, id_, name_, what}); }
  std::string text(const Where& where) const {
    return std::string(where.what) + " " + scene_.world.name_of_host(where.host);
  }
  Scene& scene_;

 private:
  Kind kind_;
  const char* id_;
  const char* name_;
};

// All of them, each told everything.
std::vector<std::unique_ptr<Law>> all_laws(Scene& scene);

// Two owners of a key that differ, in words; empty: all agree.
std::string difference(const Scene& scene);

// The key's copies on all disks that count, hints included; on one disk.
std::vector<Object> copies_of(const Scene& scene, const Key& key,
                              std::optional<HostId> without = std::nullopt);
std::vector<Object> copies_at(const Scene& scene, HostId node, const Key& key);

// A copy where it is not owned, in words; empty: none.
std::string surplus(const Scene& scene);

}  // namespace ringlet::sim
