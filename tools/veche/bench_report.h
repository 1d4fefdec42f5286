// How `veche bench` tells what it saw, for people and for machines.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "tools/veche/bench_machine.h"
#include "tools/veche/bench_run.h"

namespace veche::tools {

struct BenchLabel {
  std::string algorithm;
  std::size_t batch_lines = 0;
  std::uint64_t seed = 0;
};

boost::json::object bench_json(const BenchWay& way, const BenchFigures& figures);
// Versions, build, machine, and what was prepared.
boost::json::object bench_circumstances(const BenchLabel& label, const Machine& machine,
                                        const std::string& server_version);

void print_bench(const BenchWay& way, const BenchFigures& figures);

// Whether a planned rate was kept: p99 within the limit, everything sent, nobody turned away.
bool keeps_limit(const BenchFigures& figures, double limit_ms);

// The steps of a sweep, one a row.
void print_sweep(const std::vector<BenchFigures>& steps, double limit_ms);

}  // namespace veche::tools
