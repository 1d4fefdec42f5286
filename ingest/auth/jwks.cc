#include "ingest/auth/jwks.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <unordered_set>

#include "engine/model/limits.h"
#include "ingest/auth/base64url.h"
#include "ingest/auth/key_file.h"
#include "ingest/auth/strict_json.h"

namespace veche::auth {
namespace {

constexpr std::string_view kAlgorithms[] = {"HS256", "RS256", "PS256", "EdDSA", "Ed25519"};
constexpr std::string_view kTypes[] = {"vote+jwt", "batch+jwt", "staff+jwt"};

template <class Enum, std::size_t N>
std::optional<Enum> value_of(const std::string_view (&names)[N], std::string_view name) {
  const auto found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) return {};
  return static_cast<Enum>(found - std::begin(names));
}

enum Member : std::size_t {
  kKid,
  kKty,
  kAlg,
  kTyp,
  kIss,
  kAud,
  kSecret,
  kModulus,
  kExponent,
  kCurve,
  kPoint,
  kPolls,
  kTerritories,
  kPrivateD,
  kPrivateP,
  kPrivateQ,
  kPrivateDp,
  kPrivateDq,
  kPrivateQi,
  kPrivateOth,
  kMembers
};
using Entry = StrictObject<kMembers>;
constexpr Entry::Names kNames = {"kid", "kty", "alg", "typ", "iss",   "aud",         "k",
                                 "n",   "e",   "crv", "x",   "polls", "territories", "d",
                                 "p",   "q",   "dp",  "dq",  "qi",    "oth"};

std::optional<std::string> plain_name(const Entry& entry, Member member, std::size_t max_bytes) {
  const auto value = entry.text(member);
  if (!value || !is_plain_name(*value, max_bytes)) return {};
  return std::string(*value);
}

std::optional<std::string> decoded(const Entry& entry, Member member) {
  const auto value = entry.text(member);
  return value ? base64url_decode(*value) : std::nullopt;
}

using Material = decltype(VerificationKey::material);

struct KeyShape {
  std::string_view kty;
  std::vector<Member> members;
};

KeyShape shape_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kHs256:
      return {"oct", {kSecret}};
    case Algorithm::kRs256:
    case Algorithm::kPs256:
      return {"RSA", {kModulus, kExponent}};
    case Algorithm::kEdDsa:
    case Algorithm::kEd25519:
      return {"OKP", {kCurve, kPoint}};
  }
  std::abort();
}

Result<Material> read_secret(const Entry& entry) {
  auto secret = decoded(entry, kSecret);
  if (!secret) return Fault{"\"k\" is not canonical base64url"};
  if (secret->size() < limits::kHmacSecretMinBytes)
    return Fault{fmt::format("the secret \"k\" has {} bytes; make one of at least {} random bytes",
                             secret->size(), limits::kHmacSecretMinBytes)};
  SecretBytes bytes(bytes_of(*secret));
  sodium_memzero(secret->data(), secret->size());
  return Material(std::move(bytes));
}

Result<Material> read_rsa(const Entry& entry) {
  const auto modulus = decoded(entry, kModulus);
  const auto exponent = decoded(entry, kExponent);
  if (!modulus || !exponent) return Fault{"\"n\" or \"e\" is not canonical base64url"};
  auto key = rsa_public_key(*modulus, *exponent);
  if (!key) return key.error();
  return Material(std::move(*key));
}

Result<Material> read_ed25519(const Entry& entry) {
  if (entry.text(kCurve) != "Ed25519") return Fault{"\"crv\" must be \"Ed25519\""};
  const auto point = base64url_decode_exactly<32>(entry.text(kPoint).value_or(""));
  if (!point) return Fault{"\"x\" is not 32 bytes in canonical base64url"};
  if (crypto_core_ed25519_is_valid_point(point->data()) != 1)
    return Fault{"\"x\" is not a point that signs (wrong, not canonical, or of low order)"};
  return Material(*point);
}

Result<Material> read_material(const Entry& entry, Algorithm algorithm) {
  const KeyShape shape = shape_of(algorithm);
  if (entry.text(kKty) != shape.kty)
    return Fault{fmt::format("\"kty\" of {} must be \"{}\"", text(algorithm), shape.kty)};
  for (const Member member : {kSecret, kModulus, kExponent, kCurve, kPoint}) {
    const bool wanted = std::ranges::count(shape.members, member) != 0;
    if (wanted != entry.has(member))
      return Fault{fmt::format("member \"{}\" {} for {}", kNames[member],
                               wanted ? "is needed" : "has no place", text(algorithm))};
  }
  if (algorithm == Algorithm::kHs256) return read_secret(entry);
  return shape.kty == "RSA" ? read_rsa(entry) : read_ed25519(entry);
}

template <class Id>
Result<void> read_limit(const Entry& entry, Member member, Limit<Id>& limit) {
  if (!entry.has(member)) return {};
  const auto list = entry.list(member);
  std::vector<Id> ids;
  if (!list || !read_ids(*list, ids))
    return Fault{
        fmt::format("\"{}\" must be a list of at least one well-formed id; leave it out "
                    "to allow all",
                    kNames[member])};
  limit = Limit<Id>::to(std::move(ids));
  return {};
}

Result<std::shared_ptr<const BatchLimits>> read_limits(const Entry& entry, TokenType type) {
  if (type != TokenType::kBatch) {
    if (entry.has(kPolls) || entry.has(kTerritories))
      return Fault{"\"polls\" and \"territories\" limit keys of batch+jwt only; remove them"};
    return std::shared_ptr<const BatchLimits>();
  }
  auto limits = std::make_shared<BatchLimits>();
  if (auto done = read_limit(entry, kPolls, limits->polls); !done) return done.error();
  if (auto done = read_limit(entry, kTerritories, limits->territories); !done) return done.error();
  return std::shared_ptr<const BatchLimits>(std::move(limits));
}

Result<void> check_members(const Entry& entry, Entry::Shape shape) {
  if (shape == Entry::Shape::kNotAnObject) return Fault{"not an object"};
  for (std::size_t member = kPrivateD; member < kMembers; ++member)
    if (entry.has(member))
      return Fault{
          fmt::format("member \"{}\" belongs to a private key; consider that key known to "
                      "others, and give only the public members of a new one",
                      kNames[member])};
  if (shape == Entry::Shape::kDuplicateMember)
    return Fault{fmt::format("member \"{}\" twice; keep one", entry.offender())};
  if (shape == Entry::Shape::kUnknownMember)
    return Fault{fmt::format("unknown member \"{}\"; remove it", entry.offender())};
  return {};
}

Result<VerificationKey> read_key(const Entry& entry, Entry::Shape shape) {
  if (auto done = check_members(entry, shape); !done) return done.error();
  auto kid = plain_name(entry, kKid, limits::kKeyIdBytes);
  if (!kid)
    return Fault{
        fmt::format("\"kid\" is needed: 1 to {} visible ASCII characters", limits::kKeyIdBytes)};
  const auto algorithm = algorithm_of(entry.text(kAlg).value_or(""));
  if (!algorithm)
    return Fault{fmt::format("\"alg\" must be one of {}", fmt::join(kAlgorithms, ", "))};
  const auto type = token_type_of(entry.text(kTyp).value_or(""));
  if (!type) return Fault{fmt::format("\"typ\" must be one of {}", fmt::join(kTypes, ", "))};
  auto issuer = plain_name(entry, kIss, limits::kIssuerBytes);
  auto audience = plain_name(entry, kAud, limits::kIssuerBytes);
  if (!issuer || !audience)
    return Fault{
        fmt::format("\"iss\" and \"aud\" are needed: 1 to {} visible ASCII characters each",
                    limits::kIssuerBytes)};
  auto key_limits = read_limits(entry, *type);
  if (!key_limits) return key_limits.error();
  auto material = read_material(entry, *algorithm);
  if (!material) return material.error();
  return VerificationKey{std::move(*kid),       *algorithm,           *type,
                         std::move(*issuer),    std::move(*audience), std::move(*material),
                         std::move(*key_limits)};
}

// By its kid where that can be shown, else by its place.
std::string name_of(const Entry& entry, std::size_t index) {
  const auto kid = plain_name(entry, kKid, limits::kKeyIdBytes);
  return kid ? fmt::format("key \"{}\"", *kid) : fmt::format("key number {}", index + 1);
}

Result<simdjson::dom::array> list_of_keys(simdjson::dom::parser& parser, std::string_view json) {
  using Set = StrictObject<1>;
  if (json.size() > limits::kKeyFileBytes) return Fault{"the key set is too long"};
  simdjson::dom::element root;
  if (const auto error = parse_copy(parser, json, root))
    return Fault{fmt::format("not JSON: {}", simdjson::error_message(error))};
  Set set;
  if (set.read(root, {"keys"}) != Set::Shape::kGood || !set.list(0))
    return Fault{"not a key set: an object with the one member \"keys\", a list, is needed"};
  return *set.list(0);
}

Result<void> check_together(const std::vector<VerificationKey>& keys) {
  if (keys.empty()) return Fault{"no keys: every token would be refused"};
  std::unordered_set<std::string_view> kids;
  for (const VerificationKey& key : keys) {
    if (!kids.insert(key.kid).second)
      return Fault{fmt::format("key \"{}\": a second key with this kid; rename one", key.kid)};
    const bool hmac = key.algorithm == Algorithm::kHs256;
    if (hmac != (keys.front().algorithm == Algorithm::kHs256))
      return Fault{fmt::format(
          "key \"{}\": {} beside {} of key \"{}\"; HS256 cannot be mixed with "
          "other algorithms: use one kind for all keys",
          key.kid, text(key.algorithm), text(keys.front().algorithm), keys.front().kid)};
  }
  return {};
}

}  // namespace

std::string_view text(Algorithm algorithm) {
  return kAlgorithms[static_cast<std::size_t>(algorithm)];
}
std::string_view text(TokenType type) { return kTypes[static_cast<std::size_t>(type)]; }
std::optional<Algorithm> algorithm_of(std::string_view text) {
  return value_of<Algorithm>(kAlgorithms, text);
}
std::optional<TokenType> token_type_of(std::string_view text) {
  return value_of<TokenType>(kTypes, text);
}

Result<KeySet> KeySet::parse(std::string_view json) {
  init_sodium();
  auto parser = bounded_parser(limits::kKeyFileBytes);
  const auto entries = list_of_keys(parser, json);
  if (!entries) return entries.error();
  std::vector<VerificationKey> keys;
  for (const simdjson::dom::element element : *entries) {
    if (keys.size() == limits::kKeysPerSet)
      return Fault{fmt::format("more than {} keys; remove revoked ones", limits::kKeysPerSet)};
    Entry entry;
    const auto shape = entry.read(element, kNames);
    auto key = read_key(entry, shape);
    if (!key) return Fault{fmt::format("{}: {}", name_of(entry, keys.size()), key.error().message)};
    keys.push_back(std::move(*key));
  }
  if (auto done = check_together(keys); !done) return done.error();
  return KeySet(std::move(keys));
}

Result<KeySet> KeySet::load(const std::filesystem::path& path) {
  const auto file = read_key_file(path);
  if (!file) return file.error();
  auto set = parse(text_of(file->content.view()));
  if (!set) return Fault{fmt::format("{}: {}", path.string(), set.error().message)};
  const bool secret = set->keys().front().algorithm == Algorithm::kHs256;
  if (secret && file->readers != Readers::kOwnerOnly) return open_to_others(path);
  return set;
}

}  // namespace veche::auth
