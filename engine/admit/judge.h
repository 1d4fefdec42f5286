// The judgement of a ballot whose voter is not counted yet: may this voter vote in this poll, and
// do the answers fit? Pure. It is made once, before the ballot is appended; apply does not ask
// again, so that a later version of the territory tree changes no count.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/model/ballot.h"
#include "engine/model/directory.h"
#include "engine/model/ids.h"
#include "engine/model/outcome.h"

namespace veche::admit {

// What the identity side says of a voter.
struct Registration {
  model::TerritoryCode territory;
  std::span<const model::AddressCode> addresses;
  std::uint8_t level = 0;
};

struct Judgement {
  std::optional<model::Outcome> refusal;     // none: the ballot may be appended
  std::vector<model::DocumentFault> faults;  // of the answers: all of them
  model::Answers answers;                    // canonical; complete if there are no faults
};

Judgement judge(const model::PollEntry& poll, const Registration& voter,
                const model::NamedAnswers& answers);

// Level and targets alone.
std::optional<model::Outcome> judge_voter(const model::PollEntry& poll, const Registration& voter);

}  // namespace veche::admit
