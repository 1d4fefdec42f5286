// One run of `veche bench`: ballots are sent for a while, after a warm-up, and what was seen in
// that while is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/result.h"
#include "ingest/http/load_generator.h"
#include "tools/veche/bench_books.h"
#include "tools/veche/bench_requests.h"

namespace veche::tools {

// When ballots came in a real poll: moments from 0 to below 1, ascending.
using ArrivalShape = std::vector<double>;

// From a table of comma-separated values, .gz or not, whose first column is the time of each vote
// in milliseconds; rows in any order.
Result<ArrivalShape> read_arrivals(const std::string& path);

struct BenchWay {
  std::uint32_t rate = 0;  // ballots a second at planned times; 0: as fast as answers come
  http::GeneratorOptions load;
  std::chrono::nanoseconds warmup{};
  std::chrono::nanoseconds duration{};
  // Not the same distance between all ballots of the duration, but this. Needs a rate.
  ArrivalShape arrivals;
  std::size_t readers = 0;  // that ask for the results once a second
};

// The server that is measured.
struct BenchServer {
  std::string url;
  std::string metrics_url;  // empty: unknown
};

struct Latencies {
  double p50_ms = 0, p90_ms = 0, p99_ms = 0, p999_ms = 0, max_ms = 0;
};

struct BenchFigures {
  double seconds = 0;
  std::uint32_t asked_rate = 0;  // ballots a second; 0: as fast as answers come
  bool is_supply_over = false;   // it ended before its time: all ballots were sent
  std::uint64_t unsent = 0;      // planned, and no connection was free for them in time
  std::map<std::string, std::uint64_t> by_code;  // ballots answered in that time
  std::uint64_t failed = 0;                      // ballots whose connection ended before the answer
  std::uint64_t broken_connections = 0;          // these three in the warm-up too
  std::uint64_t connections = 0;
  Latencies latency;          // of a request
  Latencies counted_latency;  // from its sending, of those with a ballot accepted or recorded
  std::uint64_t reads = 0;
  std::uint64_t failed_reads = 0;
  Latencies read_latency;
  double steal_percent = 0;
  double generator_cpu_us = 0;  // per answered ballot
  double generator_share = 0;   // of one core
  double lateness_p99_ms = 0;   // of sending planned requests
  std::uint64_t waits_for_signing = 0;
  double signing_cpu_us = 0;  // per ballot, while requests were sent
  // From the server's metrics; none where they could not be read.
  std::optional<double> server_cpu_us;  // per answered ballot
  std::optional<double> sync_p50_ms, sync_p99_ms, group_records;

  std::uint64_t answered() const;
  std::uint64_t counted() const;  // accepted or recorded
  double rate() const { return static_cast<double>(answered()) / seconds; }
  double counted_rate() const { return static_cast<double>(counted()) / seconds; }
  // Ballots that a server in trouble refused for now, or lost.
  std::uint64_t turned_away() const;
  // Whether the generator itself was the limit: then the server may be faster than the figures.
  bool generator_was_limit() const;
};

// Blocks for warm-up and duration. `supply` must be ready. A fault: no server, or Ctrl-C.
Result<BenchFigures> run_bench(const BenchServer& server, const BenchPoll& poll,
                               const BenchWay& way, RequestSupply& supply, BenchBooks& books);

// Sends every ballot of unknown fate again until the server says what became of it.
Result<void> settle_unknown(ApiClient& client, RequestWriter& writer, BenchBooks& books);

}  // namespace veche::tools
