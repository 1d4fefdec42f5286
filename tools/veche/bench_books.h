// The books of `veche bench`: what the server said to every ballot, voter by voter, kept so that
// at the end each voter can be shown to be counted once, and every count to be the server's. For
// one thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/veche/bench_ballots.h"
#include "tools/veche/bench_poll.h"
#include "tools/veche/counts.h"

namespace veche::tools {

class BenchBooks {
 public:
  // `tells_accepted`: each ballot has an answer of its own, so that the first is told from others.
  BenchBooks(const BenchPoll& poll, bool tells_accepted);

  // `code` as in the answer's body; "accepted" and "recorded" too.
  void answered(const BenchBallot& ballot, int status, std::string_view code);
  // In a batch without details: accepted or recorded, which is both "this answer is counted".
  void counted(const BenchBallot& ballot);
  // No answer came: what became of it is unknown, until the same ballot is sent again.
  void lost(const BenchBallot& ballot);

  // Of those nobody knows the fate of, as often as they were lost.
  std::vector<BenchBallot> take_unknown();
  // What the server says to one of them, sent again: now its fate is known.
  void settled(const BenchBallot& ballot, int status, std::string_view code);

  std::uint64_t voters_counted() const { return voters_counted_; }
  const CountsByTerritory& counts() const { return counts_; }

  // Against the server's results by territory: every number, and every contradiction between the
  // server's answers to one voter.
  Comparison compare(const boost::json::value& results) const;

 private:
  // What was heard about a voter's two possible answers: the planned one, and the other one.
  enum Fact : std::uint8_t {
    kAccepted = 1,
    kRecorded = 2,
    kRefused = 4,  // already-voted
    kLost = 8,
  };
  static constexpr int kOtherShift = 4;

  void note(const BenchBallot& ballot, Fact fact);
  void count(const BenchBallot& ballot, std::uint8_t before);
  void contradiction(const BenchBallot& ballot, std::string_view what);
  void check_voter(std::uint32_t voter, Comparison& comparison) const;

  const BenchPoll& poll_;
  const bool tells_accepted_;
  std::vector<std::uint8_t> facts_;  // by voter
  CountsByTerritory counts_;
  std::uint64_t voters_counted_ = 0;
  std::vector<BenchBallot> unknown_;
  std::vector<std::string> contradictions_;
};

}  // namespace veche::tools
