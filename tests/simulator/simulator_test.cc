// The simulator over many seeds. VECHE_SIMULATOR_SEEDS sets how many; VECHE_SIMULATOR_SEED runs
// the one that failed. Linked with a faulty part of the engine, whose name is in VECHE_FAULT, the
// test is passed when the simulator notices.
#include "tests/simulator/simulator.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace veche::simulator {
namespace {

std::uint64_t number_in_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr std::uint64_t kSeeds = 200;
#else
constexpr std::uint64_t kSeeds = 2'000;
#endif

constexpr int Seen::*kParts[] = {
    &Seen::counted,       &Seen::accepted,          &Seen::recorded,     &Seen::already_voted,
    &Seen::closed,        &Seen::unknown,           &Seen::duplicates,   &Seen::behind_close,
    &Seen::crashes,       &Seen::rebuilds,          &Seen::lost,         &Seen::doubled,
    &Seen::redelivered,   &Seen::checkpoints,       &Seen::publications, &Seen::shared_barriers,
    &Seen::sole_barriers, &Seen::given_up_barriers, &Seen::batches};

// What the first seed that broke a promise says; empty: none did. `sum` is what all of them met.
std::string broken_by(std::uint64_t first, std::uint64_t last, Seen& sum) {
  for (auto seed = first; seed <= last; ++seed) {
    World world(seed);
    const auto& broken = world.run();
    if (!broken.empty())
      return broken.front() + "\n(" + std::to_string(broken.size()) +
             " in all) again with VECHE_SIMULATOR_SEED=" + std::to_string(seed);
    for (const auto part : kParts) sum.*part += world.seen().*part;
  }
  return {};
}

TEST(Simulator, KeepsEveryPromiseOrCatchesTheVariant) {
  const auto only = number_in_environment("VECHE_SIMULATOR_SEED", 0);
  const auto first = only ? only : 1;
  const auto last = only ? only : number_in_environment("VECHE_SIMULATOR_SEEDS", kSeeds);
  Seen sum;
  const auto broken = broken_by(first, last, sum);
  if (const char* fault = std::getenv("VECHE_FAULT")) {
    EXPECT_NE(broken, "") << fault << " was not noticed";
    return;
  }
  ASSERT_EQ(broken, "");
  if (only) return;
  for (const auto& part : kParts)
    EXPECT_GT(sum.*part, 0) << "the seeds do not reach part " << &part - kParts;
}

// Others every day, so that in time many are met.
TEST(Simulator, KeepsEveryPromiseWithTheSeedsOfTheDay) {
  if (number_in_environment("VECHE_SIMULATOR_SEED", 0)) return;  // the other test runs it
  const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
  const auto first = static_cast<std::uint64_t>(day.time_since_epoch().count()) * 1'000'000;
  const auto last = first + kSeeds / 4 - 1;
  std::cout << "seeds of the day: " << first << " to " << last << std::endl;
  Seen sum;
  EXPECT_EQ(broken_by(first, last, sum), "");
}

}  // namespace
}  // namespace veche::simulator
