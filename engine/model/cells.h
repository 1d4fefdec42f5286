// The cells of a poll that discloses in steps: the smallest places whose counts can be shown. A
// cell is what is registered in one territory and not below it, or several such of one parent
// that are pooled because few voters are expected in each. Fixed by the definition and its tree
// before anybody votes, so that what is hidden does not depend on how people vote.
//
// Pooling. Siblings are the leaf children of a territory and what is registered in it and not
// below. Those with fewer than kFewExpectedVoters are pooled; while the pool still expects fewer,
// it takes in the sibling with the fewest, by code among equals. How many are expected below no
// child is what the definition expects in the territory beyond its children; a number that is
// missing counts as none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/model/poll.h"
#include "engine/model/territory.h"

namespace veche::model {

// Whether a publication of so many cells can be written: kPublicationCounts.
bool can_publish(const PollDefinition& poll, std::size_t cells);

class PollCells {
 public:
  // Cells are those of the territory targets; of the whole tree if an address is a target, for then
  // voters may come from anywhere.
  PollCells(const PollDefinition& poll, const TerritoryTree& tree,
            const std::vector<TerritoryIndex>& target_places);

  // At least one, in the order of the tree: a pool stands where its first member stands.
  std::size_t size() const { return members_.size(); }
  // Territories whose own voters it holds, ascending.
  const std::vector<TerritoryIndex>& members(std::size_t cell) const { return members_[cell]; }

  // The cell that holds the voters of a territory itself; nothing: none may vote.
  std::optional<std::uint32_t> cell_at(TerritoryIndex place) const {
    return by_place_[place] == kNone ? std::nullopt : std::optional(by_place_[place]);
  }
  // Where a ballot belongs. One from elsewhere, which no node admits, goes to the last cell.
  std::uint32_t cell_of(std::optional<TerritoryIndex> registered) const;

  // The cells that make up a territory with all below it, [first, second). Nothing: it shares a
  // cell with others, or has none.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> range_of(TerritoryIndex place,
                                                                  const TerritoryTree& tree) const;

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  std::vector<std::vector<TerritoryIndex>> members_;
  std::vector<std::uint32_t> by_place_;
};

}  // namespace veche::model
