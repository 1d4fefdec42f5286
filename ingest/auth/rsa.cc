#include "ingest/auth/rsa.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <bit>

#include "engine/model/limits.h"
#include "ingest/auth/digest.h"

namespace veche::auth {
namespace {

constexpr std::string_view kExponent{"\x01\x00\x01", 3};  // 65537

void set_padding(EVP_PKEY_CTX* context, RsaPadding padding) {
  const bool pss = padding == RsaPadding::kPss;
  must(EVP_PKEY_CTX_set_rsa_padding(context, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) > 0 &&
           EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) > 0,
       "RSA takes padding and digest");
  if (!pss) return;
  must(EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0,
       "PSS takes its salt");
}

OpenSslPtr<EVP_PKEY_CTX> context_of(const RsaKey& key) {
  return OpenSslPtr<EVP_PKEY_CTX>(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
}

std::size_t signature_bytes(const RsaKey& key) {
  return static_cast<std::size_t>(EVP_PKEY_get_size(key.get()));
}

RsaKey owned(EVP_PKEY* key) { return RsaKey(key, OpenSslFree{}); }

std::string number(const RsaKey& key, const char* name) {
  BIGNUM* value = nullptr;
  must(EVP_PKEY_get_bn_param(key.get(), name, &value) == 1, "an RSA key has its public numbers");
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
  BN_bn2bin(value, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(value);
  return bytes;
}

}  // namespace

Result<RsaKey> rsa_public_key(std::string_view modulus, std::string_view exponent) {
  if (exponent != kExponent)
    return Fault{"the exponent \"e\" must be 65537 (AQAB); make a new key"};
  if (modulus.empty() || modulus.front() == '\0')
    return Fault{"the modulus \"n\" is empty or begins with a zero byte"};
  const std::size_t bits =
      modulus.size() * 8 -
      static_cast<std::size_t>(std::countl_zero(static_cast<std::uint8_t>(modulus.front())));
  if (bits < limits::kRsaMinBits || bits > limits::kRsaMaxBits)
    return Fault{fmt::format("RSA of {} bits; make a key of {} to {}", bits, limits::kRsaMinBits,
                             limits::kRsaMaxBits)};

  // OpenSSL's parameters hold numbers in the order of the machine, which is little-endian.
  static_assert(std::endian::native == std::endian::little);
  std::string n(modulus.rbegin(), modulus.rend());
  std::string e(exponent.rbegin(), exponent.rend());
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, reinterpret_cast<unsigned char*>(n.data()),
                              n.size()),
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, reinterpret_cast<unsigned char*>(e.data()),
                              e.size()),
      OSSL_PARAM_construct_end()};
  const OpenSslPtr<EVP_PKEY_CTX> builder(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* built = nullptr;
  must(EVP_PKEY_fromdata_init(builder.get()) == 1 &&
           EVP_PKEY_fromdata(builder.get(), &built, EVP_PKEY_PUBLIC_KEY, parameters) == 1,
       "OpenSSL takes an RSA key");
  RsaKey key = owned(built);
  if (EVP_PKEY_public_check(context_of(key).get()) != 1) {
    ERR_clear_error();
    return Fault{"the modulus \"n\" is not the product of two primes; make a new key"};
  }
  return key;
}

RsaKey rsa_generate() {
  EVP_PKEY* key = EVP_RSA_gen(limits::kRsaMinBits);
  must(key != nullptr, "OpenSSL makes an RSA key");
  return owned(key);
}

RsaPublicNumbers rsa_public_numbers(const RsaKey& key) {
  return {number(key, OSSL_PKEY_PARAM_RSA_N), number(key, OSSL_PKEY_PARAM_RSA_E)};
}

std::string rsa_private_der(const RsaKey& key) {
  PKCS8_PRIV_KEY_INFO* info = EVP_PKEY2PKCS8(key.get());
  unsigned char* der = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
  must(size > 0, "OpenSSL writes an RSA key");
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_clear_free(der, static_cast<std::size_t>(size));
  PKCS8_PRIV_KEY_INFO_free(info);
  return bytes;
}

std::optional<RsaKey> rsa_from_private_der(std::string_view der) {
  auto at = reinterpret_cast<const unsigned char*>(der.data());
  RsaKey key = owned(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
  if (key && EVP_PKEY_is_a(key.get(), "RSA")) return key;
  ERR_clear_error();
  return {};
}

RsaVerifier::RsaVerifier(const RsaKey& key, RsaPadding padding)
    : context_(context_of(key)), signature_bytes_(signature_bytes(key)) {
  must(EVP_PKEY_verify_init(context_.get()) == 1, "RSA verifies");
  set_padding(context_.get(), padding);
}

bool RsaVerifier::verify(std::string_view message, std::string_view signature) {
  if (signature.size() != signature_bytes_) return false;
  const Bytes32 digest = sha256(message);
  const auto bytes = bytes_of(signature);
  const bool good = EVP_PKEY_verify(context_.get(), bytes.data(), bytes.size(), digest.data(),
                                    digest.size()) == 1;
  if (!good) ERR_clear_error();
  return good;
}

RsaSigner::RsaSigner(const RsaKey& key, RsaPadding padding)
    : context_(context_of(key)), signature_bytes_(signature_bytes(key)) {
  must(EVP_PKEY_sign_init(context_.get()) == 1, "RSA signs");
  set_padding(context_.get(), padding);
}

std::string RsaSigner::sign(std::string_view message) {
  const Bytes32 digest = sha256(message);
  std::string signature(signature_bytes_, '\0');
  std::size_t size = signature.size();
  must(EVP_PKEY_sign(context_.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     digest.data(), digest.size()) == 1 &&
           size == signature.size(),
       "RSA signs");
  return signature;
}

}  // namespace veche::auth
