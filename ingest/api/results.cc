#include "ingest/api/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/api/visible.h"
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
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  const auto& id = entry->definition->id;
  const auto filter = read_filter(request.head);
  if (!filter)
    return responder.send(http::problem(400, "bad-parameter",
                                        "by is territory; level and parent narrow by=territory"));
  Question question{responder,
                    {publish::Viewer::anybody, format, *filter},
                    std::string(request.head.if_none_match)};
  if (const auto view = request.head.query("view")) {
    if (*view != "exact")
      return responder.send(http::problem(400, "bad-parameter", "view is exact"));
    return audit(request, *entry, std::move(question));
  }
  const auto token = bearer(request.head.authorization);
  const bool token_matters =
      entry->definition->visibility == model::Visibility::after_vote && !token.empty();
  if (token_matters) {
    const auto claims = local_.verifier().verify_vote(token, now_seconds());
    if (!claims) return responder.send(refusal(claims.error()));
    if (claims->poll == id) question.view.viewer = publish::Viewer::voter;
  }
  ask(id, std::move(question));
}

// The log tells of a look at exact counts before anybody has had it.
void Results::audit(const http::Request& request, const model::PollEntry& poll, Question question) {
  const auto& responder = question.responder;
  const auto member = require_role(local_, request, auth::Role::kAuditor, responder);
  if (!member) return;
  if (!holds_for(*member, poll.definition->targets, *poll.tree)) return responder.send(not_held());
  question.view.viewer = publish::Viewer::auditor;
  const auto& id = poll.definition->id;
  local_.app.node.audit(
      id, member->by,
      [this, &worker = local_.worker, id,
       question = std::move(question)](const node::ChangeResult& result) {
        worker.post([this, id, question, outcome = result.outcome] {
          if (outcome == node::ChangeOutcome::done) return ask(id, question);
          question.responder.send(http::unavailable(
              "audit-not-recorded", "The log did not take the record of this look: ask again."));
        });
      });
}

void Results::ask(const model::PollId& poll, Question question) {
  if (waiting_ >= limits::kResultsWaitingPerThread)
    return question.responder.send(refusal(model::Outcome::overloaded, wire::Language::en));
  ++waiting_;
  auto& gathering = gatherings_[poll];
  gathering.next.push_back(std::move(question));
  if (gathering.now.empty()) gather(poll);
}

void Results::gather(const model::PollId& poll) {
  auto& gathering = gatherings_[poll];
  gathering.now = std::exchange(gathering.next, {});
  local_.app.node.collect(poll, [this, &worker = local_.worker, poll](node::Collected collected) {
    worker.post([this, poll, collected = std::move(collected)] { on_collected(poll, collected); });
  });
}

// Those who ask the same get the same bytes, made once.
void Results::on_collected(const model::PollId& poll, const node::Collected& collected) {
  auto& gathering = gatherings_[poll];
  const auto questions = std::exchange(gathering.now, {});
  std::map<View, http::Response> made;
  for (const auto& question : questions) {
    auto found = made.find(question.view);
    if (found == made.end())
      found = made.emplace(question.view, response_of(collected, question.view)).first;
    answer(question, found->second);
  }
  waiting_ -= questions.size();
  if (gathering.next.empty())
    gatherings_.erase(poll);
  else
    gather(poll);
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
  const bool exact = view.viewer == publish::Viewer::auditor;
  response.with(http::Header::etag, fmt::format("W/\"{}-{}{}\"", snapshot.version,
                                                csv ? "csv" : "json", exact ? "-exact" : ""));
  response.with(http::Header::cache_control, exact ? "no-store" : "no-cache");
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
void Results::receipt(const http::Request& request, std::string_view poll, std::string_view receipt,
                      http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  const auto& id = entry->definition->id;
  const auto answer = [responder, poll = id.str()](bool recorded) {
    responder.send(
        json_response(200, fmt::format(R"({{"poll":"{}","recorded":{}}})", poll, recorded)));
  };
  const auto opened = local_.secret_of(id).open_receipt(receipt);
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
