// A published snapshot as JSON and as long CSV: one row for each territory, question and option.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/publish/snapshot.h"

namespace veche::wire {

// Which territories a reader asks for: none, or all, of one level, below one parent.
struct TerritoryFilter {
  bool by_territory = false;
  std::optional<std::uint8_t> level;
  std::optional<model::TerritoryCode> parent;
  friend auto operator<=>(const TerritoryFilter&, const TerritoryFilter&) = default;
};

std::string results_json(const publish::Snapshot& snapshot, const TerritoryFilter& filter);

// What a filter adds to results, alone: poll, version, territories and groups.
std::string territories_json(const publish::Snapshot& snapshot, const TerritoryFilter& filter);

// RFC 4180 with a header row. The first rows are the whole poll, with an empty territory; then the
// territories, if they are asked for.
std::string results_csv(const publish::Snapshot& snapshot, const TerritoryFilter& filter);

}  // namespace veche::wire
