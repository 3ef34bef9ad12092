// What applications do: each client takes turns until the scene is over. A workload knows nothing of
// faults, and its keys are its own.
#pragma once

#include <memory>

#include "scene.hpp"

namespace ringlet::sim {

class Workload {
 public:
  Workload(Scene& scene, std::uint64_t seed, Duration pause)
      : scene_(scene), random_(seed), pause_(pause) {}
  virtual ~Workload() = default;
  void start();
  // The keys of which every owner must agree in the end are those that were written: the book's.

 protected:
  virtual void turn(std::size_t client) = 0;  // ends with again(client)
  void again(std::size_t client);
  std::string next_name(std::size_t client);  // of a value, an item, a key: never the same again
  Scene& scene_;
  Random random_;

 private:
  Duration pause_;  // between two turns of a client, about
  std::uint64_t names_ = 0;
};

std::unique_ptr<Workload> make_workload(WorkloadKind kind, Scene& scene, std::uint64_t seed);

}  // namespace ringlet::sim
