#include "ingest/api/api.h"

#include <fmt/format.h>
#include <strings.h>

#include <boost/json.hpp>

#include "engine/model/limits.h"
#include "engine/node/stop_reason.h"
#include "ingest/http/problem.h"
#include "ingest/web/load_page.h"
#include "ingest/wire/content_coding.h"
#include "ingest/wire/header_list.h"

namespace veche::api {
namespace {

using http::Admission;
using model::Outcome;

// The type before any parameters; its case does not matter: RFC 9110 8.3.1.
bool is_media_type(std::string_view content_type, std::string_view wanted) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return type.size() == wanted.size() && strncasecmp(type.data(), wanted.data(), type.size()) == 0;
}

struct BodyRule {
  std::string_view media_type;
  std::size_t limit_bytes;
  bool may_be_coded;
};

// Routes without a rule take no body.
std::optional<BodyRule> body_rule(RouteId route) {
  switch (route) {
    case RouteId::post_ballot:
      return BodyRule{"application/json", limits::kBallotBodyBytes, false};
    case RouteId::post_batch:
      return BodyRule{"application/x-ndjson", limits::kBatchBodyBytes, true};
    case RouteId::create_poll:
    case RouteId::edit_poll:
    case RouteId::change_poll:
      return BodyRule{"application/json", limits::kPollBodyBytes, false};
    case RouteId::put_territories:
      return BodyRule{"text/csv", limits::kTreeBodyBytes, false};
    default:
      return std::nullopt;
  }
}

// Routes that must be answered whatever state the node is in.
bool is_health(RouteId route) {
  return route == RouteId::livez || route == RouteId::readyz || route == RouteId::version ||
         route == RouteId::openapi;
}

bool is_api(std::string_view path) { return path.starts_with("/v1/"); }

// Who asks for HTML by name wants a page to read, and not a document.
bool is_browser(const http::RequestHead& head) {
  const auto html = wire::wanted(head.accept, "text/html");
  return !is_api(head.path) && html.is_named && html.weight > 0;
}

bool is_ballot(RouteId route) {
  return route == RouteId::post_ballot || route == RouteId::post_batch;
}

bool is_stream(RouteId route) { return route == RouteId::stream || route == RouteId::stream_polls; }

// Whether the answer may be more than some KiB, or without end. As long as one is owed, nothing
// more of its connection is taken; and where too much is owed to others none is begun.
bool may_be_large(RouteId route, const http::RequestHead& head) {
  switch (route) {
    case RouteId::post_ballot:
      return head.query("results").has_value();
    case RouteId::get_receipt:
    case RouteId::certificate:
    case RouteId::put_territories:
    case RouteId::livez:
    case RouteId::readyz:
    case RouteId::version:
    case RouteId::asset:  // of the program: held once, whoever asks
      return false;
    default:
      return true;
  }
}

// A ballot is a few hundred bytes: of strangers no more is read.
bool has_long_ballot(const http::RequestHead& head) {
  return head.has_body &&
         head.content_length.value_or(limits::kBallotBodyBytes) > limits::kShortBodyBytes;
}

http::Route tag(RouteId route) { return static_cast<http::Route>(route); }

// A node is ready although some partitions take no ballots now: it says which.
std::string readiness(const node::LogTrouble& trouble) {
  namespace json = boost::json;
  json::object ready{{"status", "ready"}};
  if (!trouble.partitions.empty()) {
    auto& stuck = ready["stuck"].emplace_array();
    for (const auto partition : trouble.partitions) stuck.emplace_back(node::name_of(partition));
    ready["detail"] = trouble.why;
  }
  return json::serialize(ready);
}

}  // namespace

Api::Api(App& app, http::Worker& worker)
    : local_(app, worker),
      results_(local_),
      ballots_(local_, results_),
      polls_(local_),
      certificates_(local_),
      life_(local_, certificates_),
      streams_(local_),
      territories_(local_),
      pages_(local_) {}

Admission Api::head(const http::RequestHead& head) {
  const auto found = match(head.method, head.path);
  if (!found.route) return Admission::refuse(http::kNoRoute, nowhere(head, found.allow));
  if (auto refused = refuse(*found.route, head))
    return Admission::refuse(tag(*found.route), is_stream(*found.route)
                                                    ? refusal_of_stream(std::move(*refused))
                                                    : std::move(*refused));
  const auto rule = body_rule(*found.route);
  const auto limit_bytes = rule ? rule->limit_bytes : 0;
  return may_be_large(*found.route, head) ? Admission::accept_alone(tag(*found.route), limit_bytes)
                                          : Admission::accept(tag(*found.route), limit_bytes);
}

// There is no such path, or it does not take this method. Below /v1/ it is never a page.
http::Response Api::nowhere(const http::RequestHead& head, std::string_view allow) const {
  const std::uint16_t status = allow.empty() ? 404 : 405;
  const bool is_page = is_browser(head);
  auto response =
      is_page         ? web::error_page(status, web::reader_of(head, local_.app.has_test_data()))
      : allow.empty() ? http::problem(status, "not-found", "There is no such page.")
                      : http::problem(status, "method-not-allowed", "See the Allow header.");
  if (!allow.empty()) response.with(http::Header::allow, std::string(allow));
  if (!is_page && !is_api(head.path)) response.with(http::Header::vary, "Accept");
  return response;
}

// What can be said before the body is read; an overload above all.
std::optional<http::Response> Api::refuse(RouteId route, const http::RequestHead& head) {
  const auto language = wire::language(head.accept_language);
  if (is_page(route)) return refuse_page(route, head);
  if (!is_health(route)) {
    if (local_.app.draining()) return refusal(Outcome::draining, language);
    if (!local_.app.node.serves()) return refusal(Outcome::starting, language);
    // A ballot is counted in any case; with results it is answered alone.
    const bool needs_room = may_be_large(route, head) && route != RouteId::post_ballot;
    if (needs_room && !local_.worker.has_room_for_large_answer())
      return refusal(Outcome::overloaded, language);
  }
  const auto rule = body_rule(route);
  if (!rule) return std::nullopt;
  if (!is_media_type(head.content_type, rule->media_type))
    return http::problem(415, "wrong-media-type",
                         fmt::format("Send Content-Type: {}.", rule->media_type));
  const auto coding = wire::coding(head.content_encoding);
  if (coding == wire::Coding::unknown || (coding != wire::Coding::identity && !rule->may_be_coded))
    return http::problem(415, "wrong-content-coding",
                         rule->may_be_coded ? "Send gzip, zstd, or no Content-Encoding."
                                            : "Send no Content-Encoding.");
  if (route == RouteId::post_ballot && !local_.app.node.has_room())
    return refusal(Outcome::overloaded, language);
  if (route == RouteId::post_batch && !ballots_.has_room_for_batch())
    return refusal(Outcome::overloaded, language);
  return refuse_token(route, head);
}

// What a page is made of is given out in every state: a page that refuses needs it too.
std::optional<http::Response> Api::refuse_page(RouteId route, const http::RequestHead& head) {
  const bool answers = !local_.app.draining() && local_.app.node.serves() &&
                       local_.worker.has_room_for_large_answer();
  if (answers || route == RouteId::asset) return std::nullopt;
  return web::error_page(503, web::reader_of(head, local_.app.has_test_data()));
}

// What is longer than a ballot is read from those alone who hold a token for it.
std::optional<http::Response> Api::refuse_token(RouteId route, const http::RequestHead& head) {
  const auto token = bearer(head.authorization);
  if (route == RouteId::post_ballot) {
    if (!has_long_ballot(head)) return std::nullopt;
    const auto claims = local_.verifier().verify_vote(token, now_seconds());
    return claims ? std::nullopt : std::optional(refusal(claims.error()));
  }
  if (route == RouteId::post_batch) {
    const auto claims = local_.verifier().verify_batch(token, now_seconds());
    return claims ? std::nullopt : std::optional(refusal(claims.error()));
  }
  const auto claims = local_.verifier().verify_staff(token, now_seconds());
  if (!claims) return refusal(claims.error());
  switch (route) {
    case RouteId::change_poll:
      return Life::refuse_transition(*claims);
    case RouteId::put_territories:
      return Territories::refuse_put(*claims);
    default:
      return refuse_without(*claims, auth::Role::kModerator);
  }
}

void Api::handle(const http::Request& request, http::Responder responder) {
  const auto found = match(request.head.method, request.head.path);
  const auto& parameter = found.parameters;
  switch (*found.route) {
    case RouteId::post_ballot:
      return ballots_.post_ballot(request, parameter[0], responder);
    case RouteId::post_batch:
      return ballots_.post_batch(request, responder);
    case RouteId::get_receipt:
      return results_.receipt(request, parameter[0], parameter[1], responder);
    case RouteId::list_polls:
      return polls_.list(request, responder);
    case RouteId::create_poll:
      return life_.create(request, responder);
    case RouteId::show_poll:
      return polls_.show(request, parameter[0], responder);
    case RouteId::edit_poll:
      return life_.edit(request, parameter[0], responder);
    case RouteId::change_poll:
      return life_.transition(request, parameter[0], responder);
    case RouteId::history:
      return polls_.history(request, parameter[0], responder);
    case RouteId::certificate:
      return certificates_.show(request, parameter[0], responder);
    case RouteId::certified_results:
      return certificates_.document(request, parameter[0], responder);
    case RouteId::results:
      return results_.results(
          request, parameter[0],
          wants_csv(request.head) ? Results::Format::csv : Results::Format::json, responder);
    case RouteId::results_json:
      return results_.results(request, parameter[0], Results::Format::json, responder);
    case RouteId::results_csv:
      return results_.results(request, parameter[0], Results::Format::csv, responder);
    case RouteId::turnout:
      return results_.results(request, parameter[0], Results::Format::turnout, responder);
    case RouteId::stream:
      return streams_.of_poll(request, parameter[0], responder);
    case RouteId::stream_polls:
      return streams_.of_polls(request, responder);
    case RouteId::get_territories:
      return territories_.get(request, responder);
    case RouteId::put_territories:
      return territories_.put(request, responder);
    case RouteId::livez:
      return responder.send(json_response(200, R"({"status":"alive"})"));
    case RouteId::readyz:
      if (local_.app.leaving())
        return responder.send(refusal(Outcome::draining, wire::Language::en));
      if (!local_.app.node.serves())
        return responder.send(refusal(Outcome::starting, wire::Language::en));
      if (const auto why = local_.app.node.why_not_ready(); !why.empty())
        return responder.send(http::unavailable("not-ready", why));
      return responder.send(json_response(200, readiness(local_.app.node.trouble())));
    case RouteId::version:
      return responder.send(
          json_response(200, fmt::format(R"({{"name":"veche","version":"{}"}})", VECHE_VERSION)));
    case RouteId::openapi:
      static const auto kDocument = std::make_shared<const std::string>(kOpenApi);
      return responder.send(json_response(200, kDocument));
    case RouteId::poll_list_page:
      return pages_.list(request, responder);
    case RouteId::poll_page:
      return pages_.poll(request, parameter[0], responder);
    case RouteId::territory_page:
      return pages_.territory(request, parameter[0], parameter[1], responder);
    case RouteId::asset:
      return pages_.asset(request, responder);
    case RouteId::metrics:
      break;
  }
  responder.send(http::problem(404, "not-found", "There is no such page."));
}

http::Response Api::on_too_many(const http::RequestHead& head) {
  const auto found = match(head.method, head.path);
  auto response = http::too_many_connections();
  return found.route && is_stream(*found.route) ? refusal_of_stream(std::move(response)) : response;
}

// What was to be written may be written yet; what was only asked is asked again.
http::Response Api::on_deadline(http::Route route) {
  const auto id = static_cast<RouteId>(route);
  if (is_page(id)) return web::error_page(503, {});
  if (is_ballot(id)) return refusal(Outcome::outcome_unknown, wire::Language::en);
  if (body_rule(id)) return unknown_change();
  auto response = refusal(Outcome::overloaded, wire::Language::en);
  return is_stream(id) ? refusal_of_stream(std::move(response)) : response;
}

Admission MetricsApi::head(const http::RequestHead& head) {
  constexpr auto kTag = static_cast<http::Route>(RouteId::metrics);
  const bool known = head.path == "/metrics" || head.path == "/load" || head.path == "/load.json" ||
                     web::find_asset(head.path);
  const bool reads = head.method == http::Method::get || head.method == http::Method::head;
  if (!known || !reads)
    return Admission::refuse(
        kTag, http::problem(404, "not-found", "Here are GET /metrics and GET /load alone."));
  return Admission::accept_alone(kTag, 0);
}

void MetricsApi::handle(const http::Request& request, http::Responder responder) {
  const auto& head = request.head;
  if (const auto* asset = web::find_asset(head.path))
    return responder.send(web::asset_response(*asset));
  if (head.path == "/load.json")
    return responder.send(web::load_json(metrics_.load(facts_().ready)));
  if (head.path == "/load")
    return responder.send(
        web::load_page(metrics_.load(facts_().ready), web::reader_of(head, false)));
  responder.send({200, "text/plain; version=0.0.4; charset=utf-8", metrics_.text(facts_()), {}});
}

http::Response MetricsApi::on_deadline(http::Route) {
  return http::unavailable("overloaded", "The metrics could not be gathered in time.");
}

}  // namespace veche::api
