#include "tools/veche/counts.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <iterator>
#include <utility>

namespace veche::tools {
namespace {

namespace json = boost::json;

using TerritoryMap = boost::unordered_flat_map<std::string, Counts>;

std::uint64_t number_of(const json::value& value) { return value.to_number<std::uint64_t>(); }

// What the results say, of the whole or of one territory.
Counts read_counts(const model::PollDefinition& poll, const json::value& shown) {
  Counts counts(poll);
  counts.ballots = number_of(shown.at("ballots"));
  for (std::size_t q = 0; q < counts.questions.size(); ++q) {
    const auto& options = shown.at("questions").at(q).at("options");
    for (std::size_t o = 0; o < counts.questions[q].size(); ++o) {
      auto& count = counts.questions[q][o];
      count.votes = number_of(options.at(o).at("votes"));
      if (const auto* points = options.at(o).as_object().if_contains("points"))
        count.points = number_of(*points);
    }
  }
  return counts;
}

std::string code_at(const json::value& territory, const char* name) {
  const auto* text = territory.at(name).if_string();
  return text ? std::string(*text) : std::string();
}

// Ours with everything below, in the results' own tree: parents stand before their children.
TerritoryMap sum_up(const model::PollDefinition& poll, const CountsByTerritory& ours,
                    const json::array& territories) {
  TerritoryMap sums;
  for (const auto& territory : territories) sums.try_emplace(code_at(territory, "code"), poll);
  for (const auto& [code, counts] : ours)
    if (const auto found = sums.find(code.str()); found != sums.end()) found->second.add(counts);
  for (auto at = territories.size(); at-- > 0;) {
    const auto parent = sums.find(code_at(territories[at], "parent"));
    if (parent != sums.end()) parent->second.add(sums.at(code_at(territories[at], "code")));
  }
  return sums;
}

bool is_shown(const json::value& counts) { return !counts.at("ballots").is_null(); }

Counts sum_of_group(const model::PollDefinition& poll, const CountsByTerritory& ours,
                    const json::value& group) {
  Counts sum(poll);
  for (const auto* members : {"leaves", "not_below"})
    for (const auto& member : group.at(members).as_array()) {
      const auto code = model::TerritoryCode::parse(member.as_string());
      const auto found = code ? ours.find(*code) : ours.end();
      if (found != ours.end()) sum.add(found->second);
    }
  return sum;
}

}  // namespace

Counts::Counts(const model::PollDefinition& poll) {
  for (const auto& question : poll.questions) questions.emplace_back(question.options.size());
}

void Counts::add(const Counts& other) {
  ballots += other.ballots;
  for (std::size_t q = 0; q < questions.size(); ++q)
    for (std::size_t o = 0; o < questions[q].size(); ++o) {
      questions[q][o].votes += other.questions[q][o].votes;
      questions[q][o].points += other.questions[q][o].points;
    }
}

void Comparison::number(const std::string& what, std::uint64_t here, std::uint64_t there) {
  ++compared;
  if (here != there)
    differences.push_back(fmt::format("{}: {} by our count, {} there", what, here, there));
}

void Comparison::counts(const model::PollDefinition& poll, const std::string& where,
                        const Counts& here, const Counts& there) {
  number(where + " ballots", here.ballots, there.ballots);
  for (std::size_t q = 0; q < here.questions.size(); ++q) {
    const auto& question = poll.questions[q];
    for (std::size_t o = 0; o < question.options.size(); ++o) {
      const auto& [votes, points] = here.questions[q][o];
      const auto& [their_votes, their_points] = there.questions[q][o];
      compared += question.counts_points() ? 2 : 1;
      if (votes == their_votes && points == their_points) continue;
      differences.push_back(fmt::format(
          "{} {}/{}: {} votes and {} points by our count, {} and {} there", where, question.id,
          question.options[o].id, votes, points, their_votes, their_points));
    }
  }
}

void Comparison::add(Comparison other) {
  compared += other.compared;
  differences.insert(differences.end(), std::make_move_iterator(other.differences.begin()),
                     std::make_move_iterator(other.differences.end()));
}

Comparison compare_with_results(const model::PollDefinition& poll, const CountsByTerritory& ours,
                                const json::value& results) {
  Comparison comparison;
  Counts whole(poll);
  for (const auto& [code, counts] : ours) whole.add(counts);
  if (is_shown(results)) comparison.counts(poll, "in all,", whole, read_counts(poll, results));
  const auto& territories = results.at("territories").as_array();
  const auto sums = sum_up(poll, ours, territories);
  for (const auto& territory : territories) {
    if (!is_shown(territory)) continue;
    const auto code = code_at(territory, "code");
    comparison.counts(poll, code, sums.at(code), read_counts(poll, territory));
  }
  const auto* groups = results.as_object().if_contains("groups");
  for (const auto& group : groups ? groups->as_array() : json::array())
    if (is_shown(group))
      comparison.counts(poll, "a group in " + code_at(group, "within"),
                        sum_of_group(poll, ours, group), read_counts(poll, group));
  for (const auto& [code, counts] : ours)
    if (!sums.contains(code.str()))
      comparison.number(code.str() + " (not shown) ballots", counts.ballots, 0);
  return comparison;
}

}  // namespace veche::tools
