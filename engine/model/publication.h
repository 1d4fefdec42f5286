// What a poll that discloses in steps shows, as the control log tells it: every node has the same.
// Made in publish/steps.h; immutable, and shared between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "record.pb.h"

namespace veche::model {

// Rows of a tally; an empty one is of zeros.
struct PublishedCell {
  std::vector<std::uint64_t> shown;
  std::vector<std::uint64_t> held;  // may come out, and will when the next batch may
  std::uint64_t judged = 0;         // how many were open when they were last found not to come out
};

// Ballots accepted by the end of an hour, since the poll opened.
struct TurnoutPoint {
  std::uint32_t unix_hour = 0;
  std::uint64_t ballots = 0;
  friend bool operator==(const TurnoutPoint&, const TurnoutPoint&) = default;
};

struct Publication {
  std::uint64_t version = 0;  // from 1
  Instant at;
  // The version, and its time, that readers are told: those of the last one that shows anything
  // else than the one before. A batch that is only held leaves no trace, for the moment in which it
  // may come out can be that of one ballot.
  std::uint64_t shown_version = 0;
  Instant shown_at;
  std::vector<Offset> cut;  // of each ballots partition: what was read of it
  // By PollCells; null: of zeros. What did not change is shared with the publication before.
  std::vector<std::shared_ptr<const PublishedCell>> cells;
  std::uint64_t turnout = 0;  // ballots below the cut, as publish/steps.h rounds them
  bool is_final = false;      // CLOSE was below the cut in every partition; `held` is empty then
  std::vector<std::uint32_t> group_ends;     // final alone: each group ends before this cell
  std::vector<TurnoutPoint> turnout_series;  // by hour, as far as publications told it
};

// As the log holds it, in parts that fit into a record: the cells that changed, and in the last
// part everything else. `before` is the publication that it follows; nullptr: it is the first.
std::vector<v1::Publication> to_messages(const PollId& poll, const Publication& publication,
                                         const Publication* before);

}  // namespace veche::model
