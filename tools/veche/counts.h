// Counts that a tool made by its own plain code, to be held against what a server or an index
// says. Shares nothing with the engine's tallies but the poll's definition.
#pragma once

#include <boost/json/value.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/poll.h"

namespace veche::tools {

struct OptionCount {
  std::uint64_t votes = 0;
  std::uint64_t points = 0;
};

// Of some ballots of one poll.
struct Counts {
  std::uint64_t ballots = 0;
  std::vector<std::vector<OptionCount>> questions;  // by place in the definition

  Counts() = default;
  explicit Counts(const model::PollDefinition& poll);
  void add(const Counts& other);  // of the same poll
};

// By the territory that stands in the ballot; nothing is summed up the tree.
using CountsByTerritory = boost::unordered_flat_map<model::TerritoryCode, Counts>;

struct Comparison {
  std::uint64_t compared = 0;  // numbers
  std::vector<std::string> differences;

  void number(const std::string& what, std::uint64_t here, std::uint64_t there);
  // Of all the numbers of two Counts of the poll; `here` is ours.
  void counts(const model::PollDefinition& poll, const std::string& where, const Counts& here,
              const Counts& there);
  void add(Comparison other);
};

// Holds ours against the server's results of the poll, as asked for with by=territory: every number
// of the whole, of each territory and of each group that is shown. Sums up the tree by the results'
// own parents. Throws what Boost.JSON throws where a member is missing.
Comparison compare_with_results(const model::PollDefinition& poll, const CountsByTerritory& ours,
                                const boost::json::value& results);

}  // namespace veche::tools
