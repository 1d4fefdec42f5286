// The parts of `veche demo`: its polls, its voters, its books and its screen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "tools/veche/demo_region.h"
#include "tools/veche/demo_screen.h"
#include "tools/veche/demo_voters.h"

namespace veche::tools {
namespace {

using model::QuestionKind;

constexpr model::Instant kNow{std::chrono::seconds(1'800'000'000)};

model::TerritoryCode target_of(const model::PollDefinition& poll) {
  return std::get<model::TerritoryCode>(poll.targets.front());
}

class DemoTest : public testing::Test {
 protected:
  bool is_eligible(const DemoBallot& ballot) const {
    return demo_.tree.is_within(ballot.home, target_of(demo_.polls[ballot.poll]));
  }
  const DemoRegion demo_ = make_demo_region(1, kNow);
};

TEST_F(DemoTest, HasAPollOfEachKindThatMayBeApproved) {
  std::set<QuestionKind> kinds;
  std::set<std::string> targets;
  for (const auto& poll : demo_.polls) {
    const auto faults = model::check(poll);
    EXPECT_TRUE(faults.empty()) << poll.id.view() << faults.front().pointer;
    kinds.insert(poll.questions.front().kind);
    targets.insert(demo_.tree[demo_.tree.find(target_of(poll)).value()].kind);
  }
  EXPECT_EQ(kinds.size(), 4u);
  EXPECT_THAT(targets, testing::ElementsAre("city_okrug", "municipal_district", "region"));
}

TEST_F(DemoTest, VotersAnswerAsTheirPollAsks) {
  DemoVoters voters(demo_, 7);
  for (int i = 0; i < 5'000; ++i) {
    const auto ballot = voters.next();
    EXPECT_TRUE(model::fits(demo_.polls[ballot.poll], ballot.answers));
  }
}

TEST_F(DemoTest, AFewVotersComeAgainAndAFewAreNotEligible) {
  DemoVoters voters(demo_, 7);
  std::map<std::uint64_t, model::Answers> first;
  int same = 0, others = 0, elsewhere = 0;
  for (int i = 0; i < 5'000; ++i) {
    const auto ballot = voters.next();
    elsewhere += !is_eligible(ballot);
    const auto [known, fresh] = first.try_emplace(ballot.voter, ballot.answers);
    if (!fresh) ++(known->second == ballot.answers ? same : others);
  }
  for (const int count : {same, others, elsewhere}) {
    EXPECT_GT(count, 20);
    EXPECT_LT(count, 400);
  }
}

TEST_F(DemoTest, TheSameSeedBringsTheSameVoters) {
  DemoVoters one(demo_, 7), same(demo_, 7), other(demo_, 8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto ballot = one.next(), again = same.next(), different = other.next();
    EXPECT_EQ(ballot.home, again.home);
    EXPECT_EQ(ballot.answers, again.answers);
    differs = differs || ballot.home != different.home;
  }
  EXPECT_TRUE(differs);
}

TEST_F(DemoTest, WritesAnswersAsTheInterfaceTakesThem) {
  EXPECT_EQ(body_of(demo_.polls[0], {{0, {{1, 0}, {5, 0}}}}),
            R"({"answers":[{"question":"choice","choices":["station","night"]}]})");
  EXPECT_EQ(body_of(demo_.polls[1], {{0, {{0, 4}, {2, 6}}}}),
            R"({"answers":[{"question":"choice","choices":{"roads":4,"light":6}}]})");
}

TEST_F(DemoTest, BooksCountAVoterOnceAndOnlyWhatTheServerCounts) {
  struct Row {
    std::uint64_t voter;
    int status;
    std::uint64_t counted;  // after it
  };
  const Row rows[] = {{1, 201, 1}, {1, 200, 1}, {1, 409, 1},
                      {2, 403, 1}, {3, 200, 2},  // its first answer got lost
                      {3, 200, 2}, {4, 201, 3}};
  DemoBooks books(demo_);
  const auto home = demo_.region.homes.front().code;
  for (const auto& row : rows) {
    books.book({3, row.voter, home, {{0, {{2, 0}, {0, 0}}}}}, {.status = row.status});
    const auto& counts = books.counted(3).at(home);
    EXPECT_EQ(counts.ballots, row.counted);
    EXPECT_EQ(counts.questions[0][2].points, 3 * row.counted);
    EXPECT_EQ(counts.questions[0][0].points, 2 * row.counted);
  }
  EXPECT_EQ(books.accepted(), 2u);
  EXPECT_EQ(books.recorded(), 3u);
  EXPECT_EQ(books.refused(), 2u);
}

// Results of a server that counted nothing yet, or so many ballots of everything.
boost::json::value results_of(const model::PollDefinition& poll, std::uint64_t ballots) {
  boost::json::array options;
  for (const auto& option : poll.questions.front().options)
    options.push_back({{"id", option.id}, {"votes", ballots}, {"points", ballots}});
  return {
      {"ballots", ballots},
      {"turnout", ballots},
      {"suppressed", nullptr},
      {"questions", {{{"id", "choice"}, {"options", options}}}},
      {"territories",
       {{{"name", "Длинноимённый сельский округ"}, {"ballots", ballots}, {"not_below", ballots}}}}};
}

// Of a poll in steps that shows nothing yet.
boost::json::value hidden_results_of(const model::PollDefinition& poll) {
  auto results = results_of(poll, 0);
  auto& options = results.at("questions").at(0).at("options").as_array();
  for (auto& option : options)
    for (auto& [name, value] : option.as_object())
      if (name != "id") value = nullptr;
  results.at("ballots") = nullptr;
  results.at("turnout") = 40;
  results.at("suppressed") = "not-yet";
  auto& territory = results.at("territories").at(0);
  territory.at("ballots") = nullptr;
  territory.at("not_below") = nullptr;
  return results;
}

std::size_t columns_of(std::string_view line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

TEST_F(DemoTest, TheScreenFitsEveryTerminal) {
  DemoBooks books(demo_);
  for (const std::uint64_t ballots : {0ull, 12ull, 1'234'567ull})
    for (const ScreenSize size : {ScreenSize{80, 24}, {40, 12}, {200, 60}, {12, 4}, {1, 1}}) {
      DemoState state{"http://127.0.0.1:12345", 3.5, {}};
      for (const auto& poll : demo_.polls) state.results.push_back(results_of(poll, ballots));
      const auto lines = render(demo_, books, state, {size, false});
      EXPECT_LT(lines.size(), std::max<std::size_t>(size.rows, 4)) << size.columns;
      for (const auto& line : lines) {
        EXPECT_LE(columns_of(line), size.columns) << line;
        EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
      }
    }
}

TEST_F(DemoTest, OnePollDisclosesInStepsAndExpectsThoseWhoLiveThere) {
  std::size_t in_steps = 0;
  for (const auto& poll : demo_.polls) {
    if (poll.disclosure != model::Disclosure::steps) continue;
    ++in_steps;
    EXPECT_EQ(poll.least_voters, 10u);
    EXPECT_EQ(poll.expected_voters.size(), demo_.region.homes.size());
    for (const auto& home : demo_.region.homes)
      EXPECT_EQ(poll.expected_voters.at(home.code), home.population);
  }
  EXPECT_EQ(in_steps, 1u);
}

TEST_F(DemoTest, TheScreenTellsWhatIsHiddenAsHidden) {
  DemoBooks books(demo_);
  DemoState state{"http://127.0.0.1:12345", 3.5, {}};
  for (const auto& poll : demo_.polls) state.results.push_back(hidden_results_of(poll));
  for (const ScreenSize size : {ScreenSize{100, 50}, {80, 24}, {12, 4}, {1, 1}})
    for (const auto& line : render(demo_, books, state, {size, false}))
      EXPECT_LE(columns_of(line), size.columns) << line;
  std::string text;
  for (const auto& line : render(demo_, books, state, {{100, 50}, false})) text += line + "\n";
  EXPECT_THAT(text, testing::HasSubstr("hidden: not enough ballots to show any yet"));
  EXPECT_THAT(text, testing::ContainsRegex("Спортивные площадки +hidden\n"));
  EXPECT_THAT(text, testing::HasSubstr("0 of 1 territories shown\n"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("%")));
  EXPECT_THAT(render_line(demo_, books, state), testing::HasSubstr("budget hidden"));
}

TEST_F(DemoTest, TheScreenTellsHowManyBallotsAreShownOfHowMany) {
  DemoBooks books(demo_);
  DemoState state{"http://127.0.0.1:12345", 3.5, {}};
  for (const auto& poll : demo_.polls) state.results.push_back(results_of(poll, 12));
  state.results[1].at("turnout") = 40;
  std::string text;
  for (const auto& line : render(demo_, books, state, {{100, 50}, false})) text += line + "\n";
  EXPECT_THAT(text, testing::HasSubstr("  12 of 40 ballots shown"));
  EXPECT_THAT(text, testing::HasSubstr("  12 ballots\n"));
  EXPECT_THAT(text, testing::HasSubstr("Live results: http://127.0.0.1:12345/ "));
}

TEST_F(DemoTest, ATallScreenShowsEveryOption) {
  DemoBooks books(demo_);
  DemoState state{"http://127.0.0.1:12345", 3.5, {}};
  for (const auto& poll : demo_.polls) state.results.push_back(results_of(poll, 12));
  std::string text;
  for (const auto& line : render(demo_, books, state, {{100, 50}, false})) text += line + "\n";
  for (const auto& poll : demo_.polls)
    for (const auto& option : poll.questions.front().options)
      EXPECT_THAT(text, testing::HasSubstr(option.title.ru));
}

}  // namespace
}  // namespace veche::tools
