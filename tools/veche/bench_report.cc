#include "tools/veche/bench_report.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "tools/veche/output.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

json::object latencies_json(const Latencies& latencies) {
  return {{"p50", latencies.p50_ms},
          {"p90", latencies.p90_ms},
          {"p99", latencies.p99_ms},
          {"p999", latencies.p999_ms},
          {"max", latencies.max_ms}};
}

json::value optional_json(const std::optional<double>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

std::string latencies_text(const Latencies& latencies) {
  return fmt::format("p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  p99.9 {:.2f}  max {:.2f} ms",
                     latencies.p50_ms, latencies.p90_ms, latencies.p99_ms, latencies.p999_ms,
                     latencies.max_ms);
}

std::string optional_text(const std::optional<double>& value, const char* unit) {
  return value ? fmt::format("{:.2f} {}", *value, unit) : "unknown";
}

void print_warnings(const BenchFigures& figures) {
  if (!figures.generator_was_limit()) return;
  print("warning: the generator was the limit");
  if (figures.waits_for_signing > 0)
    print("; it waited {} times for signed requests", figures.waits_for_signing);
  print(" (busy {:.0f} % of a core, late by {:.1f} ms at p99)\n", figures.generator_share * 100,
        figures.lateness_p99_ms);
}

}  // namespace

json::object bench_json(const BenchWay& way, const BenchFigures& figures) {
  json::object by_code;
  for (const auto& [code, count] : figures.by_code) by_code[code] = count;
  return {{"loop", figures.asked_rate > 0 ? "open" : "closed"},
          {"asked_rate", figures.asked_rate > 0 ? json::value(figures.asked_rate) : nullptr},
          {"connections", way.load.connections},
          {"pipeline", way.load.pipeline},
          {"seconds", figures.seconds},
          {"ballots_per_second", figures.rate()},
          {"counted_per_second", figures.counted_rate()},
          {"outcomes", std::move(by_code)},
          {"failed", figures.failed},
          {"unsent", figures.unsent},
          {"connections_made", figures.connections},
          {"connections_broken", figures.broken_connections},
          {"latency_ms", latencies_json(figures.latency)},
          {"counted_from_sending_ms", latencies_json(figures.counted_latency)},
          {"server_cpu_us", optional_json(figures.server_cpu_us)},
          {"generator_cpu_us", figures.generator_cpu_us},
          {"signing_cpu_us", figures.signing_cpu_us},
          {"generator_share", figures.generator_share},
          {"waits_for_signing", figures.waits_for_signing},
          {"lateness_p99_ms", figures.lateness_p99_ms},
          {"generator_was_limit", figures.generator_was_limit()},
          {"sync_p50_ms", optional_json(figures.sync_p50_ms)},
          {"sync_p99_ms", optional_json(figures.sync_p99_ms)},
          {"group_records", optional_json(figures.group_records)},
          {"reads", figures.reads},
          {"reads_failed", figures.failed_reads},
          {"read_latency_ms", latencies_json(figures.read_latency)},
          {"steal_percent", figures.steal_percent}};
}

json::object bench_circumstances(const BenchLabel& label, const Machine& machine,
                                 const std::string& server_version) {
  return {{"veche", VECHE_VERSION},           {"build", VECHE_BUILD_TYPE},
          {"server", server_version},         {"algorithm", label.algorithm},
          {"batch_lines", label.batch_lines}, {"seed", label.seed},
          {"cores", machine.cores},           {"cpu", machine.cpu},
          {"kernel", machine.kernel}};
}

void print_bench(const BenchWay& way, const BenchFigures& figures) {
  if (figures.is_supply_over)
    print("it ended after {:.1f} s, when all ballots were sent\n", figures.seconds);
  if (way.rate > 0)
    print("open loop: {} a second asked, {:.0f} answered, {:.0f} counted, for {:.1f} s\n", way.rate,
          figures.rate(), figures.counted_rate(), figures.seconds);
  else
    print("closed loop: {:.0f} a second answered, {:.0f} counted, for {:.1f} s\n", figures.rate(),
          figures.counted_rate(), figures.seconds);
  for (const auto& [code, count] : figures.by_code) print("  {:>10}  {}\n", count, code);
  if (figures.failed > 0) print("  {:>10}  lost with their connection\n", figures.failed);
  if (figures.unsent > 0)
    print("  {:>10}  planned and not sent: no connection was free\n", figures.unsent);
  print("latency of a request{}: {}\n", way.rate > 0 ? " from its planned time" : "",
        latencies_text(figures.latency));
  if (figures.counted() < figures.answered())
    print("of those counted, from its sending: {}\n", latencies_text(figures.counted_latency));
  if (way.readers > 0)
    print("{} readings of the results, {} failed: {}\n", figures.reads, figures.failed_reads,
          latencies_text(figures.read_latency));
  print("CPU a ballot: server {}, generator {:.2f} us, signing beside it {:.2f} us\n",
        optional_text(figures.server_cpu_us, "us"), figures.generator_cpu_us,
        figures.signing_cpu_us);
  if (figures.sync_p50_ms)
    print("sync of the log: p50 {}, p99 {}, {:.0f} records a group\n",
          optional_text(figures.sync_p50_ms, "ms"), optional_text(figures.sync_p99_ms, "ms"),
          figures.group_records.value_or(0));
  print("{} connections made, {} broken; {:.1f} % of the CPU stolen\n", figures.connections,
        figures.broken_connections, figures.steal_percent);
  print_warnings(figures);
}

bool keeps_limit(const BenchFigures& figures, double limit_ms) {
  return figures.latency.p99_ms <= limit_ms && figures.unsent == 0 && figures.turned_away() == 0;
}

void print_sweep(const std::vector<BenchFigures>& steps, double limit_ms) {
  std::vector<std::vector<std::string>> rows{
      {"ASKED/S", "COUNTED/S", "P50 MS", "P99 MS", "P99.9 MS", "MAX MS", ""}};
  for (const auto& step : steps)
    rows.push_back(
        {std::to_string(step.asked_rate), fmt::format("{:.0f}", step.counted_rate()),
         fmt::format("{:.2f}", step.latency.p50_ms), fmt::format("{:.2f}", step.latency.p99_ms),
         fmt::format("{:.2f}", step.latency.p999_ms), fmt::format("{:.2f}", step.latency.max_ms),
         keeps_limit(step, limit_ms) ? "" : "over the limit"});
  using enum Align;
  print("{}", format_table(rows, {right, right, right, right, right, right, left}));
}

}  // namespace veche::tools
