#include "tools/veche/replay_city.h"

#include <gtest/gtest.h>

#include "engine/model/territory.h"

namespace veche::tools {
namespace {

using model::TerritoryTree;

PabulibFile city_file(std::vector<PabulibVote> votes, std::string district = {}) {
  PabulibFile file;
  file.meta = {{"country", "Poland"}, {"unit", "Kraków"}};
  if (!district.empty()) file.meta["district"] = district;
  file.votes = std::move(votes);
  return file;
}

PabulibVote vote_of(std::string voter, std::string district) {
  return {std::move(voter), {0}, {}, std::move(district)};
}

TEST(ReplayCity, GivesEveryFileOfACityTheSameCodes) {
  ReplayCity first(city_file({}));
  ReplayCity second(city_file({}));
  EXPECT_EQ(first.code(), second.code());
  EXPECT_EQ(first.district("Dębniki"), second.district("DĘBNIKI"));
  EXPECT_NE(first.district("Dębniki"), first.district("Swoszowice"));
  auto elsewhere = city_file({});
  elsewhere.meta["unit"] = "Zabrze";
  EXPECT_NE(ReplayCity(elsewhere).code(), first.code());
  EXPECT_NE(ReplayCity(elsewhere).district("Dębniki"), first.district("Dębniki"));
}

TEST(ReplayCity, PutsAVoterWhereTheFirstSourceSays) {
  struct Row {
    const char* row;
    const char* registered;  // null: not in the registry
    const char* file;
    const char* home;
  };
  constexpr Row kRows[] = {
      {"A", "B", "C", "A"},  {"A", nullptr, "", "A"}, {"", "B", "C", "B"},     {"-", "B", "C", "B"},
      {"", "", "C", "C"},    {"", "-", "C", "C"},     {"", nullptr, "C", "C"}, {"", "B", "", "B"},
      {"", nullptr, "", ""}, {"-", "-", "", ""},
  };
  for (const auto& row : kRows) {
    Registry registry;
    if (row.registered) registry = registry_of(city_file({vote_of("v", row.registered)}));
    const auto file = city_file({vote_of("v", row.row)}, row.file);
    ReplayCity city(file);
    const auto homes = homes_of(file, registry, city);
    ASSERT_EQ(homes.size(), 1U);
    EXPECT_EQ(homes[0], city.district(row.home))
        << row.row << " " << (row.registered ? row.registered : "none") << " " << row.file;
  }
}

TEST(ReplayCity, PutsANeighborhoodBelowTheDistrictOfItsPoll) {
  struct Row {
    const char* neighborhood;
    const char* district;  // of the file
    bool is_below;
  };
  constexpr Row kRows[] = {{"Górce", "Dolny", true},
                           {"Lotnisko, Stare Lotnisko", "Dolny", true},
                           {"DOLNY", "Dolny", false},
                           {"Górce", "", false}};
  for (const auto& row : kRows) {
    auto vote = vote_of("v", row.neighborhood);
    vote.in_neighborhood = true;
    const auto file = city_file({vote, vote_of("w", "")}, row.district);
    ReplayCity city(file);
    const auto target = city.target_of(file);
    const auto homes = homes_of(file, {}, city);
    const auto csv = tree_with("", city);
    ASSERT_TRUE(csv) << csv.error().message;
    const auto tree = TerritoryTree::parse_csv(csv->value());
    ASSERT_TRUE(tree) << tree.error().message;
    for (const auto& home : homes) EXPECT_TRUE(tree->is_within(home, target)) << row.neighborhood;
    EXPECT_FALSE(tree_with(csv->value(), city)->has_value()) << "all is there";
    EXPECT_EQ(homes[0] != target && homes[0] != city.district(row.neighborhood), row.is_below)
        << row.neighborhood;
  }
}

TEST(ReplayCity, TellsNeighborhoodsOfOneNameInTwoDistrictsApart) {
  ReplayCity city(city_file({}));
  EXPECT_NE(city.neighborhood("A", "Górce"), city.neighborhood("B", "Górce"));
  EXPECT_EQ(city.neighborhood("A", "Górce"), city.neighborhood("a", "GÓRCE"));
  EXPECT_EQ(city.neighborhood("A", "-"), city.district("A"));
}

TEST(ReplayCity, FindsThePollsDistrictInAListOfThem) {
  constexpr std::pair<const char*, bool> kLists[] = {
      {"Górny, DOLNY", true}, {"Górny,Średni", false}, {"Dolny", true}};
  for (const auto& [list, is_of_poll] : kLists) {
    const auto file = city_file({vote_of("v", list)}, "Dolny");
    ReplayCity city(file);
    EXPECT_EQ(homes_of(file, {}, city)[0] == city.target_of(file), is_of_poll) << list;
  }
}

TEST(ReplayCity, DoesNotTakeAnotherVotersRegistration) {
  const auto registry = registry_of(city_file({vote_of("other", "B")}));
  const auto file = city_file({vote_of("v", "")}, "C");
  ReplayCity city(file);
  EXPECT_EQ(homes_of(file, registry, city)[0], city.district("C"));
}

TEST(ReplayCity, HasAnUnknownDistrictOfItsOwn) {
  ReplayCity city(city_file({}));
  EXPECT_EQ(city.district("").view(), city.code().str() + "-unknown");
  EXPECT_EQ(city.district("-"), city.district(""));
}

TEST(ReplayCity, AsksTheDistrictOfADistrictPollElseTheCity) {
  struct Row {
    const char* district;
    bool is_city;
  };
  for (const auto& row : {Row{"", true}, Row{"-", true}, Row{"Dębniki", false}}) {
    const auto file = city_file({}, row.district);
    ReplayCity city(file);
    EXPECT_EQ(city.target_of(file), row.is_city ? city.code() : city.district(row.district));
  }
}

TEST(ReplayCity, MakesATreeWhereThereIsNone) {
  ReplayCity city(city_file({}));
  const auto district = city.district("Podgórze; \"stare\", nowe");
  const auto csv = tree_with("", city);
  ASSERT_TRUE(csv) << csv.error().message;
  const auto tree = TerritoryTree::parse_csv(csv->value());
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(tree->size(), 3U);
  EXPECT_TRUE(tree->is_within(district, city.code()));
  EXPECT_TRUE(tree->is_within(city.district(""), city.code()));
  EXPECT_EQ((*tree)[*tree->find(district)].name, "Podgórze; \"stare\", nowe");
}

TEST(ReplayCity, AddsToATreeWhatItLacksAndKeepsTheRest) {
  const std::string others =
      "oktmo8,name,kind,level,parent_oktmo8,region_subject_code,town_population\n"
      "75000000,Челябинская область,region,1,,74,\n"
      "75701000,Челябинск,city_okrug,2,75000000,74,1200703\n";
  ReplayCity city(city_file({}));
  city.district("Dębniki");
  const auto first = tree_with(others, city);
  ASSERT_TRUE(first) << first.error().message;
  city.district("Swoszowice");
  const auto second = tree_with(first->value(), city);
  ASSERT_TRUE(second) << second.error().message;
  const auto tree = TerritoryTree::parse_csv(second->value());
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(tree->size(), 2U + 4U);
  const auto kept = tree->find(*model::TerritoryCode::parse("75701000"));
  ASSERT_TRUE(kept);
  EXPECT_EQ((*tree)[*kept].town_population, 1'200'703U);
}

TEST(ReplayCity, AsksForNoNewTreeWhereNothingIsMissing) {
  ReplayCity city(city_file({}));
  city.district("Dębniki");
  const auto csv = tree_with("", city);
  ReplayCity again(city_file({}));
  again.district("DĘBNIKI");
  const auto unchanged = tree_with(csv->value(), again);
  ASSERT_TRUE(unchanged) << unchanged.error().message;
  EXPECT_FALSE(unchanged->has_value());
}

TEST(ReplayCity, RefusesATreeWhereItsCodeIsSomethingElse) {
  ReplayCity city(city_file({}));
  const auto csv =
      "oktmo8,name,kind,level,parent_oktmo8\n" + city.code().str() + ",Gdańsk,city,1,\n";
  const auto refused = tree_with(csv, city);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("Gdańsk"), std::string::npos);
}

}  // namespace
}  // namespace veche::tools
