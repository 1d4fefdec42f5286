#include "tools/veche/replay_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tools/veche/replay_poll.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

PabulibFile file_of(VoteType type) {
  PabulibFile file;
  file.vote_type = type;
  file.projects = {
      {"M/01/X", "A", 2, std::nullopt}, {"P.2", "B", 1, std::nullopt}, {"3", "C", 0, std::nullopt}};
  return file;
}

json::value results_of(std::string_view options) {
  return json::parse(R"({"questions":[{"id":"q1","options":)" + std::string(options) + "}]}");
}

std::string unequal(const std::vector<Total>& totals) {
  std::string text;
  for (const auto& total : totals)
    if (!total.is_equal())
      text += total.project + " " + std::string(total.what) + " " + std::to_string(total.official) +
              "/" + std::to_string(total.counted) + ";";
  return text;
}

TEST(ReplayCheck, ComparesEveryOfficialTotal) {
  auto file = file_of(VoteType::ordinal);
  file.projects[0].score = 5;
  file.projects[1].score = 1;
  struct Row {
    const char* options;
    std::size_t totals;
    const char* unequal;
  };
  const Row rows[] = {
      {R"([{"id":"M/01/X","votes":2,"points":5},{"id":"P.2","votes":1,"points":1},
           {"id":"3","votes":0,"points":0}])",
       5, ""},
      {R"([{"id":"M/01/X","votes":2,"points":4},{"id":"P.2","votes":2,"points":1},
           {"id":"3","votes":0,"points":0}])",
       5, "M/01/X score 5/4;P.2 votes 1/2;"},
      {R"([{"id":"P.2","votes":1,"points":1},{"id":"3","votes":0,"points":0}])", 5,
       "M/01/X votes 2/0;M/01/X score 5/0;"},
  };
  for (const auto& row : rows) {
    const auto totals = compare_totals(file, results_of(row.options));
    EXPECT_EQ(totals.size(), row.totals);
    EXPECT_EQ(unequal(totals), row.unequal);
  }
}

TEST(ReplayCheck, HoldsAProjectWithoutOfficialVotesAgainstTheBallots) {
  auto file = file_of(VoteType::choose_one);
  for (auto& project : file.projects) project.votes.reset();
  file.votes = {{"v", {0}, {}, ""}, {"w", {0}, {}, ""}};
  const auto* kResults =
      R"([{"id":"M/01/X","votes":1},{"id":"P.2","votes":0},{"id":"3","votes":0}])";
  EXPECT_EQ(unequal(compare_totals(file, results_of(kResults))), "M/01/X votes 2/1;");
}

TEST(ReplayCheck, ComparesNoTotalsWhereTheyAreHidden) {
  const auto hidden = results_of(R"([{"id":"M/01/X","votes":null},{"id":"P.2","votes":null},
                                     {"id":"3","votes":null}])");
  EXPECT_THAT(compare_totals(file_of(VoteType::choose_one), hidden), IsEmpty());
}

TEST(ReplayCheck, ExplainsADifferenceThatTheFilesLinesMakeUp) {
  auto file = file_of(VoteType::ordinal);  // official votes are 2, 1, 0
  file.projects[0].score = 9;
  file.deviations = {{14, 0, 1, 3, "names it twice"}, {17, 0, 1, 2, "names it twice"}};
  const auto compared = [&](const char* first) {
    return compare_totals(file, results_of(std::string("[{\"id\":\"M/01/X\",") + first +
                                           R"(},{"id":"P.2","votes":1,"points":1},
                                              {"id":"3","votes":0,"points":0}])"));
  };
  const auto all = compared(R"("votes":0,"points":4)");
  EXPECT_EQ(unequal(all), "M/01/X votes 2/0;M/01/X score 9/4;");
  for (const auto& total : {all[0], all[1]}) {
    EXPECT_TRUE(total.is_explained());
    EXPECT_EQ(total.reason, "line 14 names it twice, line 17 names it twice");
    EXPECT_THAT(total.lines, ElementsAre(14u, 17u));
  }
  EXPECT_FALSE(all[2].is_explained()) << "it is equal";
  // One of the two lines more or less than all of them is something else.
  for (const auto* first : {R"("votes":1,"points":6)", R"("votes":3,"points":12)"}) {
    const auto some = compared(first);
    EXPECT_FALSE(some[0].is_explained()) << first;
    EXPECT_FALSE(some[1].is_explained()) << first;
    EXPECT_THAT(some[0].lines, IsEmpty()) << first;
  }
}

TEST(ReplayCheck, TellsTheFirstLinesAndHowManyThereAre) {
  auto file = file_of(VoteType::choose_one);
  for (std::size_t line = 20; line < 32; ++line)
    file.deviations.push_back({line, 0, 1, 1, "names it twice"});
  file.projects[0].votes = 12;
  const auto totals = compare_totals(
      file, results_of(R"([{"id":"M/01/X","votes":0},{"id":"P.2","votes":1},
                           {"id":"3","votes":0}])"));
  EXPECT_THAT(totals[0].reason, HasSubstr("line 27 names it twice, and 4 lines more"));
  EXPECT_EQ(totals[0].lines.size(), 12u);
}

TEST(ReplayCheck, ComparesNoScoresThatFollowFromNoRule) {
  auto file = file_of(VoteType::ordinal);
  for (auto& project : file.projects) project.score = 77;
  file.scores_without_rule = "nothing says what a rank brings";
  const auto totals = compare_totals(
      file, results_of(R"([{"id":"M/01/X","votes":2,"points":4},{"id":"P.2","votes":1,"points":1},
                           {"id":"3","votes":0,"points":0}])"));
  EXPECT_EQ(totals.size(), 3u);
  EXPECT_EQ(unequal(totals), "");
}

TEST(ReplayCheck, TakesVotesFromTheFirstQuestionAndPointsFromTheLast) {
  auto file = file_of(VoteType::cumulative);
  file.projects[0].score = 5;
  file.counts_unpaid = true;
  const auto results = json::parse(R"({"questions":[
      {"id":"q1","options":[{"id":"M/01/X","votes":2},{"id":"P.2","votes":1},{"id":"3","votes":0}]},
      {"id":"points","options":[{"id":"M/01/X","votes":1,"points":5},
                                {"id":"P.2","votes":0,"points":0},
                                {"id":"3","votes":0,"points":0}]}]})");
  EXPECT_EQ(unequal(compare_totals(file, results)), "");
}

// Three voters in one district, one in another, and what a server shows of them.
class ReplayCheckTest : public testing::Test {
 protected:
  ReplayCheckTest() {
    file_.votes = {{"v", {0}, {}, ""}, {"w", {0}, {}, ""}, {"x", {1}, {}, ""}, {"y", {0}, {}, ""}};
    for (auto& project : file_.projects) project.votes.reset();
    poll_ = *definition_of(file_, *model::PollId::parse("zabrze"), code("c"), {});
  }

  static model::TerritoryCode code(const char* text) { return *model::TerritoryCode::parse(text); }

  // Counts of all, of the city, of its two districts, of a group of both.
  ReplayCheck check(const char* all, const char* a, const char* b, const char* group) const {
    const auto counts = [](const char* numbers) {
      const std::string text(numbers);
      const bool is_shown = text[0] == '[';
      auto shown = json::parse(is_shown ? text : "[null,null,null,null]").as_array();
      json::array options;
      for (std::size_t i = 0; i < 3; ++i)
        options.push_back(
            {{"id", file_of(VoteType::choose_one).projects[i].id}, {"votes", shown[i + 1]}});
      return json::object{{"ballots", shown[0]},
                          {"suppressed", is_shown ? json::value() : json::value(text)},
                          {"questions", {{{"id", "q1"}, {"options", std::move(options)}}}}};
    };
    const auto place = [&](const char* code, json::value parent, const char* numbers) {
      auto object = counts(numbers);
      object["code"] = code;
      object["parent"] = std::move(parent);
      return object;
    };
    auto results = counts(all);
    results["territories"] = {place("c", {}, all), place("ca", "c", a), place("cb", "c", b)};
    results["groups"] = json::array();
    if (*group) {
      auto object = counts(group);
      object["within"] = "c";
      object["leaves"] = {"ca", "cb"};
      object["not_below"] = json::array();
      results["groups"].as_array().push_back(std::move(object));
    }
    return check_replay(file_, poll_, homes_, results);
  }

  PabulibFile file_ = file_of(VoteType::choose_one);
  const std::vector<model::TerritoryCode> homes_{code("ca"), code("ca"), code("cb"), code("ca")};
  model::PollDefinition poll_;
};

TEST_F(ReplayCheckTest, IsEqualWhereEveryCountIsTheFiles) {
  const auto exact = check("[4,3,1,0]", "[3,3,0,0]", "[1,0,1,0]", "");
  EXPECT_TRUE(exact.is_right());
  EXPECT_EQ(exact.totals.size(), 3u);
  EXPECT_GE(exact.counts.compared, 16u);
  EXPECT_EQ(exact.shown, 3u);
}

TEST_F(ReplayCheckTest, FindsAnythingThatIsWrong) {
  EXPECT_FALSE(check("[4,3,0,1]", "[3,3,0,0]", "[1,0,1,0]", "").is_right());
  EXPECT_FALSE(check("[4,3,1,0]", "[3,2,1,0]", "[1,0,1,0]", "").is_right());
  EXPECT_FALSE(check("[4,3,1,0]", "[3,3,0,0]", "[2,0,1,0]", "").is_right());
  EXPECT_FALSE(check("[4,3,1,0]", "in-group", "in-group", "[4,2,2,0]").is_right());
}

TEST_F(ReplayCheckTest, CountsWhatIsShownAndWhatIsInGroups) {
  disclose_in_steps(poll_, 4, homes_);
  const auto grouped = check("[4,3,1,0]", "in-group", "in-group", "[4,3,1,0]");
  EXPECT_TRUE(grouped.is_right());
  EXPECT_EQ(grouped.territories, 3u);
  EXPECT_EQ(grouped.shown, 1u);
  EXPECT_EQ(grouped.in_groups, 2u);
  EXPECT_EQ(grouped.groups, 1u);
}

TEST_F(ReplayCheckTest, TakesAPollThatShowsNothingForRightIfItMustNot) {
  const auto check_hidden = [&] { return check("too-few", "too-few", "too-few", ""); };
  disclose_in_steps(poll_, 5, homes_);
  EXPECT_TRUE(check_hidden().is_right());
  EXPECT_EQ(check_hidden().hidden, "too few voters, or all of one mind");
  EXPECT_FALSE(check("[4,3,1,0]", "[3,3,0,0]", "[1,0,1,0]", "").is_right());

  disclose_in_steps(poll_, 4, homes_);
  EXPECT_FALSE(check_hidden().is_right());
  EXPECT_THAT(check_hidden().counts.differences, ElementsAre(HasSubstr("shown at all")));

  for (auto& vote : file_.votes) vote.choices = {0};
  EXPECT_TRUE(check_hidden().is_right()) << "all of one mind";
  disclose_in_steps(poll_, 1, homes_);
  EXPECT_FALSE(check_hidden().is_right()) << "there are three times as many as needed";
}

}  // namespace
}  // namespace veche::tools
