#include "ingest/auth/issuer.h"

#include <fmt/format.h>
#include <sodium.h>

#include <iterator>

#include "engine/model/limits.h"
#include "ingest/auth/base64url.h"
#include "ingest/auth/key_file.h"
#include "ingest/auth/strict_json.h"

namespace veche::auth {
namespace {

constexpr TokenType kTypes[] = {TokenType::kVote, TokenType::kBatch, TokenType::kStaff};

std::string random_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  randombytes_buf(bytes.data(), size);
  return bytes;
}

// --- Private keys: the secret of HS256, the seed of Ed25519, the PKCS #8 form of RSA -------------

std::string make_private_key(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kRs256:
    case Algorithm::kPs256:
      return rsa_private_der(rsa_generate());
    case Algorithm::kHs256:
    case Algorithm::kEdDsa:
    case Algorithm::kEd25519:
      return random_bytes(32);
  }
  std::abort();
}

std::string public_members(Algorithm algorithm, std::string_view private_key) {
  if (algorithm == Algorithm::kHs256)
    return fmt::format(R"("kty":"oct","k":"{}")", base64url_encode(private_key));
  if (algorithm == Algorithm::kRs256 || algorithm == Algorithm::kPs256) {
    const auto numbers = rsa_public_numbers(*rsa_from_private_der(private_key));
    return fmt::format(R"("kty":"RSA","n":"{}","e":"{}")", base64url_encode(numbers.modulus),
                       base64url_encode(numbers.exponent));
  }
  Bytes32 point;
  SecretBytes key(crypto_sign_SECRETKEYBYTES);
  crypto_sign_seed_keypair(point.data(), key.writable().data(), bytes_of(private_key).data());
  return fmt::format(R"("kty":"OKP","crv":"Ed25519","x":"{}")", base64url_encode(text_of(point)));
}

using Signer = std::variant<HmacSigner, RsaSigner, Ed25519Signer>;

std::optional<Signer> signer_of(Algorithm algorithm, std::string_view private_key) {
  if (algorithm == Algorithm::kRs256 || algorithm == Algorithm::kPs256) {
    const auto key = rsa_from_private_der(private_key);
    const bool pss = algorithm == Algorithm::kPs256;
    if (!key) return {};
    return RsaSigner(*key, pss ? RsaPadding::kPss : RsaPadding::kPkcs1);
  }
  if (private_key.size() != 32) return {};
  if (algorithm == Algorithm::kHs256) return HmacSigner(bytes_of(private_key));
  return Ed25519Signer(bytes_of(private_key));
}

// --- Files -------------------------------------------------------------------------------------

struct KeyFiles {
  std::string issuer_json;
  std::string jwks_json;
};

KeyFiles make_key_files(Algorithm algorithm, std::string_view issuer, std::string_view audience) {
  std::string private_entries;
  std::string public_entries;
  const char* separator = "";
  for (const TokenType type : kTypes) {
    const std::string_view typ = text(type);
    const std::string kid =
        fmt::format("{}-{}", typ.substr(0, typ.find('+')), base64url_encode(random_bytes(6)));
    const std::string key = make_private_key(algorithm);
    private_entries += fmt::format(R"({}    {{"typ":"{}","kid":"{}","key":"{}"}})", separator, typ,
                                   kid, base64url_encode(key));
    public_entries += fmt::format(
        R"({}  {{"kid":"{}","typ":"{}","alg":"{}","iss":"{}","aud":"{}",{}}})", separator, kid, typ,
        text(algorithm), issuer, audience, public_members(algorithm, key));
    separator = ",\n";
  }
  return {
      fmt::format("{{\"issuer\":\"{}\",\"audience\":\"{}\",\"alg\":\"{}\",\n  \"keys\":[\n{}]}}\n",
                  issuer, audience, text(algorithm), private_entries),
      fmt::format("{{\"keys\":[\n{}]}}\n", public_entries)};
}

Result<void> prepare(const std::filesystem::path& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Fault{fmt::format("cannot make {}: {}", directory.string(), error.message())};
  // All three are looked for first, so that a refusal leaves no half of a set behind.
  for (const char* name : {"issuer.json", "jwks.json", "voter.secret"})
    if (std::filesystem::exists(std::filesystem::symlink_status(directory / name, error)))
      return Fault{
          fmt::format("{} is there already and is never overwritten; choose another "
                      "directory, or move it away",
                      (directory / name).string())};
  return {};
}

// One entry of issuer.json.
struct PrivateEntry {
  TokenType type;
  std::string header;
  Signer signer;
};

std::optional<PrivateEntry> read_entry(simdjson::dom::element element, Algorithm algorithm) {
  enum Member : std::size_t { kTyp, kKid, kKey, kMembers };
  using Members = StrictObject<kMembers>;
  Members members;
  if (members.read(element, {"typ", "kid", "key"}) != Members::Shape::kGood) return {};
  const auto type = token_type_of(members.text(kTyp).value_or(""));
  const auto kid = members.text(kKid);
  const auto key = base64url_decode(members.text(kKey).value_or(""));
  if (!type || !kid || !is_plain_name(*kid, limits::kKeyIdBytes) || !key) return {};
  auto signer = signer_of(algorithm, *key);
  if (!signer) return {};
  const std::string header =
      fmt::format(R"({{"alg":"{}","typ":"{}","kid":"{}"}})", text(algorithm), text(*type), *kid);
  return PrivateEntry{*type, base64url_encode(header) + ".", std::move(*signer)};
}

}  // namespace

Ed25519Signer::Ed25519Signer(std::span<const std::uint8_t> seed)
    : key_(crypto_sign_SECRETKEYBYTES) {
  Bytes32 point;
  crypto_sign_seed_keypair(point.data(), key_.writable().data(), seed.data());
}

std::string Ed25519Signer::sign(std::string_view message) {
  std::string signature(crypto_sign_BYTES, '\0');
  const auto bytes = bytes_of(message);
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr, bytes.data(),
                       bytes.size(), key_.view().data());
  return signature;
}

Result<void> Issuer::generate(const std::filesystem::path& directory, Algorithm algorithm,
                              std::string_view issuer, std::string_view audience) {
  init_sodium();
  for (const std::string_view name : {issuer, audience})
    if (!is_plain_name(name, limits::kIssuerBytes))
      return Fault{
          fmt::format("issuer and audience are 1 to {} visible ASCII characters each, "
                      "without quote and backslash",
                      limits::kIssuerBytes)};
  if (auto done = prepare(directory); !done) return done.error();
  const KeyFiles files = make_key_files(algorithm, issuer, audience);
  const Readers key_set_readers =
      algorithm == Algorithm::kHs256 ? Readers::kOwnerOnly : Readers::kAnybody;
  if (auto done = write_key_file(directory / "issuer.json", files.issuer_json, Readers::kOwnerOnly);
      !done)
    return done.error();
  if (auto done = write_key_file(directory / "jwks.json", files.jwks_json, key_set_readers); !done)
    return done.error();
  return write_key_file(directory / "voter.secret", random_bytes(limits::kVoterSecretBytes),
                        Readers::kOwnerOnly);
}

Result<Issuer> Issuer::load(const std::filesystem::path& issuer_json) {
  init_sodium();
  const auto content = read_secret_file(issuer_json);
  if (!content) return content.error();
  const Fault damaged{fmt::format("{} is not as keygen wrote it; make a new one with keygen",
                                  issuer_json.string())};
  auto parser = bounded_parser(limits::kKeyFileBytes);
  simdjson::dom::element root;
  if (parse_copy(parser, text_of(content->view()), root) != simdjson::SUCCESS) return damaged;

  enum Member : std::size_t { kIssuer, kAudience, kAlg, kKeys, kMembers };
  using Members = StrictObject<kMembers>;
  Members members;
  if (members.read(root, {"issuer", "audience", "alg", "keys"}) != Members::Shape::kGood)
    return damaged;
  const std::string_view issuer = members.text(kIssuer).value_or("");
  const std::string_view audience = members.text(kAudience).value_or("");
  const auto algorithm = algorithm_of(members.text(kAlg).value_or(""));
  const auto list = members.list(kKeys);
  if (!is_plain_name(issuer, limits::kIssuerBytes) || !algorithm || !list ||
      !is_plain_name(audience, limits::kIssuerBytes) || list->size() != std::size(kTypes))
    return damaged;

  std::vector<Key> keys;
  for (const simdjson::dom::element element : *list) {
    auto entry = read_entry(element, *algorithm);
    if (!entry || entry->type != kTypes[keys.size()]) return damaged;
    keys.push_back({std::move(entry->header), std::move(entry->signer)});
  }
  return Issuer(*algorithm, {std::move(keys[0]), std::move(keys[1]), std::move(keys[2])}, issuer,
                audience);
}

Issuer::Issuer(Algorithm algorithm, Keys keys, std::string_view issuer, std::string_view audience)
    : algorithm_(algorithm),
      keys_(std::move(keys)),
      issuer_members_(fmt::format(R"({{"iss":"{}","aud":"{}")", issuer, audience)) {}

std::string Issuer::mint_vote(const VoteClaims& claims, std::chrono::sys_seconds now,
                              std::chrono::seconds lifetime) {
  begin_payload(now, lifetime);
  auto out = std::back_inserter(payload_);
  fmt::format_to(out, R"(,"poll":"{}","sub":")", claims.poll.view());
  base64url_append(payload_, text_of(claims.sub));
  fmt::format_to(out, R"(","territory":"{}")", claims.territory.view());
  if (!claims.addrs.empty()) {
    const char* before = R"(,"addr":[")";
    for (const model::AddressCode& addr : claims.addrs) {
      payload_.append(before).append(addr.view());
      before = R"(",")";
    }
    payload_ += "\"]";
  }
  fmt::format_to(out, R"(,"lvl":{}}})", claims.level);
  return sign_payload(keys_.vote);
}

std::string Issuer::mint_batch(const Bytes32& body_sha256, std::uint32_t lines,
                               std::chrono::sys_seconds now, std::chrono::seconds lifetime) {
  begin_payload(now, lifetime);
  payload_ += R"(,"bh":")";
  base64url_append(payload_, text_of(body_sha256));
  fmt::format_to(std::back_inserter(payload_), R"(","n":{}}})", lines);
  return sign_payload(keys_.batch);
}

Result<std::string> Issuer::mint_staff(const StaffClaims& claims, std::chrono::sys_seconds now,
                                       std::chrono::seconds lifetime) {
  if (!is_plain_name(claims.sub, limits::kStaffSubjectBytes))
    return Fault{
        fmt::format("the subject is 1 to {} visible ASCII characters without quote and "
                    "backslash",
                    limits::kStaffSubjectBytes)};
  std::vector<std::string_view> roles;
  for (const NamedRole& named : kRoles)
    if (claims.roles.has(named.role)) roles.push_back(named.name);
  if (roles.empty()) return Fault{"a staff token needs at least one role"};
  std::vector<std::string_view> territories;
  for (const auto& code : claims.territories.ids()) territories.push_back(code.view());

  begin_payload(now, lifetime);
  auto out = std::back_inserter(payload_);
  fmt::format_to(out, R"(,"sub":"{}","roles":["{}"])", claims.sub, fmt::join(roles, R"(",")"));
  if (claims.territories.is_set())
    fmt::format_to(out, R"(,"territories":["{}"])", fmt::join(territories, R"(",")"));
  payload_ += '}';
  return sign_payload(keys_.staff);
}

void Issuer::begin_payload(std::chrono::sys_seconds now, std::chrono::seconds lifetime) {
  payload_ = issuer_members_;
  const std::int64_t iat = now.time_since_epoch().count();
  fmt::format_to(std::back_inserter(payload_), R"(,"iat":{},"exp":{})", iat,
                 iat + lifetime.count());
}

std::string Issuer::sign_payload(Key& key) {
  std::string token;
  token.reserve(limits::kTokenBytes);
  token = key.header;
  base64url_append(token, payload_);
  const std::string signature =
      std::visit([&](auto& signer) { return signer.sign(token); }, key.signer);
  token += '.';
  base64url_append(token, signature);
  return token;
}

}  // namespace veche::auth
