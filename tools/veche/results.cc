#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>
#include <memory>
#include <optional>

#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::size_t kBarWidth = 24;
constexpr std::size_t kTitleBytes = 60;

struct Options {
  ServerOptions server;
  std::string poll;
  bool json = false;
  bool csv = false;
  bool by_territory = false;
  std::optional<std::uint32_t> level;
  std::string parent;
};

std::string target_of(const Options& options) {
  auto target = fmt::format("/v1/polls/{}/results{}", options.poll, options.csv ? ".csv" : "");
  if (options.by_territory) target += "?by=territory";
  if (options.level) target += fmt::format("&level={}", *options.level);
  if (!options.parent.empty()) target += "&parent=" + options.parent;
  return target;
}

std::string title_of(const json::value& titled) {
  const auto& title = titled.at("title");
  const auto& text = title.is_object() ? title.at("ru").as_string() : title.as_string();
  return std::string(cut_utf8(std::string_view(text), kTitleBytes));
}

// Titles by question id and option id; results tell ids alone.
std::map<std::pair<std::string, std::string>, std::string> titles_of(const json::value& poll) {
  std::map<std::pair<std::string, std::string>, std::string> titles;
  for (const auto& question : poll.at("questions").as_array()) {
    const std::string id(question.at("id").as_string());
    titles[{id, ""}] = title_of(question);
    for (const auto& option : question.at("options").as_array())
      titles[{id, std::string(option.at("id").as_string())}] = title_of(option);
  }
  return titles;
}

std::uint64_t number_of(const json::value& value) { return value.to_number<std::uint64_t>(); }

void print_questions(const json::value& results, const json::value& poll) {
  const auto titles = titles_of(poll);
  const auto ballots = number_of(results.at("ballots"));
  for (const auto& question : results.at("questions").as_array()) {
    const std::string id(question.at("id").as_string());
    fmt::print("\n{}  {}\n", id, titles.at({id, ""}));
    std::vector<std::vector<std::string>> rows{{"OPTION", "VOTES", "SHARE", "", "POINTS", "TITLE"}};
    for (const auto& option : question.at("options").as_array()) {
      const std::string option_id(option.at("id").as_string());
      const auto votes = number_of(option.at("votes"));
      const double share =
          ballots == 0 ? 0 : static_cast<double>(votes) / static_cast<double>(ballots);
      const auto* points = option.as_object().if_contains("points");
      rows.push_back({option_id, std::to_string(votes), fmt::format("{:.1f} %", share * 100),
                      format_bar(share, kBarWidth),
                      points ? std::to_string(number_of(*points)) : "",
                      titles.at({id, option_id})});
    }
    fmt::print("{}", format_table(rows, {Align::left, Align::right, Align::right, Align::left,
                                         Align::right, Align::left}));
  }
}

void print_territories(const json::value& results) {
  const auto* territories = results.as_object().if_contains("territories");
  if (!territories || !territories->is_array()) return;
  std::vector<std::vector<std::string>> rows{{"TERRITORY", "LEVEL", "BALLOTS", "NAME"}};
  for (const auto& territory : territories->get_array())
    rows.push_back({std::string(territory.at("code").as_string()),
                    std::to_string(number_of(territory.at("level"))),
                    std::to_string(number_of(territory.at("ballots"))),
                    std::string(territory.at("name").as_string())});
  fmt::print("\n{}", format_table(rows, {Align::left, Align::right, Align::right, Align::left}));
}

Result<Exit> print_results(const ApiClient& client, const Options& options) {
  const auto results = client.get(target_of(options));
  if (!results) return results.error();
  const auto poll = client.get("/v1/polls/" + options.poll);
  if (!poll) return poll.error();
  const bool final = results->at("final").as_bool();
  fmt::print("{}  {}  {}, {} ballots as of {}\n", options.poll, title_of(*poll),
             final ? "final" : std::string(results->at("state").as_string()),
             number_of(results->at("ballots")), std::string(results->at("as_of").as_string()));
  print_questions(*results, *poll);
  print_territories(*results);
  return Exit::ok;
}

Result<Exit> results(const Options& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  if (!options.json && !options.csv) return print_results(*client, options);
  const auto answer = client->call({.target = target_of(options)});
  if (!answer) return answer.error();
  if (answer->status != 200) return fault_of(*answer);
  fmt::print("{}{}", answer->body, answer->body.ends_with('\n') ? "" : "\n");
  return Exit::ok;
}

}  // namespace

void add_results(CLI::App& app) {
  auto& command = add_command(app, "results", "Read a poll's results",
                              {"veche results smolino", "veche results smolino --csv > smolino.csv",
                               "veche results smolino --by-territory --level 2"});
  const auto options = std::make_shared<Options>();
  command.add_option("POLL", options->poll, "Poll id")->required();
  add_server_option(command, options->server);
  auto* json = command.add_flag("--json", options->json, "Print the server's JSON");
  command.add_flag("--csv", options->csv, "Print long CSV")->excludes(json);
  auto* by = command.add_flag("--by-territory", options->by_territory,
                              "Also for each territory, summed up the tree");
  command.add_option("--level", options->level, "Only territories of this level")
      ->needs(by)
      ->check(CLI::Range(0, 255));
  command.add_option("--parent", options->parent, "Only territories right below this one")
      ->needs(by)
      ->type_name("CODE");
  on_run(command, [options] { return results(*options); });
}

}  // namespace veche::tools
