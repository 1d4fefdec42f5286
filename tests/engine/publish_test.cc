// publish: sums up the tree, visibility, versions.
#include "engine/publish/snapshot.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>

namespace veche::publish {
namespace {

using model::PollPhase;

constexpr std::string_view kTree =
    "oktmo8,name,kind,level,parent_oktmo8\n"
    "75000000,Region,region,0,\n"
    "75701000,City,city_okrug,1,75000000\n"
    "75701310,District A,intracity_district,2,75701000\n"
    "75701320,District B,intracity_district,2,75701000\n"
    "75603000,Country,municipal_district,1,75000000\n"
    "01000000,Other region,region,0,\n";

std::shared_ptr<const model::PollEntry> poll_with(model::Visibility visibility,
                                                  PollPhase phase = PollPhase::open) {
  auto definition = std::make_shared<model::PollDefinition>();
  definition->id = *model::PollId::parse("bridge");
  definition->visibility = visibility;
  definition->targets = {*model::TerritoryCode::parse("75000000")};
  definition->questions = {{.id = "q",
                            .title = {"Q", ""},
                            .kind = model::QuestionKind::points,
                            .min = 1,
                            .max = 9,
                            .points = {},
                            .options = {{"a", {"A", ""}}, {"b", {"B", ""}}}}};
  auto entry = std::make_shared<model::PollEntry>();
  entry->definition = definition;
  entry->phase = phase;
  entry->tree =
      std::make_shared<const model::TerritoryTree>(*model::TerritoryTree::parse_csv(kTree));
  return entry;
}

node::PartialTally partial(const model::PollEntry& poll, std::uint16_t partition,
                           std::uint64_t changes, bool closed) {
  node::PartialTally partial;
  partial.partition = {partition};
  partial.changes = changes;
  partial.closed = closed;
  partial.tally = std::make_shared<const model::Tally>(*poll.definition);
  return partial;
}

void vote(node::PartialTally& partial, const model::PollEntry& poll, std::string_view territory,
          std::uint16_t option, std::uint32_t points) {
  const auto tally = std::make_shared<model::Tally>(*partial.tally);
  tally->add(*poll.definition, *model::TerritoryCode::parse(territory), {{0, {{option, points}}}},
             1);
  partial.tally = tally;
}

const TerritoryCounts* find(const Snapshot& snapshot, std::string_view code) {
  for (const auto& territory : snapshot.territories)
    if (territory.code.view() == code) return &territory;
  return nullptr;
}

TEST(Publish, SumsPartitionsAndTerritoriesUpTheTree) {
  const auto poll = poll_with(model::Visibility::public_live);
  node::Collected collected{poll, {partial(*poll, 0, 3, false), partial(*poll, 1, 2, false)}};
  vote(collected.partials[0], *poll, "75701310", 0, 5);
  vote(collected.partials[0], *poll, "75701000", 0, 2);  // registered in the city, in no district
  vote(collected.partials[1], *poll, "75701320", 1, 4);
  const auto published = publish(collected, Viewer::anybody);
  const auto& snapshot = std::get<Snapshot>(published);
  EXPECT_EQ(snapshot.counts, (std::vector<std::uint64_t>{3, 2, 7, 1, 4}));
  EXPECT_EQ(find(snapshot, "75701000")->counts, snapshot.counts);
  EXPECT_EQ(find(snapshot, "75701000")->not_below, 1);
  EXPECT_EQ(find(snapshot, "75701310")->counts, (std::vector<std::uint64_t>{1, 1, 5, 0, 0}));
  EXPECT_EQ(find(snapshot, "75603000")->counts[0], 0) << "a target without ballots is shown";
  EXPECT_EQ(find(snapshot, "01000000"), nullptr) << "what is no target and has no ballots is not";
}

TEST(Publish, OfTheWholePollIsTheSameWithoutTerritories) {
  const auto poll = poll_with(model::Visibility::public_live);
  node::Collected collected{poll, {partial(*poll, 0, 3, false), partial(*poll, 1, 2, false)}};
  vote(collected.partials[0], *poll, "75701310", 0, 5);
  vote(collected.partials[1], *poll, "99999999", 1, 4);
  const auto with = std::get<Snapshot>(publish(collected, Viewer::anybody));
  const auto without = std::get<Snapshot>(publish(collected, Viewer::anybody, Detail::whole_poll));
  EXPECT_EQ(without.counts, with.counts);
  EXPECT_EQ(without.turnout, 2);
  EXPECT_EQ(without.version, with.version);
  ASSERT_EQ(without.turnout_series.size(), 1);
  EXPECT_EQ(without.turnout_series[0].ballots, 2) << "of both partitions in one hour";
  EXPECT_TRUE(without.territories.empty());
}

TEST(Publish, KeepsBallotsOfATerritoryThatTheTreeDoesNotKnow) {
  const auto poll = poll_with(model::Visibility::public_live);
  node::Collected collected{poll, {partial(*poll, 0, 1, false)}};
  vote(collected.partials[0], *poll, "99999999", 0, 1);
  const auto published = publish(collected, Viewer::anybody);
  const auto& snapshot = std::get<Snapshot>(published);
  EXPECT_EQ(snapshot.ballots(), 1);
  ASSERT_NE(find(snapshot, "99999999"), nullptr);
  EXPECT_FALSE(find(snapshot, "99999999")->parent.has_value());
}

TEST(Publish, PartsAddUpForRandomBallots) {
  const auto poll = poll_with(model::Visibility::public_live);
  constexpr std::array kHomes{"75000000", "75701000", "75701310",
                              "75701320", "75603000", "01000000"};
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    node::Collected collected{poll, {partial(*poll, 0, 0, false), partial(*poll, 1, 0, false)}};
    for (int i = 0; i < 200; ++i)
      vote(collected.partials[random() % 2], *poll, kHomes[random() % kHomes.size()],
           static_cast<std::uint16_t>(random() % 2), 1 + random() % 9);
    const auto published = publish(collected, Viewer::anybody);
    const auto& snapshot = std::get<Snapshot>(published);
    std::map<model::TerritoryCode, std::uint64_t> children;
    std::uint64_t roots = 0;
    for (const auto& territory : snapshot.territories)
      (territory.parent ? children[*territory.parent] : roots) += territory.counts[0];
    EXPECT_EQ(roots, 200) << "seed " << seed;
    for (const auto& territory : snapshot.territories)
      EXPECT_EQ(children[territory.code] + *territory.not_below, territory.counts[0])
          << "seed " << seed << ", " << territory.code.view();
  }
}

struct VisibilityRow {
  const char* name;
  model::Visibility visibility;
  Viewer viewer;
  bool closed_everywhere;
  bool shown;
};

class VisibilityTest : public testing::TestWithParam<VisibilityRow> {};

TEST_P(VisibilityTest, DecidesWhoSeesResults) {
  const auto& row = GetParam();
  const auto poll = poll_with(row.visibility);
  const node::Collected collected{
      poll, {partial(*poll, 0, 0, true), partial(*poll, 1, 0, row.closed_everywhere)}};
  EXPECT_EQ(std::holds_alternative<Snapshot>(publish(collected, row.viewer)), row.shown);
}

using model::Visibility;
INSTANTIATE_TEST_SUITE_P(
    All, VisibilityTest,
    testing::Values(
        VisibilityRow{"live", Visibility::public_live, Viewer::anybody, false, true},
        VisibilityRow{"vote_first", Visibility::after_vote, Viewer::anybody, false, false},
        VisibilityRow{"voted", Visibility::after_vote, Viewer::voter, false, true},
        VisibilityRow{"after_vote_when_final", Visibility::after_vote, Viewer::anybody, true, true},
        VisibilityRow{"open_still", Visibility::after_close, Viewer::voter, false, false},
        VisibilityRow{"closed", Visibility::after_close, Viewer::anybody, true, true},
        VisibilityRow{"not_certified", Visibility::after_certification, Viewer::voter, true, false},
        VisibilityRow{"certifier_early", Visibility::after_certification, Viewer::certifier, false,
                      false},
        VisibilityRow{"certifier", Visibility::after_certification, Viewer::certifier, true, true},
        VisibilityRow{"auditor", Visibility::after_certification, Viewer::auditor, false, true}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Publish, IsFinalOnlyWhenEveryPartitionHasClosed) {
  const auto poll = poll_with(model::Visibility::public_live, PollPhase::closed);
  const auto is_final = [&](bool first, bool second) {
    const node::Collected collected{poll,
                                    {partial(*poll, 0, 1, first), partial(*poll, 1, 1, second)}};
    return std::get<Snapshot>(publish(collected, Viewer::anybody)).is_final;
  };
  EXPECT_FALSE(is_final(true, false));
  EXPECT_TRUE(is_final(true, true));
}

TEST(Publish, GivesAnotherVersionForEveryOtherContent) {
  const auto poll = poll_with(model::Visibility::public_live);
  const auto version = [&](std::uint64_t first, std::uint64_t second) {
    const node::Collected collected{
        poll, {partial(*poll, 0, first, false), partial(*poll, 1, second, false)}};
    return std::get<Snapshot>(publish(collected, Viewer::anybody)).version;
  };
  EXPECT_EQ(version(5, 3), version(5, 3));
  EXPECT_NE(version(5, 3), version(4, 4)) << "as many changes, in other partitions";
  EXPECT_NE(version(5, 3), version(5, 4));
}

}  // namespace
}  // namespace veche::publish
