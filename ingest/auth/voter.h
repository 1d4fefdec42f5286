// The one place of the voter key. A voter's pseudonym enters here and leaves as 16 bytes that
// nobody without the secret can lead back to it or compare with another poll's; a plain hash of the
// pseudonym could be undone by trying all.
//
//   poll secret = HMAC-SHA256(secret, "veche poll secret v1" | poll)
//   voter key   = HMAC-SHA256(poll secret, pseudonym)[0..16)
//   receipt key = HMAC-SHA256(poll secret, "veche receipt key v1")[0..16)
//
// Who loses the secret can no longer tell who has voted; who leaks it can link ballots to
// pseudonyms. GENESIS holds its check value, so a node with another secret refuses to start.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/model/ids.h"
#include "engine/model/limits.h"
#include "engine/model/result.h"
#include "ingest/auth/primitives.h"

namespace veche::auth {

// What one thread needs for the ballots of one poll; keeps keyed contexts. Not shared by threads.
class PollSecret {
 public:
  model::VoterKey voter_key(std::span<const std::uint8_t, 32> sub);

  // The position of the voter's counted ballot, one AES-128 block in 26 letters of Crockford's
  // base 32, "7K4MQ-2WD9X-HT0PB-3N8RC-V6SYJE": proves "recorded" and says nothing about the choice.
  // `offset` is below 2^48.
  std::string receipt(model::PartitionId partition, model::Offset offset);

  // What `receipt` was made of; nothing when it was not made for this poll. Takes what people make
  // of it in copying: lower case, o for 0, i and l for 1, dashes or none.
  std::optional<std::pair<model::PartitionId, model::Offset>> open_receipt(
      std::string_view receipt);

 private:
  friend class VoterSecret;
  explicit PollSecret(std::span<const std::uint8_t> secret);

  HmacSha256 hmac_;
  OpenSslPtr<evp_cipher_ctx_st> seal_;
  OpenSslPtr<evp_cipher_ctx_st> open_;
};

// The secret of a whole installation, equal on all its nodes. Immutable: any thread may call.
class VoterSecret {
 public:
  using Raw = std::array<std::uint8_t, limits::kVoterSecretBytes>;

  // Exactly kVoterSecretBytes in a file for its owner only.
  static Result<VoterSecret> load(const std::filesystem::path& path);
  explicit VoterSecret(const Raw& raw) : secret_(raw) {}

  // Tells two secrets apart and tells nothing about either.
  std::array<std::uint8_t, 16> check_value() const;

  PollSecret for_poll(const model::PollId& poll) const;

 private:
  explicit VoterSecret(SecretBytes secret) : secret_(std::move(secret)) {}

  SecretBytes secret_;
};

}  // namespace veche::auth
