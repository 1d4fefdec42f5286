// What `veche results` prints of what a server answers.
#include "tools/veche/results_text.h"

#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "tools/veche/shown.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const auto kPoll = json::parse(R"({
  "id": "smolino", "title": {"ru": "Озеро Смолино", "en": "Lake Smolino"},
  "questions": [{"id": "q1", "title": "Что?", "options": [
    {"id": "a", "title": {"ru": "Пляж", "en": "Beach"}}, {"id": "b", "title": "Тропа"}]}]})");

// `counts` are the members ballots, turnout and suppressed.
json::value results_of(std::string_view counts, std::string_view a, std::string_view b,
                       std::string_view more = {}) {
  return json::parse(R"({"poll":"smolino","as_of":"2026-09-01T00:00:00Z","state":"open",)"
                     R"("final":false,)" +
                     std::string(counts) +
                     R"(,"questions":[{"id":"q1","options":[{"id":"a","votes":)" + std::string(a) +
                     R"(},{"id":"b","votes":)" + std::string(b) + "}]}]" + std::string(more) + "}");
}

std::string text_of(const json::value& results, TitleLanguage language = TitleLanguage::ru) {
  return results_text(kPoll, results, language);
}

constexpr auto* kShown = R"("ballots":80,"turnout":80,"suppressed":null)";
constexpr auto* kHidden = R"("ballots":null,"turnout":20,"suppressed":"not-yet")";

TEST(ResultsText, TellsCountsAndShares) {
  const auto text = text_of(results_of(kShown, "60", "0"));
  EXPECT_THAT(text, AllOf(HasSubstr("smolino  Озеро Смолино  open, 80 ballots as of 2026"),
                          ContainsRegex("a +60 +75.0 % .*Пляж"), ContainsRegex("b +0 +0.0 %"),
                          Not(HasSubstr("turnout")), Not(HasSubstr("hidden"))));
}

TEST(ResultsText, HasTheTitlesOfALanguage) {
  const auto text = text_of(results_of(kShown, "60", "0"), TitleLanguage::en);
  EXPECT_THAT(text, AllOf(HasSubstr("Lake Smolino"), HasSubstr("Beach"), HasSubstr("Тропа"),
                          Not(HasSubstr("Пляж"))));
}

TEST(ResultsText, TellsTheTurnoutWhereMoreVotedThanIsShown) {
  EXPECT_THAT(text_of(results_of(R"("ballots":80,"turnout":90,"suppressed":null)", "60", "20")),
              HasSubstr("80 ballots, turnout 90 as of"));
}

TEST(ResultsText, NeverTellsHiddenCountsAsNumbers) {
  const auto text = text_of(results_of(kHidden, "null", "null"));
  EXPECT_THAT(
      text,
      AllOf(HasSubstr("counts hidden: not enough ballots to show any yet, turnout 20"),
            ContainsRegex("a +hidden .*Пляж"), Not(HasSubstr("%")), Not(ContainsRegex("[ab] +0"))));
  const auto few = text_of(
      results_of(R"("ballots":null,"turnout":null,"suppressed":"too-few")", "null", "null"));
  EXPECT_THAT(few, HasSubstr("counts hidden: too few voters, or all of one mind, turnout hidden"));
}

TEST(ResultsText, TellsOfEachTerritoryAndGroupWhatIsShown) {
  const auto text = text_of(results_of(kShown, "60", "20", R"(,
    "territories": [
      {"code": "1", "name": "Область", "level": 0, "ballots": 80, "suppressed": null},
      {"code": "11", "name": "Деревня", "level": 1, "ballots": null, "suppressed": "in-group"},
      {"code": "12", "name": "Село", "level": 1, "ballots": null, "suppressed": "not-yet"}],
    "groups": [
      {"within": "1", "leaves": ["11", "13"], "not_below": ["1"], "ballots": 12,
       "suppressed": null},
      {"within": null, "leaves": ["a","b","c","d","e","f","g","h","i","j"], "not_below": [],
       "ballots": null, "suppressed": "not-yet"}])"));
  EXPECT_THAT(text, AllOf(ContainsRegex("1 +0 +80  Область"),
                          ContainsRegex("11 +1 +hidden: shown in a group with others  Деревня"),
                          ContainsRegex("12 +1 +hidden: not enough ballots to show any yet  Село"),
                          ContainsRegex("1  1 +12  11 13 1\\*"),
                          ContainsRegex("2 +hidden: not enough.*  a b c d e f g h and 2 more"),
                          HasSubstr("* those registered there and in nothing below")));
}

TEST(ResultsText, TellsTheTurnoutOfEachStep) {
  const auto text = turnout_text(json::parse(R"({"poll": "smolino", "state": "closed",
    "final": true, "as_of": "2026-09-01T00:00:00Z", "turnout": 25, "step_hours": 1, "series": [
      {"until": "2026-08-31T10:00:00Z", "ballots": 10},
      {"until": "2026-08-31T12:00:00Z", "ballots": 25}]})"));
  EXPECT_THAT(text, AllOf(HasSubstr("smolino  final, turnout 25 as of 2026-09-01"),
                          ContainsRegex("10:00:00Z +10 +\\+10\n"),
                          ContainsRegex("12:00:00Z +25 +\\+15\n")));
  const auto hidden = turnout_text(json::parse(R"({"poll": "smolino", "state": "closed",
    "final": true, "as_of": "2026-09-01T00:00:00Z", "turnout": null, "step_hours": 1,
    "series": []})"));
  EXPECT_THAT(hidden, AllOf(HasSubstr("turnout hidden"), Not(HasSubstr("UNTIL"))));
}

TEST(ShownCounts, KeepTheReasonOfANewerServer) {
  EXPECT_EQ(number_or_why(json::parse(R"({"ballots": null, "suppressed": "odd"})"), "ballots"),
            "hidden: odd");
  EXPECT_EQ(number_or_why(json::parse(R"({"ballots": 0, "suppressed": null})"), "ballots"), "0");
}

}  // namespace
}  // namespace veche::tools
