// Whose clock is wrong, by what the tails of the others say.
#include "engine/node/peers.h"

#include <gtest/gtest.h>

#include "engine/model/limits.h"
#include "tests/engine/samples.h"

namespace veche::node {
namespace {

using namespace std::chrono_literals;
using model::Instant;

constexpr Instant kNow = samples::kEpoch;

struct Heard {
  bool is_senior;
  std::vector<std::chrono::milliseconds> ahead;  // our clock minus theirs, one tail after the other
};
struct Row {
  const char* what;
  std::vector<Heard> peers;
  bool off;
};

class ClockTest : public testing::TestWithParam<Row> {};

TEST_P(ClockTest, IsJudgedByTheOthers) {
  Peers peers;
  std::uint64_t number = 1;
  for (const auto& [is_senior, samples_of_peer] : GetParam().peers) {
    peers.joined(samples::boot(number), samples::boot(100 + number), !is_senior);
    for (const auto ahead : samples_of_peer) peers.heard(samples::boot(number), ahead, kNow);
    ++number;
  }
  EXPECT_EQ(peers.clock_is_off(kNow), GetParam().off);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, ClockTest,
    testing::Values(
        Row{"alone", {}, false},                                                //
        Row{"one that never spoke", {{true, {}}}, false},                       //
        Row{"just within", {{true, {2s}}, {true, {-2s}}}, false},               //
        Row{"ahead of the one elder", {{true, {2'001ms}}}, true},               //
        Row{"behind the one elder", {{true, {-2'001ms}}}, true},                //
        Row{"a newcomer differs", {{false, {9s}}}, false},                      //
        Row{"two newcomers differ", {{false, {9s}}, {false, {9s}}}, true},      //
        Row{"one of two elders differs", {{true, {9s}}, {true, {0s}}}, false},  //
        Row{"both elders differ", {{true, {9s}}, {true, {9s}}}, true},          //
        Row{"two against two, an elder differs", {{true, {9s}}, {false, {9s}}, {true, {0s}}}, true},
        Row{"two against two, newcomers differ",
            {{false, {9s}}, {false, {9s}}, {true, {0s}}},
            false},
        Row{"a late tail behind a good one", {{true, {10ms, 9s}}}, false},  //
        Row{"two late tails", {{true, {10ms, 9s, 9s}}}, true},              //
        Row{"behind, though the tail before was good", {{true, {10ms, -9s}}}, true}),
    [](const auto& row) {
      std::string name = row.param.what;
      for (auto& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
      return name;
    });

TEST(Peers, ForgetsWhoIsSilent) {
  Peers peers;
  peers.joined(samples::boot(1), samples::boot(101), false);
  peers.heard(samples::boot(1), 9s, kNow);
  EXPECT_TRUE(peers.clock_is_off(kNow + limits::kPeerMemory - 1ms));
  EXPECT_FALSE(peers.clock_is_off(kNow + limits::kPeerMemory));
}

TEST(Peers, ThatSayHelloTwiceStayWhatTheyAre) {
  Peers peers;
  peers.joined(samples::boot(1), samples::boot(101), false);
  peers.heard(samples::boot(1), 9s, kNow);
  peers.joined(samples::boot(1), samples::boot(101), true);
  EXPECT_TRUE(peers.clock_is_off(kNow));
  peers.forget_what_was_heard();
  EXPECT_FALSE(peers.clock_is_off(kNow));
}

// The log may have brought nothing for long, and who comes back by it has something to say.
TEST(Peers, OwesAnAnswerAlsoToWhoSpokeLongAgo) {
  Peers peers;
  peers.joined(samples::boot(1), samples::boot(101), false);
  peers.forget_what_was_heard();
  EXPECT_FALSE(peers.owe_an_answer()) << "it never spoke";
  peers.heard(samples::boot(1), 0s, kNow - 24h);
  EXPECT_FALSE(peers.clock_is_off(kNow));
  peers.forget_what_was_heard();
  EXPECT_TRUE(peers.owe_an_answer());
  peers.heard(samples::boot(1), 0s, kNow);
  EXPECT_FALSE(peers.owe_an_answer());
}

TEST(Peers, TakesANodeThatStartsAgainForOne) {
  Peers peers;
  peers.joined(samples::boot(1), samples::boot(101), false);
  peers.heard(samples::boot(1), 9s, kNow);
  peers.joined(samples::boot(2), samples::boot(101), true);
  peers.heard(samples::boot(1), 9s, kNow);  // what its former process still had on its way
  EXPECT_FALSE(peers.clock_is_off(kNow));
}

}  // namespace
}  // namespace veche::node
