// Keys and signatures made by OpenSSL alone, so that the code under test never vouches for itself.
#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/auth/base64url.h"
#include "ingest/auth/jwks.h"

namespace veche::auth::testing {

// When tests mint and verify.
inline constexpr std::chrono::sys_seconds kNow{std::chrono::seconds{1'800'000'000}};

using Pkey = std::shared_ptr<EVP_PKEY>;

inline const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

inline std::string public_number(const Pkey& key, const char* name) {
  BIGNUM* value = nullptr;
  EVP_PKEY_get_bn_param(key.get(), name, &value);
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
  BN_bn2bin(value, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(value);
  return bytes;
}

inline std::string ed25519_point(const Pkey& key) {
  std::string point(32, '\0');
  std::size_t size = point.size();
  EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(point.data()), &size);
  return point;
}

struct SigningChoice {
  const EVP_MD* digest = EVP_sha256();
  bool pss = false;
  int salt = 32;
};

inline std::string sign_with(const Pkey& key, std::string_view text, const SigningChoice& choice) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  EVP_DigestSignInit(context.get(), &options, choice.digest, nullptr, key.get());
  if (choice.pss) {
    EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(options, choice.salt);
  }
  std::string signature(1024, '\0');
  std::size_t size = signature.size();
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     raw(text), text.size()) != 1)
    throw std::runtime_error("the test cannot sign");
  signature.resize(size);
  return signature;
}

inline std::string hmac_with(std::string_view secret, std::string_view text) {
  std::string code(32, '\0');
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), raw(text), text.size(),
       reinterpret_cast<unsigned char*>(code.data()), nullptr);
  return code;
}

inline std::string seal(std::string_view signed_text, std::string_view signature) {
  return std::string(signed_text) + "." + base64url_encode(signature);
}

inline std::string signed_text(std::string_view header, std::string_view payload) {
  return base64url_encode(header) + "." + base64url_encode(payload);
}

// A key of one algorithm; made once for the whole program.
class TestKey {
 public:
  static const TestKey& of(Algorithm algorithm) {
    static const TestKey keys[] = {TestKey(Algorithm::kHs256), TestKey(Algorithm::kRs256),
                                   TestKey(Algorithm::kPs256), TestKey(Algorithm::kEdDsa),
                                   TestKey(Algorithm::kEd25519)};
    return keys[static_cast<std::size_t>(algorithm)];
  }

  Algorithm algorithm() const { return algorithm_; }
  const Pkey& pkey() const { return pkey_; }

  std::string sign(std::string_view text) const {
    switch (algorithm_) {
      case Algorithm::kHs256:
        return hmac_with(kSecret, text);
      case Algorithm::kRs256:
        return sign_with(pkey_, text, {});
      case Algorithm::kPs256:
        return sign_with(pkey_, text, {EVP_sha256(), true, 32});
      default:
        return sign_with(pkey_, text, {nullptr, false, 0});
    }
  }

  std::string token(std::string_view header, std::string_view payload) const {
    const std::string text = signed_text(header, payload);
    return seal(text, sign(text));
  }

  // The members of a JWKS entry that depend on the algorithm.
  std::string members() const {
    const std::string alg = std::string(R"("alg":")") + std::string(text(algorithm_)) + "\",";
    if (algorithm_ == Algorithm::kHs256)
      return alg + R"("kty":"oct","k":")" + base64url_encode(kSecret) + "\"";
    if (algorithm_ == Algorithm::kRs256 || algorithm_ == Algorithm::kPs256)
      return alg + R"("kty":"RSA","e":"AQAB","n":")" +
             base64url_encode(public_number(pkey_, OSSL_PKEY_PARAM_RSA_N)) + "\"";
    return alg + R"("kty":"OKP","crv":"Ed25519","x":")" + base64url_encode(ed25519_point(pkey_)) +
           "\"";
  }

  std::string entry(std::string_view kid, std::string_view typ, std::string_view more = "") const {
    return R"({"kid":")" + std::string(kid) + R"(","typ":")" + std::string(typ) +
           R"(","iss":"https://id.example","aud":"veche",)" + members() + std::string(more) + "}";
  }

 private:
  explicit TestKey(Algorithm algorithm) : algorithm_(algorithm) {
    if (algorithm == Algorithm::kRs256 || algorithm == Algorithm::kPs256)
      pkey_ = Pkey(EVP_RSA_gen(2048), EVP_PKEY_free);
    else if (algorithm != Algorithm::kHs256)
      pkey_ = Pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  }

  static constexpr std::string_view kSecret = "a secret of the tests, 32 bytes.";

  Algorithm algorithm_;
  Pkey pkey_;
};

inline std::string key_set(const std::vector<std::string>& entries) {
  std::string json = R"({"keys":[)";
  for (const std::string& entry : entries) json += (&entry == entries.data() ? "" : ",") + entry;
  return json + "]}";
}

// A directory that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "veche-auth-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const char* name, std::string_view content, unsigned mode) const {
    const auto file = path_ / name;
    std::ofstream(file, std::ios::binary) << content;
    std::filesystem::permissions(file, std::filesystem::perms(mode));
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace veche::auth::testing
