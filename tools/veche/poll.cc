#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>

#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

struct Options {
  ServerOptions server;
  std::string file;
  std::string poll;
  std::string reason;
  std::string state;
  std::string territory;
  bool json = false;
};

std::string text_of(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  if (const auto* titles = value.if_object(); titles && titles->contains("ru"))
    return text_of(titles->at("ru"));
  return json::serialize(value);
}

std::vector<std::string> row_of(const json::object& poll) {
  std::vector<std::string> row;
  for (const auto* member : {"id", "state", "opens_at", "closes_at", "title"})
    row.push_back(poll.contains(member) ? text_of(poll.at(member)) : "");
  return row;
}

void print_table(const json::array& polls) {
  std::vector<std::vector<std::string>> rows{{"POLL", "STATE", "OPENS", "CLOSES", "TITLE"}};
  for (const auto& poll : polls)
    if (const auto* object = poll.if_object()) rows.push_back(row_of(*object));
  fmt::print("{}", format_table(rows, std::vector<Align>(rows.front().size(), Align::left)));
}

void print_poll(const json::value& poll, bool as_json) {
  if (as_json) return fmt::print("{}\n", json::serialize(poll));
  const auto& object = poll.get_object();
  print_table({object});
  const auto* questions = object.if_contains("questions");
  if (!questions || !questions->is_array()) return;
  for (const auto& question : questions->get_array()) {
    const auto& members = question.as_object();
    fmt::print("\n{}  {}  ({}, {}..{})\n", text_of(members.at("id")), text_of(members.at("title")),
               text_of(members.at("kind")), text_of(members.at("min")), text_of(members.at("max")));
    std::vector<std::vector<std::string>> rows;
    for (const auto& option : members.at("options").as_array())
      rows.push_back({"", text_of(option.at("id")), text_of(option.at("title"))});
    fmt::print("{}", format_table(rows, std::vector<Align>(3, Align::left)));
  }
}

Result<Exit> create(const Options& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  auto definition = read_input(options.file);
  if (!definition) return definition.error();
  const auto poll = client->post_as(auth::Role::kModerator, "/v1/polls", std::move(*definition));
  if (!poll) return poll.error();
  print_poll(*poll, options.json);
  return Exit::ok;
}

Result<Exit> transition(const Options& options, std::string_view action, auth::Role role) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  json::object body{{"action", json::string_view(action.data(), action.size())}};
  if (!options.reason.empty()) body["reason"] = options.reason;
  const auto poll = client->post_as(role, fmt::format("/v1/polls/{}/transitions", options.poll),
                                    json::serialize(body));
  if (!poll) return poll.error();
  print_poll(*poll, options.json);
  return Exit::ok;
}

Result<Exit> list(const Options& options) {
  const auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  json::array polls;
  auto filter = options.state.empty() ? std::string() : "&state=" + options.state;
  if (!options.territory.empty()) filter += "&territory=" + options.territory;
  for (std::string cursor;;) {
    auto page = client->get("/v1/polls?limit=500" + filter + cursor);
    if (!page) return page.error();
    const auto& object = page->get_object();
    for (const auto& poll : object.at("polls").as_array()) polls.push_back(poll);
    const auto* next = object.at("next_cursor").if_string();
    if (!next) break;
    cursor = "&cursor=" + std::string(*next);
  }
  if (options.json)
    fmt::print("{}\n", json::serialize(polls));
  else
    print_table(polls);
  return Exit::ok;
}

Result<Exit> show(const Options& options) {
  const auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  const auto poll = client->get("/v1/polls/" + options.poll);
  if (!poll) return poll.error();
  print_poll(*poll, options.json);
  return Exit::ok;
}

CLI::App& add_leaf(CLI::App& poll, Options& options, const std::string& name,
                   const std::string& summary, const std::vector<std::string>& examples) {
  auto& command = add_command(poll, name, summary, examples);
  add_server_option(command, options.server);
  command.add_flag("--json", options.json, "Print JSON");
  return command;
}

void add_create(CLI::App& poll) {
  const auto options = std::make_shared<Options>();
  auto& command = add_leaf(poll, *options, "create", "Create a poll; needs the role moderator",
                           {"veche poll create poll.json --keys keys/issuer.json"});
  command.add_option("FILE", options->file, "Definition as JSON; - for stdin")->required();
  add_signing_options(command, options->server);
  on_run(command, [options] { return create(*options); });
}

void add_transition(CLI::App& poll, const std::string& action, auth::Role role,
                    const std::string& summary) {
  const auto options = std::make_shared<Options>();
  auto& command = add_leaf(poll, *options, action, summary,
                           {fmt::format("veche poll {} smolino --keys keys/issuer.json", action)});
  command.add_option("POLL", options->poll, "Poll id")->required();
  command.add_option("--reason", options->reason, "Why, for the record");
  add_signing_options(command, options->server);
  on_run(command, [options, action, role] { return transition(*options, action, role); });
}

void add_list(CLI::App& poll) {
  const auto options = std::make_shared<Options>();
  auto& command =
      add_leaf(poll, *options, "list", "List polls", {"veche poll list --state open --json"});
  command.add_option("--state", options->state, "Only polls in this state")
      ->check(CLI::IsMember({"scheduled", "open", "closed", "cancelled"}));
  command.add_option("--territory", options->territory, "Only polls for voters of this territory")
      ->type_name("CODE");
  on_run(command, [options] { return list(*options); });
}

void add_show(CLI::App& poll) {
  const auto options = std::make_shared<Options>();
  auto& command =
      add_leaf(poll, *options, "show", "Show a poll's definition", {"veche poll show smolino"});
  command.add_option("POLL", options->poll, "Poll id")->required();
  on_run(command, [options] { return show(*options); });
}

}  // namespace

void add_poll(CLI::App& app) {
  auto& command = add_command(app, "poll", "Create, open, close, cancel and read polls");
  command.require_subcommand(1);
  add_create(command);
  add_transition(command, "open", auth::Role::kApprover,
                 "Open a poll before its time; needs the role approver");
  add_transition(command, "close", auth::Role::kOperator,
                 "Close a poll at once and for ever; needs the role operator");
  add_transition(command, "cancel", auth::Role::kApprover,
                 "Cancel a poll for ever; needs the role approver");
  add_list(command);
  add_show(command);
}

}  // namespace veche::tools
