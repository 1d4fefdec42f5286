// publish: the one path that decides what anybody sees of a poll's counts. JSON, CSV and every
// later form show what it gives, or nothing. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/model/directory.h"
#include "engine/model/poll.h"
#include "engine/model/tally.h"
#include "engine/node/collected.h"

namespace veche::publish {

// Counts of one territory with everything below it.
struct TerritoryCounts {
  model::TerritoryCode code;
  std::string_view name;  // of the tree; empty: not in the poll's tree
  std::string_view kind;
  std::uint8_t level = 0;
  std::optional<model::TerritoryCode> parent;
  std::uint64_t not_below = 0;        // ballots of those registered here and nowhere below
  std::vector<std::uint64_t> counts;  // as Tally lays out a row: ballots first
};

// What was applied of a poll at one moment. Territories come in the order of the tree; a node's
// children and its not_below add up to it, and the roots add up to `counts`: always.
struct Snapshot {
  std::shared_ptr<const model::PollEntry> poll;
  std::string version;                     // equal for equal content, another for other content
  model::Instant as_of;                    // every ballot that was in the log then is in it
  std::vector<model::Position> positions;  // of the ballots partitions, in order: what it covers
  bool is_final = false;                   // CLOSE is applied in every partition
  model::TallyShape shape;
  std::vector<std::uint64_t> counts;  // of the whole poll, as a row
  std::vector<TerritoryCounts> territories;

  std::uint64_t ballots() const { return counts[0]; }
};

// What was proven about the reader.
enum class Viewer : std::uint8_t {
  anybody,
  voter,  // showed a voter token of this poll
};

// The counts may not be seen by this viewer now; `until` says when they may.
struct Hidden {
  std::string_view until;
};

using Published = std::variant<Snapshot, Hidden>;

Published publish(const node::Collected& collected, Viewer viewer);

}  // namespace veche::publish
