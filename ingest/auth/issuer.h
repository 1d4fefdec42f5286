// The private side: makes keys and tokens for tests, demonstrations, replay and load. Who runs real
// polls lets the identity side sign, and this file is then never used.
//
// generate() writes into one directory
//
//   issuer.json    private keys, one for each type of token; owner only
//   jwks.json      what a node checks tokens with (jwks.h); owner only with HS256
//   voter.secret   32 random bytes (voter.h); owner only
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>

#include "engine/model/result.h"
#include "ingest/auth/claims.h"
#include "ingest/auth/jwks.h"

namespace veche::auth {

class Ed25519Signer {
 public:
  explicit Ed25519Signer(std::span<const std::uint8_t> seed);
  std::string sign(std::string_view message);

 private:
  SecretBytes key_;
};

class HmacSigner {
 public:
  explicit HmacSigner(std::span<const std::uint8_t> secret) : hmac_(secret) {}
  std::string sign(std::string_view message) { return std::string(text_of(hmac_.of(message))); }

 private:
  HmacSha256 hmac_;
};

// One for each thread; movable. A token is valid for `lifetime` from `now` on; how long the
// verifier allows is not asked here, so that tests and drills can make tokens that it must refuse.
class Issuer {
 public:
  // `issuer` and `audience` are 1..kIssuerBytes of visible ASCII without quote and backslash. The
  // directory is made if need be; a file that is there already is never overwritten.
  static Result<void> generate(const std::filesystem::path& directory, Algorithm algorithm,
                               std::string_view issuer, std::string_view audience);

  // Refuses an issuer.json that is open to others than its owner.
  static Result<Issuer> load(const std::filesystem::path& issuer_json);

  Algorithm algorithm() const { return algorithm_; }  // of all three keys

  std::string mint_vote(const VoteClaims& claims, std::chrono::sys_seconds now,
                        std::chrono::seconds lifetime);
  std::string mint_batch(const Bytes32& body_sha256, std::uint32_t lines,
                         std::chrono::sys_seconds now, std::chrono::seconds lifetime);
  // Refuses a `sub` that no verifier would take.
  Result<std::string> mint_staff(const StaffClaims& claims, std::chrono::sys_seconds now,
                                 std::chrono::seconds lifetime);

 private:
  using Signer = std::variant<HmacSigner, RsaSigner, Ed25519Signer>;
  struct Key {
    std::string header;  // encoded, with its dot
    Signer signer;
  };
  struct Keys {
    Key vote;
    Key batch;
    Key staff;
  };

  Issuer(Algorithm algorithm, Keys keys, std::string_view issuer, std::string_view audience);
  void begin_payload(std::chrono::sys_seconds now, std::chrono::seconds lifetime);
  std::string sign_payload(Key& key);

  Algorithm algorithm_;
  Keys keys_;
  std::string issuer_members_;  // "iss" and "aud" as every payload begins
  std::string payload_;
};

}  // namespace veche::auth
