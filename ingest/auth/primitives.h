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
struct evp_mac_ctx_st;
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
  void operator()(evp_mac_ctx_st* owned) const;
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

// HMAC-SHA256 under one key. The keyed state is kept, so that a message of some hundred bytes
// costs about 0.4 us. One instance belongs to one thread.
class HmacSha256 {
 public:
  explicit HmacSha256(std::span<const std::uint8_t> key);
  Bytes32 of(std::string_view message);

 private:
  OpenSslPtr<evp_mac_ctx_st> context_;
};

// Takes as long whatever differs.
bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

}  // namespace veche::auth
