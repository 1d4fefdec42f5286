#include "engine/admit/judge.h"

#include <algorithm>

namespace veche::admit {
namespace {

using model::Outcome;

bool is_target(const model::Target& target, const model::TerritoryTree& tree,
               const Registration& voter) {
  if (const auto* territory = std::get_if<model::TerritoryCode>(&target))
    return tree.is_within(voter.territory, *territory);
  const auto& address = std::get<model::AddressCode>(target);
  return std::find(voter.addresses.begin(), voter.addresses.end(), address) !=
         voter.addresses.end();
}

}  // namespace

std::optional<Outcome> judge_voter(const model::PollEntry& poll, const Registration& voter) {
  const auto& definition = *poll.definition;
  if (voter.level < definition.min_level) return Outcome::level_too_low;
  // A ballot is counted in its territory, so that must be in the tree whatever the target is.
  const bool eligible =
      poll.tree->find(voter.territory) &&
      std::any_of(definition.targets.begin(), definition.targets.end(),
                  [&](const auto& target) { return is_target(target, *poll.tree, voter); });
  if (!eligible) return Outcome::not_eligible;
  return std::nullopt;
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
