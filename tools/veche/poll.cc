#include <fmt/format.h>

#include <boost/json.hpp>
#include <memory>

#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/input.h"
#include "tools/veche/output.h"
#include "tools/veche/poll_life.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

struct PollOptions {
  ServerOptions server;
  std::string file;
  std::string poll;
  std::string reason;
  std::uint32_t version = 0;
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
  for (const auto* member : {"id", "state", "version", "opens_at", "closes_at", "title"})
    row.push_back(poll.contains(member) ? text_of(poll.at(member)) : "");
  return row;
}

void print_table(const json::array& polls) {
  std::vector<std::vector<std::string>> rows{
      {"POLL", "STATE", "VERSION", "OPENS", "CLOSES", "TITLE"}};
  for (const auto& poll : polls)
    if (const auto* object = poll.if_object()) rows.push_back(row_of(*object));
  print("{}", format_table(rows, std::vector<Align>(rows.front().size(), Align::left)));
}

void print_poll(const json::value& poll, bool as_json) {
  if (as_json) return print("{}\n", json::serialize(poll));
  const auto& object = poll.get_object();
  print_table({object});
  const auto* questions = object.if_contains("questions");
  if (!questions || !questions->is_array()) return;
  for (const auto& question : questions->get_array()) {
    const auto& members = question.as_object();
    print("\n{}  {}  ({}, {}..{})\n", text_of(members.at("id")), text_of(members.at("title")),
          text_of(members.at("kind")), text_of(members.at("min")), text_of(members.at("max")));
    std::vector<std::vector<std::string>> rows;
    for (const auto& option : members.at("options").as_array())
      rows.push_back({"", text_of(option.at("id")), text_of(option.at("title"))});
    print("{}", format_table(rows, std::vector<Align>(3, Align::left)));
  }
}

void print_history(const json::value& history) {
  std::vector<std::vector<std::string>> rows{{"WHEN", "WHAT", "VERSION", "BY", "WHY"}};
  for (const auto& row : history.at("history").as_array()) {
    std::vector<std::string> texts;
    for (const auto* member : {"at", "event", "version", "by", "reason"})
      texts.push_back(text_of(row.at(member)));
    rows.push_back(std::move(texts));
  }
  print("{}", format_table(rows, std::vector<Align>(rows.front().size(), Align::left)));
}

Result<Exit> draft(const PollOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  auto definition = read_input(options.file);
  if (!definition) return definition.error();
  const auto poll = client->post_as(auth::Role::kModerator, "/v1/polls", std::move(*definition));
  if (!poll) return poll.error();
  print_poll(*poll, options.json);
  return Exit::ok;
}

Result<std::string> id_of(std::string_view definition) {
  boost::system::error_code error;
  const auto document = json::parse({definition.data(), definition.size()}, error);
  const auto* object = error ? nullptr : document.if_object();
  const auto* id = object ? object->if_contains("id") : nullptr;
  if (!id || !id->is_string()) return Fault{"the definition is not a JSON object with an id"};
  return std::string(id->get_string());
}

Result<Exit> edit(const PollOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  auto definition = read_input(options.file);
  if (!definition) return definition.error();
  const auto id = id_of(*definition);
  if (!id) return id.error();
  const auto answer = client->call_as(
      auth::Role::kModerator, {.method = "PATCH",
                               .target = "/v1/polls/" + *id,
                               .headers = {{"Content-Type", "application/json"},
                                           {"If-Match", fmt::format("\"{}\"", options.version)}},
                               .body = std::move(*definition)});
  if (!answer) return answer.error();
  const auto poll = parse_answer(*answer);
  if (!poll) return poll.error();
  print_poll(*poll, options.json);
  return Exit::ok;
}

Result<Exit> transition(const PollOptions& options, PollStep step) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  const auto poll = take_step(*client, options.poll, step, options.reason);
  if (!poll) return poll.error();
  print_poll(*poll, options.json);
  return Exit::ok;
}

Result<Exit> list(const PollOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  json::array polls;
  auto filter = options.state.empty() ? std::string() : "&state=" + options.state;
  if (!options.territory.empty()) filter += "&territory=" + options.territory;
  for (std::string cursor;;) {
    auto page = client->get_as_staff("/v1/polls?limit=500" + filter + cursor);
    if (!page) return page.error();
    const auto& object = page->get_object();
    for (const auto& poll : object.at("polls").as_array()) polls.push_back(poll);
    const auto* next = object.at("next_cursor").if_string();
    if (!next) break;
    cursor = "&cursor=" + std::string(*next);
  }
  if (options.json)
    print("{}\n", json::serialize(polls));
  else
    print_table(polls);
  return Exit::ok;
}

Result<Exit> show(const PollOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  const auto poll = client->get_as_staff("/v1/polls/" + options.poll);
  if (!poll) return poll.error();
  print_poll(*poll, options.json);
  return Exit::ok;
}

Result<Exit> history(const PollOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  const auto history = client->get_as_staff(fmt::format("/v1/polls/{}/history", options.poll));
  if (!history) return history.error();
  if (options.json)
    print("{}\n", json::serialize(*history));
  else
    print_history(*history);
  return Exit::ok;
}

CLI::App& add_leaf(CLI::App& poll, PollOptions& options, const std::string& name,
                   const std::string& summary, const std::vector<std::string>& examples) {
  auto& command = add_command(poll, name, summary, examples);
  add_server_option(command, options.server);
  command.add_flag("--json", options.json, "Print JSON");
  return command;
}

void add_draft(CLI::App& poll) {
  const auto options = std::make_shared<PollOptions>();
  auto& command = add_leaf(poll, *options, "draft", "Draft a poll; needs the role moderator",
                           {"veche poll draft poll.json --keys keys/issuer.json"});
  command.add_option("FILE", options->file, "Definition as JSON; - for stdin")->required();
  add_staff_options(command, options->server);
  on_run(command, [options] { return draft(*options); });
}

void add_edit(CLI::App& poll) {
  const auto options = std::make_shared<PollOptions>();
  auto& command = add_leaf(poll, *options, "edit",
                           "Replace the definition of a draft; needs the role moderator",
                           {"veche poll edit poll.json --version 1 --keys keys/issuer.json"});
  command.add_option("FILE", options->file, "The whole definition as JSON; - for stdin")
      ->required();
  command.add_option("--version", options->version, "The version that it replaces, as shown")
      ->required();
  add_staff_options(command, options->server);
  on_run(command, [options] { return edit(*options); });
}

void add_transition(CLI::App& poll, PollStep step, const std::string& summary,
                    bool needs_reason = false) {
  const auto options = std::make_shared<PollOptions>();
  const auto example = fmt::format("veche poll {} smolino --keys keys/issuer.json{}", step.action,
                                   needs_reason ? " --reason \"no option for the path\"" : "");
  auto& command = add_leaf(poll, *options, std::string(step.action), summary, {example});
  command.add_option("POLL", options->poll, "Poll id")->required();
  command.add_option("--reason", options->reason, "Why, for the record")->required(needs_reason);
  add_staff_options(command, options->server);
  on_run(command, [options, step] { return transition(*options, step); });
}

void add_list(CLI::App& poll) {
  const auto options = std::make_shared<PollOptions>();
  auto& command = add_leaf(poll, *options, "list", "List polls; with keys or a token, drafts too",
                           {"veche poll list --state open --json"});
  command.add_option("--state", options->state, "Only polls in this state")
      ->check(CLI::IsMember(
          {"draft", "submitted", "scheduled", "open", "closed", "certified", "cancelled"}));
  command.add_option("--territory", options->territory, "Only polls for voters of this territory")
      ->type_name("CODE");
  add_staff_options(command, options->server);
  on_run(command, [options] { return list(*options); });
}

void add_show(CLI::App& poll) {
  const auto options = std::make_shared<PollOptions>();
  auto& command =
      add_leaf(poll, *options, "show", "Show a poll's definition", {"veche poll show smolino"});
  command.add_option("POLL", options->poll, "Poll id")->required();
  add_staff_options(command, options->server);
  on_run(command, [options] { return show(*options); });
}

void add_history(CLI::App& poll) {
  const auto options = std::make_shared<PollOptions>();
  auto& command = add_leaf(poll, *options, "history", "Show who did what with a poll, and why",
                           {"veche poll history smolino"});
  command.add_option("POLL", options->poll, "Poll id")->required();
  add_staff_options(command, options->server);
  on_run(command, [options] { return history(*options); });
}

}  // namespace

void add_poll(CLI::App& app) {
  auto& command = add_command(app, "poll", "Draft, approve, open, close, certify and read polls");
  command.require_subcommand(1);
  add_draft(command);
  add_edit(command);
  add_transition(command, kSubmit, "Hand a draft to the approvers; needs the role moderator");
  add_transition(command, kApprove, "Approve a draft of others; needs the role approver");
  add_transition(command, kReturn, "Give a draft back to be edited; needs the role approver", true);
  add_transition(command, kOpen, "Open a poll before its time; needs the role approver");
  add_transition(command, kClose, "Close a poll at once and for ever; needs the role operator");
  add_transition(command, kCancel, "Cancel a poll for ever; needs the role approver");
  add_transition(command, kCertify, "Freeze the final result for ever; needs the role certifier");
  add_list(command);
  add_show(command);
  add_history(command);
}

}  // namespace veche::tools
