#include "tools/veche/replay_check.h"

#include <fmt/format.h>

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
  for (const auto& vote : file.votes) {
    for (const auto choice : vote.choices) ++voters[choice];
    if (file.counts_unpaid)
      for (const auto project : vote.unpaid) ++voters[project];
  }
  return voters;
}

// Says why where the lines that may have been counted otherwise make up the whole difference.
void explain(const PabulibFile& file, std::uint32_t project, Total& total) {
  constexpr std::size_t kLinesTold = 8;
  if (total.is_equal()) return;
  std::int64_t more = 0;
  std::string reason;
  for (const auto& deviation : file.deviations) {
    const auto by = total.what == "votes" ? deviation.votes : deviation.score;
    if (deviation.project != project || by == 0) continue;
    more += by;
    if (total.lines.size() < kLinesTold)
      reason += fmt::format("{}line {} {}", reason.empty() ? "" : ", ", deviation.line,
                            deviation.reason);
    total.lines.push_back(deviation.line);
  }
  const auto difference =
      static_cast<std::int64_t>(total.official) - static_cast<std::int64_t>(total.counted);
  if (more != difference) return total.lines.clear();
  if (total.lines.size() > kLinesTold)
    reason += fmt::format(", and {} lines more", total.lines.size() - kLinesTold);
  total.reason = std::move(reason);
}

// The rule of steps for all ballots of a poll together, told once more.
bool may_be_shown(const Counts& counts, std::uint64_t k) {
  if (counts.ballots < k) return false;
  const auto chosen_by_all = [&](const OptionCount& option) {
    return option.votes == counts.ballots;
  };
  return counts.ballots >= 3 * k ||
         std::none_of(counts.questions.begin(), counts.questions.end(), [&](const auto& options) {
           return std::any_of(options.begin(), options.end(), chosen_by_all);
         });
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
  const auto& questions = results.at("questions").as_array();
  const auto& named = questions.front().at("options").as_array();
  if (!shown_number(named.at(0).at("votes"))) return {};
  auto counts = count_by_project(named);
  // Where two questions were asked, the points are in the second.
  for (const auto& [id, count] : count_by_project(questions.back().at("options").as_array()))
    counts[id].points = count.points;
  const auto voters = voters_by_project(file);
  std::vector<Total> totals;
  for (std::uint32_t i = 0; i < file.projects.size(); ++i) {
    const auto& project = file.projects[i];
    const auto found = counts.find(project.id);
    const auto counted = found == counts.end() ? OptionCount() : found->second;
    totals.push_back({project.id, "votes", project.votes.value_or(voters[i]), counted.votes});
    explain(file, i, totals.back());
    if (!project.score || !file.scores_without_rule.empty()) continue;
    totals.push_back({project.id, "score", *project.score, counted.points});
    explain(file, i, totals.back());
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
    auto& options = counts.questions.back();
    for (std::size_t c = 0; c < vote.choices.size(); ++c) {
      auto& option = options[vote.choices[c]];
      ++option.votes;
      if (poll.questions.back().counts_points()) option.points += vote.points[c];
    }
    if (!file.counts_unpaid) continue;
    for (const auto* named : {&vote.choices, &vote.unpaid})
      for (const auto project : *named) ++counts.questions.front()[project].votes;
  }
  return sums;
}

bool ReplayCheck::is_right() const {
  return counts.differences.empty() && std::all_of(totals.begin(), totals.end(), [](const auto& t) {
           return t.is_equal() || t.is_explained();
         });
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
