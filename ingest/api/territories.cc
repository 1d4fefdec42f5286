#include "ingest/api/territories.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "engine/apply/control.h"
#include "engine/model/limits.h"
#include "ingest/api/documents.h"
#include "ingest/api/staff.h"
#include "ingest/http/problem.h"
#include "ingest/wire/header_list.h"
#include "ingest/wire/json_writer.h"

namespace veche::api {
namespace {

std::string tree_json(const model::TreeVersion& version) {
  const auto& tree = *version.tree;
  wire::JsonWriter json;
  json.open('{').key("version").number(version.version);
  json.key("valid_from").text(format_date(version.valid_from)).key("territories").open('[');
  for (const auto& node : tree.nodes()) {
    json.open('{').key("code").text(node.code.view()).key("name").text(node.name);
    json.key("kind").text(node.kind).key("level").number(node.level).key("parent");
    node.parent ? json.text(tree[*node.parent].code.view()) : json.null();
    json.key("population");
    node.town_population ? json.number(*node.town_population) : json.null();
    json.close('}');
  }
  return json.close(']').close('}').take();
}

http::Response tree_response(const model::TreeVersion& version, bool as_csv) {
  if (as_csv) return {200, "text/csv; charset=utf-8", version.tree->to_csv(), {}};
  return json_response(200, tree_json(version));
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
  const bool as_csv = wants_csv(request.head);
  const auto etag = fmt::format("W/\"{}-{}\"", latest->version, as_csv ? "csv" : "json");
  const auto with_headers = [etag](http::Response response) {
    response.with(http::Header::etag, etag).with(http::Header::vary, "Accept");
    return response;
  };
  if (wire::has_entity_tag(request.head.if_none_match, etag))
    return responder.send(with_headers({304, {}, {}, {}}));
  const auto overloaded = refusal(model::Outcome::overloaded, wire::Language::en);
  const bool is_taken = local_.app.documents.of_state(
      fmt::format("tree {}", latest->version), latest->tree, as_csv ? "csv" : "json",
      [version = *latest, as_csv, with_headers] {
        return with_headers(tree_response(version, as_csv));
      },
      sender(responder, overloaded));
  if (!is_taken) responder.send(http::Response(overloaded));
}

std::optional<http::Response> Territories::refuse_put(const auth::StaffClaims& claims) {
  if (auto refused = refuse_without(claims, auth::Role::kOperator)) return refused;
  if (!claims.territories.is_set()) return std::nullopt;
  return http::problem(403, "role-missing",
                       "The tree is for those who hold the role operator everywhere.");
}

void Territories::put(const http::Request& request, http::Responder responder) {
  const auto member = require_role(local_, request, auth::Role::kOperator, responder);
  if (!member) return;
  if (auto refused = refuse_put(member->claims)) return responder.send(*std::move(refused));
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
            case node::ChangeOutcome::draining:
              return responder.send(refusal(model::Outcome::draining, wire::Language::en));
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
