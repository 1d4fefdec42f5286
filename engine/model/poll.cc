#include "engine/model/poll.h"

#include <fmt/format.h>

#include <array>
#include <unordered_set>
#include <utility>

#include "engine/model/limits.h"
#include "engine/model/record.h"

namespace veche::model {
namespace {

constexpr std::array<std::pair<QuestionKind, std::string_view>, 4> kQuestionKinds{{
    {QuestionKind::single, "single"},
    {QuestionKind::approval, "approval"},
    {QuestionKind::ranked, "ranked"},
    {QuestionKind::points, "points"},
}};
constexpr std::array<std::pair<Visibility, std::string_view>, 4> kVisibilities{{
    {Visibility::public_live, "public_live"},
    {Visibility::after_vote, "after_vote"},
    {Visibility::after_close, "after_close"},
    {Visibility::after_certification, "after_certification"},
}};
constexpr std::array<std::pair<Disclosure, std::string_view>, 2> kDisclosures{{
    {Disclosure::exact, "exact"},
    {Disclosure::steps, "steps"},
}};

template <class Table, class Value>
std::string_view name_in(const Table& table, Value value) {
  for (const auto& [entry, text] : table)
    if (entry == value) return text;
  return "unknown";
}

template <class Value, std::size_t N>
std::optional<Value> value_in(const std::array<std::pair<Value, std::string_view>, N>& table,
                              std::string_view text) {
  for (const auto& [entry, name] : table)
    if (name == text) return entry;
  return std::nullopt;
}

bool printable(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  return true;
}

// Collects faults under a JSON pointer.
class Faults {
 public:
  void expect(bool holds, std::string pointer, std::string_view code, std::string detail) {
    if (!holds) faults_.push_back({std::move(pointer), std::string(code), std::move(detail)});
  }
  void expect_title(const Title& title, const std::string& pointer) {
    expect(!title.ru.empty(), pointer, "required", "a title is needed");
    for (const std::string* text : {&title.ru, &title.en}) {
      expect(text->size() <= limits::kTitleBytes, pointer, "too-long",
             fmt::format("at most {} bytes", limits::kTitleBytes));
      expect(printable(*text), pointer, "not-printable", "control characters are not allowed");
    }
  }
  // One that is nobody's other: `seen` are those before it.
  void expect_id(std::string_view id, std::size_t max_bytes, const std::string& pointer,
                 std::unordered_set<std::string_view>& seen) {
    const bool is_good = !id.empty() && id.size() <= max_bytes && printable(id);
    expect(is_good, pointer, "bad-id",
           fmt::format("an id is 1..{} bytes of printable UTF-8", max_bytes));
    expect(seen.insert(id).second || !is_good, pointer, "duplicate",
           "there is another one of this id");
  }
  std::vector<DocumentFault> take() { return std::move(faults_); }

 private:
  std::vector<DocumentFault> faults_;
};

void check_range(const Question& question, const std::string& at, Faults& faults) {
  const bool spread = question.kind == QuestionKind::points;
  if (question.options.empty()) return;  // which is told, and what else should max be
  const auto most = spread ? std::size_t{limits::kPointsPerChoice} : question.options.size();
  if (question.kind == QuestionKind::single)
    return faults.expect(question.min == 1 && question.max == 1, at + "/max", "bad-range",
                         "a single question has min 1 and max 1");
  faults.expect(question.min >= 1 && question.min <= question.max && question.max <= most,
                at + "/max", "bad-range", fmt::format("1 <= min <= max <= {}", most));
}

void check_points(const Question& question, const std::string& at, Faults& faults) {
  if (question.kind != QuestionKind::ranked) {
    faults.expect(question.points.empty(), at + "/points", "not-allowed",
                  "points by position belong to ranked questions alone");
    return;
  }
  faults.expect(question.points.size() == question.max, at + "/points", "wrong-length",
                "a ranked question needs points for each of its max positions");
  for (std::size_t i = 0; i < question.points.size(); ++i)
    faults.expect(question.points[i] <= limits::kPointsPerChoice,
                  fmt::format("{}/points/{}", at, i), "too-large",
                  fmt::format("at most {} points", limits::kPointsPerChoice));
}

void check_question(const Question& question, const std::string& at, Faults& faults) {
  faults.expect_title(question.title, at + "/title");
  faults.expect(!question.options.empty() && question.options.size() <= limits::kOptionsPerQuestion,
                at + "/options", "wrong-length",
                fmt::format("a question has 1..{} options", limits::kOptionsPerQuestion));
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < question.options.size(); ++i) {
    const auto& option = question.options[i];
    const auto option_at = fmt::format("{}/options/{}", at, i);
    faults.expect_id(option.id, limits::kOptionIdBytes, option_at + "/id", seen);
    faults.expect_title(option.title, option_at + "/title");
  }
  check_range(question, at, faults);
  check_points(question, at, faults);
}

void check_questions(const PollDefinition& poll, Faults& faults) {
  faults.expect(!poll.questions.empty() && poll.questions.size() <= limits::kQuestionsPerPoll,
                "/questions", "wrong-length",
                fmt::format("a poll has 1..{} questions", limits::kQuestionsPerPoll));
  std::unordered_set<std::string_view> seen;
  std::size_t options = 0;
  for (std::size_t i = 0; i < poll.questions.size(); ++i) {
    const auto at = fmt::format("/questions/{}", i);
    faults.expect_id(poll.questions[i].id, limits::kQuestionIdBytes, at + "/id", seen);
    check_question(poll.questions[i], at, faults);
    options += poll.questions[i].options.size();
  }
  faults.expect(options <= limits::kOptionsPerPoll, "/questions", "too-many",
                fmt::format("a poll has at most {} options in all", limits::kOptionsPerPoll));
}

}  // namespace

std::vector<DocumentFault> check(const PollDefinition& poll) {
  Faults faults;
  faults.expect_title(poll.title, "/title");
  faults.expect(poll.opens_at < poll.closes_at, "/closes_at", "bad-range",
                "a poll closes after it opens");
  faults.expect(poll.min_level >= limits::kMinLevel && poll.min_level <= limits::kMaxLevel,
                "/min_level", "bad-range",
                fmt::format("{}..{}", limits::kMinLevel, limits::kMaxLevel));
  faults.expect(!poll.targets.empty() && poll.targets.size() <= limits::kTargetsPerPoll, "/targets",
                "wrong-length", fmt::format("a poll has 1..{} targets", limits::kTargetsPerPoll));
  faults.expect(poll.expected_voters.size() <= limits::kExpectedVotersPerPoll, "/expected_voters",
                "too-many", fmt::format("at most {}", limits::kExpectedVotersPerPoll));
  if (poll.disclosure == Disclosure::steps)
    faults.expect(poll.least_voters >= limits::kLeastVotersMin &&
                      poll.least_voters <= limits::kLeastVotersMax,
                  "/disclosure/k", "bad-range",
                  fmt::format("{}..{}", limits::kLeastVotersMin, limits::kLeastVotersMax));
  check_questions(poll, faults);
  faults.expect(to_message(poll).ByteSizeLong() <= limits::kDefinitionBytes, "", "too-large",
                fmt::format("a definition has at most {} bytes in the log: shorten its titles",
                            limits::kDefinitionBytes));
  return faults.take();
}

std::string_view name(QuestionKind kind) { return name_in(kQuestionKinds, kind); }
std::string_view name(Visibility visibility) { return name_in(kVisibilities, visibility); }
std::string_view name(Disclosure disclosure) { return name_in(kDisclosures, disclosure); }
std::optional<QuestionKind> question_kind(std::string_view name) {
  return value_in(kQuestionKinds, name);
}
std::optional<Visibility> visibility(std::string_view name) {
  return value_in(kVisibilities, name);
}
std::optional<Disclosure> disclosure(std::string_view name) { return value_in(kDisclosures, name); }

}  // namespace veche::model
