// Seeded ballots of which the right count is known beforehand: the same seed gives the same
// ballots, and the truth is counted where they are drawn, not by the engine. Immutable once made.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/ballot.h"
#include "engine/model/directory.h"
#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "engine/model/record.h"
#include "engine/model/record_batch.h"
#include "engine/model/tally.h"

namespace veche::bench {

// The ballot of one voter; every voter has one.
struct Ballot {
  model::VoterKey voter;
  model::TerritoryCode territory;
  model::Answers answers;  // canonical
};

// An open poll with one question of each kind, for a city of seven districts, and its voters.
class Workload {
 public:
  Workload(std::uint64_t seed, std::size_t voters);

  const std::shared_ptr<const model::PollEntry>& poll() const { return poll_; }
  const model::PollDefinition& definition() const { return *poll_->definition; }
  const std::vector<Ballot>& ballots() const { return ballots_; }

  // Whether a tally is exactly the count of all ballots.
  bool is_count(const model::Tally& tally) const;

  // What a voter sends, the BALLOT message that ingest makes of it, and its digest.
  std::string body(const Ballot& ballot) const;
  std::string message(const Ballot& ballot) const;
  model::Digest digest(const Ballot& ballot) const;

  // OPEN, and behind it a record of each ballot, from offset 0.
  model::RecordBatch log() const;

 private:
  struct Count {
    std::uint64_t votes = 0;
    std::uint64_t points = 0;
  };
  struct Truth {
    std::uint64_t ballots = 0;
    std::vector<std::vector<Count>> counts;  // by question and option
  };

  bool is_count(const model::Tally& tally, std::size_t place, const Truth& truth) const;

  std::shared_ptr<const model::PollEntry> poll_;
  std::vector<Ballot> ballots_;
  std::map<model::TerritoryCode, Truth> truth_;
};

}  // namespace veche::bench
