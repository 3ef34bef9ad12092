// Who cannot be held to anything at the moment: the faults say when a host is in trouble, and the law
// of availability asks. An opinion takes time to form, so a host is judged only a while after.
#pragma once

#include <vector>

#include "sim/world.hpp"

namespace ringlet::sim {

class Troubles {
 public:
  Troubles(World& world, std::size_t hosts) : world_(world), hosts_(hosts) {}

  // `speaks`: it still answers, if only with a refusal.
  void begin(HostId host, bool speaks);
  void end(HostId host, bool speaks);
  // Of the network as a whole: luck has a part in everything.
  void begin_weather() { ++weather_; }
  void end_weather();
  // A split: hosts see only those of their own side; 0 is everybody's when there is none.
  void set_side(HostId host, int side) { hosts_[host].side = side; }
  int side(HostId host) const { return hosts_[host].side; }

  bool good_since(HostId host, Instant from) const;
  bool speaks_since(HostId host, Instant from) const;
  bool calm_since(Instant from) const { return weather_ == 0 && weather_ended_ < from; }

 private:
  struct Trouble {
    int bad = 0, silent = 0, side = 0;
    Instant bad_ended{}, silent_ended{};
  };
  World& world_;
  std::vector<Trouble> hosts_;
  int weather_ = 0;
  Instant weather_ended_{};
};

}  // namespace ringlet::sim
