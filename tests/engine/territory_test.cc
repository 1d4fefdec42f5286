#include "engine/model/territory.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "tests/shared_data.h"

namespace veche::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kHeader = "oktmo8,name,kind,level,parent_oktmo8\n";

TerritoryCode code(std::string_view text) { return TerritoryCode::parse(text).value(); }

TerritoryTree tree(std::string_view rows, std::string_view header = kHeader) {
  return TerritoryTree::parse_csv(std::string(header) + std::string(rows)).value();
}

std::vector<std::string> codes(const TerritoryTree& tree) {
  std::vector<std::string> all;
  for (const auto& node : tree.nodes()) all.push_back(node.code.str());
  return all;
}

// Two regions of uneven depth, rows out of order.
constexpr std::string_view kTwoRegions =
    "b2,Second,city,1,b\n"
    "b11,Leaf,settlement,2,b1\n"
    "a,First region,region,0,\n"
    "b,Second region,region,0,\n"
    "b1,First,district,1,b\n";

TEST(Territory, NodesLieInPreOrderWithSiblingsByCode) {
  const auto two = tree(kTwoRegions);
  EXPECT_THAT(codes(two), ElementsAre("a", "b", "b1", "b11", "b2"));
  EXPECT_THAT(two.roots(), ElementsAre(0, 1));
  EXPECT_THAT(two.children(1), ElementsAre(2, 4));
  EXPECT_TRUE(two.children(0).empty());
  EXPECT_THAT(two.path_to_root(3), ElementsAre(3, 2, 1));
  EXPECT_EQ(two[3].name, "Leaf");
  EXPECT_EQ(two[3].kind, "settlement");
  EXPECT_EQ(two[3].level, 2);
  EXPECT_EQ(two[3].parent, 2);
  EXPECT_EQ(two[1].end, 5);
  EXPECT_EQ(two[0].parent, std::nullopt);
}

TEST(Territory, IsWithinItselfAndWhatIsAboveItAndNothingElse) {
  const auto two = tree(kTwoRegions);
  struct Case {
    const char* inner;
    const char* outer;
    bool within;
  };
  const Case cases[] = {
      {"b11", "b11", true}, {"b11", "b1", true}, {"b11", "b", true},   {"b2", "b", true},
      {"b11", "b2", false}, {"b2", "b1", false}, {"b1", "b11", false}, {"b11", "a", false},
      {"a", "b", false},    {"b", "a", false},   {"x", "b", false},    {"b", "x", false},
      {"x", "x", false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(two.is_within(code(c.inner), code(c.outer)), c.within)
        << c.inner << " in " << c.outer;
}

TEST(Territory, IsFoundByItsCodeAlone) {
  const auto two = tree(kTwoRegions);
  EXPECT_EQ(two.find(code("b11")), 3);
  EXPECT_EQ(two.find(code("B11")), std::nullopt);
}

TEST(Territory, ColumnsMayComeInAnyOrderAndOptionalOnesMayBeEmpty) {
  const auto one = tree(
      "74,\"Город, \"\"наш\"\"\",75701000,1130273,6,1,,city_okrug\r\n"
      ",Second,x,,,1,,city\r\n",
      "\xEF\xBB\xBFregion_subject_code,name,oktmo8,town_population,control_digit,level,"
      "parent_oktmo8,kind\r\n");
  ASSERT_EQ(one.size(), 2U);
  EXPECT_EQ(one[0].name, "Город, \"наш\"");
  EXPECT_EQ(one[0].region.view(), "74");
  EXPECT_EQ(one[0].town_population, 1130273U);
  EXPECT_TRUE(one[1].region.empty());
  EXPECT_EQ(one[1].town_population, std::nullopt);
}

TEST(Territory, CsvIsTheSameWhateverTheRowsCameIn) {
  constexpr std::string_view kCanonical =
      "oktmo8,name,kind,level,parent_oktmo8,region_subject_code,town_population\n"
      "a,\"First, \"\"old\"\"\",region,0,,74,\n"
      "a1,Leaf,city,1,a,,12\n";
  const auto shuffled = TerritoryTree::parse_csv(
      "parent_oktmo8,level,kind,name,oktmo8,town_population,region_subject_code\r\n"
      "a,1,\"city\",Leaf,a1,0012,\r\n"
      ",0,region,\"First, \"\"old\"\"\",a,,74");
  EXPECT_EQ(shuffled->to_csv(), kCanonical);
  EXPECT_EQ(TerritoryTree::parse_csv(kCanonical)->to_csv(), kCanonical);
}

TEST(Territory, ControlDigitsFollowTheirRule) {
  struct Case {
    const char* code;
    std::optional<int> digit;
    const char* why;
  };
  const Case cases[] = {
      {"75701000", 6, "weights from 1"},
      {"75603466", 7, "remainder 10: weights from 3"},
      {"75642450", 0, "remainder 10 twice"},
      {"75000000", 6, "a region"},
      {"01000000", 2, "a zero in front counts"},
      {"75701000001", 0, "11 digits: the weight after 10 is 1"},
      {"7570100", std::nullopt, "7 digits"},
      {"757010001", std::nullopt, "9 digits"},
      {"7570100a", std::nullopt, "a letter"},
      {"", std::nullopt, "nothing"},
  };
  for (const auto& c : cases) EXPECT_EQ(control_digit(c.code), c.digit) << c.code << ": " << c.why;
}

struct Refused {
  const char* name;
  std::string csv;
  const char* line;
  const char* rule;
};

std::string with_header(std::string_view rows) { return std::string(kHeader) + std::string(rows); }

std::string with_digit(std::string_view code_and_digit) {
  return fmt::format("oktmo8,control_digit,name,kind,level,parent_oktmo8\n{},A,k,0,\n",
                     code_and_digit);
}

void expect_refused(const Refused& c) {
  const auto refused = TerritoryTree::parse_csv(c.csv);
  ASSERT_FALSE(refused) << c.name;
  EXPECT_THAT(refused.error().message, StartsWith(c.line)) << c.name;
  EXPECT_THAT(refused.error().message, HasSubstr(c.rule)) << c.name;
}

TEST(Territory, BrokenFilesAreRefusedWithTheLine) {
  const Refused cases[] = {
      {"empty file", "", "line 1:", "empty"},
      {"header row alone", with_header(""), "line 2:", "no territory"},
      {"unknown column", "oktmo8,name,kind,level,parent_oktmo8,color\n", "line 1:", "'color'"},
      {"column in other case", "OKTMO8,name,kind,level,parent_oktmo8\n", "line 1:", "'OKTMO8'"},
      {"column twice", "oktmo8,oktmo8,name,kind,level,parent_oktmo8\n", "line 1:", "twice"},
      {"column missing", "oktmo8,name,kind,level\n", "line 1:", "no column 'parent_oktmo8'"},
      {"too few columns", with_header("a,A,k,0\n"), "line 2:", "4 columns"},
      {"too many columns", with_header("a,A,k,0,\nb,B,k,1,a,\n"), "line 3:", "6 columns"},
      {"not UTF-8", with_header("a,\xC3,k,0,\n"), "line 2:", "UTF-8"},
      {"quote not closed", with_header("a,\"A,k,0,\n"), "line 2:", "not closed"},
  };
  for (const auto& c : cases) expect_refused(c);
}

TEST(Territory, BadCellsAreRefusedWithTheLine) {
  const std::string long_code(33, 'a'), long_name(limits::kTerritoryNameBytes + 1, 'n');
  const std::string long_kind(limits::kTerritoryKindBytes + 1, 'k');
  const Refused cases[] = {
      {"no code", with_header(",A,k,0,\n"), "line 2:", "a code is 1..32"},
      {"code too long", with_header(long_code + ",A,k,0,\n"), "line 2:", "a code is 1..32"},
      {"blank in a code", with_header("75 1,A,k,0,\n"), "line 2:", "a code is 1..32"},
      {"letter beyond ASCII in a code", with_header("ё,A,k,0,\n"), "line 2:", "a code is 1..32"},
      {"bad parent", with_header("a,A,k,0,b_c\n"), "line 2:", "parent_oktmo8 is 'b_c'"},
      {"no name", with_header("a,,k,0,\n"), "line 2:", "name is ''"},
      {"name too long", with_header("a," + long_name + ",k,0,\n"), "line 2:", "1..256 bytes"},
      {"line end in a name", with_header("a,\"A\nB\",k,0,\n"), "line 2:", "control characters"},
      {"no kind", with_header("a,A,,0,\n"), "line 2:", "kind is ''"},
      {"kind too long", with_header("a,A," + long_kind + ",0,\n"), "line 2:", "1..64 bytes"},
      {"no level", with_header("a,A,k,,\n"), "line 2:", "a level is"},
      {"negative level", with_header("a,A,k,-1,\n"), "line 2:", "a level is"},
      {"level with a tail", with_header("a,A,k,1x,\n"), "line 2:", "a level is"},
      {"level too deep", with_header("a,A,k,16,\n"), "line 2:", "a level is a number 0..15"},
      {"level far too deep", with_header("a,A,k,256,\n"), "line 2:", "a level is"},
      {"wrong digit", with_digit("75701000,5"), "line 2:", "that of 75701000 is 6"},
      {"digit of two characters", with_digit("75701000,06"), "line 2:", "that of 75701000 is 6"},
      {"digit of a code without one", with_digit("7570,6"), "line 2:", "leave it empty"},
      {"population in words",
       "town_population,oktmo8,name,kind,level,parent_oktmo8\n1e6,a,A,k,0,\n",
       "line 2:", "whole number"},
  };
  for (const auto& c : cases) expect_refused(c);
  EXPECT_TRUE(TerritoryTree::parse_csv(with_digit("75701000,6")));
  EXPECT_TRUE(TerritoryTree::parse_csv(with_digit("7570,")));
}

TEST(Territory, RowsThatMakeNoTreeAreRefusedWithTheLine) {
  const Refused cases[] = {
      {"code twice", with_header("a,A,k,0,\nb,B,k,1,a\na,C,k,0,\n"),
       "line 4:", "on line 2 already"},
      {"unknown parent", with_header("a,A,k,0,\nb,B,k,1,c\n"), "line 3:", "parent c has no row"},
      {"its own parent", with_header("r,R,k,0,\na,A,k,1,a\n"), "line 3:", "a lies below itself"},
      {"circle", with_header("r,R,k,0,\na,A,k,1,c\nb,B,k,2,a\nc,C,k,3,b\n"), "line",
       "lies below itself"},
      {"branch on a circle", with_header("a,A,k,3,b\nb,B,k,1,c\nc,C,k,2,b\n"), "line",
       "lies below itself"},
      {"level of a child not greater", with_header("b,B,k,1,a\na,A,k,1,\n"),
       "line 2:", "level 1 of b"},
  };
  for (const auto& c : cases) expect_refused(c);
}

// A chain of n nodes, each on the level below the one before.
std::string chain(std::size_t n) {
  std::string rows(kHeader);
  for (std::size_t i = 0; i < n; ++i)
    rows += fmt::format("c{},N,k,{},{}\n", i, i, i == 0 ? "" : fmt::format("c{}", i - 1));
  return rows;
}

TEST(Territory, TheDeepestTreeIsAcceptedAndOneDeeperIsNot) {
  EXPECT_TRUE(TerritoryTree::parse_csv(chain(limits::kTerritoryDepth)));
  expect_refused({"deeper", chain(limits::kTerritoryDepth + 1), "line 18:", "a level is"});
}

TEST(Territory, TheLargestTreeIsAcceptedAndOneMoreIsNot) {
  std::string rows(kHeader);
  for (std::size_t i = 0; i < limits::kTerritories; ++i) rows += fmt::format("r{},N,k,0,\n", i);
  EXPECT_EQ(TerritoryTree::parse_csv(rows)->size(), limits::kTerritories);
  expect_refused({"one more", rows + "x,N,k,0,\n", "line 50002:", "more than 50000"});
}

TEST(Territory, TheRealClassifierOfThreeRegionsIsReadWhole) {
  const auto path = tests::shared_data("territory/oktmo_3regions.csv");
  VECHE_REQUIRE_DATA(path);
  const auto real = TerritoryTree::parse_csv(tests::read_file(path));
  ASSERT_TRUE(real) << real.error().message;
  EXPECT_EQ(real->size(), 1161U);
  ASSERT_THAT(real->roots(), testing::SizeIs(3));
  std::map<std::string, int> chelyabinsk;
  const auto root = real->find(code("75000000")).value();
  for (auto place = root + 1; place < (*real)[root].end; ++place)
    ++chelyabinsk[(*real)[place].kind];
  EXPECT_EQ(chelyabinsk, (std::map<std::string, int>{{"city_okrug", 16},
                                                     {"municipal_district", 27},
                                                     {"urban_settlement", 27},
                                                     {"rural_settlement", 242},
                                                     {"intracity_district", 7}}));
  EXPECT_TRUE(real->is_within(code("75701310"), code("75701000")));
  EXPECT_TRUE(real->is_within(code("71811151"), code("71800000")));
  EXPECT_FALSE(real->is_within(code("01601000"), code("75000000")));
  EXPECT_EQ(TerritoryTree::parse_csv(real->to_csv())->to_csv(), real->to_csv());
}

TEST(Territory, TheRealDigitsFitAndNothingIsDoubtful) {
  const auto path = tests::shared_data("territory/oktmo_3regions.csv");
  VECHE_REQUIRE_DATA(path);
  const auto csv = tests::read_file(path);
  EXPECT_EQ(TerritoryTree::parse_sent(csv)->doubts, "");
  std::size_t digits = 0;
  CsvReader reader(csv);
  CsvRow row;
  ASSERT_TRUE(*reader.next(row));
  while (*reader.next(row))
    if (row.fields[1] == std::to_string(*control_digit(row.fields[0]))) ++digits;
  EXPECT_EQ(digits, 1161U);
}

// As a spreadsheet writes what it opened: of codes that begin with a zero that is gone.
std::string without_zeros(std::string_view csv, bool of_that_region_alone, bool with_digits) {
  std::string out;
  CsvReader reader(csv);
  CsvRow row;
  for (bool is_header = true; *reader.next(row); is_header = false) {
    auto& code = row.fields[0];
    auto& parent = row.fields[5];
    if (of_that_region_alone && !is_header && !code.starts_with('0')) continue;
    if (code.starts_with('0')) code.erase(0, 1);
    if (parent.starts_with('0')) parent.erase(0, 1);
    if (!with_digits && !is_header) row.fields[1].clear();
    for (std::size_t i = 0; i < row.fields.size(); ++i)
      out += (i == 0 ? "" : ",") + csv_field(row.fields[i]);
    out += '\n';
  }
  return out;
}

TEST(Territory, ARealTreeWithoutItsLeadingZerosIsDoubtful) {
  const auto path = tests::shared_data("territory/oktmo_3regions.csv");
  VECHE_REQUIRE_DATA(path);
  const auto csv = tests::read_file(path);
  const auto all = TerritoryTree::parse_sent(without_zeros(csv, false, true))->doubts;
  for (const auto* doubt : {"level 0 has codes of 7 digits (1: 1000000 on line",
                            "level 1 has codes of 7 digits (", "level 2 has codes of 7 digits (",
                            "of 1161 control digits do not fit (1000000 on line"})
    EXPECT_THAT(all, HasSubstr(doubt));
  const auto one = TerritoryTree::parse_sent(without_zeros(csv, true, true))->doubts;
  EXPECT_THAT(one, HasSubstr("control digits do not fit"));
  const auto bare = TerritoryTree::parse_sent(without_zeros(csv, true, false))->doubts;
  EXPECT_THAT(bare, HasSubstr("regions have 7 digits, as if a zero before them were lost"));
}

TEST(Territory, DoubtsAreAboutCodesThatLookLikeNumbersWithoutTheirZeros) {
  struct Case {
    const char* name;
    std::string csv;
    const char* doubt;  // empty: none
  };
  const Case cases[] = {
      {"one length a level", with_header("75,A,k,0,\n75701,B,k,1,75\n75603,C,k,1,75\n"), ""},
      {"two lengths", with_header("75,A,k,0,\n75701,B,k,1,75\n7560,C,k,1,75\n"),
       "level 1 has codes of 4 digits (1: 7560 on line 4) and of 5 digits (1: 75701 on line 3)"},
      {"two lengths of roots", with_header("75000000,A,k,0,\n1000000,B,k,0,\n"),
       "level 0 has codes of 7 digits (1: 1000000 on line 3) and of 8"},
      {"more than are told",
       with_header("r,R,k,0,\n1,A,k,1,r\n2,B,k,1,r\n3,C,k,1,r\n4,D,k,1,r\n05,E,k,1,r\n"),
       "(4: 1 on line 3, 2 on line 4, 3 on line 5, ...) and of 2 digits (1: 05 on line 7)"},
      {"letters are of any length", with_header("r,R,k,0,\nd-1,A,k,1,r\nd-10,B,k,1,r\n"), ""},
      {"letters beside one length", with_header("r,R,k,0,\n75,A,k,1,r\nd-10,B,k,1,r\n"), ""},
      {"8 and 11 digits",
       with_header("75000000,A,k,0,\n75603407,B,k,1,75000000\n75701000001,C,k,1,75000000\n"), ""},
      {"8, 11 and 10 digits",
       with_header("r,A,k,0,\n75603407,B,k,1,r\n75701000001,C,k,1,r\n1701000001,D,k,1,r\n"),
       "of 10 digits (1: 1701000001 on line 5)"},
      {"a region of 7 digits above districts of 7",
       with_header("1000000,A,k,0,\n1701000,B,k,1,1000000\n1701001,C,k,2,1701000\n"),
       "regions have 7 digits, as if a zero before them were lost (1: 1000000 on line 2)"},
      {"7 digits that are no region's", with_header("1000000,A,k,0,\n1000001,B,k,1,1000000\n"), ""},
      {"7 digits alone", with_header("1000000,A,k,0,\n"), ""},
      {"wrong digit", with_digit("75701000,5"),
       "1 of 1 control digits do not fit (75701000 on line 2 has 5 instead of 6)"},
      {"digit of a code without one", with_digit("1701000,5"), "a code of 7 characters has none"},
      {"right digit", with_digit("75701000,6"), ""},
      {"no digit", with_digit("7570,"), ""},
  };
  for (const auto& c : cases) {
    const auto sent = TerritoryTree::parse_sent(c.csv);
    ASSERT_TRUE(sent) << c.name << ": " << sent.error().message;
    EXPECT_THAT(sent->doubts, HasSubstr(c.doubt)) << c.name;
    EXPECT_EQ(sent->doubts.empty(), *c.doubt == '\0') << c.name << ": " << sent->doubts;
  }
  EXPECT_FALSE(TerritoryTree::parse_sent(with_header("a,A,k,x,\n"))) << "faults stay faults";
}

TEST(Territory, ASlipInARealCodeIsCaughtByItsDigit) {
  const auto path = tests::shared_data("territory/oktmo_3regions.csv");
  VECHE_REQUIRE_DATA(path);
  auto csv = tests::read_file(path);
  const auto at = csv.find("75603407,9");
  ASSERT_NE(at, csv.npos);
  csv[at + 6] = '1';
  expect_refused({"slip", csv, "line 4:", "that of 75603417 is"});
}

}  // namespace
}  // namespace veche::model
