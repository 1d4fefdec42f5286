#include "ingest/auth/primitives.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include <cstdio>
#include <cstdlib>

namespace veche::auth {

void must(bool held, const char* what) {
  if (held) return;
  std::fprintf(stderr, "veche: broken promise: %s\n", what);
  std::abort();
}

void init_sodium() {
  static const int status = sodium_init();
  must(status >= 0, "libsodium starts");
}

void OpenSslFree::operator()(evp_cipher_ctx_st* owned) const { EVP_CIPHER_CTX_free(owned); }
void OpenSslFree::operator()(evp_mac_ctx_st* owned) const { EVP_MAC_CTX_free(owned); }
void OpenSslFree::operator()(evp_pkey_ctx_st* owned) const { EVP_PKEY_CTX_free(owned); }
void OpenSslFree::operator()(evp_pkey_st* owned) const { EVP_PKEY_free(owned); }

SecretBytes::~SecretBytes() { sodium_memzero(bytes_.data(), bytes_.size()); }

HmacSha256::HmacSha256(std::span<const std::uint8_t> key) {
  static EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  context_.reset(EVP_MAC_CTX_new(hmac));
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  must(EVP_MAC_init(context_.get(), key.data(), key.size(), parameters) == 1, "HMAC takes its key");
}

Bytes32 HmacSha256::of(std::string_view message) {
  Bytes32 code;
  std::size_t size = 0;
  const auto bytes = bytes_of(message);
  // Without a key, init goes back to the keyed state instead of hashing the key again.
  must(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1 &&
           EVP_MAC_update(context_.get(), bytes.data(), bytes.size()) == 1 &&
           EVP_MAC_final(context_.get(), code.data(), &size, code.size()) == 1 &&
           size == code.size(),
       "HMAC-SHA256 gives 32 bytes");
  return code;
}

bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace veche::auth
