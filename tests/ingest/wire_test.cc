// JSON in and out, times, languages, content codings: rules as rows.
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <boost/json.hpp>

#include "engine/model/limits.h"
#include "ingest/wire/ballot_json.h"
#include "ingest/wire/content_coding.h"
#include "ingest/wire/header_list.h"
#include "ingest/wire/outcome.h"
#include "ingest/wire/poll_json.h"
#include "ingest/wire/poll_texts.h"
#include "ingest/wire/results.h"
#include "ingest/wire/time.h"
#include "ingest/wire/time_zone.h"

namespace veche::wire {
namespace {

using namespace std::string_literals;

// --- Ballots -----------------------------------------------------------------------------------

TEST(BallotJson, ReadsListsAndSpreads) {
  BallotReader reader;
  const auto read = reader.read(
      R"({"answers":[{"question":"q1","choices":["a","b"]},{"question":"q2","choices":{"c":-7}}]})");
  ASSERT_TRUE(read);
  ASSERT_EQ((*read)->size(), 2);
  EXPECT_EQ((**read)[0].choices[1].option, "b");
  EXPECT_FALSE((**read)[0].with_points);
  EXPECT_TRUE((**read)[1].with_points);
  EXPECT_EQ((**read)[1].choices[0].points, -7) << "whether it fits is not asked here";
}

class MalformedBallot : public testing::TestWithParam<std::string> {};

TEST_P(MalformedBallot, IsRefused) { EXPECT_FALSE(BallotReader().read(GetParam())) << GetParam(); }

// Not a parameter of those below: a string is never at no address, and a body that has not come is.
TEST(BallotJson, NothingAtAllIsRefused) {
  EXPECT_FALSE(BallotReader().read(std::string_view{}));
  EXPECT_FALSE(BallotReader().read_line(std::string_view{}));
}

INSTANTIATE_TEST_SUITE_P(
    All, MalformedBallot,
    testing::Values("", "{", "[]", "null", R"({"answers":{}})", R"({})",
                    R"({"answers":[],"answers":[]})", R"({"answers":[],"\u0061nswers":[]})",
                    R"({"answers":[],"territory":"75701310"})",
                    R"({"answers":[{"question":"q","choices":["a"],"choices":["b"]}]})",
                    R"({"answers":[{"question":"q"}]})",
                    R"({"answers":[{"question":1,"choices":[]}]})",
                    R"({"answers":[{"question":"q","choices":[1]}]})",
                    R"({"answers":[{"question":"q","choices":"a"}]})",
                    R"({"answers":[{"question":"q","choices":["a\u0000"]}]})",
                    R"({"answers":[{"question":"q","choices":{"a":1.5}}]})",
                    R"({"answers":[{"question":"q","choices":{"a":1e2}}]})",
                    R"({"answers":[{"question":"q","choices":{"a":9223372036854775808}}]})",
                    R"({"answers":[{"question":"q","choices":{"a":"1"}}]})",
                    R"({"answers":[{"question":"q","choices":{"a":1,"\u0061":1}}]})",
                    "{\"answers\":[{\"question\":\"\xFF\",\"choices\":[]}]}", R"({"answers":[]} x)",
                    R"({"answers":)"s + std::string(1'000, '[') + std::string(1'000, ']') + "}"));

TEST(BallotJson, ReadsALineOfEitherKind) {
  BallotReader reader;
  const auto word = reader.read_line(
      R"({"poll":"p","voter":"v","territory":"75","addr":["x"],"level":3,"answers":[]})");
  ASSERT_TRUE(word);
  EXPECT_EQ((*word)->poll, "p");
  EXPECT_EQ((*word)->addresses.size(), 1);
  const auto token = reader.read_line(R"({"token":"t","answers":[]})");
  ASSERT_TRUE(token);
  EXPECT_EQ((*token)->token, "t");
  EXPECT_TRUE((*token)->poll.empty()) << "nothing is left of the line before";
  EXPECT_EQ((*reader.read_line(R"({"token":"","answers":[]})"))->token, "");
  EXPECT_FALSE(reader.read_line(R"({"token":"t","poll":"p","answers":[]})"));
  EXPECT_FALSE(reader.read_line(R"({"poll":"p","voter":"v","level":3,"answers":[]})"));
  EXPECT_FALSE(
      reader.read_line(R"({"poll":"p","voter":"v","territory":"75","level":"3","answers":[]})"));
  EXPECT_FALSE(reader.read_line(
      R"({"poll":"p","voter":"v","territory":"75","addr":[],"level":3,"answers":[]})"));
}

// --- Polls -------------------------------------------------------------------------------------

constexpr std::string_view kPoll = R"({
  "id": "smolino", "title": {"ru": "Набережная", "en": "Embankment"},
  "opens_at": "2026-09-01T00:00:00Z", "closes_at": "2026-09-08T00:00:00+05:00", "min_level": 2,
  "targets": [{"territory": "75701000"}, {"addr": "f-1"}], "expected_voters": {"75701310": 61000},
  "visibility": "after_vote", "disclosure": {"mode": "exact"},
  "questions": [{"id": "q1", "title": "Что?", "kind": "ranked", "min": 1, "max": 2,
                 "points": [2, 1],
                 "options": [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}]}]})";

TEST(PollJson, WritesWhatItReads) {
  const auto first = read_poll(kPoll);
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->faults.empty()) << first->faults[0].pointer << first->faults[0].detail;
  EXPECT_EQ(format_time(first->definition.closes_at), "2026-09-07T19:00:00Z");
  const auto again = read_poll(boost::json::serialize(write_definition(first->definition)));
  ASSERT_TRUE(again);
  EXPECT_EQ(first->definition, again->definition);
}

struct FaultRow {
  std::string_view from;
  std::string_view to;
  std::string_view pointer;
};

class FaultyPoll : public testing::TestWithParam<FaultRow> {};

TEST_P(FaultyPoll, IsRefusedAtItsPlace) {
  std::string text(kPoll);
  text.replace(text.find(GetParam().from), GetParam().from.size(), GetParam().to);
  const auto read = read_poll(text);
  ASSERT_TRUE(read);
  ASSERT_FALSE(read->faults.empty());
  EXPECT_EQ(read->faults[0].pointer, GetParam().pointer);
}

INSTANTIATE_TEST_SUITE_P(
    All, FaultyPoll,
    testing::Values(FaultRow{"\"smolino\"", "\"Smolino\"", "/id"},
                    FaultRow{"2026-09-08", "2026-08-08", "/closes_at"},
                    FaultRow{"2026-09-01T00:00:00Z", "1 September", "/opens_at"},
                    FaultRow{"\"min_level\": 2", "\"min_level\": 4", "/min_level"},
                    FaultRow{"\"min_level\": 2", "\"min_level\": 259", "/min_level"},
                    FaultRow{"\"min_level\": 2", "\"colour\": 2", "/colour"},
                    FaultRow{"\"75701000\"", "\"75 701\"", "/targets/0/territory"},
                    FaultRow{"61000", "-1", "/expected_voters/75701310"},
                    FaultRow{"after_vote", "never", "/visibility"},
                    FaultRow{"exact", "noise", "/disclosure/mode"},
                    FaultRow{"ranked", "best", "/questions/0/kind"},
                    FaultRow{"[2, 1]", "[2]", "/questions/0/points"},
                    FaultRow{"\"max\": 2", "\"max\": 3", "/questions/0/max"},
                    FaultRow{"\"id\": \"b\"", "\"id\": \"a\"", "/questions/0/options/1/id"}));

// Each is wrong in one way, and is told so once: what follows from it is no fault of its own.
TEST(PollJson, TellsOneFaultOfOneSlip) {
  const struct {
    std::string_view from;
    std::string_view to;
    const char* fault;
  } rows[] = {
      {R"("id": "smolino", )", "", "/id required"},
      {R"("id": "smolino")", R"("id": 7)", "/id wrong-type"},
      {R"("opens_at": "2026-09-01T00:00:00Z", )", "", "/opens_at required"},
      {R"("after_vote")", "null", "/visibility wrong-type"},
      {R"({"mode": "exact"})", "{}", "/disclosure/mode required"},
      {R"("kind": "ranked", )", "", "/questions/0/kind required"},
      {R"({"territory": "75701000"})", R"({"territory": 75701000})",
       "/targets/0/territory wrong-type"},
      {R"({"addr": "f-1"})", R"({"addr": 1})", "/targets/1/addr wrong-type"},
      {R"("75701310": 61000)", R"("75 701": -1)", "/expected_voters/75 701 bad-id"},
      {R"("ranked", "min": 1, "max": 2)", R"("single", "min": 2, "max": 3)",
       "/questions/0/max bad-range"},
      {"[2, 1]", "[2, 1000001]", "/questions/0/points/1 too-large"},
      {R"("id": "q1")", R"("id": "")", "/questions/0/id bad-id"},
  };
  for (const auto& row : rows) {
    std::string text(kPoll);
    ASSERT_NE(text.find(row.from), text.npos) << row.from;
    text.replace(text.find(row.from), row.from.size(), row.to);
    if (row.fault == std::string_view("/questions/0/max bad-range"))
      text.erase(text.find("\"points\": [2, 1],"), 17);
    const auto read = read_poll(text);
    std::string told;
    for (const auto& fault : read->faults)
      told += fault.pointer + " " + fault.code + ";";
    EXPECT_EQ(told, row.fault + ";"s);
  }
}

TEST(PollJson, PointsAtNamesByRfc6901) {
  const struct {
    std::string_view from;
    std::string_view to;
    const char* pointer;
  } rows[] = {
      {"\"min_level\"", "\"min/level\"", "/min~1level"},
      {"\"min_level\"", "\"~1/\"", "/~01~1"},
      {"\"75701310\"", "\"a/b~c\"", "/expected_voters/a~1b~0c"},
      {"\"mode\"", "\"k\": 1, \"/\"", "/disclosure/~1"},
      {"\"min\"", "\"~min\"", "/questions/0/~0min"},
      {"\"min_level\"", "\"\"", "/"},
  };
  for (const auto& row : rows) {
    std::string text(kPoll);
    text.replace(text.find(row.from), row.from.size(), row.to);
    const auto read = read_poll(text);
    std::vector<std::string> told;
    for (const auto& fault : read->faults) told.push_back(fault.pointer);
    EXPECT_NE(std::find(told.begin(), told.end(), row.pointer), told.end()) << row.to;
  }
}

TEST(PollTexts, OfANewPollAreNormalAndSeen) {
  const struct {
    const char* id;
    const char* code;  // empty: it is good
  } rows[] = {
      {"a", ""},
      {"Набережная 1", ""},
      {"\u0439", ""},                    // a letter
      {"\u0438\u0306", "not-nfc"},       // the same in two
      {"e\u0301", "not-nfc"},
      {"\u212B", "not-nfc"},             // the angstrom sign is the letter
      {"\uAC00", ""},                    // a Hangul syllable
      {"\u1100\u1161", "not-nfc"},
      {"q\u0323\u0307", ""},             // accents in their order
      {"q\u0307\u0323", "not-nfc"},
      {"a\u0085", "bad-id"},             // C1
      {"\u0080", "bad-id"},
      {"\u009F", "bad-id"},
      {"\u00A0", ""},                    // the first behind them
      {"a\u200B", "bad-id"},             // a space without width
      {"\uFEFFa", "bad-id"},
      {"\u202Ea", "bad-id"},             // turns what follows
      {"a\u2028", "bad-id"},
      {"\uE000", "bad-id"},              // private
      {"\uFFFF", "bad-id"},
      {"\U0001F332", ""},
      {"e\u0301\u0085", "bad-id"},       // one fault of two
  };
  const auto good = read_poll(kPoll)->definition;
  for (const auto& row : rows) {
    auto poll = good;
    poll.questions[0].options[1].id = row.id;
    const auto option = check_texts(poll);
    EXPECT_EQ(option.empty() ? "" : option[0].code, row.code) << row.id;
    EXPECT_LE(option.size(), 1u) << row.id;
    EXPECT_TRUE(option.empty() || option[0].pointer == "/questions/0/options/1/id");
    poll = good;
    poll.questions[0].id = row.id;
    const auto question = check_texts(poll);
    EXPECT_EQ(question.empty() ? "" : question[0].code, row.code) << row.id;
    EXPECT_TRUE(model::check(poll).empty()) << "what is in a log stays good: " << row.id;
  }
  auto poll = good;
  poll.title.en = "\u009B31m";  // colours a terminal
  poll.questions[0].title.ru = "a\u0085";
  poll.questions[0].options[0].title.ru = "zero\u200Bwidth is a way to break a line";
  const auto faults = check_texts(poll);
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_EQ(faults[0].pointer + faults[1].pointer, "/title/questions/0/title");
}

TEST(PollJson, RefusesAMemberTwice) {
  EXPECT_FALSE(read_document(R"({"a": {"b": 1, "b": 2}})"));
  EXPECT_FALSE(read_document(R"({"a": [{"b": 1, "\u0062": 2}]})"));
  EXPECT_FALSE(read_document(R"({"a": "\u0000"})"));
  EXPECT_TRUE(read_document(R"({"a": {"b": 1}, "c": {"b": 1}})"));
}

// --- Times and languages -----------------------------------------------------------------------

TEST(Time, ReadsWhatRfc3339AllowsAndNothingElse) {
  for (const auto* good :
       {"2026-09-01T00:00:00Z", "2026-09-01t00:00:00z", "2026-09-01T05:00:00+05:00",
        "2026-08-31T23:00:00-01:00", "2026-09-01T00:00:00.000999999Z"})
    EXPECT_EQ(parse_time(good), parse_time("2026-09-01T00:00:00Z")) << good;
  EXPECT_EQ(format_time(*parse_time("2026-09-01T00:00:00.25Z")), "2026-09-01T00:00:00.250Z");
  for (const auto* bad : {"", "2026-09-01", "2026-09-01T00:00:00", "2026-13-01T00:00:00Z",
                          "2026-02-30T00:00:00Z", "2026-09-01T24:00:00Z", "2026-09-01T00:00:60Z",
                          "2026-09-01T00:00:00.Z", "2026-09-01T00:00:00+5", "1969-12-31T00:00:00Z",
                          "2026-09-01T00:00:00Zx", "2026-09-01 00:00:00Z", "-026-09-01T00:00:00Z"})
    EXPECT_FALSE(parse_time(bad)) << bad;
}

// Times of std::chrono's own clock end in 2262.
TEST(Time, IsWrittenAsItWasReadToTheEndOfTheYear9999) {
  for (const auto* time : {"1970-01-01T00:00:00Z", "2262-04-12T00:00:00Z", "2400-02-29T12:34:56Z",
                           "9999-12-31T23:59:59.999Z"}) {
    ASSERT_TRUE(parse_time(time)) << time;
    EXPECT_EQ(format_time(*parse_time(time)), time);
  }
  EXPECT_EQ(format_time(*parse_time("9999-12-31T23:59:59+05:00")), "9999-12-31T18:59:59Z");
  for (const auto* beyond : {"9999-12-31T23:59:59-00:01", "1970-01-01T00:00:00+00:01"})
    EXPECT_FALSE(parse_time(beyond)) << beyond << " is another year in UTC";
}

TEST(Time, SaysItsLocalDayWhereItIsNotWrittenInUtc) {
  const auto new_year = model::parse_date("2027-01-01");
  for (const auto* local :
       {"2027-01-01T00:00:00+05:00", "2027-01-01T23:00:00-05:00", "2027-01-01T00:00:00.5+00:30"})
    EXPECT_EQ(local_date(local), new_year) << local;
  for (const auto* none : {"2027-01-01T00:00:00Z", "2027-01-01t00:00:00z", "", "soon",
                           "2027-01-01T00:00:00.123Z", "2027-01-01T00:00:00+00:00", "2027-01-01"})
    EXPECT_FALSE(local_date(none)) << none;
}

TEST(TimeZone, KnowsTheDayThere) {
  const struct {
    const char* zone;
    const char* at;
    const char* day;
  } rows[] = {
      {"UTC", "2026-12-31T23:59:59.999Z", "2026-12-31"},
      {"Asia/Yekaterinburg", "2026-12-31T18:59:59.999Z", "2026-12-31"},
      {"Asia/Yekaterinburg", "2026-12-31T19:00:00Z", "2027-01-01"},
      {"Asia/Kamchatka", "2026-12-31T12:00:00Z", "2027-01-01"},
      {"Europe/Kaliningrad", "2026-12-31T21:59:59Z", "2026-12-31"},
      {"Europe/Berlin", "2026-06-30T22:00:00Z", "2026-07-01"},   // summer
      {"Europe/Berlin", "2026-12-31T22:30:00Z", "2026-12-31"},   // winter
      {"America/St_Johns", "2026-07-01T02:29:59Z", "2026-06-30"},  // half an hour apart
      {"Asia/Yekaterinburg", "9999-12-31T18:59:59Z", "9999-12-31"},
      {"Asia/Yekaterinburg", "1970-01-01T00:00:00Z", "1970-01-01"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(model::format_date(TimeZone::find(row.zone)->date_of(*parse_time(row.at))), row.day)
        << row.zone << " " << row.at;
}

TEST(TimeZone, HasANameOfTheIanaDatabase) {
  for (const auto* name : {"Asia/Yekaterinburg", "Europe/Moscow", "Etc/GMT-5", "UTC"})
    EXPECT_TRUE(TimeZone::find(name)) << name;
  for (const auto* name : {"", "Asia/Ekaterinburg", "asia/yekaterinburg", "Etc/Unknown", "GMT+5",
                           "+05:00", "EST", "YEKT", "/", "Asia/Yekaterinburg "}) {
    const auto zone = TimeZone::find(name);
    ASSERT_FALSE(zone) << name;
    EXPECT_NE(zone.error().message.find("Asia/Yekaterinburg"), std::string::npos);
  }
}

TEST(Language, IsTheOneOfTheHighestWeight) {
  const struct {
    std::string_view header;
    Language language;
  } rows[] = {
      {"", Language::en},
      {"ru", Language::ru},
      {"ru-RU,en;q=0.5", Language::ru},
      {"EN-gb, ru", Language::en},
      {"Ru", Language::ru},
      {"de, ru;q=0.8", Language::ru},
      {"rum", Language::en},
      {"de", Language::en},
      {"ru;q=0.1, en", Language::en},
      {"en;q=0.1, ru", Language::ru},
      {"en;q=0.8, ru;q=0.9", Language::ru},
      {"en;q=0.899,ru;q=0.9", Language::ru},
      {"ru;q=0.5, en;q=0.50", Language::ru},
      {"en;q=0.5, ru;q=0.5", Language::en},
      {"ru ; Q=0.1 , en\t;\tq=0.2", Language::en},
      {"ru;q=0.1, en;q=0.5, ru-RU", Language::ru},
      {"ru;q=0, en", Language::en},
      {"ru;q=0.000", Language::en},
      {"en;q=0, ru;q=0.001", Language::ru},
      {"en;q=0, *", Language::ru},
      {"en;q=0", Language::ru},
      {"*;q=0.5, ru;q=0.1", Language::en},
      {"*;q=0.1, ru;q=0.5", Language::ru},
      {"*, en;q=0.5", Language::ru},
      {"ru, *", Language::ru},
      {"*", Language::en},
      {"*, ru", Language::en},
      {"*;q=0", Language::en},
      {"ru;q=0, en;q=0", Language::en},
      {"*;q=0, ru;q=0.1", Language::ru},
      {"ru;q=, en;q=0.9", Language::ru},
      {"ru;q=high, en;q=0.9", Language::ru},
      {"ru;q=-1, en;q=0.9", Language::ru},
      {"ru;q=7, en", Language::ru},
      {"ru;q=1.001, en;q=0.9", Language::ru},
      {"ru;q=0.00019, en;q=0.0002", Language::en},
      {"ru;q=0.5x, en;q=0.9", Language::ru},
      {"ru;q=99999999999999999999, en", Language::ru},
      {"ru;level=1;q=0.1, en;q=0.5", Language::en},
      {",, ;q=1, ;, -, ru", Language::ru},
  };
  for (const auto& row : rows) EXPECT_EQ(language(row.header), row.language) << row.header;
}

// --- Results as JSON ---------------------------------------------------------------------------

// A poll with hostile names, one question that counts points, a place whose counts are not shown,
// and a group.
publish::Snapshot hostile_snapshot() {
  auto definition = std::make_shared<model::PollDefinition>();
  definition->id = *model::PollId::parse("p");
  const std::string id = "a\"b\\c/\x01\b\f\n\r\t\x1f\x7f";
  definition->questions = {{.id = id,
                            .title = {"?", ""},
                            .kind = model::QuestionKind::single,
                            .min = 1,
                            .max = 1,
                            .points = {},
                            .options = {{"да", {"Да", ""}}, {"нет", {"Нет", ""}}}},
                           {.id = "q2",
                            .title = {"?", ""},
                            .kind = model::QuestionKind::points,
                            .min = 1,
                            .max = 9,
                            .points = {},
                            .options = {{"x", {"X", ""}}}}};
  auto entry = std::make_shared<model::PollEntry>();
  entry->definition = definition;
  const auto code = [](std::string_view text) { return *model::TerritoryCode::parse(text); };
  publish::Snapshot snapshot{.poll = entry,
                             .phase = model::PollPhase::open,
                             .version = "7-0011aabb",
                             .as_of = *parse_time("2026-09-01T00:00:00.25Z"),
                             .partition_ballots = {0, 18446744073709551615u},
                             .is_final = true,
                             .shape = model::TallyShape(*definition),
                             .turnout = std::nullopt,
                             .suppressed = publish::Suppressed::no,
                             .counts = {5, 2, 3, 4, 36},
                             .territories = {},
                             .groups = {},
                             .not_shown = 3,
                             .turnout_series = {{10, 1}, {11, 2}, {24, 5}}};
  snapshot.territories.push_back({code("75"), "Об\"ласть\n", "region", 0, std::nullopt, 2,
                                  publish::Suppressed::no, snapshot.counts});
  snapshot.territories.push_back({code("75-1"),
                                  {},
                                  {},
                                  1,
                                  code("75"),
                                  std::nullopt,
                                  publish::Suppressed::in_group,
                                  {}});
  snapshot.groups.push_back({std::nullopt,
                             {},
                             {code("75-1"), code("75-2")},
                             {},
                             publish::Suppressed::not_yet,
                             {}});
  return snapshot;
}

constexpr std::string_view kHostileTotals =
    R"("ballots":5,"suppressed":null,"questions":[{"id":"a\"b\\c/\u0001\b\f\n\r\t\u001f)"
    "\x7f"
    R"(","options":[{"id":"да","votes":2},{"id":"нет","votes":3}]},)"
    R"({"id":"q2","options":[{"id":"x","votes":4,"points":36}]}])";
constexpr std::string_view kHostileNulls =
    R"("questions":[{"id":"a\"b\\c/\u0001\b\f\n\r\t\u001f)"
    "\x7f"
    R"(","options":[{"id":"да","votes":null},{"id":"нет","votes":null}]},)"
    R"({"id":"q2","options":[{"id":"x","votes":null,"points":null}]}])";

std::string hostile_territories(bool with_region) {
  std::string text = R"("territories":[)";
  if (with_region)
    text.append(R"({"code":"75","name":"Об\"ласть\n","kind":"region","level":0,"parent":null,)")
        .append(R"("not_below":2,)")
        .append(kHostileTotals)
        .append("},");
  return text
      .append(R"({"code":"75-1","name":"","kind":"","level":1,"parent":"75","not_below":null,)")
      .append(R"("ballots":null,"suppressed":"in-group",)")
      .append(kHostileNulls)
      .append(R"(}],"groups":[{"within":null,"leaves":["75-1","75-2"],"not_below":[],)")
      .append(R"("ballots":null,"suppressed":"not-yet",)")
      .append(kHostileNulls)
      .append("}]");
}

// What Boost.JSON makes of a document that it has read is the document, byte for byte.
void expect_json(const std::string& written, const std::string& expected) {
  EXPECT_EQ(written, expected);
  boost::system::error_code error;
  EXPECT_EQ(boost::json::serialize(boost::json::parse(written, error)), written)
      << error.message();
}

TEST(ResultsJson, IsTheSameToTheByte) {
  const auto snapshot = hostile_snapshot();
  const auto head =
      R"({"poll":"p","version":"7-0011aabb","as_of":"2026-09-01T00:00:00.250Z","state":"open",)"
      R"("final":true,"turnout":null,)"s;
  const auto totals =
      head + R"("not_shown":3,"partition_ballots":[0,18446744073709551615],)"s.append(kHostileTotals);
  expect_json(results_json(snapshot, {}), totals + "}");
  TerritoryFilter filter{.by_territory = true, .level = {}, .parent = {}};
  expect_json(results_json(snapshot, filter), totals + "," + hostile_territories(true) + "}");
  filter.level = 1;
  expect_json(results_json(snapshot, filter), totals + "," + hostile_territories(false) + "}");
  expect_json(territories_json(snapshot, filter),
              R"({"poll":"p","version":"7-0011aabb",)" + hostile_territories(false) + "}");
  expect_json(turnout_json(snapshot, 12),
              head + R"("step_hours":12,"series":[{"until":"1970-01-01T12:00:00Z","ballots":2},)" +
                  R"({"until":"1970-01-02T12:00:00Z","ballots":5}]})");
}

TEST(ResultsJson, OfNothingIsEmptyLists) {
  auto snapshot = hostile_snapshot();
  auto entry = std::make_shared<model::PollEntry>(*snapshot.poll);
  entry->definition = std::make_shared<const model::PollDefinition>();
  snapshot.poll = entry;
  snapshot.territories.clear();
  snapshot.groups.clear();
  snapshot.turnout_series.clear();
  const auto written =
      results_json(snapshot, {.by_territory = true, .level = {}, .parent = {}});
  EXPECT_TRUE(written.ends_with(R"("questions":[],"territories":[],"groups":[]})")) << written;
  EXPECT_TRUE(turnout_json(snapshot, 1).ends_with(R"("series":[]})"));
}

// --- Results as CSV ----------------------------------------------------------------------------

// The row of the only option of a poll in which one ballot was cast.
std::string csv_row(std::string_view poll, const std::string& question, const std::string& option,
                    bool for_excel) {
  auto definition = std::make_shared<model::PollDefinition>();
  definition->id = *model::PollId::parse(poll);
  definition->questions = {{.id = question,
                            .title = {"Что?", ""},
                            .kind = model::QuestionKind::single,
                            .min = 1,
                            .max = 1,
                            .points = {},
                            .options = {{option, {"Да", ""}}}}};
  auto entry = std::make_shared<model::PollEntry>();
  entry->definition = definition;
  const publish::Snapshot snapshot{.poll = entry,
                                   .phase = model::PollPhase::open,
                                   .version = "1-0011aabb",
                                   .as_of = *parse_time("2026-09-01T00:00:00Z"),
                                   .partition_ballots = {},
                                   .is_final = false,
                                   .shape = model::TallyShape(*definition),
                                   .turnout = 1,
                                   .suppressed = publish::Suppressed::no,
                                   .counts = {1, 1},
                                   .territories = {},
                                   .groups = {},
                                   .not_shown = std::nullopt,
                                   .turnout_series = {}};
  const auto csv = results_csv(snapshot, {}, {.titles = Language::ru, .for_excel = for_excel});
  const auto begin = csv.find("\r\n") + 2;
  return csv.substr(begin, csv.find(for_excel ? ";Да;" : ",Да,") - begin);
}

TEST(ResultsCsv, GivesIdsAsTheyAre) {
  EXPECT_EQ(csv_row("007", "1-2", "1E5", false), "007,1-2,1E5");
  EXPECT_EQ(csv_row("p", "a,b", "the \"a\"", false), "p,\"a,b\",\"the \"\"a\"\"\"");
}

// A number, a date and a formula to a spreadsheet, which shows something else than the id then.
TEST(ResultsCsv, KeepsIdsTextsInASpreadsheet) {
  EXPECT_EQ(csv_row("007", "1-2", "1E5", true), R"("=""007""";"=""1-2""";"=""1E5""")");
  EXPECT_EQ(csv_row("2026-11-26", "=1+1", "-", true), R"("=""2026-11-26""";"=""=1+1""";"=""-""")");
  EXPECT_EQ(csv_row("p", "a;b", R"("&A1&")", true), R"("=""p""";"=""a;b""";"=""""""&A1&""""""")");
}

TEST(ResultsCsv, LeavesOutWhatIsNotShown) {
  const auto snapshot = hostile_snapshot();
  const auto csv = results_csv(snapshot, {.by_territory = true, .level = {}, .parent = {}},
                               {.titles = Language::en, .for_excel = false});
  const auto rows_of_points = csv.substr(csv.rfind("p,q2,x,X,,(all)"));
  EXPECT_EQ(rows_of_points,
            "p,q2,x,X,,(all),,4,36,5,0.800000,,open,7-0011aabb,2026-09-01T00:00:00.250Z\r\n"
            "p,q2,x,X,0,75,\"Об\"\"ласть\n\",4,36,5,0.800000,,open,7-0011aabb,"
            "2026-09-01T00:00:00.250Z\r\n"
            "p,q2,x,X,1,75-1,,,,,,in-group,open,7-0011aabb,2026-09-01T00:00:00.250Z\r\n"
            "p,q2,x,X,,(group 1),75-1 75-2,,,,,not-yet,open,7-0011aabb,"
            "2026-09-01T00:00:00.250Z\r\n");
  const auto russian = results_csv(snapshot, {}, {.titles = Language::ru, .for_excel = true});
  EXPECT_NE(russian.find(";2;;5;0,400000;;open;7-0011aabb;"), russian.npos) << russian;
}

// --- Lists in headers --------------------------------------------------------------------------

TEST(Accept, IsWhatItSaysOfEitherType) {
  struct Row {
    const char* accept;
    bool is_csv;
  };
  const Row rows[] = {
      {"", false},
      {"text/csv", true},
      {"Text/CSV ; charset=\"UTF-8\"", true},
      {"application/json", false},
      {"*/*", false},
      {"text/*", true},
      {"text/html, text/csv", true},
      {"text/csv, application/json", true},
      {"application/json, text/csv", false},
      {"application/json;q=0.5, text/csv;q=0.6", true},
      {"text/csv;q=0.5, application/json", false},
      {"text/csv;q=0", false},
      {"text/csv;q=0, */*", false},
      {"*/*;q=0.1, text/csv;q=0.2", true},
      {"application/*, text/csv;q=0.9", false},
      {"text/csvx", false},
      {"a/b;x=\"text/csv, text/csv;q=1\", application/json", false},
      {"a/b;x=\"\\\", text/csv", false},
      {",, ,text/csv,", true},
  };
  for (const auto& row : rows)
    EXPECT_EQ(prefers(row.accept, "text/csv", "application/json"), row.is_csv) << row.accept;
  EXPECT_TRUE(wanted("a/b, text/HTML;q=0.1", "text/html").is_named);
  EXPECT_FALSE(wanted("text/*, */*", "text/html").is_named);
  EXPECT_EQ(wanted("text/html;q=0", "text/html").weight, 0);
}

TEST(EntityTags, AreComparedWithoutWhatProxiesMakeOfThem) {
  const char* const same[] = {
      "\"3\"",      "W/\"3\"", "\"3-gzip\"", "W/\"3-gzip\"",    "\"3;gzip\"",         "\"3--gzip\"",
      "\"3-br\"",   "\"3-zstd\"", "*",       "\"1\", W/\"3\"", ",\"a,b\" , \"3\",", "\"3\",*"};
  for (const auto* header : same)
    for (const auto* etag : {"\"3\"", "W/\"3\""})
      EXPECT_TRUE(has_entity_tag(header, etag)) << header << etag;
  const char* const other[] = {"",        "3",          "\"3",       "\"03\"",    "\"33\"",
                               "W/3",     "w/\"3\"",    "W/ \"3\"",  "\"3\"x",    "\"4\"",
                               "\"3 *\"", "\"3-gzip-\"", "\"3gzip\"", "\"-gzip\"", "\"1\" \"3\""};
  for (const auto* header : other) EXPECT_FALSE(has_entity_tag(header, "\"3\"")) << header;
}

// --- Content codings ---------------------------------------------------------------------------

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

class ContentCodingTest : public testing::TestWithParam<Coding> {
 protected:
  static std::string encode(const std::string& text) {
    return GetParam() == Coding::gzip ? gzip(text) : zstd(text);
  }
  static Decoding decode(std::string_view body, std::size_t limit, std::string& out) {
    out.clear();
    return wire::decode(GetParam(), body, limit, out);
  }
};

TEST_P(ContentCodingTest, UndoesABodyUpToTheLimitAndNotBeyond) {
  std::string out;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65'536},
                                 std::size_t{65'537}, std::size_t{300'000}}) {
    const std::string text(size, 'x');
    ASSERT_EQ(decode(encode(text), size, out), Decoding::done) << size;
    EXPECT_EQ(out, text);
    if (size > 0) {
      EXPECT_EQ(decode(encode(text), size - 1, out), Decoding::too_large) << size;
    }
  }
}

TEST(ContentCoding, GivesBackWhatItCompressed) {
  std::string text;
  for (const std::size_t size : {0, 1, 70'000, 3'000'000}) {
    while (text.size() < size) text += std::to_string(text.size() * 7'919);
    text.resize(size);
    const auto packed = compress_zstd(text);
    std::string out;
    EXPECT_EQ(decode(Coding::zstd, packed, size, out), Decoding::done) << size;
    EXPECT_EQ(out, text) << size;
    EXPECT_LT(packed.size(), size / 2 + 64) << size;
  }
}

TEST_P(ContentCodingTest, UndoesSeveralPartsOneBehindTheOther) {
  std::string all, packed;
  for (const std::size_t size : {3u, 0u, 70'000u, 1u, 0u}) {
    const std::string part(size, static_cast<char>('a' + all.size() % 7));
    all += part;
    packed += encode(part);
  }
  std::string out;
  EXPECT_EQ(decode(packed, all.size(), out), Decoding::done);
  EXPECT_EQ(out, all);
  out.clear();
  EXPECT_EQ(decode(packed, all.size() - 1, out), Decoding::too_large) << "together";
  out.clear();
  EXPECT_EQ(decode(packed.substr(0, packed.size() - 2), all.size(), out), Decoding::broken);
}

// As pzstd puts one in front of each frame.
TEST(ContentCoding, PassesOverSkippableFrames) {
  const std::string skippable("\x50\x2a\x4d\x18\x04\x00\x00\x00"
                              "abcd", 12);
  std::string out;
  const auto body = skippable + zstd("one ") + skippable + skippable + zstd("two") + skippable;
  EXPECT_EQ(wire::decode(Coding::zstd, body, 100, out), Decoding::done);
  EXPECT_EQ(out, "one two");
  EXPECT_EQ(wire::decode(Coding::zstd, body.substr(0, body.size() - 1), 100, out),
            Decoding::broken);
}

TEST(ContentCoding, IsNamedInAnyCase) {
  const std::pair<const char*, Coding> cases[] = {
      {"", Coding::identity},    {"Identity", Coding::identity}, {"GZIP", Coding::gzip},
      {"x-gzip", Coding::gzip},  {"X-GZip", Coding::gzip},       {"Zstd", Coding::zstd},
      {"x-zstd", Coding::unknown}, {"gzip2", Coding::unknown},   {"gzip, gzip", Coding::unknown},
  };
  for (const auto& [name, coding] : cases) EXPECT_EQ(wire::coding(name), coding) << name;
}

TEST_P(ContentCodingTest, RefusesABombWithoutUnpackingIt) {
  std::string out;
  const auto bomb = encode(std::string(64 * 1'024 * 1'024, '\0'));
  EXPECT_EQ(decode(bomb, 1'000'000, out), Decoding::too_large);
  EXPECT_LE(out.capacity(), 4'000'000);
}

TEST_P(ContentCodingTest, RefusesBrokenBodies) {
  std::string out;
  auto body = encode("a ballot, and another one, and another one");
  EXPECT_EQ(decode(body.substr(0, body.size() - 3), 1'000, out), Decoding::broken) << "cut short";
  EXPECT_EQ(decode(body + "rest", 1'000, out), Decoding::broken) << "something behind it";
  EXPECT_EQ(decode("neither", 1'000, out), Decoding::broken);
  EXPECT_EQ(decode("", 1'000, out), Decoding::broken);
}

INSTANTIATE_TEST_SUITE_P(All, ContentCodingTest, testing::Values(Coding::gzip, Coding::zstd));

}  // namespace
}  // namespace veche::wire
