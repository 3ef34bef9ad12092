#include "versioning/dot.hpp"

namespace ringlet {

std::string to_string(const Dot& dot) {
  return to_string(dot.actor.node) + "." + std::to_string(dot.actor.epoch) + ":" +
         std::to_string(dot.counter);
}

}  // namespace ringlet
