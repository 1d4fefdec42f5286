// What `veche watch` makes of the events of a stream.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "tools/veche/watch_screen.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kWatched = R"({
  "id": "smolino", "title": {"ru": "Озеро Смолино", "en": "Lake Smolino"},
  "expected_voters": {"1": 300, "2": 100},
  "questions": [{"id": "q1", "title": "Что?", "options": [
    {"id": "a", "title": {"ru": "Пляж", "en": "Beach"}}, {"id": "b", "title": "Тропа"}]}]})";

json::value totals(std::string_view suppressed, std::string_view a, std::string_view b) {
  return json::parse(
      R"({"poll":"smolino","version":"1-a","as_of":"2026-09-01T00:00:00Z","state":"open",)"
      R"("final":false,"turnout":80,"ballots":80,"suppressed":)" +
      std::string(suppressed) + R"(,"questions":[{"id":"q1","options":[{"id":"a","votes":)" +
      std::string(a) + R"(},{"id":"b","votes":)" + std::string(b) + "}]}]}");
}

class WatchScreen : public testing::Test {
 protected:
  WatchScreen() {
    state_.poll = json::parse(kWatched);
    state_.is_connected = true;
  }

  std::string shown(WatchLanguage language = WatchLanguage::en, ScreenSize size = {}) const {
    std::string text;
    for (const auto& line : render(state_, language, {size, false})) text += line + "\n";
    return text;
  }

  WatchState state_;
};

TEST_F(WatchScreen, ShowsCountsSharesAndTurnout) {
  EXPECT_TRUE(take_event("snapshot", totals("null", "60", "20"), state_));
  state_.age = std::chrono::seconds(7);
  EXPECT_THAT(shown(), AllOf(HasSubstr("Lake Smolino (smolino)"), HasSubstr("80 ballots"),
                             HasSubstr("turnout 80 (20.0 %)"), HasSubstr("7 s ago"),
                             HasSubstr("60   75.0 %"), HasSubstr("20   25.0 %"), HasSubstr("█")));
}

TEST_F(WatchScreen, SpeaksRussian) {
  take_event("totals", totals("null", "60", "20"), state_);
  EXPECT_THAT(shown(WatchLanguage::ru),
              AllOf(HasSubstr("Озеро Смолино"), HasSubstr("Пляж"), HasSubstr("идёт"),
                    HasSubstr("80 бюллетеней"), Not(HasSubstr("Beach"))));
}

TEST_F(WatchScreen, NeverShowsHiddenCountsAsNone) {
  take_event("totals", totals("null", "60", "20"), state_);
  const auto hidden =
      json::parse(R"({"poll":"smolino","state":"open","until":"the poll is closed"})");
  EXPECT_TRUE(take_event("hidden", hidden, state_));
  EXPECT_THAT(shown(), AllOf(HasSubstr("hidden until the poll is closed"), Not(HasSubstr("80")),
                             Not(HasSubstr(" 0 "))));
  EXPECT_THAT(shown(WatchLanguage::ru), HasSubstr("скрыто, пока голосование не завершится"));
}

TEST_F(WatchScreen, PromisesNothingOfACancelledPoll) {
  const auto hidden = json::parse(R"({"poll":"smolino","state":"cancelled","until":"never"})");
  EXPECT_TRUE(take_event("hidden", hidden, state_));
  EXPECT_THAT(shown(), AllOf(HasSubstr("never shown"), Not(HasSubstr("until"))));
  EXPECT_THAT(shown(WatchLanguage::ru), HasSubstr("не будет показано"));
}

TEST_F(WatchScreen, TellsSuppressedCountsAsSuch) {
  take_event("totals", totals("\"not-yet\"", "null", "null"), state_);
  EXPECT_THAT(shown(), AllOf(HasSubstr("not shown yet (not-yet)"), HasSubstr("Beach"),
                             HasSubstr("      ?"), Not(HasSubstr(" 0.0 %"))));
}

TEST_F(WatchScreen, TakesAStateWithoutCounts) {
  take_event("totals", totals("null", "60", "20"), state_);
  EXPECT_TRUE(take_event("state", json::parse(R"({"state":"closed","final":true})"), state_));
  EXPECT_TRUE(state_.is_final);
  EXPECT_THAT(shown(), AllOf(HasSubstr("closed, final"), HasSubstr("60   75.0 %")));
}

TEST_F(WatchScreen, PassesOverWhatItDoesNotKnow) {
  EXPECT_FALSE(take_event("bye", json::object(), state_));
  EXPECT_FALSE(take_event("territories", json::object(), state_));
}

TEST_F(WatchScreen, SaysThatTheConnectionIsLost) {
  take_event("totals", totals("null", "60", "20"), state_);
  state_.is_connected = false;
  state_.age = std::chrono::seconds(5);
  EXPECT_THAT(shown(), AllOf(HasSubstr("connection lost, trying again: 5 s"),
                             Not(HasSubstr("s ago")), HasSubstr("60   75.0 %")));
}

TEST_F(WatchScreen, FitsAnyScreen) {
  take_event("totals", totals("null", "60", "20"), state_);
  for (std::size_t columns = 1; columns < 100; ++columns)
    for (std::size_t rows = 0; rows < 10; ++rows) {
      const auto lines = render(state_, WatchLanguage::ru, {{columns, rows}, false});
      EXPECT_LE(lines.size(), rows > 0 ? rows - 1 : 0);
      for (const auto& line : lines) EXPECT_EQ(cut_columns(line, columns), line) << columns;
    }
}

}  // namespace
}  // namespace veche::tools
