#include "engine/model/ballot.h"

#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <optional>

#include "engine/model/limits.h"
#include "record.pb.h"

namespace veche::model {
namespace {

template <class Items>
std::optional<std::uint16_t> place_of(const Items& items, std::string_view id) {
  for (std::size_t i = 0; i < items.size(); ++i)
    if (items[i].id == id) return static_cast<std::uint16_t>(i);
  return std::nullopt;
}

void canonical_order(const Question& question, Answer& answer) {
  if (question.kind == QuestionKind::ranked) return;
  std::sort(answer.choices.begin(), answer.choices.end(),
            [](const Choice& a, const Choice& b) { return a.option < b.option; });
}

// What `min` and `max` speak of: points where they are spread, else choices.
std::uint64_t amount(const Question& question, const Answer& answer) {
  if (question.kind != QuestionKind::points) return answer.choices.size();
  std::uint64_t sum = 0;
  for (const auto& choice : answer.choices) sum += choice.points;
  return sum;
}

// Resolves the answer at one place of the ballot's list, which its faults name.
class AnswerResolver {
 public:
  AnswerResolver(const Question& question, std::size_t place, std::vector<DocumentFault>& faults)
      : question_(question), place_(place), faults_(faults) {}

  void resolve(const NamedAnswer& named, Answer& answer) {
    if (named.with_points != (question_.kind == QuestionKind::points)) {
      fault("", "wrong-form",
            question_.kind == QuestionKind::points
                ? "choices of a points question are an object {\"option\": points}"
                : "choices of this question are a list of option ids");
      return;
    }
    if (named.choices.size() > limits::kOptionsPerQuestion)
      return fault("", "too-many",
                   fmt::format("{} given, a question has at most {} options", named.choices.size(),
                               limits::kOptionsPerQuestion));
    const auto so_far = faults_.size();
    for (std::size_t i = 0; i < named.choices.size(); ++i) add(named, i, answer);
    // How many there are is known when all of them are: else it would tell one slip twice.
    if (faults_.size() != so_far) return;
    const auto sum = amount(question_, answer);
    if (sum > question_.max)
      fault("", "too-many", fmt::format("{} given, at most {} allowed", sum, question_.max));
    if (sum < question_.min)
      fault("", "too-few", fmt::format("{} given, at least {} needed", sum, question_.min));
    canonical_order(question_, answer);
  }

 private:
  void add(const NamedAnswer& named, std::size_t i, Answer& answer) {
    const auto& choice = named.choices[i];
    // Points are written by name: a list's choices alone have a place.
    const auto choice_fault = [&](std::string_view code, std::string detail) {
      fault(named.with_points ? std::string() : fmt::format("/{}", i), code, std::move(detail));
    };
    const auto option = place_of(question_.options, choice.option);
    if (!option) return choice_fault("unknown-option", "the question has no such option");
    if (seen_.test(*option)) return choice_fault("duplicate-option", "an option is chosen twice");
    seen_.set(*option);
    if (named.with_points && (choice.points < 1 || choice.points > limits::kPointsPerChoice))
      return choice_fault("bad-points",
                          fmt::format("points of an option are 1..{}", limits::kPointsPerChoice));
    answer.choices.push_back({*option, static_cast<std::uint32_t>(choice.points)});
  }
  // `choice`: the pointer from the choices on.
  void fault(std::string_view choice, std::string_view code, std::string detail) {
    if (faults_.size() >= limits::kFaultsTold) return;
    faults_.push_back({fmt::format("/answers/{}/choices{}", place_, choice), std::string(code),
                       std::move(detail)});
  }

  const Question& question_;
  const std::size_t place_;
  std::vector<DocumentFault>& faults_;
  std::bitset<limits::kOptionsPerQuestion> seen_;
};

bool fits(const Question& question, const Answer& answer) {
  std::bitset<limits::kOptionsPerQuestion> seen;
  std::uint32_t last = 0;
  for (const auto& choice : answer.choices) {
    if (choice.option >= question.options.size() || seen.test(choice.option)) return false;
    seen.set(choice.option);
    if (question.kind != QuestionKind::ranked && choice.option < last) return false;
    last = choice.option;
    const bool spread = question.kind == QuestionKind::points;
    if (spread ? choice.points < 1 || choice.points > limits::kPointsPerChoice : choice.points != 0)
      return false;
  }
  const auto sum = amount(question, answer);
  return sum >= question.min && sum <= question.max;
}

}  // namespace

Answers resolve(const PollDefinition& poll, const NamedAnswers& named,
                std::vector<DocumentFault>& faults) {
  Answers answers;
  if (named.size() > limits::kQuestionsPerPoll) {
    faults.push_back({"/answers", "too-many",
                      fmt::format("a poll has at most {} questions", limits::kQuestionsPerPoll)});
    return answers;
  }
  std::bitset<limits::kQuestionsPerPoll> seen;
  for (std::size_t i = 0; i < named.size(); ++i) {
    const auto fault = [&](const char* code, const char* detail) {
      faults.push_back({fmt::format("/answers/{}/question", i), code, detail});
    };
    const auto question = place_of(poll.questions, named[i].question);
    if (!question) {
      fault("unknown-question", "the poll has no such question");
      continue;
    }
    if (seen.test(*question)) {
      fault("duplicate-question", "a question is answered twice");
      continue;
    }
    seen.set(*question);
    answers.push_back({*question, {}});
    AnswerResolver(poll.questions[*question], i, faults).resolve(named[i], answers.back());
  }
  // What an answer to nothing was meant for is not told as missing, too.
  for (std::size_t q = 0; q < poll.questions.size() && named.size() == answers.size(); ++q)
    if (!seen.test(q))
      faults.push_back({"/answers", "question-missing",
                        fmt::format("question {} is not answered", poll.questions[q].id)});
  if (faults.size() > limits::kFaultsTold) faults.resize(limits::kFaultsTold);
  std::sort(answers.begin(), answers.end(),
            [](const Answer& a, const Answer& b) { return a.question < b.question; });
  return answers;
}

bool fits(const PollDefinition& poll, const Answers& answers) {
  if (answers.size() != poll.questions.size()) return false;
  for (std::size_t q = 0; q < answers.size(); ++q)
    if (answers[q].question != q || !fits(poll.questions[q], answers[q])) return false;
  return true;
}

std::string serialize(const Answers& answers) {
  thread_local v1::Answers message;  // keeps its memory: every ballot comes through here
  message.Clear();
  for (const auto& answer : answers) {
    auto* entry = message.add_answers();
    entry->set_question(answer.question);
    for (const auto& choice : answer.choices) {
      entry->add_options(choice.option);
      if (choice.points != 0) entry->add_points(choice.points);
    }
  }
  return message.SerializeAsString();
}

}  // namespace veche::model
