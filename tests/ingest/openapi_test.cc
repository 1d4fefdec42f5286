// The API's document against the routes that the server registers, both ways.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <string>

#include "ingest/api/api.h"
#include "ingest/api/routes.h"

namespace veche::api {
namespace {

std::set<std::string> registered() {
  std::set<std::string> routes;
  for (const auto& row : kRoutes) {
    if (row.is_page) continue;  // pages are for people, and change as they need
    std::string method(http::to_string(row.method));
    std::transform(method.begin(), method.end(), method.begin(), ::tolower);
    routes.insert(method + " " + std::string(row.pattern));
  }
  return routes;
}

std::set<std::string> documented() {
  std::set<std::string> routes;
  const auto document = boost::json::parse(kOpenApi);
  for (const auto& [path, item] : document.at("paths").as_object())
    for (const auto& [method, operation] : item.as_object())
      if (method != "parameters" && method != "summary" && method != "description")
        routes.insert(std::string(method) + " " + std::string(path));
  return routes;
}

TEST(OpenApi, DocumentsEveryRouteAndNoOther) { EXPECT_EQ(documented(), registered()); }

TEST(OpenApi, IsOfVersion31) {
  EXPECT_TRUE(boost::json::parse(kOpenApi).at("openapi").as_string().starts_with("3.1"));
}

TEST(Routes, MatchPathsAndMethods) {
  const auto ballots = match(http::Method::post, "/v1/polls/smolino/ballots");
  EXPECT_EQ(ballots.route, RouteId::post_ballot);
  EXPECT_EQ(ballots.parameters[0], "smolino");
  EXPECT_EQ(match(http::Method::head, "/livez").route, RouteId::livez);
  EXPECT_EQ(match(http::Method::get, "/v1/polls/a/results.csv").route, RouteId::results_csv);
  EXPECT_EQ(match(http::Method::get, "/").route, RouteId::poll_list_page);
  const auto territory = match(http::Method::get, "/polls/smolino/territories/75701000");
  EXPECT_EQ(territory.route, RouteId::territory_page);
  EXPECT_EQ(territory.parameters[1], "75701000");
  for (const auto* unknown : {"//", "/polls", "/polls/", "/v1", "/v1/polls/", "/v1/polls//ballots",
                              "/v1/polls/a/b/c/d", "/livez/", "/v1/polls/a/ballotsx", "/metrics"}) {
    const auto found = match(http::Method::get, unknown);
    EXPECT_FALSE(found.route) << unknown;
    EXPECT_TRUE(found.allow.empty()) << unknown;
  }
  const auto wrong = match(http::Method::del, "/v1/polls");
  EXPECT_FALSE(wrong.route);
  EXPECT_EQ(wrong.allow, "GET, HEAD, POST");
}

}  // namespace
}  // namespace veche::api
