#include "tools/veche/replay_poll.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "engine/model/limits.h"
#include "ingest/wire/poll_json.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

// Its own id each, so that nobody takes one for the other.
constexpr std::string_view kQuestion = "q1";
constexpr std::string_view kPointsQuestion = "points";

model::QuestionKind kind_of(VoteType type) {
  switch (type) {
    case VoteType::choose_one:
      return model::QuestionKind::single;
    case VoteType::approval:
      return model::QuestionKind::approval;
    case VoteType::ordinal:
      return model::QuestionKind::ranked;
    case VoteType::cumulative:
    case VoteType::scoring:
      return model::QuestionKind::points;
  }
  std::abort();
}

bool spreads_points(const PabulibFile& file) {
  return kind_of(file.vote_type) == model::QuestionKind::points;
}

model::Title title_of(std::string_view text) {
  return {std::string(cut_utf8(text, limits::kTitleBytes)), {}};
}

std::string json_text(std::string_view text) { return json::serialize(json::string(text)); }

std::string answer_to(std::string_view question, std::string_view choices) {
  return fmt::format(R"({{"question":"{}","choices":{}}})", question, choices);
}

std::uint32_t most_named(const PabulibFile& file) {
  std::size_t most = 1;
  for (const auto& vote : file.votes)
    most = std::max(most, vote.choices.size() + vote.unpaid.size());
  return static_cast<std::uint32_t>(most);
}

model::Question question_of(const PabulibFile& file, const model::Title& title) {
  model::Question question;
  question.id = file.counts_unpaid ? kPointsQuestion : kQuestion;
  question.title = title;
  question.kind = kind_of(file.vote_type);
  question.min = file.min;
  question.max = file.max;
  question.points = file.position_points;
  for (const auto& project : file.projects)
    question.options.push_back({project.id, title_of(project.name)});
  return question;
}

// Who is named, with points or without.
model::Question named_question(const PabulibFile& file, model::Question question) {
  question.id = kQuestion;
  question.kind = model::QuestionKind::approval;
  question.min = 1;
  question.max = most_named(file);
  return question;
}

}  // namespace

Result<model::PollDefinition> definition_of(const PabulibFile& file, const model::PollId& id,
                                            const model::TerritoryCode& target,
                                            model::Instant now) {
  model::PollDefinition poll;
  const auto description = file.meta_value("description");
  poll.id = id;
  poll.title = title_of(description.empty() ? id.view() : description);
  poll.opens_at = now;
  poll.closes_at = now + std::chrono::days(365);
  poll.targets = {target};
  poll.questions.push_back(question_of(file, poll.title));
  if (file.counts_unpaid)
    poll.questions.insert(poll.questions.begin(), named_question(file, poll.questions.front()));
  const auto faults = model::check(poll);
  if (faults.empty()) return poll;
  return Fault{fmt::format("the file makes no valid poll: {} {}", faults.front().pointer,
                           faults.front().detail)};
}

void disclose_in_steps(model::PollDefinition& poll, std::uint32_t k,
                       std::span<const model::TerritoryCode> homes) {
  poll.disclosure = model::Disclosure::steps;
  poll.least_voters = k;
  for (const auto& home : homes) ++poll.expected_voters[home];
}

bool is_same_poll(model::PollDefinition a, const model::PollDefinition& b) {
  a.opens_at = b.opens_at;
  a.closes_at = b.closes_at;
  a.tree_version = b.tree_version;
  return a == b;
}

Result<model::PollDefinition> read_definition(const json::value& poll) {
  auto document = poll.as_object();
  for (const auto* member : {"state", "version", "territories_version", "territories_on"})
    document.erase(member);
  auto read = wire::read_poll(json::serialize(document));
  if (!read) return read.error();
  if (read->faults.empty()) return std::move(read->definition);
  return Fault{fmt::format("the server's poll cannot be read: {} {}", read->faults.front().pointer,
                           read->faults.front().detail)};
}

std::vector<std::string> answers_of(const PabulibFile& file) {
  std::vector<std::string> ids;
  for (const auto& project : file.projects) ids.push_back(json_text(project.id));
  std::vector<std::string> answers;
  answers.reserve(file.votes.size());
  const bool spreads = spreads_points(file);
  for (const auto& vote : file.votes) {
    std::vector<std::string> choices, named;
    for (std::size_t i = 0; i < vote.choices.size(); ++i) {
      const auto& id = ids[vote.choices[i]];
      choices.push_back(spreads ? fmt::format("{}:{}", id, vote.points[i]) : id);
      named.push_back(id);
    }
    for (const auto project : vote.unpaid) named.push_back(ids[project]);
    const auto list = fmt::format("[{}]", fmt::join(named, ","));
    const auto counted = spreads ? fmt::format("{{{}}}", fmt::join(choices, ",")) : list;
    answers.push_back(file.counts_unpaid
                          ? fmt::format("[{},{}]", answer_to(kQuestion, list),
                                        answer_to(kPointsQuestion, counted))
                          : fmt::format("[{}]", answer_to(kQuestion, counted)));
  }
  return answers;
}

std::string first_answers(const model::PollDefinition& poll) {
  std::vector<std::string> answers;
  for (const auto& question : poll.questions) {
    if (question.kind == model::QuestionKind::points) {
      answers.push_back(answer_to(
          question.id,
          fmt::format("{{{}:{}}}", json_text(question.options.front().id), question.min)));
      continue;
    }
    std::vector<std::string> choices;
    for (std::uint32_t i = 0; i < question.min; ++i)
      choices.push_back(json_text(question.options[i].id));
    answers.push_back(answer_to(question.id, fmt::format("[{}]", fmt::join(choices, ","))));
  }
  return fmt::format("[{}]", fmt::join(answers, ","));
}

}  // namespace veche::tools
