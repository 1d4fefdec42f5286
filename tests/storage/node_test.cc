// A node over real storage: started, stopped, and started again with and without its index.
#include "engine/node/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <thread>

#include "storage/index/checkpointed_index.h"
#include "storage/log/embedded_log.h"
#include "tests/engine/samples.h"
#include "tests/eventually.h"
#include "tests/storage/storage_fixture.h"

namespace veche::node {
namespace {

using model::Outcome;
using Positions = std::map<model::PartitionId, model::Position>;

constexpr std::uint16_t kPartitions = 3;

// One process's worth of it, in two folders.
class Running {
 public:
  Running(const std::filesystem::path& log, const std::filesystem::path& index,
          std::uint64_t boot) {
    storage::EmbeddedLogOptions options;
    options.folder = log;
    options.partitions = kPartitions;
    options.disk_reserve_bytes = 1;
    options.on_fatal = [](const std::string& why) { ADD_FAILURE() << why; };
    log_ = storage::EmbeddedLog::open(std::move(options)).value();
    store_ = storage::IndexStore::open(index, log_->id()).value();
    for (int i = 0; i < 2; ++i)
      indexes_.push_back(std::make_unique<storage::CheckpointedIndex>(*store_));
    NodeOptions node;
    node.boot = samples::boot(boot);
    node.on_position = [this](const char* when, model::PartitionId id, const model::Position& at) {
      const std::lock_guard lock(mutex_);
      positions_[when][id] = at;
    };
    node.on_fatal = [](StopReason, const std::string& why) { ADD_FAILURE() << why; };
    node_ = std::make_unique<Node>(
        *log_, std::vector<model::Index*>{indexes_[0].get(), indexes_[1].get()}, std::move(node));
  }
  ~Running() {
    if (!drained_) node_->drain();
  }

  Result<void> start() { return node_->start(); }
  void wait_until_ready() {
    EXPECT_TRUE(tests::eventually([&] { return node_->serves(); }));
  }
  Positions drain() {
    node_->drain();
    drained_ = true;
    return positions("stop");
  }
  Positions positions(const std::string& when) {
    const std::lock_guard lock(mutex_);
    return positions_[when];
  }
  model::Offset end_of_control() const { return log_->end(model::kControl).offset; }
  Node& operator*() { return *node_; }
  Node* operator->() { return node_.get(); }

  void open_poll(const model::PollDefinition& poll) {
    std::promise<ChangeOutcome> tree;
    node_->add_tree(std::string(samples::kTreeCsv), *model::parse_date("2026-01-01"), "test",
                    [&](ChangeResult result) { tree.set_value(result.outcome); });
    EXPECT_EQ(tree.get_future().get(), ChangeOutcome::done);
    const auto definition = std::make_shared<const model::PollDefinition>(poll);
    change({poll.id, v1::POLL_ACTION_DRAFTED, definition, "moderator anna", "", 0});
    change({poll.id, v1::POLL_ACTION_SUBMITTED, nullptr, "moderator anna", ""});
    change({poll.id, v1::POLL_ACTION_APPROVED, nullptr, "approver boris", ""});
    EXPECT_TRUE(tests::eventually([&] {
      return node_->directory()->find(poll.id)->phase == model::PollPhase::open;
    }));
  }

  void change(PollChangeRequest request) {
    std::promise<ChangeOutcome> changed;
    node_->change(std::move(request),
                  [&](ChangeResult result) { changed.set_value(result.outcome); });
    EXPECT_EQ(changed.get_future().get(), ChangeOutcome::done);
  }

  Outcome vote(const model::PollDefinition& poll, std::uint64_t voter, std::uint16_t option) {
    struct One final : ReplySink {
      void deliver(std::vector<Reply> replies) override { told.set_value(replies.at(0).outcome); }
      std::promise<Outcome> told;
    } one;
    const auto answers = samples::choose(option);
    BallotRequest request;
    request.poll = poll.id;
    request.voter = samples::voter(voter);
    request.digest = samples::digest_of(answers);
    request.ballot =
        model::serialize_ballot(poll.id, request.voter, samples::territory("75701000"), 3,
                                model::serialize(answers), *request.digest, 500'000);
    request.reply_to = &one;
    EXPECT_TRUE(node_->reserve(1));
    std::vector<BallotRequest> requests;
    requests.push_back(std::move(request));
    node_->submit(std::move(requests));
    return one.told.get_future().get();
  }

  std::uint64_t ballots(const model::PollId& poll) {
    std::promise<std::uint64_t> counted;
    node_->collect(poll, [&](Collected collected) {
      std::uint64_t sum = 0;
      for (const auto& partial : collected.partials)
        if (partial.tally) sum += partial.tally->ballots();
      counted.set_value(sum);
    });
    return counted.get_future().get();
  }

 private:
  std::unique_ptr<storage::EmbeddedLog> log_;
  std::unique_ptr<storage::IndexStore> store_;
  std::vector<std::unique_ptr<storage::CheckpointedIndex>> indexes_;
  std::mutex mutex_;
  std::map<std::string, Positions> positions_;
  std::unique_ptr<Node> node_;
  bool drained_ = false;
};

model::PollDefinition poll_open_now() {
  auto poll = samples::poll_of_one_question("poll");
  poll.opens_at = wall_clock() - std::chrono::minutes(1);
  poll.closes_at = wall_clock() + std::chrono::hours(1);
  return poll;
}

class NodeTest : public testing::Test {
 protected:
  // Leaves a log with ballots of 50 voters behind.
  Positions run_once(const model::PollDefinition& poll) {
    Running node(folder_ / "log", folder_ / "index", 1);
    EXPECT_TRUE(node.start());
    node.wait_until_ready();
    node.open_poll(poll);
    for (std::uint64_t v = 0; v < 50; ++v) EXPECT_EQ(node.vote(poll, v, v % 3), Outcome::accepted);
    EXPECT_EQ(node.vote(poll, 7, 1), Outcome::recorded);
    EXPECT_EQ(node.vote(poll, 7, 2), Outcome::already_voted);
    EXPECT_EQ(node.ballots(poll.id), 50u);
    return node.drain();
  }
  storage::TempFolder folder_;
};

TEST_F(NodeTest, IsWhereItWasAfterARestart) {
  const auto poll = poll_open_now();
  const auto stopped = run_once(poll);
  Running again(folder_ / "log", folder_ / "index", 2);
  ASSERT_TRUE(again.start());
  again.wait_until_ready();
  EXPECT_EQ(again.positions("start"), stopped);
  EXPECT_EQ(again.ballots(poll.id), 50u);
  EXPECT_EQ(again.vote(poll, 7, 1), Outcome::recorded);
  EXPECT_EQ(again.vote(poll, 50, 1), Outcome::accepted);
}

TEST_F(NodeTest, IsWhereItWasAfterItsIndexWasDeleted) {
  const auto poll = poll_open_now();
  const auto stopped = run_once(poll);
  std::filesystem::remove_all(folder_ / "index");
  Running again(folder_ / "log", folder_ / "index", 2);
  ASSERT_TRUE(again.start());
  again.wait_until_ready();
  EXPECT_EQ(again.positions("start"), stopped);
  EXPECT_EQ(again.ballots(poll.id), 50u);
  EXPECT_EQ(again.vote(poll, 7, 2), Outcome::already_voted);
}

// Under ThreadSanitizer: what is read is not being written.
TEST_F(NodeTest, GivesItsDirectoryWhileItChanges) {
  Running node(folder_ / "log", folder_ / "index", 1);
  ASSERT_TRUE(node.start());
  node.wait_until_ready();
  const auto poll = poll_open_now();
  node.open_poll(poll);
  std::atomic<bool> is_over = false;
  std::thread reader([&] {
    for (std::size_t seen = 0; !is_over;) {
      const auto polls = node->directory()->polls.size();
      EXPECT_GE(polls, seen);
      seen = polls;
    }
  });
  for (int i = 0; i < 50; ++i) {
    auto draft = poll;
    draft.id = *model::PollId::parse("poll-" + std::to_string(i));
    node.change({draft.id, v1::POLL_ACTION_DRAFTED,
                 std::make_shared<const model::PollDefinition>(draft), "moderator anna", "", 0});
  }
  is_over = true;
  reader.join();
  EXPECT_EQ(node->directory()->polls.size(), 51u);
}

TEST_F(NodeTest, WritesNothingForQuestionsBehindABarrier) {
  Running node(folder_ / "log", folder_ / "index", 1);
  ASSERT_TRUE(node.start());
  node.wait_until_ready();
  const auto end = node.end_of_control();
  for (int i = 0; i < 1'000; ++i) {
    std::promise<bool> passed;
    node->barrier([&](bool in_time) { passed.set_value(in_time); });
    ASSERT_TRUE(passed.get_future().get());
  }
  EXPECT_EQ(node.end_of_control(), end);
}

TEST_F(NodeTest, TellsHowFarItsShardsAreWhileTheyAreBusy) {
  const auto poll = poll_open_now();
  const auto stopped = run_once(poll);
  Running again(folder_ / "log", folder_ / "index", 2);
  const auto sum = [&] {
    std::uint64_t applied = 0;
    for (const auto& [partition, next] : again->status().applied) applied += next.value;
    return applied;
  };
  std::uint64_t expected = 0;
  for (const auto& [partition, position] : stopped)
    if (partition != model::kControl) expected += position.next.value;
  EXPECT_EQ(sum(), expected) << "before its threads run: from the index";
  ASSERT_TRUE(again.start());
  again.wait_until_ready();
  std::promise<void> busy, free;
  again->when_applied({0}, {0}, [&](bool) {
    busy.set_value();
    free.get_future().wait();  // as for a checkpoint
  });
  busy.get_future().wait();
  auto asked = std::async(std::launch::async, [&] { return sum(); });
  EXPECT_EQ(asked.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  free.set_value();
  EXPECT_GT(asked.get(), expected);
  EXPECT_EQ(again->status().duplicates, 0u);
}

TEST_F(NodeTest, DoesNotStartOverALogThatEndsBeforeItsIndex) {
  const auto poll = poll_open_now();
  {
    Running first(folder_ / "log", folder_ / "index", 1);
    ASSERT_TRUE(first.start());
    first.wait_until_ready();
    storage::copy_folder(folder_ / "log", folder_ / "older-log");
  }
  run_once(poll);
  Running cut(folder_ / "older-log", folder_ / "index", 3);
  const auto started = cut.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, testing::HasSubstr("the log was cut"));
}

}  // namespace
}  // namespace veche::node
