// Base64url without padding (RFC 4648 section 5), strictly: one text for one value. Refused are
// '=', '+', '/', white space, a length of 1 mod 4, and a last character with bits beyond the value.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace veche::auth {

constexpr std::size_t base64url_encoded_size(std::size_t bytes) { return (bytes * 4 + 2) / 3; }
constexpr std::size_t base64url_decoded_size(std::size_t characters) { return characters * 3 / 4; }

void base64url_append(std::string& out, std::string_view raw);
std::string base64url_encode(std::string_view raw);

// Writes to the front of `out` and returns that part; nothing when the text is not canonical or
// does not fit, and then `out` holds rubbish.
std::optional<std::span<std::uint8_t>> base64url_decode(std::string_view text,
                                                        std::span<std::uint8_t> out);

std::optional<std::string> base64url_decode(std::string_view text);

// Exactly N bytes, or nothing.
template <std::size_t N>
std::optional<std::array<std::uint8_t, N>> base64url_decode_exactly(std::string_view text) {
  std::array<std::uint8_t, N> bytes;
  if (text.size() != base64url_encoded_size(N) || !base64url_decode(text, bytes)) return {};
  return bytes;
}

}  // namespace veche::auth
