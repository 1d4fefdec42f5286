// Pages as text: escaping, both languages, and what each state shows and does not show.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "ingest/web/html.h"
#include "ingest/web/load_page.h"
#include "ingest/web/poll_list.h"
#include "ingest/web/poll_page.h"
#include "ingest/web/texts.h"
#include "ingest/web/turnout_chart.h"

namespace veche::web {
namespace {

using model::PollPhase;
using publish::Row;
using publish::Snapshot;
using publish::Suppressed;
using testing::HasSubstr;
using testing::Not;

std::string escaped(std::string_view text) {
  std::string out;
  append_escaped(text, out);
  return out;
}

// --- Text ----------------------------------------------------------------------------------------

TEST(Html, EscapesWhatAnybodySent) {
  EXPECT_EQ(escaped("<script>alert('1')</script>"),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;");
  EXPECT_EQ(escaped("\" onclick=\"x"), "&quot; onclick=&quot;x");
  EXPECT_EQ(escaped("&lt;"), "&amp;lt;");
  EXPECT_EQ(escaped("Озеро Смолино"), "Озеро Смолино");
}

TEST(Html, LeavesOutWhatReordersTheTextAround) {
  EXPECT_EQ(escaped("a\u202Eb\u202Ac\u2066d\u2069e"), "abcde");
  EXPECT_EQ(escaped("\u2065\u206A \u2029\u202F"), "\u2065\u206A \u2029\u202F") << "neighbours stay";
  EXPECT_EQ(escaped(std::string_view("a\0b\x7F\x1B\n", 6)), "ab\n");
  EXPECT_EQ(escaped("\xE2\x80"), "\xE2\x80") << "a cut character is not read beyond its end";
}

TEST(Html, MarkupIsLiteralsAlone) {
  const std::string title = "<b>";
  Html html;
  html.add("<p>"_html, title, "<i>", "</p>"_html);
  EXPECT_EQ(std::move(html).take(), "<p>&lt;b&gt;&lt;i&gt;</p>");
}

TEST(Texts, NumbersAreWrittenByLanguage) {
  EXPECT_EQ(number(0, Language::ru), "0");
  EXPECT_EQ(number(999, Language::en), "999");
  EXPECT_EQ(number(1'234'567, Language::ru), "1\u202f234\u202f567");
  EXPECT_EQ(number(1'234'567, Language::en), "1,234,567");
}

TEST(Texts, SharesRoundHalvesUpAndDivideByNothing) {
  EXPECT_EQ(share(1, 3, Language::en), "33.3%");
  EXPECT_EQ(share(1, 2'000, Language::ru), "0,1\u202f%");
  EXPECT_EQ(share(49, 100'000, Language::en), "0.0%");
  EXPECT_EQ(share(7, 7, Language::ru), "100,0\u202f%");
  EXPECT_EQ(share(0, 0, Language::en), "–");
  EXPECT_EQ(share_length(1, 8), "12.5%");
  EXPECT_EQ(share_length(0, 0), "0.0%");
}

TEST(Texts, RussianHasThreeForms) {
  const auto form = [](std::uint64_t count) { return counted(count, Noun::ballot, Language::ru); };
  EXPECT_THAT(form(1), HasSubstr("\u00a0бюллетень"));
  EXPECT_THAT(form(21), HasSubstr("\u00a0бюллетень"));
  EXPECT_THAT(form(102), HasSubstr("\u00a0бюллетеня"));
  for (const auto count : {0, 5, 11, 12, 14, 111, 1'000})
    EXPECT_THAT(form(static_cast<std::uint64_t>(count)), HasSubstr("\u00a0бюллетеней")) << count;
  EXPECT_EQ(counted(1, Noun::poll, Language::en), "1\u00a0poll");
  EXPECT_EQ(counted(2, Noun::poll, Language::en), "2\u00a0polls");
}

TEST(Texts, SearchKnowsNoCaseAndNoYo) {
  EXPECT_EQ(folded("ЁЛКИНО Село"), "елкино село");
  EXPECT_EQ(folded("Щёлково-Яя ABC"), "щелково-яя abc");
  EXPECT_EQ(folded("\xD0"), "\xD0");
}

TEST(Texts, EveryTextHasBothLanguages) {
  for (std::size_t i = 0; i <= static_cast<std::size_t>(Text::load_table); ++i) {
    const auto text = static_cast<Text>(i);
    EXPECT_FALSE(say(text, Language::ru).empty() || say(text, Language::en).empty()) << i;
    const auto places = [](std::string_view words) {
      return std::count(words.begin(), words.end(), '{');
    };
    EXPECT_EQ(places(say(text, Language::ru)), places(say(text, Language::en))) << i;
  }
}

// --- Pages ---------------------------------------------------------------------------------------

constexpr std::string_view kTree =
    "oktmo8,name,kind,level,parent_oktmo8\n"
    "75000000,Область,region,0,\n"
    "75701000,Город,city_okrug,1,75000000\n"
    "75603000,Район,municipal_district,1,75000000\n"
    "75603407,Посёлок <Щит>,rural_settlement,2,75603000\n"
    "75603411,Буранное,rural_settlement,2,75603000\n";

model::TerritoryCode code(std::string_view text) { return *model::TerritoryCode::parse(text); }

// A poll with a hostile title, and a snapshot of it that a test changes as it needs.
class PollPages : public testing::Test {
 protected:
  PollPages() {
    definition_->id = *model::PollId::parse("bridge");
    definition_->title = {"Мост<script>\"", "Bridge"};
    definition_->opens_at = model::Instant(std::chrono::seconds(1'788'220'800));
    definition_->closes_at = definition_->opens_at + std::chrono::hours(24);
    definition_->targets = {code("75000000")};
    definition_->questions = {{.id = "q",
                               .title = {"Нужен?", ""},
                               .kind = model::QuestionKind::single,
                               .min = 1,
                               .max = 1,
                               .points = {},
                               .options = {{"a", {"Да", "Yes"}}, {"b", {"Нет", "No"}}}}};
    entry_->tree =
        std::make_shared<const model::TerritoryTree>(*model::TerritoryTree::parse_csv(kTree));
    entry_->definition = definition_;
    entry_->target_places = model::places_of_targets(*definition_, *entry_->tree);
    entry_->phase = PollPhase::open;
  }

  // Ballots, yes, no.
  Snapshot snapshot(Row whole, Row settlement) {
    Snapshot made{.poll = entry_,
                  .phase = entry_->phase,
                  .version = "7-0011aabb",
                  .as_of = definition_->opens_at + std::chrono::hours(1),
                  .partition_ballots = {},
                  .is_final = false,
                  .shape = model::TallyShape(*definition_),
                  .turnout = std::nullopt,
                  .suppressed = Suppressed::no,
                  .counts = whole,
                  .territories = {},
                  .groups = {},
                  .not_shown = std::nullopt,
                  .turnout_series = {}};
    if (!whole.empty()) made.turnout = whole[0];
    const auto add = [&](std::string_view of, std::optional<model::TerritoryCode> parent, Row row) {
      const auto& node = (*entry_->tree)[*entry_->tree->find(code(of))];
      const auto suppressed = row.empty() ? Suppressed::in_group : Suppressed::no;
      made.territories.push_back({node.code, node.name, node.kind, node.level, parent, std::nullopt,
                                  suppressed, std::move(row)});
    };
    add("75000000", std::nullopt, whole);
    add("75603000", code("75000000"), whole);
    add("75603407", code("75603000"), std::move(settlement));
    return made;
  }

  std::string page(const publish::Published& published, Language language = Language::en,
                   std::string search = {}) {
    PollView view{*entry_, published, {}};
    view.territories.search = std::move(search);
    Reader reader;
    reader.language = language;
    reader.path = "/polls/bridge";
    return std::string(poll_page(view, reader).body.view());
  }

  http::Response territory(const publish::Published& published, std::string_view of) {
    const PollView view{*entry_, published, {}};
    Reader reader;
    reader.path = "/polls/bridge/territories/" + std::string(of);
    return territory_page(view, code(of), reader);
  }

  // In which the poll opens.
  std::uint32_t hour() const {
    return static_cast<std::uint32_t>(
        std::chrono::floor<std::chrono::hours>(definition_->opens_at).time_since_epoch().count());
  }

  std::shared_ptr<model::PollDefinition> definition_ = std::make_shared<model::PollDefinition>();
  std::shared_ptr<model::PollEntry> entry_ = std::make_shared<model::PollEntry>();
};

TEST_F(PollPages, ShowSharesAndCountsInBallotOrder) {
  const auto html = page(snapshot({4, 1, 3}, {4, 1, 3}));
  EXPECT_THAT(html, HasSubstr("<title>Bridge — Open — Veche</title>"));
  EXPECT_THAT(html, HasSubstr("25.0%"));
  EXPECT_THAT(html, HasSubstr("75.0%"));
  EXPECT_LT(html.find("<bdi>Yes"), html.find("<bdi>No"));
  EXPECT_THAT(html, Not(HasSubstr("the most")));
  EXPECT_THAT(html, HasSubstr("data-stream=\"/v1/polls/bridge/stream\""));
}

TEST_F(PollPages, KeepHostileTextsOutOfMarkup) {
  const auto html = page(snapshot({4, 1, 3}, {4, 1, 3}), Language::ru);
  EXPECT_THAT(html, Not(HasSubstr("Мост<script>")));
  EXPECT_THAT(html, HasSubstr("<h1><bdi>Мост&lt;script&gt;&quot;</bdi></h1>"));
  EXPECT_THAT(html, HasSubstr("Посёлок &lt;Щит&gt;"));
}

TEST_F(PollPages, HaveNoStyleOrScriptInThem) {
  const auto html = page(snapshot({4, 1, 3}, {4, 1, 3}));
  EXPECT_THAT(html, Not(HasSubstr("style=")));
  EXPECT_THAT(html, Not(HasSubstr("<style")));
  EXPECT_THAT(html, Not(HasSubstr("javascript:")));
  EXPECT_EQ(html.find("<script"), html.find("<script src=\"/assets/page."));
  EXPECT_EQ(html.find("<script"), html.rfind("<script"));
}

TEST_F(PollPages, HiddenCountsAreSaidToBeHiddenAndNeverZero) {
  struct Case {
    model::Visibility visibility;
    std::string_view says;
  };
  for (const auto& [visibility, says] :
       {Case{model::Visibility::after_vote, "only to those who have voted"},
        Case{model::Visibility::after_close, "hidden until the poll is closed"},
        Case{model::Visibility::after_certification, "hidden until they are certified"}}) {
    definition_->visibility = visibility;
    const auto html = page(publish::Hidden{"later"});
    EXPECT_THAT(html, HasSubstr(std::string(says)));
    EXPECT_THAT(html, HasSubstr("<bdi>Yes</bdi>")) << "what is asked is no secret";
    for (const auto* count : {"<table", "class=\"figure\"", "class=\"bar", "data-as-of", "%<"})
      EXPECT_THAT(html, Not(HasSubstr(count))) << says;
  }
}

TEST_F(PollPages, SuppressedTerritoriesAreSaidToBe) {
  auto made = snapshot({40, 10, 30}, {});
  made.groups.push_back({code("75603000"),
                         "Район",
                         {code("75603407"), code("75603411")},
                         {code("75603000")},
                         Suppressed::no,
                         Row{12, 5, 7}});
  const auto html = page(made);
  const auto row = html.substr(html.find("data-code=\"75603407\""));
  EXPECT_THAT(row.substr(0, row.find("</tr>")), HasSubstr("in a group"));
  EXPECT_THAT(row.substr(0, row.find("</tr>")), Not(HasSubstr(">0<")));
  EXPECT_THAT(html, HasSubstr("Район, together:"));
  EXPECT_THAT(html, HasSubstr("Посёлок &lt;Щит&gt;, Буранное, Район (registered nowhere below)"));
  EXPECT_THAT(html, HasSubstr("<span class=\"b\">12\u00a0ballots</span><span class=\"each\">; "
                              "<bdi>Yes</bdi> <span class=\"o\">5</span>, "
                              "<bdi>No</bdi> <span class=\"o\">7</span></span>"));
  EXPECT_THAT(territory(made, "75603407").body, HasSubstr("only together with others"));
}

TEST_F(PollPages, StepsSayHowManyVotersABatchHas) {
  definition_->disclosure = model::Disclosure::steps;
  definition_->least_voters = 10;
  auto made = snapshot({}, {});
  made.suppressed = Suppressed::not_yet;
  made.turnout = 20;
  const auto html = page(made);
  EXPECT_THAT(html, HasSubstr("at least 10 voters"));
  EXPECT_THAT(html, HasSubstr("there are no results to see yet"));
  EXPECT_THAT(html, HasSubstr("rounded down"));
  EXPECT_THAT(html, HasSubstr(">20</strong>"));
  EXPECT_THAT(html, HasSubstr("data-shown=\"false\""));
  EXPECT_THAT(html, Not(HasSubstr("class=\"bars\"")));
}

TEST_F(PollPages, TooFewVotersShowNothingElse) {
  definition_->disclosure = model::Disclosure::steps;
  definition_->least_voters = 10;
  entry_->phase = PollPhase::closed;
  auto made = snapshot({}, {});
  made.suppressed = Suppressed::too_few;
  made.is_final = true;
  const auto html = page(made);
  EXPECT_THAT(html, HasSubstr("Too few people voted, or all alike"));
  EXPECT_THAT(html, Not(HasSubstr("Fewer than"))) << "so many may have voted, all of one mind";
  EXPECT_THAT(html, Not(HasSubstr("class=\"figure\"")));
  EXPECT_THAT(html, Not(HasSubstr("class=\"bars\"")));
  for (auto& territory : made.territories) territory.suppressed = Suppressed::too_few;
  const auto below = territory(made, "75603000").body;
  EXPECT_THAT(below, HasSubstr("<td class=\"n b why\">not shown</td>"));
  EXPECT_THAT(below, Not(HasSubstr(">not shown yet<"))) << "it never will be";
}

TEST_F(PollPages, GroupsOfTooFewAreNotSaidToComeYet) {
  auto made = snapshot({}, {});
  made.suppressed = Suppressed::too_few;
  made.is_final = true;
  made.groups.push_back({code("75603000"),
                         "Район",
                         {code("75603407"), code("75603411")},
                         {},
                         Suppressed::too_few,
                         {}});
  const auto html = territory(made, "75603000").body;
  EXPECT_THAT(html, HasSubstr("<span class=\"b\">not shown</span>"));
}

// Of 2,000 voters in a pooled cell nobody may say that they were too few.
TEST_F(PollPages, WhatIsShownTogetherIsNotSaidToBeFew) {
  auto made = snapshot({4'000, 1'000, 3'000}, {});
  made.groups.push_back({code("75603000"),
                         "Район",
                         {code("75603407"), code("75603411")},
                         {},
                         Suppressed::no,
                         Row{2'000, 500, 1'500}});
  for (const auto& html : {page(made), std::string(territory(made, "75603407").body)}) {
    EXPECT_THAT(html, HasSubstr("only together with others"));
    EXPECT_THAT(html, Not(HasSubstr("oo few people")));
  }
}

TEST_F(PollPages, ATurnoutThatIsNotToldIsNeverZero) {
  definition_->disclosure = model::Disclosure::steps;
  definition_->expected_voters[code("75000000")] = 1'000;
  auto made = snapshot({}, {});
  made.suppressed = Suppressed::not_yet;
  made.turnout = 0;
  for (const auto& [least, says] : {std::pair{10U, "30"}, std::pair{2U, "10"}}) {
    definition_->least_voters = least;
    const auto html = page(made);
    EXPECT_THAT(
        html,
        HasSubstr(fmt::format(
            "<strong id=\"turnout-figure\" data-least=\"{0}\">fewer than {0}</strong>", says)));
    EXPECT_THAT(html, HasSubstr("data-expected=\"1000\"></span>"))
        << "no share of what is not told";
    EXPECT_THAT(html, Not(HasSubstr("0.0%")));
    EXPECT_THAT(page(made, Language::ru), HasSubstr(fmt::format(">менее {}</strong>", says)));
  }
  made.turnout = 30;
  EXPECT_THAT(page(made), HasSubstr(">30</strong>"));
  EXPECT_THAT(page(made), HasSubstr("3.0%"));
}

TEST_F(PollPages, AChartInStepsHasNoZerosEither) {
  definition_->disclosure = model::Disclosure::steps;
  definition_->least_voters = 10;
  auto made = snapshot({}, {});
  made.suppressed = Suppressed::not_yet;
  made.turnout = 40;
  made.turnout_series = {{hour(), 0}, {hour() + 1, 40}};
  made.as_of = definition_->opens_at + std::chrono::hours(2);
  const auto html = page(made);
  EXPECT_THAT(html, HasSubstr("01:00 UTC</time></th><td class=\"n\">fewer than 30</td>"));
  EXPECT_THAT(html, HasSubstr("Ballots counted: fewer than 30 by"));
}

// Whoever certified has the final result; another node may be behind it for a while.
TEST_F(PollPages, ACertifiedResultThatIsNotFinalHereIsStillCounted) {
  entry_->phase = PollPhase::certified;
  const auto html = page(snapshot({4, 1, 3}, {4, 1, 3}));
  EXPECT_THAT(html, HasSubstr("the last ballots are being counted"));
  EXPECT_THAT(html, HasSubstr("data-stream"));
  EXPECT_THAT(html, Not(HasSubstr("will not change any more")));
  EXPECT_THAT(html, Not(HasSubstr("the most")));
  EXPECT_LT(html.find("<bdi>Yes"), html.find("<bdi>No"));
}

TEST_F(PollPages, ACancelledPollMovesUntilItIsFinal) {
  entry_->phase = PollPhase::cancelled;
  auto made = snapshot({4, 1, 3}, {4, 1, 3});
  EXPECT_THAT(page(made), Not(HasSubstr("data-stream"))) << "it never was open";
  entry_->was_open = true;
  EXPECT_THAT(page(made), HasSubstr("data-stream"));
  made.is_final = true;
  EXPECT_THAT(page(made), Not(HasSubstr("data-stream")));
  EXPECT_THAT(page(publish::Hidden{"the poll is closed"}), HasSubstr("data-stream"));
  definition_->visibility = model::Visibility::after_certification;
  EXPECT_THAT(page(publish::Hidden{"the result is certified"}), Not(HasSubstr("data-stream")));
}

TEST_F(PollPages, SentencesWithNumbersNeedNoAgreement) {
  definition_->expected_voters[code("75000000")] = 61'001;
  auto& question = definition_->questions[0];
  question.kind = model::QuestionKind::approval;
  auto html = page(snapshot({4, 1, 3}, {4, 1, 3}), Language::ru);
  EXPECT_THAT(html, HasSubstr("Можно выбрать вариантов: до 1."));
  EXPECT_THAT(html, HasSubstr("от ожидаемого числа участников (61\u202f001)"));
  EXPECT_THAT(page(snapshot({4, 1, 3}, {4, 1, 3})), Not(HasSubstr("1 options")));
  question.kind = model::QuestionKind::points;
  for (const auto points : {1U, 3U, 22U}) {
    question.min = question.max = points;
    html = page(publish::Hidden{"later"}, Language::ru);
    EXPECT_THAT(html, HasSubstr(fmt::format("Баллов на участника: {}.", points)));
    EXPECT_THAT(page(publish::Hidden{"later"}), Not(HasSubstr("1 points")));
  }
}

TEST_F(PollPages, NotBelowIsThereForTheScriptWhereItMayCome) {
  auto made = snapshot({4, 1, 3}, {3, 1, 2});
  EXPECT_THAT(territory(made, "75603000").body, HasSubstr("id=\"not-below\" hidden></p>"));
  made.territories[1].not_below = 1;
  EXPECT_THAT(territory(made, "75603000").body,
              HasSubstr("id=\"not-below\">Registered here and in no territory within: 1</p>"));
  EXPECT_THAT(territory(made, "75603407").body, Not(HasSubstr("not-below")));
}

TEST_F(PollPages, TablesThatLeaveRowsOutAreSearchedByTheServer) {
  const auto made = snapshot({4, 1, 3}, {3, 1, 2});
  EXPECT_THAT(page(made), Not(HasSubstr("data-cut")));
  EXPECT_THAT(page(made, Language::en, "щит"), HasSubstr("class=\"search\" data-cut"));
  auto large = made;
  for (std::size_t i = 0; i < limits::kPageTerritories; ++i)
    large.territories.push_back(made.territories.back());
  EXPECT_THAT(page(large), HasSubstr("class=\"search\" data-cut"));
}

TEST_F(PollPages, HoursWithoutBallotsAreFlat) {
  auto made = snapshot({3'000, 1, 2}, {});
  made.turnout_series = {{hour(), 1'500}, {hour() + 3, 3'000}};
  made.as_of = definition_->opens_at + std::chrono::hours(4);
  EXPECT_THAT(page(made), HasSubstr("d=\"M0.0 156.0L180.0 84.0L540.0 84.0L720.0 12.0\""));
}

TEST_F(PollPages, AChartSaysOfWhichMomentItIs) {
  auto made = snapshot({3'000, 1, 2}, {});
  made.turnout_series = {{hour(), 1'500}, {hour() + 1, 3'000}};
  made.as_of = definition_->opens_at + std::chrono::minutes(90);
  const auto html = page(made);
  const auto chart = html.substr(html.find("id=\"turnout\""));
  EXPECT_THAT(chart.substr(0, chart.find("<svg")),
              HasSubstr("As of <time datetime=\"2026-09-01T01:30:00Z\">"));
}

TEST_F(PollPages, NothingIsCountedBeforeTheOpening) {
  entry_->phase = PollPhase::scheduled;
  const auto html = page(snapshot({0, 0, 0}, {0, 0, 0}));
  EXPECT_THAT(html, HasSubstr("not open yet"));
  EXPECT_THAT(html, HasSubstr("opens <time datetime=\"2026-09-01T00:00:00Z\">1 September 2026"));
  EXPECT_THAT(html, Not(HasSubstr("class=\"figure\"")));
  EXPECT_THAT(html, Not(HasSubstr("<table")));
}

TEST_F(PollPages, EmptyAndClosedAndCancelledSaySo) {
  EXPECT_THAT(page(snapshot({0, 0, 0}, {0, 0, 0})), HasSubstr("There are no ballots yet"));
  auto made = snapshot({4, 1, 3}, {4, 1, 3});
  entry_->phase = PollPhase::closed;
  EXPECT_THAT(page(made), HasSubstr("the last ballots are being counted"));
  EXPECT_THAT(page(made), HasSubstr("ended <time datetime=\"2026-09-02T00:00:00Z\">"));
  auto history = std::make_shared<model::History>();
  history->add({model::Event::closed, definition_->opens_at, "operator anna", "", 1});
  entry_->history = history;
  EXPECT_THAT(page(made), HasSubstr("ended <time datetime=\"2026-09-01T00:00:00Z\">")) << "early";
  made.is_final = true;
  EXPECT_THAT(page(made), HasSubstr("The result is not certified yet"));
  EXPECT_THAT(page(made), Not(HasSubstr("the most")));
  entry_->phase = PollPhase::cancelled;
  EXPECT_THAT(page(made), HasSubstr("cancelled before it opened"));
  EXPECT_THAT(page(made), Not(HasSubstr("class=\"bars\"")));
  entry_->was_open = true;
  EXPECT_THAT(page(made), HasSubstr("have no effect"));
  EXPECT_THAT(page(made), Not(HasSubstr("data-stream")));
}

TEST_F(PollPages, TheCertifiedResultIsSortedAndProven) {
  entry_->phase = PollPhase::certified;
  auto made = snapshot({4, 1, 3}, {4, 1, 3});
  made.is_final = true;
  entry_->certificate = std::make_shared<const model::Certificate>(
      model::Certificate{"", std::string("\xAB\x12\x00", 3), "certifier anna", {}});
  const auto html = page(made);
  EXPECT_THAT(html, HasSubstr("href=\"/v1/polls/bridge/certificate\""));
  EXPECT_THAT(html, HasSubstr("<code>ab1200</code>"));
  EXPECT_LT(html.find("<bdi>No"), html.find("<bdi>Yes"));
  EXPECT_THAT(html, HasSubstr("<bdi>No</bdi> <span class=\"mark\">the most</span>"));
  EXPECT_THAT(html, Not(HasSubstr("data-stream")));
}

TEST_F(PollPages, TestDataIsMarked) {
  EXPECT_THAT(page(snapshot({4, 1, 3}, {4, 1, 3})), Not(HasSubstr("Test data")));
  for (const auto* id : {"demo", "demo-bridge"}) {
    definition_->id = *model::PollId::parse(id);
    EXPECT_THAT(page(snapshot({4, 1, 3}, {4, 1, 3})), HasSubstr("Test data")) << id;
  }
  for (const auto* id : {"democracy-day", "demolition", "dem", "a-demo-bridge"}) {
    definition_->id = *model::PollId::parse(id);
    EXPECT_THAT(page(snapshot({4, 1, 3}, {4, 1, 3})), Not(HasSubstr("Test data"))) << id;
  }
}

TEST_F(PollPages, TurnoutIsDrawnAndToldInATable) {
  auto made = snapshot({3'000, 1, 2}, {});
  EXPECT_THAT(page(made), Not(HasSubstr("id=\"turnout\"")));
  made.turnout_series = {{hour(), 1'500}, {hour() + 1, 3'000}};
  made.as_of = definition_->opens_at + std::chrono::hours(2);
  const auto html = page(made);
  EXPECT_THAT(html, HasSubstr("d=\"M0.0 156.0L360.0 84.0L720.0 12.0\""));
  EXPECT_THAT(html, HasSubstr("role=\"img\" aria-label=\"Ballots counted: 0 by"));
  EXPECT_THAT(html, HasSubstr("1 September 2026, 01:00 UTC</time></th><td class=\"n\">1,500</td>"));
  made.as_of -= std::chrono::minutes(30);
  EXPECT_THAT(page(made), HasSubstr("01:30 UTC</time></th><td class=\"n\">3,000</td>"));
  made.turnout_series.pop_back();
  made.as_of -= std::chrono::minutes(30);
  EXPECT_THAT(page(made), Not(HasSubstr("id=\"turnout\""))) << "a line through two points";
}

TEST_F(PollPages, TurnoutGoesOnFlatWhileThePollIsOpen) {
  auto made = snapshot({3'000, 1, 2}, {});
  made.turnout_series = {{hour(), 1'500}};
  made.as_of = definition_->opens_at + std::chrono::hours(4);
  EXPECT_THAT(page(made), HasSubstr("d=\"M0.0 156.0L180.0 12.0L720.0 12.0\""));
  made.phase = PollPhase::closed;
  EXPECT_THAT(page(made), Not(HasSubstr("id=\"turnout\"")));
}

TEST_F(PollPages, LongSeriesAreThinnedButKeepTheirEnd) {
  std::vector<TurnoutPoint> series;
  for (std::uint64_t i = 0; i < 1'000; ++i)
    series.push_back({definition_->opens_at + std::chrono::minutes(i), i});
  auto html = turnout_chart(series, definition_->closes_at, std::nullopt, Language::en);
  const auto text = std::move(html).take();
  std::size_t rows = 0;
  for (auto at = text.find("<tr><th scope=\"row\">"); at != std::string::npos;
       at = text.find("<tr><th scope=\"row\">", at + 1))
    ++rows;
  EXPECT_LE(rows, limits::kTurnoutPointsShown);
  EXPECT_GT(rows, limits::kTurnoutPointsShown / 2);
  EXPECT_THAT(text, HasSubstr(">999</td>"));
}

TEST_F(PollPages, OfTerritoriesExistWhereTheResultHasThem) {
  const auto made = snapshot({4, 1, 3}, {3, 1, 2});
  const auto found = territory(made, "75603407");
  EXPECT_EQ(found.status, 200);
  EXPECT_THAT(found.body, HasSubstr("<h1><bdi>Посёлок &lt;Щит&gt;</bdi></h1>"));
  EXPECT_THAT(found.body, HasSubstr("33.3%"));
  EXPECT_THAT(found.body, HasSubstr("data-territory=\"75603407\""));
  EXPECT_EQ(territory(made, "75701000").status, 404) << "no target, no ballots";
  EXPECT_EQ(territory(made, "99").status, 404);
  EXPECT_EQ(territory(publish::Hidden{"later"}, "99").status, 404);
  EXPECT_EQ(territory(publish::Hidden{"later"}, "75603407").status, 200);
}

// --- The list ------------------------------------------------------------------------------------

class PollList : public PollPages {
 protected:
  void add(std::string_view id, std::string_view title, PollPhase phase, std::string_view target) {
    auto definition = std::make_shared<model::PollDefinition>(*definition_);
    definition->id = *model::PollId::parse(id);
    definition->title = {std::string(title), ""};
    definition->targets = {code(target)};
    auto entry = std::make_shared<model::PollEntry>(*entry_);
    entry->definition = definition;
    entry->phase = phase;
    entry->was_approved = phase != PollPhase::draft && phase != PollPhase::submitted;
    entry->target_places = model::places_of_targets(*definition, *entry->tree);
    directory_.polls[definition->id] = entry;
  }
  std::string list(const PollListView& view = {}) {
    const TerritoryNames names(entry_->tree);
    return std::string(poll_list(directory_, &names, view, {}).body.view());
  }

  model::Directory directory_;
};

TEST_F(PollList, HasOpenPollsFirstAndNoDrafts) {
  add("a", "Old", PollPhase::closed, "75000000");
  add("b", "New", PollPhase::open, "75701000");
  add("c", "Secret", PollPhase::draft, "75000000");
  add("d", "Waiting", PollPhase::submitted, "75000000");
  const auto html = list();
  EXPECT_LT(html.find("<bdi>New"), html.find("<bdi>Old"));
  EXPECT_THAT(html, HasSubstr("2\u00a0polls"));
  EXPECT_THAT(html, Not(HasSubstr("Secret")));
  EXPECT_THAT(html, Not(HasSubstr("Waiting")));
}

TEST_F(PollList, DoesNotTellThatThereAreDrafts) {
  EXPECT_THAT(list(), HasSubstr("no polls yet"));
  add("c", "Secret", PollPhase::draft, "75000000");
  EXPECT_THAT(list(), HasSubstr("no polls yet"));
  EXPECT_THAT(list({.phase = {}, .search = "x"}), HasSubstr("Nothing was found"));
  EXPECT_THAT(list({.phase = PollPhase::open, .search = ""}), HasSubstr("Nothing was found"));
}

TEST_F(PollList, IsSearchedByTitleAndByTerritory) {
  add("a", "Ёлка на площади", PollPhase::open, "75701000");
  add("b", "Мост", PollPhase::open, "75603000");
  const auto found = [&](std::string search) { return list({.phase = {}, .search = search}); };
  EXPECT_THAT(found("елка"), HasSubstr("<bdi>Ёлка"));
  EXPECT_THAT(found("елка"), Not(HasSubstr("<bdi>Мост")));
  EXPECT_THAT(found("ПОСЕЛОК"), HasSubstr("<bdi>Мост")) << "its district is the target";
  EXPECT_THAT(found("ПОСЕЛОК"), Not(HasSubstr("<bdi>Ёлка")));
  EXPECT_THAT(found("область"), Not(HasSubstr("<bdi>Мост"))) << "not all of the region may vote";
  EXPECT_THAT(found("\"><script>"), HasSubstr("value=\"&quot;&gt;&lt;script&gt;\""));
}

TEST_F(PollList, IsChosenByStateAndGoesOnPages) {
  for (int i = 0; i < 51; ++i) add(fmt::format("p{}", i), "Poll", PollPhase::open, "75000000");
  add("z", "Gone", PollPhase::cancelled, "75000000");
  EXPECT_THAT(list({.phase = PollPhase::open, .search = "poll"}),
              HasSubstr("href=\"/?page=2&amp;state=open&amp;q=%70%6F%6C%6C\""));
  EXPECT_THAT(list({.phase = PollPhase::open, .search = "", .page = 2}), Not(HasSubstr("Gone")));
  EXPECT_THAT(list({.phase = {}, .search = "", .page = 2}), HasSubstr("<bdi>Gone"));
  EXPECT_THAT(list({.phase = {}, .search = "", .page = 3}), HasSubstr("no such page"));
}

// --- Around --------------------------------------------------------------------------------------

TEST(Layout, HeadersLetNothingForeignIn) {
  const auto response = error_page(503, {});
  const auto header = [&](http::Header name) {
    for (const auto& [key, value] : response.headers)
      if (key == name) return value;
    return std::string();
  };
  const auto policy = header(http::Header::content_security_policy);
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  EXPECT_THAT(policy, Not(HasSubstr("http")));
  EXPECT_EQ(header(http::Header::retry_after), "1");
  EXPECT_EQ(response.status, 503);
}

TEST(Layout, ErrorsNeverLinkToWhatWasAskedFor) {
  Reader reader;
  reader.path = "//evil.example/x";
  EXPECT_THAT(error_page(404, reader).body, Not(HasSubstr("evil.example")));
}

TEST(Layout, ErrorsForUnknownReadersAreInBothLanguages) {
  EXPECT_THAT(error_page(503, {}).body, HasSubstr("<div lang=\"ru\"><h2>Сервер сейчас"));
  Reader reader;
  reader.path = "/";
  EXPECT_THAT(error_page(503, reader).body, Not(HasSubstr("Сервер сейчас")));
}

TEST(Layout, LanguageIsChosenByQueryThenByHeader) {
  http::RequestHead head;
  head.path = "/";
  head.accept_language = "ru-RU, en;q=0.5";
  EXPECT_EQ(reader_of(head, false).language, Language::ru);
  head.parameters[0] = {"lang", "en"};
  head.parameter_count = 1;
  const auto reader = reader_of(head, false);
  EXPECT_EQ(reader.language, Language::en);
  EXPECT_EQ(link(reader, "/polls/a?page=2"), "/polls/a?page=2&lang=en");
}

TEST(Assets, HaveNamesOfTheirContents) {
  for (const auto* asset : {&kStyle, &kPageScript, &kLoadScript, &kIcon}) {
    EXPECT_EQ(find_asset(asset->path), asset);
    EXPECT_FALSE(asset->body->empty());
  }
  EXPECT_EQ(find_asset("/assets/style.css"), nullptr);
}

TEST(LoadPage, TellsSumsAndNamesNoPoll) {
  api::Metrics metrics;
  metrics.count(model::Outcome::accepted, 1'200);
  const auto load = metrics.load(true);
  const auto document = boost::json::parse(std::string(load_json(load).body));
  EXPECT_EQ(document.at("ballots").at("accepted").as_int64(), 1'200);
  EXPECT_TRUE(document.at("latency").as_array().back().at("seconds").is_null());
  EXPECT_TRUE(document.at("ready").as_bool());
  EXPECT_THAT(load_page(load, {}).body, HasSubstr("<td class=\"n sum\">1,200</td>"));
}

}  // namespace
}  // namespace veche::web
