#include "tools/veche/pabulib.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/shared_data.h"

namespace veche::tools {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// Three projects and two votes of any type; `meta` and the two votes are what the cases vary.
std::string pb(std::string_view meta, std::string_view columns, std::string_view votes) {
  return "META\nkey;value\nnum_projects;3\nnum_votes;2\n" + std::string(meta) +
         "\nPROJECTS\nproject_id;cost;votes;score;name\n"
         "A/1;10;2;5;Park\nB.2;20;1;1;Road\n3;5;0;0;\nVOTES\n" +
         std::string(columns) + "\n" + std::string(votes);
}

std::string approval(std::string_view votes = "u;A/1,B.2\nv;3\n") {
  return pb("vote_type;approval", "voter_id;vote", votes);
}

// What everybody must find in one approval poll, however it is written.
void expect_same_poll(const Result<PabulibFile>& file, const std::string& name) {
  ASSERT_TRUE(file) << name << ": " << file.error().message;
  EXPECT_EQ(file->vote_type, VoteType::approval) << name;
  ASSERT_EQ(file->projects.size(), 2U) << name;
  EXPECT_EQ(file->projects[0].id, "A/1") << name;
  EXPECT_EQ(file->projects[0].name, "Park; \"old\"") << name;
  EXPECT_EQ(file->projects[0].votes, 2U) << name;
  EXPECT_EQ(file->projects[0].score, std::nullopt) << name;
  ASSERT_EQ(file->votes.size(), 2U) << name;
  EXPECT_EQ(file->votes[0].voter_id, "u") << name;
  EXPECT_THAT(file->votes[0].choices, ElementsAre(1, 0)) << name;
  EXPECT_THAT(file->votes[0].points, IsEmpty()) << name;
  EXPECT_EQ(file->votes[0].district, "Huby") << name;
  EXPECT_EQ(file->votes[1].district, "") << name;
}

TEST(Pabulib, TheSamePollIsReadFromEveryDialect) {
  const std::string plain =
      "META\nkey;value\nvote_type;approval\nnum_projects;2\nnum_votes;2\nPROJECTS\n"
      "project_id;cost;votes;name\nA/1;10;2;\"Park; \"\"old\"\"\"\nB.2;20;1;Road\nVOTES\n"
      "voter_id;vote;district\nu;B.2,A/1;Huby\nv;A/1;\n";
  const std::string other_columns =
      "META\nkey;value\nnum_votes;2\nnum_projects;2\nmy own;1\nvote_type;approval\nPROJECTS\n"
      "name;color;votes;project_id\n\"Park; \"\"old\"\"\";red;2;A/1\nRoad;;1;B.2\nVOTES\n"
      "neighborhood;sex;age;vote;voter_id\nHuby;F;7;B.2,A/1;u\n;M;;A/1;v\n";
  const std::pair<const char*, std::string> cases[] = {
      {"plain", plain},
      {"carriage returns", replaced(plain, "\n", "\r\n")},
      {"byte order mark", "\xEF\xBB\xBF" + plain},
      {"no final line end", plain.substr(0, plain.size() - 1)},
      {"padding", replaced(replaced(plain, ";", " ; "), "Park ;  ", "Park; ")},
      {"padding in lists", replaced(plain, "B.2,A/1", "B.2 , A/1")},
      {"quotes around everything in a row",
       replaced(plain, "u;B.2,A/1;Huby", "\"u\";\"B.2,A/1\";\"Huby\"")},
      {"empty lines", replaced(replaced(plain, "PROJECTS", "\n \nPROJECTS"), "VOTES", "\nVOTES")},
      {"columns in another order, some unknown", other_columns},
      {"titles, columns and keys in other letters",
       replaced(replaced(replaced(plain, "META", "Meta"), "VOTES\nvoter_id", "votes\nVoter_ID"),
                "num_votes;2\nP", "Num_Votes;2\nP")},
      {"as wide as a spreadsheet made it",
       replaced(replaced(replaced(plain, "\n", ";;\n"), "VOTES;;", "VOTES;;;"), "META;;", "META;")},
      {"carriage returns alone", replaced(plain, "\n", "\r")},
      {"district before neighborhood",
       replaced(replaced(plain, ";district", ";neighborhood;district"), ";Huby\nv;A/1;",
                ";Gaj;Huby\nv;A/1;;")},
      {"district empty, neighborhood known",
       replaced(replaced(plain, ";district", ";district;neighborhood"), ";Huby\nv;A/1;",
                ";;Huby\nv;A/1;;")},
  };
  for (const auto& [name, text] : cases) expect_same_poll(parse_pabulib(text), name);
}

TEST(Pabulib, LimitsOfAVoteFollowTheTypeAndItsKeys) {
  constexpr const char* kVotes = "u;3;4\nv;3;4";
  struct Case {
    const char* meta;
    std::uint32_t min;
    std::uint32_t max;
  };
  const Case cases[] = {
      {"vote_type;choose-1", 1, 1},
      {"vote_type;choose-1\nmax_length;3", 1, 1},
      {"vote_type;approval", 1, 3},
      {"vote_type;approval\nmin_length;0\nmax_length;2", 1, 2},
      {"vote_type;approval\nmax_length;9", 1, 3},
      {"vote_type;ordinal\nmin_length;1\nmax_length;2", 1, 2},
      {"vote_type;cumulative\nmax_sum_points;7", 1, 7},
      {"vote_type;cumulative\nmin_sum_points;2\nmax_sum_points;7", 2, 7},
      {"vote_type;scoring\nmax_points;9", 1, 4},
  };
  for (const auto& c : cases) {
    const auto file = parse_pabulib(pb(c.meta, "voter_id;vote;points", kVotes));
    ASSERT_TRUE(file) << c.meta << ": " << file.error().message;
    EXPECT_EQ(file->min, c.min) << c.meta;
    EXPECT_EQ(file->max, c.max) << c.meta;
  }
}

TEST(Pabulib, OrdinalPointsGoByPosition) {
  struct Case {
    const char* name;
    const char* meta;
    const char* votes;
    std::vector<std::uint32_t> by_position, first_vote;
  };
  const Case cases[] = {
      {"as the file gives them",
       "max_length;3",
       "u;3,A/1;;9,4\nv;B.2,3,A/1;;9,4,2",
       {9, 4, 2},
       {9, 4}},
      {"from the length where it gives none", "max_length;2", "u;3,A/1;;\nv;3;;", {2, 1}, {2, 1}},
      {"from the number of projects", "scoring_fn;Borda", "u;3;;\nv;3;;", {3, 2, 1}, {3}},
      {"one fewer beyond the given", "edition;8", "u;3,A/1;;1,0\nv;3;;", {1, 0, 0}, {1, 0}},
      {"empty in one vote alone", "edition;8", "u;3;;\nv;A/1,3,B.2;;5,3,1", {5, 3, 1}, {5}},
  };
  for (const auto& c : cases) {
    const auto file = parse_pabulib(
        pb(std::string("vote_type;ordinal\n") + c.meta, "voter_id;vote;age;points", c.votes));
    ASSERT_TRUE(file) << c.name << ": " << file.error().message;
    EXPECT_EQ(file->position_points, c.by_position) << c.name;
    EXPECT_EQ(file->votes[0].points, c.first_vote) << c.name;
  }
}

TEST(Pabulib, SpreadPointsStayWithTheirProjectsAndZeroesAreDropped) {
  for (const char* type : {"vote_type;cumulative\nmax_sum_points;7", "vote_type;scoring"}) {
    const auto file =
        parse_pabulib(pb(type, "voter_id;points;vote", "u;\"4, 0,3\";\"3,A/1,B.2\"\nv;2;A/1\n"));
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_THAT(file->votes[0].choices, ElementsAre(2, 1));
    EXPECT_THAT(file->votes[0].points, ElementsAre(4, 3));
    EXPECT_THAT(file->position_points, IsEmpty());
  }
}

struct Refused {
  const char* name;
  std::string text;
  const char* line;
  const char* rule;
};

void expect_refused(const Refused& c) {
  const auto file = parse_pabulib(c.text);
  ASSERT_FALSE(file) << c.name;
  EXPECT_THAT(file.error().message, AllOf(StartsWith(c.line), HasSubstr(c.rule))) << c.name;
}

TEST(Pabulib, FilesOfAnotherShapeAreRefusedWithTheLine) {
  const auto good = approval();
  ASSERT_TRUE(parse_pabulib(good)) << parse_pabulib(good).error().message;
  const Refused cases[] = {
      {"empty", "", "line 1:", "without the section META"},
      {"no META", good.substr(good.find("PROJECTS")), "line 1:", "where META should be"},
      {"something before META", "x;y\n" + good, "line 1:", "does not begin with the section META"},
      {"no PROJECTS", "META\nkey;value\nvote_type;approval\nVOTES\n", "line 4:", "where PROJECTS"},
      {"no VOTES", good.substr(0, good.find("VOTES")), "line 10:", "without the section VOTES"},
      {"a section twice", good + "VOTES\nvoter_id;vote\n", "line 15:", "where none should be"},
      {"no row of columns", "META\nPROJECTS\n", "line 1:", "no row of column names"},
      {"no row of columns at the end", good.substr(0, good.find("voter_id")),
       "line 11:", "no row of column names"},
      {"other columns of META", replaced(good, "key;value", "name;value"), "line 2:", "key;value"},
      {"no project_id", replaced(good, "project_id;", "id;"), "line 6:", "'project_id'"},
      {"no voter_id", replaced(good, "voter_id;", "id;"), "line 11:", "'voter_id'"},
      {"no vote", replaced(good, ";vote\n", ";votes\n"), "line 11:", "'vote'"},
      {"no points", pb("vote_type;scoring", "voter_id;vote", "u;3\nv;3\n"), "line 11:", "'points'"},
      {"column twice", replaced(good, "cost;votes", "cost;cost"), "line 7:", "'cost' comes twice"},
      {"too few columns", replaced(good, "v;3", "v"), "line 14:", "1 columns where VOTES has 2"},
      {"too many columns", replaced(good, ";Park", ";Park;"),
       "line 8:", "6 columns where PROJECTS"},
      {"META row too wide", replaced(good, ";approval", ";approval;"), "line 5:", "3 columns"},
      {"not UTF-8", replaced(good, "Road", "R\xF3w"), "line 9:", "UTF-8"},
      {"quote not closed", replaced(good, "Road", "\"Road"), "line 9:", "not closed"},
  };
  for (const auto& c : cases) expect_refused(c);
}

TEST(Pabulib, BrokenMetaAndProjectsAreRefusedWithTheLine) {
  const auto good = approval();
  const Refused cases[] = {
      {"no vote_type", replaced(good, "vote_type", "type"), "line 1:", "vote_type is ''"},
      {"unknown vote_type", replaced(good, ";approval", ";veto"), "line 5:", "vote_type is 'veto'"},
      {"key twice", replaced(good, "num_votes;2", "num_votes;2\nnum_votes;2"), "line 5:", "twice"},
      {"no key", replaced(good, "num_votes;", ";"), "line 4:", "without a key"},
      {"no num_votes", replaced(good, "num_votes", "votes"), "line 1:", "VOTES has 2 rows"},
      {"fewer votes than promised", replaced(good, "num_votes;2", "num_votes;3"),
       "line 4:", "VOTES has 2 rows"},
      {"more votes than promised", good + "w;3\n", "line 4:", "VOTES has 3 rows"},
      {"no num_projects", replaced(good, "num_projects", "n"), "line 1:", "PROJECTS has 3 rows"},
      {"other number of projects", replaced(good, "num_projects;3", "num_projects;2"),
       "line 3:", "PROJECTS has 3 rows"},
      {"number in words", replaced(good, "num_votes;2", "num_votes;two"),
       "line 4:", "whole number"},
      {"negative number", replaced(good, "num_votes;2", "num_votes;2\nmin_length;-1"),
       "line 5:", "whole number"},
      {"no vote is long enough", replaced(good, "num_votes;2", "num_votes;2\nmin_length;4"),
       "line 1:", "at least 4"},
      {"no limit of a sum", pb("vote_type;cumulative", "voter_id;vote;points", "u;3;1\nv;3;1"),
       "line 1:", "max_sum_points"},
      {"points by default", pb("default_score;1\nvote_type;scoring", "voter_id;vote;points", ""),
       "line 5:", "default_score is '1'"},
      {"unknown points of positions",
       pb("vote_type;ordinal\nscoring_fn;Dowdall", "voter_id;vote", "u;3\nv;3"),
       "line 6:", "scoring_fn is 'Dowdall'"},
      {"project twice", replaced(good, "B.2;20", "A/1;20"), "line 9:", "project A/1 comes twice"},
      {"project without id", replaced(good, "B.2;20", ";20"), "line 9:", "without project_id"},
      {"votes in words", replaced(good, "20;1;1", "20;one;1"), "line 9:", "votes is 'one'"},
      {"votes with a fraction", replaced(good, "20;1;1", "20;1.0;1"), "line 9:", "votes is '1.0'"},
      {"score in words", replaced(good, "20;1;1", "20;1;x"), "line 9:", "score is 'x'"},
  };
  for (const auto& c : cases) expect_refused(c);
}

std::string cumulative(std::string_view second_vote) {
  return pb("vote_type;cumulative\nmin_sum_points;2\nmax_sum_points;5\nmax_points;4",
            "voter_id;vote;points", "u;3;3\n" + std::string(second_vote));
}

TEST(Pabulib, BrokenVotesAreRefusedWithTheLine) {
  const auto ordinal = [](std::string_view second_vote) {
    return pb("vote_type;ordinal\nmax_length;2", "voter_id;vote;points",
              "u;3,A/1;3,2\n" + std::string(second_vote));
  };
  const Refused cases[] = {
      {"unknown project", approval("u;3\nv;3,C\n"), "line 14:", "project 'C', which is unknown"},
      {"empty place in the list", approval("u;3,\nv;3\n"), "line 13:", "project '', which"},
      {"no project", approval("u;3\nv;\n"), "line 14:", "a vote of 0 projects"},
      {"voter twice", approval("u;3\nu;A/1\n"), "line 14:", "voter u comes twice"},
      {"no voter", approval("u;3\n;A/1\n"), "line 14:", "without voter_id"},
      {"two choices of one", pb("vote_type;choose-1", "voter_id;vote", "u;3\nv;3,A/1\n"),
       "line 14:", "a vote of 2 projects, where META allows 1 to 1"},
      {"fewer points than projects", cumulative("v;3,A/1;3\n"),
       "line 17:", "points for 1 projects"},
      {"more points than projects", cumulative("v;3;3,1\n"), "line 17:", "points for 2 projects"},
      {"no points", cumulative("v;3;\n"), "line 17:", "points for 0 projects"},
      {"points in words", cumulative("v;3;many\n"), "line 17:", "points are 'many'"},
      {"negative points", cumulative("v;3,A/1;3,-1\n"), "line 17:", "points are '-1'"},
      {"broken points", cumulative("v;3;2.5\n"), "line 17:", "points are '2.5'"},
      {"points beyond any limit", cumulative("v;3;1000001\n"), "line 17:", "0..1000000"},
      {"other points for a position", ordinal("v;3,A/1;2,3\n"),
       "line 15:", "2 points for position 1, which had 3 before"},
      {"ordinal points for too few", ordinal("v;3,A/1;3\n"), "line 15:", "points for 1 projects"},
  };
  for (const auto& c : cases) expect_refused(c);
  EXPECT_TRUE(parse_pabulib(cumulative("v;3,A/1;4,1\n")));
  EXPECT_TRUE(parse_pabulib(ordinal("v;A/1;3\n")));
}

std::string notes_of(const PabulibFile& file) {
  std::string text;
  for (const auto& note : file.notes) text += fmt::format("{}: {}|", note.line, note.text);
  return text;
}

std::string deviations_of(const PabulibFile& file) {
  std::string text;
  for (const auto& d : file.deviations)
    text += fmt::format("{} {} {:+} {:+} {}|", d.line, file.projects[d.project].id, d.votes,
                        d.score, d.reason);
  return text;
}

PabulibFile parsed(const std::string& text) {
  auto file = parse_pabulib(text);
  EXPECT_TRUE(file) << file.error().message << text;
  return file ? *file : PabulibFile();
}

TEST(Pabulib, WhatMetaForbidsAndWasCountedIsReadAndNoted) {
  struct Case {
    const char* name;
    std::string text;
    const char* notes;
    std::uint32_t min, max;
  };
  const Case cases[] = {
      {"too many choices",
       pb("vote_type;approval\nmax_length;1", "voter_id;vote", "u;3\nv;3,A/1\n"),
       "15: a vote of 2 projects, where META allows 1 to 1|", 1, 2},
      {"too few choices", pb("vote_type;approval\nmin_length;2", "voter_id;vote", "u;3\nv;3,A/1\n"),
       "14: a vote of 1 projects, where META allows 2 to 3|", 1, 3},
      {"too long a ranking",
       pb("vote_type;ordinal\nmax_length;1", "voter_id;vote", "u;3\nv;3,A/1\n"),
       "15: a vote of 2 projects, where META allows 1 to 1|", 1, 2},
      {"too many points for a project", cumulative("v;3;5\n"),
       "17: a vote of 5 points for a project, where META allows 0 to 4|", 2, 5},
      {"too many points in all", cumulative("v;3,A/1;3,3\n"),
       "17: a vote of 6 points in all, where META allows 2 to 5|", 2, 6},
      {"too few points in all", cumulative("v;3,A/1;1,0\n"),
       "17: a vote of 1 points in all, where META allows 2 to 5|", 1, 5},
  };
  for (const auto& c : cases) {
    const auto file = parsed(c.text);
    EXPECT_EQ(notes_of(file), c.notes) << c.name;
    EXPECT_EQ(file.min, c.min) << c.name;
    EXPECT_EQ(file.max, c.max) << c.name;
    EXPECT_EQ(file.votes.size(), 2U) << c.name;
  }
}

TEST(Pabulib, AProjectNamedTwiceInAVoteCountsOnceWhereItIsNamedFirst) {
  const auto named = parsed(approval("u;3,A/1,3,3\nv;A/1,A/1\n"));
  EXPECT_THAT(named.votes[0].choices, ElementsAre(2, 0));
  EXPECT_THAT(named.votes[1].choices, ElementsAre(0));
  EXPECT_EQ(notes_of(named),
            "13: names project 3 3 times; counted once|14: names project A/1 twice; counted once|");
  EXPECT_EQ(deviations_of(named), "13 3 +2 +2 names it 3 times|14 A/1 +1 +1 names it twice|");

  EXPECT_TRUE(parse_pabulib(pb("vote_type;choose-1", "voter_id;vote", "u;3\nv;3,3\n")));

  const auto spread = parsed(pb("vote_type;cumulative\nmax_sum_points;9", "voter_id;vote;points",
                                "u;3,3,A/1;2,3,4\nv;3;1\n"));
  EXPECT_THAT(spread.votes[0].choices, ElementsAre(2, 0));
  EXPECT_THAT(spread.votes[0].points, ElementsAre(2, 4));
  EXPECT_EQ(deviations_of(spread), "14 3 +1 +3 names it twice|");
}

TEST(Pabulib, WhoStandsBehindAProjectNamedTwiceRanksHigher) {
  const auto file = parsed(
      pb("vote_type;ordinal\nmax_length;3", "voter_id;vote;points", "u;3,3,A/1;3,2,1\nv;B.2;3\n"));
  EXPECT_THAT(file.votes[0].choices, ElementsAre(2, 0));
  EXPECT_THAT(file.votes[0].points, ElementsAre(3, 2));
  EXPECT_THAT(file.position_points, ElementsAre(3, 2, 1));
  EXPECT_EQ(deviations_of(file),
            "14 A/1 +0 -1 names project 3 twice, so this one ranks higher|"
            "14 3 +1 +2 names it twice|");
}

// The projects' official votes and scores as given, three voters.
std::string with_totals(std::string_view meta, std::string_view totals, std::string_view votes) {
  return "META\nkey;value\nnum_projects;3\nnum_votes;3\n" + std::string(meta) +
         "\nPROJECTS\nproject_id;votes;score\n" + std::string(totals) +
         "VOTES\nvoter_id;vote;points\n" + std::string(votes);
}

TEST(Pabulib, ZeroPointsMakeAVoteWhereTheOfficialOnesHaveIt) {
  constexpr const char* kMeta = "vote_type;cumulative\nmax_sum_points;5";
  constexpr const char* kVotes = "u;A,B;5,0\nv;B;5\nw;A,B;4,0\n";
  const auto counted = parsed(with_totals(kMeta, "A;2;9\nB;3;5\nC;0;0\n", kVotes));
  EXPECT_TRUE(counted.counts_unpaid);
  EXPECT_THAT(counted.votes[0].choices, ElementsAre(0));
  EXPECT_THAT(counted.votes[0].unpaid, ElementsAre(1));
  const auto dropped = parsed(with_totals(kMeta, "A;2;9\nB;1;5\nC;0;0\n", kVotes));
  EXPECT_FALSE(dropped.counts_unpaid);
  EXPECT_EQ(deviations_of(dropped), "14 B +1 +0 gives it 0 points|16 B +1 +0 gives it 0 points|");
}

TEST(Pabulib, VotesThatNobodyCanCountAreLeftOutAndNoted) {
  const auto zero = parsed(with_totals("vote_type;cumulative\nmax_sum_points;5",
                                       "A;2;5\nB;1;5\nC;0;0\n", "u;A;5\nv;B;5\nw;A;0\n"));
  EXPECT_EQ(zero.votes.size(), 2U);
  EXPECT_THAT(notes_of(zero), HasSubstr("16: gives 0 points in all"));
  EXPECT_EQ(deviations_of(zero), "16 A +1 +0 gives it 0 points|");
  const auto blank =
      parsed(pb("vote_type;approval\nmin_length;0", "voter_id;vote", "u;3\nv;\n"));
  EXPECT_EQ(blank.votes.size(), 1U);
  EXPECT_EQ(notes_of(blank), "15: names no project; not sent|");
}

TEST(Pabulib, RanksWithoutALengthBringWhatGivesTheOfficialScores) {
  constexpr const char* kVotes = "u;A,B;\nv;B,A;\nw;A;\n";
  const auto longest = parsed(with_totals("vote_type;ordinal", "A;3;5\nB;2;3\nC;0;0\n", kVotes));
  EXPECT_THAT(longest.position_points, ElementsAre(2, 1, 0));
  EXPECT_EQ(longest.scores_without_rule, "");
  const auto projects = parsed(with_totals("vote_type;ordinal", "A;3;8\nB;2;5\nC;0;0\n", kVotes));
  EXPECT_THAT(projects.position_points, ElementsAre(3, 2, 1));
  EXPECT_EQ(projects.scores_without_rule, "");
}

TEST(Pabulib, ScoresWithoutARuleAreNotComparableAndOthersAre) {
  constexpr const char* kRanks = "u;A,B;\nv;B,A;\nw;A;\n";
  constexpr const char* kPoints = "u;A,B;2,1\nv;B,A;2,1\nw;A;2\n";
  constexpr const char* kOdd = "A;3;77\nB;2;31\nC;0;0\n";
  const auto without_rule = [](const char* meta, const char* totals, const char* votes) {
    return parsed(with_totals(meta, totals, votes)).scores_without_rule;
  };
  EXPECT_THAT(without_rule("vote_type;ordinal", kOdd, kRanks),
              AllOf(HasSubstr("0 of 2 follow"), HasSubstr("what a rank brings")));
  EXPECT_THAT(without_rule("vote_type;ordinal\nrule;unknown\nmax_length;2", kOdd, kRanks),
              HasSubstr("rule is unknown"));
  EXPECT_THAT(without_rule("vote_type;cumulative\nmax_sum_points;3\ncomment;#1: This instance has "
                           "not been fully validated.",
                           kOdd, kPoints),
              HasSubstr("not been fully validated"));
  EXPECT_THAT(without_rule("vote_type;approval", kOdd, kRanks), HasSubstr("bring no points"));
  // The file says how its scores come about; or all but one do, so that the one is wrong.
  EXPECT_EQ(without_rule("vote_type;ordinal\nrule;greedy\nmax_length;2", kOdd, kRanks), "");
  EXPECT_EQ(without_rule("vote_type;cumulative\nmax_sum_points;3", kOdd, kPoints), "");
  EXPECT_EQ(without_rule("vote_type;ordinal\nrule;unknown", "A;3;5\nB;2;31\nC;0;0\n", kRanks), "");
}

// A directory of its own for each test, gone afterwards.
class PabulibPath : public testing::Test {
 protected:
  PabulibPath() { std::filesystem::create_directory(directory_); }
  ~PabulibPath() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path write(const char* name, std::string_view bytes) const {
    const auto path = directory_ / name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::string packed(const std::string& text) const {
    const auto path = directory_ / "packed";
    const auto file = gzopen(path.c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return tests::read_file(path);
  }
  static std::string fault(const std::filesystem::path& path) {
    const auto file = read_pabulib(path);
    return file ? "" : file.error().message;
  }

 private:
  const std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) /
      (std::string("pabulib_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(PabulibPath, FilesAreReadPackedAndPlain) {
  EXPECT_EQ(fault(write("a.pb", approval())), "");
  EXPECT_EQ(fault(write("a.pb.gz", packed(approval()))), "");
}

TEST_F(PabulibPath, FaultsNameThePath) {
  const auto path = write("bad.pb", approval("u;3\nv;C\n"));
  EXPECT_THAT(fault(path), StartsWith(path.string() + ": line 14:"));
}

TEST_F(PabulibPath, DamagedFilesAreRefused) {
  auto bytes = packed(approval());
  EXPECT_THAT(fault(write("cut.pb.gz", bytes.substr(0, bytes.size() / 2))), HasSubstr("unpacked"));
  EXPECT_THAT(fault(write("unsummed.pb.gz", bytes.substr(0, bytes.size() - 8))),
              HasSubstr("unpacked"));
  bytes[bytes.size() / 2] ^= 0x10;
  EXPECT_THAT(fault(write("flipped.pb.gz", bytes)), HasSubstr("unpacked"));
  EXPECT_THAT(fault(write("plain.pb.gz", approval())), HasSubstr("not compressed by gzip"));
  EXPECT_THAT(fault("/nowhere/a.pb"), HasSubstr("cannot be opened"));
  EXPECT_THAT(fault(testing::TempDir()), HasSubstr("cannot be read"));
}

TEST(PabulibPollId, ComesFromTheNameOfTheFile) {
  const std::pair<const char*, const char*> cases[] = {
      {"Poland_Wroclaw_2020.pb.gz", "poland-wroclaw-2020"},
      {"/data/x.y/Poland_Wroclaw_2020.pb", "poland-wroclaw-2020"},
      {"Poland_Katowice_2023_Janow_-_Nikiszowiec.pb", "poland-katowice-2023-janow-nikiszowiec"},
      {"Łódź 2022.pb", "lodz-2022"},
      {"Челябинск_2024.pb", "celabinsk-2024"},
      {"_a_.pb", "a"},
      {"v1.2.pb", "v1-2"},
  };
  for (const auto& [path, id] : cases) EXPECT_EQ(poll_id_of(path).view(), id) << path;
}

TEST(PabulibPollId, DiffersForLongNamesThatDifferOnlyAtTheEnd) {
  const std::string same(70, 'a');
  const auto one = poll_id_of(same + "1.pb");
  EXPECT_EQ(one, poll_id_of(same + "1.pb.gz"));
  EXPECT_NE(one, poll_id_of(same + "2.pb"));
  EXPECT_EQ(one.view().size(), 64U);
  EXPECT_EQ(poll_id_of(std::string(64, 'a') + ".pb").view(), std::string(64, 'a'));
  EXPECT_NE(poll_id_of("___.pb"), poll_id_of("____.pb"));
}

TEST(PabulibFold, MakesWritingsOfOneNameEqual) {
  const std::pair<const char*, const char*> equal[] = {
      {"BIEŻANÓW-PROKOCIM", "Bieżanów-Prokocim"},
      {" Huby\t", "HUBY"},
      {"\u00A0Gaj\u00A0", "gaj"},
      {"Z\u0307andka", "Żandka"},
      {"Straße", "STRASSE"},
      {"СМОЛИНО", "Смолино"},
  };
  for (const auto& [one, other] : equal) EXPECT_EQ(fold(one), fold(other));
  EXPECT_NE(fold("Zandka"), fold("Żandka"));
  EXPECT_EQ(fold(" "), "");
}

// --- Real ballots ------------------------------------------------------------------------------

// Name and bytes of each file in a tar archive packed by gzip, of the plain old format.
std::map<std::string, std::string> unpack(const std::filesystem::path& path) {
  constexpr std::size_t kBlockBytes = 512;
  std::map<std::string, std::string> files;
  const auto archive = gzopen(path.c_str(), "rb");
  char header[kBlockBytes];
  while (gzread(archive, header, kBlockBytes) == kBlockBytes && header[0] != '\0') {
    std::string bytes(std::stoul(std::string(header + 124, 12), nullptr, 8), '\0');
    gzread(archive, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzseek(archive, (kBlockBytes - bytes.size() % kBlockBytes) % kBlockBytes, SEEK_CUR);
    files.emplace(header, std::move(bytes));
  }
  gzclose(archive);
  return files;
}

// Counts the votes and compares with what the organizers counted; returns the number of votes.
std::size_t recount(const std::string& name, const Result<PabulibFile>& file) {
  if (!file) {
    ADD_FAILURE() << name << ": " << file.error().message;
    return 0;
  }
  std::vector<std::uint64_t> voters(file->projects.size()), points(file->projects.size());
  for (const auto& vote : file->votes)
    for (std::size_t i = 0; i < vote.choices.size(); ++i) {
      ++voters[vote.choices[i]];
      if (!vote.points.empty()) points[vote.choices[i]] += vote.points[i];
    }
  for (std::size_t i = 0; i < voters.size(); ++i) {
    const auto& project = file->projects[i];
    EXPECT_EQ(project.votes, voters[i]) << name << " project " << project.id;
    EXPECT_EQ(project.score.value_or(points[i]), points[i]) << name << " project " << project.id;
  }
  const bool sums = file->vote_type == VoteType::ordinal || file->vote_type == VoteType::cumulative;
  EXPECT_EQ(file->projects[0].score.has_value(), sums) << name;
  return file->votes.size();
}

struct City {
  const char* name;
  VoteType type;
  std::uint32_t min, max;
  std::size_t votes;
  std::size_t blank_districts;
};

TEST(PabulibRealFiles, ARecountOfEveryCityEqualsTheOfficialOne) {
  const City cities[] = {
      {"Wroclaw_2020", VoteType::choose_one, 1, 1, 89'419, 2'340},
      {"Zabrze_2020", VoteType::choose_one, 1, 1, 9'375, 343},
      {"Krakow_2021", VoteType::ordinal, 3, 3, 51'229, 0},
      {"Katowice_2023", VoteType::cumulative, 1, 3, 39'828, 1'852},
      {"Warszawa_2026", VoteType::approval, 1, 5, 61'668, 0},
  };
  for (const auto& city : cities) {
    const auto path = tests::shared_data(fmt::format("ballots/Poland_{}.pb.gz", city.name));
    VECHE_REQUIRE_DATA(path);
    const auto file = read_pabulib(path);
    EXPECT_EQ(recount(city.name, file), city.votes);
    if (!file) continue;
    EXPECT_EQ(file->vote_type, city.type) << city.name;
    EXPECT_EQ(file->min, city.min) << city.name;
    EXPECT_EQ(file->max, city.max) << city.name;
    EXPECT_EQ(std::count_if(file->votes.begin(), file->votes.end(),
                            [](auto& vote) { return vote.district.empty(); }),
              city.blank_districts)
        << city.name;
  }
}

struct Districts {
  const char* name;
  std::size_t polls;
  std::size_t votes;
};

TEST(PabulibRealFiles, ARecountOfEveryDistrictPollEqualsTheOfficialOne) {
  const Districts cities[] = {
      {"Zabrze_2020", 18, 14'104}, {"Krakow_2021", 18, 51'229}, {"Katowice_2023", 22, 44'969}};
  std::set<model::PollId> ids;
  for (const auto& city : cities) {
    const auto path =
        tests::shared_data(fmt::format("ballots/Poland_{}__district_polls.tar.gz", city.name));
    VECHE_REQUIRE_DATA(path);
    std::size_t votes = 0;
    const auto files = unpack(path);
    for (const auto& [name, text] : files) {
      votes += recount(name, parse_pabulib(text));
      EXPECT_TRUE(ids.insert(poll_id_of(name)).second) << name;
    }
    EXPECT_EQ(files.size(), city.polls) << city.name;
    EXPECT_EQ(votes, city.votes) << city.name;
  }
}

TEST(PabulibRealFiles, EveryVoterOfAKrakowDistrictPollHasThatHomeDistrict) {
  const auto path = tests::shared_data("ballots/Poland_Krakow_2021.pb.gz");
  const auto polls = tests::shared_data("ballots/Poland_Krakow_2021__district_polls.tar.gz");
  VECHE_REQUIRE_DATA(path);
  VECHE_REQUIRE_DATA(polls);
  std::map<std::string, std::string> homes;
  const auto city = read_pabulib(path).value();
  for (const auto& vote : city.votes) homes.emplace(vote.voter_id, fold(vote.district));
  for (const auto& [name, text] : unpack(polls)) {
    const auto poll = parse_pabulib(text).value();
    const auto district = fold(poll.meta_value("district"));
    for (const auto& vote : poll.votes) ASSERT_EQ(homes.at(vote.voter_id), district) << name;
  }
}

}  // namespace
}  // namespace veche::tools
