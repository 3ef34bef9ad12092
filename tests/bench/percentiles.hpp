// Times of a load, and what people ask of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace ringlet::bench {

class Times {
 public:
  void add(std::int64_t ns) { ns_.push_back(ns); }
  void join(const Times& other) { ns_.insert(ns_.end(), other.ns_.begin(), other.ns_.end()); }
  std::size_t count() const { return ns_.size(); }
  // {"count":…,"mean_us":…,"p50_us":…,"p99_us":…,"p999_us":…}
  std::string json() {
    std::sort(ns_.begin(), ns_.end());
    double sum = 0;
    for (std::int64_t ns : ns_) sum += static_cast<double>(ns);
    double mean = ns_.empty() ? 0 : sum / static_cast<double>(ns_.size()) / 1000;
    char text[200];
    std::snprintf(
        text, sizeof text,
        "{\"count\":%zu,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f}",
        ns_.size(), mean, at(0.5), at(0.99), at(0.999));
    return text;
  }

 private:
  double at(double share) const {
    if (ns_.empty()) return 0;
    auto index = static_cast<std::size_t>(share * static_cast<double>(ns_.size() - 1));
    return static_cast<double>(ns_[index]) / 1000;
  }
  std::vector<std::int64_t> ns_;
};

}  // namespace ringlet::bench
