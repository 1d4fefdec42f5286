// RSA signatures with SHA-256, by OpenSSL: PKCS #1 v1.5 (RS256), and PSS with a salt of 32 bytes
// and MGF1 over SHA-256 (PS256). Keys may be shared by threads, signers and verifiers may not.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/model/result.h"
#include "ingest/auth/primitives.h"

namespace veche::auth {

enum class RsaPadding { kPkcs1, kPss };

using RsaKey = std::shared_ptr<evp_pkey_st>;

// Modulus and exponent are big-endian. The fault says what is wrong with the key.
Result<RsaKey> rsa_public_key(std::string_view modulus, std::string_view exponent);

struct RsaPublicNumbers {
  std::string modulus;
  std::string exponent;
};
RsaKey rsa_generate();  // kRsaMinBits
RsaPublicNumbers rsa_public_numbers(const RsaKey& key);
std::string rsa_private_der(const RsaKey& key);  // PKCS #8
std::optional<RsaKey> rsa_from_private_der(std::string_view der);

class RsaVerifier {
 public:
  RsaVerifier(const RsaKey& key, RsaPadding padding);
  bool verify(std::string_view message, std::string_view signature);

 private:
  OpenSslPtr<evp_pkey_ctx_st> context_;
  std::size_t signature_bytes_;
};

class RsaSigner {
 public:
  RsaSigner(const RsaKey& key, RsaPadding padding);
  std::string sign(std::string_view message);

 private:
  OpenSslPtr<evp_pkey_ctx_st> context_;
  std::size_t signature_bytes_;
};

}  // namespace veche::auth
