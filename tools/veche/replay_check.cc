#include "tools/veche/replay_check.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "tools/veche/shown.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

std::map<std::string, OptionCount, std::less<>> count_by_project(const json::array& options) {
  std::map<std::string, OptionCount, std::less<>> counts;
  for (const auto& option : options) {
    const auto votes = option.at("votes").to_number<std::uint64_t>();
    const auto* points = option.as_object().if_contains("points");
    // Where voters are counted, each brings one point.
    counts[std::string(option.at("id").as_string())] = {
        votes, points ? points->to_number<std::uint64_t>() : votes};
  }
  return counts;
}

std::vector<std::uint64_t> voters_by_project(const PabulibFile& file) {
  std::vector<std::uint64_t> voters(file.projects.size(), 0);
  for (const auto& vote : file.votes)
    for (const auto choice : vote.choices) ++voters[choice];
  return voters;
}

// The rule of steps for all ballots of a poll together, told once more.
bool may_be_shown(const Counts& counts, std::uint64_t k) {
  if (counts.ballots < k) return false;
  const auto chosen_by_all = [&](const OptionCount& option) {
    return option.votes == counts.ballots;
  };
  const auto& options = counts.questions.front();
  return counts.ballots >= 3 * k || std::none_of(options.begin(), options.end(), chosen_by_all);
}

void check_whole(const model::PollDefinition& poll, const CountsByTerritory& ours,
                 ReplayCheck& check) {
  if (poll.disclosure != model::Disclosure::steps) return;
  Counts whole(poll);
  for (const auto& [home, counts] : ours) whole.add(counts);
  check.counts.number("shown at all", may_be_shown(whole, poll.least_voters), check.hidden.empty());
}

void count_what_is_shown(const json::value& results, ReplayCheck& check) {
  for (const auto& territory : results.at("territories").as_array()) {
    ++check.territories;
    const auto* reason = territory.at("suppressed").if_string();
    if (!reason) ++check.shown;
    if (reason && *reason == "in-group") ++check.in_groups;
  }
  check.groups = results.at("groups").as_array().size();
}

}  // namespace

std::vector<Total> compare_totals(const PabulibFile& file, const json::value& results) {
  const auto& options = results.at("questions").at(0).at("options").as_array();
  if (!shown_number(options.at(0).at("votes"))) return {};
  const auto counts = count_by_project(options);
  const auto voters = voters_by_project(file);
  std::vector<Total> totals;
  for (std::size_t i = 0; i < file.projects.size(); ++i) {
    const auto& project = file.projects[i];
    const auto found = counts.find(project.id);
    const auto counted = found == counts.end() ? OptionCount() : found->second;
    totals.push_back({project.id, "votes", project.votes.value_or(voters[i]), counted.votes});
    if (project.score) totals.push_back({project.id, "score", *project.score, counted.points});
  }
  return totals;
}

CountsByTerritory counts_of(const PabulibFile& file, const model::PollDefinition& poll,
                            std::span<const model::TerritoryCode> homes) {
  CountsByTerritory sums;
  for (std::size_t i = 0; i < file.votes.size(); ++i) {
    const auto& vote = file.votes[i];
    auto& counts = sums.try_emplace(homes[i], poll).first->second;
    ++counts.ballots;
    for (std::size_t c = 0; c < vote.choices.size(); ++c) {
      auto& option = counts.questions.front()[vote.choices[c]];
      ++option.votes;
      if (poll.questions.front().counts_points()) option.points += vote.points[c];
    }
  }
  return sums;
}

bool ReplayCheck::is_equal() const {
  return counts.differences.empty() &&
         std::all_of(totals.begin(), totals.end(), [](const auto& t) { return t.is_equal(); });
}

ReplayCheck check_replay(const PabulibFile& file, const model::PollDefinition& poll,
                         std::span<const model::TerritoryCode> homes, const json::value& results) {
  const auto ours = counts_of(file, poll, homes);
  ReplayCheck check{.totals = compare_totals(file, results),
                    .counts = compare_with_results(poll, ours, results),
                    .hidden = why_hidden(results)};
  check_whole(poll, ours, check);
  count_what_is_shown(results, check);
  return check;
}

}  // namespace veche::tools
