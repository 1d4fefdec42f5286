// apply: the pure function that turns the records of one ballots partition into voter index and
// tallies. It reads no clock and no configuration, does no I/O but through the index it is given,
// and never throws; so live counting, recovery and every rebuild are this same code and give the
// same result. Counting rules, version 1:
//
//   * a ballot counts if its poll's OPEN came before it, its CLOSE did not, it fits the questions,
//     and no earlier ballot of (poll, voter key) counted;
//   * of several OPENs or CLOSEs of a poll the first holds; a poll id is opened once.
//
// Owned by one thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/apply/trail.h"
#include "engine/model/checkpoint.h"
#include "engine/model/ids.h"
#include "engine/model/ports.h"
#include "engine/model/record.h"
#include "engine/model/tally.h"

namespace veche::apply {

// A poll in one partition: exists from its OPEN on.
struct PollState {
  model::PollNumber number;
  std::shared_ptr<const model::PollDefinition> definition;
  bool closed = false;
  bool cancelled = false;     // closed, because the poll was cancelled
  std::uint64_t changes = 0;  // records that changed it: the version of this partition's tally
  model::Tally tally;
  bool changed_since_image = true;
};

enum class Effect : std::uint8_t {
  noted,  // HELLO, NOOP, or what has no effect here
  opened,
  closed,
  counted,
  duplicate,  // of a voter who is counted already: `counted` tells by which ballot
  before_open,
  after_close,
  invalid,  // not ours, or not well formed: skipped
  already_applied,
  gap,           // offset above the expected one: the log lost records
  unknown_kind,  // a kind or rules version of a newer program
  diverged,      // applied as any Tail; its writer had read other records than we did. Or the last
                 // applied record, read again, is another now
};

// What one record did. The references are valid until the next apply.
struct Applied {
  Effect effect = Effect::noted;
  model::Offset offset;
  const v1::Record* record = nullptr;  // null for invalid
  PollState* poll = nullptr;           // of OPEN, CLOSE and BALLOT, where it is known
  model::VoterKey voter;               // of BALLOT
  model::Counted counted;              // of counted and duplicate

  // It was not applied, and nothing behind it may be: the process must stop.
  bool stops() const { return effect == Effect::gap || effect == Effect::unknown_kind; }
};

class Partition {
 public:
  // Starts where `image` ends. The index is the one that the image was written with.
  Partition(model::PartitionImage image, model::VoterIndex& index);

  Applied apply(model::Offset offset, std::string_view bytes);

  model::PartitionId id() const { return id_; }
  const model::Position& position() const { return trail_.position(); }
  std::uint64_t invalid() const { return invalid_; }
  std::uint64_t duplicates() const { return duplicates_; }
  PollState* find(const model::PollId& poll);
  const std::vector<std::unique_ptr<PollState>>& polls() const { return polls_; }

  // Everything that changed since the last image, and the position.
  model::PartitionImage take_image();

 private:
  void apply_record(const v1::Record& record, Applied& applied);
  void apply_open(const v1::Open& open, Applied& applied);
  void apply_close(const v1::Close& close, Applied& applied);
  void apply_ballot(const v1::Ballot& ballot, Applied& applied);
  void compare(const v1::Tail& tail, Applied& applied) const;
  void restore(const model::PollImage& image);

  const model::PartitionId id_;
  model::VoterIndex& index_;
  Trail trail_;
  std::uint64_t invalid_ = 0;
  std::uint64_t duplicates_ = 0;
  std::vector<std::unique_ptr<PollState>> polls_;  // by poll number
  boost::unordered_flat_map<model::PollId, PollState*> by_id_;
  v1::Record record_;       // reused, so that parsing does not allocate
  model::Answers answers_;  // reused
};

}  // namespace veche::apply
