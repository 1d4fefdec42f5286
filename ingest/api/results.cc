#include "ingest/api/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/api/view.h"
#include "ingest/api/visible.h"
#include "ingest/http/problem.h"
#include "ingest/wire/header_list.h"

namespace veche::api {
namespace {

// Whole hours, or days: "1h" .. "24h", "1d" .. "31d".
std::optional<std::uint32_t> read_step(std::string_view text) {
  const bool days = text.ends_with('d');
  if (!days && !text.ends_with('h')) return std::nullopt;
  const auto number = model::parse_number<std::uint32_t>(text.substr(0, text.size() - 1));
  if (!number || *number < 1 || *number > (days ? 31 : 24)) return std::nullopt;
  return days ? *number * 24 : *number;
}

}  // namespace

void Results::results(const http::Request& request, std::string_view poll, Format format,
                      http::Responder responder) {
  const auto entry = visible_poll(local_, request.head, poll);
  if (!entry) return responder.send(unknown_poll());
  std::string fault;
  auto view = read_view(request.head, format, *entry, fault);
  if (!view) return responder.send(http::problem(400, "bad-parameter", fault));
  Question question{[responder](http::Response&& made) { responder.send(std::move(made)); }, *view,
                    std::string(request.head.if_none_match)};
  if (view->look.viewer == publish::Viewer::auditor)
    return audit(request, responder, entry, std::move(question));
  const auto viewer = viewer_of(local_, *entry, request.head.authorization);
  if (!viewer) return responder.send(refusal(viewer.error()));
  question.view.look.viewer = *viewer;
  if (const auto version = request.head.query("version"))
    return ask_version(entry, *version, std::move(question));
  ask(entry, std::move(question));
}

// The log tells of a look at exact counts before anybody has had it.
void Results::audit(const http::Request& request, const http::Responder& responder,
                    const std::shared_ptr<const model::PollEntry>& poll, Question question) {
  const auto member = require_role(local_, request, auth::Role::kAuditor, responder);
  if (!member) return;
  if (!holds_for(*member, poll->definition->targets, *poll->tree))
    return responder.send(not_held());
  local_.app.node.audit(
      poll->definition->id, member->by,
      [this, &worker = local_.worker, poll,
       question = std::move(question)](const node::ChangeResult& result) {
        worker.post([this, poll, question, outcome = result.outcome] {
          if (outcome == node::ChangeOutcome::done) return ask(poll, question);
          question.take(http::unavailable(
              "audit-not-recorded", "The log did not take the record of this look: ask again."));
        });
      });
}

void Results::for_voter(const model::PollId& poll, Taker take) {
  View view;
  view.look = {publish::Viewer::voter, publish::Detail::whole_poll, std::nullopt};
  ask(local_.directory().find(poll), {std::move(take), view, {}}, Writers::Order::first);
}

void Results::ask(const std::shared_ptr<const model::PollEntry>& poll, Question question,
                  Writers::Order order) {
  const auto view = question.view;
  const auto asked = std::make_shared<const Question>(std::move(question));
  const bool is_taken = local_.app.documents.of_counts(
      poll, view.look, form_of(view),
      [view](const auto&, const auto* published) { return response_of(published, view); },
      [asked, &worker = local_.worker](const Documents::Document& made) {
        worker.post([asked, made] { answer(*asked, made); });
      },
      order);
  if (!is_taken) answer(*asked, nullptr);
}

std::optional<Results::View> Results::read_view(const http::RequestHead& head, Format format,
                                                const model::PollEntry& poll, std::string& fault) {
  View view;
  view.format = format;
  if (const auto filter = read_filter(head, *poll.tree))
    view.filter = *filter;
  else
    fault = filter.error();
  if (const auto exact = head.query("view")) {
    if (*exact != "exact") fault = "view is exact, or left out";
    if (head.query("version")) fault = "view=exact shows the counts of now: leave version out";
    view.look.viewer = publish::Viewer::auditor;
  }
  if (const auto lang = head.query("lang")) {
    if (*lang != "ru" && *lang != "en") fault = "lang is ru or en";
    view.csv.titles = *lang == "en" ? wire::Language::en : wire::Language::ru;
  }
  if (const auto excel = head.query("excel")) {
    if (*excel != "1") fault = "excel is 1, or left out";
    view.csv.for_excel = true;
  }
  if (const auto text = head.query("step")) {
    const auto step = read_step(*text);
    if (!step) fault = "step is 1h..24h or 1d..31d";
    view.step_hours = step.value_or(1);
  }
  if (!fault.empty()) return std::nullopt;
  normalise(*poll.definition, view);
  return view;
}

// Every parameter was checked; one that changes no byte of this format must not make a document of
// its own.
void Results::normalise(const model::PollDefinition& poll, View& view) {
  if (view.format != Format::turnout) view.step_hours = 1;
  if (view.format == Format::turnout) view.filter = {};
  if (view.format != Format::csv) view.csv = {};
  // Without titles in English, `lang` chooses no more than what is before decimals in a
  // spreadsheet.
  const bool has_english =
      std::any_of(poll.questions.begin(), poll.questions.end(), [](const auto& question) {
        return std::any_of(question.options.begin(), question.options.end(),
                           [](const auto& option) { return !option.title.en.empty(); });
      });
  if (!has_english && !view.csv.for_excel) view.csv.titles = wire::CsvStyle{}.titles;
  view.look.detail =
      view.filter.by_territory ? publish::Detail::by_territory : publish::Detail::whole_poll;
}

std::string Results::form_of(const View& view) {
  return fmt::format("{} {} {} {} {} {} {}", static_cast<int>(view.format),
                     view.filter.by_territory, view.filter.level ? int{*view.filter.level} : -1,
                     view.filter.parent ? view.filter.parent->view() : "",
                     static_cast<int>(view.csv.titles), view.csv.for_excel, view.step_hours);
}

// As of a version that was published before. In `exact` none is kept: counts change with every
// ballot, and the log is their history.
void Results::ask_version(const std::shared_ptr<const model::PollEntry>& poll,
                          std::string_view version, Question question) {
  const auto dash = version.find('-');
  const auto number = model::parse_number<std::uint64_t>(version.substr(0, dash));
  if (!number)
    return question.take(http::problem(400, "bad-parameter", "version is one that results told"));
  if (publish::needs_tallies(*poll, question.view.look.viewer))
    return question.take(http::problem(
        404, "version-not-kept", "The poll shows exact counts, of which no version is kept."));
  EarlierVersion asked{*number, std::string(dash == version.npos ? "" : version.substr(dash + 1))};
  // Of those that are not kept all are answered alike, so they are one document.
  const bool is_kept = publish::keeps_version(*poll, asked.number, asked.state);
  question.view.look.version = is_kept ? std::move(asked) : EarlierVersion{};
  ask(poll, std::move(question));
}

http::Response Results::response_of(const publish::Published* published, const View& view) {
  if (!published)
    return http::problem(404, "version-not-kept", "This version of the results is not kept.");
  if (const auto* hidden = std::get_if<publish::Hidden>(published))
    return http::problem(403, "results-hidden",
                         hidden->until == publish::kNever
                             ? "The poll was cancelled: its results are never shown."
                             : fmt::format("Not shown until {}.", hidden->until));
  const auto& snapshot = std::get<publish::Snapshot>(*published);
  http::Response response;
  std::string_view form = "json";
  switch (view.format) {
    case Format::json:
      response = json_response(200, wire::results_json(snapshot, view.filter));
      break;
    case Format::turnout:
      response = json_response(200, wire::turnout_json(snapshot, view.step_hours));
      form = "turnout";
      break;
    case Format::csv:
      response = {
          200, "text/csv; charset=utf-8", wire::results_csv(snapshot, view.filter, view.csv), {}};
      response.with(http::Header::content_disposition,
                    fmt::format("attachment; filename=\"{}-{}.csv\"",
                                snapshot.poll->definition->id.view(), snapshot.version));
      form = view.csv.for_excel ? "excel" : "csv";
  }
  const bool exact = view.look.viewer == publish::Viewer::auditor;
  response.with(http::Header::etag,
                fmt::format("W/\"{}-{}{}\"", snapshot.version, form, exact ? "-exact" : ""));
  response.with(http::Header::cache_control, exact ? "no-store" : "no-cache");
  response.with(http::Header::vary, "Accept");
  return response;
}

void Results::answer(const Question& question, const Documents::Document& made) {
  if (!made) return question.take(refusal(model::Outcome::overloaded, wire::Language::en));
  auto response = *made;
  const auto& headers = made->headers;
  const auto etag = std::find_if(headers.begin(), headers.end(), [](const auto& header) {
    return header.first == http::Header::etag;
  });
  if (etag != headers.end() && wire::has_entity_tag(question.if_none_match, etag->second)) {
    response.status = 304;
    response.content_type = {};
    response.body = {};
  }
  question.take(std::move(response));
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
  local_.app.node.when_applied(opened->first, opened->second.plus(1),
                               [&worker = local_.worker, responder, answer](bool applied) {
                                 worker.post([responder, answer, applied] {
                                   if (applied) return answer(true);
                                   responder.send(unknown_yet());
                                 });
                               });
}

}  // namespace veche::api
