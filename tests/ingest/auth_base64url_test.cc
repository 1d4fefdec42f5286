#include "ingest/auth/base64url.h"

#include <gtest/gtest.h>

namespace veche::auth {
namespace {

struct Pair {
  std::string_view raw;
  std::string_view text;
};

constexpr Pair kPairs[] = {
    {"", ""},
    {"f", "Zg"},
    {"fo", "Zm8"},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg"},
    {"fooba", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy"},    // RFC 4648 section 10, without padding
    {"\xfb\xff\xfe", "-__-"},  // both letters that differ from base64
    {{"\0\0\0", 3}, "AAAA"},
};

TEST(Base64url, WritesAndReadsTheVectorsOfTheRfc) {
  for (const auto& [raw, text] : kPairs) {
    EXPECT_EQ(base64url_encode(raw), text);
    EXPECT_EQ(base64url_decode(text), raw);
  }
}

TEST(Base64url, ReadsBackWhateverItWrote) {
  std::string raw;
  for (int i = 0; i < 600; ++i) {
    EXPECT_EQ(base64url_decode(base64url_encode(raw)), raw);
    raw += static_cast<char>(i * 37);
  }
}

TEST(Base64url, RefusesEveryOtherSpelling) {
  struct {
    const char* what;
    std::string_view text;
  } const rows[] = {
      {"padding of one", "Zm8="},
      {"padding of two", "Zg=="},
      {"padding alone", "===="},
      {"plus", "-+_-"},
      {"slash", "-/_-"},
      {"space in front", " Zm9"},
      {"line feed at the end", "Zm9v\n"},
      {"tab inside", "Zm\t9"},
      {"length 1 mod 4", "Zm9vY"},
      {"one character", "A"},
      {"last of two not canonical", "Zh"},
      {"last of three not canonical", "Zm9"},
      {"NUL", {"Zm9\0", 4}},
      {"byte above ASCII", "Zm9\xc0"},
      {"foreign character in the rest", "Zm9vZ."},
  };
  for (const auto& [what, text] : rows) EXPECT_FALSE(base64url_decode(text)) << what;
}

// For two and three characters, exactly the spellings whose spare bits are zero are read.
TEST(Base64url, HasOneSpellingForEachValue) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (std::size_t last = 0; last < kAlphabet.size(); ++last) {
    EXPECT_EQ(base64url_decode(std::string("A") + kAlphabet[last]).has_value(), last % 16 == 0);
    EXPECT_EQ(base64url_decode(std::string("AA") + kAlphabet[last]).has_value(), last % 4 == 0);
  }
}

TEST(Base64url, NeverWritesBeyondItsRoom) {
  std::array<std::uint8_t, 3> room;
  EXPECT_TRUE(base64url_decode("Zm9v", room));
  EXPECT_FALSE(base64url_decode("Zm9vYg", room));
}

TEST(Base64url, ReadsAFixedSizeOnlyInFull) {
  EXPECT_TRUE(base64url_decode_exactly<3>("Zm9v"));
  EXPECT_FALSE(base64url_decode_exactly<3>("Zm8"));
  EXPECT_FALSE(base64url_decode_exactly<3>("Zm9vYg"));
  EXPECT_FALSE(base64url_decode_exactly<3>("Zm9="));
}

}  // namespace
}  // namespace veche::auth
