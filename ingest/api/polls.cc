#include "ingest/api/polls.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/api/documents.h"
#include "ingest/api/visible.h"
#include "ingest/http/problem.h"
#include "ingest/wire/header_list.h"
#include "ingest/wire/json_writer.h"
#include "ingest/wire/poll_json.h"

namespace veche::api {
namespace {

namespace json = boost::json;

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

using Selected = std::vector<std::shared_ptr<const model::PollEntry>>;

// One more than a page can hold, if there is one: that there is a next page.
Selected select(const model::Directory& directory, const ListQuery& query, Reader& reader) {
  Selected selected;
  const auto& all = directory.polls;
  const auto first =
      query.after.empty() ? all.begin() : all.upper_bound(*model::PollId::parse(query.after));
  for (auto poll = first; poll != all.end() && selected.size() <= query.limit; ++poll) {
    if (query.state && model::name(poll->second->phase) != *query.state) continue;
    if (query.territory && !model::has_target_over(*poll->second, *query.territory)) continue;
    if (reader.sees(*poll->second)) selected.push_back(poll->second);
  }
  return selected;
}

// As many as fit, but one at least.
http::Response page_of(const Selected& selected, std::size_t limit) {
  wire::JsonWriter json;
  json.open('{').key("polls").open('[');
  std::size_t written = 0, bytes = 0;
  for (; written < std::min(selected.size(), limit); ++written) {
    const auto poll = json::serialize(wire::write_poll(*selected[written]));
    bytes += poll.size();
    if (written > 0 && bytes > limits::kListBytes) break;
    json.value(poll);
  }
  json.close(']').key("next_cursor");
  if (written < selected.size())
    json.text(selected[written - 1]->definition->id.view());
  else
    json.null();
  return json_response(200, json.close('}').take());
}

// Equal pages of one state are one document, whoever asks for them, and with whatever limit.
std::string form_of(const Selected& selected, std::size_t limit) {
  std::string form = selected.size() > limit ? "and more:" : "all:";
  for (std::size_t i = 0; i < std::min(selected.size(), limit); ++i)
    form.append(" ").append(selected[i]->definition->id.view());
  return form;
}

// Of a draft alone, which its version says wholly; empty: it has none.
std::string etag_of(const model::PollEntry& poll) {
  return poll.phase == model::PollPhase::draft ? fmt::format("\"{}\"", poll.version) : "";
}

http::Response not_modified(std::string etag) {
  http::Response response{304, {}, {}, {}};
  response.with(http::Header::etag, std::move(etag));
  return response;
}

}  // namespace

void Polls::list(const http::Request& request, http::Responder responder) {
  std::string fault;
  const auto query = read_query(request.head, fault);
  if (!query) return responder.send(http::problem(400, "bad-parameter", fault));
  Reader reader(local_, request.head);
  const auto directory = local_.app.node.directory();
  auto selected = select(*directory, *query, reader);
  const bool is_odd_part = selected.size() > query->limit && query->limit != ListQuery{}.limit;
  Documents::Form form(form_of(selected, query->limit), !query->after.empty() || is_odd_part);
  const auto overloaded = refusal(model::Outcome::overloaded, wire::Language::en);
  const bool is_taken = local_.app.documents.of_state(
      "polls", directory, std::move(form),
      [selected = std::move(selected), limit = query->limit] { return page_of(selected, limit); },
      sender(responder, overloaded));
  if (!is_taken) responder.send(http::Response(overloaded));
}

void Polls::show(const http::Request& request, std::string_view poll, http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  const auto etag = etag_of(*entry);
  if (!etag.empty() && wire::has_entity_tag(request.head.if_none_match, etag))
    return responder.send(not_modified(etag));
  local_.app.documents.of_state(
      "poll " + entry->definition->id.str(), entry, "json",
      [entry] { return poll_response(200, *entry); },
      sender(responder, refusal(model::Outcome::overloaded, wire::Language::en)),
      Writers::Order::first);
}

void Polls::history(const http::Request& request, std::string_view poll,
                    http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  const auto overloaded = refusal(model::Outcome::overloaded, wire::Language::en);
  const bool is_taken = local_.app.documents.of_state(
      "history " + entry->definition->id.str(), entry, "json",
      [entry] { return json_response(200, json::serialize(wire::write_history(*entry))); },
      sender(responder, overloaded));
  if (!is_taken) responder.send(http::Response(overloaded));
}

http::Response poll_response(std::uint16_t status, const model::PollEntry& poll) {
  auto response = json_response(status, json::serialize(wire::write_poll(poll)));
  if (auto etag = etag_of(poll); !etag.empty()) response.with(http::Header::etag, std::move(etag));
  return response;
}

}  // namespace veche::api
