#include "tools/veche/bench_books.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tools/veche/api_client.h"

namespace veche::tools {
namespace {

constexpr std::size_t kContradictionsTold = 20;

bool is_from_sender(BallotKind kind) {
  return kind == BallotKind::newcomer || kind == BallotKind::again ||
         kind == BallotKind::other_answer;
}

}  // namespace

BenchBooks::BenchBooks(const BenchPoll& poll, bool tells_accepted)
    : poll_(poll), tells_accepted_(tells_accepted) {}

void BenchBooks::answered(const BenchBallot& ballot, int status, std::string_view code) {
  const bool is_passing = status == kServiceUnavailable;  // "not now" is a right answer to any ballot
  if (!is_passing && !is_expected(ballot.kind, status, code)) {
    contradiction(ballot, fmt::format("answered {} {}", status, code));
    if (!is_from_sender(ballot.kind)) return;  // it has no home among the eligible ones
  }
  if (status == 201) note(ballot, kAccepted);
  if (status == 200) note(ballot, kRecorded);
  if (code == "already-voted") note(ballot, kRefused);
  if (code == "outcome-unknown") lost(ballot);
}

void BenchBooks::counted(const BenchBallot& ballot) {
  if (!is_from_sender(ballot.kind)) return contradiction(ballot, "counted");
  note(ballot, kRecorded);
}

void BenchBooks::lost(const BenchBallot& ballot) {
  note(ballot, kLost);
  unknown_.push_back(ballot);
}

std::vector<BenchBallot> BenchBooks::take_unknown() { return std::exchange(unknown_, {}); }

void BenchBooks::settled(const BenchBallot& ballot, int status, std::string_view code) {
  const int shift = ballot.kind == BallotKind::other_answer ? kOtherShift : 0;
  facts_[ballot.voter] &= static_cast<std::uint8_t>(~(kLost << shift));
  answered(ballot, status, code);
  // "Recorded" now tells that one of those that got no answer was accepted.
  if (status == 200) facts_[ballot.voter] |= static_cast<std::uint8_t>(kAccepted << shift);
}

void BenchBooks::note(const BenchBallot& ballot, Fact fact) {
  if (ballot.voter >= facts_.size()) facts_.resize(ballot.voter + 1 + facts_.size() / 2);
  const int shift = ballot.kind == BallotKind::other_answer ? kOtherShift : 0;
  auto& facts = facts_[ballot.voter];
  if (fact == kAccepted && (facts >> shift & (kAccepted | kLost)) == kAccepted)
    contradiction(ballot, "accepted twice");
  const auto before = facts;
  facts |= static_cast<std::uint8_t>(fact << shift);
  if (fact == kAccepted || fact == kRecorded) count(ballot, before);
}

void BenchBooks::count(const BenchBallot& ballot, std::uint8_t before) {
  constexpr int kCounted = kAccepted | kRecorded;
  if ((before & (kCounted | kCounted << kOtherShift)) != 0) return;
  ++voters_counted_;
  auto& counts = counts_.try_emplace(poll_.homes[ballot.home], poll_.definition).first->second;
  ++counts.ballots;
  ++counts.questions[0][ballot.option].votes;
}

void BenchBooks::contradiction(const BenchBallot& ballot, std::string_view what) {
  if (contradictions_.size() < kContradictionsTold)
    contradictions_.push_back(fmt::format("voter {}, ballot of kind {}: {}", ballot.voter,
                                          static_cast<int>(ballot.kind), what));
}

// One answer of a voter is counted, and all that was said agrees with that.
void BenchBooks::check_voter(std::uint32_t voter, Comparison& comparison) const {
  const int first = facts_[voter] & 0xF;
  const int other = facts_[voter] >> kOtherShift;
  constexpr int kCounted = kAccepted | kRecorded;
  const bool both = (first & kCounted) != 0 && (other & kCounted) != 0;
  const bool refused_alone = ((first & kRefused) != 0 && (other & (kCounted | kLost)) == 0) ||
                             ((other & kRefused) != 0 && (first & (kCounted | kLost)) == 0);
  const auto is_recorded_alone = [](int facts) {
    return (facts & (kAccepted | kRecorded | kLost)) == kRecorded;
  };
  const char* what = nullptr;
  if (both) what = "two different ballots are counted";
  if (refused_alone) what = "refused for another ballot that nobody said was counted";
  if (tells_accepted_ && (is_recorded_alone(first) || is_recorded_alone(other)))
    what = "a ballot was recorded before, and nobody said it was accepted";
  if (what && comparison.differences.size() < kContradictionsTold)
    comparison.differences.push_back(fmt::format("voter {}: {}", voter, what));
}

Comparison BenchBooks::compare(const boost::json::value& results) const {
  Comparison comparison;
  comparison.differences = contradictions_;
  for (std::uint32_t voter = 0; voter < facts_.size(); ++voter) check_voter(voter, comparison);
  comparison.add(compare_with_results(poll_.definition, counts_, results));
  return comparison;
}

}  // namespace veche::tools
