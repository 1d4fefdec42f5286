// Steward and Shard where one lost record, or one order of events, would leave somebody waiting
// for ever. The log is played by hand: what was appended comes back when the test says so.
#include "engine/node/steward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/model/limits.h"
#include "engine/node/shard.h"
#include "tests/engine/samples.h"

namespace veche::node {
namespace {

using model::AppendStatus;
using model::Instant;
using model::kControl;
using model::Offset;
using model::Outcome;
using model::PartitionId;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

constexpr PartitionId kFirst{0};

class HandLog final : public model::Log {
 public:
  explicit HandLog(bool sole_writer) : sole_writer_(sole_writer) {}
  std::uint16_t partitions() const override { return 1; }
  model::LogId id() const override { return {}; }
  bool sole_writer() const override { return sole_writer_; }
  AppendStatus append(PartitionId, model::RecordBatch records) override {
    if (status == AppendStatus::queued)
      for (const auto record : records) on_its_way.emplace_back(record);
    return status;
  }
  void consume(PartitionId, Offset, model::LogSink&) override {}
  model::LogEnd end(PartitionId) const override { return known_end; }
  std::string trouble(model::PartitionId) const override { return {}; }
  void abandon_replay() override {}
  void close() override {}

  // What is on its way, taken out: delivered by the test, or lost.
  std::vector<std::string> take() { return std::exchange(on_its_way, {}); }

  AppendStatus status = AppendStatus::queued;
  model::LogEnd known_end{};
  std::vector<std::string> on_its_way;

 private:
  const bool sole_writer_;
};

bool is_hello(const std::string& bytes) {
  v1::Record record;
  return record.ParseFromString(bytes) && record.has_hello();
}

model::RecordBatch batch(const std::vector<std::string>& records) {
  model::RecordBatch batch;
  for (const auto& record : records) batch.push(record);
  return batch;
}

class StewardTest : public testing::Test, protected StewardEvents {
 protected:
  explicit StewardTest(bool sole_writer = false) : log_(sole_writer) { steward_.say_hello(now_); }

  void deliver(const std::vector<std::string>& records) {
    const auto first = steward_.position().next;
    durable_ = proving_ ? first.plus(records.size()) : durable_;
    steward_.deliver(first, batch(records), durable_, now_);
    steward_.flush();
  }
  // Everything that the steward wrote comes back.
  void round() {
    steward_.flush();
    deliver(log_.take());
  }
  std::vector<std::string> tree_and_poll() const {
    samples::Writer writer(9);
    auto records = writer.schedule(poll_);
    records.insert(records.begin(), writer.tree());
    return records;
  }
  PollChangeRequest draft_request() const {
    return {poll_.id,
            v1::POLL_ACTION_DRAFTED,
            std::make_shared<const model::PollDefinition>(poll_),
            "moderator anna",
            "",
            0};
  }
  void serve_a_poll() {
    deliver(tree_and_poll());
    round();
    ASSERT_TRUE(steward_.serving());
  }
  void pass(std::chrono::milliseconds time) {
    now_ += time;
    steward_.tick(now_);
    steward_.flush();
  }

  void directory_changed(std::shared_ptr<const model::Directory> directory,
                         const std::vector<model::PollId>&) override {
    published_ = std::move(directory);
  }
  void serving(PartitionId, const model::Position&) override {}
  void fatal(PartitionId, StopReason reason, const std::string&) override { stopped_ = reason; }

  void TearDown() override { EXPECT_EQ(stopped_, may_stop_); }

  Instant now_ = samples::kEpoch - 1h;
  bool proving_ = true;  // what is delivered is durable
  Offset durable_;
  std::optional<StopReason> stopped_, may_stop_;
  model::PollDefinition poll_ = samples::poll_of_one_question("poll");
  HandLog log_;
  std::shared_ptr<const model::Directory> published_ = std::make_shared<model::Directory>();
  Steward steward_{log_, model::RecordWriter(samples::boot(1), 0), samples::boot(2), *this};
};

TEST_F(StewardTest, ServesAfterItsHelloWasRefused) {
  log_.status = AppendStatus::full;
  steward_.flush();
  log_.status = AppendStatus::queued;
  pass(50ms);
  round();
  EXPECT_TRUE(steward_.serving());
}

TEST_F(StewardTest, ServesAfterItsHelloWasLost) {
  steward_.flush();
  log_.take();
  pass(10s);
  round();
  EXPECT_TRUE(steward_.serving());
}

TEST_F(StewardTest, PublishesTheDirectoryBeforeItAnswersBehindABarrier) {
  round();
  bool seen = false;
  steward_.barrier(
      [&](bool passed, Instant) { seen = passed && published_->find(poll_.id) != nullptr; }, now_);
  steward_.flush();
  auto records = log_.take();
  const auto others = tree_and_poll();
  records.insert(records.begin(), others.begin(), others.end());
  deliver(records);
  EXPECT_TRUE(seen);
}

TEST_F(StewardTest, PublishesTheDirectoryBeforeItSaysThatAPollIsMade) {
  deliver({samples::Writer().tree()});
  round();
  bool seen = false;
  steward_.change(
      draft_request(), [&](ChangeResult) { seen = published_->find(poll_.id) != nullptr; }, now_);
  round();
  EXPECT_TRUE(seen);
}

TEST_F(StewardTest, WritesALostBarrierAgain) {
  round();
  steward_.barrier([](bool, Instant) {}, now_);
  steward_.flush();
  log_.take();
  pass(7s);
  int done = 0;
  steward_.barrier([&](bool passed, Instant) { done += passed; }, now_);
  pass(3s);
  round();
  EXPECT_EQ(done, 1);
}

TEST_F(StewardTest, GivesUpWhatWaitsBehindABarrierTooLong) {
  round();
  std::vector<bool> passed;
  steward_.barrier([&](bool in_time, Instant) { passed.push_back(in_time); }, now_);
  log_.status = AppendStatus::unavailable;
  steward_.flush();
  pass(7s);
  EXPECT_THAT(passed, IsEmpty());
  pass(2s);
  EXPECT_THAT(passed, ElementsAre(false));
  log_.status = AppendStatus::queued;
  pass(1s);
  round();
  EXPECT_THAT(passed, ElementsAre(false));
}

// Each of them waits for something new while it is told.
TEST_F(StewardTest, TellsThoseWhoAskAgainWhileTheyAreTold) {
  round();
  constexpr int kAskers = 100;
  int passed = 0, given_up = 0;
  const auto ask = [&](const auto& self) -> void {
    steward_.barrier(
        [&, self](bool in_time, Instant) {
          if (!in_time && ++given_up <= kAskers) return self(self);
          passed += in_time;
        },
        now_);
  };
  for (int i = 0; i < kAskers; ++i) ask(ask);
  steward_.flush();
  log_.take();
  pass(9s);
  EXPECT_EQ(given_up, kAskers);
  for (int rounds = 0; rounds < 3; ++rounds) round();
  EXPECT_EQ(passed, kAskers);
}

TEST_F(StewardTest, WritesOneBarrierForAllWhoComeDuringARoundTrip) {
  round();
  constexpr int kRoundTrips = 20, kAskersEach = 1'000;
  int passed = 0;
  std::size_t written = 0;
  for (int trip = 0; trip < kRoundTrips; ++trip) {
    for (int i = 0; i < kAskersEach; ++i)
      steward_.barrier([&](bool in_time, Instant) { passed += in_time; }, now_);
    steward_.flush();
    written += log_.on_its_way.size();
    deliver(log_.take());
  }
  EXPECT_LE(written, std::size_t{kRoundTrips});
  round();
  round();
  EXPECT_EQ(passed, kRoundTrips * kAskersEach);
}

// What is applied then may be older than the question.
TEST_F(StewardTest, LetsWhoComesWhileABarrierIsOnItsWayWaitForTheNextOne) {
  round();
  std::vector<int> passed;
  const auto ask = [&](int who) {
    steward_.barrier([&, who](bool, Instant) { passed.push_back(who); }, now_);
  };
  ask(1);
  steward_.flush();
  const auto first = log_.take();
  ask(2);
  deliver(first);
  EXPECT_THAT(passed, ElementsAre(1));
  round();
  EXPECT_THAT(passed, ElementsAre(1, 2));
}

TEST_F(StewardTest, DoesNothingByTheClockUntilTheOthersCouldAnswerItsHello) {
  now_ = samples::kEpoch;
  serve_a_poll();
  pass(1'900ms);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::scheduled);
  pass(100ms);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::open);
}

TEST_F(StewardTest, AsksTheOthersForTheTimeWhenItsClockWasSet) {
  serve_a_poll();
  samples::Writer first(3), second(4);
  deliver({first.hello(5, {}, now_), second.hello(6, {}, now_)});
  log_.take();
  now_ = samples::kEpoch + 1h;  // an hour too early
  steward_.clock_stepped(now_);
  steward_.flush();
  const auto asked = log_.take();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(is_hello(asked[0]));
  deliver(asked);
  log_.known_end = {steward_.position().next, now_};
  deliver({first.noop({}, now_ - 1h), second.noop({}, now_ - 1h)});
  pass(3s);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::scheduled);
}

// Brokers are away, the clock jumps, brokers are back: nothing is known of the time until then.
TEST_F(StewardTest, DoesNotTrustASetClockBeforeTheOthersCouldHearIt) {
  serve_a_poll();
  log_.status = AppendStatus::unavailable;
  now_ = samples::kEpoch + 1h;
  steward_.clock_stepped(now_);
  steward_.flush();
  for (int seconds = 0; seconds < 30; ++seconds) pass(1s);
  log_.status = AppendStatus::queued;
  pass(250ms);
  auto asked = log_.take();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(is_hello(asked[0]));
  pass(9s);  // it was lost
  asked = log_.take();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(is_hello(asked[0]));
  deliver(asked);
  pass(1'900ms);
  EXPECT_THAT(log_.take(), IsEmpty()) << "an answer may be on its way";
  pass(100ms);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::open) << "nobody is there";
}

TEST_F(StewardTest, DoesNotTakeAnOlderHelloForOneAboutItsNewClock) {
  steward_.flush();
  const auto first = log_.take();
  now_ = samples::kEpoch + 1h;
  steward_.clock_stepped(now_);
  steward_.flush();
  const auto asked = log_.take();
  deliver(tree_and_poll());
  deliver(first);
  pass(3s);
  EXPECT_THAT(log_.take(), IsEmpty());
  deliver(asked);
  pass(2s);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::open);
}

TEST_F(StewardTest, AsksForTheTimeUntilOneOfThoseWhoWereThereAnswers) {
  samples::Writer other(3);
  deliver({other.hello(5, {}, now_)});
  serve_a_poll();
  deliver({other.noop({}, now_)});
  now_ = samples::kEpoch + 1h;
  steward_.clock_stepped(now_);
  round();
  for (int times = 0; times < 3; ++times) {
    pass(9s);
    const auto asked = log_.take();
    ASSERT_EQ(asked.size(), 1u) << "it opens nothing";
    EXPECT_TRUE(is_hello(asked[0]));
  }
  log_.known_end = {steward_.position().next, now_};
  deliver({other.noop({}, now_ - 1h)});
  EXPECT_TRUE(steward_.clock_is_off(now_));
  pass(9s);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::scheduled);
}

TEST_F(StewardTest, GoesByItsOwnClockWhenTheOthersAreSilentForGood) {
  serve_a_poll();
  deliver({samples::Writer(3).hello(5, {}, now_)});
  now_ = samples::kEpoch;
  steward_.clock_stepped(now_);
  round();
  const auto asked_at = now_;
  while (now_ < asked_at + limits::kPeerMemory - 9s) {
    pass(9s);
    round();
    ASSERT_EQ(published_->find(poll_.id)->phase, model::PollPhase::scheduled);
  }
  pass(9s);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::open);
}

TEST_F(StewardTest, OpensByTheClockEvenIfTheFirstTryIsLost) {
  serve_a_poll();
  now_ = samples::kEpoch;
  pass(0ms);
  EXPECT_THAT(log_.take(), testing::Not(IsEmpty()));
  pass(1s);
  EXPECT_THAT(log_.take(), IsEmpty());
  pass(10s);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::open);
}

TEST_F(StewardTest, IsDoneWithOpeningWhenEveryPartitionIsOpenOrClosedAgain) {
  for (const bool closed : {false, true}) {
    poll_.id = samples::poll_id(closed ? "closed" : "open");
    deliver(tree_and_poll());
    round();
    std::optional<ChangeOutcome> outcome;
    steward_.change(
        {poll_.id, v1::POLL_ACTION_OPENED, nullptr, "test", ""},
        [&](ChangeResult result) { outcome = result.outcome; }, now_);
    round();
    EXPECT_EQ(outcome, std::nullopt);
    steward_.settled(kFirst, poll_.id, closed);
    EXPECT_EQ(outcome, ChangeOutcome::done);
  }
}

TEST_F(StewardTest, SaysThatAChangeIsDoneOnlyWhenItIsDurable) {
  deliver({samples::Writer().tree()});
  round();
  std::optional<ChangeOutcome> outcome;
  proving_ = false;
  steward_.change(
      draft_request(), [&](ChangeResult result) { outcome = result.outcome; }, now_);
  round();
  EXPECT_NE(published_->find(poll_.id), nullptr);
  EXPECT_EQ(outcome, std::nullopt);
  pass(250ms);
  proving_ = true;
  round();  // its own NOOP proves the tail
  EXPECT_EQ(outcome, ChangeOutcome::done);
}

TEST_F(StewardTest, SaysThatALostChangeIsUnknown) {
  serve_a_poll();
  std::optional<ChangeOutcome> outcome;
  steward_.change(
      {poll_.id, v1::POLL_ACTION_OPENED, nullptr, "test", ""},
      [&](ChangeResult result) { outcome = result.outcome; }, now_);
  steward_.flush();
  log_.take();
  pass(7s);
  EXPECT_EQ(outcome, std::nullopt);
  pass(2s);
  EXPECT_EQ(outcome, ChangeOutcome::unknown);
}

TEST_F(StewardTest, IsDoneThoughEveryPartitionWasReadyBeforeTheChangeWasDurable) {
  serve_a_poll();
  std::optional<ChangeOutcome> outcome;
  proving_ = false;
  steward_.change(
      {poll_.id, v1::POLL_ACTION_OPENED, nullptr, "test", ""},
      [&](ChangeResult result) { outcome = result.outcome; }, now_);
  round();
  steward_.settled(kFirst, poll_.id, false);
  EXPECT_EQ(outcome, std::nullopt);
  proving_ = true;
  deliver({});
  EXPECT_EQ(outcome, ChangeOutcome::done);
}

TEST_F(StewardTest, GivesUpAChangeThatNotEveryPartitionHasInTime) {
  serve_a_poll();
  std::vector<ChangeOutcome> outcomes;
  const auto change = [&](v1::PollAction action) {
    steward_.change(
        {poll_.id, action, nullptr, "test", ""},
        [&](ChangeResult result) { outcomes.push_back(result.outcome); }, now_);
    round();
  };
  change(v1::POLL_ACTION_OPENED);
  pass(7s);
  EXPECT_THAT(outcomes, IsEmpty());
  pass(2s);
  EXPECT_THAT(outcomes, ElementsAre(ChangeOutcome::unknown));
  steward_.settled(kFirst, poll_.id, false);  // nobody waits for it any more
  change(v1::POLL_ACTION_CLOSED);
  steward_.settled(kFirst, poll_.id, true);
  EXPECT_THAT(outcomes, ElementsAre(ChangeOutcome::unknown, ChangeOutcome::done));
}

TEST_F(StewardTest, SaysThatItIsDrainingWhenTheLogIsClosing) {
  serve_a_poll();
  std::vector<ChangeOutcome> outcomes;
  for (const auto status : {AppendStatus::closed, AppendStatus::full, AppendStatus::unavailable}) {
    log_.status = status;
    steward_.audit(
        poll_.id, "auditor vera", [&](ChangeResult result) { outcomes.push_back(result.outcome); },
        now_);
    steward_.flush();
  }
  EXPECT_THAT(outcomes, ElementsAre(ChangeOutcome::draining, ChangeOutcome::overloaded,
                                    ChangeOutcome::overloaded));
}

TEST_F(StewardTest, SaysThatAChangeWasOvertakenByAnotherDraft) {
  deliver({samples::Writer().tree()});
  deliver({samples::Writer(3).draft(poll_)});
  round();
  std::optional<ChangeOutcome> outcome;
  auto edit = draft_request();
  edit.version = 1;
  steward_.change(
      edit, [&](ChangeResult result) { outcome = result.outcome; }, now_);
  steward_.flush();
  auto records = log_.take();
  records.insert(records.begin(), samples::Writer(4).draft(poll_, 1));
  deliver(records);
  round();
  EXPECT_EQ(outcome, ChangeOutcome::overtaken);
  EXPECT_EQ(published_->find(poll_.id)->version, 2u);
}

TEST_F(StewardTest, SaysAtOnceWhatALogWouldMakeVoid) {
  deliver({samples::Writer().tree(), samples::Writer().draft(poll_)});
  round();
  const auto outcome_of = [&](PollChangeRequest request) {
    std::optional<ChangeOutcome> outcome;
    steward_.change(
        std::move(request), [&](ChangeResult result) { outcome = result.outcome; }, now_);
    for (int rounds = 0; rounds < 3; ++rounds) round();
    return outcome;
  };
  auto edit = draft_request();
  edit.version = 2;
  EXPECT_EQ(outcome_of(edit), ChangeOutcome::version_mismatch);
  EXPECT_EQ(outcome_of(draft_request()), ChangeOutcome::poll_exists);
  const PollChangeRequest approve{poll_.id, v1::POLL_ACTION_APPROVED, nullptr, "approver anna", ""};
  EXPECT_EQ(outcome_of(approve), ChangeOutcome::wrong_phase);
  EXPECT_EQ(outcome_of({poll_.id, v1::POLL_ACTION_SUBMITTED, nullptr, "moderator dina", ""}),
            ChangeOutcome::done);
  EXPECT_EQ(outcome_of(approve), ChangeOutcome::own_draft);
}

TEST_F(StewardTest, TellsOfALookBeforeItIsHad) {
  serve_a_poll();
  std::optional<ChangeOutcome> outcome;
  const auto look = [&] {
    outcome.reset();
    steward_.audit(
        poll_.id, "auditor vera", [&](ChangeResult result) { outcome = result.outcome; }, now_);
  };
  look();
  steward_.flush();
  EXPECT_EQ(outcome, std::nullopt);
  deliver(log_.take());
  EXPECT_EQ(outcome, ChangeOutcome::done);
  EXPECT_EQ(published_->find(poll_.id)->history->audits, 1u);
  log_.status = AppendStatus::unavailable;
  look();
  steward_.flush();
  EXPECT_EQ(outcome, ChangeOutcome::overloaded);
  log_.status = AppendStatus::queued;
  look();
  steward_.flush();
  log_.take();
  pass(9s);
  EXPECT_EQ(outcome, ChangeOutcome::unknown);
  EXPECT_EQ(published_->find(poll_.id)->history->audits, 1u);
}

TEST_F(StewardTest, FreezesOneResultWhoeverElseIsAtIt) {
  serve_a_poll();
  samples::Writer other(3);
  deliver(
      {other.change("poll", v1::POLL_ACTION_OPENED), other.change("poll", v1::POLL_ACTION_CLOSED)});
  const CertifyRequest request{poll_.id,
                               1,
                               std::string(limits::kCertificatePartBytes + 1, 'x'),
                               std::string(32, 's'),
                               "certifier gleb",
                               ""};
  std::vector<ChangeOutcome> outcomes;
  const auto certify = [&] {
    steward_.certify(
        request, [&](ChangeResult result) { outcomes.push_back(result.outcome); }, now_);
    steward_.flush();
  };
  certify();
  auto ours = log_.take();
  ASSERT_EQ(ours.size(), 2u);
  // Another certifier's comes between the two parts: it holds, and both are told that it is done.
  deliver({ours[0], other.certificate_part("poll", 0, true, "theirs"), ours[1]});
  EXPECT_THAT(outcomes, ElementsAre(ChangeOutcome::done));
  certify();
  for (int rounds = 0; rounds < 3; ++rounds) round();
  EXPECT_THAT(outcomes, ElementsAre(ChangeOutcome::done, ChangeOutcome::done));
  EXPECT_EQ(published_->find(poll_.id)->certificate->compressed, "theirs");
}

TEST_F(StewardTest, AnswersTheHelloOfAnotherNodeWithItsOwnTail) {
  round();
  deliver({samples::Writer(3).hello(4, {}, now_)});
  const auto answer = log_.take();
  ASSERT_EQ(answer.size(), 1u);
  v1::Record record;
  ASSERT_TRUE(record.ParseFromString(answer[0]));
  EXPECT_EQ(record.noop().tail().next_offset(), steward_.position().next.value);
}

TEST_F(StewardTest, WithAWrongClockNeitherOpensNorCloses) {
  serve_a_poll();
  now_ = samples::kEpoch;  // opens_at is reached, by this clock
  samples::Writer first(3), second(4);
  for (auto* other : {&first, &second})
    deliver({other->hello(other == &first ? 5 : 6, {}, now_ + 3s)});
  log_.take();
  EXPECT_TRUE(steward_.clock_is_off(now_));
  pass(10s);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::scheduled);
  // The clock was set right, and the others said so twice.
  for (int i = 0; i < 2; ++i)
    for (auto* other : {&first, &second}) deliver({other->noop({}, now_)});
  EXPECT_FALSE(steward_.clock_is_off(now_));
  pass(250ms);
  round();
  EXPECT_EQ(published_->find(poll_.id)->phase, model::PollPhase::open);
}

TEST_F(StewardTest, DoesNotTakeOldNewsForAWrongClock) {
  round();
  samples::Writer first(3), second(4);
  const auto both_say = [&](Instant clock) {
    deliver({first.hello(5, {}, clock), second.hello(6, {}, clock)});
    return steward_.clock_is_off(now_);
  };
  EXPECT_FALSE(both_say(now_ - 30s));  // it may have been on its way for so long
  log_.known_end = {steward_.position().next, now_};
  EXPECT_TRUE(both_say(now_ - 30s));  // it was not in the log a moment ago
}

TEST_F(StewardTest, ThatReadsFromTheBeginningIsRightWhateverATailSaysUntilItServes) {
  samples::Writer other(3);
  const auto wrong = [&] { return other.noop({{1}, samples::bytes16<model::RollingHash>(7)}); };
  deliver({other.genesis(), wrong()});
  round();
  EXPECT_TRUE(steward_.serving());
  may_stop_ = StopReason::diverged;
  log_.take();
  deliver({wrong()});
  EXPECT_EQ(log_.take().size(), 1u);  // its own tail, for whoever wrote the other
}

// --- A log that nobody else writes into --------------------------------------------------------

class SoleStewardTest : public StewardTest {
 protected:
  SoleStewardTest() : StewardTest(true) {}
  void ask() {
    steward_.barrier([this](bool in_time, Instant) { passed_.push_back(in_time); }, now_);
    steward_.flush();
  }
  std::vector<bool> passed_;
};

TEST_F(SoleStewardTest, WritesNothingForAQuestion) {
  round();
  const auto end = steward_.position();
  for (int i = 0; i < 1'000; ++i) {
    ask();
    pass(10ms);
    round();
  }
  EXPECT_EQ(steward_.position(), end);
  EXPECT_THAT(passed_, testing::AllOf(testing::SizeIs(1'000), testing::Each(true)));
}

TEST_F(SoleStewardTest, AnswersWhenAllThatItWroteBeforeIsApplied) {
  deliver({samples::Writer(9).tree()});
  round();
  steward_.change(draft_request(), nullptr, now_);
  ask();
  EXPECT_THAT(passed_, IsEmpty());
  round();
  EXPECT_THAT(passed_, ElementsAre(true));
  EXPECT_NE(published_->find(poll_.id), nullptr);
}

TEST_F(SoleStewardTest, DoesNotAnswerBeforeItHasReadTheLog) {
  log_.status = AppendStatus::full;  // its HELLO is refused
  ask();
  EXPECT_THAT(passed_, IsEmpty());
  deliver(tree_and_poll());
  EXPECT_THAT(passed_, IsEmpty());
  log_.status = AppendStatus::queued;
  pass(250ms);
  round();
  EXPECT_THAT(passed_, ElementsAre(true));
}

TEST_F(SoleStewardTest, DoesNotWaitForWhatTheLogRefused) {
  round();
  log_.status = AppendStatus::full;
  steward_.audit(
      poll_.id, "auditor vera", [](ChangeResult) {}, now_);
  ask();
  ask();
  EXPECT_THAT(passed_, ElementsAre(true, true));
}

// --- Shard -------------------------------------------------------------------------------------

class ShardTest : public testing::Test, protected ShardEvents, protected ReplySink {
 protected:
  ShardTest() { shard_.say_hello(now_); }

  // `durable` says how many of the delivered records are not durable yet.
  void deliver(const std::vector<std::string>& records, std::uint64_t not_durable = 0) {
    const auto first = shard_.positions()[0].second.next;
    shard_.deliver(kFirst, first, batch(records), {first.plus(records.size()).value - not_durable},
                   now_);
    shard_.flush();
  }
  void round() {
    shard_.flush();
    deliver(log_.take());
  }
  void pass(std::chrono::milliseconds time) {
    now_ += time;
    shard_.tick(now_);
    shard_.flush();
  }
  void vote(std::uint64_t voter, std::uint16_t option) {
    const auto answers = samples::choose(option);
    BallotRequest request;
    request.poll = poll_.id;
    request.voter = samples::voter(voter);
    request.digest = samples::digest_of(answers);
    request.ballot =
        model::serialize_ballot(poll_.id, request.voter, samples::territory("75701000"), 3,
                                model::serialize(answers), *request.digest, 500'000);
    request.reply_to = this;
    shard_.submit(std::move(request), now_);
    shard_.flush();
  }
  std::vector<Outcome> told() { return std::exchange(told_, {}); }

  void deliver(std::vector<Reply> replies) override {
    for (const auto& reply : replies) told_.push_back(reply.outcome);
  }
  void serving(PartitionId, const model::Position&) override {}
  void settled(PartitionId, const model::PollId&, bool closed) override { settled_ = closed; }
  void fatal(PartitionId, StopReason reason, const std::string&) override { stopped_ = reason; }

  void TearDown() override { EXPECT_EQ(stopped_, may_stop_); }

  Instant now_ = samples::kEpoch;
  std::optional<StopReason> stopped_, may_stop_;
  model::PollDefinition poll_ = samples::poll_of_one_question("poll");
  HandLog log_{false};
  samples::MemoryDisk disk_;
  samples::MemoryIndex index_{disk_};
  std::optional<bool> settled_;
  std::vector<Outcome> told_;
  Shard shard_{{kFirst},         log_, index_, model::RecordWriter(samples::boot(1), 1),
               samples::boot(2), *this};
};

TEST_F(ShardTest, ServesAfterItsHelloWasRefusedOrLost) {
  log_.status = AppendStatus::full;
  shard_.flush();
  log_.status = AppendStatus::queued;
  pass(50ms);
  EXPECT_EQ(log_.take().size(), 1u);  // written again at once, and lost
  pass(10s);
  round();
  EXPECT_TRUE(shard_.serving());
}

// Each of them waits for something new while it is told.
TEST_F(ShardTest, TellsThoseWhoWaitAnewWhileTheyAreTold) {
  round();
  constexpr int kWaiting = 100;
  int told = 0;
  const auto next = shard_.positions()[0].second.next;
  for (int i = 0; i < kWaiting; ++i)
    shard_.when_applied(kFirst, next.plus(1), [&](bool) {
      shard_.when_applied(kFirst, next.plus(2), [&](bool applied) { told += applied; });
    });
  samples::Writer other(3);
  deliver({other.noop({})});
  deliver({other.noop({})});
  EXPECT_EQ(told, kWaiting);
}

TEST_F(ShardTest, LetsAVoterTryAgainWhoseRecordWasLost) {
  round();
  deliver({samples::Writer(3).open(poll_)});
  vote(1, 0);
  log_.take();
  vote(1, 0);
  EXPECT_THAT(log_.take(), IsEmpty());  // it waits behind the first
  pass(10s);
  EXPECT_THAT(told(), ElementsAre(Outcome::outcome_unknown, Outcome::outcome_unknown));
  log_.take();
  vote(1, 0);
  round();
  EXPECT_THAT(told(), ElementsAre(Outcome::accepted));
}

TEST_F(ShardTest, TellsItsTailWhenItHasCaughtUpAndThenOnceAMinute) {
  round();
  round();
  for (int second = 1; second < 60; ++second) {
    deliver({samples::Writer(3).noop(shard_.positions()[0].second)});  // of another node
    pass(1s);
    ASSERT_THAT(log_.take(), IsEmpty()) << second;
  }
  pass(1s);
  EXPECT_EQ(log_.take().size(), 1u);
}

// Nobody waits for it; but a log that is tried by it would be tried again only a minute later.
TEST_F(ShardTest, WritesALostTailAgainThoughNothingWaitsForIt) {
  round();
  EXPECT_EQ(log_.take().size(), 1u);  // lost
  for (int times = 0; times < 3; ++times) {
    pass(limits::kRewriteInterval - 1ms);
    EXPECT_THAT(log_.take(), IsEmpty());
    pass(1ms);
    EXPECT_EQ(log_.on_its_way.size(), 1u);
    if (times < 2) log_.take();
  }
  round();
  pass(limits::kRewriteInterval);
  EXPECT_THAT(log_.take(), IsEmpty()) << "it came back";
}

TEST_F(ShardTest, ThatReadTheLogFromItsBeginningIsRightWhateverATailSaysUntilItServes) {
  samples::Writer other(3);
  const auto wrong = [&] { return other.noop({{1}, samples::bytes16<model::RollingHash>(7)}); };
  deliver({other.genesis(), wrong()});
  round();
  EXPECT_TRUE(shard_.serving());
  may_stop_ = StopReason::diverged;
  log_.take();
  deliver({wrong()});
  EXPECT_FALSE(shard_.serving());
  EXPECT_EQ(log_.take().size(), 1u);  // its own tail, for whoever wrote the other
}

TEST_F(ShardTest, ThatBeganAtACheckpointStopsAtATailThatDiffersAlsoBeforeItServes) {
  samples::Writer other(3);
  round();
  deliver({other.open(poll_), other.noop({})});
  shard_.final_checkpoint();
  Shard restarted{{kFirst},         log_, index_, model::RecordWriter(samples::boot(4), 1),
                  samples::boot(2), *this};
  const auto next = restarted.positions()[0].second.next;
  ASSERT_GT(next, Offset{0});
  may_stop_ = StopReason::diverged;
  restarted.deliver(kFirst, next,
                    batch({other.noop({next, samples::bytes16<model::RollingHash>(7)})}), {}, now_);
}

TEST_F(ShardTest, SaysHowFreshItsTalliesAre) {
  round();
  round();
  const auto as_of = [&] { return shard_.collect(poll_.id)[0].as_of; };
  log_.known_end = {shard_.positions()[0].second.next, now_ + 1s};
  EXPECT_EQ(as_of(), now_ + 1s);
  log_.known_end = {log_.known_end.offset.plus(1), now_ + 2s};  // there is one more
  EXPECT_EQ(as_of(), now_ + 1s);
  log_.known_end.as_of = now_ + 3s;
  EXPECT_EQ(as_of(), now_ + 1s);
  deliver({samples::Writer(3).noop({})});
  EXPECT_EQ(as_of(), now_ + 3s);
}

TEST_F(ShardTest, CopiesATallyOnceForAllWhoAskBetweenTwoBallots) {
  round();
  round();
  deliver({samples::Writer(3).open(poll_)});
  const auto tally = [&] { return shard_.collect(poll_.id)[0].tally; };
  const auto before = tally();
  EXPECT_EQ(tally(), before);
  vote(1, 0);
  round();
  const auto after = tally();
  EXPECT_EQ(before->ballots(), 0) << "who has it may go on reading";
  EXPECT_EQ(after->ballots(), 1);
  EXPECT_EQ(tally(), after);
}

TEST_F(ShardTest, RefusesAtOnceWhileTheLogCannotBeWritten) {
  round();
  round();
  deliver({samples::Writer(3).open(poll_)});
  log_.status = AppendStatus::unavailable;
  vote(1, 0);
  EXPECT_THAT(told(), ElementsAre(Outcome::overloaded));
  log_.status = AppendStatus::queued;
  vote(1, 0);
  round();
  EXPECT_THAT(told(), ElementsAre(Outcome::accepted));
}

TEST_F(ShardTest, WritesALostOpenAgain) {
  round();
  round();
  auto entry = std::make_shared<model::PollEntry>();
  entry->definition = std::make_shared<const model::PollDefinition>(poll_);
  entry->phase = model::PollPhase::open;
  auto directory = std::make_shared<model::Directory>();
  directory->polls[poll_.id] = entry;
  shard_.update(directory, {poll_.id}, now_);
  shard_.flush();
  EXPECT_EQ(log_.take().size(), 1u);
  pass(1s);
  EXPECT_THAT(log_.take(), IsEmpty());
  pass(10s);
  round();
  EXPECT_EQ(settled_, false);
}

TEST_F(ShardTest, TellsThatAPollWasOpenHereBeforeTheDirectorySaidSo) {
  round();
  deliver({samples::Writer(3).open(poll_)});
  settled_.reset();
  auto entry = std::make_shared<model::PollEntry>();
  entry->definition = std::make_shared<const model::PollDefinition>(poll_);
  entry->phase = model::PollPhase::open;
  auto directory = std::make_shared<model::Directory>();
  directory->polls[poll_.id] = entry;
  shard_.update(directory, {poll_.id}, now_);
  EXPECT_EQ(settled_, false);
}

TEST_F(ShardTest, AnswersNothingThatIsNotDurable) {
  round();
  samples::Writer other(3);
  deliver({other.open(poll_)});
  vote(1, 0);
  deliver(log_.take(), 1);
  EXPECT_THAT(told(), IsEmpty());
  deliver({other.close("poll")}, 1);
  EXPECT_THAT(told(), ElementsAre(Outcome::accepted));
  vote(2, 0);
  EXPECT_THAT(told(), IsEmpty());  // CLOSE may yet be lost
  pass(50ms);
  round();  // its own NOOP proves the tail
  EXPECT_THAT(told(), ElementsAre(Outcome::poll_closed));
}

// --- Publications ------------------------------------------------------------------------------

class PublishingTest : public StewardTest {
 protected:
  PublishingTest() {
    poll_.disclosure = model::Disclosure::steps;
    poll_.least_voters = 2;
  }
  void open_a_poll() {
    deliver({samples::Writer().genesis()});
    serve_a_poll();
    now_ += limits::kClockSkew;  // now it knows the time
    deliver({samples::Writer().change("poll", v1::POLL_ACTION_OPENED)});
  }
  std::vector<model::PollId> due() { return steward_.take_due_publications(1s, now_); }
  // Brings what is counted: so many ballots for each of two options.
  void bring(std::uint64_t votes_each) {
    Collected collected{published_->find(poll_.id), {}};
    collected.partials.resize(1);
    auto& partial = collected.partials[0];
    partial.position.next = Offset{votes_each};
    const auto tally = std::make_shared<model::Tally>(poll_);
    for (std::uint64_t i = 0; i < votes_each; ++i)
      for (const std::uint16_t option : {0, 1})
        tally->add(poll_, samples::territory("75701000"), samples::choose(option), 1);
    partial.tally = tally;
    steward_.publish(poll_.id, std::move(collected), now_);
    steward_.flush();
  }
  std::uint64_t version() {
    const auto publication = published_->find(poll_.id)->publication;
    return publication ? publication->version : 0;
  }
};

TEST_F(PublishingTest, ShowsWhatItWroteWhenItComesBack) {
  open_a_poll();
  EXPECT_THAT(due(), ElementsAre(poll_.id));
  bring(3);
  EXPECT_EQ(version(), 0);
  round();
  EXPECT_EQ(version(), 1);
}

TEST_F(PublishingTest, LooksOnceInAnInterval) {
  open_a_poll();
  due();
  EXPECT_THAT(due(), IsEmpty()) << "the tallies are being gathered";
  bring(0);
  round();
  now_ += 900ms;
  EXPECT_THAT(due(), IsEmpty());
  now_ += 300ms;
  EXPECT_THAT(due(), ElementsAre(poll_.id));
}

TEST_F(PublishingTest, LetsWhoPublishedLastGoOn) {
  open_a_poll();
  due();
  bring(3);
  auto theirs = log_.take();
  v1::Record record;
  ASSERT_TRUE(record.ParseFromString(theirs.front()));
  record.set_boot(std::string(samples::boot(9).view()));
  deliver({record.SerializeAsString(), theirs.front()});
  EXPECT_EQ(version(), 1) << "the second is void";
  now_ += 1100ms;
  EXPECT_THAT(due(), IsEmpty());
  now_ += 500ms;
  EXPECT_THAT(due(), ElementsAre(poll_.id)) << "it was silent";
}

TEST_F(PublishingTest, WritesALostPublicationAgain) {
  open_a_poll();
  due();
  bring(3);
  log_.take();
  now_ += 2s;
  EXPECT_THAT(due(), IsEmpty()) << "it may yet come";
  now_ += 7s;
  EXPECT_THAT(due(), ElementsAre(poll_.id));
  bring(3);
  round();
  EXPECT_EQ(version(), 1);
}

TEST_F(PublishingTest, WritesAgainWhatTheLogRefused) {
  open_a_poll();
  due();
  log_.status = AppendStatus::full;
  bring(3);
  log_.status = AppendStatus::queued;
  now_ += 1100ms;
  EXPECT_THAT(due(), ElementsAre(poll_.id));
}

TEST_F(PublishingTest, IsSilentWithAWrongClock) {
  open_a_poll();
  steward_.clock_stepped(now_);
  now_ += limits::kClockSkew;
  EXPECT_THAT(due(), IsEmpty()) << "the others cannot have heard it";
  round();
  EXPECT_THAT(due(), IsEmpty()) << "the others were not heard yet";
  now_ += limits::kClockSkew;
  EXPECT_THAT(due(), ElementsAre(poll_.id));
}

TEST_F(PublishingTest, LooksAgainWhenTheLogDidNotProveWhatWasGathered) {
  open_a_poll();
  due();
  steward_.publish(poll_.id, {}, now_);
  now_ += 1100ms;
  EXPECT_THAT(due(), ElementsAre(poll_.id));
}

TEST_F(PublishingTest, IsSilentBeforeThePollOpens) {
  serve_a_poll();
  EXPECT_THAT(due(), IsEmpty());
}

}  // namespace
}  // namespace veche::node
