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

// Why counts are not shown, or that they are.
enum class Suppressed : std::uint8_t {
  no,
  not_yet,   // what there is may not come out yet
  in_group,  // they are shown together with others alone: see Snapshot::groups
  too_few,   // of the whole poll, at its end: fewer than k voters
};
std::string_view name(Suppressed suppressed);  // "" for no, else "not-yet", "in-group", "too-few"

using Row = std::vector<std::uint64_t>;  // as Tally lays it out: ballots first

// Counts of one territory with everything below it.
struct TerritoryCounts {
  model::TerritoryCode code;
  std::string_view name;  // of the tree; empty: not in the poll's tree
  std::string_view kind;
  std::uint8_t level = 0;
  std::optional<model::TerritoryCode> parent;
  std::optional<std::uint64_t> not_below;  // ballots of those registered here and nowhere below
  Suppressed suppressed = Suppressed::no;
  Row counts;  // empty: suppressed
};

// Cells that are shown together alone; `steps` alone has such. A cell is a leaf, or what is
// registered in an inner territory and nowhere below. No ballot is in two groups.
struct GroupCounts {
  std::optional<model::TerritoryCode> within;  // the smallest territory that holds all; none does
  std::string_view within_name;
  std::vector<model::TerritoryCode> leaves;
  std::vector<model::TerritoryCode> not_below;
  Suppressed suppressed = Suppressed::no;
  Row counts;  // empty: suppressed
};

// What may be seen of a poll at one moment. Territories come in the order of the tree. What is
// shown adds up, always. A node that is shown is the sum of its not_below, of its children that are
// shown, of the same of its children that are not, and of the groups within it that lie within no
// shown node below it; the whole poll is that of all roots. A null counts as nothing.
struct Snapshot {
  std::shared_ptr<const model::PollEntry> poll;
  model::PollPhase phase = model::PollPhase::open;  // when it was so
  // Equal for equal content; the number before the dash never falls, and of equal ones the later
  // phase is the newer.
  std::string version;
  model::Instant as_of;  // every ballot that was in the log then is in it, or was withheld
  // `exact` alone: how many of the ballots are in each ballots partition. No offsets: they count
  // the ballots of all polls, and so those of hidden ones.
  std::vector<std::uint64_t> partition_ballots;
  bool is_final = false;  // nothing will change any more
  model::TallyShape shape;
  std::optional<std::uint64_t> turnout;  // ballots accepted; in `steps` rounded down until final
  Suppressed suppressed = Suppressed::no;
  Row counts;  // of the whole poll; empty: suppressed
  std::vector<TerritoryCounts> territories;
  std::vector<GroupCounts> groups;
  // The auditor's alone, for they may be of any poll: records of the log that are not applied here
  // yet; so many ballots at most are accepted and not in it.
  std::optional<std::uint64_t> not_shown;
  std::vector<model::TurnoutPoint> turnout_series;  // by hour

  std::uint64_t ballots() const { return counts.empty() ? 0 : counts[0]; }
};

// What was proven about the reader.
enum class Viewer : std::uint8_t {
  anybody,
  voter,      // showed a voter token of this poll
  certifier,  // sees what everybody will see of the final result, as soon as it is final
  auditor,    // sees exact counts at any time; the log tells of each look
};

inline constexpr std::string_view kNever = "never";

// The counts may not be seen by this viewer now; `until` says when they may, or is kNever.
struct Hidden {
  std::string_view until;
};

using Published = std::variant<Snapshot, Hidden>;

// Whether the shards have to be asked, or the log has told it all.
bool needs_tallies(const model::PollEntry& poll, Viewer viewer);

// How much of it a reader looks at: to leave the territories out is cheaper by far.
enum class Detail : std::uint8_t { whole_poll, by_territory };

// `collected` may be without tallies where none are needed.
Published publish(const node::Collected& collected, Viewer viewer,
                  Detail detail = Detail::by_territory);
// Where no tallies are needed.
Published publish(const std::shared_ptr<const model::PollEntry>& poll, Viewer viewer);
// Of a poll in steps: whether the version with the number that was shown, and the name of the state
// that the poll was in, is kept. An empty name: whichever it was.
bool keeps_version(const model::PollEntry& poll, std::uint64_t number, std::string_view state);
// As of that version. Nothing: it is not kept, or never was.
std::optional<Published> publish_version(const std::shared_ptr<const model::PollEntry>& poll,
                                         std::uint64_t number, std::string_view state,
                                         Viewer viewer);

}  // namespace veche::publish
