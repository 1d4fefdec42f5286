#include "ingest/api/polls.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/http/problem.h"
#include "ingest/wire/poll_json.h"

namespace veche::api {
namespace {

namespace json = boost::json;

// Whether somebody registered in the territory may vote in the poll.
bool concerns(const model::PollEntry& poll, const model::TerritoryCode& territory) {
  return std::any_of(poll.definition->targets.begin(), poll.definition->targets.end(),
                     [&](const auto& target) {
                       const auto* code = std::get_if<model::TerritoryCode>(&target);
                       return code && poll.tree->is_within(territory, *code);
                     });
}

struct ListQuery {
  std::optional<std::string> state;
  std::optional<model::TerritoryCode> territory;
  std::string after;
  std::size_t limit = 100;
};

// nullopt: a parameter is not well formed; `fault` names it.
std::optional<ListQuery> read_query(const http::RequestHead& head, std::string& fault) {
  ListQuery query;
  if (const auto state = head.query("state")) {
    constexpr std::array kStates{"scheduled", "open", "closed", "cancelled"};
    if (std::find(kStates.begin(), kStates.end(), *state) == kStates.end())
      fault = "state is scheduled, open, closed or cancelled";
    query.state = std::string(*state);
  }
  if (const auto text = head.query("territory")) {
    query.territory = model::TerritoryCode::parse(*text);
    if (!query.territory) fault = "territory is a code of 1..32 of [0-9A-Za-z-]";
  }
  if (const auto text = head.query("limit")) {
    const auto number = model::parse_number<std::size_t>(*text);
    if (!number || *number < 1 || *number > limits::kListLimit)
      fault = fmt::format("limit is 1..{}", limits::kListLimit);
    query.limit = number.value_or(1);
  }
  if (const auto cursor = head.query("cursor")) {
    if (!model::PollId::parse(*cursor)) fault = "cursor is the next_cursor of the page before";
    query.after = std::string(*cursor);
  }
  if (!fault.empty()) return std::nullopt;
  return query;
}

std::vector<model::DocumentFault> unknown_targets(const model::PollDefinition& poll,
                                                  const model::TerritoryTree& tree) {
  std::vector<model::DocumentFault> faults;
  for (std::size_t i = 0; i < poll.targets.size(); ++i) {
    const auto* code = std::get_if<model::TerritoryCode>(&poll.targets[i]);
    if (code && !tree.find(*code))
      faults.push_back({fmt::format("/targets/{}/territory", i), "unknown-territory",
                        "the territory tree has no such code"});
  }
  return faults;
}

bool same_but_for_tree(model::PollDefinition a, const model::PollDefinition& b) {
  a.tree_version = b.tree_version;
  return a == b;
}

struct Action {
  std::string_view name;
  v1::PollAction action;
  auth::Role role;
};
constexpr std::array kActions{
    Action{"open", v1::POLL_ACTION_OPENED, auth::Role::kApprover},
    Action{"close", v1::POLL_ACTION_CLOSED, auth::Role::kOperator},
    Action{"cancel", v1::POLL_ACTION_CANCELLED, auth::Role::kApprover},
};

}  // namespace

void Polls::list(const http::Request& request, http::Responder responder) {
  std::string fault;
  const auto query = read_query(request.head, fault);
  if (!query) return responder.send(http::problem(400, "bad-parameter", fault));
  json::array polls;
  json::value next_cursor;
  const auto& all = local_.directory().polls;
  const auto first =
      query->after.empty() ? all.begin() : all.upper_bound(*model::PollId::parse(query->after));
  for (auto poll = first; poll != all.end(); ++poll) {
    if (query->state && model::name(poll->second->phase) != *query->state) continue;
    if (query->territory && !concerns(*poll->second, *query->territory)) continue;
    if (polls.size() == query->limit) {
      next_cursor = polls.back().at("id");
      break;
    }
    polls.push_back(wire::write_poll(*poll->second));
  }
  responder.send(
      json_response(200, json::serialize(json::object{{"polls", std::move(polls)},
                                                      {"next_cursor", std::move(next_cursor)}})));
}

void Polls::show(std::string_view poll, http::Responder responder) {
  const auto id = model::PollId::parse(poll);
  const auto entry = id ? local_.directory().find(*id) : nullptr;
  if (!entry) return responder.send(refusal(model::Outcome::unknown_poll, wire::Language::en));
  responder.send(json_response(200, json::serialize(wire::write_poll(*entry))));
}

void Polls::create(const http::Request& request, http::Responder responder) {
  const auto member = require_role(local_, request, auth::Role::kModerator, responder);
  if (!member) return;
  auto read = wire::read_poll(request.body);
  if (!read) return responder.send(http::problem(400, "malformed", read.error().message));
  const auto& directory = local_.directory();
  const auto day = std::chrono::floor<std::chrono::days>(read->definition.opens_at);
  const auto* tree = directory.tree_on(day);
  if (!tree) tree = directory.latest_tree();
  if (!tree)
    return responder.send(
        http::problem(409, "no-territories", "Load a territory tree first: PUT /v1/territories."));
  read->definition.tree_version = tree->version;
  if (read->faults.empty()) read->faults = unknown_targets(read->definition, *tree->tree);
  if (!read->faults.empty())
    return responder.send(
        faulty_document(422, "invalid-poll", "The definition has faults.", read->faults));
  if (!holds_for(*member, read->definition.targets, *tree->tree))
    return responder.send(
        http::problem(403, "role-missing", "The role does not hold for all targets."));
  const auto id = read->definition.id;
  change({id,
          v1::POLL_ACTION_APPROVED,
          std::make_shared<const model::PollDefinition>(std::move(read->definition)),
          member->by,
          {}},
         responder);
}

void Polls::transition(const http::Request& request, std::string_view poll,
                       http::Responder responder) {
  auto claims = require_staff(local_, request, responder);
  if (!claims) return;
  const auto document = wire::read_document(request.body);
  const auto* object = document ? document->if_object() : nullptr;
  const auto* name = object ? object->if_contains("action") : nullptr;
  const auto* reason = object ? object->if_contains("reason") : nullptr;
  const bool well_formed = name && name->is_string() && (!reason || reason->is_string()) &&
                           object->size() == (reason ? 2u : 1u) &&
                           (!reason || reason->get_string().size() <= limits::kTitleBytes);
  if (!well_formed)
    return responder.send(
        http::problem(400, "malformed", R"(Send {"action": "open", "reason": "..."}.)"));
  const auto action = std::find_if(kActions.begin(), kActions.end(), [&](const Action& known) {
    return known.name == std::string_view(name->get_string());
  });
  if (action == kActions.end())
    return responder.send(
        http::problem(422, "unknown-action", "The action is open, close or cancel."));
  const auto member = require_role(*std::move(claims), action->role, responder);
  if (!member) return;
  const auto id = model::PollId::parse(poll);
  if (!id) return responder.send(refusal(model::Outcome::unknown_poll, wire::Language::en));
  if (const auto entry = local_.directory().find(*id);
      entry && !holds_for(*member, entry->definition->targets, *entry->tree))
    return responder.send(
        http::problem(403, "role-missing", "The role does not hold for all targets."));
  change({*id, action->action, nullptr, member->by,
          reason ? std::string(reason->get_string()) : std::string()},
         responder);
}

void Polls::change(node::PollChangeRequest request, http::Responder responder) {
  local_.app.node.change(
      request, [this, &worker = local_.worker, request, responder](node::ChangeResult result) {
        worker.post([this, request, responder, result] { answer(request, result, responder); });
      });
}

void Polls::answer(const node::PollChangeRequest& request, const node::ChangeResult& result,
                   http::Responder responder) {
  const bool creates = request.action == v1::POLL_ACTION_APPROVED;
  const auto poll_json = [&] { return json::serialize(wire::write_poll(*result.poll)); };
  switch (result.outcome) {
    case node::ChangeOutcome::done: {
      auto response = json_response(creates ? 201 : 200, poll_json());
      if (creates) response.with(http::Header::location, "/v1/polls/" + request.poll.str());
      return responder.send(std::move(response));
    }
    case node::ChangeOutcome::poll_exists:
      if (same_but_for_tree(*request.definition, *result.poll->definition))
        return responder.send(json_response(200, poll_json()));
      return responder.send(
          http::problem(409, "poll-exists", "Another poll has this id; ids are used once."));
    case node::ChangeOutcome::wrong_phase:
      return responder.send(http::problem(
          409, "wrong-state", fmt::format("The poll is {}.", model::name(result.poll->phase))));
    case node::ChangeOutcome::unknown_poll:
      return responder.send(refusal(model::Outcome::unknown_poll, wire::Language::en));
    case node::ChangeOutcome::bad_tree:
    case node::ChangeOutcome::overtaken:
      return responder.send(http::problem(409, "overtaken", "The territory tree has changed."));
    case node::ChangeOutcome::limit_reached:
      return responder.send(http::problem(
          409, "limit-reached", fmt::format("A log holds at most {} polls.", limits::kPolls)));
    case node::ChangeOutcome::overloaded:
      return responder.send(refusal(model::Outcome::overloaded, wire::Language::en));
    case node::ChangeOutcome::starting:
      return responder.send(refusal(model::Outcome::starting, wire::Language::en));
    case node::ChangeOutcome::unknown:
      return responder.send(unknown_change());
  }
}

}  // namespace veche::api
