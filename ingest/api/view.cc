#include "ingest/api/view.h"

#include "engine/model/csv.h"

namespace veche::api {

Result<wire::TerritoryFilter, std::string> read_filter(const http::RequestHead& head,
                                                       const model::TerritoryTree& tree) {
  wire::TerritoryFilter filter;
  if (const auto by = head.query("by")) {
    if (*by != "territory") return std::string("by is territory, or left out");
    filter.by_territory = true;
  }
  if (const auto text = head.query("level")) {
    filter.level = model::parse_number<std::uint8_t>(*text);
    if (!filter.level || *filter.level > tree.deepest_level())
      return std::string("level is a number that the levels of the poll's territory tree reach");
  }
  if (const auto text = head.query("parent")) {
    filter.parent = model::TerritoryCode::parse(*text);
    if (!filter.parent || !tree.find(*filter.parent))
      return std::string("parent is the code of a territory in the poll's tree");
  }
  if ((filter.level || filter.parent) && !filter.by_territory)
    return std::string("level and parent narrow by=territory, which is missing");
  return filter;
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
