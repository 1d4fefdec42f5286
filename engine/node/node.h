// One node of Veche: its shards and its steward on threads of their own, over a log and the
// indexes. Everything that ingest asks of the engine goes through here.
//
// Order of life: construct; start (catches up, then serves); any calls; drain; destruct. All
// methods but start, drain and the destructor may be called from any thread; callbacks come on
// engine threads and must only hand over.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/model/checkpoint.h"
#include "engine/model/directory.h"
#include "engine/model/limits.h"
#include "engine/model/ports.h"
#include "engine/model/result.h"
#include "engine/model/shared_value.h"
#include "engine/node/collected.h"
#include "engine/node/mailbox.h"
#include "engine/node/reply.h"
#include "engine/node/shard.h"
#include "engine/node/steward.h"

namespace veche::node {

struct NodeStatus {
  // The offset behind the last applied record of each ballots partition.
  std::vector<std::pair<model::PartitionId, model::Offset>> applied;
  std::uint64_t invalid = 0;
  std::uint64_t duplicates = 0;
};

// Partitions that the log does not take records of now; the last may be control.
struct LogTrouble {
  std::vector<model::PartitionId> partitions;
  std::string why;  // of the first
};

struct NodeOptions {
  model::BootId boot;     // fresh for each process
  model::BootId node_id;  // of this installation
  // Each partition's position and rolling hash: before it serves, and at the end.
  std::function<void(const char* when, model::PartitionId, const model::Position&)> on_position;
  // Something that must end the process; called once, from an engine thread.
  std::function<void(StopReason reason, const std::string& why)> on_fatal;
  // How long records that the log had delivered waited until they were applied.
  std::function<void(std::chrono::nanoseconds)> on_applied;
  // How often a poll in steps may show something new.
  std::chrono::milliseconds publish_interval = limits::kLiveTick;
};

class Node final : private ShardEvents, private StewardEvents {
 public:
  // One index a shard; partitions are dealt out to the shards in turn.
  Node(model::Log& log, std::vector<model::Index*> indexes, NodeOptions options);
  ~Node() override;

  // Begins to replay; serves() tells when it is done. Refuses if the log ends before the index
  // does.
  Result<void> start();
  // Every partition has caught up, so that every request can be decided.
  bool serves() const { return serves_.load(std::memory_order_acquire); }
  // Why requests should rather go to another node; empty: they need not.
  std::string why_not_ready() const;
  // Whose ballots are refused at once while the others are taken.
  LogTrouble trouble() const;
  // As the shards left it at the end of their last rounds: waits for nobody.
  NodeStatus status() const;

  // Room for `ballots` more requests in flight; each submitted request gives its place back when
  // it is answered.
  bool reserve(std::size_t ballots);
  void release(std::size_t ballots);
  bool has_room() const {
    return in_flight_.load(std::memory_order_relaxed) <
           static_cast<std::int64_t>(limits::kBallotsInFlight);
  }
  // Requests for which room was reserved. Every one is answered exactly once.
  void submit(std::vector<BallotRequest> requests);

  std::shared_ptr<const model::Directory> directory() const;
  std::uint64_t directory_version() const {
    return directory_version_.load(std::memory_order_acquire);
  }

  void change(PollChangeRequest request, ChangeDone done);
  void certify(CertifyRequest request, ChangeDone done);
  void audit(const model::PollId& poll, std::string by, ChangeDone done);
  void add_tree(std::string csv, model::Date valid_from, std::string by, ChangeDone done);
  // false: it took longer than kParkDeadline.
  void barrier(std::function<void(bool passed)> done);
  void collect(const model::PollId& poll, std::function<void(Collected)> done);
  void when_applied(model::PartitionId partition, model::Offset offset,
                    std::function<void(bool)> done);
  // Calls back with true when all that was collected is known to be durable.
  void when_durable(const Collected& collected, std::function<void(bool)> done);

  std::uint16_t partitions() const { return log_.partitions(); }

  // Closes the log, applies what was in it, writes the last checkpoint, and ends the threads. No
  // request may be submitted any more.
  void drain();

 private:
  struct ShardThread;

  void run_shard(ShardThread& shard);
  void run_steward();
  void publish_due(model::Instant now);
  ShardThread& owner(model::PartitionId partition);

  void serving(model::PartitionId partition, const model::Position& before) override;
  void settled(model::PartitionId partition, const model::PollId& poll, bool closed) override;
  void fatal(model::PartitionId partition, StopReason reason, const std::string& why) override;
  void directory_changed(std::shared_ptr<const model::Directory> directory,
                         const std::vector<model::PollId>& changed) override;

  model::Log& log_;
  const NodeOptions options_;
  std::vector<std::unique_ptr<ShardThread>> shards_;
  Mailbox steward_mail_;
  Steward steward_;
  std::unique_ptr<model::LogSink> steward_sink_;
  std::thread steward_thread_;

  model::SharedValue<model::Directory> directory_;
  std::atomic<std::uint64_t> directory_version_{1};
  std::atomic<std::int64_t> in_flight_{0};
  std::atomic<std::size_t> serving_{0};  // partitions, control included
  std::atomic<bool> serves_{false};
  std::atomic<bool> clock_is_off_{false};
  std::atomic<bool> failed_{false};
};

model::Instant wall_clock();

}  // namespace veche::node
