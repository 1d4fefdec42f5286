#include "ingest/api/view.h"

#include "engine/model/csv.h"

namespace veche::api {

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

Result<publish::Viewer, auth::TokenRefusal> viewer_of(Local& local, const model::PollEntry& poll,
                                                      std::string_view authorization) {
  const auto token = bearer(authorization);
  const bool token_matters =
      poll.definition->visibility == model::Visibility::after_vote && !token.empty();
  if (!token_matters) return publish::Viewer::anybody;
  const auto claims = local.verifier().verify_vote(token, now_seconds());
  if (!claims) return claims.error();
  return claims->poll == poll.definition->id ? publish::Viewer::voter : publish::Viewer::anybody;
}

}  // namespace veche::api
