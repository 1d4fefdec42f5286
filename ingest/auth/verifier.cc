#include "ingest/auth/verifier.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <optional>
#include <variant>
#include <vector>

#include "engine/model/limits.h"
#include "ingest/auth/base64url.h"
#include "ingest/auth/strict_json.h"

namespace veche::auth {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;

TokenRefusal invalid(const char* reason) { return {TokenError::kInvalid, reason}; }

// --- Signatures --------------------------------------------------------------------------------

class HmacVerifier {
 public:
  explicit HmacVerifier(const SecretBytes& secret) : hmac_(secret.view()) {}
  bool verify(std::string_view message, std::string_view signature) {
    return equal_in_constant_time(hmac_.of(message), bytes_of(signature));
  }

 private:
  HmacSha256 hmac_;
};

// libsodium refuses low-order and non-canonical points and scalars; OpenSSL does not refuse all of
// them, so the two would disagree on crafted signatures.
class Ed25519Verifier {
 public:
  explicit Ed25519Verifier(const Bytes32& key) : key_(key) {}
  bool verify(std::string_view message, std::string_view signature) {
    if (signature.size() != crypto_sign_BYTES) return false;
    const auto bytes = bytes_of(message);
    return crypto_sign_verify_detached(bytes_of(signature).data(), bytes.data(), bytes.size(),
                                       key_.data()) == 0;
  }

 private:
  Bytes32 key_;
};

using SignatureVerifier = std::variant<HmacVerifier, RsaVerifier, Ed25519Verifier>;

SignatureVerifier signature_verifier(const VerificationKey& key) {
  switch (key.algorithm) {
    case Algorithm::kHs256:
      return HmacVerifier(std::get<SecretBytes>(key.material));
    case Algorithm::kRs256:
      return RsaVerifier(std::get<RsaKey>(key.material), RsaPadding::kPkcs1);
    case Algorithm::kPs256:
      return RsaVerifier(std::get<RsaKey>(key.material), RsaPadding::kPss);
    case Algorithm::kEdDsa:
    case Algorithm::kEd25519:
      return Ed25519Verifier(std::get<Bytes32>(key.material));
  }
  std::abort();
}

// --- Claims ------------------------------------------------------------------------------------

// The members that every type of token has come first, in this order.
enum Common : std::size_t { kIss, kAud, kIat, kExp, kNbf, kCommon };

struct VoteReader {
  using Claims = VoteClaims;
  static constexpr TokenType kType = TokenType::kVote;
  static constexpr seconds kLifetime = limits::kTokenLifetime;
  enum Member : std::size_t { kPoll = kCommon, kSub, kTerritory, kAddr, kLvl, kMembers };
  static constexpr std::array<std::string_view, kMembers> kNames = {
      "iss", "aud", "iat", "exp", "nbf", "poll", "sub", "territory", "addr", "lvl"};

  static Verdict<Claims> read(const StrictObject<kMembers>& members, const VerificationKey&) {
    const auto poll = model::PollId::parse(members.text(kPoll).value_or(""));
    if (!poll) return invalid("poll is missing or not a poll id");
    const auto sub = base64url_decode_exactly<32>(members.text(kSub).value_or(""));
    if (!sub) return invalid("sub is missing or not 32 bytes in base64url");
    const auto territory = model::TerritoryCode::parse(members.text(kTerritory).value_or(""));
    if (!territory) return invalid("territory is missing or not a territory code");
    const auto level = members.integer(kLvl);
    if (!level || *level < limits::kMinLevel || *level > limits::kMaxLevel)
      return invalid("lvl is missing or not a level of assurance");
    Verdict<Claims> claims(
        VoteClaims{*poll, *sub, *territory, {}, static_cast<std::uint8_t>(*level)});
    if (members.has(kAddr)) {
      const auto list = members.list(kAddr);
      if (!list || list->size() > limits::kAddressesPerToken || !read_ids(*list, claims->addrs))
        return invalid("addr is not a list of address codes, empty or too long");
    }
    return claims;
  }
};

struct BatchReader {
  using Claims = BatchClaims;
  static constexpr TokenType kType = TokenType::kBatch;
  static constexpr seconds kLifetime = limits::kTokenLifetime;
  enum Member : std::size_t { kBodyHash = kCommon, kLines, kMembers };
  static constexpr std::array<std::string_view, kMembers> kNames = {"iss", "aud", "iat", "exp",
                                                                    "nbf", "bh",  "n"};

  static Verdict<Claims> read(const StrictObject<kMembers>& members, const VerificationKey& key) {
    const auto hash = base64url_decode_exactly<32>(members.text(kBodyHash).value_or(""));
    if (!hash) return invalid("bh is missing or not 32 bytes in base64url");
    const auto lines = members.integer(kLines);
    if (!lines || *lines < 1 || *lines > static_cast<std::int64_t>(limits::kBatchLines))
      return invalid("n is missing or not a number of lines that a batch may have");
    return BatchClaims{*hash, static_cast<std::uint32_t>(*lines), key.limits};
  }
};

std::optional<RoleSet> read_roles(const std::optional<simdjson::dom::array>& list) {
  RoleSet roles;
  if (!list) return {};
  for (const simdjson::dom::element item : *list) {
    std::string_view name;
    if (item.get(name) != simdjson::SUCCESS) return {};
    const auto* role = std::ranges::find(kRoles, name, &NamedRole::name);
    if (role == std::end(kRoles)) return {};
    roles.add(role->role);
  }
  return roles.empty() ? std::nullopt : std::optional(roles);
}

struct StaffReader {
  using Claims = StaffClaims;
  static constexpr TokenType kType = TokenType::kStaff;
  static constexpr seconds kLifetime = limits::kStaffTokenLifetime;
  enum Member : std::size_t { kSub = kCommon, kRoleNames, kTerritories, kMembers };
  static constexpr std::array<std::string_view, kMembers> kNames = {
      "iss", "aud", "iat", "exp", "nbf", "sub", "roles", "territories"};

  static Verdict<Claims> read(const StrictObject<kMembers>& members, const VerificationKey&) {
    const auto sub = members.text(kSub);
    if (!sub || !is_plain_name(*sub, limits::kStaffSubjectBytes))
      return invalid("sub is missing, too long or not visible ASCII");
    const auto roles = read_roles(members.list(kRoleNames));
    if (!roles) return invalid("roles is missing, empty or holds an unknown role");
    StaffClaims claims{std::string(*sub), *roles, {}};
    if (members.has(kTerritories)) {
      const auto list = members.list(kTerritories);
      std::vector<model::TerritoryCode> codes;
      if (!list || !read_ids(*list, codes))
        return invalid("territories is not a list of territory codes, or empty");
      claims.territories = Limit<model::TerritoryCode>::to(std::move(codes));
    }
    return claims;
  }
};

// A time that a calendar can show (to the end of the year 9999), so that sums cannot overflow.
template <std::size_t N>
std::optional<sys_seconds> read_time(const StrictObject<N>& members, std::size_t place) {
  constexpr std::int64_t kEndOfCalendar = 253'402'300'799;
  const auto value = members.integer(place);
  if (!value || *value < 0 || *value > kEndOfCalendar) return {};
  return sys_seconds(seconds(*value));
}

template <class Reader>
Verdict<typename Reader::Claims> read_claims(simdjson::dom::element payload,
                                             const VerificationKey& key, sys_seconds now) {
  using Members = StrictObject<Reader::kMembers>;
  Members members;
  switch (members.read(payload, Reader::kNames)) {
    case Members::Shape::kGood:
      break;
    case Members::Shape::kNotAnObject:
      return invalid("the payload is not an object");
    case Members::Shape::kUnknownMember:
      return invalid("a claim that this type does not have");
    case Members::Shape::kDuplicateMember:
      return invalid("a claim twice");
  }
  if (members.text(kIss) != key.issuer) return invalid("iss is not the issuer of this key");
  if (members.text(kAud) != key.audience) return invalid("aud is not this service");

  const auto iat = read_time(members, kIat);
  const auto exp = read_time(members, kExp);
  const auto nbf = members.has(kNbf) ? read_time(members, kNbf) : iat;
  if (!iat || !exp || !nbf) return invalid("iat, exp or nbf is missing or not a time");
  if (*exp <= *iat || *exp - *iat > Reader::kLifetime)
    return invalid("the time between iat and exp is not one allowed");
  if (std::max(*iat, *nbf) > now + limits::kTokenSkew) return invalid("not valid yet");

  auto claims = Reader::read(members, key);
  // Last, so that "expired" promises that a fresh token of the same content would do.
  if (claims && *exp + limits::kTokenSkew <= now)
    return TokenRefusal{TokenError::kExpired, "expired"};
  return claims;
}

struct Parts {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
  std::string_view signed_text;  // header, dot, payload, as received
};

std::optional<Parts> split(std::string_view token) {
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return {};
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return {};
  if (token.find('.', second + 1) != std::string_view::npos) return {};
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1),
               token.substr(second + 1), token.substr(0, second)};
}

}  // namespace

class Verifier::Impl {
 public:
  explicit Impl(std::shared_ptr<const KeySet> keys)
      : keys_(std::move(keys)), parser_(bounded_parser(limits::kTokenBytes)) {
    init_sodium();
    for (const VerificationKey& key : keys_->keys())
      slots_.push_back({&key, signature_verifier(key), {}});
  }

  template <class Reader>
  Verdict<typename Reader::Claims> verify(std::string_view token, sys_seconds now) {
    if (token.empty()) return TokenRefusal{TokenError::kMissing, "no token"};
    if (token.size() > limits::kTokenBytes) return invalid("too long");
    const auto parts = split(token);
    if (!parts) return invalid("not three parts with two dots between them");
    const auto signature = base64url_decode(parts->signature, signature_);
    const auto payload = base64url_decode(parts->payload, front_of(payload_));
    if (!signature || !payload) return invalid("not canonical base64url");

    const auto slot = slot_for(parts->header);
    if (!slot) return slot.error();
    const VerificationKey& key = *(*slot)->key;
    if (key.type != Reader::kType) return invalid("typ is not that of tokens for this request");
    if (!(*slot)->verify(parts->signed_text, text_of(*signature)))
      return invalid("the signature does not match");
    // Only now: a stranger must not be able to push a known header out.
    (*slot)->known_header.assign(parts->header);

    simdjson::dom::element root;
    if (parse(*payload, root) != simdjson::SUCCESS) return invalid("the payload is not JSON");
    return read_claims<Reader>(root, key, now);
  }

 private:
  // A key of the set as this thread uses it.
  struct Slot {
    const VerificationKey* key;
    SignatureVerifier verifier;
    // The last header that came with a good signature. An issuer writes the same one into every
    // token, and the same bytes need not be judged again.
    std::string known_header;

    bool verify(std::string_view message, std::string_view signature) {
      return std::visit([&](auto& with) { return with.verify(message, signature); }, verifier);
    }
  };

  Result<Slot*, TokenRefusal> slot_for(std::string_view header) {
    for (Slot& slot : slots_)
      if (slot.known_header == header && !header.empty()) return &slot;
    const auto json = base64url_decode(header, front_of(header_));
    if (!json) return invalid("not canonical base64url");
    simdjson::dom::element root;
    if (parse(*json, root) != simdjson::SUCCESS) return invalid("the header is not JSON");
    return slot_named_in(root);
  }

  Result<Slot*, TokenRefusal> slot_named_in(simdjson::dom::element header) {
    enum Member : std::size_t { kAlg, kTyp, kKid, kMembers };
    using Members = StrictObject<kMembers>;
    Members members;
    if (members.read(header, {"alg", "typ", "kid"}) != Members::Shape::kGood)
      return invalid("the header is not exactly alg, typ and kid");
    const auto kid = members.text(kKid);
    const auto slot =
        std::ranges::find_if(slots_, [&](const Slot& s) { return kid == s.key->kid; });
    if (slot == slots_.end()) return invalid("kid is missing or names no key");
    if (members.text(kAlg) != text(slot->key->algorithm))
      return invalid("alg is not the one of this key");
    if (members.text(kTyp) != text(slot->key->type))
      return invalid("typ is not the one of this key");
    return &*slot;
  }

  // simdjson reads, but does not use, some bytes beyond the end.
  using Room = std::array<std::uint8_t, limits::kTokenBytes + simdjson::SIMDJSON_PADDING>;
  static std::span<std::uint8_t> front_of(Room& room) {
    return std::span(room).first(limits::kTokenBytes);
  }

  simdjson::error_code parse(std::span<const std::uint8_t> json, simdjson::dom::element& root) {
    constexpr bool kCopy = false;
    return parser_.parse(json.data(), json.size(), kCopy).get(root);
  }

  const std::shared_ptr<const KeySet> keys_;
  std::vector<Slot> slots_;
  simdjson::dom::parser parser_;
  Room header_{};
  Room payload_{};
  std::array<std::uint8_t, limits::kTokenBytes> signature_{};
};

Verifier::Verifier(std::shared_ptr<const KeySet> keys)
    : impl_(std::make_unique<Impl>(std::move(keys))) {}
Verifier::Verifier(Verifier&&) noexcept = default;
Verifier& Verifier::operator=(Verifier&&) noexcept = default;
Verifier::~Verifier() = default;

VoteVerdict Verifier::verify_vote(std::string_view token, sys_seconds now) {
  return impl_->verify<VoteReader>(token, now);
}
BatchVerdict Verifier::verify_batch(std::string_view token, sys_seconds now) {
  return impl_->verify<BatchReader>(token, now);
}
StaffVerdict Verifier::verify_staff(std::string_view token, sys_seconds now) {
  return impl_->verify<StaffReader>(token, now);
}

}  // namespace veche::auth
