#include "ingest/auth/base64url.h"

namespace veche::auth {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The marker of a foreign character lies above the 24 bits of a group, so one test after the OR of
// four look-ups finds it.
constexpr std::uint32_t kForeign = 1u << 24;

constexpr std::array<std::uint32_t, 256> values_shifted_left(unsigned bits) {
  std::array<std::uint32_t, 256> table;
  table.fill(kForeign);
  for (std::uint32_t value = 0; value < 64; ++value)
    table[static_cast<std::uint8_t>(kAlphabet[value])] = value << bits;
  return table;
}

constexpr std::array kTables{values_shifted_left(18), values_shifted_left(12),
                             values_shifted_left(6), values_shifted_left(0)};

std::uint32_t value_of(char c, std::size_t place) {
  return kTables[place][static_cast<std::uint8_t>(c)];
}

}  // namespace

void base64url_append(std::string& out, std::string_view raw) {
  const std::size_t start = out.size();
  out.resize(start + base64url_encoded_size(raw.size()));
  char* to = out.data() + start;
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<std::uint8_t>(raw[i])}; };
  std::size_t i = 0;
  for (; i + 3 <= raw.size(); i += 3) {
    const std::uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int shift = 18; shift >= 0; shift -= 6) *to++ = kAlphabet[group >> shift & 63];
  }
  if (i == raw.size()) return;
  const bool two = i + 2 == raw.size();
  const std::uint32_t rest = byte(i) << 16 | (two ? byte(i + 1) << 8 : 0);
  *to++ = kAlphabet[rest >> 18];
  *to++ = kAlphabet[rest >> 12 & 63];
  if (two) *to++ = kAlphabet[rest >> 6 & 63];
}

std::string base64url_encode(std::string_view raw) {
  std::string text;
  base64url_append(text, raw);
  return text;
}

std::optional<std::span<std::uint8_t>> base64url_decode(std::string_view text,
                                                        std::span<std::uint8_t> out) {
  const std::size_t size = base64url_decoded_size(text.size());
  const std::size_t rest = text.size() % 4;
  if (rest == 1 || size > out.size()) return {};

  std::uint8_t* to = out.data();
  const char* from = text.data();
  for (const char* end = from + text.size() - rest; from != end; from += 4, to += 3) {
    const std::uint32_t group =
        value_of(from[0], 0) | value_of(from[1], 1) | value_of(from[2], 2) | value_of(from[3], 3);
    if (group >= kForeign) return {};
    to[0] = static_cast<std::uint8_t>(group >> 16);
    to[1] = static_cast<std::uint8_t>(group >> 8);
    to[2] = static_cast<std::uint8_t>(group);
  }
  if (rest != 0) {
    const std::uint32_t group =
        value_of(from[0], 0) | value_of(from[1], 1) | (rest == 3 ? value_of(from[2], 2) : 0);
    const std::uint32_t beyond = rest == 3 ? 0xFF : 0xFFFF;
    if (group >= kForeign || (group & beyond) != 0) return {};
    to[0] = static_cast<std::uint8_t>(group >> 16);
    if (rest == 3) to[1] = static_cast<std::uint8_t>(group >> 8);
  }
  return out.first(size);
}

std::optional<std::string> base64url_decode(std::string_view text) {
  std::string raw(base64url_decoded_size(text.size()), '\0');
  if (!base64url_decode(text, {reinterpret_cast<std::uint8_t*>(raw.data()), raw.size()})) return {};
  return raw;
}

}  // namespace veche::auth
