#include "ingest/auth/digest.h"

#include <openssl/evp.h>
#include <sodium.h>

namespace veche::auth {
namespace {

void update(crypto_generichash_blake2b_state& state, std::string_view text) {
  const auto bytes = bytes_of(text);
  crypto_generichash_blake2b_update(&state, bytes.data(), bytes.size());
}

}  // namespace

model::Digest digest_of(const model::PollId& poll, std::string_view canonical_answers) {
  constexpr unsigned char kPersonal[crypto_generichash_blake2b_PERSONALBYTES] = "veche ballot v1";
  init_sodium();
  model::Digest digest;
  crypto_generichash_blake2b_state state;
  crypto_generichash_blake2b_init_salt_personal(&state, nullptr, 0, digest.bytes.size(), nullptr,
                                                kPersonal);
  const char poll_size = static_cast<char>(poll.view().size());
  update(state, {&poll_size, 1});
  update(state, poll.view());
  update(state, canonical_answers);
  crypto_generichash_blake2b_final(&state, digest.bytes.data(), digest.bytes.size());
  return digest;
}

Bytes32 sha256(std::string_view message) {
  // Fetched once: EVP_sha256() would look the implementation up in every call.
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Bytes32 digest;
  must(EVP_Digest(message.data(), message.size(), digest.data(), nullptr, algorithm, nullptr) == 1,
       "OpenSSL hashes");
  return digest;
}

}  // namespace veche::auth
