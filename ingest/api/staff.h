// Who among the staff may do what.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "engine/model/directory.h"
#include "ingest/api/app.h"

namespace veche::api {

struct StaffMember {
  auth::StaffClaims claims;
  std::string by;  // role and pseudonym, as records tell it
};

// The claims of a staff token, whatever its roles; else the refusal was sent.
std::optional<auth::StaffClaims> require_staff(Local& local, const http::Request& request,
                                               const http::Responder& responder);

// 403 for one who does not hold the role.
std::optional<http::Response> refuse_without(const auth::StaffClaims& claims, auth::Role role);

// One who holds the role; else the refusal was sent.
std::optional<StaffMember> require_role(auth::StaffClaims claims, auth::Role role,
                                        const http::Responder& responder);
std::optional<StaffMember> require_role(Local& local, const http::Request& request, auth::Role role,
                                        const http::Responder& responder);

// Whether the member's territories hold every territory target of a poll; one who holds for some
// territories only decides nothing about address targets, which lie anywhere.
bool holds_for(const StaffMember& member, const std::vector<model::Target>& targets,
               const model::TerritoryTree& tree);

http::Response not_held();  // the member's territories do not hold all targets

}  // namespace veche::api
