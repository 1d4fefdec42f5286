#include "ingest/api/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/http/problem.h"

namespace veche::api {
namespace {

// nullopt: a parameter is not well formed.
std::optional<wire::TerritoryFilter> read_filter(const http::RequestHead& head) {
  wire::TerritoryFilter filter;
  if (const auto by = head.query("by")) {
    if (*by != "territory") return std::nullopt;
    filter.by_territory = true;
  }
  if (const auto text = head.query("level")) {
    filter.level = model::parse_number<std::uint8_t>(*text);
    if (!filter.level) return std::nullopt;
  }
  if (const auto text = head.query("parent")) {
    filter.parent = model::TerritoryCode::parse(*text);
    if (!filter.parent) return std::nullopt;
  }
  const bool narrowed = filter.level || filter.parent;
  return narrowed && !filter.by_territory ? std::nullopt : std::optional(filter);
}

// Weak comparison, RFC 9110 13.1.2.
bool holds(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag.substr(2)) != std::string_view::npos;
}

}  // namespace

void Results::results(const http::Request& request, std::string_view poll, Format format,
                      http::Responder responder) {
  const auto id = model::PollId::parse(poll);
  const auto entry = id ? local_.directory().find(*id) : nullptr;
  if (!entry) return responder.send(refusal(model::Outcome::unknown_poll, wire::Language::en));
  const auto filter = read_filter(request.head);
  if (!filter)
    return responder.send(http::problem(400, "bad-parameter",
                                        "by is territory; level and parent narrow by=territory"));
  auto viewer = publish::Viewer::anybody;
  const auto token = bearer(request.head.authorization);
  const bool token_matters =
      entry->definition->visibility == model::Visibility::after_vote && !token.empty();
  if (token_matters) {
    const auto claims = local_.verifier().verify_vote(token, now_seconds());
    if (!claims) return responder.send(refusal(claims.error()));
    if (claims->poll == *id) viewer = publish::Viewer::voter;
  }
  if (gatherer_.is_full())
    return responder.send(refusal(model::Outcome::overloaded, wire::Language::en));
  gatherer_.ask(*id,
                {responder, {viewer, format, *filter}, std::string(request.head.if_none_match)});
}

// Those who ask the same get the same bytes, made once.
void Results::answer_all(const node::Collected& collected, const std::vector<Question>& questions) {
  std::map<View, http::Response> made;
  for (const auto& question : questions) {
    auto found = made.find(question.view);
    if (found == made.end())
      found = made.emplace(question.view, response_of(collected, question.view)).first;
    answer(question, found->second);
  }
}

http::Response Results::response_of(const node::Collected& collected, const View& view) {
  const auto published = publish::publish(collected, view.viewer);
  if (const auto* hidden = std::get_if<publish::Hidden>(&published))
    return http::problem(403, "results-hidden", fmt::format("Not shown until {}.", hidden->until));
  const auto& snapshot = std::get<publish::Snapshot>(published);
  const bool csv = view.format == Format::csv;
  auto response = csv ? http::Response{200,
                                       "text/csv; charset=utf-8",
                                       wire::results_csv(snapshot, view.filter),
                                       {}}
                      : json_response(200, wire::results_json(snapshot, view.filter));
  response.with(http::Header::etag,
                fmt::format("W/\"{}-{}\"", snapshot.version, csv ? "csv" : "json"));
  response.with(http::Header::cache_control, "no-cache");
  response.with(http::Header::vary, "Accept");
  return response;
}

void Results::answer(const Question& question, const http::Response& made) {
  auto response = made;
  const auto etag = std::find_if(made.headers.begin(), made.headers.end(), [](const auto& header) {
    return header.first == http::Header::etag;
  });
  if (etag != made.headers.end() && holds(question.if_none_match, etag->second)) {
    response.status = 304;
    response.content_type = {};
    response.body.clear();
  }
  question.responder.send(std::move(response));
}

// A receipt proves itself: only a node with the poll's secret could make it. What is left to see is
// that this node has applied the record that it names.
void Results::receipt(std::string_view poll, std::string_view receipt, http::Responder responder) {
  const auto id = model::PollId::parse(poll);
  if (!id || !local_.directory().find(*id))
    return responder.send(refusal(model::Outcome::unknown_poll, wire::Language::en));
  const auto answer = [responder, poll = id->str()](bool recorded) {
    responder.send(
        json_response(200, fmt::format(R"({{"poll":"{}","recorded":{}}})", poll, recorded)));
  };
  const auto opened = local_.secret_of(*id).open_receipt(receipt);
  if (!opened || opened->first.value >= local_.app.node.partitions()) return answer(false);
  local_.app.node.when_applied(
      opened->first, opened->second.plus(1),
      [&worker = local_.worker, responder, answer](bool applied) {
        worker.post([responder, answer, applied] {
          if (applied) return answer(true);
          responder.send(refusal(model::Outcome::outcome_unknown, wire::Language::en));
        });
      });
}

}  // namespace veche::api
