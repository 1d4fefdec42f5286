#include "tools/veche/region.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include "engine/model/csv.h"
#include "engine/model/territory.h"

namespace veche::tools {
namespace {

using model::TerritoryTree;

constexpr std::uint64_t kSeeds[] = {0, 1, 42, 0xFFFF'FFFF'FFFF'FFFF};

std::uint64_t people(const Region& region) {
  return std::accumulate(region.homes.begin(), region.homes.end(), std::uint64_t{0},
                         [](auto sum, const Home& home) { return sum + home.population; });
}

TEST(Region, HasTheShapeOfARealOne) {
  for (const auto seed : kSeeds) {
    const auto csv = make_region(seed).csv;
    const auto tree = TerritoryTree::parse_csv(csv);
    ASSERT_TRUE(tree) << tree.error().message;
    EXPECT_EQ(TerritoryTree::parse_sent(csv)->doubts, "");
    std::map<std::string, int> kinds;
    for (const auto& node : tree->nodes()) ++kinds[node.kind];
    EXPECT_EQ(kinds, (std::map<std::string, int>{{"region", 1},
                                                 {"city_okrug", 16},
                                                 {"municipal_district", 27},
                                                 {"urban_settlement", 27},
                                                 {"rural_settlement", 242},
                                                 {"intracity_district", 7}}));
    EXPECT_EQ(tree->size(), 1U + 319U);
    EXPECT_EQ(tree->roots().size(), 1U);
  }
}

TEST(Region, SettlementsLieInDistrictsAndCityDistrictsInOneOkrug) {
  const auto tree = TerritoryTree::parse_csv(make_region(7).csv).value();
  std::set<model::TerritoryIndex> capitals;
  for (const auto& node : tree.nodes()) {
    if (node.level == 0) continue;
    const auto& parent = tree[node.parent.value()];
    if (node.kind == "intracity_district") capitals.insert(*node.parent);
    EXPECT_EQ(parent.kind, node.level == 1                     ? "region"
                           : node.kind == "intracity_district" ? "city_okrug"
                                                               : "municipal_district");
  }
  EXPECT_EQ(capitals.size(), 1U);
}

TEST(Region, EveryCodeHasItsRightControlDigit) {
  const auto region = make_region(3);
  model::CsvReader reader(region.csv);
  model::CsvRow row;
  ASSERT_TRUE(reader.next(row).value());
  ASSERT_EQ(row.fields[1], "control_digit");
  while (reader.next(row).value())
    EXPECT_EQ(row.fields[1], std::to_string(model::control_digit(row.fields[0]).value()));
}

TEST(Region, NamesAreAllDifferent) {
  const auto tree = TerritoryTree::parse_csv(make_region(3).csv).value();
  std::set<std::string> names;
  for (const auto& node : tree.nodes()) EXPECT_TRUE(names.insert(node.name).second) << node.name;
}

TEST(Region, HomesAreExactlyTheTerritoriesWithNothingBelow) {
  const auto region = make_region(5);
  const auto tree = TerritoryTree::parse_csv(region.csv).value();
  std::set<model::TerritoryCode> leaves, homes;
  for (model::TerritoryIndex place = 0; place < tree.size(); ++place)
    if (tree.children(place).empty()) leaves.insert(tree[place].code);
  for (const auto& home : region.homes) homes.insert(home.code);
  EXPECT_EQ(homes, leaves);
  EXPECT_EQ(region.homes.size(), homes.size());
  EXPECT_TRUE(std::is_sorted(region.homes.begin(), region.homes.end(),
                             [](auto& a, auto& b) { return a.code < b.code; }));
}

TEST(Region, PeopleLiveAsUnequallyAsInARealOne) {
  for (const auto seed : kSeeds) {
    const auto region = make_region(seed);
    EXPECT_NEAR(static_cast<double>(people(region)), 3'400'000, 1'000);
    std::uint64_t capital = 0;
    std::uint32_t smallest = UINT32_MAX;
    for (const auto& home : region.homes) {
      smallest = std::min(smallest, home.population);
      if (home.code.view()[5] == '3') capital += home.population;
    }
    EXPECT_GT(capital, 900'000U);
    EXPECT_LT(capital, 1'300'000U);
    EXPECT_GT(smallest, 200U);
    EXPECT_LT(smallest, 1'000U);
  }
}

TEST(Region, TheSameSeedGivesTheSameAndAnotherSeedAnother) {
  const auto one = make_region(1);
  const auto same = make_region(1);
  EXPECT_EQ(one.csv, same.csv);
  EXPECT_TRUE(std::equal(one.homes.begin(), one.homes.end(), same.homes.begin(), same.homes.end(),
                         [](const Home& a, const Home& b) {
                           return a.code == b.code && a.population == b.population;
                         }));
  EXPECT_NE(one.csv, make_region(2).csv);
}

}  // namespace
}  // namespace veche::tools
