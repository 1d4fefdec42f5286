// What the benchmarks share: the proof before the timing, a folder that goes away, and the time
// for one item.
#pragma once

#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "bench/workload/workload.h"
#include "engine/apply/partition.h"

namespace veche::bench {

inline void prove(bool held, const char* what) {
  if (held) return;
  std::fprintf(stderr, "the answer is wrong, so there is nothing to time: %s\n", what);
  std::abort();
}

class TempFolder {
 public:
  TempFolder() {
    auto name = (std::filesystem::temp_directory_path() / "veche-bench-XXXXXX").string();
    prove(::mkdtemp(name.data()) != nullptr, "a temporary folder");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Shows items a second, and the time of one, where an iteration is `per_iteration` of them.
inline void count_items(benchmark::State& state, std::size_t per_iteration) {
  using benchmark::Counter;
  state.SetItemsProcessed(static_cast<std::int64_t>(per_iteration) * state.iterations());
  state.counters["per_item"] = Counter(static_cast<double>(per_iteration),
                                       Counter::kIsIterationInvariantRate | Counter::kInvert);
}

// The ballots of most benchmarks.
inline const Workload& workload() {
  static const Workload drawn(2026, 100'000);
  return drawn;
}

inline model::Offset apply_all(apply::Partition& partition, model::Offset first,
                               const model::RecordBatch& records) {
  for (const auto record : records) {
    partition.apply(first, record);
    first = first.plus(1);
  }
  return first;
}

// The workload is counted as drawn, and a second time around nobody counts again.
inline void prove_apply(model::VoterIndex& index) {
  apply::Partition partition({}, index);
  const auto log = workload().log();
  const auto end = apply_all(partition, {0}, log);
  const auto& tally = partition.polls().at(0)->tally;
  prove(partition.invalid() == 0 && workload().is_count(tally), "the count of the ballots");
  apply_all(partition, end, log);
  prove(partition.duplicates() == workload().ballots().size() && workload().is_count(tally),
        "the count after every ballot came twice");
}

}  // namespace veche::bench
