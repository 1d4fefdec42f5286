// Identifiers as types: a poll id cannot be passed where a territory code is meant, and each
// carries its own rule of what is well formed. All are values, free of allocation, safe to copy
// between threads, and hashable by boost and by std.
#pragma once

#include <array>
#include <boost/container_hash/hash.hpp>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace veche::model {

// A short text of 1..kMax bytes that satisfied Rule::allows for every byte when it was parsed.
template <class Rule>
class TextId {
 public:
  static constexpr std::size_t kMax = Rule::kMaxBytes;
  static_assert(kMax <= 255, "the length is kept in one byte");

  TextId() = default;  // empty: no id; parse never returns it

  static std::optional<TextId> parse(std::string_view text) {
    if (text.empty() || text.size() > kMax) return std::nullopt;
    for (const char c : text)
      if (!Rule::allows(c)) return std::nullopt;
    TextId id;
    id.size_ = static_cast<std::uint8_t>(text.size());
    std::memcpy(id.bytes_.data(), text.data(), text.size());
    return id;
  }

  std::string_view view() const { return {bytes_.data(), size_}; }
  std::string str() const { return std::string(view()); }
  bool empty() const { return size_ == 0; }

  friend bool operator==(const TextId& a, const TextId& b) { return a.view() == b.view(); }
  friend auto operator<=>(const TextId& a, const TextId& b) { return a.view() <=> b.view(); }
  friend std::size_t hash_value(const TextId& id) {
    return std::hash<std::string_view>{}(id.view());
  }

 private:
  std::uint8_t size_ = 0;
  std::array<char, kMax> bytes_{};
};

namespace detail {
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

struct PollIdRule {
  static constexpr std::size_t kMaxBytes = 64;
  static constexpr bool allows(char c) { return is_lower(c) || is_digit(c) || c == '-'; }
};
struct TerritoryCodeRule {
  static constexpr std::size_t kMaxBytes = 32;
  static constexpr bool allows(char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '-';
  }
};
struct AddressCodeRule {
  static constexpr std::size_t kMaxBytes = 64;
  static constexpr bool allows(char c) {
    return TerritoryCodeRule::allows(c) || c == '_' || c == '.' || c == ':';
  }
};
}  // namespace detail

using PollId = TextId<detail::PollIdRule>;                // chosen by the poll's creator
using TerritoryCode = TextId<detail::TerritoryCodeRule>;  // OKTMO code; a string: Altai begins at 0
using AddressCode = TextId<detail::AddressCodeRule>;      // FIAS id of a street or a house

// 16 opaque bytes. Tag keeps a voter key from being taken for a digest.
template <class Tag>
struct Bytes16 {
  std::array<std::uint8_t, 16> bytes{};

  static std::optional<Bytes16> parse(std::string_view raw) {
    if (raw.size() != 16) return std::nullopt;
    Bytes16 value;
    std::memcpy(value.bytes.data(), raw.data(), 16);
    return value;
  }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), 16}; }

  friend bool operator==(const Bytes16&, const Bytes16&) = default;
  friend auto operator<=>(const Bytes16&, const Bytes16&) = default;
  friend std::size_t hash_value(const Bytes16& value) {
    std::uint64_t words[2];
    std::memcpy(words, value.bytes.data(), 16);
    return words[0] ^ words[1];
  }
};

using VoterKey = Bytes16<struct VoterKeyTag>;        // HMAC-SHA256(poll secret, pseudonym), cut
using Digest = Bytes16<struct DigestTag>;            // BLAKE2b-128 of the canonical answers
using BootId = Bytes16<struct BootIdTag>;            // drawn at each start of a process
using LogId = Bytes16<struct LogIdTag>;              // drawn when a log is made
using RollingHash = Bytes16<struct RollingHashTag>;  // XXH3-128 chained over a partition's records

// A partition of the log: kControl, or one of 0..P-1 of the ballots.
struct PartitionId {
  std::uint16_t value = 0;
  friend auto operator<=>(const PartitionId&, const PartitionId&) = default;
};
inline constexpr PartitionId kControl{0xFFFF};

// The place of a record in its partition; dense, the first is 0.
struct Offset {
  std::uint64_t value = 0;
  Offset plus(std::uint64_t records) const { return {value + records}; }
  friend auto operator<=>(const Offset&, const Offset&) = default;
};

// How far a partition was applied: every record below `next`, and the hash over exactly those.
struct Position {
  Offset next;
  RollingHash hash;
  friend bool operator==(const Position&, const Position&) = default;
};

}  // namespace veche::model

template <class Rule>
struct std::hash<veche::model::TextId<Rule>> {
  std::size_t operator()(const veche::model::TextId<Rule>& id) const { return hash_value(id); }
};
