#include "tools/veche/replay_poll.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "engine/model/limits.h"
#include "ingest/wire/poll_json.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

namespace json = boost::json;

constexpr std::string_view kQuestion = "q1";

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

std::string answer_to_question(std::string_view choices) {
  return fmt::format(R"([{{"question":"{}","choices":{}}}])", kQuestion, choices);
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
  auto& question = poll.questions.emplace_back();
  question.id = kQuestion;
  question.title = poll.title;
  question.kind = kind_of(file.vote_type);
  question.min = file.min;
  question.max = file.max;
  question.points = file.position_points;
  for (const auto& project : file.projects)
    question.options.push_back({project.id, title_of(project.name)});
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
  for (const auto* member : {"state", "version", "territories_version"}) document.erase(member);
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
    std::string choices(1, spreads ? '{' : '[');
    for (std::size_t i = 0; i < vote.choices.size(); ++i) {
      if (i > 0) choices += ',';
      choices += ids[vote.choices[i]];
      if (spreads) choices += fmt::format(":{}", vote.points[i]);
    }
    choices += spreads ? '}' : ']';
    answers.push_back(answer_to_question(choices));
  }
  return answers;
}

std::string first_answers(const model::PollDefinition& poll) {
  const auto& question = poll.questions.front();
  if (question.kind == model::QuestionKind::points)
    return answer_to_question(
        fmt::format("{{{}:{}}}", json_text(question.options.front().id), question.min));
  std::vector<std::string> choices;
  for (std::uint32_t i = 0; i < question.min; ++i)
    choices.push_back(json_text(question.options[i].id));
  return answer_to_question(fmt::format("[{}]", fmt::join(choices, ",")));
}

}  // namespace veche::tools
