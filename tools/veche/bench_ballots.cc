#include "tools/veche/bench_ballots.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace veche::tools {
namespace {

// As in make_region(): a third lives in the largest place, a few in the smallest.
constexpr double kZipfExponent = 1.3;
// How much the options are liked: no poll is even.
constexpr std::array<double, kBenchOptions.size()> kLikedUpTo{0.40, 0.70, 0.90, 1.00};

}  // namespace

bool is_expected(BallotKind kind, int status, std::string_view code) {
  switch (kind) {
    case BallotKind::newcomer:
    case BallotKind::again:
    case BallotKind::other_answer:
      return status == 201 || status == 200 || code == "already-voted";
    case BallotKind::bad_signature:
      return code == "token-invalid";
    case BallotKind::expired_token:
      return code == "token-expired";
    case BallotKind::not_eligible:
      return code == "not-eligible";
    case BallotKind::unknown_option:
      return code == "invalid-answer";
    case BallotKind::malformed:
      return code == "malformed";
  }
  return false;
}

BallotPlan::BallotPlan(const BenchPoll& poll, std::uint64_t seed, const BallotMix& mix,
                       bool signed_singly, std::uint32_t first_voter)
    : mix_(mix), elsewhere_(poll.elsewhere.size()), random_(seed), voters_(first_voter) {
  std::vector<double> people(poll.homes.size());
  for (std::size_t i = 0; i < people.size(); ++i)
    people[i] =
        mix.homes == HomeLaw::even ? 1 : std::pow(static_cast<double>(i + 1), -kZipfExponent);
  // Which home is the largest is a matter of the seed.
  for (auto i = people.size(); i > 1; --i) std::swap(people[i - 1], people[below(i)]);
  const auto all = std::accumulate(people.begin(), people.end(), 0.0);
  double sum = 0;
  for (const auto share : people) people_up_to_.push_back(sum += share / all);
  bad_kinds_ = {BallotKind::unknown_option, BallotKind::malformed};
  if (signed_singly)
    bad_kinds_.insert(bad_kinds_.end(), {BallotKind::bad_signature, BallotKind::expired_token});
  if (elsewhere_ > 0) bad_kinds_.push_back(BallotKind::not_eligible);
}

BenchBallot BallotPlan::next() {
  const auto dice = fraction() * 100;
  const auto bad_up_to = mix_.bad_percent;
  const auto again_up_to = bad_up_to + mix_.again_percent;
  const auto other_up_to = again_up_to + mix_.other_answer_percent;
  if (dice < bad_up_to) return bad_one();
  if (dice < other_up_to && recent_count_ > 0) {
    auto ballot = recent_[below(std::min(recent_count_, recent_.size()))];
    ballot.kind = dice < again_up_to ? BallotKind::again : BallotKind::other_answer;
    if (ballot.kind == BallotKind::other_answer) ballot.option = other_option(ballot.option);
    return ballot;
  }
  const auto ballot = newcomer();
  recent_[recent_count_++ % recent_.size()] = ballot;
  return ballot;
}

BenchBallot BallotPlan::bad_one() {
  auto ballot = newcomer();
  ballot.kind = bad_kinds_[below(bad_kinds_.size())];
  if (ballot.kind == BallotKind::not_eligible)
    ballot.home = static_cast<std::uint16_t>(below(elsewhere_));
  return ballot;
}

BenchBallot BallotPlan::newcomer() {
  const auto home = std::lower_bound(people_up_to_.begin(), people_up_to_.end() - 1, fraction());
  const auto liked = std::lower_bound(kLikedUpTo.begin(), kLikedUpTo.end() - 1, fraction());
  return {voters_++, static_cast<std::uint16_t>(home - people_up_to_.begin()),
          static_cast<std::uint8_t>(liked - kLikedUpTo.begin()), BallotKind::newcomer};
}

}  // namespace veche::tools
