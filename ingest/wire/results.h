// A published snapshot as JSON and as long CSV: one row for each question, option and territory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/publish/snapshot.h"
#include "ingest/wire/outcome.h"

namespace veche::wire {

// Which territories a reader asks for: none, or all, of one level, below one parent.
struct TerritoryFilter {
  bool by_territory = false;
  std::optional<std::uint8_t> level;
  std::optional<model::TerritoryCode> parent;
  friend auto operator<=>(const TerritoryFilter&, const TerritoryFilter&) = default;
};

std::string results_json(const publish::Snapshot& snapshot, const TerritoryFilter& filter);

// Ballots over time: at the end of each step, so many were cast so far.
std::string turnout_json(const publish::Snapshot& snapshot, std::uint32_t step_hours);

struct CsvStyle {
  Language titles = Language::ru;
  bool for_excel = false;  // a byte order mark, ';', ids and texts that it takes for nothing else
  friend auto operator<=>(const CsvStyle&, const CsvStyle&) = default;
};

// RFC 4180 with a header row. For every option come the whole poll, as the territory "(all)", and
// then the territories and groups, if they are asked for: so no long stretch of the column looks
// like numbers, and programs that guess types keep codes as they are.
std::string results_csv(const publish::Snapshot& snapshot, const TerritoryFilter& filter,
                        CsvStyle style);

// What a filter adds to results, alone: poll, version, territories and groups.
std::string territories_json(const publish::Snapshot& snapshot, const TerritoryFilter& filter);

}  // namespace veche::wire
