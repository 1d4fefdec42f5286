#include "engine/node/shard.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/model/assert.h"
#include "engine/model/fault_variant.h"
#include "engine/model/limits.h"
#include "engine/node/elapsed.h"
#include "engine/node/stop_reason.h"
#include "engine/node/take_if.h"

namespace veche::node {

using apply::Applied;
using apply::Effect;
using model::FaultVariant;
using model::Instant;
using model::kFaultVariant;
using model::Offset;
using model::Outcome;
using model::PollPhase;

Shard::Shard(std::vector<model::PartitionId> partitions, model::Log& log, model::Index& index,
             model::RecordWriter writer, model::BootId node_id, ShardEvents& events)
    : log_(log), index_(index), writer_(writer), node_id_(node_id), events_(events) {
  for (const auto id : partitions) owned_.push_back(std::make_unique<Owned>(index.load(id), index));
}

void Shard::say_hello(Instant now) {
  last_checkpoint_ = now;
  for (auto& owned : owned_) append_hello(*owned, now);
}

// --- Requests ----------------------------------------------------------------------------------

void Shard::submit(BallotRequest request, Instant now) {
  now_ = now;
  auto& owned = owner_of(request.poll, request.voter);
  if (!owned.serving || stopped_) return refuse(request, Outcome::starting);
  auto* poll = owned.partition.find(request.poll);
  if (poll)
    if (const auto counted = index_.find(owned.partition.id(), poll->number, request.voter))
      return answer_counted(owned, request, *counted);

  const PendingKey key{request.poll, request.voter};
  if (const auto found = pending_.find(key); found != pending_.end()) {
    found->second.waiters.push_back(std::move(request));
    return;
  }
  if (!poll) return park(key, std::move(request), now);
  if (poll->closed) return refuse_closed(owned, request, *poll);
  // An earlier try of this voter may still be on its way into the log: only CLOSE settles it.
  if (now >= poll->definition->closes_at) return park(key, std::move(request), now);
  if (request.refusal) return refuse(request, *request.refusal);
  append_ballot(owned, key, std::move(request), now);
}

void Shard::append_ballot(Owned& owned, const PendingKey& key, BallotRequest request, Instant now) {
  const auto counter = writer_.ballot_head(request.ballot.size(), head_);
  owned.outgoing.push(head_, request.ballot);
  if (kFaultVariant == FaultVariant::answer_on_append)
    return answer(owned, request, Outcome::accepted, owned.partition.position().next);
  owned.outgoing_ballots.push_back(key);
  Pending pending{Waits::for_record, counter, now, {}};
  request.ballot.clear();  // it is in the batch; a retry brings its own
  pending.waiters.push_back(std::move(request));
  pending_.emplace(key, std::move(pending));
}

void Shard::park(const PendingKey& key, BallotRequest request, Instant now) {
  Pending pending{Waits::for_phase, 0, now, {}};
  pending.waiters.push_back(std::move(request));
  pending_.emplace(key, std::move(pending));
}

// --- Answers -----------------------------------------------------------------------------------

void Shard::answer_counted(Owned& owned, const BallotRequest& to, const model::Counted& counted) {
  const bool same = to.digest && *to.digest == counted.digest;
  answer(owned, to, same ? Outcome::recorded : Outcome::already_voted, counted.offset);
}

void Shard::answer(Owned& owned, const BallotRequest& to, Outcome outcome, Offset counted_at) {
  const Reply reply{to.ticket, outcome, owned.partition.id(), counted_at};
  if (counted_at < owned.durable || kFaultVariant == FaultVariant::answer_on_append)
    return send(to.reply_to, reply);
  answer_when_covered(owned, counted_at.plus(1), to, reply);
}

// "Closed, and not counted" speaks of everything up to here: it must be durable, as a count must.
void Shard::refuse_closed(Owned& owned, const BallotRequest& to, const apply::PollState& poll) {
  const Reply reply{
      to.ticket, poll.cancelled ? Outcome::poll_cancelled : Outcome::poll_closed, {}, {}};
  const auto end = owned.partition.position().next;
  if (end <= owned.durable) return send(to.reply_to, reply);
  answer_when_covered(owned, end, to, reply);
}

void Shard::answer_when_covered(Owned& owned, Offset end, const BallotRequest& to,
                                const Reply& reply) {
  const Reply unknown{to.ticket, Outcome::outcome_unknown, {}, {}};
  owned.uncovered.push_back({end, now_, [this, sink = to.reply_to, reply, unknown](bool covered) {
                               send(sink, covered ? reply : unknown);
                             }});
}

void Shard::refuse(const BallotRequest& to, Outcome outcome) {
  send(to.reply_to, {to.ticket, outcome, {}, {}});
}

void Shard::send(ReplySink* sink, const Reply& reply) {
  for (auto& [known, replies] : replies_)
    if (known == sink) return replies.push_back(reply);
  replies_.push_back({sink, {reply}});
}

void Shard::when_applied(model::PartitionId partition, Offset offset,
                         std::function<void(bool)> done) {
  auto& there = owned(partition);
  there.uncovered.push_back({offset, now_, std::move(done)});
  cover(there);
}

void Shard::cover(Owned& owned) {
  const auto proven = std::min(owned.durable, owned.partition.position().next);
  settle_uncovered(owned, true, [&](const Uncovered& wait) { return wait.end <= proven; });
}

template <class Predicate>
void Shard::settle_uncovered(Owned& owned, bool covered, Predicate settles) {
  if (owned.uncovered.empty()) return;
  for (const auto& wait : take_if(owned.uncovered, settles)) wait.done(covered);
}

// --- The log comes back ------------------------------------------------------------------------

void Shard::deliver(model::PartitionId partition, Offset first, const model::RecordBatch& records,
                    Offset durable, Instant now) {
  now_ = now;
  if (stopped_) return;
  auto& there = owned(partition);
  there.durable = std::max(there.durable, durable);
  auto offset = first;
  for (const auto record : records) {
    const auto before = there.partition.position();
    const auto applied = there.partition.apply(offset, record);
    if (must_stop(there, applied)) return stop(there, applied);
    on_applied(there, applied, now);
    if (!there.serving && applied.record && applied.record->has_hello() &&
        applied.record->boot() == writer_.boot().view())
      on_own_hello(there, before, now);
    offset = offset.plus(1);
  }
  cover(there);
  note_end(there);
}

// Whoever reads the log from its first record on is right by definition, and so a tail that differs
// tells of its writer alone: it must not keep this node from ever starting. Later it may be the log
// that was cut and grew again under us.
bool Shard::must_stop(const Owned& owned, const Applied& applied) const {
  if (applied.stops()) return true;
  return applied.effect == Effect::diverged && (owned.serving || !owned.is_rebuilt);
}

// How fresh the tallies are: as fresh as the newest end of the log that they have reached.
void Shard::note_end(Owned& owned) {
  const auto next = owned.partition.position().next;
  if (!owned.ahead || owned.ahead->offset <= next) {
    if (owned.ahead) owned.as_of = std::max(owned.as_of, owned.ahead->as_of);
    owned.ahead = log_.end(owned.partition.id());
  }
  if (owned.ahead->offset <= next) {
    owned.as_of = std::max(owned.as_of, owned.ahead->as_of);
    owned.ahead.reset();
  }
}

void Shard::on_applied(Owned& owned, const Applied& applied, Instant now) {
  if (!applied.record) return;
  switch (applied.record->kind_case()) {
    case v1::Record::kBallot:
      return on_ballot(owned, applied, now);
    case v1::Record::kOpen:
    case v1::Record::kClose:
      if (applied.poll) on_phase(owned, *applied.poll, now);
      return;
    case v1::Record::kNoop:
      if (applied.record->boot() == writer_.boot().view() &&
          owned.tail_counter == applied.record->counter())
        owned.tail_counter.reset();
      return;
    default:
      return;
  }
}

void Shard::on_ballot(Owned& owned, const Applied& applied, Instant now) {
  if (!applied.poll) return;
  const auto found = pending_.find({applied.poll->definition->id, applied.voter});
  if (found == pending_.end()) return;
  const bool own = applied.record->boot() == writer_.boot().view() &&
                   found->second.waits == Waits::for_record &&
                   applied.record->counter() == found->second.counter;
  const bool decided = applied.effect == Effect::counted || applied.effect == Effect::duplicate;
  if (!own && !decided) return;
  auto pending = std::move(found->second);
  pending_.erase(found);
  if (!decided) return decide_anew(std::move(pending), now);
  for (std::size_t i = 0; i < pending.waiters.size(); ++i) {
    if (i == 0 && own && applied.effect == Effect::counted)
      answer(owned, pending.waiters[i], Outcome::accepted, applied.counted.offset);
    else
      answer_counted(owned, pending.waiters[i], applied.counted);
  }
}

// The own record came to nothing: it lies behind CLOSE. Its bytes are spent, so the first waiter is
// told what holds now, and those behind it are decided as if they came now.
void Shard::decide_anew(Pending pending, Instant now) {
  for (auto& waiter : pending.waiters) {
    if (waiter.ballot.empty() && !waiter.refusal) {
      auto& owned = owner_of(waiter.poll, waiter.voter);
      const auto* poll = owned.partition.find(waiter.poll);
      if (poll && poll->closed)
        refuse_closed(owned, waiter, *poll);
      else
        refuse(waiter, Outcome::outcome_unknown);
    } else {
      submit(std::move(waiter), now);
    }
  }
}

void Shard::on_phase(Owned& owned, const apply::PollState& poll, Instant now) {
  const auto& id = poll.definition->id;
  owned.on_its_way.erase(id);
  std::vector<PendingKey> wake;
  for (const auto& [key, pending] : pending_)
    if (pending.waits == Waits::for_phase && key.poll == id &&
        &owner_of(key.poll, key.voter) == &owned)
      wake.push_back(key);
  for (const auto& key : wake) {
    auto pending = std::move(pending_.at(key));
    pending_.erase(key);
    for (auto& waiter : pending.waiters) submit(std::move(waiter), now);
  }
  reconcile(owned, now);
}

void Shard::on_own_hello(Owned& owned, const model::Position& before, Instant now) {
  owned.serving = true;
  events_.serving(owned.partition.id(), before);
  append_tail(owned, now);  // HELLO told where we began; this tells whether we read the same
  reconcile(owned, now);
}

void Shard::stop(Owned& owned, const Applied& applied) {
  stopped_ = true;
  // It may be the other who is wrong, and he must learn of it, too.
  if (applied.effect == Effect::diverged && owned.serving) {
    append_tail(owned, now_);
    log_.append(owned.partition.id(), std::exchange(owned.outgoing, model::RecordBatch()));
  }
  const auto id = owned.partition.id();
  const auto reason = stop_reason_of(applied.effect);
  events_.fatal(id, reason, describe(reason, id, applied.offset, owned.partition.position().next));
}

// --- Opening and closing -----------------------------------------------------------------------

void Shard::update(std::shared_ptr<const model::Directory> directory,
                   const std::vector<model::PollId>& changed, Instant now) {
  directory_ = std::move(directory);
  for (auto& owned : owned_) {
    owned->unsettled.insert(changed.begin(), changed.end());
    if (owned->serving) reconcile(*owned, now);
  }
}

// Writes OPEN and CLOSE where the directory has them and this partition has not, again and again
// until they come back.
void Shard::reconcile(Owned& owned, Instant now) {
  for (auto next = owned.unsettled.begin(); next != owned.unsettled.end();) {
    const auto id = *next;
    const auto entry = directory_->find(id);
    const auto* state = owned.partition.find(id);
    const bool needs_open = entry && (entry->was_open || entry->phase == PollPhase::open) && !state;
    const bool needs_close = entry && entry->takes_no_more() && state && !state->closed;
    if (!needs_open && !needs_close) {
      next = owned.unsettled.erase(next);
      owned.on_its_way.erase(id);
      if (state) tell_settled(owned, id, state->closed);
      continue;
    }
    ++next;
    if (!owned.serving) continue;
    const auto [on_its_way, fresh] = owned.on_its_way.try_emplace(id, now);
    if (!fresh && !elapsed(on_its_way->second, now, limits::kRewriteInterval)) continue;
    on_its_way->second = now;
    append_phase(owned, *entry);
  }
}

void Shard::tell_settled(Owned& owned, const model::PollId& poll, bool closed) {
  const auto tell = [this, &owned, poll, closed](bool covered) {
    if (covered)
      events_.settled(owned.partition.id(), poll, closed);
    else
      owned.unsettled.insert(poll);  // and again
  };
  owned.uncovered.push_back({owned.partition.position().next, now_, tell});
  cover(owned);
}

void Shard::append_hello(Owned& owned, Instant now) {
  v1::Record record;
  auto& hello = *record.mutable_hello();
  hello.set_node(node_id_.bytes.data(), node_id_.bytes.size());
  *hello.mutable_tail() = model::tail_of(owned.partition.position(), now);
  append(owned, record);
  owned.hello_at = now;
  owned.last_tail = now;
}

void Shard::append_phase(Owned& owned, const model::PollEntry& poll) {
  v1::Record record;
  if (!owned.partition.find(poll.definition->id)) {
    auto& open = *record.mutable_open();
    *open.mutable_definition() = model::to_message(*poll.definition);
    open.set_rules(model::kCountingRules);
    open.set_control_offset(poll.changed_at.value);
  } else {
    auto& close = *record.mutable_close();
    close.set_poll(poll.definition->id.str());
    close.set_control_offset(poll.changed_at.value);
    close.set_cancelled(poll.phase == PollPhase::cancelled);
  }
  append(owned, record);
}

void Shard::append(Owned& owned, v1::Record& record) {
  writer_.stamp(record);
  owned.outgoing.push(record.SerializeAsString());
}

void Shard::append_tail(Owned& owned, Instant now) {
  v1::Record record;
  *record.mutable_noop()->mutable_tail() = model::tail_of(owned.partition.position(), now);
  append(owned, record);
  owned.tail_counter = record.counter();
  owned.tail_at = now;
  owned.last_tail = now;
}

// --- Time --------------------------------------------------------------------------------------

void Shard::tick(Instant now) {
  now_ = now;
  if (stopped_) return;
  expire_pending(now);
  for (auto& owned : owned_) {
    if (!owned->serving) {
      if (elapsed(owned->hello_at, now, limits::kRewriteInterval)) append_hello(*owned, now);
      continue;
    }
    note_end(*owned);
    settle_uncovered(*owned, false, [&](const Uncovered& wait) {
      return elapsed(wait.since, now, limits::kParkDeadline);
    });
    reconcile(*owned, now);
    const bool quiet = elapsed(owned->last_tail, now, limits::kTailProofInterval);
    const bool lost = owned->tail_counter && elapsed(owned->tail_at, now, limits::kRewriteInterval);
    const bool waiting = !owned->uncovered.empty() &&
                         elapsed(owned->uncovered.front().since, now, limits::kProveAfter);
    if (quiet || lost || (waiting && !owned->tail_counter)) append_tail(*owned, now);
  }
}

// A record that does not come back may be in the log or not: only the same ballot again can tell.
void Shard::expire_pending(Instant now) {
  boost::unordered::erase_if(pending_, [&](const auto& entry) {
    if (!elapsed(entry.second.since, now, limits::kParkDeadline)) return false;
    for (const auto& waiter : entry.second.waiters) refuse(waiter, Outcome::outcome_unknown);
    return true;
  });
}

void Shard::flush() {
  for (auto& owned : owned_) {
    if (owned->outgoing.empty()) continue;
    const auto status =
        log_.append(owned->partition.id(), std::exchange(owned->outgoing, model::RecordBatch()));
    if (status != model::AppendStatus::queued)
      on_refused_append(
          *owned, status == model::AppendStatus::closed ? Outcome::draining : Outcome::overloaded);
    owned->outgoing_ballots.clear();
  }
  for (auto& [sink, replies] : std::exchange(replies_, {})) {
    answered_ += replies.size();
    sink->deliver(std::move(replies));
  }
}

// Nothing of the batch was taken, so nothing of it is on its way.
void Shard::on_refused_append(Owned& owned, Outcome outcome) {
  for (const auto& key : owned.outgoing_ballots) {
    const auto found = pending_.find(key);
    if (found == pending_.end()) continue;
    for (const auto& waiter : found->second.waiters) refuse(waiter, outcome);
    pending_.erase(found);
  }
  owned.on_its_way.clear();
  owned.tail_counter.reset();
  // With the next tick again: so a log that takes records again learns it from us, and not from a
  // voter.
  owned.hello_at = {};
  owned.last_tail = {};
}

// --- Reading and checkpoints -------------------------------------------------------------------

std::vector<PartialTally> Shard::collect(const model::PollId& poll) {
  std::vector<PartialTally> partials;
  for (auto& owned : owned_) {
    note_end(*owned);
    PartialTally partial;
    partial.partition = owned->partition.id();
    partial.position = owned->partition.position();
    partial.as_of = owned->as_of;
    if (owned->ahead) partial.behind = owned->ahead->offset.value - partial.position.next.value;
    if (const auto* state = owned->partition.find(poll)) {
      partial.changes = state->changes;
      partial.closed = state->closed;
      partial.tally = copy_of(*owned, *state);
    }
    partials.push_back(std::move(partial));
  }
  return partials;
}

// A tally of ten thousand places has megabytes: many who ask while nothing changes share one copy.
std::shared_ptr<const model::Tally> Shard::copy_of(Owned& owned, const apply::PollState& poll) {
  auto& copy = owned.copies[poll.definition->id];
  auto tally = copy.tally.lock();
  if (tally && copy.changes == poll.changes) return tally;
  tally = std::make_shared<const model::Tally>(poll.tally);
  copy = {poll.changes, tally};
  return tally;
}

void Shard::checkpoint_if_due(Instant now) {
  const bool full = index_.recent() >= limits::kCheckpointKeys;
  const bool old = serving() && index_.recent() > 0 &&
                   elapsed(last_checkpoint_, now, limits::kCheckpointInterval);
  if (!full && !old) return;
  // The index is written more slowly than it grows: wait, so that memory stays bounded.
  if (index_.recent() >= 2 * limits::kCheckpointKeys) index_.finish_checkpoint();
  if (index_.ready_for_checkpoint()) begin_checkpoint(now);
}

void Shard::begin_checkpoint(Instant now) {
  std::vector<model::PartitionImage> images;
  for (auto& owned : owned_) images.push_back(owned->partition.take_image());
  index_.begin_checkpoint(std::move(images));
  last_checkpoint_ = now;
}

void Shard::final_checkpoint() {
  index_.finish_checkpoint();
  begin_checkpoint(last_checkpoint_);
  index_.finish_checkpoint();
}

// --- Plain facts -------------------------------------------------------------------------------

bool Shard::serving() const {
  return !stopped_ && std::all_of(owned_.begin(), owned_.end(),
                                  [](const auto& owned) { return owned->serving; });
}

std::vector<std::pair<model::PartitionId, model::Position>> Shard::positions() const {
  std::vector<std::pair<model::PartitionId, model::Position>> positions;
  for (const auto& owned : owned_)
    positions.emplace_back(owned->partition.id(), owned->partition.position());
  return positions;
}

std::uint64_t Shard::invalid() const {
  std::uint64_t sum = 0;
  for (const auto& owned : owned_) sum += owned->partition.invalid();
  return sum;
}

std::uint64_t Shard::duplicates() const {
  std::uint64_t sum = 0;
  for (const auto& owned : owned_) sum += owned->partition.duplicates();
  return sum;
}

void Shard::leave(ShardFigures& figures) const {
  for (std::size_t p = 0; p < owned_.size(); ++p)
    figures.applied[p].store(owned_[p]->partition.position().next.value, std::memory_order_relaxed);
  figures.invalid.store(invalid(), std::memory_order_relaxed);
  figures.duplicates.store(duplicates(), std::memory_order_relaxed);
}

Shard::Owned& Shard::owner_of(const model::PollId& poll, const model::VoterKey& voter) {
  return owned(model::partition_of(poll, voter, log_.partitions()));
}

Shard::Owned& Shard::owned(model::PartitionId id) {
  for (auto& owned : owned_)
    if (owned->partition.id() == id) return *owned;
  VECHE_ASSERT(false, "a shard is asked for its own partitions alone");
}

}  // namespace veche::node
