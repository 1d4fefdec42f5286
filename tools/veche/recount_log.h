// `veche recount`: one partition of the log read by plain code of its own, so that the engine's
// apply can be checked against something. The counting rules are told once more here, as simply as
// they can be; what is shared with the engine is what the log's format says of itself:
// record.proto, whether a definition is well formed, the partition of a voter and the rolling hash.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "engine/model/result.h"
#include "record.pb.h"
#include "tools/veche/counts.h"

namespace veche::tools {

// What became of the ballots of one poll.
struct PollRecount {
  std::shared_ptr<const model::PollDefinition> definition;  // of its first OPEN; null before it
  bool closed = false;
  std::uint64_t counted = 0;
  std::uint64_t duplicates = 0;  // of voters who were counted already
  std::uint64_t before_open = 0;
  std::uint64_t behind_close = 0;
  std::uint64_t invalid = 0;                     // do not fit the questions
  CountsByTerritory territories;                 // of the counted ones
  std::map<std::uint32_t, std::uint64_t> hours;  // counted ones by the hour of their records

  std::uint64_t ballots() const {
    return counted + duplicates + before_open + behind_close + invalid;
  }
  void add(const PollRecount& other);  // another partition's
};

// Owned by one thread.
class PartitionRecount {
 public:
  PartitionRecount(model::PartitionId id, std::uint16_t partitions)
      : id_(id), partitions_(partitions), hashes_(kTailHistory) {}

  // The next record. A fault: this program cannot know what the record means.
  Result<void> take(std::string_view bytes);

  const model::Position& position() const { return position_; }
  // What nodes told in HELLO and NOOP of their own position and hash, held against ours.
  std::uint64_t tails_compared() const { return tails_compared_; }
  std::uint64_t tails_different() const { return tails_different_; }
  std::uint64_t invalid() const { return invalid_; }        // records that were passed over
  std::uint64_t duplicates() const { return duplicates_; }  // ballots of voters counted already
  std::uint64_t misplaced() const { return misplaced_; }    // ballots that belong elsewhere

  // The poll that the last record was counted in; null: it was not counted.
  const PollRecount* last_counted() const { return last_counted_; }
  // Null: the partition holds nothing of that poll.
  const PollRecount* find(const model::PollId& poll) const;
  // In the order of their OPEN.
  const std::vector<const PollRecount*>& opened() const { return opened_; }
  const boost::unordered_flat_map<model::PollId, std::unique_ptr<PollRecount>>& polls() const {
    return polls_;
  }

 private:
  static constexpr std::size_t kTailHistory = 1 << 18;  // older tails are not compared

  using Voters = boost::unordered_flat_set<model::VoterKey>;

  bool take_open(const v1::Open& open);
  bool take_close(const v1::Close& close);
  bool take_ballot(const v1::Ballot& ballot);
  PollRecount& poll(const model::PollId& id);
  bool take_tail(const v1::Tail& tail);

  const model::PartitionId id_;
  const std::uint16_t partitions_;
  model::Position position_;
  std::vector<model::RollingHash> hashes_;  // of the last kTailHistory positions
  std::uint64_t tails_compared_ = 0;
  std::uint64_t tails_different_ = 0;
  std::uint64_t invalid_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t misplaced_ = 0;
  boost::unordered_flat_map<model::PollId, std::unique_ptr<PollRecount>> polls_;
  boost::unordered_flat_map<const PollRecount*, Voters> voters_;
  std::vector<const PollRecount*> opened_;
  const PollRecount* last_counted_ = nullptr;
  v1::Record record_;  // reused, so that parsing does not allocate
};

}  // namespace veche::tools
