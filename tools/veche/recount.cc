#include <fmt/format.h>
#include <stdlib.h>

#include <boost/json.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "engine/model/limits.h"
#include "storage/kafka/kafka_log_reader.h"
#include "storage/log/embedded_log_reader.h"
#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/data_folder.h"
#include "tools/veche/options.h"
#include "tools/veche/output.h"
#include "tools/veche/recount_check.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kToldDifferences = 20;  // of each poll, and of what belongs to none

struct RecountOptions {
  std::string data;
  std::string log;  // empty: the embedded one of `data`
  std::string server;
  bool json = false;
};

// For the files of a reader beside a running node.
class ScratchFolder {
 public:
  static Result<ScratchFolder> make() {
    std::error_code error;
    auto pattern = (fs::temp_directory_path(error) / "veche-recount-XXXXXX").string();
    if (error || !mkdtemp(pattern.data()))
      return Fault{
          fmt::format("cannot make the temporary folder {}; TMPDIR names another place", pattern)};
    return ScratchFolder(pattern);
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit ScratchFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

Result<std::unique_ptr<storage::LogReader>> open_kafka(const std::string& url) {
  auto address = storage::KafkaAddress::parse(url);
  if (!address) return address.error();
  auto log = storage::KafkaLogReader::open({*std::move(address), kafka_properties()});
  if (!log) return log.error();
  return std::unique_ptr<storage::LogReader>(*std::move(log));
}

// --- A stopped server --------------------------------------------------------------------------

Result<std::unique_ptr<storage::LogReader>> open_log(const RecountOptions& options,
                                                     const fs::path& embedded) {
  if (!options.log.empty()) return open_kafka(options.log);
  auto log = storage::EmbeddedLogReader::open(embedded);
  if (!log) return log.error();
  return std::unique_ptr<storage::LogReader>(*std::move(log));
}

Result<RecountReport> recount_stopped(const RecountOptions& options) {
  const auto folder = DataFolder::open(options.data);
  if (!folder)
    return Fault{folder.error().message + "; or compare with it as it runs: --server URL"};
  const auto log = open_log(options, folder->log());
  if (!log) return log.error();
  const auto index = storage::IndexStore::open_read_only(folder->index());
  if (!index) return index.error();
  const auto of = (*index)->log();
  if (!of) return of.error();
  if (*of && **of != (*log)->id())
    return Fault{fmt::format("the index in {} was made from another log than {}",
                             folder->index().string(),
                             options.log.empty() ? folder->log().string() : options.log)};
  return recount_index(**log, **index);
}

// --- A running server --------------------------------------------------------------------------

// Some ballots of a poll in steps are held back until its end, and it does not tell which.
bool is_held_back(const json::value& results) {
  return !results.at("final").as_bool() && !results.as_object().contains("partition_ballots");
}

// nullopt: the poll's results are not shown now, or not all of them.
Result<std::optional<LiveResults>> read_results(const ApiClient& client, const json::value& poll) {
  const auto& id = poll.at("id").as_string();
  const auto answer = client.call(
      {.target = fmt::format("/v1/polls/{}/results?by=territory", std::string_view(id))});
  if (!answer) return answer.error();
  if (code_of(*answer) == "results-hidden") return std::optional<LiveResults>();
  auto results = parse_answer(*answer);
  if (!results) return results.error();
  if (is_held_back(*results)) return std::optional<LiveResults>();
  return std::optional(LiveResults{model::PollId::parse(id).value(), std::move(*results)});
}

Result<std::vector<LiveResults>> read_all_results(const ApiClient& client) {
  std::vector<LiveResults> live;
  for (std::string cursor, target;; cursor.clear()) {
    target = fmt::format("/v1/polls?limit={}{}", limits::kListLimit, cursor);
    const auto page = client.get(target);
    if (!page) return page.error();
    for (const auto& poll : page->at("polls").as_array()) {
      auto results = read_results(client, poll);
      if (!results) return results.error();
      if (*results)
        live.push_back(std::move(**results));
      else
        tell("veche recount: {} does not show all its results now, and is not compared\n",
             std::string_view(poll.at("id").as_string()));
    }
    const auto* next = page->at("next_cursor").if_string();
    if (!next) return live;
    cursor = fmt::format("&cursor={}", std::string_view(*next));
  }
}

Result<RecountReport> recount_running(const RecountOptions& options) {
  const auto client = ApiClient::connect({options.server, {}, {}});
  if (!client) return client.error();
  const auto live = read_all_results(*client);
  if (!live) return live.error();
  if (!options.log.empty()) {
    const auto log = open_kafka(options.log);
    if (!log) return log.error();
    return recount_results(**log, *live);
  }
  const auto scratch = ScratchFolder::make();
  if (!scratch) return scratch.error();
  const auto log =
      storage::EmbeddedLogReader::open_live(fs::path(options.data) / "log", scratch->path());
  if (!log) return log.error();
  return recount_results(**log, *live);
}

// --- The report --------------------------------------------------------------------------------

std::string verdict_of(const Comparison& comparison) {
  return comparison.differences.empty() ? fmt::format("{} numbers equal", comparison.compared)
                                        : fmt::format("{} DIFFER", comparison.differences.size());
}

void print_differences(std::string_view of, const std::vector<std::string>& differences) {
  for (std::size_t i = 0; i < std::min(differences.size(), kToldDifferences); ++i)
    print("{}{}\n", of, differences[i]);
  if (differences.size() > kToldDifferences)
    print("{}and {} more\n", of, differences.size() - kToldDifferences);
}

void print_report(const RecountReport& report, double seconds) {
  std::vector<std::vector<std::string>> rows{
      {"POLL", "BALLOTS", "COUNTED", "DUPLICATE", "BEFORE OPEN", "BEHIND CLOSE", "INVALID", ""}};
  for (const auto& [id, poll] : report.polls) {
    const auto& recount = poll.recount;
    rows.push_back({id.str(), std::to_string(recount.ballots()), std::to_string(recount.counted),
                    std::to_string(recount.duplicates), std::to_string(recount.before_open),
                    std::to_string(recount.behind_close), std::to_string(recount.invalid),
                    verdict_of(poll.comparison)});
  }
  print("{}", format_table(rows, {Align::left, Align::right, Align::right, Align::right,
                                  Align::right, Align::right, Align::right, Align::left}));
  for (std::size_t p = 0; p < report.partitions.size(); ++p)
    print_differences("", report.partitions[p].comparison.differences);
  for (const auto& [id, poll] : report.polls)
    print_differences(id.str() + ": ", poll.comparison.differences);
  if (report.tails_different() > 0)
    print(
        "{} of {} tails told of other records than there are: a node was wrong then, or the "
        "log was cut\n",
        report.tails_different(), report.tails_compared());
  const auto ballots = report.ballots();
  print("{} records, {} ballots in {:.2f} s, {:.0f} ballots a second\n", report.records(), ballots,
        seconds, static_cast<double>(ballots) / seconds);
}

json::array json_of(const std::vector<std::string>& differences) {
  return json::array(differences.begin(), differences.end());
}

json::object json_of(const RecountReport& report, double seconds) {
  json::array polls, partitions;
  for (const auto& [id, poll] : report.polls)
    polls.push_back(json::object{{"poll", id.str()},
                                 {"ballots", poll.recount.ballots()},
                                 {"counted", poll.recount.counted},
                                 {"duplicates", poll.recount.duplicates},
                                 {"before_open", poll.recount.before_open},
                                 {"behind_close", poll.recount.behind_close},
                                 {"invalid", poll.recount.invalid},
                                 {"numbers_compared", poll.comparison.compared},
                                 {"differences", json_of(poll.comparison.differences)}});
  for (std::size_t p = 0; p < report.partitions.size(); ++p)
    partitions.push_back(
        json::object{{"partition", p},
                     {"compared_at", report.partitions[p].compared_at.value},
                     {"log_end", report.partitions[p].log_end.value},
                     {"differences", json_of(report.partitions[p].comparison.differences)}});
  return {{"records", report.records()},
          {"ballots", report.ballots()},
          {"seconds", seconds},
          {"equal", report.whole().differences.empty()},
          {"tails", json::object{{"compared", report.tails_compared()},
                                 {"different", report.tails_different()}}},
          {"polls", std::move(polls)},
          {"partitions", std::move(partitions)}};
}

Result<Exit> recount(const RecountOptions& options) {
  if (options.log.empty() && !fs::exists(fs::path(options.data) / "log"))
    return Fault{
        fmt::format("{} is no data folder of a server: it has no log; give --data, or "
                    "--log of a log in Kafka",
                    options.data)};
  if (options.server.empty() && !fs::exists(fs::path(options.data) / "index"))
    return Fault{
        "there is nothing to compare with: give --data of a stopped node, or --server of "
        "one that runs"};
  const auto begin = std::chrono::steady_clock::now();
  const auto report = options.server.empty() ? recount_stopped(options) : recount_running(options);
  if (!report) return report.error();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto whole = report->whole();
  if (options.json) {
    print("{}\n", json::serialize(json_of(*report, took.count())));
  } else {
    print_report(*report, took.count());
    const auto with = options.server.empty() ? "the index" : "the live results";
    if (whole.differences.empty())
      print("all {} numbers equal to {}\n", whole.compared, with);
    else
      print("{} DIFFERENCES to {}\n", whole.differences.size(), with);
  }
  return whole.differences.empty() ? Exit::ok : Exit::failed;
}

}  // namespace

void add_recount(CLI::App& app) {
  auto& command = add_command(
      app, "recount",
      "Count the whole log again, by code of its own, and compare with what the node counted",
      {"veche recount --data data", "veche recount --data data --server http://127.0.0.1:8080",
       "veche recount --log kafka://127.0.0.1:9092/region --server http://127.0.0.1:8080"});
  const auto options = std::make_shared<RecountOptions>();
  command
      .add_option("--data", options->data, "Data folder of the server; stopped without --server")
      ->type_name("DIR");
  command.add_option("--log", options->log, "A log in Kafka: kafka://HOST:PORT[,HOST:PORT]/NAME")
      ->type_name("URL");
  command
      .add_option("--server", options->server,
                  "The running server of that folder: compare with its live results")
      ->type_name("URL");
  command.add_flag("--json", options->json, "Print JSON");
  on_run(command, [options] { return recount(*options); });
}

}  // namespace veche::tools
