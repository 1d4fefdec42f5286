#include "ingest/auth/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "tests/ingest/auth_test_keys.h"

namespace veche::auth {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;
using testing::key_set;
using testing::kNow;
using testing::seal;
using testing::signed_text;
using testing::TestKey;

constexpr std::string_view kSub = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";  // 0, 1, .. 31

constexpr Algorithm kAll[] = {Algorithm::kHs256, Algorithm::kRs256, Algorithm::kPs256,
                              Algorithm::kEdDsa, Algorithm::kEd25519};

std::shared_ptr<const KeySet> keys_of(const std::vector<std::string>& entries) {
  auto set = KeySet::parse(key_set(entries));
  if (!set) throw std::runtime_error(set.error().message);
  return std::make_shared<const KeySet>(std::move(*set));
}

// The keys "vote", "batch" and "staff" of one algorithm.
Verifier verifier_of(Algorithm algorithm) {
  const TestKey& key = TestKey::of(algorithm);
  return Verifier(keys_of({key.entry("vote", "vote+jwt"),
                           key.entry("batch", "batch+jwt", R"(,"polls":["smolino"])"),
                           key.entry("staff", "staff+jwt")}));
}

std::string header_of(std::string_view alg, std::string_view kid = "vote") {
  return R"({"alg":")" + std::string(alg) + R"(","typ":")" + std::string(kid) + R"(+jwt","kid":")" +
         std::string(kid) + "\"}";
}
std::string header_of(Algorithm algorithm, std::string_view kid = "vote") {
  return header_of(text(algorithm), kid);
}

// A payload from named members; set("lvl", "7") replaces, set("lvl", "") takes out.
class Payload {
 public:
  static Payload vote() {
    return Payload({{"iss", "\"https://id.example\""},
                    {"aud", "\"veche\""},
                    {"iat", "1800000000"},
                    {"exp", "1800000300"},
                    {"poll", "\"smolino\""},
                    {"sub", "\"" + std::string(kSub) + "\""},
                    {"territory", "\"75701310\""},
                    {"lvl", "3"}});
  }
  static Payload batch() {
    return vote().without_vote().set("bh", "\"" + std::string(kSub) + "\"").set("n", "1000");
  }
  static Payload staff() {
    return vote().without_vote().set("sub", "\"anna\"").set("roles", R"(["moderator"])");
  }

  Payload set(std::string_view name, std::string value) const {
    Payload changed = *this;
    std::erase_if(changed.members_, [&](const auto& member) { return member.first == name; });
    if (!value.empty()) changed.members_.emplace_back(name, std::move(value));
    return changed;
  }
  Payload at(std::int64_t iat, std::int64_t exp) const {
    return set("iat", std::to_string(iat)).set("exp", std::to_string(exp));
  }

  std::string json() const {
    std::string json;
    for (const auto& [name, value] : members_)
      json += (json.empty() ? "{\"" : ",\"") + name + "\":" + value;
    return json + "}";
  }

 private:
  explicit Payload(std::vector<std::pair<std::string, std::string>> members)
      : members_(std::move(members)) {}
  Payload without_vote() const {
    return set("poll", "").set("sub", "").set("territory", "").set("lvl", "");
  }
  std::vector<std::pair<std::string, std::string>> members_;
};

// "accepted", or the reason of the refusal.
template <class Claims>
std::string said(const Verdict<Claims>& verdict) {
  return verdict ? "accepted" : verdict.error().reason;
}

// HS256 signs cheaply, and from the header on nothing depends on the algorithm.
class HmacTokens : public ::testing::Test {
 protected:
  std::string vote(std::string_view header, std::string_view payload) {
    return said(verifier_.verify_vote(key_.token(header, payload), kNow));
  }
  std::string vote(const Payload& payload) { return vote(header_, payload.json()); }
  std::string batch(const Payload& payload) {
    return said(verifier_.verify_batch(
        key_.token(header_of(Algorithm::kHs256, "batch"), payload.json()), kNow));
  }
  StaffVerdict staff_verdict(const Payload& payload) {
    return verifier_.verify_staff(key_.token(header_of(Algorithm::kHs256, "staff"), payload.json()),
                                  kNow);
  }
  std::string staff(const Payload& payload) { return said(staff_verdict(payload)); }

  const TestKey& key_ = TestKey::of(Algorithm::kHs256);
  const std::string header_ = header_of(Algorithm::kHs256);
  Verifier verifier_ = verifier_of(Algorithm::kHs256);
};

class EveryAlgorithm : public ::testing::TestWithParam<Algorithm> {
 protected:
  const TestKey& key_ = TestKey::of(GetParam());
  const std::string header_ = header_of(GetParam());
  const std::string text_ = signed_text(header_, Payload::vote().json());
  const std::string signature_ = key_.sign(text_);
  Verifier verifier_ = verifier_of(GetParam());

  std::string vote(std::string_view token) { return said(verifier_.verify_vote(token, kNow)); }
};

INSTANTIATE_TEST_SUITE_P(Tokens, EveryAlgorithm, ::testing::ValuesIn(kAll),
                         [](const auto& about) { return std::string(text(about.param)); });

// --- Accepted ----------------------------------------------------------------------------------

TEST_P(EveryAlgorithm, GivesTheClaimsOfAVote) {
  const auto payload = Payload::vote().set("addr", R"(["fias:1","fias:2"])");
  const std::string token = key_.token(header_, payload.json());
  for (int again = 0; again < 2; ++again) {  // the second time the header is known
    const auto claims = verifier_.verify_vote(token, kNow);
    ASSERT_TRUE(claims) << claims.error().reason;
    EXPECT_EQ(claims->poll.view(), "smolino");
    EXPECT_EQ(base64url_encode(text_of(claims->sub)), kSub);
    EXPECT_EQ(claims->territory.view(), "75701310");
    ASSERT_EQ(claims->addrs.size(), 2u);
    EXPECT_EQ(claims->addrs[1].view(), "fias:2");
    EXPECT_EQ(claims->level, 3);
  }
}

TEST_P(EveryAlgorithm, GivesTheClaimsOfABatch) {
  const auto token = key_.token(header_of(GetParam(), "batch"), Payload::batch().json());
  const auto claims = verifier_.verify_batch(token, kNow);
  ASSERT_TRUE(claims) << claims.error().reason;
  EXPECT_EQ(base64url_encode(text_of(claims->body_sha256)), kSub);
  EXPECT_EQ(claims->lines, 1'000u);
  ASSERT_EQ(claims->limits->polls.ids().size(), 1u);
  EXPECT_EQ(claims->limits->polls.ids()[0].view(), "smolino");
  EXPECT_FALSE(claims->limits->territories.is_set());
}

TEST_P(EveryAlgorithm, GivesTheClaimsOfStaff) {
  const auto payload = Payload::staff()
                           .set("roles", R"(["auditor","operator"])")
                           .set("territories", R"(["75701000","75000000"])");
  const auto token = key_.token(header_of(GetParam(), "staff"), payload.json());
  const auto claims = verifier_.verify_staff(token, kNow);
  ASSERT_TRUE(claims) << claims.error().reason;
  EXPECT_EQ(claims->sub, "anna");
  EXPECT_EQ(claims->roles, RoleSet({Role::kOperator, Role::kAuditor}));
  ASSERT_EQ(claims->territories.ids().size(), 2u);
  EXPECT_EQ(claims->territories.ids()[1].view(), "75000000");
}

TEST(Batch, LimitsOutliveTheirKeySet) {
  std::optional<Verifier> verifier(verifier_of(Algorithm::kHs256));
  const auto claims = verifier->verify_batch(
      TestKey::of(Algorithm::kHs256)
          .token(header_of(Algorithm::kHs256, "batch"), Payload::batch().json()),
      kNow);
  verifier.reset();
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->limits->polls.ids().at(0).view(), "smolino");
}

// --- Signatures --------------------------------------------------------------------------------

TEST_P(EveryAlgorithm, RefusesAnyFlippedBit) {
  const std::string token = seal(text_, signature_);
  ASSERT_EQ(vote(token), "accepted");
  for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string flipped = token;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const auto verdict = verifier_.verify_vote(flipped, kNow);
    ASSERT_FALSE(verdict) << "bit " << bit;
    ASSERT_EQ(verdict.error().error, TokenError::kInvalid) << "bit " << bit;
  }
  EXPECT_EQ(vote(token), "accepted");
}

TEST_P(EveryAlgorithm, RefusesASignatureOfAnotherLength) {
  EXPECT_EQ(vote(seal(text_, signature_.substr(1))), "the signature does not match");
  EXPECT_EQ(vote(seal(text_, signature_.substr(0, signature_.size() - 1))),
            "the signature does not match");
  EXPECT_EQ(vote(seal(text_, signature_ + '\0')), "the signature does not match");
  EXPECT_EQ(vote(seal(text_, '\0' + signature_)), "the signature does not match");
  EXPECT_EQ(vote(seal(text_, "")), "the signature does not match");
}

TEST_P(EveryAlgorithm, RefusesTheSignatureOfAnotherToken) {
  const auto other = signed_text(header_, Payload::vote().set("lvl", "1").json());
  EXPECT_EQ(vote(seal(other, signature_)), "the signature does not match");
}

TEST_P(EveryAlgorithm, RefusesAnotherKeyOfTheSameKind) {
  if (GetParam() == Algorithm::kHs256) {
    EXPECT_EQ(vote(seal(text_, testing::hmac_with(std::string(32, '\0'), text_))),
              "the signature does not match");
    return;
  }
  const bool rsa = GetParam() == Algorithm::kRs256 || GetParam() == Algorithm::kPs256;
  const testing::Pkey other(
      rsa ? EVP_RSA_gen(2048) : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  const EVP_MD* digest = rsa ? EVP_sha256() : nullptr;
  const bool pss = GetParam() == Algorithm::kPs256;
  EXPECT_EQ(vote(seal(text_, testing::sign_with(other, text_, {digest, pss, 32}))),
            "the signature does not match");
}

TEST(RsaTokens, AreRefusedWithAnyOtherPaddingSaltOrDigest) {
  struct {
    const char* what;
    Algorithm key;
    testing::SigningChoice choice;
    const char* expected;
  } const rows[] = {
      {"RS256", Algorithm::kRs256, {}, "accepted"},
      {"RS256 made with PSS", Algorithm::kRs256, {EVP_sha256(), true, 32}, nullptr},
      {"RS256 made with SHA-1", Algorithm::kRs256, {EVP_sha1()}, nullptr},
      {"RS256 made with SHA-512", Algorithm::kRs256, {EVP_sha512()}, nullptr},
      {"PS256", Algorithm::kPs256, {EVP_sha256(), true, 32}, "accepted"},
      {"PS256 made with PKCS #1", Algorithm::kPs256, {}, nullptr},
      {"PS256 without salt", Algorithm::kPs256, {EVP_sha256(), true, 0}, nullptr},
      {"PS256 with 20 bytes of salt", Algorithm::kPs256, {EVP_sha256(), true, 20}, nullptr},
      {"PS256 with the longest salt", Algorithm::kPs256, {EVP_sha256(), true, 222}, nullptr},
      {"PS256 made with SHA-512", Algorithm::kPs256, {EVP_sha512(), true, 64}, nullptr},
  };
  for (const auto& row : rows) {
    Verifier verifier = verifier_of(row.key);
    const std::string text = signed_text(header_of(row.key), Payload::vote().json());
    const auto signature = testing::sign_with(TestKey::of(row.key).pkey(), text, row.choice);
    EXPECT_EQ(said(verifier.verify_vote(seal(text, signature), kNow)),
              row.expected ? row.expected : "the signature does not match")
        << row.what;
  }
}

bool openssl_takes(const testing::Pkey& key, std::string_view text, std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get());
  return EVP_DigestVerify(context.get(), testing::raw(signature), signature.size(),
                          testing::raw(text), text.size()) == 1;
}

// R = the neutral point and S = H(R, A, M) a satisfy S B = R + H(R, A, M) A: made by the holder of
// the key, good to OpenSSL, refused by libsodium because R has a low order.
TEST(Ed25519Tokens, AreRefusedWithALowOrderPointInTheSignature) {
  const TestKey& key = TestKey::of(Algorithm::kEdDsa);
  const std::string text = signed_text(header_of(Algorithm::kEdDsa), Payload::vote().json());
  unsigned char seed[32];
  unsigned char expanded[64];
  unsigned char hash[64];
  std::size_t size = sizeof seed;
  EVP_PKEY_get_raw_private_key(key.pkey().get(), seed, &size);
  crypto_hash_sha512(expanded, seed, sizeof seed);
  expanded[0] &= 248;
  expanded[31] = static_cast<unsigned char>((expanded[31] & 127) | 64);

  std::string signature(64, '\0');
  signature[0] = 1;
  const std::string hashed = signature.substr(0, 32) + testing::ed25519_point(key.pkey()) + text;
  crypto_hash_sha512(hash, testing::raw(hashed), hashed.size());
  unsigned char challenge[32];
  unsigned char wide[64] = {};
  unsigned char scalar[32];
  crypto_core_ed25519_scalar_reduce(challenge, hash);
  std::copy_n(expanded, 32, wide);
  crypto_core_ed25519_scalar_reduce(scalar, wide);
  crypto_core_ed25519_scalar_mul(reinterpret_cast<unsigned char*>(signature.data()) + 32, challenge,
                                 scalar);

  ASSERT_TRUE(openssl_takes(key.pkey(), text, signature));
  Verifier verifier = verifier_of(Algorithm::kEdDsa);
  EXPECT_EQ(said(verifier.verify_vote(seal(text, signature), kNow)),
            "the signature does not match");
}

// S + L signs the same equation as S; taken, it would be a second signature for everybody.
TEST(Ed25519Tokens, AreRefusedWithAScalarThatIsNotCanonical) {
  constexpr unsigned char kOrder[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                        0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                        0,    0,    0,    0,    0,    0,    0,    0,
                                        0,    0,    0,    0,    0,    0,    0,    0x10};
  const TestKey& key = TestKey::of(Algorithm::kEdDsa);
  const std::string text = signed_text(header_of(Algorithm::kEdDsa), Payload::vote().json());
  std::string signature = key.sign(text);
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += static_cast<unsigned char>(signature[32 + i]) + kOrder[i];
    signature[32 + i] = static_cast<char>(carry);
    carry >>= 8;
  }
  Verifier verifier = verifier_of(Algorithm::kEdDsa);
  EXPECT_EQ(said(verifier.verify_vote(seal(text, signature), kNow)),
            "the signature does not match");
}

// RFC 7515, appendix A.2: the keys of the verifier and the signature are not ours.
TEST(RsaSignature, OfTheExampleOfTheRfcIsTaken) {
  const auto key = rsa_public_key(
      *base64url_decode(
          "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
          "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX"
          "ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5"
          "IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"),
      *base64url_decode("AQAB"));
  ASSERT_TRUE(key) << key.error().message;
  const auto signature = *base64url_decode(
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
      "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
      "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
      "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw");
  const std::string text =
      "eyJhbGciOiJSUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ";
  EXPECT_TRUE(RsaVerifier(*key, RsaPadding::kPkcs1).verify(text, signature));
  EXPECT_FALSE(RsaVerifier(*key, RsaPadding::kPss).verify(text, signature));
  EXPECT_FALSE(RsaVerifier(*key, RsaPadding::kPkcs1).verify(text + "x", signature));
}

// --- The token as a text -----------------------------------------------------------------------

TEST_F(HmacTokens, AreRefusedInAnyOtherShape) {
  const std::string token = key_.token(header_, Payload::vote().json());
  const std::size_t dot = token.find('.');
  const std::string signature = token.substr(token.rfind('.') + 1);
  const std::string body = token.substr(0, token.rfind('.') + 1);
  ASSERT_EQ(signature.size(), 43u);
  std::string not_canonical = token;
  ++not_canonical
        .back();  // 43 characters hold 258 bits: the next letter differs in spare bits only
  const char* const kDots = "not three parts with two dots between them";
  const char* const kText = "not canonical base64url";
  struct {
    const char* what;
    std::string token;
    const char* expected;
  } const rows[] = {
      {"no dot", "abcd", kDots},
      {"one dot", token.substr(0, token.rfind('.')), kDots},
      {"three dots", token + ".", kDots},
      {"three dots, one inside", token.substr(0, dot) + "." + token.substr(dot), kDots},
      {"encrypted, five parts", token + ".AAAA.AAAA", kDots},
      {"dots alone", "..", "the header is not JSON"},
      {"padding", token + "=", kText},
      {"padded header", token.substr(0, dot) + "==" + token.substr(dot), kText},
      {"plus", body + "+" + signature.substr(1), kText},
      {"slash", body + "/" + signature.substr(1), kText},
      {"space in front", " " + token, kText},
      {"space behind", token + " ", kText},
      {"line feed inside", body + "\n" + signature, kText},
      {"carriage return in the payload", token.substr(0, dot + 1) + "\r" + token.substr(dot + 1),
       kText},
      {"last character not canonical", not_canonical, kText},
      {"length 1 mod 4", body + signature.substr(0, 41), kText},
      {"a scheme in front", "Bearer " + token, kText},
      {"NUL behind", token + '\0', kText},
      {"JSON serialization", R"({"payload":"e30"})", kDots},
      {"one byte more than allowed", std::string(limits::kTokenBytes + 1, 'A'), "too long"},
  };
  for (const auto& row : rows) {
    const auto verdict = verifier_.verify_vote(row.token, kNow);
    EXPECT_EQ(said(verdict), row.expected) << row.what;
    EXPECT_EQ(verdict.error().error, TokenError::kInvalid) << row.what;
  }
}

TEST_F(HmacTokens, MayBeAsLongAsTheLimitAndNoLonger) {
  const std::size_t room = limits::kTokenBytes - key_.token(header_, Payload::vote().json()).size();
  const auto padded = [&](std::size_t spaces) {
    return key_.token(header_, Payload::vote().json() + std::string(spaces, ' '));
  };
  std::size_t spaces = room * 3 / 4;
  while (padded(spaces).size() < limits::kTokenBytes) ++spaces;
  ASSERT_EQ(padded(spaces).size(), limits::kTokenBytes);
  EXPECT_EQ(said(verifier_.verify_vote(padded(spaces), kNow)), "accepted");
  EXPECT_EQ(said(verifier_.verify_vote(padded(spaces + 1), kNow)), "too long");
}

TEST_F(HmacTokens, AreMissedOnlyWhenThereIsNone) {
  const auto verdict = verifier_.verify_vote("", kNow);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().error, TokenError::kMissing);
}

// --- Header ------------------------------------------------------------------------------------

TEST_F(HmacTokens, AreRefusedWithAnyOtherHeader) {
  const char* const kExactly = "the header is not exactly alg, typ and kid";
  const char* const kKid = "kid is missing or names no key";
  const char* const kAlg = "alg is not the one of this key";
  const char* const kTyp = "typ is not the one of this key";
  const std::string good = R"("alg":"HS256","typ":"vote+jwt","kid":"vote")";
  const auto with_kid = [](const std::string& kid) {
    return R"({"alg":"HS256","typ":"vote+jwt","kid":)" + kid + "}";
  };
  struct {
    const char* what;
    std::string header;
    const char* expected;
  } const rows[] = {
      {"the good one", "{" + good + "}", "accepted"},
      {"in another order", R"({"kid":"vote","typ":"vote+jwt","alg":"HS256"})", "accepted"},
      {"no kid", R"({"alg":"HS256","typ":"vote+jwt"})", kKid},
      {"kid null", with_kid("null"), kKid},
      {"kid array", with_kid(R"(["vote"])"), kKid},
      {"kid object", with_kid(R"({"vote":1})"), kKid},
      {"kid number", with_kid("0"), kKid},
      {"kid empty", with_kid(R"("")"), kKid},
      {"kid unknown", with_kid(R"("other")"), kKid},
      {"kid prefix", with_kid(R"("vot")"), kKid},
      {"kid in capitals", with_kid(R"("VOTE")"), kKid},
      {"kid path", with_kid(R"("../../../../dev/null")"), kKid},
      {"kid URL", with_kid(R"("http://127.0.0.1/key")"), kKid},
      {"kid query", with_kid(R"("' or 1=1 --")"), kKid},
      {"kid NUL", with_kid(R"("vote\u0000")"), kKid},
      {"kid raw NUL", with_kid(std::string("\"vote\0\"", 7)), "the header is not JSON"},
      {"kid 10 KB", with_kid("\"" + std::string(10'240, 'v') + "\""), "too long"},
      {"kid 1 KB", with_kid("\"" + std::string(1'024, 'v') + "\""), kKid},
      {"no alg", R"({"typ":"vote+jwt","kid":"vote"})", kAlg},
      {"no typ", R"({"alg":"HS256","kid":"vote"})", kTyp},
      {"typ JWT", R"({"alg":"HS256","typ":"JWT","kid":"vote"})", kTyp},
      {"typ in capitals", R"({"alg":"HS256","typ":"VOTE+JWT","kid":"vote"})", kTyp},
      {"typ of another key", R"({"alg":"HS256","typ":"staff+jwt","kid":"vote"})", kTyp},
      {"typ in full", R"({"alg":"HS256","typ":"application/vote+jwt","kid":"vote"})", kTyp},
      {"alg list", R"({"alg":["HS256"],"typ":"vote+jwt","kid":"vote"})", kAlg},
      {"alg twice", R"({"alg":"none",)" + good + "}", kExactly},
      {"alg twice, escaped first", R"({"\u0061lg":"none",)" + good + "}", kExactly},
      {"alg twice, escaped last", "{" + good + R"(,"\u0061lg":"HS256"})", kExactly},
      {"kid twice, the same", "{" + good + R"(,"kid":"vote"})", kExactly},
      {"typ twice, escaped", "{" + good + R"(,"t\u0079p":"vote+jwt"})", kExactly},
      {"jwk", "{" + good + R"(,"jwk":{"kty":"oct","k":"AAAA"}})", kExactly},
      {"jku", "{" + good + R"(,"jku":"https://evil.example/jwks"})", kExactly},
      {"x5c", "{" + good + R"(,"x5c":["MIIB"]})", kExactly},
      {"x5u", "{" + good + R"(,"x5u":"https://evil.example"})", kExactly},
      {"crit", "{" + good + R"(,"crit":["b64"]})", kExactly},
      {"b64", "{" + good + R"(,"b64":false})", kExactly},
      {"zip", "{" + good + R"(,"zip":"DEF"})", kExactly},
      {"cty", "{" + good + R"(,"cty":"JWT"})", kExactly},
      {"empty name", "{" + good + R"(,"":1})", kExactly},
      {"name with NUL", "{" + good + R"(,"alg\u0000":"HS256"})", kExactly},
      {"no member", "{}", kKid},
      {"array", "[" + header_ + "]", kExactly},
      {"text", R"("alg")", kExactly},
      {"nothing", "", "the header is not JSON"},
      {"two objects", header_ + header_, "the header is not JSON"},
      {"trailing comma", "{" + good + ",}", "the header is not JSON"},
      {"comment", "{/**/" + good + "}", "the header is not JSON"},
      {"byte order mark", "\xef\xbb\xbf" + header_, "the header is not JSON"},
      {"bad UTF-8", with_kid("\"\xc0\xaf\""), "the header is not JSON"},
      {"deep", std::string(500, '[') + std::string(500, ']'), "the header is not JSON"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(vote(row.header, Payload::vote().json()), row.expected) << row.what;
}

// A header that was taken once must not open the door to another one that only looks like it.
TEST_F(HmacTokens, AreJudgedAnewAfterAGoodHeaderWasRemembered) {
  ASSERT_EQ(vote(Payload::vote()), "accepted");
  EXPECT_EQ(vote(R"({"alg":"none","typ":"vote+jwt","kid":"vote"})", Payload::vote().json()),
            "alg is not the one of this key");
  const std::string token =
      seal(signed_text(header_, Payload::vote().json()), std::string(32, 'x'));
  EXPECT_EQ(said(verifier_.verify_vote(token, kNow)), "the signature does not match");
  EXPECT_EQ(said(verifier_.verify_staff(key_.token(header_, Payload::staff().json()), kNow)),
            "typ is not that of tokens for this request");
}

TEST_P(EveryAlgorithm, RefusesAlgNoneInAnyCase) {
  for (const char* alg : {"none", "None", "NONE", "nOnE", "none ", ""}) {
    const std::string text = signed_text(header_of(alg), Payload::vote().json());
    EXPECT_EQ(vote(seal(text, "")), "alg is not the one of this key") << alg;
    EXPECT_EQ(vote(seal(text, key_.sign(text))), "alg is not the one of this key") << alg;
  }
}

TEST_P(EveryAlgorithm, RefusesTheRightKeyUnderAnotherAlg) {
  for (const char* alg : {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS512",
                          "ES256", "EdDSA", "Ed25519", "Ed448", "hs256", "rs256", "EDDSA"}) {
    if (alg == text(GetParam())) continue;
    EXPECT_EQ(vote(key_.token(header_of(alg), Payload::vote().json())),
              "alg is not the one of this key")
        << alg;
  }
}

std::string spki(const testing::Pkey& key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  std::string bytes(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

std::string pem_of(std::string_view der) {
  std::string base64(der.size() * 2, '\0');
  base64.resize(
      static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()),
                                               testing::raw(der), static_cast<int>(der.size()))));
  std::string pem = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t i = 0; i < base64.size(); i += 64) pem += base64.substr(i, 64) + "\n";
  return pem + "-----END PUBLIC KEY-----\n";
}

class EveryPublicKey : public EveryAlgorithm {};
INSTANTIATE_TEST_SUITE_P(Tokens, EveryPublicKey,
                         ::testing::Values(Algorithm::kRs256, Algorithm::kPs256, Algorithm::kEdDsa,
                                           Algorithm::kEd25519),
                         [](const auto& about) { return std::string(text(about.param)); });

TEST_P(EveryPublicKey, IsNoSecretForHs256) {
  const bool rsa = GetParam() == Algorithm::kRs256 || GetParam() == Algorithm::kPs256;
  const std::string raw = rsa ? testing::public_number(key_.pkey(), OSSL_PKEY_PARAM_RSA_N)
                              : testing::ed25519_point(key_.pkey());
  const std::string der = spki(key_.pkey());
  for (const std::string& secret : {raw, base64url_encode(raw), der, pem_of(der)}) {
    const std::string text = signed_text(header_of("HS256"), Payload::vote().json());
    EXPECT_EQ(vote(seal(text, testing::hmac_with(secret, text))), "alg is not the one of this key");
    EXPECT_EQ(vote(seal(text_, testing::hmac_with(secret, text_))), "the signature does not match");
  }
}

// --- One key, one type of token ----------------------------------------------------------------

TEST_F(HmacTokens, AreGoodForTheRequestOfTheirTypeAlone) {
  struct {
    const char* kid;
    Payload payload;
  } const rows[] = {
      {"vote", Payload::vote()}, {"batch", Payload::batch()}, {"staff", Payload::staff()}};
  const char* const kOther = "typ is not that of tokens for this request";
  for (const auto& [kid, payload] : rows) {
    const auto token = key_.token(header_of(Algorithm::kHs256, kid), payload.json());
    const std::string_view own = kid;
    EXPECT_EQ(said(verifier_.verify_vote(token, kNow)), own == "vote" ? "accepted" : kOther) << kid;
    EXPECT_EQ(said(verifier_.verify_batch(token, kNow)), own == "batch" ? "accepted" : kOther);
    EXPECT_EQ(said(verifier_.verify_staff(token, kNow)), own == "staff" ? "accepted" : kOther);
  }
}

TEST_F(HmacTokens, OfARevokedKeyAreRefused) {
  const std::string token = key_.token(header_, Payload::vote().json());
  ASSERT_EQ(said(verifier_.verify_vote(token, kNow)), "accepted");
  verifier_ = Verifier(keys_of({key_.entry("vote-2", "vote+jwt")}));
  EXPECT_EQ(said(verifier_.verify_vote(token, kNow)), "kid is missing or names no key");
}

TEST_F(HmacTokens, WithUnknownKidsDoNotGrowTheMemory) {
  const auto flood = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      const auto token =
          signed_text(header_of("HS256", "stranger-" + std::to_string(i)), Payload::vote().json());
      ASSERT_FALSE(verifier_.verify_vote(seal(token, std::string(32, 'x')), kNow));
    }
  };
  flood(0, 1'000);
  const std::size_t before = ::mallinfo2().uordblks;
  flood(1'000, 51'000);
  EXPECT_LT(::mallinfo2().uordblks, before + 64 * 1'024);
}

// --- Claims ------------------------------------------------------------------------------------

TEST_F(HmacTokens, AreRefusedWithAClaimThatIsNotRight) {
  const char* const kIss = "iss is not the issuer of this key";
  const char* const kAud = "aud is not this service";
  const char* const kUnknown = "a claim that this type does not have";
  const char* const kTwice = "a claim twice";
  const char* const kPoll = "poll is missing or not a poll id";
  const char* const kSubject = "sub is missing or not 32 bytes in base64url";
  const char* const kPlace = "territory is missing or not a territory code";
  const char* const kLevel = "lvl is missing or not a level of assurance";
  const char* const kAddr = "addr is not a list of address codes, empty or too long";
  const auto addresses = [](std::size_t count) {
    std::string list = "[";
    for (std::size_t i = 0; i < count; ++i) list += (i ? ",\"a" : "\"a") + std::to_string(i) + "\"";
    return list + "]";
  };
  struct {
    const char* name;
    std::string value;  // empty: the claim is absent
    const char* expected;
  } const rows[] = {
      {"iss", "", kIss},
      {"iss", R"("https://other.example")", kIss},
      {"iss", R"("https://id.example/")", kIss},
      {"iss", R"("https://id.example\u0000")", kIss},
      {"iss", R"(["https://id.example"])", kIss},
      {"iss", R"("https:\/\/id.example")", "accepted"},
      {"aud", "", kAud},
      {"aud", R"("other")", kAud},
      {"aud", R"(["veche"])", kAud},
      {"aud", "null", kAud},
      {"poll", "", kPoll},
      {"poll", R"("")", kPoll},
      {"poll", R"("Smolino")", kPoll},
      {"poll", R"("smolino\u0000")", kPoll},
      {"poll", "7", kPoll},
      {"poll", "\"" + std::string(65, 'p') + "\"", kPoll},
      {"sub", "", kSubject},
      {"sub", R"("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh")", kSubject},
      {"sub", R"("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9")", kSubject},
      {"sub", R"("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")", kSubject},
      {"sub", R"("112-233-445 95")", kSubject},
      {"sub", "11223344595", kSubject},
      {"territory", "", kPlace},
      {"territory", "75701310", kPlace},
      {"territory", R"("75 701 310")", kPlace},
      {"territory", R"(["75701310"])", kPlace},
      {"lvl", "", kLevel},
      {"lvl", "0", kLevel},
      {"lvl", "4", kLevel},
      {"lvl", "-1", kLevel},
      {"lvl", "259", kLevel},
      {"lvl", "3.0", kLevel},
      {"lvl", R"("3")", kLevel},
      {"lvl", "true", kLevel},
      {"lvl", "1", "accepted"},
      {"addr", "[]", kAddr},
      {"addr", addresses(16), "accepted"},
      {"addr", addresses(17), kAddr},
      {"addr", R"("a1")", kAddr},
      {"addr", R"(["a1",2])", kAddr},
      {"addr", R"([["a1"]])", kAddr},
      {"addr", R"(["a 1"])", kAddr},
      {"addr", R"(["a1\u0000"])", kAddr},
      {"addr", "null", kAddr},
      {"name", R"("Anna")", kUnknown},
      {"jti", R"("1")", kUnknown},
      {"roles", R"(["operator"])", kUnknown},
      {"bh", R"("x")", kUnknown},
      {"", "1", kUnknown},
      {R"(lvl\u0000)", "3", kUnknown},
      {R"(\u006cvl)", "3", kTwice},
      {R"(p\u006fll)", R"("other")", kTwice},
  };
  for (const auto& row : rows)
    EXPECT_EQ(vote(Payload::vote().set(row.name, row.value)), row.expected)
        << row.name << " = " << row.value;
  const std::string json = Payload::vote().json();
  EXPECT_EQ(vote(header_, "{\"lvl\":3," + json.substr(1)), kTwice);
}

TEST_F(HmacTokens, AreRefusedWhenThePayloadIsNoObject) {
  const std::string json = Payload::vote().json();
  EXPECT_EQ(vote(header_, "[" + json + "]"), "the payload is not an object");
  EXPECT_EQ(vote(header_, "null"), "the payload is not an object");
  for (const std::string& text : {std::string(), json + json, json + ",", "\xef\xbb\xbf" + json,
                                  json + '\0', std::string("{\"lvl\":03}"), std::string("{'a':1}"),
                                  std::string(R"({"lvl":99999999999999999999999})")})
    EXPECT_EQ(vote(header_, text), "the payload is not JSON") << text;
}

TEST_F(HmacTokens, AreRefusedWithATimeThatIsNone) {
  const char* const kTime = "iat, exp or nbf is missing or not a time";
  for (const char* name : {"iat", "exp", "nbf"})
    for (const char* value :
         {"\"1800000300\"", "1e10", "1.8e9", "1800000300.0", "1.5", "-1", "-0.0",
          "9223372036854775808", "9223372036854775807", "-9223372036854775808",
          "18446744073709551615", "253402300800", "null", "true", "[1800000300]", "{}"})
      EXPECT_EQ(vote(Payload::vote().set(name, value)), kTime) << name << " = " << value;
  EXPECT_EQ(vote(Payload::vote().set("iat", "")), kTime);
  EXPECT_EQ(vote(Payload::vote().set("exp", "")), kTime);
  EXPECT_EQ(vote(Payload::vote().set("exp", "18446744073709551616")), "the payload is not JSON");
}

TEST_F(HmacTokens, HoldForTheirTimeAndTheSkewOfClocks) {
  const char* const kLifetime = "the time between iat and exp is not one allowed";
  const std::int64_t now = kNow.time_since_epoch().count();
  struct {
    const char* what;
    std::int64_t iat;
    std::int64_t exp;
    std::string nbf;
    const char* expected;
  } const rows[] = {
      {"longest life", now, now + 600, "", "accepted"},
      {"too long a life", now, now + 601, "", kLifetime},
      {"no life", now, now, "", kLifetime},
      {"life backwards", now, now - 1, "", kLifetime},
      {"life from the beginning", 0, now + 300, "", kLifetime},
      {"issued by a clock in front", now + 30, now + 330, "", "accepted"},
      {"issued in the future", now + 31, now + 331, "", "not valid yet"},
      {"expired within the skew", now - 300, now - 29, "", "accepted"},
      {"expired", now - 300, now - 30, "", "expired"},
      {"expired long ago", 1, 2, "", "expired"},
      {"valid from now", now, now + 300, std::to_string(now), "accepted"},
      {"valid soon, within the skew", now, now + 300, std::to_string(now + 30), "accepted"},
      {"valid later", now, now + 300, std::to_string(now + 31), "not valid yet"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(vote(Payload::vote().at(row.iat, row.exp).set("nbf", row.nbf)), row.expected)
        << row.what;
}

TEST_F(HmacTokens, AreCalledExpiredOnlyWhenAllElseIsGood) {
  const auto expired = Payload::vote().at(1'700'000'000, 1'700'000'300);
  const auto verdict = verifier_.verify_vote(key_.token(header_, expired.json()), kNow);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().error, TokenError::kExpired);
  EXPECT_EQ(vote(expired.set("lvl", "9")), "lvl is missing or not a level of assurance");
}

TEST_F(HmacTokens, OfABatchHaveTheirOwnClaims) {
  const char* const kHash = "bh is missing or not 32 bytes in base64url";
  const char* const kLines = "n is missing or not a number of lines that a batch may have";
  EXPECT_EQ(batch(Payload::batch()), "accepted");
  EXPECT_EQ(batch(Payload::batch().set("bh", "")), kHash);
  EXPECT_EQ(batch(Payload::batch().set("bh", R"("AAEC")")), kHash);
  for (const char* lines : {"", "0", "-1", "10001", "4294967297", "1.0", R"("1")", "null"})
    EXPECT_EQ(batch(Payload::batch().set("n", lines)), kLines) << lines;
  for (const char* lines : {"1", "10000"})
    EXPECT_EQ(batch(Payload::batch().set("n", lines)), "accepted") << lines;
  EXPECT_EQ(batch(Payload::batch().set("poll", R"("smolino")")),
            "a claim that this type does not have");
  EXPECT_EQ(batch(Payload::batch().at(1'800'000'000, 1'800'000'601)),
            "the time between iat and exp is not one allowed");
}

TEST_F(HmacTokens, OfStaffHaveTheirOwnClaims) {
  const char* const kSubject = "sub is missing, too long or not visible ASCII";
  const char* const kRoleNames = "roles is missing, empty or holds an unknown role";
  const char* const kPlaces = "territories is not a list of territory codes, or empty";
  struct {
    const char* name;
    std::string value;
    const char* expected;
  } const rows[] = {
      {"sub", "", kSubject},
      {"sub", R"("")", kSubject},
      {"sub", R"("a b")", kSubject},
      {"sub", R"("a\nb")", kSubject},
      {"sub", R"("a\u0000")", kSubject},
      {"sub", "\"Анна\"", kSubject},
      {"sub", "\"" + std::string(128, 's') + "\"", "accepted"},
      {"sub", "\"" + std::string(129, 's') + "\"", kSubject},
      {"roles", "", kRoleNames},
      {"roles", "[]", kRoleNames},
      {"roles", R"("operator")", kRoleNames},
      {"roles", R"(["Operator"])", kRoleNames},
      {"roles", R"(["operator","root"])", kRoleNames},
      {"roles", R"(["operator",1])", kRoleNames},
      {"roles", R"(["operator\u0000"])", kRoleNames},
      {"territories", R"("75701000")", kPlaces},
      {"territories", R"([75701000])", kPlaces},
      {"territories", R"(["75 701"])", kPlaces},
      {"territories", "null", kPlaces},
      {"territories", "[]", kPlaces},
      {"poll", R"("smolino")", "a claim that this type does not have"},
      {"lvl", "3", "a claim that this type does not have"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(staff(Payload::staff().set(row.name, row.value)), row.expected)
        << row.name << " = " << row.value;
}

TEST_F(HmacTokens, OfStaffHoldForAPeriod) {
  const std::int64_t now = kNow.time_since_epoch().count();
  const std::int64_t longest = seconds(limits::kStaffTokenLifetime).count();
  EXPECT_EQ(staff(Payload::staff().at(now - longest + 10, now + 10)), "accepted");
  EXPECT_EQ(staff(Payload::staff().at(now - longest, now + 1)),
            "the time between iat and exp is not one allowed");
  EXPECT_EQ(staff(Payload::staff().at(now - longest, now - 30)), "expired");
}

TEST_F(HmacTokens, OfStaffGiveEachRoleByItsNameAlone) {
  for (const NamedRole& named : kRoles) {
    const auto claims =
        staff_verdict(Payload::staff().set("roles", "[\"" + std::string(named.name) + "\"]"));
    ASSERT_TRUE(claims);
    for (const NamedRole& other : kRoles)
      EXPECT_EQ(claims->roles.has(other.role), other.role == named.role) << other.name;
  }
}

}  // namespace
}  // namespace veche::auth
