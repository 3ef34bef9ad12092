#include "troubles.hpp"

namespace ringlet::sim {

void Troubles::begin(HostId host, bool speaks) {
  ++hosts_.at(host).bad;
  if (!speaks) ++hosts_[host].silent;
}

void Troubles::end(HostId host, bool speaks) {
  Trouble& trouble = hosts_.at(host);
  --trouble.bad;
  trouble.bad_ended = world_.now();
  if (speaks) return;
  --trouble.silent;
  trouble.silent_ended = world_.now();
}

void Troubles::end_weather() {
  --weather_;
  weather_ended_ = world_.now();
}

bool Troubles::good_since(HostId host, Instant from) const {
  return hosts_.at(host).bad == 0 && hosts_[host].bad_ended < from;
}

bool Troubles::speaks_since(HostId host, Instant from) const {
  return hosts_.at(host).silent == 0 && hosts_[host].silent_ended < from;
}

}  // namespace ringlet::sim
