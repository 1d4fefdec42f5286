#include "ingest/auth/digest.h"

#include <gtest/gtest.h>

#include "ingest/auth/base64url.h"

namespace veche::auth {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<std::uint8_t>(byte) >> 4];
    text += kDigits[static_cast<std::uint8_t>(byte) & 15];
  }
  return text;
}

model::PollId poll(std::string_view id) { return *model::PollId::parse(id); }

// Computed with Python: hashlib.blake2b(b"\x07smolinoq1:a", digest_size=16,
// person=b"veche ballot v1\0"). The log keeps digests, so this value can never change.
TEST(Digest, OfABallotIsTheOneThatTheLogHolds) {
  EXPECT_EQ(hex(digest_of(poll("smolino"), "q1:a").view()), "1cf0c005185ac424bbef458085781565");
}

TEST(Digest, DiffersWhenPollOrAnswersDo) {
  const auto digest = digest_of(poll("smolino"), "q1:a");
  EXPECT_EQ(digest, digest_of(poll("smolino"), "q1:a"));
  EXPECT_NE(digest, digest_of(poll("smolino"), "q1:b"));
  EXPECT_NE(digest, digest_of(poll("smolin"), "q1:a"));
}

TEST(Digest, TellsWhereThePollEndsAndTheAnswersBegin) {
  EXPECT_NE(digest_of(poll("a"), "bc"), digest_of(poll("ab"), "c"));
}

// FIPS 180-2, appendix B.
TEST(Sha256, OfTheVectorsOfItsStandard) {
  EXPECT_EQ(hex(text_of(sha256("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(text_of(sha256(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

// RFC 7515, appendix A.1.
TEST(Hmac, SignsTheExampleOfTheRfcAgainAndAgain) {
  const auto key = base64url_decode(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  HmacSha256 hmac(bytes_of(*key));
  for (int i = 0; i < 3; ++i) {
    const auto code = hmac.of(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
        "cnVlfQ");
    EXPECT_EQ(base64url_encode(text_of(code)), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
  }
}

// RFC 4231, test cases 1, 2 and 6.
TEST(Hmac, OfTheVectorsOfItsRfc) {
  const auto code = [](std::string_view key, std::string_view message) {
    return hex(text_of(HmacSha256(bytes_of(key)).of(message)));
  };
  EXPECT_EQ(code(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(code("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(
      code(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace veche::auth
