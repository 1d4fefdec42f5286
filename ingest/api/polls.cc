#include "ingest/api/polls.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/api/visible.h"
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
    constexpr std::array kStates{"draft",  "submitted", "scheduled", "open",
                                 "closed", "certified", "cancelled"};
    if (std::find(kStates.begin(), kStates.end(), *state) == kStates.end())
      fault = "state is draft, submitted, scheduled, open, closed, certified or cancelled";
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

}  // namespace

void Polls::list(const http::Request& request, http::Responder responder) {
  std::string fault;
  const auto query = read_query(request.head, fault);
  if (!query) return responder.send(http::problem(400, "bad-parameter", fault));
  Reader reader(local_, request.head);
  json::array polls;
  json::value next_cursor;
  const auto& all = local_.directory().polls;
  const auto first =
      query->after.empty() ? all.begin() : all.upper_bound(*model::PollId::parse(query->after));
  for (auto poll = first; poll != all.end(); ++poll) {
    if (query->state && model::name(poll->second->phase) != *query->state) continue;
    if (query->territory && !concerns(*poll->second, *query->territory)) continue;
    if (!reader.sees(*poll->second)) continue;
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

void Polls::show(const http::Request& request, std::string_view poll, http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  responder.send(entry ? poll_response(200, *entry) : unknown_poll());
}

void Polls::history(const http::Request& request, std::string_view poll,
                    http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  responder.send(json_response(200, json::serialize(wire::write_history(*entry))));
}

http::Response poll_response(std::uint16_t status, const model::PollEntry& poll) {
  auto response = json_response(status, json::serialize(wire::write_poll(poll)));
  if (poll.phase == model::PollPhase::draft)
    response.with(http::Header::etag, fmt::format("\"{}\"", poll.version));
  return response;
}

}  // namespace veche::api
