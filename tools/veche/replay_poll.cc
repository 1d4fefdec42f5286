#include "tools/veche/replay_poll.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>

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

struct Counts {
  std::uint64_t votes = 0;
  std::uint64_t points = 0;
};

std::map<std::string, Counts, std::less<>> counts_of(const json::value& results) {
  std::map<std::string, Counts, std::less<>> counts;
  for (const auto& option : results.at("questions").at(0).at("options").as_array()) {
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

std::vector<Total> compare_totals(const PabulibFile& file, const json::value& results) {
  const auto counts = counts_of(results);
  const auto voters = voters_by_project(file);
  std::vector<Total> totals;
  for (std::size_t i = 0; i < file.projects.size(); ++i) {
    const auto& project = file.projects[i];
    const auto found = counts.find(project.id);
    const auto counted = found == counts.end() ? Counts() : found->second;
    totals.push_back({project.id, "votes", project.votes.value_or(voters[i]), counted.votes});
    if (project.score) totals.push_back({project.id, "score", *project.score, counted.points});
  }
  return totals;
}

}  // namespace veche::tools
