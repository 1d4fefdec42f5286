#include "engine/apply/partition.h"

#include "engine/model/assert.h"
#include "engine/model/fault_variant.h"

namespace veche::apply {

using model::FaultVariant;
using model::kFaultVariant;

Partition::Partition(model::PartitionImage image, model::VoterIndex& index)
    : id_(image.partition),
      index_(index),
      trail_(image.position, image.before_last),
      invalid_(image.invalid),
      duplicates_(image.duplicates) {
  for (const auto& poll : image.polls) restore(poll);
}

Applied Partition::apply(model::Offset offset, std::string_view bytes) {
  Applied applied;
  applied.offset = offset;
  if (offset < position().next) {
    // The last one is read again when a node starts: it shows whether this is still the same log.
    const bool is_last = offset.plus(1) == position().next;
    applied.effect =
        is_last && !trail_.ends_with(bytes) ? Effect::diverged : Effect::already_applied;
    return applied;
  }
  if (offset > position().next) {
    applied.effect = Effect::gap;
    return applied;
  }
  switch (model::decode(bytes, record_)) {
    case model::Decoded::foreign:
      applied.effect = Effect::invalid;
      break;
    case model::Decoded::unknown_kind:
      applied.effect = Effect::unknown_kind;
      return applied;
    case model::Decoded::ours:
      applied.record = &record_;
      apply_record(record_, applied);
      if (applied.stops()) return applied;
  }
  if (applied.effect == Effect::invalid) ++invalid_;
  trail_.advance(bytes);
  return applied;
}

void Partition::apply_record(const v1::Record& record, Applied& applied) {
  switch (record.kind_case()) {
    case v1::Record::kBallot:
      return apply_ballot(record.ballot(), applied);
    case v1::Record::kOpen:
      return apply_open(record.open(), applied);
    case v1::Record::kClose:
      return apply_close(record.close(), applied);
    case v1::Record::kHello:
      return compare(record.hello().tail(), applied);
    case v1::Record::kNoop:
      return compare(record.noop().tail(), applied);
    case v1::Record::kGenesis:
      return;
    case v1::Record::kTerritories:
    case v1::Record::kPollChange:
    case v1::Record::kPublication:
    case v1::Record::kAuditRead:
    case v1::Record::kCertificate:
    case v1::Record::KIND_NOT_SET:
      applied.effect = Effect::invalid;  // does not belong into a ballots partition
  }
}

void Partition::apply_open(const v1::Open& open, Applied& applied) {
  if (open.rules() != model::kCountingRules) {
    applied.effect = Effect::unknown_kind;
    return;
  }
  auto definition = model::read_definition(open.definition());
  if (!definition) {
    applied.effect = Effect::invalid;
    return;
  }
  applied.poll = find(definition->id);
  if (applied.poll) return;
  const model::PollNumber number{static_cast<std::uint32_t>(polls_.size())};
  auto& poll = *polls_.emplace_back(std::make_unique<PollState>(
      PollState{.number = number, .definition = definition, .tally = model::Tally(*definition)}));
  by_id_.emplace(definition->id, &poll);
  ++poll.changes;
  applied.effect = Effect::opened;
  applied.poll = &poll;
}

void Partition::apply_close(const v1::Close& close, Applied& applied) {
  const auto id = model::PollId::parse(close.poll());
  applied.poll = id ? find(*id) : nullptr;
  if (!applied.poll) {
    applied.effect = Effect::invalid;
    return;
  }
  if (applied.poll->closed) return;
  applied.poll->closed = true;
  applied.poll->cancelled = close.cancelled();
  applied.poll->changed_since_image = true;
  ++applied.poll->changes;
  applied.effect = Effect::closed;
}

void Partition::apply_ballot(const v1::Ballot& ballot, Applied& applied) {
  const auto id = model::PollId::parse(ballot.poll());
  const auto voter = model::VoterKey::parse(ballot.voter_key());
  const auto digest = model::Digest::parse(ballot.digest());
  const auto territory = model::TerritoryCode::parse(ballot.territory());
  if (!id || !voter || !digest || !territory || !model::read_answers(ballot.answers(), answers_)) {
    applied.effect = Effect::invalid;
    return;
  }
  applied.voter = *voter;
  applied.poll = find(*id);
  if (!applied.poll) {
    applied.effect = Effect::before_open;
    return;
  }
  auto& poll = *applied.poll;
  if (const auto counted = index_.find(id_, poll.number, *voter);
      counted && kFaultVariant != FaultVariant::no_dedup) {
    ++duplicates_;
    applied.effect = Effect::duplicate;
    applied.counted = *counted;
    return;
  }
  if (poll.closed && kFaultVariant != FaultVariant::close_ignored) {
    applied.effect = Effect::after_close;
    return;
  }
  if (!model::fits(*poll.definition, answers_)) {
    applied.effect = Effect::invalid;
    return;
  }
  applied.counted = {applied.offset, *digest};
  index_.insert(id_, poll.number, *voter, applied.counted);
  poll.tally.add(*poll.definition, *territory, answers_, ballot.unix_hour());
  poll.changed_since_image = true;
  ++poll.changes;
  applied.effect = Effect::counted;
}

void Partition::compare(const v1::Tail& tail, Applied& applied) const {
  const auto comparison = trail_.compare(tail);
  if (comparison == Trail::Comparison::differs) applied.effect = Effect::diverged;
  if (comparison == Trail::Comparison::senseless) applied.effect = Effect::invalid;
}

PollState* Partition::find(const model::PollId& poll) {
  const auto found = by_id_.find(poll);
  return found == by_id_.end() ? nullptr : found->second;
}

model::PartitionImage Partition::take_image() {
  model::PartitionImage image{id_, position(), trail_.before(), invalid_, duplicates_, {}};
  for (const auto& poll : polls_) {
    if (!poll->changed_since_image) continue;
    poll->changed_since_image = false;
    model::ByteWriter out;
    out.text(model::to_message(*poll->definition).SerializeAsString());
    out.number(poll->closed);
    out.number(poll->cancelled);
    out.number(poll->changes);
    out.text(poll->tally.serialize());
    image.polls.push_back({poll->number, std::move(out).take()});
  }
  return image;
}

void Partition::restore(const model::PollImage& image) {
  model::ByteReader in(image.bytes);
  v1::Definition message;
  VECHE_ASSERT(message.ParseFromString(std::string(in.text())), "a checkpoint holds a definition");
  auto definition = model::read_definition(message);
  VECHE_ASSERT(definition, "a checkpoint holds a definition that was applied");
  auto poll = std::make_unique<PollState>(PollState{
      .number = image.number, .definition = definition, .tally = model::Tally(*definition)});
  poll->closed = in.number() != 0;
  poll->cancelled = in.number() != 0;
  poll->changes = in.number();
  poll->changed_since_image = false;
  VECHE_ASSERT(poll->tally.restore(in.text()), "a checkpoint holds the poll's tally");
  VECHE_ASSERT(image.number.value == polls_.size(), "a checkpoint holds every poll in order");
  by_id_.emplace(definition->id, poll.get());
  polls_.push_back(std::move(poll));
}

}  // namespace veche::apply
