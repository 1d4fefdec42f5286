// What `veche bench` reads beside the answers: the CPU time of processes, what the hypervisor took,
// the server's own metrics. Callable from any thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/result.h"

namespace veche::tools {

// CPU time of all cores together since the machine started, in its own ticks.
struct MachineTicks {
  std::uint64_t all = 0;
  std::uint64_t steal = 0;  // taken by the hypervisor
};
MachineTicks read_machine_ticks();

struct Machine {
  unsigned cores = 0;
  std::string cpu;
  std::string kernel;
};
Machine read_machine();

// Samples of a page of metrics, by name with labels as they stand there.
class MetricsPage {
 public:
  static Result<MetricsPage> fetch(const std::string& url);  // http://host:port
  std::optional<double> value(const std::string& name) const;

  // A histogram's buckets: upper bound in seconds, and how many observations up to it.
  std::map<double, double> buckets(const std::string& name) const;

 private:
  std::map<std::string, double> samples_;
};

// The `share` of the observations between two readings of a histogram were below this many seconds;
// within a bucket they are taken as even. None: there were none.
std::optional<double> quantile_between(const MetricsPage& before, const MetricsPage& after,
                                       const std::string& histogram, double share);

}  // namespace veche::tools
