#include "tools/veche/demo_voters.h"

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <numeric>
#include <utility>

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::size_t kRemembered = 512;  // ballots that may be sent again
// Of a thousand.
constexpr std::size_t kSameAgain = 30;
constexpr std::size_t kOthersAgain = 15;
constexpr std::size_t kNotEligible = 15;

// How much a home likes an option: places differ, and the same place always likes the same.
std::size_t liking(const model::TerritoryCode& home, const std::string& option) {
  std::size_t seed = std::hash<std::string>{}(option);
  const auto common = 2 + seed % 7;
  boost::hash_combine(seed, home);
  return common + seed % 5;
}

// What a newcomer gives each option of a points question; never more than is left.
std::uint32_t share_of(std::uint32_t left, std::size_t dice) {
  return 1 + static_cast<std::uint32_t>(dice % left);
}

}  // namespace

std::string body_of(const model::PollDefinition& poll, const model::Answers& answers) {
  json::array named;
  for (const auto& answer : answers) {
    const auto& question = poll.questions[answer.question];
    json::array list;
    json::object spread;
    for (const auto& [option, points] : answer.choices) {
      if (question.kind == model::QuestionKind::points)
        spread[question.options[option].id] = points;
      else
        list.emplace_back(question.options[option].id);
    }
    named.push_back(json::object{
        {"question", question.id},
        {"choices", spread.empty() ? json::value(std::move(list)) : json::value(spread)}});
  }
  return json::serialize(json::object{{"answers", std::move(named)}});
}

// --- Voters ------------------------------------------------------------------------------------

void DemoVoters::Homes::add(const Home& home) {
  homes.push_back(&home);
  people_up_to.push_back(home.population + (people_up_to.empty() ? 0 : people_up_to.back()));
}

const Home& DemoVoters::Homes::draw(std::uint64_t dice) const {
  const auto found =
      std::upper_bound(people_up_to.begin(), people_up_to.end(), dice % people_up_to.back());
  return *homes[static_cast<std::size_t>(found - people_up_to.begin())];
}

DemoVoters::DemoVoters(const DemoRegion& demo, std::uint64_t seed)
    : demo_(demo), random_(seed), eligible_(demo.polls.size()), elsewhere_(demo.polls.size()) {
  for (std::size_t poll = 0; poll < demo.polls.size(); ++poll) {
    const auto target = std::get<model::TerritoryCode>(demo.polls[poll].targets.front());
    for (const auto& home : demo.region.homes)
      (demo.tree.is_within(home.code, target) ? eligible_ : elsewhere_)[poll].add(home);
  }
}

DemoBallot DemoVoters::next() {
  auto dice = below(1'000);
  if (!recent_.empty() && dice < kSameAgain) return recent_[below(recent_.size())];
  dice -= std::min(dice, kSameAgain);
  if (!recent_.empty() && dice < kOthersAgain) {
    auto ballot = recent_[below(recent_.size())];
    ballot.answers = answer(demo_.polls[ballot.poll], ballot.home);
    return ballot;
  }
  dice -= std::min(dice, kOthersAgain);
  const bool eligible = dice >= kNotEligible;
  auto ballot = newcomer(eligible);
  if (eligible) recent_.push_back(ballot);
  if (recent_.size() > kRemembered) recent_.pop_front();
  return ballot;
}

// The earlier polls are wanted more.
DemoBallot DemoVoters::newcomer(bool eligible) {
  const auto& places = eligible ? eligible_ : elsewhere_;
  std::size_t poll = 0;
  do {
    const auto one = below(places.size());
    poll = std::min(one, below(places.size()));
  } while (places[poll].homes.empty());
  const auto& home = places[poll].draw(random_());
  return {poll, voters_++, home.code, answer(demo_.polls[poll], home.code)};
}

model::Answers DemoVoters::answer(const model::PollDefinition& poll,
                                  const model::TerritoryCode& home) {
  const auto& question = poll.questions.front();
  std::vector<std::size_t> weights;
  for (const auto& option : question.options) weights.push_back(liking(home, option.id));
  const auto most = std::min<std::size_t>(question.max, question.options.size());
  auto wanted = 1 + below(most);
  auto left = question.max;
  model::Answer answer;
  while (wanted-- > 0 && left > 0) {
    auto dice = below(std::accumulate(weights.begin(), weights.end(), std::size_t{0}));
    std::uint16_t option = 0;
    while (dice >= weights[option]) dice -= weights[option++];
    weights[option] = 0;
    const bool spreads = question.kind == model::QuestionKind::points;
    answer.choices.push_back({option, spreads ? share_of(left, random_()) : 0});
    left -= spreads ? answer.choices.back().points : 0;
  }
  if (question.kind != model::QuestionKind::ranked)
    std::sort(answer.choices.begin(), answer.choices.end(),
              [](const auto& a, const auto& b) { return a.option < b.option; });
  return {std::move(answer)};
}

// --- Books -------------------------------------------------------------------------------------

DemoBooks::DemoBooks(const DemoRegion& demo) : demo_(demo), counted_(demo.polls.size()) {}

// "recorded" of a voter who was not counted before is the second answer to a ballot whose first one
// got lost on its way.
void DemoBooks::book(const DemoBallot& ballot, const http::Answer& answer) {
  if (latencies_.size() < kLatencies)
    latencies_.push_back(answer.latency);
  else
    latencies_[next_latency_++ % kLatencies] = answer.latency;
  const bool counts = answer.status == 201 || answer.status == 200;
  if (answer.status == 201)
    ++accepted_;
  else if (answer.status == 200)
    ++recorded_;
  else
    ++refused_;
  if (counts && counted_voters_.insert(ballot.voter).second) count(ballot);
}

void DemoBooks::count(const DemoBallot& ballot) {
  const auto& poll = demo_.polls[ballot.poll];
  auto& counts = counted_[ballot.poll].try_emplace(ballot.home, poll).first->second;
  ++counts.ballots;
  for (const auto& answer : ballot.answers) {
    const auto& question = poll.questions[answer.question];
    for (std::size_t i = 0; i < answer.choices.size(); ++i) {
      auto& option = counts.questions[answer.question][answer.choices[i].option];
      ++option.votes;
      option.points += question.kind == model::QuestionKind::ranked ? question.points[i]
                                                                    : answer.choices[i].points;
    }
  }
}

std::chrono::nanoseconds DemoBooks::latency(double share) const {
  if (latencies_.empty()) return {};
  auto sorted = latencies_;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), sorted.begin() + at, sorted.end());
  return sorted[static_cast<std::size_t>(at)];
}

}  // namespace veche::tools
