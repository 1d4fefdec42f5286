// Long work on one thread: who comes in between, and how soon. The worker's loop is turned by hand,
// one handler at a time.
#include "ingest/http/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace veche::http {
namespace {

using testing::Each;
using testing::Le;
using namespace std::chrono_literals;

// A step lasts so long at least, so a slice has at most so many.
constexpr auto kStep = 500us;
constexpr int kStepsOfOneSlice = 4;
static_assert(kStepsOfOneSlice * kStep == limits::kSlice);

void work() {
  const auto end = std::chrono::steady_clock::now() + kStep;
  while (std::chrono::steady_clock::now() < end) {
  }
}

class SlicesTest : public testing::Test {
 protected:
  // `steps` of work under a name.
  void run(char name, int steps) {
    slices_.run([this, name, left = steps]() mutable {
      work();
      done_ += name;
      return --left > 0;
    });
  }
  bool one_turn() { return worker_.context().poll_one() > 0; }
  // Empties the loop; what was done in each turn.
  std::vector<std::string> turns() {
    std::vector<std::string> turns;
    for (done_.clear(); one_turn(); done_.clear()) turns.push_back(done_);
    return turns;
  }

  const ServerOptions options_{};
  Worker worker_{0, options_};
  Slices slices_{worker_};
  std::string done_;
};

TEST_F(SlicesTest, BeginAtOnceAndGoOnInTurns) {
  run('a', 100);
  EXPECT_THAT(done_.size(), testing::AllOf(testing::Ge(1u), Le(std::size_t{kStepsOfOneSlice})));
  auto total = done_.size();
  for (const auto& turn : turns()) {
    EXPECT_LE(turn.size(), std::size_t{kStepsOfOneSlice});
    total += turn.size();
  }
  EXPECT_EQ(total, 100u);
}

TEST_F(SlicesTest, LetEverybodyElseComeInBetween) {
  run('a', 40);
  bool answered = false;
  worker_.post([&] { answered = true; });
  one_turn();
  one_turn();
  EXPECT_TRUE(answered);
  EXPECT_LE(done_.size(), std::size_t{2 * kStepsOfOneSlice});
}

TEST_F(SlicesTest, TakeTurnsWithEachOther) {
  for (const char name : {'a', 'b', 'c'}) run(name, 40);
  const auto all = turns();
  for (std::size_t turn = 0; turn < 9; ++turn)
    EXPECT_THAT(all[turn], Each("abc"[turn % 3])) << "one slice a turn, whoever waits";
}

TEST_F(SlicesTest, MayBeBegunFromWithinAnother) {
  slices_.run([this, left = 20]() mutable {
    work();
    if (--left > 0) return true;
    run('z', 20);
    return false;
  });
  std::string all;
  while (one_turn()) all += std::exchange(done_, {});
  EXPECT_EQ(all, std::string(20, 'z'));
}

TEST_F(SlicesTest, WithLittleToDoLeaveNothingForLater) {
  slices_.run([] { return false; });
  EXPECT_FALSE(one_turn());
}

}  // namespace
}  // namespace veche::http
