// Sends the ballots of a replay over HTTP, as voters one by one or as a gateway in batches, and
// counts what becomes of them. Tokens are made just before they are sent.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/result.h"
#include "ingest/auth/primitives.h"
#include "tools/veche/api_client.h"

namespace veche::tools {

struct ReplayBallot {
  auth::Bytes32 sub;
  model::TerritoryCode home;
  std::string answers;  // the list, as JSON
};

struct ReplayWay {
  std::size_t connections = 64;
  std::size_t batch_lines = 0;  // of each batch; 0: single ballots
  std::uint32_t rate = 0;       // single ballots a second, at planned times; 0: as fast as it goes
  // For how long a ballot is sent again while no server answers, or answers "not now".
  std::chrono::seconds patience{60};
};

struct ReplayOutcomes {
  std::map<std::string, std::uint64_t> by_code;  // accepted, recorded, or why it was refused
  std::uint64_t resent = 0;                      // requests whose connection was lost
  std::chrono::nanoseconds duration{};
  std::chrono::nanoseconds p50{};  // latency of a request: a ballot, or a batch
  std::chrono::nanoseconds p99{};

  std::uint64_t of(const std::string& code) const;
  std::uint64_t sum() const;
};

// Blocks until every ballot is decided. A fault: no server for longer than the patience, or Ctrl-C.
Result<ReplayOutcomes> send_ballots(ApiClient& client, const model::PollId& poll,
                                    const std::vector<ReplayBallot>& ballots, const ReplayWay& way);

}  // namespace veche::tools
