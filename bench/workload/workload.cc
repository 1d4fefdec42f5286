#include "bench/workload/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "ingest/auth/digest.h"

namespace veche::bench {
namespace {

using model::QuestionKind;

constexpr std::size_t kDistricts = 7;
constexpr std::uint32_t kUnixHour = 500'000;
constexpr model::Instant kOpensAt{std::chrono::hours(kUnixHour)};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t roll() { return engine_(); }
  std::size_t below(std::size_t sides) { return engine_() % sides; }

 private:
  std::mt19937_64 engine_;
};

model::TerritoryCode district(std::size_t number) {
  return *model::TerritoryCode::parse(fmt::format("7570{}000", number + 1));
}

std::shared_ptr<const model::TerritoryTree> city() {
  std::string csv =
      "oktmo8,name,kind,level,parent_oktmo8\n75000000,Region,region,1,\n"
      "75700000,City,city_okrug,2,75000000\n";
  for (std::size_t d = 0; d < kDistricts; ++d)
    csv += fmt::format("{},District,intra_city,3,75700000\n", district(d).view());
  return std::make_shared<const model::TerritoryTree>(model::TerritoryTree::parse_csv(csv).value());
}

model::Question question(std::string id, QuestionKind kind, std::uint32_t min, std::uint32_t max,
                         int options, std::vector<std::uint32_t> points = {}) {
  model::Question question{std::move(id), {"Вопрос", ""}, kind, min, max, std::move(points), {}};
  for (int i = 0; i < options; ++i)
    question.options.push_back({fmt::format("option-{}", i + 1), {"Ответ", ""}});
  return question;
}

std::shared_ptr<const model::PollEntry> open_poll() {
  model::PollDefinition poll;
  poll.id = *model::PollId::parse("city-improvement-2026");
  poll.title = {"Благоустройство", ""};
  poll.opens_at = kOpensAt;
  poll.closes_at = kOpensAt + std::chrono::hours(24);
  poll.targets = {*model::TerritoryCode::parse("75700000")};
  poll.tree_version = 1;
  poll.questions = {question("route", QuestionKind::single, 1, 1, 3),
                    question("places", QuestionKind::approval, 1, 3, 24),
                    question("order", QuestionKind::ranked, 1, 3, 8, {3, 2, 1}),
                    question("budget", QuestionKind::points, 1, 10, 5)};
  model::PollEntry entry;
  entry.definition = std::make_shared<const model::PollDefinition>(std::move(poll));
  entry.tree = city();
  entry.target_places = model::places_of_targets(*entry.definition, *entry.tree);
  entry.phase = model::PollPhase::open;
  entry.was_open = true;
  return std::make_shared<const model::PollEntry>(std::move(entry));
}

std::vector<std::uint16_t> draw_options(Dice& dice, std::size_t of, std::size_t count) {
  std::vector<std::uint16_t> options(of);
  std::iota(options.begin(), options.end(), 0);
  for (std::size_t i = 0; i < count; ++i) std::swap(options[i], options[i + dice.below(of - i)]);
  options.resize(count);
  return options;
}

model::Answer draw_answer(Dice& dice, const model::Question& question, std::uint16_t place) {
  const bool spread = question.kind == QuestionKind::points;
  const auto count = spread ? 1 + dice.below(question.options.size())
                            : question.min + dice.below(question.max - question.min + 1);
  auto options = draw_options(dice, question.options.size(), count);
  if (question.kind != QuestionKind::ranked) std::sort(options.begin(), options.end());
  model::Answer answer{place, {}};
  const auto points = spread ? static_cast<std::uint32_t>(question.max / count) : 0;
  for (const auto option : options) answer.choices.push_back({option, points});
  return answer;
}

Ballot draw_ballot(Dice& dice, const model::PollDefinition& poll) {
  Ballot ballot;
  const std::uint64_t key[2] = {dice.roll(), dice.roll()};
  std::memcpy(ballot.voter.bytes.data(), key, sizeof key);
  ballot.territory = district(dice.below(kDistricts));
  for (std::size_t q = 0; q < poll.questions.size(); ++q)
    ballot.answers.push_back(draw_answer(dice, poll.questions[q], static_cast<std::uint16_t>(q)));
  return ballot;
}

}  // namespace

Workload::Workload(std::uint64_t seed, std::size_t voters) : poll_(open_poll()) {
  Dice dice(seed);
  const auto& questions = definition().questions;
  for (std::size_t v = 0; v < voters; ++v) {
    const auto& ballot = ballots_.emplace_back(draw_ballot(dice, definition()));
    auto& truth = truth_[ballot.territory];
    ++truth.ballots;
    truth.counts.resize(questions.size());
    for (std::size_t q = 0; q < questions.size(); ++q) {
      truth.counts[q].resize(questions[q].options.size());
      std::size_t position = 0;
      for (const auto& choice : ballot.answers[q].choices) {
        auto& count = truth.counts[q][choice.option];
        ++count.votes;
        count.points += questions[q].kind == QuestionKind::ranked ? questions[q].points[position++]
                                                                  : choice.points;
      }
    }
  }
}

bool Workload::is_count(const model::Tally& tally) const {
  if (tally.ballots() != ballots_.size() || tally.territories().size() != truth_.size())
    return false;
  for (std::size_t place = 0; place < tally.territories().size(); ++place) {
    const auto found = truth_.find(tally.territories()[place]);
    if (found == truth_.end() || !is_count(tally, place, found->second)) return false;
  }
  return true;
}

bool Workload::is_count(const model::Tally& tally, std::size_t place, const Truth& truth) const {
  const auto row = tally.row(place);
  if (row[0] != truth.ballots) return false;
  for (std::size_t q = 0; q < truth.counts.size(); ++q)
    for (std::size_t o = 0; o < truth.counts[q].size(); ++o) {
      const auto at = tally.shape().votes_at(q, o);
      if (row[at] != truth.counts[q][o].votes) return false;
      if (tally.shape().has_points(q) && row[at + 1] != truth.counts[q][o].points) return false;
    }
  return true;
}

std::string Workload::body(const Ballot& ballot) const {
  std::string answers;
  for (const auto& answer : ballot.answers) {
    const auto& question = definition().questions[answer.question];
    const bool spread = question.kind == QuestionKind::points;
    std::string choices;
    for (const auto& choice : answer.choices) {
      const auto& id = question.options[choice.option].id;
      if (!choices.empty()) choices += ',';
      choices += spread ? fmt::format(R"("{}":{})", id, choice.points) : fmt::format(R"("{}")", id);
    }
    if (!answers.empty()) answers += ',';
    answers += fmt::format(R"({{"question":"{}","choices":{}{}{}}})", question.id,
                           spread ? '{' : '[', choices, spread ? '}' : ']');
  }
  return fmt::format(R"({{"answers":[{}]}})", answers);
}

std::string Workload::message(const Ballot& ballot) const {
  return model::serialize_ballot(definition().id, ballot.voter, ballot.territory, 3,
                                 model::serialize(ballot.answers), digest(ballot), kUnixHour);
}

model::Digest Workload::digest(const Ballot& ballot) const {
  return auth::digest_of(definition().id, model::serialize(ballot.answers));
}

model::RecordBatch Workload::log() const {
  model::RecordWriter writer({}, 1);
  v1::Record open;
  *open.mutable_open()->mutable_definition() = model::to_message(definition());
  open.mutable_open()->set_rules(model::kCountingRules);
  writer.stamp(open);
  model::RecordBatch log;
  log.push(open.SerializeAsString());
  std::string head;
  for (const auto& ballot : ballots_) {
    const auto rest = message(ballot);
    writer.ballot_head(rest.size(), head);
    log.push(head, rest);
  }
  return log;
}

}  // namespace veche::bench
