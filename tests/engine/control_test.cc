#include "engine/apply/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model/limits.h"
#include "tests/engine/samples.h"

namespace veche::apply {
namespace {

using model::PollPhase;
using samples::poll_id;
using samples::Writer;

struct Fed {
  explicit Fed(const std::vector<std::string>& records = {}) {
    for (const auto& record : records) apply(record);
  }
  ControlEffect apply(std::string_view record) {
    return control.apply(control.position().next, record).effect;
  }
  Control control;
};

const auto kPoll = samples::poll_of_one_question("poll");
constexpr auto kOpened = v1::POLL_ACTION_OPENED;
constexpr auto kClosed = v1::POLL_ACTION_CLOSED;
constexpr auto kCancelled = v1::POLL_ACTION_CANCELLED;

std::string tree() { return Writer().tree(); }
std::string approve(const model::PollDefinition& poll = kPoll) { return Writer().approve(poll); }
std::string change(v1::PollAction action, std::uint32_t based_on = 1) {
  return Writer().change("poll", action, based_on);
}

model::PollDefinition poll_with(void (*change)(model::PollDefinition&)) {
  auto poll = kPoll;
  change(poll);
  return poll;
}

struct Row {
  const char* name;
  std::vector<std::string> records;  // the last one is judged
  ControlEffect effect;
  std::optional<PollPhase> phase;  // of "poll", in the end
};

class ControlTable : public testing::TestWithParam<Row> {};

TEST_P(ControlTable, GivesEffectAndPhase) {
  auto records = GetParam().records;
  const auto last = records.back();
  records.pop_back();
  Fed fed(records);
  EXPECT_EQ(fed.apply(last), GetParam().effect);
  const auto entry = fed.control.directory()->find(poll_id("poll"));
  EXPECT_EQ(entry ? std::optional(entry->phase) : std::nullopt, GetParam().phase);
}

constexpr auto kChanged = ControlEffect::poll_changed;
constexpr auto kVoid = ControlEffect::void_change;
constexpr auto kInvalid = ControlEffect::invalid;

const std::vector<Row> kRows{
    {"approved", {tree(), approve()}, kChanged, PollPhase::scheduled},
    {"approved_twice", {tree(), approve(), approve()}, kVoid, PollPhase::scheduled},
    {"approved_without_a_tree", {approve()}, kInvalid, std::nullopt},
    {"approved_for_a_later_tree",
     {tree(), approve(poll_with([](auto& p) { p.tree_version = 2; }))},
     kInvalid,
     std::nullopt},
    {"approved_for_tree_zero",
     {tree(), approve(poll_with([](auto& p) { p.tree_version = 0; }))},
     kInvalid,
     std::nullopt},
    {"approved_without_questions",
     {tree(), approve(poll_with([](auto& p) { p.questions.clear(); }))},
     kInvalid,
     std::nullopt},
    {"approved_under_another_id",
     {tree(),
      [] {
        v1::Record record;
        record.ParseFromString(approve());
        record.mutable_poll_change()->set_poll("another");
        return record.SerializeAsString();
      }()},
     kInvalid,
     std::nullopt},
    {"opened", {tree(), approve(), change(kOpened)}, kChanged, PollPhase::open},
    {"opened_twice", {tree(), approve(), change(kOpened), change(kOpened)}, kVoid, PollPhase::open},
    {"opened_before_approved", {tree(), change(kOpened)}, kVoid, std::nullopt},
    {"closed", {tree(), approve(), change(kOpened), change(kClosed)}, kChanged, PollPhase::closed},
    {"closed_before_opened", {tree(), approve(), change(kClosed)}, kVoid, PollPhase::scheduled},
    {"reopened",
     {tree(), approve(), change(kOpened), change(kClosed), change(kOpened)},
     kVoid,
     PollPhase::closed},
    {"approved_again_after_close",
     {tree(), approve(), change(kOpened), change(kClosed), approve()},
     kVoid,
     PollPhase::closed},
    {"cancelled_before_opened",
     {tree(), approve(), change(kCancelled)},
     kChanged,
     PollPhase::cancelled},
    {"cancelled_while_open",
     {tree(), approve(), change(kOpened), change(kCancelled)},
     kChanged,
     PollPhase::cancelled},
    {"cancelled_after_close",
     {tree(), approve(), change(kOpened), change(kClosed), change(kCancelled)},
     kVoid,
     PollPhase::closed},
    {"opened_after_cancelled",
     {tree(), approve(), change(kCancelled), change(kOpened)},
     kVoid,
     PollPhase::cancelled},
    {"based_on_another_version",
     {tree(), approve(), change(kOpened, 2)},
     kVoid,
     PollPhase::scheduled},
    {"based_on_nothing", {tree(), approve(), change(kOpened, 0)}, kVoid, PollPhase::scheduled},
    {"unknown_action_stops",
     {tree(), approve(), change(static_cast<v1::PollAction>(99))},
     ControlEffect::unknown_kind,
     PollPhase::scheduled},
    {"unspecified_action",
     {tree(), approve(), change(v1::POLL_ACTION_UNSPECIFIED)},
     kVoid,
     PollPhase::scheduled},
    {"malformed_poll_id", {tree(), Writer().change("No Poll", kOpened)}, kInvalid, std::nullopt},
    {"foreign_bytes", {tree(), "junk"}, kInvalid, std::nullopt},
    {"unknown_kind_stops",
     {tree(), samples::record_of_the_future()},
     ControlEffect::unknown_kind,
     std::nullopt},
    {"ballot", {tree(), Writer().ballot(kPoll.id, 1, samples::choose(0))}, kInvalid, std::nullopt},
    {"open_record", {tree(), Writer().open(kPoll)}, kInvalid, std::nullopt},
    {"genesis_elsewhere", {tree(), Writer().genesis()}, ControlEffect::noted, std::nullopt},
    {"tree", {tree()}, ControlEffect::tree_added, std::nullopt},
    {"same_tree_version_twice", {tree(), tree()}, kVoid, std::nullopt},
    {"tree_version_left_out", {Writer().tree(2)}, kVoid, std::nullopt},
    {"tree_that_is_none", {Writer().tree_part(1, 0, true, "junk")}, kInvalid, std::nullopt},
    {"tree_without_a_date",
     {Writer().tree_part(1, 0, true, samples::kTreeCsv, "2026-02-30")},
     kInvalid,
     std::nullopt},
    {"version_is_free_again_after_a_tree_that_is_none",
     {Writer().tree_part(1, 0, true, "junk"), tree()},
     ControlEffect::tree_added,
     std::nullopt},
};

INSTANTIATE_TEST_SUITE_P(Rules, ControlTable, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

TEST(Control, RemembersThatACancelledPollWasOpen) {
  Fed never({tree(), approve(), change(kCancelled)});
  EXPECT_FALSE(never.control.directory()->find(kPoll.id)->was_open);
  Fed open({tree(), approve(), change(kOpened), change(kCancelled)});
  EXPECT_TRUE(open.control.directory()->find(kPoll.id)->was_open);
  EXPECT_EQ(open.control.directory()->find(kPoll.id)->changed_at, model::Offset{3});
}

TEST(Control, ChangesNoDirectoryThatWasHandedOut) {
  Fed fed({tree(), approve()});
  const auto before = fed.control.directory();
  fed.apply(change(kOpened));
  EXPECT_EQ(before->find(kPoll.id)->phase, PollPhase::scheduled);
  EXPECT_EQ(fed.control.directory()->find(kPoll.id)->phase, PollPhase::open);
}

TEST(Control, DropsWhatItHasAppliedAndStopsAtAGap) {
  Fed fed({tree(), approve()});
  const auto before = fed.control.position();
  EXPECT_EQ(fed.control.apply({1}, change(kOpened)).effect, ControlEffect::already_applied);
  EXPECT_TRUE(fed.control.apply({3}, change(kOpened)).stops());
  EXPECT_EQ(fed.control.position(), before);
}

TEST(Control, RollsOverEveryRecordThatItPasses) {
  const auto junk = std::string("junk");
  Fed fed({tree(), junk});
  EXPECT_EQ(fed.control.position().hash, model::roll(model::roll({}, tree()), junk));
}

// --- Trees in parts ----------------------------------------------------------------------------

std::string half(int which) {
  const auto middle = samples::kTreeCsv.size() / 2;
  return std::string(which == 0 ? samples::kTreeCsv.substr(0, middle)
                                : samples::kTreeCsv.substr(middle));
}

TEST(TreeParts, InOrderMakeATree) {
  Writer writer;
  Fed fed;
  EXPECT_EQ(fed.apply(writer.tree_part(1, 0, false, half(0))), ControlEffect::noted);
  EXPECT_TRUE(fed.control.directory()->trees.empty());
  EXPECT_EQ(fed.apply(writer.tree_part(1, 1, true, half(1))), ControlEffect::tree_added);
  EXPECT_EQ(fed.control.directory()->trees[0].tree->size(), 4u);
}

TEST(TreeParts, OutOfOrderMakeNone) {
  Writer writer;
  Fed fed;
  EXPECT_EQ(fed.apply(writer.tree_part(1, 1, true, half(1))), kVoid);
  EXPECT_EQ(fed.apply(writer.tree_part(1, 0, false, half(0))), ControlEffect::noted);
  EXPECT_EQ(fed.apply(writer.tree_part(1, 2, true, half(1))), kVoid);
  EXPECT_TRUE(fed.control.directory()->trees.empty());
}

TEST(TreeParts, OfAWriterThatDiedAreDropped) {
  Fed fed;
  fed.apply(Writer(1).tree_part(1, 0, false, "oktmo8,name,kind"));
  Writer second(2);
  fed.apply(second.tree_part(1, 0, false, half(0)));
  EXPECT_EQ(fed.apply(second.tree_part(1, 1, true, half(1))), ControlEffect::tree_added);
}

TEST(TreeParts, OfTwoWritersAreNotMixed) {
  Writer first(1), second(2);
  Fed fed;
  fed.apply(first.tree_part(1, 0, false, half(0)));
  fed.apply(second.tree_part(1, 0, false, half(0)));
  EXPECT_EQ(fed.apply(first.tree_part(1, 1, true, half(1))), kVoid);
  EXPECT_EQ(fed.apply(second.tree_part(1, 1, true, half(1))), ControlEffect::tree_added);
}

TEST(TreeParts, TogetherTooLargeMakeNone) {
  Writer writer;
  Fed fed;
  const std::string part(limits::kTerritoriesPartBytes, 'x');
  const auto fitting = limits::kTreeBodyBytes / part.size();
  for (std::uint32_t p = 0; p < fitting; ++p)
    ASSERT_EQ(fed.apply(writer.tree_part(1, p, false, part)), ControlEffect::noted);
  EXPECT_EQ(fed.apply(writer.tree_part(1, fitting, true, part)), kVoid);
}

TEST(ControlTail, IsHeldAgainstWhatWasApplied) {
  Fed fed({tree(), approve()});
  const Fed elsewhere({tree(), change(kOpened)});
  EXPECT_EQ(fed.apply(Writer().noop(fed.control.position())), ControlEffect::noted);
  EXPECT_EQ(fed.apply(Writer().noop({{9}, {}})), kInvalid) << "it speaks of the future";
  EXPECT_EQ(fed.apply(Writer().noop(elsewhere.control.position())), ControlEffect::diverged);
}

struct DateRow {
  const char* text;
  bool good;
};
TEST(Date, IsReadStrictly) {
  for (const auto& row : std::vector<DateRow>{{"2026-02-28", true},
                                              {"2024-02-29", true},
                                              {"2026-02-29", false},
                                              {"2026-13-01", false},
                                              {"2026-00-01", false},
                                              {"2026-01-00", false},
                                              {"2026-1-01", false},
                                              {"2026-01-01 ", false},
                                              {"2026/01/01", false},
                                              {"-026-01-01", false},
                                              {"2026-01-+1", false},
                                              {"", false}})
    EXPECT_EQ(parse_date(row.text).has_value(), row.good) << row.text;
}

}  // namespace
}  // namespace veche::apply
