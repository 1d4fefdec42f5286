#include "tools/veche/recount_log.h"

#include <fmt/format.h>

#include <bitset>

#include "engine/model/limits.h"
#include "engine/model/record.h"

namespace veche::tools {
namespace {

constexpr std::uint32_t kMaxPlace = 0xFFFF;

bool is_ours(std::string_view bytes, v1::Record& record) {
  return bytes.size() <= limits::kRecordBytes &&
         record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) &&
         record.magic() == model::kRecordMagic && record.boot().size() == 16;
}

bool is_well_formed(const v1::Answers& answers) {
  for (const auto& answer : answers.answers()) {
    if (answer.question() > kMaxPlace) return false;
    if (answer.points_size() > 0 && answer.points_size() != answer.options_size()) return false;
    for (const auto option : answer.options())
      if (option > kMaxPlace) return false;
  }
  return true;
}

// Every option once, in ascending order unless the order is the answer; points where they are
// spread and nowhere else; and not too few or too many of what is given.
bool fits(const model::Question& question, const v1::Answer& answer) {
  const bool spreads = question.kind == model::QuestionKind::points;
  std::bitset<limits::kOptionsPerQuestion> chosen;
  std::uint64_t given = 0;
  for (int i = 0; i < answer.options_size(); ++i) {
    const auto option = answer.options(i);
    const auto points = i < answer.points_size() ? answer.points(i) : 0;
    if (option >= question.options.size() || chosen[option]) return false;
    if (question.kind != model::QuestionKind::ranked && i > 0 && option < answer.options(i - 1))
      return false;
    if (spreads ? points < 1 || points > limits::kPointsPerChoice : points != 0) return false;
    chosen[option] = true;
    given += spreads ? points : 1;
  }
  return question.min <= given && given <= question.max;
}

// Every question is answered, in the order of the definition.
bool fits(const model::PollDefinition& poll, const v1::Answers& answers) {
  if (static_cast<std::size_t>(answers.answers_size()) != poll.questions.size()) return false;
  for (int q = 0; q < answers.answers_size(); ++q)
    if (answers.answers(q).question() != static_cast<std::uint32_t>(q) ||
        !fits(poll.questions[static_cast<std::size_t>(q)], answers.answers(q)))
      return false;
  return true;
}

void count(const model::PollDefinition& poll, const v1::Answers& answers, Counts& counts) {
  ++counts.ballots;
  for (const auto& answer : answers.answers()) {
    const auto& question = poll.questions[answer.question()];
    for (int i = 0; i < answer.options_size(); ++i) {
      auto& option = counts.questions[answer.question()][answer.options(i)];
      ++option.votes;
      if (question.kind == model::QuestionKind::ranked)
        option.points += question.points[static_cast<std::size_t>(i)];
      if (question.kind == model::QuestionKind::points) option.points += answer.points(i);
    }
  }
}

}  // namespace

void PollRecount::add(const PollRecount& other) {
  if (!definition) definition = other.definition;
  closed = closed || other.closed;
  counted += other.counted;
  duplicates += other.duplicates;
  before_open += other.before_open;
  behind_close += other.behind_close;
  invalid += other.invalid;
  for (const auto& [code, counts] : other.territories)
    territories.try_emplace(code, *definition).first->second.add(counts);
  for (const auto& [hour, ballots] : other.hours) hours[hour] += ballots;
}

Result<void> PartitionRecount::take(std::string_view bytes) {
  bool good = false;
  last_counted_ = nullptr;
  if (is_ours(bytes, record_)) switch (record_.kind_case()) {
      case v1::Record::kBallot:
        good = take_ballot(record_.ballot());
        break;
      case v1::Record::kOpen:
        if (record_.open().rules() != model::kCountingRules)
          return Fault{
              fmt::format("counting rules {} are not known here: recount with the version "
                          "that counted",
                          record_.open().rules())};
        good = take_open(record_.open());
        break;
      case v1::Record::kClose:
        good = take_close(record_.close());
        break;
      case v1::Record::kHello:
        good = take_tail(record_.hello().tail());
        break;
      case v1::Record::kNoop:
        good = take_tail(record_.noop().tail());
        break;
      case v1::Record::kGenesis:
        good = true;
        break;
      case v1::Record::kTerritories:
      case v1::Record::kPollChange:
      case v1::Record::kPublication:
      case v1::Record::kAuditRead:
      case v1::Record::kCertificate:
        break;  // do not belong into a partition of ballots
      case v1::Record::KIND_NOT_SET:
        return Fault{
            "a record is of a kind that is not known here: recount with the version that "
            "wrote it"};
    }
  if (!good) ++invalid_;
  position_ = {position_.next.plus(1), model::roll(position_.hash, bytes)};
  hashes_[position_.next.value % kTailHistory] = position_.hash;
  return {};
}

// The writer had read other records than there are now if its hash differs: it, or the log, was
// wrong at that time.
bool PartitionRecount::take_tail(const v1::Tail& tail) {
  const auto theirs = model::RollingHash::parse(tail.rolling_hash());
  const model::Offset at{tail.next_offset()};
  if (!theirs || at > position_.next) return false;
  if (at.plus(kTailHistory) <= position_.next) return true;
  ++tails_compared_;
  tails_different_ += hashes_[at.value % kTailHistory] != *theirs;
  return true;
}

bool PartitionRecount::take_open(const v1::Open& open) {
  auto definition = model::read_definition(open.definition());
  if (!definition) return false;
  auto& recount = poll(definition->id);
  if (recount.definition) return true;  // opened before
  recount.definition = std::move(definition);
  opened_.push_back(&recount);
  return true;
}

bool PartitionRecount::take_close(const v1::Close& close) {
  const auto id = model::PollId::parse(close.poll());
  const auto found = id ? polls_.find(*id) : polls_.end();
  if (found == polls_.end() || !found->second->definition) return false;
  found->second->closed = true;
  return true;
}

bool PartitionRecount::take_ballot(const v1::Ballot& ballot) {
  const auto id = model::PollId::parse(ballot.poll());
  const auto voter = model::VoterKey::parse(ballot.voter_key());
  const auto territory = model::TerritoryCode::parse(ballot.territory());
  if (!id || !voter || !territory || ballot.digest().size() != 16 ||
      !is_well_formed(ballot.answers()))
    return false;
  if (model::partition_of(*id, *voter, partitions_) != id_) ++misplaced_;
  auto& recount = poll(*id);
  if (!recount.definition) {
    ++recount.before_open;
    return true;
  }
  auto& voters = voters_[&recount];
  if (voters.contains(*voter)) {
    ++recount.duplicates;
    ++duplicates_;
    return true;
  }
  if (recount.closed) {
    ++recount.behind_close;
    return true;
  }
  if (!fits(*recount.definition, ballot.answers())) {
    ++recount.invalid;
    return false;
  }
  voters.insert(*voter);
  ++recount.counted;
  last_counted_ = &recount;
  auto& counts = recount.territories.try_emplace(*territory, Counts()).first->second;
  if (counts.ballots == 0) counts = Counts(*recount.definition);
  count(*recount.definition, ballot.answers(), counts);
  ++recount.hours[ballot.unix_hour()];
  return true;
}

const PollRecount* PartitionRecount::find(const model::PollId& poll) const {
  const auto found = polls_.find(poll);
  return found == polls_.end() ? nullptr : found->second.get();
}

PollRecount& PartitionRecount::poll(const model::PollId& id) {
  auto& recount = polls_[id];
  if (!recount) recount = std::make_unique<PollRecount>();
  return *recount;
}

}  // namespace veche::tools
