// Faults come in through process life, disks, clocks and the network, each from one FaultSpec. A
// fault that would break a promise nobody made (the last copy of an acknowledged write on the disk
// to be lost) does not happen.
#pragma once

#include "scene.hpp"

namespace ringlet::sim {

class Faults {
 public:
  explicit Faults(Scene& scene) : scene_(scene) {}
  void schedule();  // all of the plan's
  void heal();      // everybody back, everything whole

 private:
  void begin(const FaultSpec& fault);
  void crash(HostId node, bool machine, Duration time);
  void bring_back(HostId node);
  void cut_power(HostId node, Duration time);
  void kill_owners(Duration time);
  void kill_hint_holder(Duration time);
  void lose_disk(HostId node, Duration time);
  void go_back(HostId node, Duration time);
  void pause(HostId node, Duration time);
  void pause_client(Random& random, Duration time);
  void split(Random& random, Duration time, bool by_zone);
  void split_in_part(Random& random, Duration time);
  void one_way(HostId node, Random& random, Duration time);
  void weather(FaultKind kind, Random& random, Duration time);
  void slow_node(HostId node, Random& random, Duration time);
  void slow_disk(HostId node, Random& random, Duration time);
  void at_one_or_all(HostId node, Random& random, const std::function<void(HostId)>& what);
  void full_disk(HostId node, Duration time);
  void io_errors(HostId node, Duration time);
  void jump(HostId node, Random& random, Duration time);
  // Changes of the ring, each told to some member that is up.
  std::optional<HostId> member(Random& random, int side = 0) const;
  bool tell(HostId via, const std::string& verb, std::vector<std::string> arguments);
  bool join(HostId via);
  bool leave(HostId via, HostId who);
  void join_or_leave(Random& random, std::optional<HostId> via);
  void replace(HostId node, Random& random, Duration time);
  void change_on_two_sides(Random& random, Duration time);
  void leave_with_hints(HostId node, Random& random, Duration time);
  // When partitions move, which must be soon.
  void once_moving(std::function<void()> what, int tries = 100);
  void crash_in_transfer(std::uint64_t seed, Duration time);
  void mend();
  bool can_lose(HostId node);
  void trouble(HostId host, bool speaks, Duration time, std::function<void()> end);

  Scene& scene_;
  NetworkOptions network_;
  bool cut_ = false;  // one at a time
  bool healed_ = false;
  std::size_t joined_ = 0;                        // strangers that were told to join
  std::vector<std::pair<HostId, bool>> cut_off_;  // with whether it still speaks
};

}  // namespace ringlet::sim
