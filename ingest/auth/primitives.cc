#include "ingest/auth/primitives.h"

// SHA256_CTX, which can be copied, is deprecated by OpenSSL 3; what replaces it cannot be copied
// but through its provider, on the heap.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sodium.h>

#include <algorithm>
#include <cstdlib>

#include "engine/model/log_line.h"

namespace veche::auth {

void must(bool held, const char* what) {
  if (held) return;
  model::write_line(model::Stream::err, fmt::format("veche: broken promise: {}", what));
  std::abort();
}

void init_sodium() {
  static const int status = sodium_init();
  must(status >= 0, "libsodium starts");
}

void OpenSslFree::operator()(evp_cipher_ctx_st* owned) const { EVP_CIPHER_CTX_free(owned); }
void OpenSslFree::operator()(evp_pkey_ctx_st* owned) const { EVP_PKEY_CTX_free(owned); }
void OpenSslFree::operator()(evp_pkey_st* owned) const { EVP_PKEY_free(owned); }

SecretBytes::~SecretBytes() { sodium_memzero(bytes_.data(), bytes_.size()); }

struct HmacSha256::Keyed {
  SHA256_CTX inner, outer;
};

HmacSha256::HmacSha256(std::span<const std::uint8_t> key) : keyed_(std::make_unique<Keyed>()) {
  std::array<std::uint8_t, SHA256_CBLOCK> block{};
  if (key.size() <= block.size())
    std::copy(key.begin(), key.end(), block.begin());
  else
    SHA256(key.data(), key.size(), block.data());
  const auto begin = [&](SHA256_CTX& hash, std::uint8_t pad) {
    auto padded = block;
    for (auto& byte : padded) byte ^= pad;
    must(SHA256_Init(&hash) == 1 && SHA256_Update(&hash, padded.data(), padded.size()) == 1,
         "SHA-256 takes a block");
    sodium_memzero(padded.data(), padded.size());
  };
  begin(keyed_->inner, 0x36);
  begin(keyed_->outer, 0x5C);
  sodium_memzero(block.data(), block.size());
}

HmacSha256::HmacSha256(HmacSha256&&) noexcept = default;

HmacSha256::~HmacSha256() {
  if (keyed_) sodium_memzero(keyed_.get(), sizeof(Keyed));
}

Bytes32 HmacSha256::of(std::string_view message) const {
  Bytes32 code;
  auto inner = keyed_->inner, outer = keyed_->outer;
  must(SHA256_Update(&inner, message.data(), message.size()) == 1 &&
           SHA256_Final(code.data(), &inner) == 1 &&
           SHA256_Update(&outer, code.data(), code.size()) == 1 &&
           SHA256_Final(code.data(), &outer) == 1,
       "HMAC-SHA256 gives 32 bytes");
  return code;
}

bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace veche::auth
