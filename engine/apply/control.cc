#include "engine/apply/control.h"

#include <utility>

#include "engine/model/assert.h"
#include "engine/model/limits.h"

namespace veche::apply {

using model::PollPhase;

namespace {

model::Instant instant(std::int64_t unix_ms) {
  return model::Instant(std::chrono::milliseconds(unix_ms));
}

std::optional<model::Event> event_of(v1::PollAction action) {
  switch (action) {
    case v1::POLL_ACTION_DRAFTED:
      return model::Event::drafted;
    case v1::POLL_ACTION_SUBMITTED:
      return model::Event::submitted;
    case v1::POLL_ACTION_RETURNED:
      return model::Event::returned;
    case v1::POLL_ACTION_APPROVED:
      return model::Event::approved;
    case v1::POLL_ACTION_OPENED:
      return model::Event::opened;
    case v1::POLL_ACTION_CLOSED:
      return model::Event::closed;
    case v1::POLL_ACTION_CERTIFIED:
      return model::Event::certified;
    case v1::POLL_ACTION_CANCELLED:
      return model::Event::cancelled;
    default:
      return std::nullopt;
  }
}

// A change that was judged to fit.
void change_phase(model::PollEntry& entry, v1::PollAction action, model::Offset at) {
  const auto phase = next_phase(entry.phase, action);
  VECHE_ASSERT(phase, "a change that fits leads somewhere");
  entry.was_open |= entry.phase == PollPhase::open || *phase == PollPhase::open;
  entry.was_approved |= *phase == PollPhase::scheduled;
  entry.phase = *phase;
  entry.changed_at = at;
}

// What a first definition makes a poll of.
std::shared_ptr<model::PollEntry> nothing_yet() {
  auto entry = std::make_shared<model::PollEntry>();
  entry->phase = PollPhase::draft;
  entry->version = 0;
  entry->was_approved = false;
  return entry;
}

void note(model::PollEntry& entry, model::HistoryRow row) {
  auto history = std::make_shared<model::History>(*entry.history);
  history->add(std::move(row));
  entry.history = std::move(history);
}

}  // namespace

ControlApplied Control::apply(model::Offset offset, std::string_view bytes) {
  ControlApplied applied;
  applied.offset = offset;
  if (offset < position().next) {
    applied.effect = ControlEffect::already_applied;
    return applied;
  }
  if (offset > position().next) {
    applied.effect = ControlEffect::gap;
    return applied;
  }
  switch (model::decode(bytes, record_)) {
    case model::Decoded::foreign:
      applied.effect = ControlEffect::invalid;
      break;
    case model::Decoded::unknown_kind:
      applied.effect = ControlEffect::unknown_kind;
      return applied;
    case model::Decoded::ours:
      applied.record = &record_;
      apply_record(record_, applied);
  }
  if (applied.stops()) return applied;
  trail_.advance(bytes);
  return applied;
}

std::shared_ptr<const model::Directory> Control::directory() {
  if (!snapshot_) snapshot_ = std::make_shared<const model::Directory>(current_);
  return snapshot_;
}

void Control::apply_record(const v1::Record& record, ControlApplied& applied) {
  switch (record.kind_case()) {
    case v1::Record::kTerritories:
      return apply_territories(record, applied);
    case v1::Record::kPollChange:
      return apply_change(record.poll_change(), applied);
    case v1::Record::kGenesis:
      if (position().next.value == 0) partitions_ = record.genesis().partitions();
      return;
    case v1::Record::kHello:
      return compare(record.hello().tail(), applied);
    case v1::Record::kNoop:
      return compare(record.noop().tail(), applied);
    case v1::Record::kPublication:
      return apply_publication(record, applied);
    case v1::Record::kAuditRead:
      return apply_audit(record.audit_read(), applied);
    case v1::Record::kCertificate:
      return apply_certificate(record, applied);
    case v1::Record::kOpen:
    case v1::Record::kClose:
    case v1::Record::kBallot:
    case v1::Record::KIND_NOT_SET:
      applied.effect = ControlEffect::invalid;  // belongs into a ballots partition
  }
}

void Control::compare(const v1::Tail& tail, ControlApplied& applied) const {
  const auto comparison = trail_.compare(tail);
  if (comparison == Trail::Comparison::differs) applied.effect = ControlEffect::diverged;
  if (comparison == Trail::Comparison::senseless) applied.effect = ControlEffect::invalid;
}

void Control::apply_territories(const v1::Record& record, ControlApplied& applied) {
  const auto& part = record.territories();
  applied.effect = ControlEffect::void_change;
  if (part.version() != current_.trees.size() + 1) return;  // another writer was first
  if (part.part() == 0) tree_parts_ = {record.boot(), record.counter(), part.version(), 0, {}};
  if (record.boot() != tree_parts_.boot || part.version() != tree_parts_.version ||
      part.part() != tree_parts_.parts ||
      record.counter() != tree_parts_.first_counter + tree_parts_.parts)
    return;
  if (tree_parts_.csv.size() + part.csv().size() > limits::kTreeBodyBytes) return;
  ++tree_parts_.parts;
  tree_parts_.csv += part.csv();
  applied.effect = ControlEffect::noted;
  if (!part.last()) return;
  auto tree = model::TerritoryTree::parse_csv(tree_parts_.csv);
  const auto valid_from = model::parse_date(part.valid_from());
  tree_parts_ = {};
  if (!tree || !valid_from || current_.trees.size() >= limits::kTreeVersions) {
    applied.effect = ControlEffect::invalid;
    return;
  }
  current_.trees.push_back({part.version(), *valid_from,
                            std::make_shared<const model::TerritoryTree>(*std::move(tree))});
  snapshot_.reset();
  applied.effect = ControlEffect::tree_added;
}

void Control::apply_change(const v1::PollChange& change, ControlApplied& applied) {
  const auto id = model::PollId::parse(change.poll());
  if (!id) {
    applied.effect = ControlEffect::invalid;
    return;
  }
  applied.poll = *id;
  const auto action = change.action();
  if (!v1::PollAction_IsValid(action)) {
    applied.effect = ControlEffect::unknown_kind;
    return;
  }
  applied.effect = ControlEffect::void_change;
  if (action == v1::POLL_ACTION_CERTIFIED) return;
  if (judge(current_, *id, action, change.based_on(), change.by()) != Verdict::fits) return;
  const auto current = current_.find(*id);
  auto entry = current ? std::make_shared<model::PollEntry>(*current) : nothing_yet();
  if (action == v1::POLL_ACTION_DRAFTED && !take_definition(change, *entry)) {
    applied.effect = ControlEffect::invalid;
    return;
  }
  change_phase(*entry, action, applied.offset);
  note(*entry, {*event_of(action), instant(change.unix_ms()), change.by(), change.reason(),
                entry->version});
  current_.polls[*id] = std::move(entry);
  snapshot_.reset();
  applied.effect = ControlEffect::poll_changed;
}

void Control::apply_publication(const v1::Record& record, ControlApplied& applied) {
  const auto id = model::PollId::parse(record.publication().poll());
  const auto current = id ? current_.find(*id) : nullptr;
  if (!current) {
    applied.effect = id ? ControlEffect::void_change : ControlEffect::invalid;
    return;
  }
  applied.poll = *id;
  auto entry = std::make_shared<model::PollEntry>(*current);
  switch (publications_.apply(record, partitions_, *entry)) {
    case Publications::Effect::noted:
      return;
    case Publications::Effect::is_void:
      applied.effect = ControlEffect::void_change;
      return;
    case Publications::Effect::invalid:
      applied.effect = ControlEffect::invalid;
      return;
    case Publications::Effect::published:
      current_.polls[*id] = std::move(entry);
      snapshot_.reset();
      applied.effect = ControlEffect::published;
  }
}

bool Control::take_definition(const v1::PollChange& change, model::PollEntry& entry) const {
  auto definition = model::read_definition(change.definition());
  if (!definition || definition->id.view() != change.poll()) return false;
  const auto* tree = current_.tree_of_version(definition->tree_version);
  if (!tree) return false;
  entry.tree = tree->tree;
  entry.tree_day = model::parse_date(change.tree_day());
  entry.definition = std::move(definition);
  entry.target_places = model::places_of_targets(*entry.definition, *entry.tree);
  entry.cells = entry.definition->disclosure == model::Disclosure::steps
                    ? std::make_shared<const model::PollCells>(*entry.definition, *entry.tree,
                                                               entry.target_places)
                    : nullptr;
  if (entry.cells && !model::can_publish(*entry.definition, entry.cells->size())) return false;
  ++entry.version;
  return true;
}

void Control::apply_audit(const v1::AuditRead& audit, ControlApplied& applied) {
  applied.effect = ControlEffect::void_change;
  const auto id = model::PollId::parse(audit.poll());
  const auto current = id ? current_.find(*id) : nullptr;
  if (!current) return;
  applied.poll = *id;
  auto entry = std::make_shared<model::PollEntry>(*current);
  note(*entry, {model::Event::audited, instant(audit.unix_ms()), audit.by(), {}, current->version});
  current_.polls[*id] = std::move(entry);
  snapshot_.reset();
  applied.effect = ControlEffect::poll_read;
}

void Control::apply_certificate(const v1::Record& record, ControlApplied& applied) {
  const auto& part = record.certificate();
  applied.effect = ControlEffect::void_change;
  const auto id = model::PollId::parse(part.poll());
  if (!id) return;
  applied.poll = *id;
  if (judge(current_, *id, v1::POLL_ACTION_CERTIFIED, part.based_on(), part.by()) != Verdict::fits)
    return;
  if (!append_part(record)) return;
  applied.effect = ControlEffect::noted;
  if (!part.last()) return;
  auto whole = std::exchange(certificate_parts_, {});
  if (part.sha256().size() != 32) {
    applied.effect = ControlEffect::invalid;
    return;
  }
  auto entry = std::make_shared<model::PollEntry>(*current_.find(*id));
  const auto at = instant(part.unix_ms());
  entry->certificate = std::make_shared<const model::Certificate>(
      model::Certificate{std::move(whole.compressed), part.sha256(), part.by(), at});
  change_phase(*entry, v1::POLL_ACTION_CERTIFIED, applied.offset);
  note(*entry, {model::Event::certified, at, part.by(), part.reason(), entry->version});
  current_.polls[*id] = std::move(entry);
  snapshot_.reset();
  applied.effect = ControlEffect::poll_changed;
}

// A first part puts aside what another writer has begun, so that what a writer who died left behind
// is in nobody's way; a part that does not follow the one before is dropped.
bool Control::append_part(const v1::Record& record) {
  const auto& part = record.certificate();
  auto& so_far = certificate_parts_;
  if (part.part() == 0)
    so_far = {record.boot(), record.counter(), part.poll(), part.based_on(), 0, {}};
  if (record.boot() != so_far.boot || record.counter() != so_far.first_counter + so_far.parts ||
      part.poll() != so_far.poll || part.based_on() != so_far.based_on ||
      part.part() != so_far.parts)
    return false;
  if (so_far.compressed.size() + part.compressed().size() > limits::kCertificateBytes) return false;
  ++so_far.parts;
  so_far.compressed += part.compressed();
  return true;
}

std::optional<PollPhase> next_phase(PollPhase phase, v1::PollAction action) {
  const auto only_from = [&](PollPhase from, PollPhase to) {
    return phase == from ? std::optional(to) : std::nullopt;
  };
  switch (action) {
    case v1::POLL_ACTION_DRAFTED:
      return only_from(PollPhase::draft, PollPhase::draft);
    case v1::POLL_ACTION_SUBMITTED:
      return only_from(PollPhase::draft, PollPhase::submitted);
    case v1::POLL_ACTION_RETURNED:
      return only_from(PollPhase::submitted, PollPhase::draft);
    case v1::POLL_ACTION_APPROVED:
      return only_from(PollPhase::submitted, PollPhase::scheduled);
    case v1::POLL_ACTION_OPENED:
      return only_from(PollPhase::scheduled, PollPhase::open);
    case v1::POLL_ACTION_CLOSED:
      return only_from(PollPhase::open, PollPhase::closed);
    case v1::POLL_ACTION_CERTIFIED:
      return only_from(PollPhase::closed, PollPhase::certified);
    case v1::POLL_ACTION_CANCELLED:
      if (phase == PollPhase::closed || phase == PollPhase::certified ||
          phase == PollPhase::cancelled)
        return std::nullopt;
      return PollPhase::cancelled;
    default:
      return std::nullopt;
  }
}

Verdict judge(const model::Directory& directory, const model::PollId& poll, v1::PollAction action,
              std::uint32_t based_on, std::string_view by) {
  const auto current = directory.find(poll);
  if (action == v1::POLL_ACTION_DRAFTED && based_on == 0) {
    if (current) return Verdict::poll_exists;
    return directory.polls.size() < limits::kPolls ? Verdict::fits : Verdict::limit_reached;
  }
  if (!current) return Verdict::unknown_poll;
  if (!next_phase(current->phase, action)) return Verdict::wrong_phase;
  if (based_on != current->version) return Verdict::other_version;
  const auto& history = *current->history;
  if (action == v1::POLL_ACTION_APPROVED && history.is_author(model::pseudonym_of(by)))
    return Verdict::own_draft;
  const bool goes_round = action == v1::POLL_ACTION_DRAFTED ||
                          action == v1::POLL_ACTION_SUBMITTED || action == v1::POLL_ACTION_RETURNED;
  if (goes_round && history.draft_changes >= limits::kDraftChanges) return Verdict::limit_reached;
  return Verdict::fits;
}

}  // namespace veche::apply
