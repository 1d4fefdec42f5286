// The owner of the control partition: decides the life of polls and takes new versions of the
// territory tree. Like Shard it has no thread, no clock and no I/O of its own.
//
// Every change is appended first and judged when it comes back: of two that contradict each other
// the first in log order holds. A definite "no" about something that another node may just have
// written is given only behind a barrier: a record appended after the question and applied. In a
// log that nobody else writes into, everything that was appended before the question is enough, so
// that a question writes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/apply/control.h"
#include "engine/model/directory.h"
#include "engine/model/ports.h"
#include "engine/model/record.h"
#include "engine/node/collected.h"
#include "engine/node/peers.h"
#include "engine/node/stop_reason.h"

namespace veche::node {

enum class ChangeOutcome : std::uint8_t {
  done,  // applied here, and its OPEN or CLOSE in every partition
  unknown_poll,
  poll_exists,       // another definition has the id
  wrong_phase,       // the poll is in a phase that has no such change
  version_mismatch,  // the definition is not the version that the writer read
  own_draft,         // nobody approves what he wrote or submitted
  bad_tree,          // the definition names a version of the tree that there is not
  overtaken,         // somebody else's change or tree came first: read it, and try again
  limit_reached,     // as many polls, changes of a draft, or trees as a log may hold
  overloaded,
  draining,
  starting,
  unknown,  // it may yet be written: look at the poll, and ask again
};

struct ChangeResult {
  ChangeOutcome outcome = ChangeOutcome::done;
  std::shared_ptr<const model::PollEntry> poll;  // as it is now, where there is one
  std::uint32_t tree_version = 0;                // of a new tree
};
using ChangeDone = std::function<void(ChangeResult)>;

struct PollChangeRequest {
  model::PollId poll;
  v1::PollAction action = v1::POLL_ACTION_UNSPECIFIED;
  std::shared_ptr<const model::PollDefinition> definition;  // with DRAFTED
  std::string by;
  std::string reason;
  // Of the definition that the writer read, 0: the poll shall be new; none: whichever it has.
  std::optional<std::uint32_t> version = std::nullopt;
  std::optional<model::Date> tree_day = std::nullopt;  // with DRAFTED: its tree was chosen for it
};

struct CertifyRequest {
  model::PollId poll;
  std::uint32_t version = 0;  // of the definition
  std::string compressed;     // at most kCertificateBytes
  std::string sha256;         // of the document
  std::string by;
  std::string reason;
};

// Told as it happens, on the steward's thread.
class StewardEvents {
 public:
  virtual ~StewardEvents() = default;
  virtual void directory_changed(std::shared_ptr<const model::Directory> directory,
                                 const std::vector<model::PollId>& changed) = 0;
  virtual void serving(model::PartitionId partition, const model::Position& before) = 0;
  virtual void fatal(model::PartitionId partition, StopReason reason, const std::string& why) = 0;
};

class Steward {
 public:
  Steward(model::Log& log, model::RecordWriter writer, model::BootId node_id,
          StewardEvents& events);

  void say_hello(model::Instant now);
  void deliver(model::Offset first, const model::RecordBatch& records, model::Offset durable,
               model::Instant now);
  // Opens and closes by the clock: what is due is tried again until it holds, and what was lost on
  // its way into the log is written again. Gives up requests that wait for too long.
  void tick(model::Instant now);
  // This machine's clock was set, or stood still: asks the others what time it is.
  void clock_stepped(model::Instant now);
  void flush();

  void change(PollChangeRequest request, ChangeDone done, model::Instant now);
  // Done, too, when somebody else has certified the poll: one certificate holds.
  void certify(CertifyRequest request, ChangeDone done, model::Instant now);
  // Notes that exact counts are about to be looked at. Not done: they must not be.
  void audit(const model::PollId& poll, std::string by, ChangeDone done, model::Instant now);
  void add_tree(std::string csv, model::Date valid_from, std::string by, ChangeDone done,
                model::Instant now);
  // Calls back with true when everything that anybody wrote into control before this call is
  // applied here, at the time `now`; with false when that takes longer than kParkDeadline.
  using BarrierDone = std::function<void(bool passed, model::Instant now)>;
  void barrier(BarrierDone done, model::Instant now);
  // A partition has applied OPEN or CLOSE.
  void settled(model::PartitionId partition, const model::PollId& poll, bool closed);

  // Polls in steps that may have something new to show, each at most once in `interval`, and no
  // sooner than another node's publication leaves it time. The caller gathers their tallies and
  // brings them to publish.
  std::vector<model::PollId> take_due_publications(std::chrono::milliseconds interval,
                                                   model::Instant now);
  void publish(const model::PollId& poll, Collected collected, model::Instant now);

  bool serving() const { return serving_; }
  const model::Position& position() const { return control_.position(); }
  bool clock_is_off(model::Instant now) const { return peers_.clock_is_off(now); }

 private:
  struct Settling {
    std::set<model::PartitionId> missing;
    bool close = false;
    model::Instant since;  // when the change was applied
    std::vector<ChangeDone> done;
  };

  struct OwnChange {
    ChangeDone done;
    model::Instant since;  // when it was appended
  };
  struct Uncovered {
    model::Offset end;  // everything below must be applied and durable
    model::Instant since;
    std::function<void(bool covered)> tell;  // false: it took too long
  };
  // Waits for one of our records, this one or a later one, to be applied.
  struct Behind {
    std::uint64_t counter;
    model::Instant since;
    BarrierDone done;
  };

  // What is under way for the next publication of a poll.
  struct Publishing {
    model::Instant looked_at;  // when it was last due, or shown
    bool is_gathering = false;
    std::optional<std::uint64_t> counter;  // of our last record of it that is on its way
    bool was_ours = true;                  // the last publication
  };

  bool asks_for_the_time(model::Instant now) const;
  bool knows_the_time(model::Instant now) const;
  void append_hello(model::Instant now);
  void on_publication(const apply::ControlApplied& applied, model::Instant now);
  void stop(const apply::ControlApplied& applied, model::Instant now);
  void on_applied(const apply::ControlApplied& applied, model::Instant now);
  void on_tail(const apply::ControlApplied& applied, const v1::Tail& tail, model::Instant now);
  void when_covered(model::Offset at, std::function<void(bool covered)> tell);
  void cover();
  void pass_barriers();
  void expire(model::Instant now);
  void refused(ChangeOutcome outcome);
  void open_and_close(model::Instant now);
  void on_own(const apply::ControlApplied& applied, const v1::Record& record, ChangeDone done);
  void on_own_change(const v1::PollChange& change, bool changed, const ChangeDone& done);
  void on_own_certificate(const model::PollId& poll, bool changed, const ChangeDone& done);
  void expect_settled(const model::PollId& poll);
  void finish(const model::PollId& poll, ChangeOutcome outcome, const ChangeDone& done);
  ChangeOutcome refusal(const PollChangeRequest& request);
  void append_certificate(const CertifyRequest& request, ChangeDone done, model::Instant now);
  void append_change(const PollChangeRequest& request, ChangeDone done, model::Instant now);
  void append_noop(model::Instant now);
  std::uint64_t append(v1::Record& record);

  model::Log& log_;
  model::RecordWriter writer_;
  const model::BootId node_id_;
  StewardEvents& events_;
  apply::Control control_;
  model::RecordBatch outgoing_;
  std::vector<std::uint64_t> outgoing_counters_;
  bool serving_ = false;
  model::Instant hello_at_;                     // when HELLO was appended last
  std::map<std::uint64_t, OwnChange> changes_;  // ours, by counter, appended and not applied
  std::map<model::PollId, Settling> settling_;
  // Opened or closed by the clock, and not applied yet: when that was appended.
  std::map<model::PollId, model::Instant> on_its_way_;
  std::map<model::PollId, Publishing> publishing_;
  model::Instant looked_at_;  // when it was last asked what is due
  // Counters of our records: the newest of all, of those that the log took, and that are applied.
  std::uint64_t newest_ = 0, newest_taken_ = 0, newest_applied_ = 0;
  std::vector<Behind> behind_;                 // barriers
  std::optional<std::uint64_t> noop_counter_;  // of our NOOP that is on its way
  model::Instant noop_at_;
  // What applied records led to: told when the directory is published and the log has proven them.
  std::vector<Uncovered> uncovered_;
  model::Offset durable_;
  model::Instant last_tail_;  // when ours was appended last
  model::Instant now_;        // as the caller last said
  // Our HELLO asks the others what time it is: the first one since the clock was set, and when it,
  // or one after it, came back out of the log.
  std::uint64_t asking_ = 0;
  std::optional<model::Instant> asked_at_;
  Peers peers_;
};

}  // namespace veche::node
