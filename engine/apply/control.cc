#include "engine/apply/control.h"

#include <charconv>

#include "engine/model/limits.h"

namespace veche::apply {

using model::PollPhase;

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
      return;
    case v1::Record::kHello:
      return compare(record.hello().tail(), applied);
    case v1::Record::kNoop:
      return compare(record.noop().tail(), applied);
    case v1::Record::kPublication:
      return apply_publication(record, applied);
    case v1::Record::kAuditRead:
    case v1::Record::kCertificate:
      return;
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
  if (part.part() == 0) tree_parts_ = {record.boot(), part.version(), 0, {}};
  if (record.boot() != tree_parts_.boot || part.version() != tree_parts_.version ||
      part.part() != tree_parts_.parts)
    return;
  if (tree_parts_.csv.size() + part.csv().size() > limits::kTreeBodyBytes) return;
  ++tree_parts_.parts;
  tree_parts_.csv += part.csv();
  applied.effect = ControlEffect::noted;
  if (!part.last()) return;
  auto tree = model::TerritoryTree::parse_csv(tree_parts_.csv);
  const auto valid_from = parse_date(part.valid_from());
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
  if (!v1::PollAction_IsValid(change.action())) {
    applied.effect = ControlEffect::unknown_kind;
    return;
  }
  applied.effect = ControlEffect::void_change;
  const auto current = current_.find(*id);
  if (change.action() == v1::POLL_ACTION_APPROVED) {
    if (current || current_.polls.size() >= limits::kPolls) return;
    auto entry = approved(change);
    if (!entry) {
      applied.effect = ControlEffect::invalid;
      return;
    }
    current_.polls[*id] = std::move(entry);
  } else {
    if (!current || change.based_on() != current->version) return;
    const auto phase = next_phase(current->phase, change.action());
    if (!phase) return;
    auto entry = std::make_shared<model::PollEntry>(*current);
    entry->was_open |= current->phase == PollPhase::open || *phase == PollPhase::open;
    entry->phase = *phase;
    entry->changed_at = applied.offset;
    current_.polls[*id] = std::move(entry);
  }
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
  switch (publications_.apply(record, *entry)) {
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

std::shared_ptr<const model::PollEntry> Control::approved(const v1::PollChange& change) const {
  auto definition = model::read_definition(change.definition());
  if (!definition || definition->id.view() != change.poll()) return nullptr;
  const auto version = definition->tree_version;
  if (version < 1 || version > current_.trees.size()) return nullptr;
  auto entry = std::make_shared<model::PollEntry>();
  entry->tree = current_.trees[version - 1].tree;
  entry->definition = std::move(definition);
  entry->target_places = model::places_of_targets(*entry->definition, *entry->tree);
  if (entry->definition->disclosure == model::Disclosure::steps)
    entry->cells = std::make_shared<const model::PollCells>(*entry->definition, *entry->tree,
                                                            entry->target_places);
  entry->changed_at = position().next;
  return entry;
}

std::optional<PollPhase> next_phase(PollPhase phase, v1::PollAction action) {
  switch (action) {
    case v1::POLL_ACTION_OPENED:
      if (phase == PollPhase::scheduled) return PollPhase::open;
      return std::nullopt;
    case v1::POLL_ACTION_CLOSED:
      if (phase == PollPhase::open) return PollPhase::closed;
      return std::nullopt;
    case v1::POLL_ACTION_CANCELLED:
      if (phase == PollPhase::scheduled || phase == PollPhase::open) return PollPhase::cancelled;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

std::optional<std::chrono::sys_days> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t size) -> std::optional<int> {
    int value = 0;
    const auto* end = text.data() + at + size;
    const auto [stop, error] = std::from_chars(text.data() + at, end, value);
    if (error != std::errc() || stop != end || value < 0) return std::nullopt;
    return value;
  };
  const auto year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

}  // namespace veche::apply
