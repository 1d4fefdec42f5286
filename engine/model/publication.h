// What a poll that discloses in steps shows, as the control log tells it: every node has the same.
// Made and read in publish/steps.h; immutable, and shared between threads.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/poll.h"

namespace veche::model {

// Rows of a tally; an empty one is of zeros.
struct PublishedCell {
  std::vector<std::uint64_t> shown;
  std::vector<std::uint64_t> held;  // may come out, and will when the next batch may
};

struct Publication {
  std::uint64_t version = 0;  // from 1
  Instant at;
  std::vector<Offset> cut;                // of each ballots partition: what was read of it
  std::vector<PublishedCell> cells;       // in the order of the tree
  std::uint64_t turnout = 0;              // ballots below the cut, rounded down
  bool is_final = false;                  // CLOSE was below the cut in every partition
  std::vector<std::uint32_t> group_ends;  // final alone: each group of cells ends before this one
};

}  // namespace veche::model
