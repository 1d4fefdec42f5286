#include "engine/admit/judge.h"

#include <algorithm>
#include <iterator>

namespace veche::admit {
namespace {

using model::Outcome;

// No target place lies within another, so only the last one up to the home can hold it.
bool lives_within(const model::PollEntry& poll, model::TerritoryIndex home) {
  const auto& places = poll.target_places;
  const auto behind = std::upper_bound(places.begin(), places.end(), home);
  return behind != places.begin() && poll.tree->is_within(home, *std::prev(behind));
}

bool lives_at_address(const model::Target& target, const Registration& voter) {
  const auto* address = std::get_if<model::AddressCode>(&target);
  return address && std::find(voter.addresses.begin(), voter.addresses.end(), *address) !=
                        voter.addresses.end();
}

}  // namespace

std::optional<Outcome> judge_voter(const model::PollEntry& poll, const Registration& voter) {
  const auto& definition = *poll.definition;
  if (voter.level < definition.min_level) return Outcome::level_too_low;
  // A ballot is counted in its territory, so that must be in the tree whatever the target is.
  const auto home = poll.tree->find(voter.territory);
  if (!home) return Outcome::not_eligible;
  if (lives_within(poll, *home)) return std::nullopt;
  if (!voter.addresses.empty() &&
      std::any_of(definition.targets.begin(), definition.targets.end(),
                  [&](const auto& target) { return lives_at_address(target, voter); }))
    return std::nullopt;
  return Outcome::not_eligible;
}

Judgement judge(const model::PollEntry& poll, const Registration& voter,
                const model::NamedAnswers& answers) {
  Judgement judgement;
  judgement.answers = model::resolve(*poll.definition, answers, judgement.faults);
  judgement.refusal = judge_voter(poll, voter);
  if (!judgement.refusal && !judgement.faults.empty()) judgement.refusal = Outcome::invalid_answer;
  return judgement;
}

}  // namespace veche::admit
