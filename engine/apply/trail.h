// How far a partition was applied, and the rolling hashes on the way there: what HELLO and NOOP
// tell of their writer is held against them. A difference means that the log was cut and grew
// again, or that somebody's index is wrong.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/record.h"

namespace veche::apply {

class Trail {
 public:
  // Hashes before the start are not known, but the one before its last record, where `before` is.
  explicit Trail(const model::Position& start,
                 const std::optional<model::RollingHash>& before = std::nullopt)
      : position_(start), first_known_{start.next.value - (before ? 1 : 0)} {
    if (before) hashes_.push_back(*before);
    hashes_.push_back(start.hash);
  }

  const model::Position& position() const { return position_; }

  // The hash before the last record, where it is known.
  std::optional<model::RollingHash> before() const {
    if (position_.next <= first_known_) return std::nullopt;
    return hashes_[place_of({position_.next.value - 1})];
  }

  // Whether `record` is the last one that was applied, as far as that is known.
  bool ends_with(std::string_view record) const {
    const auto so_far = before();
    return !so_far || model::roll(*so_far, record) == position_.hash;
  }

  void advance(std::string_view record) {
    position_ = {position_.next.plus(1), model::roll(position_.hash, record)};
    const auto place = place_of(position_.next);
    if (place == hashes_.size()) return hashes_.push_back(position_.hash);
    hashes_[place] = position_.hash;
  }

  enum class Comparison {
    fits,  // the same records, or too long ago to tell
    differs,
    senseless,  // speaks of records that were not there yet
  };
  Comparison compare(const v1::Tail& tail) const {
    const auto theirs = model::RollingHash::parse(tail.rolling_hash());
    const model::Offset at{tail.next_offset()};
    if (!theirs || at > position_.next) return Comparison::senseless;
    const bool known = at >= first_known_ && at.plus(kHistory) > position_.next;
    return known && hashes_[place_of(at)] != *theirs ? Comparison::differs : Comparison::fits;
  }

 private:
  static constexpr std::size_t kHistory = 16'384;  // records back that can be compared

  std::size_t place_of(model::Offset next) const {
    return (next.value - first_known_.value) % kHistory;
  }

  model::Position position_;
  model::Offset first_known_;
  std::vector<model::RollingHash> hashes_;  // a ring, once there are so many
};

}  // namespace veche::apply
