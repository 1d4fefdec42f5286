// What a server shows of a replayed vote, held against the file: its official totals, and its
// ballots counted once more, by the district where each voter lives.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/poll.h"
#include "tools/veche/counts.h"
#include "tools/veche/pabulib.h"

namespace veche::tools {

// What was counted for a project beside what should have been.
struct Total {
  std::string project;
  std::string_view what;  // "votes" or "score"
  std::uint64_t official = 0;
  std::uint64_t counted = 0;
  std::string reason = {};              // of a difference that lines of the file explain
  std::vector<std::size_t> lines = {};  // those

  bool is_equal() const { return official == counted; }
  bool is_explained() const { return !is_equal() && !reason.empty(); }
};

// By the official totals of the file: votes, and score where there are any and the file has a rule
// for them. A project for which the file gives no votes is held against the file's own ballots. A
// difference is explained where the official total counted lines as they stand, and Veche does
// not: by PabulibFile::deviations, all of the project together. Empty: the results are hidden.
std::vector<Total> compare_totals(const PabulibFile& file, const boost::json::value& results);

// The file's ballots; `homes` by vote.
CountsByTerritory counts_of(const PabulibFile& file, const model::PollDefinition& poll,
                            std::span<const model::TerritoryCode> homes);

struct ReplayCheck {
  std::vector<Total> totals;
  Comparison counts;
  std::string hidden;  // why nothing is shown at all; empty: something is
  std::uint64_t territories = 0;
  std::uint64_t shown = 0;  // of them
  std::uint64_t in_groups = 0;
  std::uint64_t groups = 0;

  // Whether all is equal, or explained.
  bool is_right() const;
};

// `results` by territory; of a poll in steps the final ones. That such a poll shows nothing is a
// difference unless it had too few voters, or they were of one mind.
ReplayCheck check_replay(const PabulibFile& file, const model::PollDefinition& poll,
                         std::span<const model::TerritoryCode> homes,
                         const boost::json::value& results);

}  // namespace veche::tools
