// Territories of a result as a table, and in words those that are shown together alone.
#pragma once

#include <optional>
#include <string>

#include "engine/publish/snapshot.h"
#include "ingest/web/layout.h"
#include "ingest/wire/results.h"

namespace veche::web {

// The rows that a reader asks for, as in the CSV, and of those the ones whose name holds a text.
struct TerritoryView {
  wire::TerritoryFilter filter;
  std::string search;
  friend auto operator<=>(const TerritoryView&, const TerritoryView&) = default;
};

// A section with search, levels, the table, and the CSV of what the table shows; nothing where
// there are no territories.
Html territory_section(const publish::Snapshot& snapshot, const TerritoryView& view,
                       const Reader& reader);

// The groups within a territory, or all.
Html group_section(const publish::Snapshot& snapshot,
                   const std::optional<model::TerritoryCode>& within, Language language);

// More than fit into a page: the stream of the table would be as large.
bool is_cut(const publish::Snapshot& snapshot, const TerritoryView& view);

// How many voters the poll's definition expects; none: it does not say.
std::optional<std::uint64_t> expected_in(const model::PollDefinition& poll,
                                         const model::TerritoryCode& territory);
std::optional<std::uint64_t> expected_in_all(const model::PollDefinition& poll);

}  // namespace veche::web
