// The keys that tokens are checked with: a pinned local file in the shape of a JSON Web Key Set.
//
// clang-format off
//   {"keys": [
//     {"kid": "vote-1", "typ": "vote+jwt", "alg": "EdDSA", "iss": "https://id.example",
//      "aud": "veche", "kty": "OKP", "crv": "Ed25519", "x": "..."},
//     {"kid": "gate-1", "typ": "batch+jwt", "alg": "RS256", "iss": ..., "aud": ..., "kty": "RSA",
//      "n": "...", "e": "AQAB", "polls": ["smolino"], "territories": ["75701000"]}]}
// clang-format on
//
// An entry fixes algorithm, issuer, audience and one type of token, so that a token cannot choose
// how it is checked, and the key of a gateway cannot sign for staff. HS256 ("kty": "oct", "k") is
// for an issuer inside the same trust: who can check such a token can also make it. Therefore a set
// with HS256 holds nothing else, and its file must be closed to all but its owner.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/model/result.h"
#include "ingest/auth/claims.h"
#include "ingest/auth/primitives.h"
#include "ingest/auth/rsa.h"

namespace veche::auth {

// kEdDsa and kEd25519 are two names of one algorithm (RFC 8037, RFC 9864); a key fixes one of them.
enum class Algorithm { kHs256, kRs256, kPs256, kEdDsa, kEd25519 };
enum class TokenType { kVote, kBatch, kStaff };

std::string_view text(Algorithm algorithm);
std::string_view text(TokenType type);  // "vote+jwt", "batch+jwt", "staff+jwt"
std::optional<Algorithm> algorithm_of(std::string_view text);
std::optional<TokenType> token_type_of(std::string_view text);

struct VerificationKey {
  std::string kid;
  Algorithm algorithm;
  TokenType type;
  std::string issuer;
  std::string audience;
  std::variant<SecretBytes, RsaKey, Bytes32> material;  // HS256; RS256, PS256; Ed25519
  std::shared_ptr<const BatchLimits> limits;            // null unless type is kBatch
};

// Never changes after it was read, so threads share it; a reload makes a new one. A Fault names the
// entry and says what to do, and never tells key bytes.
class KeySet {
 public:
  static Result<KeySet> load(const std::filesystem::path& path);
  static Result<KeySet> parse(std::string_view json);

  // 1..kKeysPerSet keys, each kid once.
  std::span<const VerificationKey> keys() const { return keys_; }

 private:
  explicit KeySet(std::vector<VerificationKey> keys) : keys_(std::move(keys)) {}

  std::vector<VerificationKey> keys_;
};

}  // namespace veche::auth
