#include "ingest/api/territories.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>

#include "engine/apply/control.h"
#include "engine/model/limits.h"
#include "ingest/api/staff.h"
#include "ingest/http/problem.h"

namespace veche::api {
namespace {

namespace json = boost::json;

json::object territory_json(const model::TerritoryTree& tree, const model::Territory& node) {
  return {
      {"code", node.code.str()},
      {"name", node.name},
      {"kind", node.kind},
      {"level", node.level},
      {"parent", node.parent ? json::value(tree[*node.parent].code.str()) : json::value()},
      {"population", node.town_population ? json::value(*node.town_population) : json::value()}};
}

http::Response tree_response(const model::TreeVersion& version, bool as_csv) {
  const auto& tree = *version.tree;
  if (as_csv) return {200, "text/csv; charset=utf-8", tree.to_csv(), {}};
  json::array territories;
  for (const auto& node : tree.nodes()) territories.push_back(territory_json(tree, node));
  return json_response(200,
                       json::serialize(json::object{{"version", version.version},
                                                    {"valid_from", format_date(version.valid_from)},
                                                    {"territories", std::move(territories)}}));
}

}  // namespace

std::string format_date(std::chrono::sys_days day) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::chrono::system_clock::to_time_t(day)));
}

void Territories::get(const http::Request& request, http::Responder responder) {
  const auto* latest = local_.directory().latest_tree();
  if (!latest)
    return responder.send(
        http::problem(404, "no-territories", "No territory tree was loaded yet."));
  const bool as_csv = request.head.accept.starts_with("text/csv");
  const auto etag = fmt::format("W/\"{}-{}\"", latest->version, as_csv ? "csv" : "json");
  auto response = request.head.if_none_match == etag ? http::Response{304, {}, {}, {}}
                                                     : tree_response(*latest, as_csv);
  response.with(http::Header::etag, etag).with(http::Header::vary, "Accept");
  responder.send(std::move(response));
}

void Territories::put(const http::Request& request, http::Responder responder) {
  const auto member = require_role(local_, request, auth::Role::kOperator, responder);
  if (!member) return;
  if (!member->claims.territories.empty())
    return responder.send(http::problem(
        403, "role-missing", "The tree is for those who hold the role operator everywhere."));
  const auto today = format_date(std::chrono::floor<std::chrono::days>(now_seconds()));
  const std::string valid_from(request.head.query("valid_from").value_or(today));
  if (!apply::parse_date(valid_from))
    return responder.send(http::problem(400, "bad-parameter", "valid_from is YYYY-MM-DD"));
  const auto tree = model::TerritoryTree::parse_csv(request.body);
  if (!tree) return responder.send(http::problem(422, "invalid-territories", tree.error().message));
  auto csv = tree->to_csv();  // may be longer than what was sent
  if (csv.size() > limits::kTreeBodyBytes)
    return responder.send(http::problem(
        413, "too-large", fmt::format("A tree has at most {} bytes.", limits::kTreeBodyBytes)));
  local_.app.node.add_tree(
      std::move(csv), valid_from, member->by,
      [&worker = local_.worker, responder](node::ChangeResult result) {
        worker.post([responder, result] {
          switch (result.outcome) {
            case node::ChangeOutcome::done:
              return responder.send(
                  json_response(200, fmt::format(R"({{"version":{}}})", result.tree_version)));
            case node::ChangeOutcome::overloaded:
              return responder.send(refusal(model::Outcome::overloaded, wire::Language::en));
            case node::ChangeOutcome::starting:
              return responder.send(refusal(model::Outcome::starting, wire::Language::en));
            case node::ChangeOutcome::unknown:
              return responder.send(unknown_change());
            case node::ChangeOutcome::limit_reached:
              return responder.send(http::problem(
                  409, "limit-reached",
                  fmt::format("A log holds at most {} versions.", limits::kTreeVersions)));
            default:
              return responder.send(
                  http::problem(409, "overtaken", "Another new version came first: read it."));
          }
        });
      });
}

}  // namespace veche::api
