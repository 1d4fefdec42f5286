#include "engine/model/directory.h"

#include <algorithm>
#include <variant>

namespace veche::model {

std::string_view name(PollPhase phase) {
  switch (phase) {
    case PollPhase::draft:
      return "draft";
    case PollPhase::submitted:
      return "submitted";
    case PollPhase::scheduled:
      return "scheduled";
    case PollPhase::open:
      return "open";
    case PollPhase::closed:
      return "closed";
    case PollPhase::certified:
      return "certified";
    case PollPhase::cancelled:
      return "cancelled";
  }
  return "unknown";
}

std::vector<TerritoryIndex> places_of_targets(const PollDefinition& poll,
                                              const TerritoryTree& tree) {
  std::vector<TerritoryIndex> places;
  for (const auto& target : poll.targets)
    if (const auto* territory = std::get_if<TerritoryCode>(&target))
      if (const auto place = tree.find(*territory)) places.push_back(*place);
  std::sort(places.begin(), places.end());
  std::vector<TerritoryIndex> outermost;
  for (const auto place : places)
    if (outermost.empty() || !tree.is_within(place, outermost.back())) outermost.push_back(place);
  return outermost;
}

// Targets lie in the order of the tree and none within another, so the one before a place is the
// only one that can hold it.
bool has_target_over(const PollEntry& poll, const TerritoryCode& territory) {
  const auto place = poll.tree->find(territory);
  if (!place) return false;
  const auto& targets = poll.target_places;
  const auto after = std::upper_bound(targets.begin(), targets.end(), *place);
  return after != targets.begin() && poll.tree->is_within(*place, *(after - 1));
}

const TreeVersion* Directory::tree_on(Date day) const {
  const TreeVersion* holds = nullptr;     // valid by then
  const TreeVersion* earliest = nullptr;  // of all
  for (const auto& each : trees) {        // later versions replace those of the same day
    if (each.valid_from <= day && (!holds || each.valid_from >= holds->valid_from)) holds = &each;
    if (!earliest || each.valid_from <= earliest->valid_from) earliest = &each;
  }
  return holds ? holds : earliest;
}

}  // namespace veche::model
