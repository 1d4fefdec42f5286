// Every poll and every version of the territory tree, as the control partition tells: an immutable
// value that all threads share, replaced by a new one at each change.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/model/cells.h"
#include "engine/model/certificate.h"
#include "engine/model/date.h"
#include "engine/model/history.h"
#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "engine/model/publication.h"
#include "engine/model/territory.h"

namespace veche::model {

enum class PollPhase : std::uint8_t {
  draft,      // a moderator's: staff alone may know of it, until it is approved
  submitted,  // waits for an approver, who is not its drafter
  scheduled,  // approved; opens at its time, or when an approver opens it
  open,
  closed,
  certified,  // closed, and its final result is frozen
  cancelled,
};
std::string_view name(PollPhase phase);

struct PollEntry {
  std::shared_ptr<const PollDefinition> definition;
  std::shared_ptr<const TerritoryTree> tree;  // the version that the definition names
  std::optional<Date> tree_day;  // by which that was chosen; older records do not say it
  std::vector<TerritoryIndex> target_places;  // places_of_targets() of these two
  PollPhase phase = PollPhase::scheduled;
  std::uint32_t version = 1;  // of the definition: a change based on another one is void
  Offset changed_at;          // control offset of the last change of phase
  bool was_open = false;      // distinguishes a cancelled poll that has ballots
  bool was_approved = true;   // distinguishes a cancelled poll that everybody may know of
  std::shared_ptr<const PollCells> cells;          // of a poll in steps alone
  std::shared_ptr<const Publication> publication;  // the last; of a poll in steps alone
  // Those before it that are kept, the oldest first.
  std::vector<std::shared_ptr<const Publication>> earlier;
  std::shared_ptr<const History> history = std::make_shared<const History>();
  std::shared_ptr<const Certificate> certificate;  // null until it is certified

  bool takes_no_more() const {  // its ballots are all cast: CLOSE is due in every partition
    return phase == PollPhase::closed || phase == PollPhase::certified ||
           (phase == PollPhase::cancelled && was_open);
  }
};

// The targets of the poll that are territories of the tree, as places, ascending; one that lies
// within another is left out.
std::vector<TerritoryIndex> places_of_targets(const PollDefinition& poll,
                                              const TerritoryTree& tree);

// Whether a territory target of the poll holds the territory.
bool has_target_over(const PollEntry& poll, const TerritoryCode& territory);

struct Directory {
  std::map<PollId, std::shared_ptr<const PollEntry>> polls;
  std::vector<TreeVersion> trees;  // by version, from 1

  std::shared_ptr<const PollEntry> find(const PollId& id) const {
    const auto found = polls.find(id);
    return found == polls.end() ? nullptr : found->second;
  }
  // The version that holds on a day: of those that are valid by then the one that became so last,
  // and before the first day of all the earliest; of two of one day the newer, which corrects the
  // other. nullptr: there is no tree.
  const TreeVersion* tree_on(Date day) const;
  const TreeVersion* tree_of_version(std::uint32_t version) const {
    return version >= 1 && version <= trees.size() ? &trees[version - 1] : nullptr;
  }
};

}  // namespace veche::model
