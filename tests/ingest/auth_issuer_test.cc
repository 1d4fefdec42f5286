#include "ingest/auth/issuer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "ingest/auth/verifier.h"
#include "ingest/auth/voter.h"
#include "tests/ingest/auth_test_keys.h"

namespace veche::auth {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::kNow;
using testing::TemporaryDirectory;

constexpr const char* kFiles[] = {"issuer.json", "jwks.json", "voter.secret"};

unsigned mode_of(const std::filesystem::path& path) {
  struct stat about {};
  EXPECT_EQ(::stat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777;
}

Result<void> generate(const std::filesystem::path& directory,
                      Algorithm algorithm = Algorithm::kHs256) {
  return Issuer::generate(directory, algorithm, "https://id.example", "veche");
}

Verifier verifier_of(const std::filesystem::path& directory) {
  auto keys = KeySet::load(directory / "jwks.json");
  if (!keys) throw std::runtime_error(keys.error().message);
  return Verifier(std::make_shared<const KeySet>(std::move(*keys)));
}

VoteClaims vote_claims() {
  VoteClaims claims;
  claims.poll = *model::PollId::parse("smolino");
  claims.sub.fill(0xAB);
  claims.territory = *model::TerritoryCode::parse("01701000");
  claims.level = 2;
  return claims;
}

class Keygen : public ::testing::TestWithParam<Algorithm> {
 protected:
  void SetUp() override { ASSERT_TRUE(generate(directory_.path(), GetParam())); }
  TemporaryDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(Issuer, Keygen,
                         ::testing::Values(Algorithm::kHs256, Algorithm::kRs256, Algorithm::kPs256,
                                           Algorithm::kEdDsa, Algorithm::kEd25519),
                         [](const auto& about) { return std::string(text(about.param)); });

TEST_P(Keygen, MakesATrustedPairForAllThreeTypes) {
  auto issuer = Issuer::load(directory_.path() / "issuer.json");
  ASSERT_TRUE(issuer) << issuer.error().message;
  Verifier verifier = verifier_of(directory_.path());

  VoteClaims vote = vote_claims();
  const auto plain = verifier.verify_vote(issuer->mint_vote(vote, kNow, 600s), kNow);
  ASSERT_TRUE(plain) << plain.error().reason;
  EXPECT_EQ(plain->poll, vote.poll);
  EXPECT_EQ(plain->sub, vote.sub);
  EXPECT_EQ(plain->territory, vote.territory);
  EXPECT_TRUE(plain->addrs.empty());
  EXPECT_EQ(plain->level, 2);

  vote.addrs = {*model::AddressCode::parse("street:1"), *model::AddressCode::parse("house:2")};
  const auto with_address = verifier.verify_vote(issuer->mint_vote(vote, kNow, 60s), kNow);
  ASSERT_TRUE(with_address) << with_address.error().reason;
  EXPECT_EQ(with_address->addrs, vote.addrs);

  const auto batch = verifier.verify_batch(issuer->mint_batch(vote.sub, 17, kNow, 60s), kNow);
  ASSERT_TRUE(batch) << batch.error().reason;
  EXPECT_EQ(batch->body_sha256, vote.sub);
  EXPECT_EQ(batch->lines, 17u);

  const StaffClaims staff{
      "anna",
      {Role::kAnalyst, Role::kAuditor},
      Limit<model::TerritoryCode>::to({*model::TerritoryCode::parse("75701000")})};
  const auto token = issuer->mint_staff(staff, kNow, 24h);
  ASSERT_TRUE(token) << token.error().message;
  const auto claims = verifier.verify_staff(*token, kNow);
  ASSERT_TRUE(claims) << claims.error().reason;
  EXPECT_EQ(claims->sub, staff.sub);
  EXPECT_EQ(claims->roles, staff.roles);
  EXPECT_EQ(claims->territories, staff.territories);
}

TEST_P(Keygen, ClosesEveryFileWithASecret) {
  EXPECT_EQ(mode_of(directory_.path() / "issuer.json"), 0600u);
  EXPECT_EQ(mode_of(directory_.path() / "voter.secret"), 0600u);
  EXPECT_EQ(mode_of(directory_.path() / "jwks.json"),
            GetParam() == Algorithm::kHs256 ? 0600u : 0644u);
  EXPECT_TRUE(VoterSecret::load(directory_.path() / "voter.secret"));
}

std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(Issuer, TellsTheVerifierNoPrivateKey) {
  for (const Algorithm algorithm : {Algorithm::kRs256, Algorithm::kEdDsa}) {
    const TemporaryDirectory directory;
    ASSERT_TRUE(generate(directory.path(), algorithm));
    const std::string secret = content_of(directory.path() / "issuer.json");
    const std::string jwks = content_of(directory.path() / "jwks.json");
    constexpr std::string_view kMember = "\"key\":\"";
    int keys = 0;
    for (std::size_t at = 0; (at = secret.find(kMember, at)) != std::string::npos; ++keys) {
      at += kMember.size();
      const std::string key = secret.substr(at, secret.find('"', at) - at);
      EXPECT_THAT(jwks, Not(HasSubstr(key)));
    }
    EXPECT_EQ(keys, 3);
  }
}

TEST(Issuer, MakesOtherKeysEachTime) {
  const TemporaryDirectory one;
  const TemporaryDirectory two;
  ASSERT_TRUE(generate(one.path()));
  ASSERT_TRUE(generate(two.path()));
  auto issuer = Issuer::load(one.path() / "issuer.json");
  const auto token = issuer->mint_vote(vote_claims(), kNow, 60s);
  EXPECT_TRUE(verifier_of(one.path()).verify_vote(token, kNow));
  EXPECT_FALSE(verifier_of(two.path()).verify_vote(token, kNow));
  EXPECT_NE(VoterSecret::load(one.path() / "voter.secret")->check_value(),
            VoterSecret::load(two.path() / "voter.secret")->check_value());
}

TEST(Issuer, NeverOverwritesAFile) {
  for (const char* name : kFiles) {
    const TemporaryDirectory directory;
    const auto there = directory.write(name, "precious", 0600);
    const auto refused = generate(directory.path());
    ASSERT_FALSE(refused) << name;
    EXPECT_THAT(refused.error().message, HasSubstr(name));
    EXPECT_EQ(std::filesystem::file_size(there), 8u);
    for (const char* other : kFiles)
      EXPECT_EQ(std::filesystem::exists(directory.path() / other), other == name) << other;
  }
}

TEST(Issuer, DoesNotWriteThroughALink) {
  const TemporaryDirectory directory;
  std::filesystem::create_symlink(directory.path() / "elsewhere",
                                  directory.path() / "voter.secret");
  EXPECT_FALSE(generate(directory.path()));
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "elsewhere"));
}

TEST(Issuer, MakesItsDirectory) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(generate(directory.path() / "a" / "b"));
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "a" / "b" / "jwks.json"));
  EXPECT_FALSE(generate("/proc/none"));
}

TEST(Issuer, RefusesNamesThatNeedCare) {
  const TemporaryDirectory directory;
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a\"b"), std::string("a\\b"),
        std::string("a\n"), std::string("\xd0\xb8"), std::string(257, 'i')}) {
    EXPECT_FALSE(Issuer::generate(directory.path(), Algorithm::kHs256, name, "veche")) << name;
    EXPECT_FALSE(Issuer::generate(directory.path(), Algorithm::kHs256, "i", name)) << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Issuer, RefusesAFileThatOthersMayRead) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(generate(directory.path()));
  const auto file = directory.path() / "issuer.json";
  for (const unsigned mode : {0640u, 0604u, 0620u, 0644u}) {
    std::filesystem::permissions(file, std::filesystem::perms(mode));
    const auto refused = Issuer::load(file);
    ASSERT_FALSE(refused) << std::oct << mode;
    EXPECT_THAT(refused.error().message, HasSubstr("chmod 600"));
  }
  std::filesystem::permissions(file, std::filesystem::perms(0400));
  EXPECT_TRUE(Issuer::load(file));
}

TEST(Issuer, RefusesADamagedFile) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(generate(directory.path()));
  const std::string good = content_of(directory.path() / "issuer.json");
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::string damaged[] = {
      "",
      "{}",
      good.substr(0, good.size() / 2),
      replaced("\"HS256\"", "\"HS512\""),
      replaced("\"HS256\"", "\"RS256\""),
      replaced("vote+jwt", "staff+jwt"),
      replaced("\"key\"", "\"cle\""),
      replaced("\"issuer\"", "\"audience\""),
  };
  for (const std::string& text : damaged) {
    const auto refused = Issuer::load(directory.write("damaged.json", text, 0600));
    ASSERT_FALSE(refused) << text;
    EXPECT_THAT(refused.error().message, HasSubstr("damaged.json"));
  }
}

TEST(Issuer, MintsTheTimesItIsToldSoThatDrillsCanExpire) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(generate(directory.path()));
  auto issuer = Issuer::load(directory.path() / "issuer.json");
  Verifier verifier = verifier_of(directory.path());
  const auto old = issuer->mint_vote(vote_claims(), kNow - 1h, 60s);
  EXPECT_EQ(verifier.verify_vote(old, kNow).error().error, TokenError::kExpired);
  const auto long_lived = issuer->mint_vote(vote_claims(), kNow, 601s);
  EXPECT_EQ(verifier.verify_vote(long_lived, kNow).error().error, TokenError::kInvalid);
}

TEST(Issuer, RefusesStaffThatNoVerifierWouldTake) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(generate(directory.path()));
  auto issuer = Issuer::load(directory.path() / "issuer.json");
  EXPECT_FALSE(issuer->mint_staff({"", {Role::kAnalyst}, {}}, kNow, 1h));
  EXPECT_FALSE(issuer->mint_staff({R"(a","roles":["auditor)", {Role::kAnalyst}, {}}, kNow, 1h));
  EXPECT_FALSE(issuer->mint_staff({"anna", {}, {}}, kNow, 1h));
  const auto everywhere = issuer->mint_staff({"anna", {Role::kAnalyst}, {}}, kNow, 1h);
  ASSERT_TRUE(everywhere);
  const auto claims = verifier_of(directory.path()).verify_staff(*everywhere, kNow);
  ASSERT_TRUE(claims);
  EXPECT_FALSE(claims->territories.is_set());
}

// RFC 8037, appendix A.4.
TEST(Ed25519Signer, SignsTheExampleOfTheRfc) {
  const auto seed = base64url_decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
  Ed25519Signer signer(bytes_of(*seed));
  EXPECT_EQ(
      base64url_encode(signer.sign("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")),
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
}

}  // namespace
}  // namespace veche::auth
