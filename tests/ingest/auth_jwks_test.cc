#include "ingest/auth/jwks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ingest/auth_test_keys.h"

namespace veche::auth {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::key_set;
using ::testing::Not;
using testing::TemporaryDirectory;
using testing::TestKey;

const TestKey& ed() { return TestKey::of(Algorithm::kEdDsa); }
const TestKey& rsa() { return TestKey::of(Algorithm::kRs256); }
const TestKey& hs() { return TestKey::of(Algorithm::kHs256); }

std::string refusal(const std::string& json) {
  const auto set = KeySet::parse(json);
  return set ? "accepted" : set.error().message;
}

// An entry from parts, for the rows where one of them is wrong.
std::string entry(std::string_view members, std::string_view kid = R"("kid":"k1",)",
                  std::string_view rest = R"("typ":"vote+jwt","iss":"i","aud":"a",)") {
  return "{" + std::string(kid) + std::string(rest) + std::string(members) + "}";
}

TEST(KeySet, ReadsEveryAlgorithmAndType) {
  const auto set =
      KeySet::parse(key_set({ed().entry("v", "vote+jwt"), rsa().entry("b", "batch+jwt"),
                             TestKey::of(Algorithm::kPs256).entry("s", "staff+jwt"),
                             TestKey::of(Algorithm::kEd25519).entry("v2", "vote+jwt")}));
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->keys().size(), 4u);
  const auto& batch = set->keys()[1];
  EXPECT_EQ(batch.kid, "b");
  EXPECT_EQ(batch.algorithm, Algorithm::kRs256);
  EXPECT_EQ(batch.type, TokenType::kBatch);
  EXPECT_EQ(batch.issuer, "https://id.example");
  EXPECT_EQ(batch.audience, "veche");
  EXPECT_EQ(set->keys()[3].algorithm, Algorithm::kEd25519);
}

TEST(KeySet, ReadsTheLimitsOfAGateway) {
  const auto set = KeySet::parse(
      key_set({rsa().entry("b", "batch+jwt", R"(,"polls":["p1","p2"],"territories":["75701000"])"),
               rsa().entry("all", "batch+jwt"), rsa().entry("v", "vote+jwt")}));
  ASSERT_TRUE(set) << set.error().message;
  const BatchLimits& limits = *set->keys()[0].limits;
  ASSERT_EQ(limits.polls.ids().size(), 2u);
  EXPECT_EQ(limits.polls.ids()[1].view(), "p2");
  ASSERT_EQ(limits.territories.ids().size(), 1u);
  EXPECT_EQ(limits.territories.ids()[0].view(), "75701000");
  ASSERT_TRUE(set->keys()[1].limits);
  EXPECT_FALSE(set->keys()[1].limits->polls.is_set());
  EXPECT_FALSE(set->keys()[2].limits);
}

TEST(KeySet, RefusesPrivateMembersWhereverTheyStand) {
  for (const char* member : {"d", "p", "q", "dp", "dq", "qi", "oth"}) {
    const std::string extra = std::string(",\"") + member + "\":\"c2VjcmV0\"";
    for (const TestKey* key : {&ed(), &rsa(), &hs()})
      EXPECT_THAT(refusal(key_set({key->entry("leaky", "vote+jwt", extra)})),
                  AllOf(HasSubstr("key \"leaky\""), HasSubstr("private"), Not(HasSubstr("c2Vj"))));
  }
}

std::string rsa_members(std::string_view modulus, std::string_view exponent = "AQAB") {
  return R"("alg":"RS256","kty":"RSA","n":")" + base64url_encode(modulus) + R"(","e":")" +
         std::string(exponent) + "\"";
}

TEST(KeySet, RefusesWeakAndOddRsaKeys) {
  const std::string good = testing::public_number(rsa().pkey(), OSSL_PKEY_PARAM_RSA_N);
  const testing::Pkey short_key(EVP_RSA_gen(2040), EVP_PKEY_free);
  const std::string weak = testing::public_number(short_key, OSSL_PKEY_PARAM_RSA_N);
  std::string even = good;
  even.back() = static_cast<char>(even.back() & ~1);
  ASSERT_EQ(refusal(key_set({entry(rsa_members(good))})), "accepted");
  EXPECT_THAT(refusal(key_set({entry(rsa_members(weak))})), HasSubstr("RSA of 2040 bits"));
  EXPECT_THAT(refusal(key_set({entry(rsa_members(std::string(513, '\xff')))})),
              HasSubstr("RSA of 4104 bits"));
  EXPECT_THAT(refusal(key_set({entry(rsa_members('\0' + good))})), HasSubstr("zero byte"));
  EXPECT_THAT(refusal(key_set({entry(rsa_members(""))})), HasSubstr("empty"));
  EXPECT_THAT(refusal(key_set({entry(rsa_members(even))})), HasSubstr("two primes"));
  for (const char* exponent : {"Aw", "AQ", "", "AAEAAQ", "AQAC"})
    EXPECT_THAT(refusal(key_set({entry(rsa_members(good, exponent))})), HasSubstr("65537"));
}

std::string okp_members(std::string_view point) {
  return R"("alg":"EdDSA","kty":"OKP","crv":"Ed25519","x":")" + base64url_encode(point) + "\"";
}

std::string little_endian(std::string_view low, char fill, char last) {
  std::string bytes(low);
  bytes.resize(31, fill);
  return bytes + last;
}

TEST(KeySet, RefusesEd25519PointsThatAnybodyCanSignFor) {
  struct {
    const char* what;
    std::string point;
  } const rows[] = {
      {"order 4: y = 0", little_endian("", '\0', '\0')},
      {"order 4: y = 0, sign", little_endian("", '\0', '\x80')},
      {"order 1: y = 1", little_endian("\x01", '\0', '\0')},
      {"order 1 with a sign", little_endian("\x01", '\0', '\x80')},
      {"order 2: y = -1", little_endian("\xec", '\xff', '\x7f')},
      {"order 8", *base64url_decode("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU")},
      {"order 8, other", *base64url_decode("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o")},
      {"not canonical: p", little_endian("\xed", '\xff', '\x7f')},
      {"not canonical: p + 1", little_endian("\xee", '\xff', '\x7f')},
      {"not on the curve", little_endian("\x02", '\0', '\0')},
      {"31 bytes", std::string(31, 'x')},
      {"33 bytes", std::string(33, 'x')},
      {"nothing", ""},
  };
  for (const auto& [what, point] : rows)
    EXPECT_THAT(refusal(key_set({entry(okp_members(point))})),
                HasSubstr("key \"k1\": \"x\" is not"))
        << what;
}

TEST(KeySet, RefusesWhatIsNotExactlyAnEntry) {
  const std::string ok = okp_members(testing::ed25519_point(ed().pkey()));
  const std::string long_name(257, 'i');
  struct {
    const char* what;
    std::string entry;
    const char* expected;
  } const rows[] = {
      {"no kid", entry(ok, ""), "key number 1: \"kid\" is needed"},
      {"empty kid", entry(ok, R"("kid":"",)"), "\"kid\" is needed"},
      {"kid is a number", entry(ok, R"("kid":7,)"), "\"kid\" is needed"},
      {"kid of 65 bytes", entry(ok, R"("kid":")" + std::string(65, 'k') + "\","), "is needed"},
      {"kid with a space", entry(ok, R"("kid":"a b",)"), "\"kid\" is needed"},
      {"kid with NUL", entry(ok, R"("kid":"a\u0000",)"), "\"kid\" is needed"},
      {"kid twice", entry(ok, R"("kid":"k1","kid":"k1",)"), "member \"kid\" twice"},
      {"kid twice, escaped", entry(ok, R"("kid":"k1","\u006bid":"k2",)"), "member \"kid\" twice"},
      {"unknown member", entry(ok + R"(,"use":"sig")"), "unknown member \"use\""},
      {"no typ", entry(ok, R"("kid":"k1",)", R"("iss":"i","aud":"a",)"), "\"typ\" must be one of"},
      {"unknown typ", entry(ok, R"("kid":"k1",)", R"("typ":"JWT","iss":"i","aud":"a",)"),
       "\"typ\" must be one of vote+jwt, batch+jwt, staff+jwt"},
      {"list of typ", entry(ok, R"("kid":"k1",)", R"("typ":["vote+jwt"],"iss":"i","aud":"a",)"),
       "\"typ\" must be one of"},
      {"no iss", entry(ok, R"("kid":"k1",)", R"("typ":"vote+jwt","aud":"a",)"), "\"iss\" and"},
      {"no aud", entry(ok, R"("kid":"k1",)", R"("typ":"vote+jwt","iss":"i",)"), "\"aud\" are"},
      {"iss too long",
       entry(ok, R"("kid":"k1",)", R"("typ":"vote+jwt","aud":"a","iss":")" + long_name + "\","),
       "1 to 256"},
      {"alg none", entry(R"("alg":"none","kty":"oct")"), "\"alg\" must be one of"},
      {"alg ES256", entry(R"("alg":"ES256","kty":"EC")"), "\"alg\" must be one of"},
      {"no alg", entry(R"("kty":"oct")"), "\"alg\" must be one of"},
      {"kty of another", entry(R"("alg":"RS256","kty":"oct","n":"AQ","e":"AQAB")"), "\"kty\" of"},
      {"members of another", entry(ok + R"(,"k":"AQ")"), "\"k\" has no place for EdDSA"},
      {"no key", entry(R"("alg":"EdDSA","kty":"OKP","crv":"Ed25519")"), "\"x\" is needed"},
      {"other curve", entry(R"("alg":"EdDSA","kty":"OKP","crv":"X25519","x":"AQ")"), "\"crv\""},
      {"padded key", entry(R"("alg":"HS256","kty":"oct","k":"AAAAAAAAAAA=")"), "canonical"},
      {"limits on a vote key", entry(ok + R"(,"polls":["p"])"), "limit keys of batch+jwt"},
      {"not an object", "7", "key number 1: not an object"},
  };
  for (const auto& row : rows)
    EXPECT_THAT(refusal(key_set({row.entry})), HasSubstr(row.expected)) << row.what;
}

TEST(KeySet, RefusesLimitsThatCouldBeMisread) {
  for (const char* limits :
       {R"("polls":[])", R"("polls":"p1")", R"("polls":["P1"])", R"("polls":[1])",
        R"("polls":null)", R"("territories":[])", R"("territories":["75 701"])"})
    EXPECT_THAT(refusal(key_set({rsa().entry("b", "batch+jwt", std::string(",") + limits)})),
                HasSubstr("at least one well-formed id"))
        << limits;
}

TEST(KeySet, RefusesAShortSecret) {
  const auto members = [](std::size_t bytes) {
    return R"("alg":"HS256","kty":"oct","k":")" + base64url_encode(std::string(bytes, 's')) + "\"";
  };
  EXPECT_EQ(refusal(key_set({entry(members(32))})), "accepted");
  EXPECT_THAT(refusal(key_set({entry(members(31))})), HasSubstr("has 31 bytes"));
}

TEST(KeySet, RefusesTwoKeysOfOneName) {
  EXPECT_THAT(refusal(key_set({ed().entry("k1", "vote+jwt"), rsa().entry("k1", "staff+jwt")})),
              HasSubstr("key \"k1\": a second key"));
}

TEST(KeySet, RefusesHs256BesideOthers) {
  EXPECT_EQ(refusal(key_set({hs().entry("a", "vote+jwt"), hs().entry("b", "staff+jwt")})),
            "accepted");
  EXPECT_THAT(refusal(key_set({ed().entry("a", "vote+jwt"), hs().entry("b", "staff+jwt")})),
              AllOf(HasSubstr("key \"b\""), HasSubstr("cannot be mixed")));
  EXPECT_THAT(refusal(key_set({hs().entry("a", "vote+jwt"), ed().entry("b", "staff+jwt")})),
              HasSubstr("cannot be mixed"));
}

TEST(KeySet, RefusesTooManyKeysAndNone) {
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < limits::kKeysPerSet; ++i)
    entries.push_back(ed().entry("k" + std::to_string(i), "vote+jwt"));
  EXPECT_EQ(refusal(key_set(entries)), "accepted");
  entries.push_back(ed().entry("one-more", "vote+jwt"));
  EXPECT_THAT(refusal(key_set(entries)), HasSubstr("more than 64 keys"));
  EXPECT_THAT(refusal(key_set({})), HasSubstr("no keys"));
}

TEST(KeySet, RefusesWhatIsNoKeySet) {
  const std::string good = ed().entry("k1", "vote+jwt");
  for (const std::string& json :
       {std::string(), std::string("{"), std::string("[]"), std::string("{}"),
        std::string(R"({"keys":{}})"), R"({"keys":[)" + good + R"(],"more":1})",
        R"({"keys":[)" + good + R"(],"keys":[]})", key_set({good}) + "x",
        "\xef\xbb\xbf" + key_set({good}), std::string(R"({"keys":")") + "\xc3\x28\"}",
        std::string(limits::kKeyFileBytes + 1, ' ')})
    EXPECT_FALSE(KeySet::parse(json)) << json.substr(0, 100);
}

TEST(KeySet, IsReadFromAFileThatItsRefusalNames) {
  const TemporaryDirectory directory;
  const auto good = directory.write("jwks.json", key_set({ed().entry("k1", "vote+jwt")}), 0644);
  EXPECT_TRUE(KeySet::load(good));
  const auto bad = directory.write("bad.json", key_set({}), 0644);
  EXPECT_THAT(KeySet::load(bad).error().message,
              AllOf(HasSubstr("bad.json"), HasSubstr("no keys")));
  EXPECT_THAT(KeySet::load(directory.path() / "absent").error().message, HasSubstr("absent"));
}

TEST(KeySet, WithSecretsIsReadOnlyFromAClosedFile) {
  const TemporaryDirectory directory;
  const std::string json = key_set({hs().entry("k1", "vote+jwt")});
  EXPECT_TRUE(KeySet::load(directory.write("closed.json", json, 0600)));
  EXPECT_THAT(KeySet::load(directory.write("open.json", json, 0644)).error().message,
              HasSubstr("chmod 600"));
}

}  // namespace
}  // namespace veche::auth
