#include "engine/apply/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model/limits.h"
#include "tests/engine/samples.h"

namespace veche::apply {
namespace {

using model::Offset;
using model::PartitionId;
using samples::choose;
using samples::poll_id;
using samples::Writer;

constexpr PartitionId kHere{3};

// A partition with an index of its own, fed record by record.
struct Fed {
  explicit Fed(const std::vector<std::string>& records = {}) {
    for (const auto& record : records) apply(record);
  }
  Effect apply(std::string_view record) {
    return partition.apply(partition.position().next, record).effect;
  }
  std::uint64_t ballots(std::string_view poll) {
    const auto* state = partition.find(poll_id(poll));
    return state ? state->tally.ballots() : 0;
  }

  samples::MemoryDisk disk;
  samples::MemoryIndex index{disk};
  Partition partition{model::PartitionImage{kHere, {}, {}, 0, 0, {}}, index};
};

const auto kPoll = samples::poll_of_one_question("poll");
const auto kOther = samples::poll_of_one_question("other");

std::string ballot(std::uint64_t voter, std::uint16_t option) {
  return Writer().ballot(kPoll.id, voter, choose(option));
}
std::string open(const model::PollDefinition& poll = kPoll) { return Writer().open(poll); }
std::string close(bool cancelled = false) { return Writer().close("poll", cancelled); }

model::PollDefinition poll_with_more_options() {
  auto poll = kPoll;
  poll.questions[0].options.push_back({"z", {"Option", ""}});
  return poll;
}

// A ballot with one field of its message changed.
template <class Change>
std::string broken_ballot(Change change) {
  v1::Record record;
  record.ParseFromString(ballot(1, 0));
  change(*record.mutable_ballot());
  return record.SerializeAsString();
}

struct Row {
  const char* name;
  std::vector<std::string> records;  // the last one is judged
  Effect effect;
  std::uint64_t ballots;  // counted for "poll", in the end
};

class ApplyTable : public testing::TestWithParam<Row> {};

TEST_P(ApplyTable, GivesEffectAndTally) {
  auto records = GetParam().records;
  const auto last = records.back();
  records.pop_back();
  Fed fed(records);
  EXPECT_EQ(fed.apply(last), GetParam().effect);
  EXPECT_EQ(fed.ballots("poll"), GetParam().ballots);
}

const std::vector<Row> kRows{
    {"open", {open()}, Effect::opened, 0},
    {"before_open", {ballot(1, 0)}, Effect::before_open, 0},
    {"before_open_is_not_counted_later", {ballot(1, 0), open()}, Effect::opened, 0},
    {"open_of_another_poll_opens_nothing_else",
     {open(kOther), ballot(1, 0)},
     Effect::before_open,
     0},
    {"counted", {open(), ballot(1, 0)}, Effect::counted, 1},
    {"tried_before_open_and_again", {ballot(1, 0), open(), ballot(1, 0)}, Effect::counted, 1},
    {"two_voters", {open(), ballot(1, 0), ballot(2, 0)}, Effect::counted, 2},
    {"duplicate_same_answers", {open(), ballot(1, 0), ballot(1, 0)}, Effect::duplicate, 1},
    {"duplicate_other_answers", {open(), ballot(1, 0), ballot(1, 1)}, Effect::duplicate, 1},
    {"after_close", {open(), close(), ballot(1, 0)}, Effect::after_close, 0},
    {"duplicate_after_close", {open(), ballot(1, 0), close(), ballot(1, 0)}, Effect::duplicate, 1},
    {"close", {open(), ballot(1, 0), close()}, Effect::closed, 1},
    {"close_of_an_unknown_poll", {close()}, Effect::invalid, 0},
    {"close_before_open_closes_nothing", {close(), open(), ballot(1, 0)}, Effect::counted, 1},
    {"second_open_is_ignored", {open(), ballot(1, 0), open()}, Effect::noted, 1},
    {"second_open_does_not_replace",
     {open(), open(poll_with_more_options()), ballot(1, 3)},
     Effect::invalid,
     0},
    {"second_close_is_ignored", {open(), close(), close(true)}, Effect::noted, 0},
    {"open_after_close_does_not_reopen",
     {open(), close(), open(), ballot(1, 0)},
     Effect::after_close,
     0},
    {"foreign_bytes", {open(), "no record at all"}, Effect::invalid, 0},
    {"no_bytes", {open(), ""}, Effect::invalid, 0},
    {"record_too_large", {open(), std::string(limits::kRecordBytes + 1, 'x')}, Effect::invalid, 0},
    {"unknown_kind_stops", {open(), samples::record_of_the_future()}, Effect::unknown_kind, 0},
    {"unknown_rules_stop", {Writer().open(kPoll, 2)}, Effect::unknown_kind, 0},
    {"rules_zero_stop", {Writer().open(kPoll, 0)}, Effect::unknown_kind, 0},
    {"genesis", {Writer().genesis()}, Effect::noted, 0},
    {"genesis_elsewhere_changes_nothing",
     {open(), ballot(1, 0), Writer().genesis()},
     Effect::noted,
     1},
    {"option_out_of_range", {open(), ballot(1, 3)}, Effect::invalid, 0},
    {"misfit_does_not_bar_its_voter", {open(), ballot(1, 3), ballot(1, 0)}, Effect::counted, 1},
    {"two_options_of_a_single_question",
     {open(), Writer().ballot(kPoll.id, 1, {{0, {{0, 0}, {1, 0}}}})},
     Effect::invalid,
     0},
    {"no_answer", {open(), Writer().ballot(kPoll.id, 1, {})}, Effect::invalid, 0},
    {"voter_key_too_short",
     {open(), broken_ballot([](auto& b) { b.set_voter_key("short"); })},
     Effect::invalid,
     0},
    {"digest_missing",
     {open(), broken_ballot([](auto& b) { b.clear_digest(); })},
     Effect::invalid,
     0},
    {"territory_malformed",
     {open(), broken_ballot([](auto& b) { b.set_territory("a b"); })},
     Effect::invalid,
     0},
    {"question_number_beyond_16_bits",
     {open(), broken_ballot(
                  [](auto& b) { b.mutable_answers()->mutable_answers(0)->set_question(65'536); })},
     Effect::invalid,
     0},
    {"option_number_beyond_16_bits",
     {open(), broken_ballot([](auto& b) {
        b.mutable_answers()->mutable_answers(0)->set_options(0, 65'536);
      })},
     Effect::invalid,
     0},
    {"points_without_points_question",
     {open(),
      broken_ballot([](auto& b) { b.mutable_answers()->mutable_answers(0)->add_points(1); })},
     Effect::invalid,
     0},
    {"control_record",
     {open(), Writer().change("poll", v1::POLL_ACTION_CLOSED)},
     Effect::invalid,
     0},
    {"territories_record", {open(), Writer().tree()}, Effect::invalid, 0},
    {"tail_without_a_hash",
     {[] {
       v1::Record record;
       record.mutable_noop();
       return Writer().stamp(record);
     }()},
     Effect::invalid,
     0},
};

INSTANTIATE_TEST_SUITE_P(Rules, ApplyTable, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

TEST(Apply, TellsADuplicateByWhichBallotItsVoterIsCounted) {
  Fed fed({open(), ballot(1, 0)});
  const auto applied = fed.partition.apply({2}, ballot(1, 1));
  EXPECT_EQ(applied.counted, (model::Counted{{1}, samples::digest_of(choose(0))}));
  EXPECT_EQ(fed.partition.duplicates(), 1u);
}

TEST(Apply, CountsWhatItSkips) {
  const Fed fed({"junk", open(), ballot(1, 9), ballot(1, 0)});
  EXPECT_EQ(fed.partition.invalid(), 2u);
  EXPECT_EQ(fed.partition.position().next, Offset{4});
}

TEST(Apply, DropsWhatItHasAppliedAndStopsAtAGap) {
  Fed fed({open(), ballot(1, 0)});
  const auto before = fed.partition.position();
  EXPECT_EQ(fed.partition.apply({1}, ballot(1, 0)).effect, Effect::already_applied);
  EXPECT_EQ(fed.partition.apply({0}, ballot(2, 0)).effect, Effect::already_applied);
  const auto gap = fed.partition.apply({3}, ballot(2, 0));
  EXPECT_EQ(gap.effect, Effect::gap);
  EXPECT_TRUE(gap.stops());
  EXPECT_EQ(fed.partition.position(), before);
  EXPECT_EQ(fed.ballots("poll"), 1u);
}

TEST(Apply, DoesNotMoveBehindARecordThatStopsIt) {
  Fed fed({open()});
  const auto before = fed.partition.position();
  EXPECT_TRUE(fed.partition.apply(before.next, samples::record_of_the_future()).stops());
  EXPECT_EQ(fed.partition.position(), before);
}

TEST(Apply, MarksACancelledPollAsSuch) {
  const Fed closed({open(), close()});
  EXPECT_FALSE(closed.partition.polls()[0]->cancelled);
  const Fed cancelled({open(), close(true)});
  EXPECT_TRUE(cancelled.partition.polls()[0]->cancelled);
}

TEST(Apply, CountsVotesAndPointsOfEveryKindByTerritory) {
  const auto poll = samples::poll_of_all_kinds("poll");
  const model::Answers answers{
      {0, {{2, 0}}}, {1, {{0, 0}, {3, 0}}}, {2, {{3, 0}, {1, 0}}}, {3, {{0, 4}, {2, 6}}}};
  Fed fed({open(poll), Writer().ballot(poll.id, 1, answers, "75701000"),
           Writer().ballot(poll.id, 2, answers, "75800000")});
  const auto& tally = fed.partition.find(poll.id)->tally;
  ASSERT_THAT(tally.territories(),
              testing::ElementsAre(samples::territory("75701000"), samples::territory("75800000")));
  for (const std::size_t place : {0, 1})
    EXPECT_THAT(tally.row(place),
                testing::ElementsAre(1,                       // ballots
                                     0, 0, 1,                 // single
                                     1, 0, 0, 1,              // approval
                                     0, 0, 1, 2, 0, 0, 1, 3,  // ranked: votes, points
                                     1, 4, 0, 0, 1, 6));      // points
}

// --- Tails -------------------------------------------------------------------------------------

TEST(Tail, ThatAgreesIsNoted) {
  Fed fed({open(), ballot(1, 0)});
  const auto seen = fed.partition.position();
  fed.apply(ballot(2, 0));
  EXPECT_EQ(fed.apply(Writer().noop(seen)), Effect::noted);
  EXPECT_EQ(fed.apply(Writer().noop({})), Effect::noted);  // of a writer that had applied nothing
}

TEST(Tail, ThatDiffersIsToldAndChangesNothing) {
  Fed fed({open(), ballot(1, 0)});
  const Fed elsewhere({open(), ballot(1, 1)});
  const auto applied = fed.partition.apply({2}, Writer().noop(elsewhere.partition.position()));
  EXPECT_EQ(applied.effect, Effect::diverged);
  EXPECT_FALSE(applied.stops());
  EXPECT_EQ(fed.partition.position().next, Offset{3});
  EXPECT_EQ(fed.partition.invalid(), 0u);
}

TEST(LastRecord, ReadAgainAfterACheckpointShowsWhetherTheLogIsTheSame) {
  Fed fed({open(), ballot(1, 0), ballot(2, 0)});
  const auto image = fed.partition.take_image();
  ASSERT_TRUE(image.before_last);
  Partition restored(image, fed.index);
  EXPECT_EQ(restored.apply({2}, ballot(2, 0)).effect, Effect::already_applied);
  EXPECT_EQ(restored.apply({1}, "anything").effect, Effect::already_applied);  // nobody knows
  EXPECT_EQ(restored.apply({2}, ballot(3, 0)).effect, Effect::diverged);
  EXPECT_EQ(restored.position(), image.position);
  EXPECT_EQ(restored.take_image().before_last, image.before_last);  // though nothing was applied
}

TEST(Tail, OfTheFutureIsInvalid) {
  Fed fed({open()});
  EXPECT_EQ(fed.apply(Writer().noop({{2}, {}})), Effect::invalid);
}

TEST(Tail, OlderThanTheKnownHistoryCannotBeCompared) {
  Fed fed({open()});
  const model::Position wrong{{1}, samples::bytes16<model::RollingHash>(7)};
  for (int i = 0; i < 16'383; ++i) fed.apply("junk");
  EXPECT_EQ(fed.apply(Writer().noop(wrong)), Effect::diverged);
  fed.apply("junk");
  EXPECT_EQ(fed.apply(Writer().noop(wrong)), Effect::noted);
}

TEST(Tail, FromBeforeTheCheckpointCannotBeCompared) {
  Fed fed({open(), ballot(1, 0)});
  Partition restored(fed.partition.take_image(), fed.index);
  const auto next = restored.position().next;
  const model::Position below{{0}, samples::bytes16<model::RollingHash>(7)};
  EXPECT_EQ(restored.apply(next, Writer().noop(below)).effect, Effect::noted);
  const model::Position at{next, samples::bytes16<model::RollingHash>(7)};
  EXPECT_EQ(restored.apply(next.plus(1), Writer().noop(at)).effect, Effect::diverged);
}

// --- Images ------------------------------------------------------------------------------------

TEST(Image, ContinuesAsIfThereHadBeenNoStop) {
  const auto poll = samples::poll_of_all_kinds("poll");
  const model::Answers answers{{0, {{2, 0}}}, {1, {{0, 0}}}, {2, {{3, 0}, {1, 0}}}, {3, {{0, 2}}}};
  Writer writer;
  std::vector<std::string> records{writer.open(poll), writer.open(kOther)};
  for (std::uint64_t v = 0; v < 20; ++v) {
    records.push_back(writer.ballot(poll.id, v % 15, answers, v % 2 ? "75701000" : "75800000"));
    records.push_back(v % 5 ? writer.ballot(kOther.id, v, choose(v % 4)) : "junk");
  }
  records.insert(records.begin() + 30, writer.close("other", true));

  const Fed whole(records);
  for (std::size_t stop = 0; stop <= records.size(); ++stop) {
    Fed first({records.begin(), records.begin() + static_cast<std::ptrdiff_t>(stop)});
    first.index.begin_checkpoint({first.partition.take_image()});
    first.index.finish_checkpoint();
    samples::MemoryIndex index(first.disk);
    Partition second(index.load(kHere), index);
    for (auto at = stop; at < records.size(); ++at) second.apply({at}, records[at]);

    ASSERT_EQ(second.position(), whole.partition.position());
    ASSERT_EQ(second.invalid(), whole.partition.invalid());
    ASSERT_EQ(second.duplicates(), whole.partition.duplicates());
    ASSERT_EQ(second.polls().size(), whole.partition.polls().size());
    for (std::size_t p = 0; p < second.polls().size(); ++p) {
      const auto &left = *second.polls()[p], &right = *whole.partition.polls()[p];
      ASSERT_EQ(left.tally.serialize(), right.tally.serialize());
      ASSERT_EQ(left.tally.ballots(), right.tally.ballots());
      ASSERT_EQ(*left.definition, *right.definition);
      ASSERT_EQ(std::tie(left.closed, left.cancelled, left.changes),
                std::tie(right.closed, right.cancelled, right.changes));
    }
  }
}

TEST(Image, HoldsOnlyThePollsThatChangedSinceTheLastOne) {
  Fed fed({open(), open(kOther)});
  EXPECT_EQ(fed.partition.take_image().polls.size(), 2u);
  EXPECT_EQ(fed.partition.take_image().polls.size(), 0u);
  fed.apply(ballot(1, 0));
  const auto image = fed.partition.take_image();
  ASSERT_EQ(image.polls.size(), 1u);
  EXPECT_EQ(image.polls[0].number, model::PollNumber{0});
  fed.apply(close());
  EXPECT_EQ(fed.partition.take_image().polls.size(), 1u);
}

// --- The format: these values are in every log and index ---------------------------------------

std::string hex(std::string_view bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

TEST(Format, RollingHashOfKnownRecords) {
  const auto one = model::roll({}, "veche");
  EXPECT_EQ(hex(one.view()), "75f98ece4c954d452febd65e96509368");
  EXPECT_EQ(hex(model::roll(one, "").view()), "4cf6936b0303057ce3d3764998cbfaa6");
}

TEST(Format, PartitionOfAKnownVoter) {
  EXPECT_EQ(model::partition_of(poll_id("poll"), samples::voter(1), 1'000), PartitionId{92});
}

}  // namespace
}  // namespace veche::apply
