#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>
#include <optional>

#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/output.h"
#include "tools/veche/results_text.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

struct ResultsOptions {
  ServerOptions server;
  std::string poll;
  bool json = false;
  bool csv = false;
  bool excel = false;
  bool turnout = false;
  std::string step;
  bool by_territory = false;
  std::optional<std::uint32_t> level;
  std::string parent;
  std::string version;
  std::string view;
  std::string language = "ru";
};

std::string target_of(const ResultsOptions& options) {
  auto target = fmt::format("/v1/polls/{}/{}", options.poll,
                            options.turnout ? "turnout"
                            : options.csv   ? "results.csv"
                                            : "results.json");
  char separator = '?';
  const auto add = [&](std::string_view name, std::string_view value) {
    target += fmt::format("{}{}={}", separator, name, value);
    separator = '&';
  };
  if (options.by_territory) add("by", "territory");
  if (options.level) add("level", std::to_string(*options.level));
  if (!options.parent.empty()) add("parent", options.parent);
  if (!options.version.empty()) add("version", options.version);
  if (!options.view.empty()) add("view", options.view);
  if (!options.step.empty()) add("step", options.step);
  if (options.csv) add("lang", options.language);
  if (options.excel) add("excel", "1");
  return target;
}

// With a token where one is wanted or given: results that everybody may see need none.
Result<http::Answer> ask(ApiClient& client, const ResultsOptions& options) {
  http::Call call{.target = target_of(options)};
  const bool shows_token = !options.view.empty() || !client.token().empty();
  return shows_token ? client.call_as(auth::Role::kAuditor, std::move(call))
                     : client.call(std::move(call));
}

Result<std::string> text_of(ApiClient& client, const ResultsOptions& options,
                            const http::Answer& answer) {
  const auto document = parse_answer(answer);
  if (!document) return document.error();
  if (options.turnout) return turnout_text(*document);
  const auto poll = client.get("/v1/polls/" + options.poll);
  if (!poll) return poll.error();
  return results_text(*poll, *document,
                      options.language == "en" ? TitleLanguage::en : TitleLanguage::ru);
}

Result<Exit> results(const ResultsOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  const auto answer = ask(*client, options);
  if (!answer) return answer.error();
  if (answer->status != 200) return fault_of(*answer);
  if (options.json || options.csv) {
    print("{}{}", answer->body, answer->body.ends_with('\n') ? "" : "\n");
    return Exit::ok;
  }
  const auto text = text_of(*client, options, *answer);
  if (!text) return text.error();
  print("{}", *text);
  return Exit::ok;
}

void add_territory_options(CLI::App& command, ResultsOptions& options, CLI::Option* turnout) {
  auto* by = command
                 .add_flag("--by-territory", options.by_territory,
                           "Also for each territory, summed up the tree")
                 ->excludes(turnout);
  command.add_option("--level", options.level, "Only territories of this level")
      ->needs(by)
      ->check(CLI::Range(0, 255));
  command.add_option("--parent", options.parent, "Only territories right below this one")
      ->needs(by)
      ->type_name("CODE");
}

}  // namespace

void add_results(CLI::App& app) {
  auto& command =
      add_command(app, "results", "Read a poll's results, or its turnout over time",
                  {"veche results smolino", "veche results smolino --by-territory --level 2",
                   "veche results smolino --csv --excel > smolino.csv",
                   "veche results smolino --turnout --step 1d",
                   "veche results smolino --view exact --keys keys/issuer.json"});
  const auto options = std::make_shared<ResultsOptions>();
  command.add_option("POLL", options->poll, "Poll id")->required();
  add_server_option(command, options->server);
  auto* json = command.add_flag("--json", options->json, "Print the server's JSON");
  auto* csv = command.add_flag("--csv", options->csv, "Print long CSV")->excludes(json);
  command.add_flag("--excel", options->excel, "CSV as spreadsheets read it by a double click")
      ->needs(csv);
  command.add_option("--lang", options->language, "Of titles, where there are English ones")
      ->check(CLI::IsMember({"ru", "en"}))
      ->excludes(json)
      ->capture_default_str();
  auto* turnout =
      command.add_flag("--turnout", options->turnout, "How many ballots there were by when")
          ->excludes(csv);
  command.add_option("--step", options->step, "Of the turnout: 1h to 24h, or 1d to 31d")
      ->needs(turnout)
      ->type_name("TIME");
  add_territory_options(command, *options, turnout);
  auto* version = command.add_option("--version", options->version,
                                     "As of a version that was shown before, in steps alone");
  command
      .add_option("--view", options->view,
                  "exact: what nobody else sees yet; for the role auditor, and for the record")
      ->check(CLI::IsMember({"exact"}))
      ->excludes(version);
  add_staff_options(command, options->server);
  on_run(command, [options] { return results(*options); });
}

}  // namespace veche::tools
