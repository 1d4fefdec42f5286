// When a loss that is told is believed, and how one partition of a log in Kafka is found to go
// badly.
#include "storage/kafka/standing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/kafka/doubt.h"

namespace veche::storage {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr Standing::Clock::time_point kStart{1h};

TEST(Doubt, HoldsOnlyWhenItIsToldForLongAndOften) {
  constexpr auto kEnd = kStart + limits::kKafkaDoubt;
  Doubt doubt;
  EXPECT_FALSE(doubt.holds(kEnd));
  doubt.raise(kStart);
  doubt.raise(kEnd);
  EXPECT_FALSE(doubt.holds(kEnd)) << "two answers";
  for (int i = 0; i < limits::kKafkaDoubtAnswers; ++i) doubt.raise(kEnd - 1ms);
  EXPECT_FALSE(doubt.holds(kEnd - 1ms)) << "not for long";
  EXPECT_TRUE(doubt.holds(kEnd));
}

TEST(Doubt, BeginsAnewWhenSomethingSpokeAgainstIt) {
  Doubt doubt;
  for (int i = 0; i < 20; ++i) doubt.raise(kStart);
  doubt.settle();
  for (int i = 0; i < 20; ++i) doubt.raise(kStart + limits::kKafkaDoubt);
  EXPECT_FALSE(doubt.holds(kStart + limits::kKafkaDoubt));
  EXPECT_TRUE(doubt.holds(kStart + 2 * limits::kKafkaDoubt));
}

// Each time another broker was behind for a moment, and nobody asked about it afterwards.
TEST(Doubt, BeginsAnewWhenItWasLongNotTold) {
  Doubt doubt;
  auto now = kStart;
  for (int i = 0; i < 20; ++i, now += limits::kKafkaDoubt + 1ms) {
    doubt.raise(now);
    ASSERT_FALSE(doubt.holds(now)) << i;
  }
  for (const auto begin = now; now < begin + limits::kKafkaDoubt; now += 1s) {
    doubt.raise(now);
    ASSERT_FALSE(doubt.holds(now));
  }
  doubt.raise(now);
  EXPECT_TRUE(doubt.holds(now));
}

// A probe a second, each of which sees the same.
Standing::Clock::time_point probe(Standing& standing, std::chrono::seconds seconds,
                                  const Standing::Seen& seen,
                                  Standing::Clock::time_point from = kStart) {
  for (auto now = from; now <= from + seconds; now += 1s) standing.look(seen, now);
  return from + seconds;
}

TEST(Standing, WithNothingOnItsWayNothingIsStuck) {
  Standing standing(kStart);
  EXPECT_THAT(standing.trouble(probe(standing, 100s, {.answered = true})), IsEmpty());
}

TEST(Standing, ALeaderThatAnswersAndTakesNothingIsNamed) {
  Standing standing(kStart);
  const auto now = probe(standing, 7s, {.answered = true, .unacknowledged = true});
  EXPECT_TRUE(standing.is_stuck());
  EXPECT_THAT(standing.trouble(now), HasSubstr("takes no records"));
}

// Probes come late where a broker is away, and nobody writes meanwhile.
TEST(Standing, WhatWasGivenUpWaitsOnUntilSomethingIsTaken) {
  Standing standing(kStart);
  standing.look({.answered = true, .unacknowledged = true}, kStart);
  standing.gave_up();
  const auto now = probe(standing, 7s, {.answered = true}, kStart + 3s);
  EXPECT_THAT(standing.trouble(now), HasSubstr("takes no records"));
  standing.took(now);
  EXPECT_THAT(standing.trouble(probe(standing, 7s, {.answered = true}, now)), IsEmpty());
}

TEST(Standing, WhatWasGivenUpWhileTheLeaderWasSilentSaysNothingOfIt) {
  Standing standing(kStart);
  standing.look({.unacknowledged = true}, kStart);
  standing.gave_up();
  EXPECT_THAT(standing.trouble(probe(standing, 7s, {.answered = true}, kStart)), IsEmpty());
}

TEST(Standing, WhatMovesNowAndThenIsNotStuck) {
  Standing standing(kStart);
  auto now = kStart;
  for (int i = 0; i < 20; ++i) {
    now = probe(standing, 4s, {.answered = true, .unacknowledged = true}, now);
    standing.took(now);
  }
  EXPECT_THAT(standing.trouble(now), IsEmpty());
}

TEST(Standing, ALeaderThatGivesNothingIsNamedWithItsError) {
  Standing standing(kStart);
  standing.failed_to_give("Broker: Offset out of range");
  const auto now = probe(standing, 7s, {.answered = true, .unread = true});
  EXPECT_THAT(standing.trouble(now),
              AllOf(HasSubstr("gives no records"), HasSubstr("Offset out of range"),
                    Not(HasSubstr("let this node read"))));
  EXPECT_FALSE(standing.may_try(now + 1h)) << "what is written could not be read";
  standing.gave(now);
  EXPECT_THAT(standing.trouble(now), IsEmpty());
}

TEST(Standing, OnlyWhatTheBrokerRefusedToGiveIsAMatterOfRights) {
  Standing standing(kStart);
  standing.refused_to_give("Broker: Topic authorization failed", kStart);
  EXPECT_THAT(standing.trouble(kStart),
              AllOf(HasSubstr("let this node read"), HasSubstr("authorization failed")));
  standing.failed_to_give("Broker: Offset out of range");
  EXPECT_THAT(standing.trouble(kStart), Not(HasSubstr("let this node read")));
}

TEST(Standing, ASilentLeaderIsNamedAndTakesNothingOnTrial) {
  Standing standing(kStart);
  const auto now =
      probe(standing, 20s, {.error = "Broker: Leader not available", .unacknowledged = true});
  EXPECT_TRUE(standing.is_silent(now));
  EXPECT_FALSE(standing.is_stuck()) << "nobody said that it takes nothing";
  EXPECT_FALSE(standing.may_try(now));
  EXPECT_THAT(standing.trouble(now), HasSubstr("since 20 s: Broker: Leader not available"));
  standing.took(now);
  EXPECT_FALSE(standing.is_silent(now)) << "who takes a record is not silent";
}

TEST(Standing, WhatIsStuckStaysSoUntilATrialIsTaken) {
  Standing standing(kStart);
  standing.refused_to_take("Broker: Message size too large", kStart);
  auto now = probe(standing, 7s, {.answered = true});
  EXPECT_THAT(standing.trouble(now), HasSubstr("Message size too large"));
  EXPECT_FALSE(standing.may_try(now));
  now = kStart + limits::kParkDeadline;
  EXPECT_TRUE(standing.may_try(now));
  EXPECT_FALSE(standing.may_try(now)) << "one at a time";
  EXPECT_TRUE(standing.is_stuck());
  standing.took(now);
  EXPECT_THAT(standing.trouble(now), IsEmpty());
}

}  // namespace
}  // namespace veche::storage
