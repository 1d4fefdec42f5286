// The ring of hashes behind a position: what it knows before it is full, and when it goes round.
#include "engine/apply/trail.h"

#include <gtest/gtest.h>

namespace veche::apply {
namespace {

using model::Offset;
using model::RollingHash;

constexpr std::uint64_t kHistory = 16'384, kStart = 1'000;

std::string record_at(std::uint64_t offset) { return "record " + std::to_string(offset); }

// The hash after each record of a log, from its beginning.
std::vector<RollingHash> hashes_of(std::uint64_t records) {
  std::vector<RollingHash> hashes{RollingHash{}};
  for (std::uint64_t i = 0; i < records; ++i)
    hashes.push_back(model::roll(hashes.back(), record_at(i)));
  return hashes;
}

class TrailTest : public testing::TestWithParam<std::tuple<bool, std::uint64_t>> {
 protected:
  Trail::Comparison compare(std::uint64_t next, const RollingHash& hash) const {
    v1::Tail tail;
    tail.set_next_offset(next);
    tail.set_rolling_hash(hash.view().data(), hash.view().size());
    return trail_.compare(tail);
  }

  const bool knows_before_ = std::get<0>(GetParam());
  const std::uint64_t end_ = kStart + std::get<1>(GetParam());
  const std::vector<RollingHash> hashes_ = hashes_of(kStart + 3 * kHistory);
  Trail trail_{{Offset{kStart}, hashes_[kStart]},
               knows_before_ ? std::optional(hashes_[kStart - 1]) : std::nullopt};
};

TEST_P(TrailTest, TellsOtherRecordsAsFarBackAsItKnows) {
  for (auto i = kStart; i < end_; ++i) trail_.advance(record_at(i));
  ASSERT_EQ(trail_.position(), (model::Position{Offset{end_}, hashes_[end_]}));
  EXPECT_EQ(trail_.ends_with("another record"), !trail_.before());
  EXPECT_TRUE(trail_.ends_with(record_at(end_ - 1)));
  EXPECT_EQ(trail_.before().has_value(), knows_before_ || end_ > kStart);

  const auto first_known = std::max(kStart - knows_before_, end_ + 1 - std::min(end_, kHistory));
  for (auto at = end_ + 2 - std::min(end_, kHistory + 100); at <= end_; ++at) {
    ASSERT_EQ(compare(at, hashes_[at]), Trail::Comparison::fits) << at;
    ASSERT_EQ(compare(at, hashes_[at + 1]),
              at >= first_known ? Trail::Comparison::differs : Trail::Comparison::fits)
        << at << ", known from " << first_known;
  }
  EXPECT_EQ(compare(end_ + 1, hashes_[end_ + 1]), Trail::Comparison::senseless);
}

INSTANTIATE_TEST_SUITE_P(Ends, TrailTest,
                         testing::Combine(testing::Bool(),
                                          testing::Values(0, 1, kHistory - 2, kHistory - 1,
                                                          kHistory, kHistory + 1, 2 * kHistory,
                                                          2 * kHistory + 77)));

}  // namespace
}  // namespace veche::apply
