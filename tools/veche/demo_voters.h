// The simulated voters of `veche demo`: who comes next, with what answers, and the books of what
// became of it, to be held against the server's results. For one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <unordered_set>
#include <vector>

#include "engine/model/ballot.h"
#include "ingest/http/client.h"
#include "tools/veche/counts.h"
#include "tools/veche/demo_region.h"

namespace veche::tools {

// A voter who puts a ballot into the box, or tries to.
struct DemoBallot {
  std::size_t poll = 0;     // place in DemoRegion::polls
  std::uint64_t voter = 0;  // numbered from 0; one poll each
  model::TerritoryCode home;
  model::Answers answers;
};

// {"answers":...} as the interface takes it.
std::string body_of(const model::PollDefinition& poll, const model::Answers& answers);

// The same ballots in the same order for the same seed.
class DemoVoters {
 public:
  DemoVoters(const DemoRegion& demo, std::uint64_t seed);

  // Mostly a voter who was not there before, at home where people live; now and then one who sends
  // the same again, one who has changed their mind, or one who may not vote in this poll.
  DemoBallot next();

 private:
  // Some of the homes, drawn by how many people live there.
  struct Homes {
    std::vector<const Home*> homes;
    std::vector<std::uint64_t> people_up_to;

    void add(const Home& home);
    const Home& draw(std::uint64_t dice) const;
  };

  DemoBallot newcomer(bool eligible);
  model::Answers answer(const model::PollDefinition& poll, const model::TerritoryCode& home);
  std::size_t below(std::size_t bound) { return random_() % bound; }

  const DemoRegion& demo_;
  std::mt19937_64 random_;
  std::vector<Homes> eligible_;  // by place in DemoRegion::polls
  std::vector<Homes> elsewhere_;
  std::uint64_t voters_ = 0;
  std::deque<DemoBallot> recent_;
};

class DemoBooks {
 public:
  explicit DemoBooks(const DemoRegion& demo);

  void book(const DemoBallot& ballot, const http::Answer& answer);

  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t recorded() const { return recorded_; }  // the same ballot again
  std::uint64_t refused() const { return refused_; }
  std::uint64_t sent() const { return accepted_ + recorded_ + refused_; }
  // By place in DemoRegion::polls.
  const CountsByTerritory& counted(std::size_t poll) const { return counted_[poll]; }
  // Of the last few thousand ballots; nothing before the first.
  std::chrono::nanoseconds latency(double share) const;

 private:
  static constexpr std::size_t kLatencies = 4'096;

  void count(const DemoBallot& ballot);

  const DemoRegion& demo_;
  std::vector<CountsByTerritory> counted_;
  std::unordered_set<std::uint64_t> counted_voters_;
  std::uint64_t accepted_ = 0;
  std::uint64_t recorded_ = 0;
  std::uint64_t refused_ = 0;
  std::vector<std::chrono::nanoseconds> latencies_;  // a ring
  std::size_t next_latency_ = 0;
};

}  // namespace veche::tools
