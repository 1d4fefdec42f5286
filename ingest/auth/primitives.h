// Owners for what OpenSSL and libsodium hand out, and the two primitives that several files here
// share. A primitive that fails although its input was checked (out of memory, a broken library)
// ends the process: no caller could go on safely.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

// The names behind OpenSSL's typedefs, so that no header of ours includes OpenSSL.
struct evp_cipher_ctx_st;
struct evp_pkey_ctx_st;
struct evp_pkey_st;

namespace veche::auth {

using Bytes32 = std::array<std::uint8_t, 32>;

inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Aborts with `what` on stderr unless `held`.
void must(bool held, const char* what);

// Lets libsodium choose its implementations; cheap when repeated, callable from any thread.
void init_sodium();

struct OpenSslFree {
  void operator()(evp_cipher_ctx_st* owned) const;
  void operator()(evp_pkey_ctx_st* owned) const;
  void operator()(evp_pkey_st* owned) const;
};
template <class T>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree>;

// Key bytes on the heap, wiped when dropped; a move leaves no copy behind.
class SecretBytes {
 public:
  explicit SecretBytes(std::size_t size) : bytes_(size) {}
  explicit SecretBytes(std::span<const std::uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  SecretBytes(SecretBytes&&) = default;
  SecretBytes& operator=(SecretBytes&&) = delete;
  ~SecretBytes();

  std::span<const std::uint8_t> view() const { return bytes_; }
  std::span<std::uint8_t> writable() { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

// HMAC-SHA256 (RFC 2104) under one key, of any length. The two hashes are kept as they are behind
// the key, and each message begins with copies of them: a message of some hundred bytes costs 0.3
// us, half of what it costs through EVP_MAC. Movable; of() may be called from any thread.
class HmacSha256 {
 public:
  explicit HmacSha256(std::span<const std::uint8_t> key);
  HmacSha256(HmacSha256&&) noexcept;
  ~HmacSha256();

  Bytes32 of(std::string_view message) const;

 private:
  struct Keyed;
  std::unique_ptr<Keyed> keyed_;  // wiped when dropped
};

// Takes as long whatever differs.
bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

}  // namespace veche::auth
