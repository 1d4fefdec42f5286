// `veche demo`: a server of its own, a region, four polls, and voters over real HTTP.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include "engine/model/limits.h"
#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/demo_region.h"
#include "tools/veche/demo_screen.h"
#include "tools/veche/demo_voters.h"
#include "tools/veche/interrupt.h"
#include "tools/veche/output.h"
#include "tools/veche/own_server.h"
#include "tools/veche/poll_life.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kTick = 100ms;
constexpr auto kRedrawInterval = 500ms;
constexpr auto kLineInterval = 1s;
constexpr auto kFinalPatience = 20s;  // after the close
constexpr std::size_t kConnections = 16;
constexpr std::string_view kReason = "demo";

struct DemoOptions {
  std::uint64_t seconds = 0;  // 0: until Ctrl-C
  std::uint64_t rate = 300;
  std::uint64_t seed = 1;
  bool json = false;
};

enum class Wanted { live, final };

class Demo {
 public:
  Demo(ApiClient& client, const DemoOptions& options)
      : client_(client),
        options_(options),
        region_(make_demo_region(
            options.seed, std::chrono::time_point_cast<std::chrono::milliseconds>(now_seconds()))),
        voters_(region_, options.seed),
        books_(region_),
        out_(options.json ? stderr : stdout) {}

  Result<void> prepare() {
    const auto tree =
        client_.call_as(auth::Role::kOperator, {.method = "PUT",
                                                .target = "/v1/territories",
                                                .headers = {{"Content-Type", "text/csv"}},
                                                .body = region_.region.csv});
    if (!tree) return tree.error();
    if (tree->status != 200) return fault_of(*tree);
    for (const auto& poll : region_.polls) {
      if (auto opened = draft_and_open(client_, poll, kReason); !opened) return opened;
    }
    return {};
  }

  // As it can be called from the folder that this was called from: it need not be in the PATH.
  static std::string own_program() {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
    const auto near = std::filesystem::proximate(program, error);
    return error ? "veche" : near.string();
  }

  // Voters come until the time is over or Ctrl-C.
  Result<void> run() {
    print(out_,
          "Open this in a browser: {0}/ (live results)\n"
          "In another terminal: {1} watch bus-routes --server {0}\n",
          client_.url(), own_program());
    flush_output();
    DemoScreen screen(out_);
    const auto begin = Clock::now();
    for (auto shown = begin; !interrupted() && !is_over(begin);) {
      if (auto sent = send(due(begin)); !sent) return sent;
      if (Clock::now() - shown >=
          (screen.is_live() ? Clock::duration(kRedrawInterval) : Clock::duration(kLineInterval))) {
        shown = Clock::now();
        if (auto read = show(screen, begin, Wanted::live); !read) return read;
      }
      std::this_thread::sleep_for(kTick);
    }
    for (const auto& poll : region_.polls)
      if (auto closed = bring_to_close(client_, poll.id, kReason); !closed) return closed;
    return show(screen, begin, Wanted::final);
  }

  // Our books against the final results: every number of every poll and territory.
  Exit report() {
    Comparison whole;
    for (std::size_t i = 0; i < region_.polls.size(); ++i) {
      auto comparison =
          compare_with_results(region_.polls[i], books_.counted(i), state_.results[i]);
      for (auto& difference : comparison.differences)
        difference = fmt::format("{}: {}", region_.polls[i].id.view(), difference);
      whole.add(std::move(comparison));
    }
    const bool equal = whole.differences.empty();
    for (const auto& difference : whole.differences) print(out_, "{}\n", difference);
    if (options_.json)
      print_json(whole);
    else if (equal)
      print("all {} counts equal\n", whole.compared);
    else
      print("{} of {} counts DIFFER\n", whole.differences.size(), whole.compared);
    return equal ? Exit::ok : Exit::failed;
  }

 private:
  bool is_over(Clock::time_point begin) const {
    return options_.seconds > 0 && Clock::now() - begin >= std::chrono::seconds(options_.seconds);
  }

  // How many ballots should have been sent by now and were not; who came too late goes home.
  std::size_t due(Clock::time_point begin) {
    const std::chrono::duration<double> since = Clock::now() - begin;
    const auto wanted =
        static_cast<std::uint64_t>(since.count() * static_cast<double>(options_.rate));
    const auto count = std::min(wanted - scheduled_, options_.rate);
    scheduled_ = wanted;
    return count;
  }

  Result<void> send(std::size_t count) {
    if (count == 0) return {};
    std::vector<DemoBallot> in_work(std::min(count, kConnections));
    const auto report = http::run_load(
        client_.url(), {.connections = in_work.size()},
        [&](std::size_t connection) -> std::optional<http::Call> {
          if (count == 0) return std::nullopt;
          --count;
          in_work[connection] = voters_.next();
          return call_of(in_work[connection]);
        },
        [&](std::size_t connection, http::Call&, const http::Answer& answer) {
          if (answer.status == kServiceUnavailable && !interrupted())
            return http::Verdict::again(answer.retry_after.value_or(1s));
          books_.book(in_work[connection], answer);
          return http::Verdict::done();
        });
    if (!report) return report.error();
    return {};
  }

  http::Call call_of(const DemoBallot& ballot) {
    const auto& poll = region_.polls[ballot.poll];
    const auth::VoteClaims claims{
        poll.id, sub_of(poll.id, std::to_string(ballot.voter)), ballot.home, {}, limits::kMaxLevel};
    const auto token = client_.issuer()->mint_vote(claims, now_seconds(), limits::kTokenLifetime);
    return {.method = "POST",
            .target = fmt::format("/v1/polls/{}/ballots", poll.id.view()),
            .headers = {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}},
            .body = body_of(poll, ballot.answers)};
  }

  Result<void> show(DemoScreen& screen, Clock::time_point begin, Wanted wanted) {
    state_.url = client_.url();
    state_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    state_.results.clear();
    for (const auto& poll : region_.polls) {
      auto results = read(poll.id, wanted);
      if (!results) return results.error();
      state_.results.push_back(std::move(*results));
    }
    screen.show(region_, books_, state_);
    return {};
  }

  Result<json::value> read(const model::PollId& poll, Wanted wanted) {
    if (wanted == Wanted::final) return final_results(client_, poll, kFinalPatience);
    return client_.get(fmt::format("/v1/polls/{}/results?by=territory", poll.view()));
  }

  void print_json(const Comparison& whole) const {
    json::array polls;
    for (std::size_t i = 0; i < region_.polls.size(); ++i)
      polls.push_back(json::object{{"poll", region_.polls[i].id.str()},
                                   {"ballots", state_.results[i].at("ballots")},
                                   {"questions", state_.results[i].at("questions")}});
    const auto milliseconds = [&](double share) {
      return std::chrono::duration<double, std::milli>(books_.latency(share)).count();
    };
    print("{}\n",
          json::serialize(json::object{
              {"seconds", state_.seconds},
              {"ballots", books_.sent()},
              {"accepted", books_.accepted()},
              {"recorded", books_.recorded()},
              {"refused", books_.refused()},
              {"latency_ms", {{"p50", milliseconds(0.50)}, {"p99", milliseconds(0.99)}}},
              {"polls", std::move(polls)},
              {"counts_compared", whole.compared},
              {"differences", json::array(whole.differences.begin(), whole.differences.end())}}));
  }

  ApiClient& client_;
  const DemoOptions& options_;
  const DemoRegion region_;
  DemoVoters voters_;
  DemoBooks books_;
  DemoState state_;
  std::FILE* const out_;
  std::uint64_t scheduled_ = 0;
};

Result<Exit> demo(const DemoOptions& options) {
  catch_interrupts();
  const auto server = OwnServer::start({"--test-data"});
  if (!server) return server.error();
  auto client = ApiClient::connect({(*server)->url(), (*server)->issuer_json(), {}});
  if (!client) return client.error();
  Demo demo(*client, options);
  if (auto prepared = demo.prepare(); !prepared) return prepared.error();
  if (auto done = demo.run(); !done) return done.error();
  return demo.report();
}

}  // namespace

void add_demo(CLI::App& app) {
  auto& command = add_command(
      app, "demo", "Watch it count: a server, a region of 319 municipalities, polls and voters",
      {"veche demo", "veche demo --seconds 10 --rate 2000"});
  const auto options = std::make_shared<DemoOptions>();
  command.add_option("--seconds", options->seconds, "End by itself; without it Ctrl-C ends it")
      ->check(CLI::Range(1, 86'400));
  command.add_option("--rate", options->rate, "Ballots a second")
      ->check(CLI::Range(1, 20'000))
      ->capture_default_str();
  command.add_option("--seed", options->seed, "Another region and other voters")
      ->capture_default_str();
  command.add_flag("--json", options->json, "Print JSON at the end, and the table to stderr");
  on_run(command, [options] { return demo(*options); });
}

}  // namespace veche::tools
