// Every route that the server has, in one table: dispatch, OpenAPI test and metrics read it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ingest/http/request.h"

namespace veche::api {

enum class RouteId : std::uint16_t {
  post_ballot,
  post_batch,
  get_receipt,
  list_polls,
  create_poll,
  show_poll,
  edit_poll,
  change_poll,
  history,
  certificate,
  certified_results,
  results,
  results_json,
  results_csv,
  turnout,
  stream,
  stream_polls,
  get_territories,
  put_territories,
  livez,
  readyz,
  version,
  openapi,
  poll_list_page,
  poll_page,
  territory_page,
  asset,
  metrics,  // on a listener of its own
};

struct RouteRow {
  RouteId id;
  http::Method method;
  std::string_view pattern;  // segments in braces match anything
  std::string_view label;    // in metrics and access logs
  bool is_page = false;      // for people: refused in HTML, and no part of the API's document
};

inline constexpr std::array kRoutes{
    RouteRow{RouteId::post_ballot, http::Method::post, "/v1/polls/{poll}/ballots", "ballot"},
    RouteRow{RouteId::post_batch, http::Method::post, "/v1/ballots", "batch"},
    RouteRow{RouteId::get_receipt, http::Method::get, "/v1/polls/{poll}/receipts/{receipt}",
             "receipt"},
    RouteRow{RouteId::list_polls, http::Method::get, "/v1/polls", "polls"},
    RouteRow{RouteId::create_poll, http::Method::post, "/v1/polls", "create-poll"},
    RouteRow{RouteId::show_poll, http::Method::get, "/v1/polls/{poll}", "poll"},
    RouteRow{RouteId::edit_poll, http::Method::patch, "/v1/polls/{poll}", "edit-poll"},
    RouteRow{RouteId::change_poll, http::Method::post, "/v1/polls/{poll}/transitions",
             "transition"},
    RouteRow{RouteId::history, http::Method::get, "/v1/polls/{poll}/history", "history"},
    RouteRow{RouteId::certificate, http::Method::get, "/v1/polls/{poll}/certificate",
             "certificate"},
    RouteRow{RouteId::certified_results, http::Method::get,
             "/v1/polls/{poll}/certificate/results.json", "certified-results"},
    RouteRow{RouteId::results, http::Method::get, "/v1/polls/{poll}/results", "results"},
    RouteRow{RouteId::results_json, http::Method::get, "/v1/polls/{poll}/results.json",
             "results-json"},
    RouteRow{RouteId::results_csv, http::Method::get, "/v1/polls/{poll}/results.csv",
             "results-csv"},
    RouteRow{RouteId::turnout, http::Method::get, "/v1/polls/{poll}/turnout", "turnout"},
    RouteRow{RouteId::stream, http::Method::get, "/v1/polls/{poll}/stream", "stream"},
    RouteRow{RouteId::stream_polls, http::Method::get, "/v1/stream", "stream-polls"},
    RouteRow{RouteId::get_territories, http::Method::get, "/v1/territories", "territories"},
    RouteRow{RouteId::put_territories, http::Method::put, "/v1/territories", "put-territories"},
    RouteRow{RouteId::livez, http::Method::get, "/livez", "livez"},
    RouteRow{RouteId::readyz, http::Method::get, "/readyz", "readyz"},
    RouteRow{RouteId::version, http::Method::get, "/version", "version"},
    RouteRow{RouteId::openapi, http::Method::get, "/openapi.json", "openapi"},
    RouteRow{RouteId::poll_list_page, http::Method::get, "/", "page-polls", true},
    RouteRow{RouteId::poll_page, http::Method::get, "/polls/{poll}", "page-poll", true},
    RouteRow{RouteId::territory_page, http::Method::get, "/polls/{poll}/territories/{territory}",
             "page-territory", true},
    RouteRow{RouteId::asset, http::Method::get, "/assets/{file}", "asset", true},
};

std::string_view label(http::Route route);
bool is_page(RouteId route);

struct PathMatch {
  std::optional<RouteId> route;
  std::string allow;  // with a path that exists under other methods only: those; else empty
  std::array<std::string_view, 2> parameters{};  // what stood for the braces
};

// HEAD is served by the GET route.
PathMatch match(http::Method method, std::string_view path);

}  // namespace veche::api
