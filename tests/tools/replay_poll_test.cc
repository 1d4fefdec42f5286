#include "tools/veche/replay_poll.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>

#include "engine/model/limits.h"
#include "ingest/wire/ballot_json.h"
#include "ingest/wire/poll_json.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using model::QuestionKind;

const auto kId = *model::PollId::parse("zabrze");
const auto kTarget = *model::TerritoryCode::parse("PB-1");
constexpr model::Instant kNow{std::chrono::milliseconds(1'700'000'000'000)};

PabulibFile file_of(VoteType type) {
  PabulibFile file;
  file.vote_type = type;
  file.meta["description"] = "Budget";
  file.projects = {{"M/01/X", "A \"quoted\" name", 2, std::nullopt},
                   {"P.2", "B", 1, std::nullopt},
                   {"3", "C", 0, std::nullopt}};
  return file;
}

model::PollDefinition poll_of(const PabulibFile& file) {
  auto poll = definition_of(file, kId, kTarget, kNow);
  EXPECT_TRUE(poll) << poll.error().message;
  return *poll;
}

TEST(ReplayPoll, MakesAQuestionOfTheKindOfTheVote) {
  struct Row {
    VoteType type;
    QuestionKind kind;
  };
  constexpr Row kRows[] = {{VoteType::choose_one, QuestionKind::single},
                           {VoteType::approval, QuestionKind::approval},
                           {VoteType::ordinal, QuestionKind::ranked},
                           {VoteType::cumulative, QuestionKind::points},
                           {VoteType::scoring, QuestionKind::points}};
  for (const auto& row : kRows) {
    auto file = file_of(row.type);
    if (row.type != VoteType::choose_one) file.max = 2;
    if (row.type == VoteType::ordinal) file.position_points = {2, 1};
    const auto poll = poll_of(file);
    const auto& question = poll.questions.at(0);
    EXPECT_EQ(question.kind, row.kind);
    EXPECT_EQ(question.max, file.max);
    EXPECT_EQ(question.points, file.position_points);
    EXPECT_EQ(question.options.at(0).id, "M/01/X");
    EXPECT_EQ(poll.targets, std::vector<model::Target>{kTarget});
    EXPECT_LT(poll.opens_at, poll.closes_at);
  }
}

TEST(ReplayPoll, CutsALongNameBetweenCharacters) {
  auto file = file_of(VoteType::choose_one);
  file.projects[0].name = "a";
  for (int i = 0; i < 600; ++i) file.projects[0].name += "ą";
  const auto title = poll_of(file).questions[0].options[0].title.ru;
  EXPECT_EQ(title, file.projects[0].name.substr(0, limits::kTitleBytes - 1));
}

TEST(ReplayPoll, RefusesAFileThatMakesNoPoll) {
  auto file = file_of(VoteType::choose_one);
  file.projects[0].id = std::string(limits::kOptionIdBytes + 1, 'x');
  EXPECT_FALSE(definition_of(file, kId, kTarget, kNow));
}

TEST(ReplayPoll, KnowsItsPollAgainFromTheServer) {
  const auto file = file_of(VoteType::approval);
  const auto poll = poll_of(file);
  auto answer = wire::write_definition(poll);
  answer["state"] = "open";
  answer["version"] = 3;
  answer["territories_version"] = 7;
  answer["territories_on"] = "2026-11-28";
  const auto present = read_definition(answer);
  ASSERT_TRUE(present) << present.error().message;
  const auto later = definition_of(file, kId, kTarget, kNow + std::chrono::days(1));
  EXPECT_TRUE(is_same_poll(*present, *later));

  auto other = file;
  other.projects[2].name = "D";
  EXPECT_FALSE(is_same_poll(*present, poll_of(other)));
  auto elsewhere = *later;
  elsewhere.targets = {*model::TerritoryCode::parse("PB-2")};
  EXPECT_FALSE(is_same_poll(*present, elsewhere));
}

TEST(ReplayPoll, WritesAnswersThatTheServerReads) {
  auto file = file_of(VoteType::choose_one);
  file.votes = {{"v", {0}, {}, ""}};
  EXPECT_EQ(answers_of(file),
            (std::vector<std::string>{R"([{"question":"q1","choices":["M/01/X"]}])"}));
  file.vote_type = VoteType::ordinal;
  file.votes = {{"v", {2, 0}, {2, 1}, ""}};
  EXPECT_EQ(answers_of(file),
            (std::vector<std::string>{R"([{"question":"q1","choices":["3","M/01/X"]}])"}));
  file.vote_type = VoteType::cumulative;
  EXPECT_EQ(answers_of(file),
            (std::vector<std::string>{R"([{"question":"q1","choices":{"3":2,"M/01/X":1}}])"}));
  wire::BallotReader reader;
  EXPECT_TRUE(reader.read("{\"answers\":" + answers_of(file)[0] + "}"));
}

TEST(ReplayPoll, AsksWhoIsNamedBesideThePointsWhereZeroPointsMakeAVote) {
  auto file = file_of(VoteType::cumulative);
  file.max = 5;
  file.counts_unpaid = true;
  file.votes = {{.voter_id = "v", .choices = {2}, .points = {5}, .district = "", .unpaid = {0, 1}}};
  const auto poll = poll_of(file);
  ASSERT_EQ(poll.questions.size(), 2U);
  EXPECT_EQ(poll.questions[0].kind, QuestionKind::approval);
  EXPECT_EQ(poll.questions[0].max, 3U);
  EXPECT_EQ(poll.questions[1].kind, QuestionKind::points);
  wire::BallotReader reader;
  for (const auto& answers : {answers_of(file)[0], first_answers(poll)}) {
    const auto named = reader.read("{\"answers\":" + answers + "}");
    ASSERT_TRUE(named) << answers;
    std::vector<model::DocumentFault> faults;
    model::resolve(poll, **named, faults);
    EXPECT_TRUE(faults.empty()) << answers << faults.front().detail;
  }
}

TEST(ReplayPoll, AnswersAsLittleAsAPollAsksFor) {
  auto file = file_of(VoteType::approval);
  file.min = 2;
  file.max = 3;
  EXPECT_EQ(first_answers(poll_of(file)), R"([{"question":"q1","choices":["M/01/X","P.2"]}])");
  file.vote_type = VoteType::cumulative;
  EXPECT_EQ(first_answers(poll_of(file)), R"([{"question":"q1","choices":{"M/01/X":2}}])");
}

TEST(ReplayPoll, ExpectsTheVotersOfTheFileWhereItDisclosesInSteps) {
  const auto file = file_of(VoteType::choose_one);
  const auto exact = poll_of(file);
  auto poll = exact;
  const auto home = *model::TerritoryCode::parse("PB-1-a"), other = kTarget;
  const std::vector homes{home, other, home};
  disclose_in_steps(poll, 7, homes);
  EXPECT_EQ(poll.disclosure, model::Disclosure::steps);
  EXPECT_EQ(poll.least_voters, 7u);
  EXPECT_EQ(poll.expected_voters, (decltype(poll.expected_voters){{home, 2}, {other, 1}}));
  EXPECT_TRUE(model::check(poll).empty());
  EXPECT_FALSE(is_same_poll(poll, exact));
}

}  // namespace
}  // namespace veche::tools
