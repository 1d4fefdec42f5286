#include "ingest/api/territories.h"

#include <fmt/format.h>

#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "ingest/api/documents.h"
#include "ingest/api/life.h"
#include "ingest/api/staff.h"
#include "ingest/api/writers.h"
#include "ingest/http/problem.h"
#include "ingest/wire/header_list.h"
#include "ingest/wire/json_writer.h"

namespace veche::api {
namespace {

std::string tree_json(const model::TreeVersion& version) {
  const auto& tree = *version.tree;
  wire::JsonWriter json;
  json.open('{').key("version").number(version.version);
  json.key("valid_from").text(model::format_date(version.valid_from)).key("territories").open('[');
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

// The version that was asked for, and without parameters the newest; or what is wrong.
Result<const model::TreeVersion*, http::Response> asked_tree(const model::Directory& directory,
                                                             const http::RequestHead& head,
                                                             model::Date today) {
  const auto on = head.query("on"), version = head.query("version");
  const auto day = on == "today" ? today : on ? model::parse_date(*on) : std::nullopt;
  const auto newest = static_cast<std::uint32_t>(directory.trees.size());
  const auto number = version ? model::parse_number<std::uint32_t>(*version).value_or(0) : newest;
  if ((on && (!day || version)) || (version && number == 0))
    return http::problem(400, "bad-parameter",
                         "Give version, a number from 1, or on, a day as YYYY-MM-DD or today, not "
                         "both.");
  if (newest == 0) return http::problem(404, "no-territories", "No territory tree was loaded yet.");
  if (day) return directory.tree_on(*day);
  if (const auto* tree = directory.tree_of_version(number)) return tree;
  return http::problem(404, "unknown-version",
                       fmt::format("The newest version of the territory tree is {}.", newest));
}

}  // namespace

void Territories::get(const http::Request& request, http::Responder responder) {
  const auto asked = asked_tree(local_.directory(), request.head, today(local_.app.time_zone()));
  if (!asked) return responder.send(asked.error());
  const auto& tree = **asked;
  const bool as_csv = wants_csv(request.head);
  const auto etag = fmt::format("W/\"{}-{}\"", tree.version, as_csv ? "csv" : "json");
  const auto with_headers = [etag](http::Response response) {
    response.with(http::Header::etag, etag).with(http::Header::vary, "Accept");
    return response;
  };
  if (wire::has_entity_tag(request.head.if_none_match, etag))
    return responder.send(with_headers({304, {}, {}, {}}));
  const auto overloaded = refusal(model::Outcome::overloaded, wire::Language::en);
  const bool is_taken = local_.app.documents.of_state(
      fmt::format("tree {}", tree.version), tree.tree, as_csv ? "csv" : "json",
      [version = tree, as_csv, with_headers] {
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
  const auto given = request.head.query("valid_from");
  const auto valid_from =
      given ? model::parse_date(*given) : std::optional(today(local_.app.time_zone()));
  if (!valid_from)
    return responder.send(http::problem(400, "bad-parameter", "valid_from is YYYY-MM-DD"));
  const auto force = request.head.query("force");
  if (force.value_or("1") != "1")
    return responder.send(http::problem(400, "bad-parameter", "force is 1, or left out"));
  if (being_read_ >= limits::kTreesPerThread)
    return responder.send(refusal(model::Outcome::overloaded, wire::Language::en));
  ++being_read_;
  // To read, check and write thousands of places takes as long as hundreds of ballots.
  local_.app.writers.run([this, body = std::string(request.body),
                          asked = Asked{*valid_from, member->by, force.has_value()}, responder] {
    auto csv = read_sent(body, asked.is_sure);
    responder.worker().post([this, csv = std::move(csv), asked, responder]() mutable {
      --being_read_;
      if (!csv) return responder.send(std::move(csv.error()));
      add(*std::move(csv), asked, responder);
    });
  });
}

// As the log is to have it.
Result<std::string, http::Response> Territories::read_sent(std::string_view body, bool is_sure) {
  const auto sent = model::TerritoryTree::parse_sent(body);
  if (!sent) return http::problem(422, "invalid-territories", sent.error().message);
  if (!sent->doubts.empty() && !is_sure)
    return http::problem(422, "invalid-territories",
                         sent->doubts + "; if it is right as it is, send it with ?force=1");
  auto csv = sent->tree.to_csv();  // may be longer than what was sent
  if (csv.size() > limits::kTreeBodyBytes)
    return http::problem(413, "too-large",
                         fmt::format("A tree has at most {} bytes.", limits::kTreeBodyBytes));
  return csv;
}

void Territories::add(std::string csv, const Asked& asked, http::Responder responder) {
  local_.app.node.add_tree(
      std::move(csv), asked.valid_from, asked.by, [responder](node::ChangeResult result) {
        responder.worker().post([responder, result] { responder.send(answer(result)); });
      });
}

http::Response Territories::answer(const node::ChangeResult& result) {
  switch (result.outcome) {
    case node::ChangeOutcome::done:
      return json_response(200, fmt::format(R"({{"version":{}}})", result.tree_version));
    case node::ChangeOutcome::limit_reached:
      return http::problem(409, "limit-reached",
                           fmt::format("A log holds at most {} versions.", limits::kTreeVersions));
    case node::ChangeOutcome::overtaken:
      return http::problem(409, "overtaken", "Another new version came first: read it.");
    default:
      return refused_change(result);
  }
}

}  // namespace veche::api
