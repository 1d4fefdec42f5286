// The tallies of a poll as its partitions had them at one moment: what publish works on.
#pragma once

#include <memory>
#include <vector>

#include "engine/model/directory.h"
#include "engine/model/ids.h"
#include "engine/model/tally.h"

namespace veche::node {

struct PartialTally {
  model::PartitionId partition;
  model::Position position;
  model::Instant as_of;      // everything that was in the log then is in it
  std::uint64_t behind = 0;  // records of the log, as far as it is known, that are not applied
  std::uint64_t changes = 0;
  bool closed = false;
  // Null: OPEN is not applied here. Gatherings between two changes share it.
  std::shared_ptr<const model::Tally> tally;
};

struct Collected {
  std::shared_ptr<const model::PollEntry> poll;
  std::vector<PartialTally> partials;  // by partition
  model::Instant as_of = {};           // the oldest of theirs
};

}  // namespace veche::node
