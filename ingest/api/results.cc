#include "ingest/api/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/model/limits.h"
#include "ingest/api/view.h"
#include "ingest/http/problem.h"

namespace veche::api {
namespace {

// Weak comparison, RFC 9110 13.1.2.
bool holds(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag.substr(2)) != std::string_view::npos;
}

}  // namespace

void Results::results(const http::Request& request, std::string_view poll, Format format,
                      http::Responder responder) {
  const auto entry = find_public_poll(local_, poll);
  if (!entry) return responder.send(refusal(model::Outcome::unknown_poll, wire::Language::en));
  const auto filter = read_filter(request.head);
  if (!filter) return responder.send(bad_filter());
  const auto viewer = viewer_of(local_, *entry, request.head.authorization);
  if (!viewer) return responder.send(refusal(viewer.error()));
  const auto& id = entry->definition->id;
  if (waiting_ >= limits::kResultsWaitingPerThread)
    return responder.send(refusal(model::Outcome::overloaded, wire::Language::en));
  ++waiting_;
  auto& gathering = gatherings_[id];
  gathering.next.push_back(
      {responder, {*viewer, format, *filter}, std::string(request.head.if_none_match)});
  if (gathering.now.empty()) gather(id);
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
