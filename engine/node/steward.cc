#include "engine/node/steward.h"

#include <algorithm>

#include "engine/model/assert.h"
#include "engine/model/limits.h"
#include "engine/node/elapsed.h"
#include "engine/node/stop_reason.h"
#include "engine/node/take_if.h"
#include "engine/publish/steps.h"

namespace veche::node {

using apply::ControlApplied;
using apply::ControlEffect;
using model::Instant;
using model::PollPhase;

namespace {

ChangeOutcome outcome_of(apply::Verdict verdict) {
  switch (verdict) {
    case apply::Verdict::fits:
      return ChangeOutcome::done;
    case apply::Verdict::unknown_poll:
      return ChangeOutcome::unknown_poll;
    case apply::Verdict::poll_exists:
      return ChangeOutcome::poll_exists;
    case apply::Verdict::wrong_phase:
      return ChangeOutcome::wrong_phase;
    case apply::Verdict::other_version:
      return ChangeOutcome::version_mismatch;
    case apply::Verdict::own_draft:
      return ChangeOutcome::own_draft;
    case apply::Verdict::limit_reached:
      return ChangeOutcome::limit_reached;
  }
  VECHE_ASSERT(false, "every verdict is an outcome");
}

std::uint32_t based_on(const PollChangeRequest& request, const model::Directory& directory) {
  if (request.version) return *request.version;
  const auto current = directory.find(request.poll);
  return current ? current->version : 0;
}

}  // namespace

Steward::Steward(model::Log& log, model::RecordWriter writer, model::BootId node_id,
                 StewardEvents& events)
    : log_(log), writer_(writer), node_id_(node_id), events_(events) {}

void Steward::say_hello(Instant now) { append_hello(now); }

// --- The log comes back ------------------------------------------------------------------------

void Steward::deliver(model::Offset first, const model::RecordBatch& records, model::Offset durable,
                      Instant now) {
  now_ = now;
  std::vector<model::PollId> changed;
  durable_ = std::max(durable_, durable);
  auto offset = first;
  for (const auto record : records) {
    const auto before = control_.position();
    const auto applied = control_.apply(offset, record);
    // Control is read from its first record on at each start: until then a tail that differs
    // tells of its writer alone.
    if (applied.stops() || (serving_ && applied.effect == ControlEffect::diverged))
      return stop(applied, now);
    if (applied.effect == ControlEffect::poll_changed) changed.push_back(applied.poll);
    const bool own = applied.record && applied.record->boot() == writer_.boot().view();
    if (own && applied.record->has_hello()) {
      if (!asked_at_ && applied.record->counter() >= asking_) asked_at_ = now;
      if (!std::exchange(serving_, true)) events_.serving(model::kControl, before);
    }
    on_applied(applied, now);
    offset = offset.plus(1);
  }
  if (!records.empty()) events_.directory_changed(control_.directory(), changed);
  cover();
  if (!changed.empty()) tick(now);  // a poll whose time has come opens at once
}

void Steward::stop(const ControlApplied& applied, Instant now) {
  // It may be the other who is wrong, and he must learn of it, too.
  if (applied.effect == ControlEffect::diverged) {
    append_noop(now);
    flush();
  }
  const auto reason = stop_reason_of(applied.effect);
  events_.fatal(model::kControl, reason,
                describe(reason, model::kControl, applied.offset, control_.position().next));
}

void Steward::on_applied(const ControlApplied& applied, Instant now) {
  if (!applied.record) return;
  const auto& record = *applied.record;
  if (applied.effect == ControlEffect::poll_changed) on_its_way_.erase(applied.poll);
  if (record.has_publication()) on_publication(applied, now);
  if (record.has_hello()) on_tail(applied, record.hello().tail(), now);
  if (record.has_noop()) on_tail(applied, record.noop().tail(), now);
  if (record.boot() != writer_.boot().view()) return;
  if (record.counter() == noop_counter_) noop_counter_.reset();
  newest_applied_ = std::max(newest_applied_, record.counter());
  pass_barriers();
  if (auto own = changes_.extract(record.counter()))
    on_own(applied, record, std::move(own.mapped().done));
}

// The last record of a change that somebody here waits for.
void Steward::on_own(const ControlApplied& applied, const v1::Record& record, ChangeDone done) {
  if (record.has_poll_change()) {
    const bool changed = applied.effect == ControlEffect::poll_changed;
    if (changed) expect_settled(applied.poll);
    return when_covered(applied.offset, [this, change = record.poll_change(),
                                         done = std::move(done), changed](bool covered) {
      if (!covered) return done({ChangeOutcome::unknown, nullptr, 0});
      on_own_change(change, changed, done);
    });
  }
  if (record.has_certificate()) {
    const bool changed = applied.effect == ControlEffect::poll_changed;
    return when_covered(applied.offset,
                        [this, poll = applied.poll, done = std::move(done), changed](bool covered) {
                          if (!covered) return done({ChangeOutcome::unknown, nullptr, 0});
                          on_own_certificate(poll, changed, done);
                        });
  }
  if (record.has_audit_read()) {
    const auto outcome = applied.effect == ControlEffect::poll_read ? ChangeOutcome::done
                                                                    : ChangeOutcome::unknown_poll;
    return when_covered(applied.offset, [done = std::move(done), outcome](bool covered) {
      done({covered ? outcome : ChangeOutcome::unknown, nullptr, 0});
    });
  }
  // Its parts may have lost their order on the way: then nobody's tree has come.
  const auto version = record.territories().version();
  const auto outcome = applied.effect == ControlEffect::tree_added     ? ChangeOutcome::done
                       : control_.directory()->trees.size() >= version ? ChangeOutcome::overtaken
                                                                       : ChangeOutcome::unknown;
  when_covered(applied.offset, [done = std::move(done), outcome, version](bool covered) {
    done({covered ? outcome : ChangeOutcome::unknown, nullptr, version});
  });
}

// Of another node: what its clock says, and a HELLO is answered at once, so that a node that starts
// learns in its first moments whether it reads the same and has the same time.
void Steward::on_tail(const ControlApplied& applied, const v1::Tail& tail, Instant now) {
  const auto peer = model::BootId::parse(applied.record->boot());
  if (!peer || *peer == writer_.boot()) return;
  if (applied.record->has_hello()) {
    if (const auto node = model::BootId::parse(applied.record->hello().node()))
      peers_.joined(*peer, *node, serving_);
    if (serving_) append_noop(now);
  }
  const Instant theirs{std::chrono::milliseconds(tail.unix_ms())};
  // Old news say nothing of our clock; whether it is old, the end of the log tells.
  const auto end = log_.end(model::kControl);
  const bool fresh = applied.offset >= end.offset && !elapsed(end.as_of, now, limits::kClockSkew);
  if (serving_ && (fresh || now - theirs <= limits::kClockSkew))
    peers_.heard(*peer, now - theirs, now);
}

void Steward::when_covered(model::Offset at, std::function<void(bool covered)> tell) {
  uncovered_.push_back({at.plus(1), now_, std::move(tell)});
}

void Steward::cover() {
  const auto proven = std::min(durable_, control_.position().next);
  for (const auto& each :
       take_if(uncovered_, [&](const auto& waiting) { return waiting.end <= proven; }))
    each.tell(true);
}

// Everything up to here is applied: what was read for the answers has to be durable, too.
void Steward::pass_barriers() {
  for (auto& behind : take_if(
           behind_, [&](const auto& waiting) { return waiting.counter <= newest_applied_; }))
    uncovered_.push_back(
        {control_.position().next, now_,
         [this, done = std::move(behind.done)](bool covered) { done(covered, now_); }});
  // Who came while a NOOP was on its way shares the next one.
  if (!behind_.empty() && !log_.sole_writer() && !noop_counter_) append_noop(now_);
}

void Steward::on_own_change(const v1::PollChange& change, bool changed, const ChangeDone& done) {
  const auto id = *model::PollId::parse(change.poll());
  if (!changed) {
    // Something came first. Where that is gone again, trying again may do.
    const auto why = outcome_of(
        apply::judge(*control_.directory(), id, change.action(), change.based_on(), change.by()));
    const bool overtaken = why == ChangeOutcome::done || why == ChangeOutcome::version_mismatch;
    return finish(id, overtaken ? ChangeOutcome::overtaken : why, done);
  }
  if (const auto settling = settling_.find(id); settling != settling_.end())
    settling->second.done.push_back(done);
  else
    finish(id, ChangeOutcome::done, done);
}

void Steward::on_own_certificate(const model::PollId& poll, bool changed, const ChangeDone& done) {
  const auto phase = control_.directory()->find(poll)->phase;
  const auto outcome = changed || phase == PollPhase::certified ? ChangeOutcome::done
                       : phase == PollPhase::closed  // parts of two were between each other
                           ? ChangeOutcome::unknown
                           : ChangeOutcome::wrong_phase;
  finish(poll, outcome, done);
}

// From now on every partition has to apply OPEN, or CLOSE, before the change is done; unless the
// poll was never open.
void Steward::expect_settled(const model::PollId& poll) {
  const auto entry = control_.directory()->find(poll);
  if (!entry->was_open && entry->phase != PollPhase::open) return;
  auto& settling = settling_[poll];
  settling.close = entry->phase != PollPhase::open;
  settling.since = now_;
  for (std::uint16_t p = 0; p < log_.partitions(); ++p) settling.missing.insert({p});
}

void Steward::settled(model::PartitionId partition, const model::PollId& poll, bool closed) {
  const auto found = settling_.find(poll);
  if (found == settling_.end() || (found->second.close && !closed)) return;
  found->second.missing.erase(partition);
  if (!found->second.missing.empty()) return;
  const auto done = std::move(found->second.done);
  settling_.erase(found);
  for (const auto& each : done) finish(poll, ChangeOutcome::done, each);
}

void Steward::finish(const model::PollId& poll, ChangeOutcome outcome, const ChangeDone& done) {
  done({outcome, control_.directory()->find(poll), 0});
}

// --- Requests ----------------------------------------------------------------------------------

void Steward::change(PollChangeRequest request, ChangeDone done, Instant now) {
  if (!serving_) return done({ChangeOutcome::starting, nullptr, 0});
  if (refusal(request) == ChangeOutcome::done) return append_change(request, std::move(done), now);
  barrier(
      [this, request = std::move(request), done = std::move(done)](bool passed, Instant later) {
        if (!passed) return done({ChangeOutcome::unknown, nullptr, 0});
        const auto outcome = refusal(request);
        if (outcome == ChangeOutcome::done) return append_change(request, done, later);
        finish(request.poll, outcome, done);
      },
      now);
}

ChangeOutcome Steward::refusal(const PollChangeRequest& request) {
  const auto& directory = *control_.directory();
  const auto outcome = outcome_of(apply::judge(directory, request.poll, request.action,
                                               based_on(request, directory), request.by));
  if (outcome != ChangeOutcome::done || !request.definition) return outcome;
  return directory.tree_of_version(request.definition->tree_version) ? ChangeOutcome::done
                                                                     : ChangeOutcome::bad_tree;
}

void Steward::append_change(const PollChangeRequest& request, ChangeDone done, Instant now) {
  v1::Record record;
  auto& change = *record.mutable_poll_change();
  change.set_poll(request.poll.str());
  change.set_action(request.action);
  change.set_by(request.by);
  change.set_reason(request.reason);
  change.set_unix_ms(now.time_since_epoch().count());
  change.set_based_on(based_on(request, *control_.directory()));
  if (request.definition) *change.mutable_definition() = model::to_message(*request.definition);
  if (request.tree_day) change.set_tree_day(model::format_date(*request.tree_day));
  const auto counter = append(record);
  if (done) changes_.emplace(counter, OwnChange{std::move(done), now});
}

void Steward::certify(CertifyRequest request, ChangeDone done, Instant now) {
  if (!serving_) return done({ChangeOutcome::starting, nullptr, 0});
  const auto refusal = [this](const CertifyRequest& asked) {
    return outcome_of(apply::judge(*control_.directory(), asked.poll, v1::POLL_ACTION_CERTIFIED,
                                   asked.version, asked.by));
  };
  if (refusal(request) == ChangeOutcome::done)
    return append_certificate(request, std::move(done), now);
  barrier(
      [this, refusal, request = std::move(request), done = std::move(done)](bool passed,
                                                                            Instant later) {
        if (!passed) return done({ChangeOutcome::unknown, nullptr, 0});
        const auto outcome = refusal(request);
        if (outcome == ChangeOutcome::done) return append_certificate(request, done, later);
        const auto poll = control_.directory()->find(request.poll);
        const bool is_certified = poll && poll->phase == PollPhase::certified;
        finish(request.poll, is_certified ? ChangeOutcome::done : outcome, done);
      },
      now);
}

void Steward::append_certificate(const CertifyRequest& request, ChangeDone done, Instant now) {
  const auto& bytes = request.compressed;
  std::uint64_t counter = 0;
  for (std::size_t at = 0, part = 0; at < bytes.size();
       at += limits::kCertificatePartBytes, ++part) {
    v1::Record record;
    auto& certificate = *record.mutable_certificate();
    certificate.set_poll(request.poll.str());
    certificate.set_part(static_cast<std::uint32_t>(part));
    certificate.set_last(at + limits::kCertificatePartBytes >= bytes.size());
    certificate.set_compressed(bytes.substr(at, limits::kCertificatePartBytes));
    if (certificate.last()) certificate.set_sha256(request.sha256);
    certificate.set_by(request.by);
    certificate.set_reason(request.reason);
    certificate.set_unix_ms(now.time_since_epoch().count());
    certificate.set_based_on(request.version);
    counter = append(record);
  }
  changes_.emplace(counter, OwnChange{std::move(done), now});
}

void Steward::audit(const model::PollId& poll, std::string by, ChangeDone done, Instant now) {
  if (!serving_) return done({ChangeOutcome::starting, nullptr, 0});
  v1::Record record;
  auto& audit = *record.mutable_audit_read();
  audit.set_poll(poll.str());
  audit.set_by(std::move(by));
  audit.set_unix_ms(now.time_since_epoch().count());
  changes_.emplace(append(record), OwnChange{std::move(done), now});
}

void Steward::add_tree(std::string csv, model::Date valid_from, std::string by, ChangeDone done,
                       Instant now) {
  if (!serving_) return done({ChangeOutcome::starting, nullptr, 0});
  const auto version = static_cast<std::uint32_t>(control_.directory()->trees.size() + 1);
  if (version > limits::kTreeVersions) return done({ChangeOutcome::limit_reached, nullptr, 0});
  std::uint64_t counter = 0;
  for (std::size_t at = 0, part = 0; at < csv.size(); at += limits::kTerritoriesPartBytes, ++part) {
    v1::Record record;
    auto& territories = *record.mutable_territories();
    territories.set_version(version);
    territories.set_part(static_cast<std::uint32_t>(part));
    territories.set_last(at + limits::kTerritoriesPartBytes >= csv.size());
    territories.set_valid_from(model::format_date(valid_from));
    territories.set_csv(csv.substr(at, limits::kTerritoriesPartBytes));
    territories.set_by(by);
    territories.set_unix_ms(now.time_since_epoch().count());
    counter = append(record);
  }
  changes_.emplace(counter, OwnChange{std::move(done), now});
}

void Steward::barrier(BarrierDone done, Instant now) {
  if (!log_.sole_writer()) {
    behind_.push_back({newest_ + 1, now, std::move(done)});
    if (!noop_counter_) append_noop(now);
    return;
  }
  now_ = now;
  behind_.push_back({newest_, now, std::move(done)});
  if (!serving_) return;  // our HELLO may not even be written
  pass_barriers();
  cover();
}

// --- Publications ------------------------------------------------------------------------------

std::vector<model::PollId> Steward::take_due_publications(std::chrono::milliseconds interval,
                                                          Instant now) {
  std::vector<model::PollId> due;
  if (!knows_the_time(now) || !elapsed(looked_at_, now, interval / 4)) return due;
  looked_at_ = now;
  for (const auto& [id, poll] : control_.directory()->polls) {
    if (!poll->cells || (poll->phase != PollPhase::open && !poll->takes_no_more())) continue;
    if (poll->publication && poll->publication->is_final) {
      publishing_.erase(id);
      continue;
    }
    auto& publishing = publishing_[id];
    // Who published last goes on; the others step in where he does not.
    const auto wait = publishing.was_ours ? interval : interval + interval / 2;
    const auto patience = publishing.counter ? limits::kRewriteInterval : wait;
    if (publishing.is_gathering || !elapsed(publishing.looked_at, now, patience)) continue;
    publishing.looked_at = now;
    publishing.is_gathering = true;
    due.push_back(id);
  }
  return due;
}

void Steward::publish(const model::PollId& id, Collected collected, Instant now) {
  const auto found = publishing_.find(id);
  if (found == publishing_.end()) return;
  found->second.is_gathering = false;
  found->second.counter.reset();
  if (collected.partials.empty()) return;           // the log does not prove it: look again
  collected.poll = control_.directory()->find(id);  // it may have changed since
  const auto next = publish::next_publication(collected, now);
  if (!next) return;
  for (auto& part : model::to_messages(id, *next, collected.poll->publication.get())) {
    v1::Record record;
    *record.mutable_publication() = std::move(part);
    found->second.counter = append(record);
  }
}

void Steward::on_publication(const ControlApplied& applied, Instant now) {
  if (applied.effect != ControlEffect::published) {
    // Ours came second, or came to nothing: what is new is found with the next look.
    const auto found = publishing_.find(applied.poll);
    if (found != publishing_.end() && found->second.counter == applied.record->counter() &&
        applied.record->boot() == writer_.boot().view())
      found->second.counter.reset();
    return;
  }
  auto& publishing = publishing_[applied.poll];
  publishing.counter.reset();
  publishing.looked_at = now;
  publishing.was_ours = applied.record->boot() == writer_.boot().view();
}

// --- Time and the log --------------------------------------------------------------------------

void Steward::tick(Instant now) {
  now_ = now;
  const auto lost = [&](Instant appended_at) {
    return elapsed(appended_at, now, limits::kRewriteInterval);
  };
  if (!serving_) {
    if (lost(hello_at_)) append_hello(now);
    return;
  }
  expire(now);
  if (asks_for_the_time(now) && lost(hello_at_)) append_hello(now);
  if (knows_the_time(now)) open_and_close(now);
  const bool wanted = (!behind_.empty() && !log_.sole_writer()) || !uncovered_.empty() ||
                      elapsed(last_tail_, now, limits::kTailProofInterval);
  if (noop_counter_ ? lost(noop_at_) : wanted) append_noop(now);
}

// Until our HELLO is back, the others cannot have heard it; and as long as there may be others, one
// of them has to answer. Who is silent for longer than tails take is not there.
bool Steward::asks_for_the_time(Instant now) const {
  return !asked_at_ ||
         (peers_.owe_an_answer() && !elapsed(*asked_at_, now, limits::kPeerMemory));
}

// What is decided by the clock, or told with its time, waits for what the others say of it.
bool Steward::knows_the_time(Instant now) const {
  return serving_ && !asks_for_the_time(now) && elapsed(*asked_at_, now, limits::kClockSkew) &&
         !peers_.clock_is_off(now);
}

// A change that does not come back may be in the log or not: only a look at the poll can tell. What
// waits for the log alone is given up, too, so that an outage leaves nothing behind that is done
// when nobody expects it any more.
void Steward::expire(Instant now) {
  const auto late = [&](Instant since) { return elapsed(since, now, limits::kParkDeadline); };
  const auto is_late = [&](const auto& waiting) { return late(waiting.since); };
  std::vector<ChangeDone> unknown;
  for (auto change = changes_.begin(); change != changes_.end();) {
    if (!late(change->second.since)) {
      ++change;
      continue;
    }
    unknown.push_back(std::move(change->second.done));
    change = changes_.erase(change);
  }
  // The change holds, but not every partition has it: nobody can say yet that it is done.
  for (auto each = settling_.begin(); each != settling_.end();) {
    if (!late(each->second.since)) {
      ++each;
      continue;
    }
    std::move(each->second.done.begin(), each->second.done.end(), std::back_inserter(unknown));
    each = settling_.erase(each);
  }
  const auto behind = take_if(behind_, is_late);
  const auto uncovered = take_if(uncovered_, is_late);
  for (const auto& done : unknown) done({ChangeOutcome::unknown, nullptr, 0});
  for (const auto& each : behind) each.done(false, now);
  for (const auto& each : uncovered) each.tell(false);
}

void Steward::clock_stepped(Instant now) {
  peers_.forget_what_was_heard();
  append_hello(now);  // others answer it
  asking_ = newest_;
  asked_at_.reset();
}

// What is due by the clock.
void Steward::open_and_close(Instant now) {
  const auto by_clock = [&](const model::PollEntry& poll, v1::PollAction action) {
    const auto [on_its_way, fresh] = on_its_way_.try_emplace(poll.definition->id, now);
    if (!fresh && !elapsed(on_its_way->second, now, limits::kRewriteInterval)) return;
    on_its_way->second = now;
    append_change({poll.definition->id, action, nullptr, "clock", {}, poll.version}, nullptr, now);
  };
  for (const auto& [id, poll] : control_.directory()->polls) {
    const auto& definition = *poll->definition;
    if (poll->phase == PollPhase::scheduled && now >= definition.opens_at)
      by_clock(*poll, v1::POLL_ACTION_OPENED);
    if (poll->phase == PollPhase::open && now >= definition.closes_at + limits::kCloseGrace)
      by_clock(*poll, v1::POLL_ACTION_CLOSED);
  }
}

void Steward::append_hello(Instant now) {
  v1::Record record;
  record.mutable_hello()->set_node(node_id_.bytes.data(), node_id_.bytes.size());
  *record.mutable_hello()->mutable_tail() = model::tail_of(control_.position(), now);
  append(record);
  hello_at_ = now;
  last_tail_ = now;
}

void Steward::append_noop(Instant now) {
  v1::Record record;
  *record.mutable_noop()->mutable_tail() = model::tail_of(control_.position(), now);
  noop_counter_ = append(record);
  noop_at_ = now;
  last_tail_ = now;
}

std::uint64_t Steward::append(v1::Record& record) {
  const auto counter = writer_.stamp(record);
  outgoing_.push(record.SerializeAsString());
  outgoing_counters_.push_back(counter);
  newest_ = counter;
  return counter;
}

void Steward::flush() {
  if (outgoing_.empty()) return;
  const auto status = log_.append(model::kControl, std::exchange(outgoing_, {}));
  if (status != model::AppendStatus::queued)
    return refused(status == model::AppendStatus::closed ? ChangeOutcome::draining
                                                         : ChangeOutcome::overloaded);
  outgoing_counters_.clear();
  newest_taken_ = newest_;
}

// Nothing was taken: what waits for it is told so, or tries again with the next tick.
void Steward::refused(ChangeOutcome outcome) {
  on_its_way_.clear();
  for (auto& [poll, publishing] : publishing_) publishing.counter.reset();
  hello_at_ = {};
  last_tail_ = {};
  noop_counter_.reset();
  newest_ = newest_taken_;
  for (const auto counter : std::exchange(outgoing_counters_, {}))
    if (auto change = changes_.extract(counter)) change.mapped().done({outcome, nullptr, 0});
  if (!log_.sole_writer()) return;
  // What was not written is not waited for.
  for (auto& behind : behind_) behind.counter = std::min(behind.counter, newest_);
  if (!serving_) return;
  pass_barriers();
  cover();
}

}  // namespace veche::node
