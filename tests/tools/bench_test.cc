// The parts of `veche bench`: its ballots, its books, and the numbers it reads beside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>

#include "tools/veche/bench_ballots.h"
#include "tools/veche/bench_books.h"
#include "tools/veche/bench_machine.h"
#include "tools/veche/bench_run.h"

namespace veche::tools {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

BenchPoll sample_poll() {
  BenchPoll poll;
  poll.definition.id = *model::PollId::parse("bench-sample");
  std::vector<model::Option> options;
  for (const auto id : kBenchOptions) options.push_back({std::string(id), {"x", ""}});
  poll.definition.questions = {{std::string(kBenchQuestion),
                                {"x", ""},
                                model::QuestionKind::single,
                                1,
                                1,
                                {},
                                std::move(options)}};
  for (const auto* code : {"59701000", "59705000", "59709000"})
    poll.homes.push_back(*model::TerritoryCode::parse(code));
  poll.elsewhere.push_back(*model::TerritoryCode::parse("59999000"));
  return poll;
}

// --- Ballots -----------------------------------------------------------------------------------

std::map<BallotKind, int> kinds(BallotPlan plan, int count) {
  std::map<BallotKind, int> counts;
  for (int i = 0; i < count; ++i) ++counts[plan.next().kind];
  return counts;
}

TEST(BallotPlan, GivesTheSameBallotsForTheSameSeed) {
  const auto poll = sample_poll();
  const BallotMix mix{5, 5, 5, HomeLaw::zipf};
  BallotPlan first(poll, 7, mix, true, 0), second(poll, 7, mix, true, 0);
  for (int i = 0; i < 1'000; ++i) {
    const auto a = first.next(), b = second.next();
    EXPECT_EQ(std::tie(a.voter, a.home, a.option, a.kind),
              std::tie(b.voter, b.home, b.option, b.kind));
  }
}

TEST(BallotPlan, KeepsToTheMix) {
  const auto poll = sample_poll();
  const auto counts = kinds({poll, 1, {10, 20, 30, HomeLaw::even}, true, 0}, 100'000);
  EXPECT_NEAR(counts.at(BallotKind::again), 10'000, 1'000);
  EXPECT_NEAR(counts.at(BallotKind::other_answer), 20'000, 1'000);
  EXPECT_NEAR(counts.at(BallotKind::newcomer), 40'000, 1'000);
  for (const auto kind :
       {BallotKind::bad_signature, BallotKind::expired_token, BallotKind::not_eligible,
        BallotKind::unknown_option, BallotKind::malformed})
    EXPECT_NEAR(counts.at(kind), 6'000, 1'000);
}

TEST(BallotPlan, SpoilsNoTokensWhereBallotsHaveNone) {
  const auto poll = sample_poll();
  const auto counts = kinds({poll, 1, {0, 0, 50, HomeLaw::even}, false, 0}, 1'000);
  EXPECT_FALSE(counts.contains(BallotKind::bad_signature));
  EXPECT_FALSE(counts.contains(BallotKind::expired_token));
}

TEST(BallotPlan, NumbersNewVotersUpwards) {
  const auto poll = sample_poll();
  BallotPlan plan(poll, 1, {0, 0, 10, HomeLaw::zipf}, true, 500);
  for (std::uint32_t i = 500; i < 1'500; ++i) EXPECT_EQ(plan.next().voter, i);
  EXPECT_EQ(plan.end_voter(), 1'500u);
}

TEST(BallotPlan, LetsMostLiveInOnePlaceByZipf) {
  const auto poll = sample_poll();
  const auto largest = [&](HomeLaw law) {
    BallotPlan plan(poll, 1, {0, 0, 0, law}, true, 0);
    std::map<int, int> homes;
    for (int i = 0; i < 10'000; ++i) ++homes[plan.next().home];
    return std::max_element(homes.begin(), homes.end(),
                            [](auto& a, auto& b) { return a.second < b.second; })
        ->second;
  };
  EXPECT_GT(largest(HomeLaw::zipf), 5'000);
  EXPECT_LT(largest(HomeLaw::even), 3'700);
}

// --- Books -------------------------------------------------------------------------------------

class Books : public testing::Test {
 protected:
  // The server's results with so many votes for the first option in the first home.
  boost::json::value results(int first, int second = 0) const {
    boost::json::array options, none;
    for (std::size_t i = 0; i < kBenchOptions.size(); ++i) {
      options.push_back(boost::json::object{{"votes", i == 0 ? first : i == 1 ? second : 0}});
      none.push_back(boost::json::object{{"votes", 0}});
    }
    const boost::json::array questions{boost::json::object{{"options", options}}};
    const boost::json::object home{{"code", "59701000"},
                                   {"parent", nullptr},
                                   {"ballots", first + second},
                                   {"questions", questions}};
    return boost::json::object{
        {"ballots", first + second}, {"questions", questions}, {"territories", {home}}};
  }
  static BenchBallot ballot(std::uint32_t voter, BallotKind kind = BallotKind::newcomer) {
    const bool is_other = kind == BallotKind::other_answer;
    return {voter, 0, is_other ? other_option(0) : std::uint8_t{0}, kind};
  }
  std::vector<std::string> differences(const boost::json::value& there) const {
    return books_.compare(there).differences;
  }

  const BenchPoll poll_ = sample_poll();
  BenchBooks books_{poll_, true};
};

TEST_F(Books, AgreeWithAnHonestServer) {
  books_.answered(ballot(0), 201, "accepted");
  books_.answered(ballot(0, BallotKind::again), 200, "recorded");
  books_.answered(ballot(0, BallotKind::other_answer), 409, "already-voted");
  books_.answered(ballot(1, BallotKind::other_answer), 201, "accepted");  // it was faster
  books_.answered(ballot(1), 409, "already-voted");
  books_.answered(ballot(2), 503, "overloaded");
  books_.answered(ballot(3, BallotKind::bad_signature), 401, "token-invalid");
  EXPECT_THAT(differences(results(1, 1)), IsEmpty());
  EXPECT_EQ(books_.voters_counted(), 2u);
}

TEST_F(Books, NoticeACountThatIsNotTheirs) {
  books_.answered(ballot(0), 201, "accepted");
  EXPECT_THAT(differences(results(2)), SizeIs(4));  // ballots and votes, in all and in the home
}

TEST_F(Books, NoticeABallotThatIsAcceptedTwice) {
  books_.answered(ballot(0), 201, "accepted");
  books_.answered(ballot(0, BallotKind::again), 201, "accepted");
  EXPECT_THAT(differences(results(1)), SizeIs(1));
}

TEST_F(Books, NoticeTwoDifferentBallotsOfOneVoter) {
  books_.answered(ballot(0), 201, "accepted");
  books_.answered(ballot(0, BallotKind::other_answer), 201, "accepted");
  EXPECT_THAT(differences(results(1)), SizeIs(1));
}

TEST_F(Books, NoticeARefusalForABallotThatNobodyCounted) {
  books_.answered(ballot(0), 409, "already-voted");
  EXPECT_THAT(differences(results(0)), SizeIs(1));
}

TEST_F(Books, NoticeARecordOfWhatWasNeverAccepted) {
  books_.answered(ballot(0), 200, "recorded");
  EXPECT_THAT(differences(results(1)), SizeIs(1));
}

TEST_F(Books, NoticeABadBallotThatIsCounted) {
  books_.answered(ballot(0, BallotKind::expired_token), 201, "accepted");
  EXPECT_THAT(differences(results(1)), SizeIs(5));  // the answer, and four counts
}

TEST_F(Books, NoticeAGoodBallotThatIsRefused) {
  books_.answered(ballot(0), 401, "token-invalid");
  EXPECT_THAT(differences(results(0)), SizeIs(1));
}

TEST_F(Books, AskAgainForWhatWasLost) {
  books_.lost(ballot(0));
  EXPECT_THAT(books_.take_unknown(), SizeIs(1));
  EXPECT_THAT(books_.take_unknown(), IsEmpty());
  books_.settled(ballot(0), 200, "recorded");  // it had arrived
  EXPECT_THAT(differences(results(1)), IsEmpty());
}

TEST_F(Books, ForgiveNothingOnceALostBallotIsSettled) {
  books_.lost(ballot(0));
  books_.lost(ballot(0, BallotKind::other_answer));
  books_.settled(ballot(0), 409, "already-voted");
  books_.settled(ballot(0, BallotKind::other_answer), 409, "already-voted");
  EXPECT_THAT(differences(results(0)), SizeIs(1));  // refused for each other, and none counted
}

TEST_F(Books, TakeABatchWithoutDetailsAsCounted) {
  BenchBooks books(poll_, false);
  books.counted(ballot(0));
  books.counted(ballot(0, BallotKind::again));
  EXPECT_THAT(books.compare(results(1)).differences, IsEmpty());
}

// --- Beside it ---------------------------------------------------------------------------------

class ArrivalsFile : public testing::Test {
 protected:
  Result<ArrivalShape> read(std::string_view text) {
    std::ofstream(path_, std::ios::binary) << text;
    return read_arrivals(path_);
  }
  const std::string path_ =  // its own: tests run beside each other
      testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv";
};

TEST_F(ArrivalsFile, BecomesMomentsInOrder) {
  const auto shape = read("timestamp,voter\n3000,a\n1000,b\n2000,c\n");
  ASSERT_TRUE(shape) << shape.error().message;
  EXPECT_LT(shape->back(), 1);  // within the duration
  EXPECT_THAT(*shape, testing::ElementsAre(0, testing::DoubleNear(0.5, 1e-3),
                                           testing::DoubleNear(1, 1e-3)));
}

TEST_F(ArrivalsFile, IsRefusedWithItsLine) {
  EXPECT_THAT(read("timestamp\n1000\nsoon\n").error().message, HasSubstr("line 3"));
  EXPECT_THAT(read("timestamp\n1000\n").error().message, HasSubstr("fewer than two"));
  EXPECT_THAT(read("1000\n1000\n").error().message, HasSubstr("one moment"));
}

}  // namespace
}  // namespace veche::tools
