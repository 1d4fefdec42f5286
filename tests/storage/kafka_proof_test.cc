// What proves that a record is durable, and what shows that the log was cut.
#include "storage/kafka/proof.h"

#include <gtest/gtest.h>

namespace veche::storage {
namespace {

using model::Offset;

// Records are known by their fingerprints; here each is 100 and its offset, unless it is another.
constexpr std::uint64_t record(std::uint64_t offset) { return 100 + offset; }

bool read(Proof& proof, std::uint64_t count) {
  bool fits = true;
  for (std::uint64_t i = 0; i < count; ++i) fits &= proof.read(record(proof.next().value));
  return fits;
}
bool acknowledge(Proof& proof, std::uint64_t offset) {
  return proof.acknowledged({{offset}, record(offset), {}});
}

TEST(Proof, ReadingAloneProvesNothing) {
  Proof proof({0});
  EXPECT_TRUE(read(proof, 5));
  EXPECT_EQ(proof.durable(), Offset{0});
}

TEST(Proof, AnAcknowledgedRecordProvesItselfAndAllBeforeIt) {
  Proof proof({0});
  read(proof, 5);
  EXPECT_TRUE(acknowledge(proof, 3));
  EXPECT_EQ(proof.durable(), Offset{4});
}

TEST(Proof, AnAcknowledgementCountsOnceItsRecordIsRead) {
  Proof proof({10});
  EXPECT_TRUE(acknowledge(proof, 12));
  EXPECT_TRUE(read(proof, 2));
  EXPECT_EQ(proof.durable(), Offset{0});
  EXPECT_TRUE(proof.has_unread());
  EXPECT_TRUE(read(proof, 1));
  EXPECT_EQ(proof.durable(), Offset{13});
  EXPECT_FALSE(proof.has_unread());
}

TEST(Proof, AnOlderAcknowledgementTakesNothingBack) {
  Proof proof({0});
  read(proof, 9);
  acknowledge(proof, 7);
  EXPECT_TRUE(acknowledge(proof, 2));  // was tried again, and came late
  EXPECT_EQ(proof.durable(), Offset{8});
}

TEST(Proof, ReadersThatLagBehindAreProvenAsTheyGo) {
  Proof proof({0});
  for (std::uint64_t offset = 0; offset < 100; ++offset) {
    acknowledge(proof, offset + 5);
    EXPECT_TRUE(read(proof, 1));
    EXPECT_EQ(proof.durable(), Offset{offset < 5 ? 0 : offset + 1});
  }
}

TEST(Proof, AnotherRecordAtAnAcknowledgedOffsetIsNoticedWhicheverComesFirst) {
  Proof read_first({0});
  read(read_first, 3);
  EXPECT_FALSE(read_first.acknowledged({{1}, 999, {}}));
  Proof acknowledged_first({0});
  EXPECT_TRUE(acknowledged_first.acknowledged({{1}, 999, {}}));
  EXPECT_TRUE(read(acknowledged_first, 1));
  EXPECT_FALSE(read(acknowledged_first, 1));
}

TEST(Proof, AnAcknowledgementBelowWhereReadingBeganShowsThatTheLogWasCut) {
  Proof proof({10});
  EXPECT_FALSE(acknowledge(proof, 9));
}

TEST(Proof, AnAcknowledgementTooLateToCompareProvesNothing) {
  Proof proof({0});
  read(proof, 16'386);
  EXPECT_TRUE(proof.acknowledged({{1}, 999, {}}));
  EXPECT_EQ(proof.durable(), Offset{0});
  EXPECT_FALSE(proof.acknowledged({{2}, 999, {}}));
}

TEST(Proof, ARecordThatComesOnceMoreMustBeTheSame) {
  Proof proof({10});
  EXPECT_EQ(proof.last(), Offset{10}) << "nothing was read: reading begins there";
  read(proof, 5);
  EXPECT_EQ(proof.last(), Offset{14});
  EXPECT_TRUE(proof.holds({14}, record(14)));
  EXPECT_FALSE(proof.holds({14}, record(15)));
  EXPECT_FALSE(proof.holds({10}, record(11)));
  EXPECT_TRUE(proof.holds({9}, record(1))) << "it was never read here";
}

}  // namespace
}  // namespace veche::storage
