#include "tools/veche/bench_machine.h"

#include <sys/utsname.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

#include "ingest/http/client.h"
#include "tools/veche/api_client.h"

namespace veche::tools {
namespace {

constexpr std::chrono::seconds kMetricsTimeout{5};

}  // namespace

// proc(5): user nice system idle iowait irq softirq steal.
MachineTicks read_machine_ticks() {
  std::ifstream stat("/proc/stat");
  std::string word;
  stat >> word;
  MachineTicks ticks;
  std::uint64_t value = 0;
  for (int column = 0; column < 8 && stat >> value; ++column) {
    ticks.all += value;
    if (column == 7) ticks.steal = value;
  }
  return ticks;
}

Machine read_machine() {
  Machine machine;
  machine.cores = std::thread::hardware_concurrency();
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) {
      machine.cpu = line.substr(std::min(line.find(':') + 2, line.size()));
      break;
    }
  utsname name{};
  if (uname(&name) == 0) machine.kernel = std::string(name.sysname) + " " + name.release;
  return machine;
}

Result<MetricsPage> MetricsPage::fetch(const std::string& url) {
  const auto answer = http::fetch(url, {.target = "/metrics"}, kMetricsTimeout);
  if (!answer) return answer.error();
  if (answer->status != 200) return fault_of(*answer);
  MetricsPage page;
  std::istringstream lines(answer->body);
  for (std::string line; std::getline(lines, line);) {
    const auto blank = line.rfind(' ');
    if (line.starts_with('#') || blank == std::string::npos) continue;
    double value = 0;
    const auto end = line.data() + line.size();
    if (std::from_chars(line.data() + blank + 1, end, value).ec == std::errc{})
      page.samples_[line.substr(0, blank)] = value;
  }
  return page;
}

std::optional<double> MetricsPage::value(const std::string& name) const {
  const auto found = samples_.find(name);
  if (found == samples_.end()) return std::nullopt;
  return found->second;
}

std::map<double, double> MetricsPage::buckets(const std::string& name) const {
  const auto prefix = name + "_bucket{le=\"";
  std::map<double, double> buckets;
  for (auto at = samples_.lower_bound(prefix);
       at != samples_.end() && at->first.starts_with(prefix); ++at) {
    const auto text = at->first.substr(prefix.size());
    double bound = std::numeric_limits<double>::infinity();
    if (!text.starts_with("+Inf")) std::from_chars(text.data(), text.data() + text.size(), bound);
    buckets[bound] = at->second;
  }
  return buckets;
}

std::optional<double> quantile_between(const MetricsPage& before, const MetricsPage& after,
                                       const std::string& histogram, double share) {
  const auto earlier = before.buckets(histogram);
  auto seen = after.buckets(histogram);
  for (auto& [bound, count] : seen)
    if (const auto found = earlier.find(bound); found != earlier.end()) count -= found->second;
  if (seen.empty() || seen.rbegin()->second <= 0) return std::nullopt;
  const auto wanted = share * seen.rbegin()->second;
  double lower_bound = 0, lower_count = 0;
  for (const auto& [bound, count] : seen) {
    if (count >= wanted) {
      if (std::isinf(bound) || count == lower_count) return lower_bound;
      return lower_bound + (bound - lower_bound) * (wanted - lower_count) / (count - lower_count);
    }
    lower_bound = bound;
    lower_count = count;
  }
  return lower_bound;
}

}  // namespace veche::tools
