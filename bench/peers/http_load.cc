// The ballots of `veche bench` for servers that are not Veche: the same requests, sent in the same
// way, and what was counted told by option, for who looks into the other's database.
//
//   http_load URL --keys issuer.json --poll ID [--rate N] [--connections N] [--duration S] ...
//
// prints one line of JSON, with the members that `veche bench --json` has.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <boost/json.hpp>

#include "engine/model/limits.h"
#include "tools/veche/bench_report.h"
#include "tools/veche/bench_run.h"
#include "tools/veche/interrupt.h"
#include "tools/veche/region.h"

namespace {

using namespace veche;
using namespace veche::tools;
namespace json = boost::json;

constexpr double kFastestRate = 250'000;  // of a static answer
constexpr std::uint64_t kWindowBallots = 2'000'000;

struct Options {
  std::string url;
  std::string keys;
  std::string poll;
  std::uint32_t rate = 0;
  std::size_t connections = 64;
  std::size_t pipeline = 1;
  double duration_seconds = 5;
  double warmup_seconds = 1;
  std::uint64_t seed = 1;
};

std::chrono::nanoseconds from_seconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

BenchPoll poll_named(const std::string& id) {
  BenchPoll poll;
  poll.definition.id = model::PollId::parse(id).value();
  std::vector<model::Option> options;
  for (const auto option : kBenchOptions)
    options.push_back({std::string(option), {std::string(option), ""}});
  poll.definition.questions = {
      {std::string(kBenchQuestion), {}, model::QuestionKind::single, 1, 1, {}, std::move(options)}};
  for (const auto& home : make_region(1).homes) poll.homes.push_back(home.code);
  return poll;
}

json::object counted_by_option(const BenchBooks& books, const BenchPoll& poll) {
  Counts whole(poll.definition);
  for (const auto& [home, counts] : books.counts()) whole.add(counts);
  json::object by_option;
  for (std::size_t i = 0; i < kBenchOptions.size(); ++i)
    by_option[kBenchOptions[i]] = whole.questions[0][i].votes;
  return by_option;
}

Result<void> load(const Options& options) {
  const auto poll = poll_named(options.poll);
  BenchWay way;
  way.rate = options.rate;
  way.load.connections = options.connections;
  way.load.pipeline = options.pipeline;
  way.warmup = from_seconds(options.warmup_seconds);
  way.duration = from_seconds(options.duration_seconds);
  SupplyOptions supply_options;
  supply_options.authority = options.url.substr(options.url.rfind('/') + 1);
  supply_options.issuer = options.keys;
  supply_options.ballots = UINT32_MAX;
  const auto rate = options.rate > 0 ? static_cast<double>(options.rate) : kFastestRate;
  supply_options.window = std::min(
      static_cast<std::uint64_t>(rate * (options.duration_seconds + options.warmup_seconds)),
      kWindowBallots);
  auto supply = RequestSupply::start(poll, BallotPlan(poll, options.seed, {}, true, 0),
                                     std::move(supply_options));
  if (!supply) return supply.error();
  (*supply)->wait_until_ready();
  BenchBooks books(poll, true);
  const auto figures = run_bench({options.url, {}}, poll, way, **supply, books);
  if (!figures) return figures.error();
  auto report = bench_json(way, *figures);
  report["counted_in_all"] = books.voters_counted();
  report["by_option"] = counted_by_option(books, poll);
  fmt::print("{}\n", json::serialize(report));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Sends ballots to another server than Veche, and counts the answers.");
  app.add_option("URL", options.url, "http://host:port")->required();
  app.add_option("--keys", options.keys, "issuer.json")->required();
  app.add_option("--poll", options.poll, "Its id")->required();
  app.add_option("--rate", options.rate, "Open loop: ballots a second; without it a closed loop");
  app.add_option("--connections", options.connections, "Connections");
  app.add_option("--pipeline", options.pipeline, "Requests of a connection on their way");
  app.add_option("--duration", options.duration_seconds, "Seconds that are measured");
  app.add_option("--warmup", options.warmup_seconds, "Seconds before");
  app.add_option("--seed", options.seed, "Other voters");
  CLI11_PARSE(app, argc, argv);
  catch_interrupts();
  const auto done = load(options);
  if (!done) fmt::print(stderr, "http_load: {}\n", done.error().message);
  return done ? 0 : 1;
}
