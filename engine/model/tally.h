// Counts of one poll by territory, and by hour: of one partition's ballots, or the sum of several.
//
// A row belongs to the territory that stood in the ballot; nothing is summed up the tree here. A
// row is: ballots, then for every question and option in the order of the definition the votes,
// and the points behind them where the question counts points.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/ballot.h"
#include "engine/model/ids.h"
#include "engine/model/poll.h"

namespace veche::model {

// Where the counts of a poll stand in a row.
class TallyShape {
 public:
  explicit TallyShape(const PollDefinition& poll);

  std::size_t width() const { return width_; }
  std::size_t votes_at(std::size_t question, std::size_t option) const {
    return first_[question] + option * stride_[question];
  }
  bool has_points(std::size_t question) const { return stride_[question] == 2; }

 private:
  std::size_t width_ = 1;
  std::vector<std::size_t> first_;
  std::vector<std::uint8_t> stride_;
};

struct HourCount {
  std::uint32_t unix_hour = 0;  // hours since 1970
  std::uint64_t ballots = 0;
  friend bool operator==(const HourCount&, const HourCount&) = default;
};

class Tally {
 public:
  explicit Tally(const PollDefinition& poll) : shape_(poll) {}

  const TallyShape& shape() const { return shape_; }

  // Counts one ballot whose answers fit the poll; `unix_hour` is its record's.
  void add(const PollDefinition& poll, const TerritoryCode& territory, const Answers& answers,
           std::uint32_t unix_hour);
  void merge(const Tally& other);  // of the same poll

  std::uint64_t ballots() const { return ballots_; }
  // Ballots by the hour of their records, ascending.
  const std::vector<HourCount>& hours() const { return hours_; }
  // Rows in the order in which their territories first appeared.
  const std::vector<TerritoryCode>& territories() const { return territories_; }
  std::span<const std::uint64_t> row(std::size_t place) const {
    return std::span(cells_).subspan(place * shape_.width(), shape_.width());
  }

  // Absolute values, for a checkpoint. False: the bytes are not a tally of this shape.
  std::string serialize() const;
  bool restore(std::string_view bytes);

 private:
  std::span<std::uint64_t> row_of(const TerritoryCode& territory);
  void add_to_hour(std::uint32_t unix_hour, std::uint64_t ballots);

  TallyShape shape_;
  std::uint64_t ballots_ = 0;
  std::vector<TerritoryCode> territories_;
  std::vector<std::uint64_t> cells_;
  std::vector<HourCount> hours_;
  boost::unordered_flat_map<TerritoryCode, std::uint32_t> places_;
};

}  // namespace veche::model
