#include "engine/admit/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/model/limits.h"
#include "engine/model/record.h"
#include "tests/engine/samples.h"

namespace veche::admit {
namespace {

using model::NamedAnswers;
using model::NamedChoice;
using model::Outcome;
using testing::ElementsAre;
using testing::IsEmpty;

const auto kPoll = samples::poll_of_all_kinds();

// A ballot that fits: rows change one answer of it.
NamedAnswers good() {
  return {{"one", false, {{"b"}}},
          {"some", false, {{"d"}, {"a"}}},
          {"order", false, {{"c"}, {"a"}}},
          {"spread", true, {{"c", 6}, {"a", 4}}}};
}
NamedAnswers with(std::size_t question, std::vector<NamedChoice> choices) {
  auto answers = good();
  answers[question].choices = std::move(choices);
  return answers;
}
NamedAnswers in_wrong_form(std::size_t question) {
  auto answers = good();
  answers[question].with_points = !answers[question].with_points;
  return answers;
}
NamedAnswers without(std::size_t question) {
  auto answers = good();
  answers.erase(answers.begin() + static_cast<std::ptrdiff_t>(question));
  return answers;
}
NamedAnswers and_also(model::NamedAnswer answer) {
  auto answers = good();
  answers.push_back(std::move(answer));
  return answers;
}

// --- Answers -----------------------------------------------------------------------------------

struct AnswerRow {
  const char* name;
  NamedAnswers answers;
  std::vector<std::string> faults;  // "pointer code"; none: the answers fit
};

class AnswersTable : public testing::TestWithParam<AnswerRow> {};

TEST_P(AnswersTable, FitOrSayWhyNot) {
  std::vector<model::DocumentFault> faults;
  const auto answers = model::resolve(kPoll, GetParam().answers, faults);
  std::vector<std::string> told;
  for (const auto& fault : faults) told.push_back(fault.pointer + " " + fault.code);
  EXPECT_EQ(told, GetParam().faults);
  EXPECT_TRUE(model::fits(kPoll, answers) || !faults.empty());  // what admit lets pass, counts
}

const std::uint32_t kTooManyPoints = limits::kPointsPerChoice + 1;
const std::vector<AnswerRow> kAnswerRows{
    {"good", good(), {}},
    {"nothing",
     {},
     {"/answers question-missing", "/answers question-missing", "/answers question-missing",
      "/answers question-missing"}},
    {"question_missing", without(1), {"/answers question-missing"}},
    {"question_twice", and_also(good()[0]), {"/answers/4/question duplicate-question"}},
    {"question_of_no_poll",
     and_also({"five", false, {{"a"}}}),
     {"/answers/4/question unknown-question"}},
    {"question_misspelt",
     [] {
       auto answers = good();
       answers[0].question = "On";
       return answers;
     }(),
     {"/answers/0/question unknown-question"}},
    {"question_without_id",
     and_also({"", false, {{"a"}}}),
     {"/answers/4/question unknown-question"}},

    {"single_none", with(0, {}), {"/answers/0/choices too-few"}},
    {"single_two", with(0, {{"a"}, {"b"}}), {"/answers/0/choices too-many"}},
    {"single_unknown",
     with(0, {{"z"}}),
     {"/answers/0/choices/0 unknown-option"}},
    {"single_of_another_question",
     with(0, {{"d"}}),
     {"/answers/0/choices/0 unknown-option"}},
    {"single_twice_the_same", with(0, {{"a"}, {"a"}}), {"/answers/0/choices/1 duplicate-option"}},
    {"single_in_another_case",
     with(0, {{"B"}}),
     {"/answers/0/choices/0 unknown-option"}},
    {"single_with_points", in_wrong_form(0), {"/answers/0/choices wrong-form"}},

    {"approval_least", with(1, {{"c"}}), {}},
    {"approval_none", with(1, {}), {"/answers/1/choices too-few"}},
    {"approval_one_too_many", with(1, {{"a"}, {"b"}, {"c"}}), {"/answers/1/choices too-many"}},
    {"approval_twice_the_same", with(1, {{"a"}, {"a"}}), {"/answers/1/choices/1 duplicate-option"}},
    {"approval_with_points", in_wrong_form(1), {"/answers/1/choices wrong-form"}},

    {"ranked_least", with(2, {{"d"}}), {}},
    {"ranked_most", with(2, {{"d"}, {"c"}, {"b"}}), {}},
    {"ranked_none", with(2, {}), {"/answers/2/choices too-few"}},
    {"ranked_one_too_many", with(2, {{"a"}, {"b"}, {"c"}, {"d"}}), {"/answers/2/choices too-many"}},
    {"ranked_twice_the_same",
     with(2, {{"a"}, {"b"}, {"a"}}),
     {"/answers/2/choices/2 duplicate-option"}},
    {"ranked_with_points", in_wrong_form(2), {"/answers/2/choices wrong-form"}},

    {"points_least", with(3, {{"a", 2}}), {}},
    {"points_most", with(3, {{"a", 10}}), {}},
    {"points_too_few", with(3, {{"a", 1}}), {"/answers/3/choices too-few"}},
    {"points_too_many", with(3, {{"a", 5}, {"b", 6}}), {"/answers/3/choices too-many"}},
    {"points_none", with(3, {}), {"/answers/3/choices too-few"}},
    {"points_zero_for_one", with(3, {{"a", 0}, {"b", 5}}), {"/answers/3/choices bad-points"}},
    {"points_negative_for_one", with(3, {{"a", -5}, {"b", 5}}), {"/answers/3/choices bad-points"}},
    {"points_beyond_32_bits",
     with(3, {{"a", (std::int64_t{1} << 32) + 5}}),
     {"/answers/3/choices bad-points"}},
    {"points_beyond_the_limit",
     with(3, {{"a", kTooManyPoints}}),
     {"/answers/3/choices bad-points"}},
    {"points_twice_the_same",
     with(3, {{"a", 2}, {"a", 2}}),
     {"/answers/3/choices duplicate-option"}},
    {"points_unknown",
     with(3, {{"d", 2}}),
     {"/answers/3/choices unknown-option"}},
    {"points_unknown_beside_too_many",
     with(3, {{"d", 2}, {"a", 11}}),
     {"/answers/3/choices unknown-option"}},
    {"approval_unknown_beside_enough",
     with(1, {{"a"}, {"z"}, {"b"}, {"c"}}),
     {"/answers/1/choices/1 unknown-option"}},
    {"approval_two_unknown",
     with(1, {{"y"}, {"z"}}),
     {"/answers/1/choices/0 unknown-option", "/answers/1/choices/1 unknown-option"}},
    {"points_as_a_list", in_wrong_form(3), {"/answers/3/choices wrong-form"}},
};

INSTANTIATE_TEST_SUITE_P(Rules, AnswersTable, testing::ValuesIn(kAnswerRows),
                         [](const auto& row) { return row.param.name; });

TEST(Answers, NeedNotBeReadToTheEndWhenTheyAreFarTooMany) {
  std::vector<model::DocumentFault> faults;
  model::resolve(kPoll, NamedAnswers(limits::kQuestionsPerPoll + 1), faults);
  EXPECT_EQ(faults.size(), 1u);
  faults.clear();
  model::resolve(kPoll, with(1, std::vector<NamedChoice>(limits::kOptionsPerQuestion + 1)), faults);
  EXPECT_EQ(faults.size(), 1u);
}

// --- Canonical order ---------------------------------------------------------------------------

std::string canonical(const NamedAnswers& named) {
  std::vector<model::DocumentFault> faults;
  const auto answers = model::resolve(kPoll, named, faults);
  EXPECT_THAT(faults, IsEmpty());
  return model::serialize(answers);
}

TEST(CanonicalAnswers, DoNotDependOnTheOrderOfQuestions) {
  auto turned = good();
  std::reverse(turned.begin(), turned.end());
  EXPECT_EQ(canonical(turned), canonical(good()));
}
TEST(CanonicalAnswers, DoNotDependOnTheOrderOfApprovedOptions) {
  EXPECT_EQ(canonical(with(1, {{"a"}, {"d"}})), canonical(with(1, {{"d"}, {"a"}})));
}
TEST(CanonicalAnswers, DoNotDependOnTheOrderOfOptionsWithPoints) {
  EXPECT_EQ(canonical(with(3, {{"a", 4}, {"c", 6}})), canonical(with(3, {{"c", 6}, {"a", 4}})));
}
TEST(CanonicalAnswers, DependOnTheOrderOfRankedOptions) {
  EXPECT_NE(canonical(with(2, {{"a"}, {"c"}})), canonical(with(2, {{"c"}, {"a"}})));
}
TEST(CanonicalAnswers, DependOnWhoGetsThePoints) {
  EXPECT_NE(canonical(with(3, {{"a", 4}, {"c", 6}})), canonical(with(3, {{"a", 6}, {"c", 4}})));
}
TEST(CanonicalAnswers, OutOfOrderDoNotFit) {
  auto answers = [] {
    std::vector<model::DocumentFault> faults;
    return model::resolve(kPoll, good(), faults);
  }();
  ASSERT_TRUE(model::fits(kPoll, answers));
  auto turned = answers;
  std::swap(turned[0], turned[1]);
  EXPECT_FALSE(model::fits(kPoll, turned));
  turned = answers;
  std::swap(turned[1].choices[0], turned[1].choices[1]);
  EXPECT_FALSE(model::fits(kPoll, turned));
  turned = answers;
  std::swap(turned[2].choices[0], turned[2].choices[1]);
  EXPECT_TRUE(model::fits(kPoll, turned));
}

// --- Voters ------------------------------------------------------------------------------------

struct VoterRow {
  const char* name;
  std::vector<std::string> targets;  // digits: a territory; else an address
  std::string territory;
  std::vector<std::string> addresses;
  std::uint8_t level;
  std::optional<Outcome> refusal;
};

class VoterTable : public testing::TestWithParam<VoterRow> {};

TEST_P(VoterTable, MayVoteOrNot) {
  const auto& row = GetParam();
  auto definition = kPoll;
  definition.targets.clear();
  for (const auto& target : row.targets)
    if (target.starts_with("7"))
      definition.targets.emplace_back(samples::territory(target));
    else
      definition.targets.emplace_back(*model::AddressCode::parse(target));
  model::PollEntry poll;
  poll.definition = std::make_shared<const model::PollDefinition>(definition);
  poll.tree = std::make_shared<const model::TerritoryTree>(
      *model::TerritoryTree::parse_csv(samples::kTreeCsv));
  poll.target_places = model::places_of_targets(*poll.definition, *poll.tree);
  std::vector<model::AddressCode> addresses;
  for (const auto& address : row.addresses)
    addresses.push_back(*model::AddressCode::parse(address));
  const Registration voter{samples::territory(row.territory), addresses, row.level};

  EXPECT_EQ(judge_voter(poll, voter), row.refusal);
  EXPECT_EQ(judge(poll, voter, good()).refusal, row.refusal);
  // Who may not vote is told so, and not what is wrong with the answers.
  EXPECT_EQ(judge(poll, voter, {}).refusal, row.refusal.value_or(Outcome::invalid_answer));
}

const std::vector<VoterRow> kVoterRows{
    {"at_the_target", {"75700000"}, "75700000", {}, 2, {}},
    {"below_the_target", {"75700000"}, "75701000", {}, 2, {}},
    {"far_below_the_target", {"75000000"}, "75701000", {}, 2, {}},
    {"above_the_target", {"75701000"}, "75700000", {}, 2, Outcome::not_eligible},
    {"beside_the_target", {"75700000"}, "75800000", {}, 2, Outcome::not_eligible},
    {"in_one_of_two_targets", {"75700000", "75800000"}, "75800000", {}, 2, {}},
    {"in_a_target_beside_one_within_it", {"75000000", "75700000"}, "75800000", {}, 2, {}},
    {"not_in_the_tree", {"75000000"}, "75999000", {}, 2, Outcome::not_eligible},
    {"target_not_in_the_tree", {"75999000"}, "75999000", {}, 2, Outcome::not_eligible},
    {"at_the_address", {"street-1"}, "75800000", {"street-1"}, 2, {}},
    {"at_one_of_two_addresses", {"street-1"}, "75800000", {"house-2", "street-1"}, 2, {}},
    {"at_another_address", {"street-1"}, "75800000", {"street-10"}, 2, Outcome::not_eligible},
    {"without_an_address", {"street-1"}, "75800000", {}, 2, Outcome::not_eligible},
    {"at_the_address_not_in_the_tree",
     {"street-1"},
     "75999000",
     {"street-1"},
     2,
     Outcome::not_eligible},
    {"in_the_territory_or_at_the_address",
     {"75701000", "street-1"},
     "75800000",
     {"street-1"},
     2,
     {}},
    {"level_above", {"75000000"}, "75701000", {}, 3, {}},
    {"level_below", {"75000000"}, "75701000", {}, 1, Outcome::level_too_low},
    {"level_none", {"75000000"}, "75701000", {}, 0, Outcome::level_too_low},
};

INSTANTIATE_TEST_SUITE_P(Rules, VoterTable, testing::ValuesIn(kVoterRows),
                         [](const auto& row) { return row.param.name; });

// --- Records -----------------------------------------------------------------------------------

TEST(Records, CarryADefinitionWhole) {
  auto poll = kPoll;
  poll.title = {"Опрос", "Poll"};
  poll.targets.emplace_back(*model::AddressCode::parse("street-1"));
  poll.expected_voters = {{samples::territory("75700000"), 12'345'678'901}};
  poll.visibility = model::Visibility::after_certification;
  poll.questions[0].options[1].title = {"Да", "Yes"};
  const auto read = model::read_definition(model::to_message(poll));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, poll);
}

TEST(Records, WithAMalformedDefinitionAreNotRead) {
  const auto read_after = [](auto change) {
    auto message = model::to_message(kPoll);
    change(message);
    return model::read_definition(message);
  };
  EXPECT_TRUE(read_after([](auto&) {}));
  EXPECT_FALSE(read_after([](auto& m) { m.set_id("No Poll"); }));
  EXPECT_FALSE(read_after([](auto& m) { m.set_min_level(0); }));
  EXPECT_FALSE(read_after([](auto& m) { m.set_min_level(257); }));
  EXPECT_FALSE(read_after([](auto& m) { m.set_visibility(v1::VISIBILITY_UNSPECIFIED); }));
  EXPECT_FALSE(read_after([](auto& m) { m.set_visibility(static_cast<v1::Visibility>(9)); }));
  EXPECT_FALSE(read_after([](auto& m) { m.clear_disclosure(); }));
  EXPECT_FALSE(read_after([](auto& m) { m.add_targets(); }));
  EXPECT_FALSE(read_after([](auto& m) { m.clear_targets(); }));
  EXPECT_FALSE(read_after([](auto& m) { m.clear_questions(); }));
  EXPECT_FALSE(read_after([](auto& m) { m.mutable_questions(0)->clear_kind(); }));
  EXPECT_FALSE(read_after([](auto& m) { m.mutable_questions(0)->set_max(2); }));
  EXPECT_FALSE(read_after([](auto& m) { m.mutable_questions(2)->clear_points(); }));
  EXPECT_FALSE(read_after([](auto& m) { (*m.mutable_expected_voters())["a b"] = 1; }));
}

TEST(Records, OfBallotsAreWrittenAsProtocolBuffersWriteThem) {
  std::vector<model::DocumentFault> faults;
  const auto answers = model::serialize(model::resolve(kPoll, good(), faults));
  const auto digest = samples::bytes16<model::Digest>(77);
  const auto message = model::serialize_ballot(
      kPoll.id, samples::voter(5), samples::territory("75701000"), 3, answers, digest, 494'321);
  model::RecordWriter writer(samples::boot(1), 7);
  std::string head;
  EXPECT_EQ(writer.ballot_head(message.size(), head), std::uint64_t{7} << 56);

  v1::Record expected;
  model::RecordWriter(samples::boot(1), 7).stamp(expected);
  auto& ballot = *expected.mutable_ballot();
  ballot.set_poll(kPoll.id.str());
  ballot.set_voter_key(std::string(samples::voter(5).view()));
  ballot.set_territory("75701000");
  ballot.set_level(3);
  ballot.mutable_answers()->ParseFromString(answers);
  ballot.set_digest(std::string(digest.view()));
  ballot.set_unix_hour(494'321);
  EXPECT_EQ(head + message, expected.SerializeAsString());

  v1::Record decoded;
  EXPECT_EQ(model::decode(head + message, decoded), model::Decoded::ours);
  EXPECT_EQ(decoded.SerializeAsString(), expected.SerializeAsString());
}

TEST(Records, OfOneWriterHaveDifferentCounters) {
  model::RecordWriter writer(samples::boot(1), 1);
  std::string head;
  v1::Record record;
  const auto first = writer.ballot_head(0, head);
  EXPECT_EQ(writer.stamp(record), first + 1);
  EXPECT_EQ(record.counter(), first + 1);
}

TEST(Definition, ThatDoesNotFitIntoARecordIsRefused) {
  auto poll = kPoll;
  const std::string title(limits::kTitleBytes, 'x');
  for (auto& question : poll.questions) question.title = {title, title};
  EXPECT_THAT(model::check(poll), IsEmpty());
  poll.questions[0].options.clear();
  for (int i = 0; i < 512; ++i)
    poll.questions[0].options.push_back({std::to_string(i), {title, title}});
  ASSERT_GT(model::to_message(poll).ByteSizeLong(), limits::kRecordBytes);
  const auto faults = model::check(poll);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].code, "too-large");
}

}  // namespace
}  // namespace veche::admit
