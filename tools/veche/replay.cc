#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "engine/model/limits.h"
#include "ingest/wire/poll_json.h"
#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/interrupt.h"
#include "tools/veche/output.h"
#include "tools/veche/own_server.h"
#include "tools/veche/pabulib.h"
#include "tools/veche/poll_life.h"
#include "tools/veche/replay_check.h"
#include "tools/veche/replay_city.h"
#include "tools/veche/replay_load.h"
#include "tools/veche/replay_poll.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr int kTreeAttempts = 10;
constexpr int kPollAttempts = 2;

struct ReplayOptions {
  std::string file;
  std::string registry;
  std::string into;
  std::string server;
  std::string keys;
  ReplayWay way;
  std::optional<std::uint32_t> steps;  // k
  std::int64_t patience_seconds = ReplayWay().patience.count();
  bool json = false;
};

double seconds_of(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

// --- The server is made ready ------------------------------------------------------------------

// The tree as CSV; empty where the server has none yet.
Result<std::string> read_tree(const ApiClient& client) {
  auto answer = client.call({.target = kTodaysTree, .headers = {{"Accept", "text/csv"}}});
  if (!answer) return answer.error();
  if (answer->status == 200) return std::move(answer->body);
  if (code_of(*answer) == "no-territories") return std::string();
  return fault_of(*answer);
}

// What is added is in no doubt, and about the rest somebody else was asked when it was loaded.
constexpr auto kTreeTarget = "/v1/territories?force=1";

// Others may write the tree at the same time, and the last one wins: it is read until it has all.
Result<void> ensure_territories(ApiClient& client, const ReplayCity& city) {
  for (int attempt = 0; attempt < kTreeAttempts; ++attempt) {
    const auto present = read_tree(client);
    if (!present) return present.error();
    auto wanted = tree_with(*present, city);
    if (!wanted) return wanted.error();
    if (!*wanted) return {};
    const auto answer =
        client.call_as(auth::Role::kOperator, {.method = "PUT",
                                               .target = kTreeTarget,
                                               .headers = {{"Content-Type", "text/csv"}},
                                               .body = std::move(**wanted)});
    if (!answer) return answer.error();
    if (answer->status != 200 && code_of(*answer) != "overtaken") return fault_of(*answer);
  }
  return Fault{"others change the territory tree all the time; run it again when they are done"};
}

// The poll as the server has it, made first if it has none.
Result<json::value> ensure_poll(ApiClient& client, const model::PollDefinition& wanted) {
  const auto path = "/v1/polls/" + wanted.id.str();
  for (int attempt = 0; attempt < kPollAttempts; ++attempt) {
    const auto present = client.call_as(auth::Role::kAuditor, {.target = path});
    if (!present) return present.error();
    if (present->status != 404) return parse_answer(*present);
    const auto made = client.call_as(auth::Role::kModerator,
                                     {.method = "POST",
                                      .target = "/v1/polls",
                                      .headers = {{"Content-Type", "application/json"}},
                                      .body = json::serialize(wire::write_definition(wanted))});
    if (!made) return made.error();
    if (code_of(*made) != "poll-exists") return parse_answer(*made);
  }
  return Fault{fmt::format("the poll {} comes and goes", wanted.id.view())};
}

Result<void> ensure_open(ApiClient& client, const json::value& poll, const model::PollId& id) {
  const auto& state = poll.at("state").as_string();
  const bool not_yet = state == "draft" || state == "submitted" || state == "scheduled";
  return not_yet ? bring_to_open(client, id, "replay") : Result<void>();
}

Result<void> prepare(ApiClient& client, const ReplayCity& city,
                     const model::PollDefinition& wanted) {
  if (auto done = ensure_territories(client, city); !done) return done.error();
  const auto poll = ensure_poll(client, wanted);
  if (!poll) return poll.error();
  const auto present = read_definition(*poll);
  if (!present) return present.error();
  if (!is_same_poll(*present, wanted))
    return Fault{fmt::format("the server has another poll {}; rename the file, for another id",
                             wanted.id.view())};
  return ensure_open(client, *poll, wanted.id);
}

// --- The report --------------------------------------------------------------------------------

json::object report_of(const model::PollId& poll, const ReplayOutcomes& outcomes) {
  json::object by_code;
  for (const auto& [code, count] : outcomes.by_code) by_code[code] = count;
  const auto seconds = seconds_of(outcomes.duration);
  return {{"poll", poll.str()},
          {"ballots", outcomes.sum()},
          {"outcomes", std::move(by_code)},
          {"resent", outcomes.resent},
          {"seconds", seconds},
          {"ballots_per_second", static_cast<double>(outcomes.sum()) / seconds},
          {"latency_ms",
           {{"p50", seconds_of(outcomes.p50) * 1e3}, {"p99", seconds_of(outcomes.p99) * 1e3}}}};
}

void print_outcomes(const model::PollId& poll, const ReplayOutcomes& outcomes) {
  const auto seconds = seconds_of(outcomes.duration);
  print("{}: {} ballots in {:.2f} s, {:.0f} a second; latency p50 {:.2f} ms, p99 {:.2f} ms\n",
        poll.view(), outcomes.sum(), seconds, static_cast<double>(outcomes.sum()) / seconds,
        seconds_of(outcomes.p50) * 1e3, seconds_of(outcomes.p99) * 1e3);
  for (const auto& [code, count] : outcomes.by_code) print("  {:>9}  {}\n", count, code);
  if (outcomes.resent > 0) print("  {:>9}  sent again after lost connections\n", outcomes.resent);
}

std::string_view verdict(const Total& total) {
  if (total.is_equal()) return "";
  return total.is_explained() ? "explained" : "differs";
}

void print_totals(const std::vector<Total>& totals) {
  std::vector<std::vector<std::string>> rows{{"PROJECT", "TOTAL", "OFFICIAL", "COUNTED", ""}};
  for (const auto& total : totals)
    rows.push_back({total.project, std::string(total.what), std::to_string(total.official),
                    std::to_string(total.counted), std::string(verdict(total))});
  print("{}",
        format_table(rows, {Align::left, Align::left, Align::right, Align::right, Align::left}));
}

json::array differences_of(const std::vector<Total>& totals) {
  json::array differences;
  for (const auto& total : totals) {
    if (total.is_equal()) continue;
    differences.push_back(
        json::object{{"project", total.project},
                     {"total", json::string(total.what)},
                     {"official", total.official},
                     {"counted", total.counted},
                     {"explained", total.is_explained()},
                     {"reason", total.is_explained() ? json::value(total.reason) : json::value()},
                     {"lines", json::array(total.lines.begin(), total.lines.end())}});
  }
  return differences;
}

std::size_t count_explained(const std::vector<Total>& totals) {
  return std::count_if(totals.begin(), totals.end(),
                       [](const auto& total) { return total.is_explained(); });
}

json::value not_comparable(const PabulibFile& file) {
  if (file.scores_without_rule.empty()) return nullptr;
  return json::object{{"total", "score"}, {"reason", file.scores_without_rule}};
}

json::object json_of(const PabulibFile& file, const ReplayCheck& check) {
  const auto differences = differences_of(check.totals);
  json::array notes;
  for (const auto& note : file.notes)
    notes.push_back(json::object{{"line", note.line}, {"note", note.text}});
  return {{"hidden", check.hidden.empty() ? json::value() : json::value(check.hidden)},
          {"notes", std::move(notes)},
          {"totals",
           {{"equal", check.totals.size() - differences.size()},
            {"explained", count_explained(check.totals)},
            {"of", check.totals.size()}}},
          {"differences", differences},
          {"not_comparable", not_comparable(file)},
          {"territories",
           {{"of", check.territories},
            {"shown", check.shown},
            {"in_groups", check.in_groups},
            {"groups", check.groups}}},
          {"counts",
           {{"compared", check.counts.compared},
            {"differences",
             json::array(check.counts.differences.begin(), check.counts.differences.end())}}}};
}

void print_notes(const PabulibFile& file) {
  constexpr std::size_t kNotesTold = 20;
  const auto told = std::min(file.notes.size(), kNotesTold);
  for (std::size_t i = 0; i < told; ++i)
    print("line {}: {}\n", file.notes[i].line, file.notes[i].text);
  if (told < file.notes.size())
    print("and {} lines more, all with --json\n", file.notes.size() - told);
}

void print_differences(const PabulibFile& file, const ReplayCheck& check) {
  std::size_t equal = 0;
  for (const auto& total : check.totals) {
    equal += total.is_equal();
    if (!total.is_equal())
      print("{} {}: official {}, counted {}: {}\n", total.project, total.what, total.official,
            total.counted, total.is_explained() ? total.reason : "NOT explained");
  }
  const auto explained = count_explained(check.totals);
  print("{} of {} totals equal", equal, check.totals.size());
  if (equal < check.totals.size())
    print(", {} explained, {} NOT explained", explained, check.totals.size() - equal - explained);
  print("\n");
  if (!file.scores_without_rule.empty())
    print("scores are not comparable: {}\n", file.scores_without_rule);
}

void print_check(const PabulibFile& file, const ReplayCheck& check) {
  for (const auto& difference : check.counts.differences) print("{}\n", difference);
  if (!check.hidden.empty()) return print("all is hidden: {}\n", check.hidden);
  print_differences(file, check);
  print("{} of {} territories shown by themselves, {} with others; groups: {}\n", check.shown,
        check.territories, check.in_groups, check.groups);
  const auto different = check.counts.differences.size();
  if (different == 0)
    print("all {} counts by district are those of the file\n", check.counts.compared);
  else
    print("{} of {} counts by district DIFFER\n", different, check.counts.compared);
}

Exit print_replay(const ReplayOptions& options, const model::PollId& poll, const PabulibFile& file,
                  const ReplayOutcomes& outcomes, const ReplayCheck& check) {
  const bool all_counted = outcomes.of("accepted") + outcomes.of("recorded") == outcomes.sum();
  if (options.json) {
    auto report = report_of(poll, outcomes);
    for (auto& member : json_of(file, check)) report[member.key()] = member.value();
    print("{}\n", json::serialize(report));
  } else {
    print_totals(check.totals);
    print_outcomes(poll, outcomes);
    print_notes(file);
    print_check(file, check);
  }
  return check.is_right() && all_counted ? Exit::ok : Exit::failed;
}

// --- Replays -----------------------------------------------------------------------------------

// One vote with its poll on the server.
struct Replay {
  PabulibFile file;
  model::PollDefinition poll;
  ReplayCity city;
  std::vector<model::TerritoryCode> homes;  // by vote
};

Result<Replay> read_replay(const std::string& path, const Registry& registry,
                           std::optional<std::uint32_t> steps) {
  auto file = read_pabulib(path);
  if (!file) return file.error();
  ReplayCity city(*file);
  for (const auto& [voter, district] : registry) city.district(district);
  auto homes = homes_of(*file, registry, city);
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(now_seconds());
  auto poll = definition_of(*file, poll_id_of(path), city.target_of(*file), now);
  if (!poll) return poll.error();
  if (steps) disclose_in_steps(*poll, *steps, homes);
  return Replay{std::move(*file), std::move(*poll), std::move(city), std::move(homes)};
}

// In steps some counts come out at the end alone: then the poll is closed, for good.
Result<json::value> results_of(ApiClient& client, const ReplayOptions& options,
                               const model::PollId& poll) {
  if (!options.steps)
    return client.get(fmt::format("/v1/polls/{}/results?by=territory", poll.view()));
  if (auto closed = bring_to_close(client, poll, "replay"); !closed) return closed.error();
  return final_results(client, poll, options.way.patience);
}

Result<Exit> replay_file(ApiClient& client, const ReplayOptions& options, const Replay& replay) {
  if (auto done = prepare(client, replay.city, replay.poll); !done) return done.error();
  auto answers = answers_of(replay.file);
  std::vector<ReplayBallot> ballots;
  ballots.reserve(answers.size());
  for (std::size_t i = 0; i < answers.size(); ++i)
    ballots.push_back({sub_of(replay.poll.id, replay.file.votes[i].voter_id), replay.homes[i],
                       std::move(answers[i])});
  const auto outcomes = send_ballots(client, replay.poll.id, ballots, options.way);
  if (!outcomes) return outcomes.error();
  const auto results = results_of(client, options, replay.poll.id);
  if (!results) return results.error();
  return print_replay(options, replay.poll.id, replay.file, *outcomes,
                      check_replay(replay.file, replay.poll, replay.homes, *results));
}

Result<std::uint64_t> count_ballots(const ApiClient& client, const model::PollId& poll) {
  const auto results = client.get(fmt::format("/v1/polls/{}/results", poll.view()));
  if (!results) return results.error();
  return results->at("ballots").to_number<std::uint64_t>();
}

// The voters of one file at the poll of another: all must be refused.
Result<Exit> replay_into(ApiClient& client, const ReplayOptions& options, const Replay& voters,
                         const Replay& other) {
  if (auto done = ensure_territories(client, voters.city); !done) return done.error();
  if (auto done = prepare(client, other.city, other.poll); !done) return done.error();
  const auto before = count_ballots(client, other.poll.id);
  if (!before) return before.error();
  const auto answers = first_answers(other.poll);
  std::vector<ReplayBallot> ballots;
  for (std::size_t i = 0; i < voters.homes.size(); ++i)
    ballots.push_back(
        {sub_of(other.poll.id, voters.file.votes[i].voter_id), voters.homes[i], answers});
  const auto outcomes = send_ballots(client, other.poll.id, ballots, options.way);
  if (!outcomes) return outcomes.error();
  const auto after = count_ballots(client, other.poll.id);
  if (!after) return after.error();
  const auto refused = outcomes->of("not-eligible");
  if (options.json) {
    auto report = report_of(other.poll.id, *outcomes);
    report["counted_before"] = *before;
    report["counted_after"] = *after;
    print("{}\n", json::serialize(report));
  } else {
    print_outcomes(other.poll.id, *outcomes);
    print("{} of {} refused as not eligible; {} ballots counted before, {} after\n", refused,
          ballots.size(), *before, *after);
  }
  return refused == ballots.size() && *before == *after ? Exit::ok : Exit::failed;
}

Result<Exit> replay(ReplayOptions options) {
  options.way.patience = std::chrono::seconds(options.patience_seconds);
  Registry registry;
  if (!options.registry.empty()) {
    const auto city = read_pabulib(options.registry);
    if (!city) return city.error();
    registry = registry_of(*city);
  }
  const auto first = read_replay(options.file, registry, options.steps);
  if (!first) return first.error();
  std::optional<Replay> other;
  if (!options.into.empty()) {
    auto second = read_replay(options.into, registry, {});
    if (!second) return second.error();
    other = std::move(*second);
  }
  catch_interrupts();
  std::unique_ptr<OwnServer> own;
  if (options.server.empty()) {
    auto started = OwnServer::start();
    if (!started) return started.error();
    own = std::move(*started);
  }
  auto client = ApiClient::connect(own ? ServerOptions{own->url(), own->issuer_json(), {}}
                                       : ServerOptions{options.server, options.keys, {}});
  if (!client) return client.error();
  client->set_patience(options.way.patience);
  return other ? replay_into(*client, options, *first, *other)
               : replay_file(*client, options, *first);
}

}  // namespace

void add_replay(CLI::App& app) {
  auto& command = add_command(
      app, "replay", "Send the real ballots of a Pabulib file and compare with its official totals",
      {"veche replay Poland_Wroclaw_2020.pb.gz",
       "veche replay Poland_Wroclaw_2020.pb.gz --batch 1000 --server http://127.0.0.1:8080 --keys "
       "keys/issuer.json",
       "veche replay Poland_Zabrze_2020.pb.gz --batch 1000 --steps 10",
       "veche replay Krakow_Debniki.pb --registry Krakow.pb.gz --into Krakow_Swoszowice.pb"});
  const auto options = std::make_shared<ReplayOptions>();
  command.add_option("FILE", options->file, "A vote as .pb or .pb.gz")->required();
  command
      .add_option("--registry", options->registry,
                  "The city's own vote, which knows where the voters of a district vote live")
      ->type_name("FILE");
  auto* steps =
      command
          .add_option("--steps", options->steps,
                      "The poll shows nothing that tells how fewer than so many voters voted; it "
                      "is closed at the end, and its final results are compared")
          ->type_name("K")
          ->check(CLI::Range(limits::kLeastVotersMin, limits::kLeastVotersMax));
  command
      .add_option("--into", options->into,
                  "Send the voters of FILE to the poll of this other vote instead, and expect that "
                  "each is refused as not eligible and none counted")
      ->excludes(steps)
      ->type_name("FILE");
  auto* keys = command.add_option("--keys", options->keys, "issuer.json that the server trusts")
                   ->type_name("FILE");
  command
      .add_option("--server", options->server,
                  "Address of a server; without it one is started and removed")
      ->needs(keys)
      ->type_name("URL");
  auto* connections =
      command.add_option("--connections", options->way.connections, "Single ballots at once")
          ->capture_default_str()
          ->check(CLI::Range(1, 4'096));
  auto* batch =
      command
          .add_option("--batch", options->way.batch_lines, "Lines of a gateway's batch; 4 at once")
          ->excludes(connections)
          ->check(CLI::Range(std::size_t{1}, limits::kBatchLines));
  command
      .add_option(
          "--rate", options->way.rate,
          "Single ballots a second, each at its planned time, from which its latency counts; "
          "needs enough --connections")
      ->excludes(batch)
      ->check(CLI::Range(1, 1'000'000));
  command
      .add_option("--patience", options->patience_seconds,
                  "Seconds to try again while no server answers")
      ->capture_default_str()
      ->check(CLI::Range(0, 3'600));
  command.add_flag("--json", options->json, "Print JSON");
  on_run(command, [options] { return replay(*options); });
}

}  // namespace veche::tools
