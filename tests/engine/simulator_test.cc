// The simulator over many seeds. VECHE_SIMULATOR_SEEDS sets how many; VECHE_SIMULATOR_SEED runs
// the one that failed. Built with a faulty variant of the engine, the test is passed when the
// simulator notices.
#include "tests/engine/simulator.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/model/fault_variant.h"

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

TEST(Simulator, KeepsEveryPromiseOrCatchesTheVariant) {
  const auto only = number_in_environment("VECHE_SIMULATOR_SEED", 0);
  const auto first = only ? only : 1;
  const auto last = only ? only : number_in_environment("VECHE_SIMULATOR_SEEDS", kSeeds);
  Seen sum;
  const auto add = [](int& to, int value) { to += value; };
  for (auto seed = first; seed <= last; ++seed) {
    World world(seed);
    const auto& broken = world.run();
    if (!broken.empty() && model::kFaultVariant != model::FaultVariant::none)
      return RecordProperty("caught_by_seed", std::to_string(seed));
    ASSERT_TRUE(broken.empty()) << broken.front() << "\n(" << broken.size()
                                << " in all) again with VECHE_SIMULATOR_SEED=" << seed;
    const auto& seen = world.seen();
    for (const auto part :
         {&Seen::counted, &Seen::accepted, &Seen::recorded, &Seen::already_voted, &Seen::closed,
          &Seen::unknown, &Seen::duplicates, &Seen::behind_close, &Seen::crashes, &Seen::rebuilds,
          &Seen::lost, &Seen::doubled, &Seen::redelivered, &Seen::checkpoints, &Seen::publications,
          &Seen::batches})
      add(sum.*part, seen.*part);
  }
  ASSERT_EQ(model::kFaultVariant, model::FaultVariant::none) << "the fault was not noticed";
  if (only) return;
  for (const auto part :
       {&Seen::counted, &Seen::accepted, &Seen::recorded, &Seen::already_voted, &Seen::closed,
        &Seen::unknown, &Seen::duplicates, &Seen::behind_close, &Seen::crashes, &Seen::rebuilds,
        &Seen::lost, &Seen::doubled, &Seen::redelivered, &Seen::checkpoints, &Seen::publications,
        &Seen::batches})
    EXPECT_GT(sum.*part, 0) << "the seeds do not reach what they are for";
}

}  // namespace
}  // namespace veche::simulator
