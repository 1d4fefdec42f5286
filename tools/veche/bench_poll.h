// The poll that `veche bench` sends ballots to, on any server: made, opened, and closed again.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/poll.h"
#include "engine/model/result.h"
#include "tools/veche/api_client.h"

namespace veche::tools {

inline constexpr std::string_view kBenchQuestion = "embankment";
inline constexpr std::array<std::string_view, 4> kBenchOptions{"option-1", "option-2", "option-3",
                                                               "option-4"};

struct BenchPoll {
  model::PollDefinition definition;
  std::vector<model::TerritoryCode> homes;  // eligible, with nothing below them
  // Not eligible; empty where the tree has nothing that could be left out.
  std::vector<model::TerritoryCode> elsewhere;
};

// One question with four options, for all of the server's territories but the last one below the
// root. A server without territories gets the 320 of make_region().
Result<BenchPoll> open_bench_poll(ApiClient& client);
Result<void> close_bench_poll(ApiClient& client, const BenchPoll& poll);

}  // namespace veche::tools
