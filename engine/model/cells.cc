#include "engine/model/cells.h"

#include <algorithm>
#include <map>

#include "engine/model/limits.h"
#include "engine/model/tally.h"

namespace veche::model {
namespace {

struct Sibling {
  TerritoryIndex place;
  std::uint64_t expected = 0;
};

std::uint64_t expected_in(const PollDefinition& poll, const TerritoryCode& code) {
  const auto found = poll.expected_voters.find(code);
  return found == poll.expected_voters.end() ? 0 : found->second;
}

// Voters registered there and nowhere below.
std::uint64_t expected_not_below(const PollDefinition& poll, const TerritoryTree& tree,
                                 TerritoryIndex place) {
  auto expected = expected_in(poll, tree[place].code);
  for (const auto child : tree.children(place))
    expected -= std::min(expected, expected_in(poll, tree[child].code));
  return expected;
}

// How many of the siblings, with the fewest expected first, make up the pool.
std::size_t pool_size(const std::vector<Sibling>& siblings) {
  std::size_t size = 0;
  std::uint64_t expected = 0;
  while (size < siblings.size() && (siblings[size].expected < limits::kFewExpectedVoters ||
                                    (size > 0 && expected < limits::kFewExpectedVoters)))
    expected += siblings[size++].expected;
  return size;
}

std::vector<bool> places_with_cells(const PollDefinition& poll, const TerritoryTree& tree,
                                    const std::vector<TerritoryIndex>& targets) {
  const bool anywhere =
      targets.empty() || std::any_of(poll.targets.begin(), poll.targets.end(), [](const auto& t) {
        return std::holds_alternative<AddressCode>(t);
      });
  std::vector<bool> places(tree.size(), anywhere);
  for (const auto target : targets)
    std::fill(places.begin() + target, places.begin() + tree[target].end, true);
  return places;
}

}  // namespace

bool can_publish(const PollDefinition& poll, std::size_t cells) {
  return cells * TallyShape(poll).width() <= limits::kPublicationCounts;
}

PollCells::PollCells(const PollDefinition& poll, const TerritoryTree& tree,
                     const std::vector<TerritoryIndex>& target_places)
    : by_place_(tree.size(), kNone) {
  const auto wanted = places_with_cells(poll, tree, target_places);
  std::map<TerritoryIndex, std::vector<Sibling>> families;  // by the parent's place
  for (TerritoryIndex place = 0; place < tree.size(); ++place) {
    if (!wanted[place]) continue;
    const bool is_leaf = tree.children(place).empty();
    families[is_leaf ? tree[place].parent.value_or(place) : place].push_back(
        {place, expected_not_below(poll, tree, place)});
  }
  std::vector<std::vector<TerritoryIndex>> cells;
  for (auto& [parent, siblings] : families) {
    std::sort(siblings.begin(), siblings.end(), [&](const auto& a, const auto& b) {
      return std::pair(a.expected, tree[a.place].code) < std::pair(b.expected, tree[b.place].code);
    });
    const auto pooled = pool_size(siblings);
    if (pooled > 0) {
      auto& pool = cells.emplace_back();
      for (std::size_t i = 0; i < pooled; ++i) pool.push_back(siblings[i].place);
      std::sort(pool.begin(), pool.end());
    }
    for (std::size_t i = pooled; i < siblings.size(); ++i) cells.push_back({siblings[i].place});
  }
  std::sort(cells.begin(), cells.end());
  members_ = std::move(cells);
  for (std::uint32_t cell = 0; cell < members_.size(); ++cell)
    for (const auto place : members_[cell]) by_place_[place] = cell;
}

std::uint32_t PollCells::cell_of(std::optional<TerritoryIndex> registered) const {
  const auto cell = registered ? by_place_[*registered] : kNone;
  return cell == kNone ? static_cast<std::uint32_t>(size() - 1) : cell;
}

// A pool lies in one parent, so it can cross the border of a leaf alone.
std::optional<std::pair<std::uint32_t, std::uint32_t>> PollCells::range_of(
    TerritoryIndex place, const TerritoryTree& tree) const {
  const bool is_leaf = tree.children(place).empty();
  if (is_leaf && by_place_[place] != kNone && members_[by_place_[place]].size() > 1)
    return std::nullopt;
  const auto at = [&](TerritoryIndex first_place) {
    const auto found =
        std::lower_bound(members_.begin(), members_.end(), first_place,
                         [](const auto& members, TerritoryIndex p) { return members[0] < p; });
    return static_cast<std::uint32_t>(found - members_.begin());
  };
  const auto range = std::pair(at(place), at(tree[place].end));
  return range.first == range.second ? std::nullopt : std::optional(range);
}

}  // namespace veche::model
