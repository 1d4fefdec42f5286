// How the engine answers a ballot: in groups, to whom the request named.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/outcome.h"

namespace veche::node {

struct Reply {
  std::uint64_t ticket = 0;  // as the request gave it
  model::Outcome outcome = model::Outcome::outcome_unknown;
  model::PartitionId partition;  // of the counted ballot, where there is one
  model::Offset offset;
};

// deliver is called on a shard's thread and must only hand over.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void deliver(std::vector<Reply> replies) = 0;
};

// A ballot on its way: decoded, its token verified, judged. Nothing durable yet.
struct BallotRequest {
  model::PollId poll;
  model::VoterKey voter;
  // Of the canonical answers; none where the answers do not fit: they equal no counted ballot.
  std::optional<model::Digest> digest;
  // What admit says to this voter if not counted yet; none: the ballot may be appended.
  std::optional<model::Outcome> refusal;
  std::string ballot;  // the BALLOT message to append, without the envelope
  ReplySink* reply_to = nullptr;
  std::uint64_t ticket = 0;
};

}  // namespace veche::node
