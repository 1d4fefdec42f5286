// A shard: the only owner of its ballots partitions. It looks voters up, keeps what is on its way
// into the log (pending), applies what comes back, and answers from what was applied.
//
// This class is the whole of it without thread, clock and I/O: the caller passes the time in and
// calls from one thread. node/node.h gives it a thread; the simulator drives it bare.
//
// Life of a ballot here:
//
//   submit --- counted already? ------------------------------> answer
//      |------ pending? --------------------------------------> wait behind it
//      |------ OPEN or CLOSE on its way? ---------------------> wait for that
//      |------ closed, or refused by admit? ------------------> answer
//      '------ append; pending --- delivered --- applied -----> answer all who wait
#pragma once

#include <atomic>
#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/apply/partition.h"
#include "engine/model/checkpoint.h"
#include "engine/model/directory.h"
#include "engine/model/ids.h"
#include "engine/model/ports.h"
#include "engine/model/record.h"
#include "engine/node/collected.h"
#include "engine/node/reply.h"
#include "engine/node/stop_reason.h"

namespace veche::node {

// What may be known of a shard at any time without asking it: its thread leaves it here, and
// anybody reads it.
struct ShardFigures {
  explicit ShardFigures(std::size_t partitions) : applied(partitions) {}

  // The offset behind the last applied record, in the order of the shard's partitions.
  std::vector<std::atomic<std::uint64_t>> applied;
  std::atomic<std::uint64_t> invalid{0};
  std::atomic<std::uint64_t> duplicates{0};
};

// Told by a shard as it happens, on its thread.
class ShardEvents {
 public:
  virtual ~ShardEvents() = default;
  // The partition has applied its own HELLO and serves. `before` is its position just before.
  virtual void serving(model::PartitionId partition, const model::Position& before) = 0;
  // A partition has applied what the directory says of a poll: OPEN, or CLOSE. May be repeated.
  virtual void settled(model::PartitionId partition, const model::PollId& poll, bool closed) = 0;
  // The partition must not go on; `why` says what is wrong and what to do.
  virtual void fatal(model::PartitionId partition, StopReason reason, const std::string& why) = 0;
};

class Shard {
 public:
  // Starts the partitions where the index left them. The node id names this installation in HELLO.
  Shard(std::vector<model::PartitionId> partitions, model::Log& log, model::Index& index,
        model::RecordWriter writer, model::BootId node_id, ShardEvents& events);

  // A HELLO into each partition; to be called once, after the log was asked to consume.
  void say_hello(model::Instant now);

  void submit(BallotRequest request, model::Instant now);
  void deliver(model::PartitionId partition, model::Offset first, const model::RecordBatch& records,
               model::Offset durable, model::Instant now);
  // A new directory; `changed` are the polls whose phase may have changed.
  void update(std::shared_ptr<const model::Directory> directory,
              const std::vector<model::PollId>& changed, model::Instant now);
  // Timers: gives up what waits too long, writes again what was lost on its way into the log,
  // proves quiet tails.
  void tick(model::Instant now);
  // Hands over what was appended and answered since the last flush.
  void flush();

  // Calls back with true when everything below `offset` is applied and durable, at once if it is;
  // with false when that takes longer than kParkDeadline.
  void when_applied(model::PartitionId partition, model::Offset offset,
                    std::function<void(bool)> done);

  std::vector<PartialTally> collect(const model::PollId& poll);

  // Begins a checkpoint when enough is new, or the last one is old. To be called after deliver and
  // with every tick.
  void checkpoint_if_due(model::Instant now);
  // Everything applied so far is in the index when it returns.
  void final_checkpoint();

  bool serving() const;
  std::size_t pending() const { return pending_.size(); }
  std::uint64_t answered() const { return answered_; }  // requests, since the start
  std::vector<std::pair<model::PartitionId, model::Position>> positions() const;
  std::uint64_t invalid() const;
  std::uint64_t duplicates() const;
  void leave(ShardFigures& figures) const;

 private:
  // Somebody waits for the fate of one voter's ballot in one poll.
  struct PendingKey {
    model::PollId poll;
    model::VoterKey voter;
    friend bool operator==(const PendingKey&, const PendingKey&) = default;
    // A voter key is made for one poll alone, and as good as random.
    friend std::size_t hash_value(const PendingKey& key) { return hash_value(key.voter); }
  };
  enum class Waits : std::uint8_t { for_record, for_phase };  // phase: OPEN or CLOSE
  struct Pending {
    Waits waits = Waits::for_record;
    std::uint64_t counter = 0;  // of the record that the first waiter appended
    model::Instant since;
    boost::container::small_vector<BallotRequest, 1> waiters;
  };
  // An answer that may be given when everything below `end` is applied and known to be durable.
  struct Uncovered {
    model::Offset end;
    model::Instant since;
    std::function<void(bool covered)> done;  // false: it took too long
  };
  struct TallyCopy {
    std::uint64_t changes = 0;
    std::weak_ptr<const model::Tally> tally;
  };
  struct Owned {
    Owned(model::PartitionImage image, model::VoterIndex& index)
        : partition(std::move(image), index), is_rebuilt(partition.position().next.value == 0) {}

    apply::Partition partition;
    const bool is_rebuilt;  // this process read the partition from its first record on
    model::Offset durable;
    std::optional<model::LogEnd> ahead;  // an end of the log that is not applied yet
    model::Instant as_of;                // everything that was in the log then is applied
    model::RecordBatch outgoing;
    std::vector<PendingKey> outgoing_ballots;
    bool serving = false;
    model::Instant hello_at;            // when HELLO was appended last
    std::set<model::PollId> unsettled;  // the directory says OPEN or CLOSE, this partition does not
    std::map<model::PollId, model::Instant> on_its_way;  // of those: when we appended it
    model::Instant last_tail;                            // when ours was appended last
    std::optional<std::uint64_t> tail_counter;           // of our NOOP that is on its way
    model::Instant tail_at;                              // when it was appended
    std::vector<Uncovered> uncovered;
    // The tallies that were copied last, for as long as somebody still has them.
    std::map<model::PollId, TallyCopy> copies;
  };

  Owned& owner_of(const model::PollId& poll, const model::VoterKey& voter);
  Owned& owned(model::PartitionId id);
  static std::shared_ptr<const model::Tally> copy_of(Owned& owned, const apply::PollState& poll);

  void answer(Owned& owned, const BallotRequest& to, model::Outcome outcome,
              model::Offset counted_at);
  void answer_counted(Owned& owned, const BallotRequest& to, const model::Counted& counted);
  void send(ReplySink* sink, const Reply& reply);
  void refuse(const BallotRequest& to, model::Outcome outcome);
  void refuse_closed(Owned& owned, const BallotRequest& to, const apply::PollState& poll);
  void append_ballot(Owned& owned, const PendingKey& key, BallotRequest request,
                     model::Instant now);
  void park(const PendingKey& key, BallotRequest request, model::Instant now);

  void on_applied(Owned& owned, const apply::Applied& applied, model::Instant now);
  void on_ballot(Owned& owned, const apply::Applied& applied, model::Instant now);
  void on_phase(Owned& owned, const apply::PollState& poll, model::Instant now);
  void on_own_hello(Owned& owned, const model::Position& before, model::Instant now);
  void decide_anew(Pending pending, model::Instant now);
  void on_refused_append(Owned& owned, model::Outcome outcome);
  void answer_when_covered(Owned& owned, model::Offset end, const BallotRequest& to,
                           const Reply& reply);
  void cover(Owned& owned);
  template <class Predicate>
  void settle_uncovered(Owned& owned, bool covered, Predicate settles);
  bool must_stop(const Owned& owned, const apply::Applied& applied) const;
  void stop(Owned& owned, const apply::Applied& applied);

  void note_end(Owned& owned);
  void reconcile(Owned& owned, model::Instant now);
  void tell_settled(Owned& owned, const model::PollId& poll, bool closed);
  void append_hello(Owned& owned, model::Instant now);
  void append_phase(Owned& owned, const model::PollEntry& poll);
  void append(Owned& owned, v1::Record& record);
  void append_tail(Owned& owned, model::Instant now);
  void expire_pending(model::Instant now);
  void begin_checkpoint(model::Instant now);

  model::Log& log_;
  model::Index& index_;
  model::RecordWriter writer_;
  const model::BootId node_id_;
  ShardEvents& events_;
  std::vector<std::unique_ptr<Owned>> owned_;
  std::shared_ptr<const model::Directory> directory_ = std::make_shared<model::Directory>();
  boost::unordered_flat_map<PendingKey, Pending> pending_;
  std::vector<std::pair<ReplySink*, std::vector<Reply>>> replies_;
  std::string head_;    // reused for envelopes
  model::Instant now_;  // as the caller last said
  model::Instant last_checkpoint_;
  std::uint64_t answered_ = 0;
  bool stopped_ = false;
};

}  // namespace veche::node
