#include "engine/apply/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/model/limits.h"
#include "tests/engine/samples.h"

namespace veche::apply {
namespace {

using model::PollPhase;
using samples::poll_id;
using samples::Writer;

struct FedControl {
  explicit FedControl(const std::vector<std::string>& records = {}) {
    for (const auto& record : records) apply(record);
  }
  ControlEffect apply(std::string_view record) {
    return control.apply(control.position().next, record).effect;
  }
  const model::PollEntry& entry() { return *control.directory()->find(poll_id("poll")); }
  Control control;
};

const auto kSample = samples::poll_of_one_question("poll");
constexpr auto kDrafted = v1::POLL_ACTION_DRAFTED;
constexpr auto kSubmitted = v1::POLL_ACTION_SUBMITTED;
constexpr auto kReturned = v1::POLL_ACTION_RETURNED;
constexpr auto kApproved = v1::POLL_ACTION_APPROVED;
constexpr auto kOpened = v1::POLL_ACTION_OPENED;
constexpr auto kClosed = v1::POLL_ACTION_CLOSED;
constexpr auto kCertified = v1::POLL_ACTION_CERTIFIED;
constexpr auto kCancelled = v1::POLL_ACTION_CANCELLED;

using Records = std::vector<std::string>;

std::string tree() { return Writer().tree(); }
std::string draft(const model::PollDefinition& poll = kSample, std::uint32_t based_on = 0) {
  return Writer().draft(poll, based_on);
}
std::string change(v1::PollAction action, std::uint32_t based_on = 1,
                   std::string_view by = "approver boris") {
  return Writer().change("poll", action, based_on, by);
}
std::string submit(std::string_view by = "moderator anna") { return change(kSubmitted, 1, by); }
std::string certify() { return Writer().certificate_part("poll", 0, true, "bytes"); }

// What brings the poll into a phase, as straight as it goes.
Records until(PollPhase phase) {
  Records records{tree(), draft()};
  const std::vector<std::pair<PollPhase, std::string>> steps{
      {PollPhase::submitted, submit()},
      {PollPhase::scheduled, change(kApproved)},
      {PollPhase::open, change(kOpened)},
      {PollPhase::closed, change(kClosed)},
      {PollPhase::certified, certify()}};
  if (phase == PollPhase::cancelled) {
    records.push_back(change(kCancelled));
    return records;
  }
  for (const auto& [leads_to, record] : steps)
    if (leads_to <= phase) records.push_back(record);
  return records;
}
Records until(PollPhase phase, const Records& more) {
  auto records = until(phase);
  records.insert(records.end(), more.begin(), more.end());
  return records;
}

model::PollDefinition poll_with(void (*change)(model::PollDefinition&)) {
  auto poll = kSample;
  change(poll);
  return poll;
}

struct ControlRow {
  const char* name;
  std::vector<std::string> records;  // the last one is judged
  ControlEffect effect;
  std::optional<PollPhase> phase;  // of "poll", in the end
};

class ControlTable : public testing::TestWithParam<ControlRow> {};

TEST_P(ControlTable, GivesEffectAndPhase) {
  auto records = GetParam().records;
  const auto last = records.back();
  records.pop_back();
  FedControl fed(records);
  EXPECT_EQ(fed.apply(last), GetParam().effect);
  const auto entry = fed.control.directory()->find(poll_id("poll"));
  EXPECT_EQ(entry ? std::optional(entry->phase) : std::nullopt, GetParam().phase);
}

constexpr auto kChanged = ControlEffect::poll_changed;
constexpr auto kVoid = ControlEffect::void_change;
constexpr auto kInvalid = ControlEffect::invalid;

const std::vector<ControlRow> kControlRows{
    {"drafted", {tree(), draft()}, kChanged, PollPhase::draft},
    {"drafted_twice", {tree(), draft(), draft()}, kVoid, PollPhase::draft},
    {"drafted_without_a_tree", {draft()}, kInvalid, std::nullopt},
    {"drafted_for_a_later_tree",
     {tree(), draft(poll_with([](auto& p) { p.tree_version = 2; }))},
     kInvalid,
     std::nullopt},
    {"drafted_for_tree_zero",
     {tree(), draft(poll_with([](auto& p) { p.tree_version = 0; }))},
     kInvalid,
     std::nullopt},
    {"drafted_without_questions",
     {tree(), draft(poll_with([](auto& p) { p.questions.clear(); }))},
     kInvalid,
     std::nullopt},
    {"drafted_under_another_id",
     {tree(),
      [] {
        v1::Record record;
        record.ParseFromString(draft());
        record.mutable_poll_change()->set_poll("another");
        return record.SerializeAsString();
      }()},
     kInvalid,
     std::nullopt},
    {"edited_without_questions",
     {tree(), draft(), draft(poll_with([](auto& p) { p.questions.clear(); }), 1)},
     kInvalid,
     PollPhase::draft},
    {"edited_before_it_was_drafted", {tree(), draft(kSample, 1)}, kVoid, std::nullopt},
    {"edited_from_another_version", {tree(), draft(), draft(kSample, 2)}, kVoid, PollPhase::draft},
    {"submitted_in_another_version",
     {tree(), draft(), draft(kSample, 1), submit()},
     kVoid,
     PollPhase::draft},
    {"opened_before_there_is_a_poll", {tree(), change(kOpened)}, kVoid, std::nullopt},
    {"certified_by_a_change_of_phase", until(PollPhase::closed, {change(kCertified)}), kVoid,
     PollPhase::closed},
    {"certified_from_another_version",
     until(PollPhase::closed, {Writer().certificate_part("poll", 0, true, "bytes", 2)}), kVoid,
     PollPhase::closed},
    {"certified_without_a_hash", until(PollPhase::closed, {[] {
                                         v1::Record record;
                                         record.ParseFromString(certify());
                                         record.mutable_certificate()->set_sha256("short");
                                         return record.SerializeAsString();
                                       }()}),
     kInvalid, PollPhase::closed},
    {"approved_by_its_author", until(PollPhase::submitted, {change(kApproved, 1, "approver anna")}),
     kVoid, PollPhase::submitted},
    {"approved_by_the_author_of_an_earlier_version",
     {tree(), draft(), Writer().draft(kSample, 1, "moderator dina"),
      change(kSubmitted, 2, "moderator dina"), change(kApproved, 2, "approver anna")},
     kVoid,
     PollPhase::submitted},
    {"approved_by_who_submitted_it",
     {tree(), draft(), submit("moderator boris"), change(kApproved)},
     kVoid,
     PollPhase::submitted},
    {"approved_by_who_returned_it",
     until(PollPhase::submitted, {change(kReturned), submit(), change(kApproved)}), kChanged,
     PollPhase::scheduled},
    {"based_on_another_version", until(PollPhase::scheduled, {change(kOpened, 2)}), kVoid,
     PollPhase::scheduled},
    {"based_on_nothing", until(PollPhase::scheduled, {change(kOpened, 0)}), kVoid,
     PollPhase::scheduled},
    {"cancelled_while_open", until(PollPhase::open, {change(kCancelled)}), kChanged,
     PollPhase::cancelled},
    {"audited", until(PollPhase::open, {Writer().audit("poll")}), ControlEffect::poll_read,
     PollPhase::open},
    {"audited_where_there_is_no_poll", {tree(), Writer().audit("poll")}, kVoid, std::nullopt},
    {"unknown_action_stops", until(PollPhase::scheduled, {change(static_cast<v1::PollAction>(99))}),
     ControlEffect::unknown_kind, PollPhase::scheduled},
    {"unspecified_action", until(PollPhase::scheduled, {change(v1::POLL_ACTION_UNSPECIFIED)}),
     kVoid, PollPhase::scheduled},
    {"malformed_poll_id", {tree(), Writer().change("No Poll", kOpened)}, kInvalid, std::nullopt},
    {"foreign_bytes", {tree(), "junk"}, kInvalid, std::nullopt},
    {"unknown_kind_stops",
     {tree(), samples::record_of_the_future()},
     ControlEffect::unknown_kind,
     std::nullopt},
    {"ballot",
     {tree(), Writer().ballot(kSample.id, 1, samples::choose(0))},
     kInvalid,
     std::nullopt},
    {"open_record", {tree(), Writer().open(kSample)}, kInvalid, std::nullopt},
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

INSTANTIATE_TEST_SUITE_P(Rules, ControlTable, testing::ValuesIn(kControlRows),
                         [](const auto& row) { return row.param.name; });

// --- Every phase and every action --------------------------------------------------------------

TEST(Life, GoesWhereThisTableSaysAndNowhereElse) {
  const std::map<std::pair<PollPhase, v1::PollAction>, PollPhase> leads_to{
      {{PollPhase::draft, kDrafted}, PollPhase::draft},
      {{PollPhase::draft, kSubmitted}, PollPhase::submitted},
      {{PollPhase::draft, kCancelled}, PollPhase::cancelled},
      {{PollPhase::submitted, kReturned}, PollPhase::draft},
      {{PollPhase::submitted, kApproved}, PollPhase::scheduled},
      {{PollPhase::submitted, kCancelled}, PollPhase::cancelled},
      {{PollPhase::scheduled, kOpened}, PollPhase::open},
      {{PollPhase::scheduled, kCancelled}, PollPhase::cancelled},
      {{PollPhase::open, kClosed}, PollPhase::closed},
      {{PollPhase::open, kCancelled}, PollPhase::cancelled},
      {{PollPhase::closed, kCertified}, PollPhase::certified},
  };
  for (const auto phase :
       {PollPhase::draft, PollPhase::submitted, PollPhase::scheduled, PollPhase::open,
        PollPhase::closed, PollPhase::certified, PollPhase::cancelled})
    for (const auto action :
         {kDrafted, kSubmitted, kReturned, kApproved, kOpened, kClosed, kCertified, kCancelled}) {
      FedControl fed(until(phase));
      ASSERT_EQ(fed.entry().phase, phase);
      const auto record = action == kDrafted     ? draft(kSample, 1)
                          : action == kCertified ? certify()
                                                 : change(action);
      const auto expected = leads_to.find({phase, action});
      const bool leads = expected != leads_to.end();
      EXPECT_EQ(fed.apply(record), leads ? kChanged : kVoid) << name(phase) << ' ' << action;
      EXPECT_EQ(fed.entry().phase, leads ? expected->second : phase)
          << name(phase) << ' ' << action;
    }
}

TEST(Life, AnEditIsANewVersionAndNothingElseIs) {
  FedControl fed({tree(), draft()});
  EXPECT_EQ(fed.entry().version, 1u);
  auto other = kSample;
  other.title.ru = "Another";
  fed.apply(draft(other, 1));
  EXPECT_EQ(fed.entry().version, 2u);
  EXPECT_EQ(fed.entry().definition->title.ru, "Another");
  for (const auto action : {kSubmitted, kReturned, kSubmitted, kApproved, kOpened, kClosed})
    EXPECT_EQ(fed.apply(change(action, 2, action == kSubmitted ? "moderator anna" : "x boris")),
              kChanged);
  EXPECT_EQ(fed.entry().version, 2u);
}

TEST(Life, GoesRoundWithinItsLimitAndCanStillBeEnded) {
  FedControl fed({tree(), draft()});
  for (std::size_t changes = 1; changes < limits::kDraftChanges; ++changes)
    ASSERT_EQ(fed.apply(fed.entry().phase == PollPhase::draft ? submit() : change(kReturned)),
              kChanged);
  ASSERT_EQ(fed.entry().phase, PollPhase::submitted);
  EXPECT_EQ(fed.apply(change(kReturned)), kVoid);
  EXPECT_EQ(fed.apply(change(kApproved)), kChanged);
}

TEST(Life, KnowsWhetherAPollWasApproved) {
  EXPECT_FALSE(FedControl(until(PollPhase::draft)).entry().was_approved);
  EXPECT_FALSE(FedControl(until(PollPhase::submitted)).entry().was_approved);
  EXPECT_FALSE(FedControl(until(PollPhase::submitted, {change(kCancelled)})).entry().was_approved);
  EXPECT_TRUE(FedControl(until(PollPhase::scheduled)).entry().was_approved);
  EXPECT_TRUE(FedControl(until(PollPhase::scheduled, {change(kCancelled)})).entry().was_approved);
}

std::vector<std::string_view> events_of(const model::History& history) {
  std::vector<std::string_view> events;
  for (const auto& row : history.rows) events.push_back(name(row.event));
  return events;
}

TEST(History, TellsWhatHeldInTheOrderOfTheLog) {
  FedControl fed(until(PollPhase::submitted,
                {Writer().change("poll", kReturned, 1, "approver boris", "too long"), submit(),
                 change(kApproved, 1, "approver anna"), change(kApproved), change(kOpened, 1),
                 Writer().audit("poll"), change(kOpened), change(kClosed, 1, "clock"), certify()}));
  const auto& history = *fed.entry().history;
  EXPECT_THAT(events_of(history),
              testing::ElementsAre("drafted", "submitted", "returned", "submitted", "approved",
                                   "opened", "audited", "closed", "certified"));
  const auto& returned = history.rows[2];
  EXPECT_EQ(returned.by, "approver boris");
  EXPECT_EQ(returned.reason, "too long");
  EXPECT_EQ(returned.version, 1u);
  EXPECT_EQ(returned.at, samples::kEpoch);
  EXPECT_EQ(history.rows[7].by, "clock");
}

TEST(History, KeepsTheLastLooksAndEverythingElse) {
  FedControl fed(until(PollPhase::open));
  for (std::size_t i = 0; i <= limits::kAuditsTold; ++i)
    fed.apply(Writer().audit("poll", "auditor v" + std::to_string(i)));
  fed.apply(change(kClosed));
  const auto& history = *fed.entry().history;
  EXPECT_EQ(history.audits, limits::kAuditsTold + 1);
  ASSERT_EQ(history.rows.size(), 4 + limits::kAuditsTold + 1);
  EXPECT_EQ(history.rows[3].event, model::Event::opened);
  EXPECT_EQ(history.rows[4].by, "auditor v1");
  EXPECT_EQ(history.rows.back().event, model::Event::closed);
}

TEST(Control, RemembersThatACancelledPollWasOpen) {
  EXPECT_FALSE(FedControl(until(PollPhase::scheduled, {change(kCancelled)})).entry().was_open);
  FedControl open(until(PollPhase::open, {change(kCancelled)}));
  EXPECT_TRUE(open.entry().was_open);
  EXPECT_EQ(open.entry().changed_at, model::Offset{5});
}

TEST(Control, ChangesNoDirectoryThatWasHandedOut) {
  FedControl fed(until(PollPhase::scheduled));
  const auto before = fed.control.directory();
  fed.apply(change(kOpened));
  EXPECT_EQ(before->find(kSample.id)->phase, PollPhase::scheduled);
  EXPECT_EQ(fed.entry().phase, PollPhase::open);
}

TEST(Control, DropsWhatItHasAppliedAndStopsAtAGap) {
  FedControl fed({tree(), draft()});
  const auto before = fed.control.position();
  EXPECT_EQ(fed.control.apply({1}, submit()).effect, ControlEffect::already_applied);
  EXPECT_TRUE(fed.control.apply({3}, submit()).stops());
  EXPECT_EQ(fed.control.position(), before);
}

TEST(Control, RollsOverEveryRecordThatItPasses) {
  const auto junk = std::string("junk");
  FedControl fed({tree(), junk});
  EXPECT_EQ(fed.control.position().hash, model::roll(model::roll({}, tree()), junk));
}

// --- Certificates in parts ---------------------------------------------------------------------

TEST(CertificateParts, InOrderMakeACertificateForEver) {
  Writer writer;
  FedControl fed(until(PollPhase::closed));
  EXPECT_EQ(fed.apply(writer.certificate_part("poll", 0, false, "one ")), ControlEffect::noted);
  EXPECT_EQ(fed.entry().phase, PollPhase::closed);
  EXPECT_EQ(fed.entry().certificate, nullptr);
  EXPECT_EQ(fed.apply(writer.certificate_part("poll", 1, true, "two")), kChanged);
  EXPECT_EQ(fed.entry().phase, PollPhase::certified);
  const auto& certificate = *fed.entry().certificate;
  EXPECT_EQ(certificate.compressed, "one two");
  EXPECT_EQ(certificate.sha256, std::string(32, 's'));
  EXPECT_EQ(certificate.by, "certifier gleb");
  EXPECT_EQ(certificate.at, samples::kEpoch);
  EXPECT_EQ(fed.apply(Writer(2).certificate_part("poll", 0, true, "other")), kVoid);
  EXPECT_EQ(fed.entry().certificate->compressed, "one two");
}

TEST(CertificateParts, OfTwoWritersAreNotMixed) {
  Writer first(1), second(2);
  FedControl fed(until(PollPhase::closed));
  fed.apply(first.certificate_part("poll", 0, false, "a"));
  fed.apply(second.certificate_part("poll", 0, false, "b"));
  EXPECT_EQ(fed.apply(first.certificate_part("poll", 1, true, "a")), kVoid);
  EXPECT_EQ(fed.apply(second.certificate_part("poll", 1, true, "b")), kChanged);
  EXPECT_EQ(fed.entry().certificate->compressed, "bb");
}

TEST(CertificateParts, OfTwoCertifiersAtOneNodeAreNotMixed) {
  Writer writer;
  const auto first = writer.certificate_part("poll", 0, false, "a");
  const auto first_end = writer.certificate_part("poll", 1, true, "a");
  const auto second = writer.certificate_part("poll", 0, false, "b");
  const auto second_end = writer.certificate_part("poll", 1, true, "b");
  FedControl fed(until(PollPhase::closed));
  fed.apply(first);
  fed.apply(second);
  EXPECT_EQ(fed.apply(first_end), kVoid);
  EXPECT_EQ(fed.apply(second_end), kChanged);
  EXPECT_EQ(fed.entry().certificate->compressed, "bb");
}

TEST(CertificateParts, ThatLackOneMakeNone) {
  Writer writer;
  FedControl fed(until(PollPhase::closed));
  fed.apply(writer.certificate_part("poll", 0, false, "a"));
  writer.certificate_part("poll", 1, false, "lost");
  EXPECT_EQ(fed.apply(writer.certificate_part("poll", 2, true, "c")), kVoid);
  EXPECT_EQ(fed.entry().phase, PollPhase::closed);
}

TEST(CertificateParts, TogetherTooLargeMakeNone) {
  Writer writer;
  FedControl fed(until(PollPhase::closed));
  const std::string part(limits::kCertificatePartBytes, 'x');
  const auto fitting = limits::kCertificateBytes / part.size();
  for (std::uint32_t p = 0; p < fitting; ++p)
    ASSERT_EQ(fed.apply(writer.certificate_part("poll", p, false, part)), ControlEffect::noted);
  EXPECT_EQ(fed.apply(writer.certificate_part("poll", fitting, true, part)), kVoid);
}

// --- Trees in parts ----------------------------------------------------------------------------

std::string half(int which) {
  const auto middle = samples::kTreeCsv.size() / 2;
  return std::string(which == 0 ? samples::kTreeCsv.substr(0, middle)
                                : samples::kTreeCsv.substr(middle));
}

TEST(TreeParts, InOrderMakeATree) {
  Writer writer;
  FedControl fed;
  EXPECT_EQ(fed.apply(writer.tree_part(1, 0, false, half(0))), ControlEffect::noted);
  EXPECT_TRUE(fed.control.directory()->trees.empty());
  EXPECT_EQ(fed.apply(writer.tree_part(1, 1, true, half(1))), ControlEffect::tree_added);
  EXPECT_EQ(fed.control.directory()->trees[0].tree->size(), 4u);
}

TEST(TreeParts, OutOfOrderMakeNone) {
  Writer writer;
  FedControl fed;
  EXPECT_EQ(fed.apply(writer.tree_part(1, 1, true, half(1))), kVoid);
  EXPECT_EQ(fed.apply(writer.tree_part(1, 0, false, half(0))), ControlEffect::noted);
  EXPECT_EQ(fed.apply(writer.tree_part(1, 2, true, half(1))), kVoid);
  EXPECT_TRUE(fed.control.directory()->trees.empty());
}

TEST(TreeParts, OfAWriterThatDiedAreDropped) {
  FedControl fed;
  fed.apply(Writer(1).tree_part(1, 0, false, "oktmo8,name,kind"));
  Writer second(2);
  fed.apply(second.tree_part(1, 0, false, half(0)));
  EXPECT_EQ(fed.apply(second.tree_part(1, 1, true, half(1))), ControlEffect::tree_added);
}

TEST(TreeParts, OfTwoWritersAreNotMixed) {
  Writer first(1), second(2);
  FedControl fed;
  fed.apply(first.tree_part(1, 0, false, half(0)));
  fed.apply(second.tree_part(1, 0, false, half(0)));
  EXPECT_EQ(fed.apply(first.tree_part(1, 1, true, half(1))), kVoid);
  EXPECT_EQ(fed.apply(second.tree_part(1, 1, true, half(1))), ControlEffect::tree_added);
}

TEST(TreeParts, TogetherTooLargeMakeNone) {
  Writer writer;
  FedControl fed;
  const std::string part(limits::kTerritoriesPartBytes, 'x');
  const auto fitting = limits::kTreeBodyBytes / part.size();
  for (std::uint32_t p = 0; p < fitting; ++p)
    ASSERT_EQ(fed.apply(writer.tree_part(1, p, false, part)), ControlEffect::noted);
  EXPECT_EQ(fed.apply(writer.tree_part(1, fitting, true, part)), kVoid);
}

// --- The tree of a poll ------------------------------------------------------------------------

// Of two trees the record names the first, though by the rule of today its day has the second: what
// was decided stays, whoever decided it and by which rule.
FedControl drafted_on(std::string_view tree_day) {
  v1::Record record;
  record.ParseFromString(draft());
  record.mutable_poll_change()->set_tree_day(std::string(tree_day));
  FedControl fed({tree(), Writer().tree_part(2, 0, true, samples::kTreeCsv, "2026-06-01")});
  EXPECT_EQ(fed.apply(record.SerializeAsString()), ControlEffect::poll_changed) << tree_day;
  return fed;
}

TEST(TreeOfAPoll, IsTheVersionThatTheRecordNames) {
  for (const auto* day : {"", "2027-01-01", "2026-01-01", "soon"}) {
    auto fed = drafted_on(day);
    const auto directory = fed.control.directory();
    EXPECT_EQ(fed.entry().tree, directory->trees[0].tree) << day;
    EXPECT_EQ(fed.entry().tree_day, model::parse_date(day)) << day;
  }
}

TEST(TreeOfAPoll, IsChosenAnewWithAnotherDefinition) {
  auto fed = drafted_on("2027-01-01");
  auto poll = kSample;
  poll.tree_version = 2;
  EXPECT_EQ(fed.apply(draft(poll, 1)), ControlEffect::poll_changed);
  EXPECT_EQ(fed.entry().tree, fed.control.directory()->trees[1].tree);
  EXPECT_FALSE(fed.entry().tree_day) << "an older program has edited it, and says no day";
}

TEST(ControlTail, IsHeldAgainstWhatWasApplied) {
  FedControl fed({tree(), draft()});
  const FedControl elsewhere({tree(), change(kOpened)});
  EXPECT_EQ(fed.apply(Writer().noop(fed.control.position())), ControlEffect::noted);
  EXPECT_EQ(fed.apply(Writer().noop({{9}, {}})), kInvalid) << "it speaks of the future";
  EXPECT_EQ(fed.apply(Writer().noop(elsewhere.control.position())), ControlEffect::diverged);
}

}  // namespace
}  // namespace veche::apply
