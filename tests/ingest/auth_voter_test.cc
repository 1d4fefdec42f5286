#include "ingest/auth/voter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/ingest/auth_test_keys.h"

namespace veche::auth {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryDirectory;

template <std::size_t N>
std::array<std::uint8_t, N> counting_from(std::uint8_t first) {
  std::array<std::uint8_t, N> bytes;
  for (auto& byte : bytes) byte = first++;
  return bytes;
}

model::PollId poll(std::string_view id) { return *model::PollId::parse(id); }
VoterSecret secret() { return VoterSecret(counting_from<32>(0)); }
PollSecret smolino() { return secret().for_poll(poll("smolino")); }

// The constants of the next three tests were computed with Python's hmac and cryptography from the
// formulas in voter.h. The log and receipts in people's hands depend on them: they never change.
TEST(VoterKey, IsTheOneThatTheLogHolds) {
  const model::VoterKey expected{{0xa3, 0x8f, 0x97, 0xe1, 0x00, 0x4f, 0x5b, 0x2f, 0xad, 0x4f, 0x79,
                                  0x0c, 0x55, 0x12, 0x41, 0xbd}};
  EXPECT_EQ(smolino().voter_key(counting_from<32>(100)), expected);
}

TEST(CheckValue, IsTheOneThatGenesisHolds) {
  const std::array<std::uint8_t, 16> expected{0x09, 0x55, 0x6a, 0x96, 0xe0, 0xd8, 0x4e, 0x89,
                                              0xe9, 0xc7, 0x0d, 0x29, 0x00, 0x4d, 0x88, 0x00};
  EXPECT_EQ(secret().check_value(), expected);
  EXPECT_NE(VoterSecret(counting_from<32>(1)).check_value(), expected);
}

struct KnownReceipt {
  std::uint16_t partition;
  std::uint64_t offset;
  const char* text;
};
constexpr KnownReceipt kReceipts[] = {
    {0, 0, "0JZ7G-1RB8S-4M7MB-744NZ-H4PC5X"},
    {3, 123'456'789, "18MBE-M0TGC-VE6Y3-XTAV5-57PXNB"},
    {1'023, (std::uint64_t{1} << 48) - 1, "524PB-K952H-KK1M0-TG6X3-NP8SW2"},
};

TEST(Receipt, IsTheOneThatTheVoterHolds) {
  auto poll_secret = smolino();
  for (const auto& [partition, offset, text] : kReceipts) {
    EXPECT_EQ(poll_secret.receipt({partition}, {offset}), text);
    const auto opened = poll_secret.open_receipt(text);
    ASSERT_TRUE(opened) << text;
    EXPECT_EQ(opened->first.value, partition);
    EXPECT_EQ(opened->second.value, offset);
  }
}

TEST(VoterKey, DiffersForEveryVoterPollAndSecret) {
  const auto sub = counting_from<32>(100);
  const auto key = smolino().voter_key(sub);
  EXPECT_NE(smolino().voter_key(counting_from<32>(101)), key);
  EXPECT_NE(secret().for_poll(poll("smolin")).voter_key(sub), key);
  EXPECT_NE(VoterSecret(counting_from<32>(1)).for_poll(poll("smolino")).voter_key(sub), key);
}

TEST(VoterKey, IsTheSameAfterOtherVotersAndAfterAMove) {
  auto poll_secret = smolino();
  const auto key = poll_secret.voter_key(counting_from<32>(100));
  poll_secret.voter_key(counting_from<32>(7));
  poll_secret.receipt({1}, {2});
  PollSecret moved = std::move(poll_secret);
  EXPECT_EQ(moved.voter_key(counting_from<32>(100)), key);
}

TEST(Receipt, OpensForEveryPlaceInTheLog) {
  auto poll_secret = smolino();
  for (std::uint64_t bit = 0; bit < 48; ++bit) {
    const model::PartitionId partition{static_cast<std::uint16_t>(bit * 21)};
    const model::Offset offset{std::uint64_t{1} << bit};
    const auto opened = poll_secret.open_receipt(poll_secret.receipt(partition, offset));
    EXPECT_EQ(opened, std::pair(partition, offset));
  }
}

TEST(Receipt, OpensAsPeopleCopyIt) {
  auto poll_secret = smolino();
  const auto expected = poll_secret.open_receipt("0JZ7G-1RB8S-4M7MB-744NZ-H4PC5X");
  ASSERT_TRUE(expected);
  for (const char* copy : {"0jz7g-1rb8s-4m7mb-744nz-h4pc5x", "0JZ7G1RB8S4M7MB744NZH4PC5X",
                           "OJZ7G-IRB8S-4M7MB-744NZ-H4PC5X", "ojz7g-lrb8s-4m7mb-744nz-h4pc5x",
                           "oJZ7G-irb8s4m7mb-744nzH4PC5X", "0JZ7G-LRB8S-4M7MB-744NZ-H4PC5X"})
    EXPECT_EQ(poll_secret.open_receipt(copy), expected) << copy;
}

TEST(Receipt, OfAnotherPollOrSecretDoesNotOpen) {
  const std::string receipt = smolino().receipt({0}, {0});
  EXPECT_FALSE(secret().for_poll(poll("smolino-2")).open_receipt(receipt));
  EXPECT_FALSE(VoterSecret(counting_from<32>(1)).for_poll(poll("smolino")).open_receipt(receipt));
}

TEST(Receipt, DoesNotOpenWithAnyLetterChanged) {
  auto poll_secret = smolino();
  const std::string receipt = poll_secret.receipt({3}, {123'456'789});
  for (std::size_t i = 0; i < receipt.size(); ++i) {
    if (receipt[i] == '-') continue;
    for (const char letter : std::string_view("0123456789ABCDEFGHJKMNPQRSTVWXYZ")) {
      std::string tampered = receipt;
      tampered[i] = letter;
      EXPECT_EQ(poll_secret.open_receipt(tampered).has_value(), tampered == receipt) << tampered;
    }
  }
}

TEST(Receipt, RefusesWhatIsNoReceipt) {
  auto poll_secret = smolino();
  for (const std::string_view text : {
           std::string_view(""),
           std::string_view("----"),
           std::string_view("0JZ7G-1RB8S-4M7MB-744NZ-H4PC5"),    // a letter short
           std::string_view("0JZ7G-1RB8S-4M7MB-744NZ-H4PC5XX"),  // a letter long
           std::string_view("0JZ7G-1RB8S-4M7MB-744NZ-H4PC5X-"),  // longer than any receipt
           std::string_view("0JZ7G-1RB8S-4M7MB-744NZ-H4PC5U"),   // no letter of Crockford's
           std::string_view("0JZ7G 1RB8S 4M7MB 744NZ H4PC5X"),
           std::string_view("0JZ7G-1RB8S-4M7MB-744NZ-H4PC5\0", 30),
           std::string_view("0JZ7G-1RB8S-4M7MB-744NZ-H4PC5\xd0"),
       })
    EXPECT_FALSE(poll_secret.open_receipt(text)) << text;
}

// 26 letters hold 130 bits. A reader that dropped the upper two would take eight, sixteen or
// twenty-four more in the first letter for the same receipt.
TEST(Receipt, HasNoSecondSpellingInItsSpareBits) {
  auto poll_secret = smolino();
  for (const char* spelling : {"8JZ7G-1RB8S-4M7MB-744NZ-H4PC5X", "GJZ7G-1RB8S-4M7MB-744NZ-H4PC5X",
                               "RJZ7G-1RB8S-4M7MB-744NZ-H4PC5X"})
    EXPECT_FALSE(poll_secret.open_receipt(spelling)) << spelling;
}

TEST(VoterSecret, IsReadFromAFileForItsOwnerOnly) {
  const TemporaryDirectory directory;
  const auto raw = counting_from<32>(0);
  const auto loaded = VoterSecret::load(directory.write("voter.secret", text_of(raw), 0600));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->check_value(), secret().check_value());
  EXPECT_TRUE(VoterSecret::load(directory.write("read-only", text_of(raw), 0400)));

  for (const unsigned mode : {0640u, 0620u, 0610u, 0604u, 0602u, 0644u, 0666u}) {
    const auto refused = VoterSecret::load(directory.write("open.secret", text_of(raw), mode));
    ASSERT_FALSE(refused) << std::oct << mode;
    EXPECT_THAT(refused.error().message, HasSubstr("chmod 600"));
  }
}

TEST(VoterSecret, HasExactlyItsSize) {
  const TemporaryDirectory directory;
  for (const std::size_t size : {0, 1, 31, 33, 64}) {
    const auto refused =
        VoterSecret::load(directory.write("voter.secret", std::string(size, 'x'), 0600));
    ASSERT_FALSE(refused) << size;
    EXPECT_THAT(refused.error().message, HasSubstr("has exactly 32"));
  }
  EXPECT_FALSE(VoterSecret::load(directory.path() / "absent"));
  EXPECT_FALSE(VoterSecret::load(directory.path()));
}

TEST(ReceiptDeathTest, IsNotMadeForAnOffsetThatDoesNotFit) {
  auto poll_secret = smolino();
  EXPECT_DEATH(poll_secret.receipt({0}, {std::uint64_t{1} << 48}), "fits into a receipt");
}

}  // namespace
}  // namespace veche::auth
