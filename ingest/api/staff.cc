#include "ingest/api/staff.h"

#include <fmt/format.h>

#include <algorithm>

#include "ingest/http/problem.h"

namespace veche::api {
namespace {

std::string_view name_of(auth::Role role) {
  for (const auto& named : auth::kRoles)
    if (named.role == role) return named.name;
  return "unknown";
}

}  // namespace

std::optional<auth::StaffClaims> require_staff(Local& local, const http::Request& request,
                                               const http::Responder& responder) {
  auto claims = local.verifier().verify_staff(bearer(request.head.authorization), now_seconds());
  if (claims) return *std::move(claims);
  responder.send(refusal(claims.error()));
  return std::nullopt;
}

std::optional<http::Response> refuse_without(const auth::StaffClaims& claims, auth::Role role) {
  if (claims.roles.has(role)) return std::nullopt;
  return http::problem(403, "role-missing",
                       fmt::format("This needs the role {}.", name_of(role)));
}

std::optional<StaffMember> require_role(auth::StaffClaims claims, auth::Role role,
                                        const http::Responder& responder) {
  if (auto refused = refuse_without(claims, role)) {
    responder.send(*std::move(refused));
    return std::nullopt;
  }
  auto by = fmt::format("{} {}", name_of(role), claims.sub);
  return StaffMember{std::move(claims), std::move(by)};
}

std::optional<StaffMember> require_role(Local& local, const http::Request& request, auth::Role role,
                                        const http::Responder& responder) {
  auto claims = require_staff(local, request, responder);
  return claims ? require_role(*std::move(claims), role, responder) : std::nullopt;
}

http::Response not_held() {
  return http::problem(403, "role-missing", "The role does not hold for all targets.");
}

bool holds_for(const StaffMember& member, const std::vector<model::Target>& targets,
               const model::TerritoryTree& tree) {
  const auto& held = member.claims.territories;
  return !held.is_set() || std::all_of(targets.begin(), targets.end(), [&](const auto& target) {
    const auto* code = std::get_if<model::TerritoryCode>(&target);
    return code && held.allows([&](const auto& holder) { return tree.is_within(*code, holder); });
  });
}

}  // namespace veche::api
