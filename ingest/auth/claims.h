// What a token says once it is believed, and what is said when it is not.
#pragma once

#include <algorithm>
#include <boost/container/static_vector.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/assert.h"
#include "engine/model/ids.h"
#include "engine/model/limits.h"
#include "engine/model/result.h"
#include "ingest/auth/primitives.h"

namespace veche::auth {

enum class TokenError {
  kMissing,  // no token at all
  kInvalid,  // malformed, forged, or not meant for this place
  kExpired,  // good in every other respect
};

// `reason` is a literal and so never holds anything from the token; safe to log and to answer.
struct TokenRefusal {
  TokenError error;
  const char* reason;
};

template <class Claims>
using Verdict = Result<Claims, TokenRefusal>;

// One voter may vote in one poll. Whether it is the poll of the request is the caller's question.
struct VoteClaims {
  model::PollId poll;
  Bytes32 sub;  // the voter's pseudonym for this poll; never stored, see voter.h
  model::TerritoryCode territory;
  boost::container::static_vector<model::AddressCode, limits::kAddressesPerToken> addrs;
  std::uint8_t level = 0;  // kMinLevel..kMaxLevel
};

// To which ids a right is limited, if it is. A list that is there and empty would mean "to none",
// and who asks a plain list whether it is empty reads "to all": here the two cannot be mixed up,
// for an empty list makes no limit, and whoever read one has to refuse it.
template <class Id>
class Limit {
 public:
  Limit() = default;  // there is none
  static Limit to(std::vector<Id> ids) {
    VECHE_ASSERT(!ids.empty(), "a limit names at least one id");
    Limit limit;
    limit.ids_ = std::move(ids);
    return limit;
  }

  bool is_set() const { return !ids_.empty(); }
  // Those that it names; nothing can be concluded from them unless it is set.
  const std::vector<Id>& ids() const { return ids_; }
  // Whether there is no limit, or `fits` says so of one of its ids.
  template <class Fits>
  bool allows(const Fits& fits) const {
    return !is_set() || std::any_of(ids_.begin(), ids_.end(), fits);
  }

  friend bool operator==(const Limit&, const Limit&) = default;

 private:
  std::vector<Id> ids_;
};

// What the key of a gateway may speak for.
struct BatchLimits {
  Limit<model::PollId> polls;
  Limit<model::TerritoryCode> territories;  // each with all below it
};

// A gateway vouches for a body of ballots. Whether the body is that one is the caller's question.
struct BatchClaims {
  Bytes32 body_sha256;                        // after decompression
  std::uint32_t lines = 0;                    // 1..kBatchLines
  std::shared_ptr<const BatchLimits> limits;  // never null; outlives a reload of the key set
};

enum class Role : std::uint8_t {
  kModerator = 1 << 0,
  kApprover = 1 << 1,
  kOperator = 1 << 2,
  kCertifier = 1 << 3,
  kAnalyst = 1 << 4,
  kAuditor = 1 << 5,
};

class RoleSet {
 public:
  RoleSet() = default;
  RoleSet(std::initializer_list<Role> roles) {
    for (const Role role : roles) add(role);
  }
  void add(Role role) { bits_ |= static_cast<std::uint8_t>(role); }
  bool has(Role role) const { return (bits_ & static_cast<std::uint8_t>(role)) != 0; }
  bool empty() const { return bits_ == 0; }
  friend bool operator==(RoleSet, RoleSet) = default;

 private:
  std::uint8_t bits_ = 0;
};

// The names in `roles` of a staff token, in the order of Role.
struct NamedRole {
  std::string_view name;
  Role role;
};
inline constexpr NamedRole kRoles[] = {
    {"moderator", Role::kModerator}, {"approver", Role::kApprover}, {"operator", Role::kOperator},
    {"certifier", Role::kCertifier}, {"analyst", Role::kAnalyst},   {"auditor", Role::kAuditor}};

struct StaffClaims {
  std::string sub;  // a pseudonym: 1..kStaffSubjectBytes of visible ASCII without quote, backslash
  RoleSet roles;    // not empty
  Limit<model::TerritoryCode> territories;  // each with all below it; none: everywhere
};

}  // namespace veche::auth
