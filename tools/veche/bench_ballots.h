// The ballots of `veche bench` in their order: the same for the same seed, poll and mix. Who they
// are from and what they say is fixed here, before any clock runs.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "engine/model/ids.h"
#include "tools/veche/bench_poll.h"

namespace veche::tools {

enum class BallotKind : std::uint8_t {
  newcomer,       // a voter's first
  again,          // the same ballot once more
  other_answer,   // another answer of a voter who was there
  bad_signature,  // the rest are faults of the sender; their voters never come again
  expired_token,
  not_eligible,
  unknown_option,
  malformed,
};

// As --territories names them.
enum class HomeLaw : std::uint8_t { zipf, even };

struct BenchBallot {
  std::uint32_t voter = 0;  // numbered from 0
  std::uint16_t home = 0;   // place in BenchPoll::homes, or ::elsewhere for not_eligible
  std::uint8_t option = 0;
  BallotKind kind = BallotKind::newcomer;
};

struct BallotMix {
  double again_percent = 0;
  double other_answer_percent = 0;
  double bad_percent = 0;
  HomeLaw homes = HomeLaw::zipf;
};

// The answer of a voter who sends another one.
inline std::uint8_t other_option(std::uint8_t option) {
  return static_cast<std::uint8_t>((option + 1) % kBenchOptions.size());
}

// What the server may say to a ballot. Of those of one voter the first to arrive wins, which need
// not be the first to be sent: whether the answers agree shows when all are there (bench_books.h).
bool is_expected(BallotKind kind, int status, std::string_view code);

class BallotPlan {
 public:
  // `signed_singly`: each ballot has a token of its own, which can be a bad one. Voters are
  // numbered from `first_voter` on.
  BallotPlan(const BenchPoll& poll, std::uint64_t seed, const BallotMix& mix, bool signed_singly,
             std::uint32_t first_voter);

  BenchBallot next();
  std::uint32_t end_voter() const { return voters_; }  // one behind the last

 private:
  BenchBallot newcomer();
  BenchBallot bad_one();
  double fraction() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  std::size_t below(std::size_t bound) { return random_() % bound; }

  const BallotMix mix_;
  const std::size_t elsewhere_;
  std::mt19937_64 random_;
  std::vector<double> people_up_to_;  // by home, as shares of all
  std::vector<BallotKind> bad_kinds_;
  std::uint32_t voters_;
  // The last newcomers, in a ring: those who come again were there a moment ago, or a while.
  std::array<BenchBallot, 16'384> recent_{};
  std::size_t recent_count_ = 0;
};

}  // namespace veche::tools
