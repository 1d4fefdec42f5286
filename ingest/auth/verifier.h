// Checks tokens: JSON Web Signatures in compact form, three types with closed sets of claims.
//
//   header   exactly alg, typ, kid; all three as the key's entry fixes them
//   common   iss, aud, iat, exp; nbf if wanted. Whole seconds since 1970; exp - iat at most
//            kTokenLifetime (staff: kStaffTokenLifetime); clocks may differ by kTokenSkew
//   vote     poll, sub, territory, lvl; addr if wanted
//   batch    bh, n
//   staff    sub, roles; territories if wanted
//
// Anything else is refused: another member, a member twice, a number that is no integer. The steps
// go from cheap to dear, and the payload is not parsed before its signature is proven.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "ingest/auth/claims.h"
#include "ingest/auth/jwks.h"

namespace veche::auth {

using VoteVerdict = Verdict<VoteClaims>;
using BatchVerdict = Verdict<BatchClaims>;
using StaffVerdict = Verdict<StaffClaims>;

// One for each thread. Keeps keyed contexts and buffers, so that a vote costs no allocation; what
// it keeps is bounded by its keys, whatever strangers send. A reload assigns a
// new one.
class Verifier {
 public:
  explicit Verifier(std::shared_ptr<const KeySet> keys);
  Verifier(Verifier&&) noexcept;
  Verifier& operator=(Verifier&&) noexcept;
  ~Verifier();

  // `token` is what follows "Bearer ", or empty; `now` is the clock of this node.
  VoteVerdict verify_vote(std::string_view token, std::chrono::sys_seconds now);
  BatchVerdict verify_batch(std::string_view token, std::chrono::sys_seconds now);
  StaffVerdict verify_staff(std::string_view token, std::chrono::sys_seconds now);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace veche::auth
