// `veche bench`: load, and proof that every ballot of it was counted once.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <optional>

#include "engine/model/limits.h"
#include "tools/veche/bench_books.h"
#include "tools/veche/bench_machine.h"
#include "tools/veche/bench_poll.h"
#include "tools/veche/bench_report.h"
#include "tools/veche/bench_requests.h"
#include "tools/veche/bench_run.h"
#include "tools/veche/command.h"
#include "tools/veche/interrupt.h"
#include "tools/veche/open_files.h"
#include "tools/veche/output.h"
#include "tools/veche/own_server.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using std::chrono::nanoseconds;

// What lies ready before the clock runs: at most so many ballots, and seconds' worth of a rate.
constexpr std::uint64_t kWindowBallots = 2'000'000;
constexpr std::uint64_t kWindowSeconds = 240;
// As many as no server on one machine answers in a second: a closed loop never runs dry.
constexpr double kFastestRate = 400'000;
constexpr double kFastestSingleRate = 130'000;
// RSA and Ed25519 take longer to sign than to verify: all is signed before the clock runs.
constexpr std::uint64_t kSlowBallots = 100'000;
constexpr double kLongestSeconds = 86'400;

struct BenchOptions {
  std::string server;
  std::string keys;
  std::string metrics;
  std::string algorithm = "hs256";
  std::uint32_t rate = 0;
  bool sweep = false;
  double sweep_limit_ms = 5;
  double duration_seconds = 10;
  double warmup_seconds = 2;
  std::size_t connections = 64;
  std::size_t pipeline = 1;
  std::size_t batch_lines = 0;
  std::uint64_t per_connection = 0;
  std::uint64_t ballots = 0;
  BallotMix mix;
  std::string territories = "zipf";
  std::size_t readers = 0;
  std::string arrivals;
  std::uint64_t seed = 1;
  bool json = false;
};

nanoseconds from_seconds(double seconds) {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
}

auth::Algorithm algorithm_named(const std::string& name) {
  if (name == "rs256") return auth::Algorithm::kRs256;
  if (name == "ps256") return auth::Algorithm::kPs256;
  if (name == "ed25519") return auth::Algorithm::kEdDsa;
  return auth::Algorithm::kHs256;
}

class Bench {
 public:
  Bench(const BenchOptions& options, ApiClient& client, BenchServer server, std::string issuer)
      : options_(options),
        client_(client),
        server_(std::move(server)),
        issuer_(std::move(issuer)),
        machine_(read_machine()) {}

  Result<Exit> run() {
    if (auto version = read_version(); !version) return version.error();
    if (auto way = plan_way(); !way) return way.error();
    auto poll = open_bench_poll(client_);
    if (!poll) return poll.error();
    poll_ = std::move(*poll);
    auto done = measure();
    if (!done) (void)close_bench_poll(client_, poll_);  // why it failed is told, not this
    return done;
  }

 private:
  Result<Exit> measure() {
    if (poll_.homes.empty()) return Fault{"the server's territories have no place to live in"};
    books_.emplace(poll_, options_.batch_lines == 0);
    auto done = options_.sweep ? sweep() : run_once();
    if (!done) return done.error();
    return prove();
  }

  Result<void> read_version() {
    const auto version = client_.get("/version");
    if (!version) return version.error();
    version_ = std::string(version->at("version").as_string());
    return {};
  }

  Result<void> plan_way() {
    way_.rate = options_.rate;
    way_.warmup = from_seconds(options_.warmup_seconds);
    way_.duration = from_seconds(options_.duration_seconds);
    way_.readers = options_.readers;
    way_.load.connections = options_.connections;
    way_.load.pipeline = options_.pipeline;
    if (options_.per_connection > 0) way_.load.requests_per_connection = options_.per_connection;
    if (options_.arrivals.empty()) return {};
    auto shape = read_arrivals(options_.arrivals);
    if (!shape) return shape.error();
    way_.arrivals = std::move(*shape);
    return {};
  }

  // How many ballots are made at most, and how many of them lie ready.
  SupplyOptions supply_options() const {
    SupplyOptions supply;
    supply.authority = server_.url.substr(std::string_view("http://").size());
    supply.issuer = issuer_;
    supply.batch_lines = options_.batch_lines;
    const auto seconds = options_.warmup_seconds + options_.duration_seconds;
    const auto fastest = options_.batch_lines > 0 ? kFastestRate : kFastestSingleRate;
    const auto rate = way_.rate > 0 ? static_cast<double>(way_.rate) : fastest;
    const bool is_slow = client_.issuer()->algorithm() != auth::Algorithm::kHs256;
    // A closed loop may be faster than we think, and then goes on with what is made meanwhile.
    const auto expected = static_cast<std::uint64_t>(rate * seconds) + 1;
    supply.ballots = way_.rate > 0 ? expected : UINT32_MAX;
    if (is_slow) supply.ballots = std::min(supply.ballots, kSlowBallots);
    if (options_.ballots > 0) supply.ballots = std::min(supply.ballots, options_.ballots);
    supply.window = std::min({expected, supply.ballots, kWindowBallots});
    if (is_slow) supply.window = supply.ballots;
    if (way_.rate > 0) supply.window = std::min(supply.window, way_.rate * kWindowSeconds);
    return supply;
  }

  Result<BenchFigures> run_way() {
    BallotPlan plan(poll_, options_.seed + next_voter_, options_.mix, options_.batch_lines == 0,
                    next_voter_);
    auto supply = RequestSupply::start(poll_, std::move(plan), supply_options());
    if (!supply) return supply.error();
    (*supply)->wait_until_ready();
    note_prepared((*supply)->made());
    auto figures = run_bench(server_, poll_, way_, **supply, *books_);
    next_voter_ = (*supply)->stop();
    return figures;
  }

  void note_prepared(const RequestSupply::Made& made) {
    prepared_ = made;
    if (options_.json || options_.sweep) return;
    print("{} requests with {} ballots signed beforehand, {:.1f} us of CPU a ballot\n",
          made.requests, made.ballots,
          std::chrono::duration<double, std::micro>(made.cpu).count() /
              static_cast<double>(std::max<std::uint64_t>(made.ballots, 1)));
  }

  Result<void> run_once() {
    auto figures = run_way();
    if (!figures) return figures.error();
    report_ = bench_json(way_, *figures);
    if (!options_.json) print_bench(way_, *figures);
    return {};
  }

  // Halves the interval between the highest rate that keeps the limit and the lowest that does not.
  Result<void> sweep() {
    constexpr int kSteps = 8;
    std::vector<BenchFigures> steps;
    way_.rate = 0;
    const auto fastest = run_way();
    if (!fastest) return fastest.error();
    std::uint32_t good = 0, bad = static_cast<std::uint32_t>(fastest->counted_rate());
    for (int step = 0; step < kSteps && bad - good > bad / 50; ++step) {
      way_.rate = std::max(good + (bad - good) / 2, 1u);
      auto figures = run_way();
      if (!figures) return figures.error();
      const bool keeps = keeps_limit(*figures, options_.sweep_limit_ms);
      (keeps ? good : bad) = way_.rate;
      steps.push_back(std::move(*figures));
    }
    std::sort(steps.begin(), steps.end(),
              [](const auto& a, const auto& b) { return a.asked_rate < b.asked_rate; });
    tell_sweep(*fastest, steps, good);
    return {};
  }

  void tell_sweep(const BenchFigures& fastest, const std::vector<BenchFigures>& steps,
                  std::uint32_t highest) {
    json::array table;
    for (const auto& step : steps) table.push_back(bench_json(way_, step));
    report_ = {{"closed_loop", bench_json(way_, fastest)},
               {"p99_limit_ms", options_.sweep_limit_ms},
               {"highest_rate", highest},
               {"steps", std::move(table)}};
    if (options_.json) return;
    print("closed loop: {:.0f} a second counted\n", fastest.counted_rate());
    print_sweep(steps, options_.sweep_limit_ms);
    print("{} a second is the highest rate with p99 up to {:g} ms\n", highest,
          options_.sweep_limit_ms);
  }

  // The server's final numbers against our books.
  Result<Exit> prove() {
    auto writer = RequestWriter::load(issuer_, poll_);
    if (!writer) return writer.error();
    client_.set_patience(std::chrono::seconds(30));
    if (auto settled = settle_unknown(client_, *writer, *books_); !settled) return settled.error();
    if (auto closed = close_bench_poll(client_, poll_); !closed) return closed.error();
    const auto results =
        client_.get(fmt::format("/v1/polls/{}/results?by=territory", poll_.definition.id.view()));
    if (!results) return results.error();
    const auto comparison = books_->compare(*results);
    const bool proved = comparison.differences.empty();
    if (options_.json)
      print_json(comparison);
    else
      print_proof(comparison);
    return proved ? Exit::ok : Exit::failed;
  }

  void print_proof(const Comparison& comparison) const {
    for (const auto& difference : comparison.differences) print("{}\n", difference);
    if (comparison.differences.empty())
      print("proved: {} voters, each counted once; all {} counts equal\n", books_->voters_counted(),
            comparison.compared);
    else
      print("NOT PROVED: {} differences\n", comparison.differences.size());
  }

  void print_json(const Comparison& comparison) {
    report_["circumstances"] =
        bench_circumstances({std::string(auth::text(client_.issuer()->algorithm())),
                             options_.batch_lines, options_.seed},
                            machine_, version_);
    report_["options"] = {{"warmup_seconds", options_.warmup_seconds},
                          {"dup_percent", options_.mix.again_percent},
                          {"other_answer_percent", options_.mix.other_answer_percent},
                          {"bad_percent", options_.mix.bad_percent},
                          {"territories", options_.territories},
                          {"readers", options_.readers},
                          {"arrivals", options_.arrivals},
                          {"per_connection", options_.per_connection}};
    report_["prepared"] = {{"requests", prepared_.requests}, {"ballots", prepared_.ballots}};
    report_["voters_counted"] = books_->voters_counted();
    report_["counts_compared"] = comparison.compared;
    report_["differences"] =
        json::array(comparison.differences.begin(), comparison.differences.end());
    report_["proved"] = comparison.differences.empty();
    print("{}\n", json::serialize(report_));
  }

  const BenchOptions& options_;
  ApiClient& client_;
  const BenchServer server_;
  const std::string issuer_;
  const Machine machine_;
  std::string version_;
  BenchPoll poll_;
  BenchWay way_;
  std::optional<BenchBooks> books_;
  std::uint32_t next_voter_ = 0;
  RequestSupply::Made prepared_;
  json::object report_;
};

Result<Exit> bench(BenchOptions options) {
  if (options.mix.again_percent + options.mix.other_answer_percent + options.mix.bad_percent > 100)
    return Fault{
        "--dup-percent, --other-answer-percent and --bad-percent are more than 100 in all"};
  if (!options.arrivals.empty() && options.rate == 0)
    return Fault{"--arrivals needs --rate: how many ballots a second on the average"};
  if (!options.arrivals.empty() && options.ballots > 0)
    return Fault{"--arrivals needs --duration, and not --ballots: it is a shape in time"};
  if (options.ballots > 0) {
    options.warmup_seconds = 0;
    options.duration_seconds = kLongestSeconds;
  }
  while (options.server.ends_with('/')) options.server.pop_back();
  options.mix.homes = options.territories == "even" ? HomeLaw::even : HomeLaw::zipf;
  catch_interrupts();
  allow_many_files();
  std::unique_ptr<OwnServer> own;
  if (options.server.empty()) {
    auto started = OwnServer::start({}, algorithm_named(options.algorithm));
    if (!started) return started.error();
    own = std::move(*started);
  }
  const auto issuer = own ? own->issuer_json().string() : options.keys;
  const BenchServer server{own ? own->url() : options.server,
                           own ? own->metrics_url() : options.metrics};
  auto client = ApiClient::connect({server.url, issuer, {}});
  if (!client) return client.error();
  return Bench(options, *client, server, issuer).run();
}

}  // namespace

void add_bench(CLI::App& app) {
  auto& command = add_command(
      app, "bench", "Send ballots as fast as it goes, or at a rate, and prove that all are counted",
      {"veche bench --connections 256", "veche bench --rate 20000 --dup-percent 5 --readers 10",
       "veche bench --sweep --p99-limit 5",
       "veche bench --server http://127.0.0.1:8080 --keys keys/issuer.json --metrics "
       "http://127.0.0.1:9464"});
  const auto options = std::make_shared<BenchOptions>();
  auto* keys = command.add_option("--keys", options->keys, "issuer.json that the server trusts")
                   ->type_name("FILE");
  auto* server =
      command
          .add_option("--server", options->server,
                      "Address of a server; without it one is started and removed. The poll made "
                      "there is closed at the end and stays")
          ->needs(keys)
          ->type_name("URL");
  keys->needs(server);
  command
      .add_option("--metrics", options->metrics,
                  "Where that server tells its metrics: for its CPU time and its syncs")
      ->needs(server)
      ->type_name("URL");
  auto* rate = command
                   .add_option("--rate", options->rate,
                               "Open loop: ballots a second, each at its planned time, from which "
                               "its latency counts")
                   ->check(CLI::Range(1, 10'000'000));
  auto* max = command
                  .add_flag_function(
                      "--max", [](std::int64_t) {},
                      "Closed loop, which is the default: a connection sends when it has "
                      "its answer")
                  ->excludes(rate);
  auto* sweep = command
                    .add_flag("--sweep", options->sweep,
                              "Find the highest rate whose p99 stays under --p99-limit")
                    ->excludes(rate)
                    ->excludes(max);
  command.add_option("--p99-limit", options->sweep_limit_ms, "Milliseconds, for --sweep")
      ->needs(sweep)
      ->capture_default_str()
      ->check(CLI::Range(0.1, 10'000.0));
  auto* duration =
      command.add_option("--duration", options->duration_seconds, "Seconds that are measured");
  duration->capture_default_str()->check(CLI::Range(0.1, kLongestSeconds));
  auto* warmup = command
                     .add_option("--warmup", options->warmup_seconds,
                                 "Seconds before that, counted and proved")
                     ->capture_default_str()
                     ->check(CLI::Range(0.0, 3'600.0));
  command.add_option("--connections", options->connections, "Connections")
      ->capture_default_str()
      ->check(CLI::Range(1, 60'000));
  auto* pipeline =
      command.add_option("--pipeline", options->pipeline, "Requests of a connection on their way")
          ->capture_default_str()
          ->check(CLI::Range(std::size_t{1}, limits::kPipelineDepth));
  command
      .add_option("--per-connection", options->per_connection,
                  "Requests after which a connection is closed and made anew")
      ->excludes(pipeline)
      ->check(CLI::Range(1, 1'000'000));
  command
      .add_option("--batch", options->batch_lines,
                  "Ballots in each request, as a gateway sends them")
      ->check(CLI::Range(std::size_t{1}, limits::kBatchLines));
  command
      .add_option("--ballots", options->ballots,
                  "End after so many ballots, all of them measured: there is no warm-up")
      ->excludes(warmup)
      ->excludes(duration)
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{UINT32_MAX}));
  command.add_option("--alg", options->algorithm, "Algorithm of the tokens, of an own server")
      ->capture_default_str()
      ->excludes(server)
      ->check(CLI::IsMember({"hs256", "rs256", "ps256", "ed25519"}));
  command.add_option("--dup-percent", options->mix.again_percent, "Ballots sent before")
      ->check(CLI::Range(0.0, 100.0));
  command
      .add_option("--other-answer-percent", options->mix.other_answer_percent,
                  "Other ballots of voters who were there")
      ->check(CLI::Range(0.0, 100.0));
  command
      .add_option("--bad-percent", options->mix.bad_percent,
                  "Ballots that must be refused: signature, token, territory, answer, form")
      ->check(CLI::Range(0.0, 100.0));
  command
      .add_option("--territories", options->territories,
                  "Where voters live: zipf, a third of them in one place; or even")
      ->capture_default_str()
      ->check(CLI::IsMember({"zipf", "even"}));
  command
      .add_option("--readers", options->readers,
                  "Readers of the live results by territory, each once a second")
      ->check(CLI::Range(1, 10'000));
  command
      .add_option("--arrivals", options->arrivals,
                  "A table of real votes, their times in milliseconds first: the ballots of the "
                  "duration come in that shape")
      ->type_name("FILE");
  command.add_option("--seed", options->seed, "Other voters, homes and answers")
      ->capture_default_str();
  command.add_flag("--json", options->json, "Print JSON");
  on_run(command, [options] { return bench(*options); });
}

}  // namespace veche::tools
