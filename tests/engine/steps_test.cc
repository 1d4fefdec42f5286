// Disclosure in steps: cells, what may come out and when, groups at the end, and the way through
// the log.
#include "engine/publish/steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>

#include "engine/apply/publications.h"
#include "engine/model/limits.h"
#include "tests/engine/samples.h"

namespace veche::publish {
namespace {

using model::PollCells;
using model::Publication;
using samples::territory;
using testing::ElementsAre;
using namespace std::chrono_literals;

// A region with a city of two districts, a district of four villages, and a town.
constexpr std::string_view kStepsTree =
    "oktmo8,name,kind,level,parent_oktmo8\n"
    "75000000,Region,region,0,\n"
    "75600000,Rural district,municipal_district,1,75000000\n"
    "75600401,Village 1,rural_settlement,2,75600000\n"
    "75600402,Village 2,rural_settlement,2,75600000\n"
    "75600403,Village 3,rural_settlement,2,75600000\n"
    "75600404,Village 4,rural_settlement,2,75600000\n"
    "75701000,City,city_okrug,1,75000000\n"
    "75701310,District A,intracity_district,2,75701000\n"
    "75701320,District B,intracity_district,2,75701000\n"
    "75702000,Town,city_okrug,1,75000000\n";

std::shared_ptr<model::PollEntry> entry_of(model::PollDefinition definition,
                                           std::string_view tree = kStepsTree) {
  auto entry = std::make_shared<model::PollEntry>();
  definition.disclosure = model::Disclosure::steps;
  if (definition.least_voters == 0) definition.least_voters = 3;
  entry->definition = std::make_shared<const model::PollDefinition>(std::move(definition));
  entry->tree =
      std::make_shared<const model::TerritoryTree>(*model::TerritoryTree::parse_csv(tree));
  entry->target_places = model::places_of_targets(*entry->definition, *entry->tree);
  entry->cells =
      std::make_shared<const PollCells>(*entry->definition, *entry->tree, entry->target_places);
  entry->phase = model::PollPhase::open;
  return entry;
}

model::PollDefinition expecting(const std::map<std::string, std::uint64_t>& voters) {
  auto poll = samples::poll_of_one_question("steps");
  for (const auto& [code, number] : voters) poll.expected_voters.emplace(territory(code), number);
  return poll;
}

// Enough in every place that no cell is pooled but the inner ones' own.
model::PollDefinition expecting_many() {
  return expecting({{"75600401", 60},
                    {"75600402", 60},
                    {"75600403", 60},
                    {"75600404", 60},
                    {"75600000", 300},
                    {"75701000", 300},
                    {"75701310", 100},
                    {"75701320", 100},
                    {"75702000", 100},
                    {"75000000", 900}});
}

// --- Cells -------------------------------------------------------------------------------------

struct CellsRow {
  const char* name;
  model::PollDefinition poll;
  const char* cells;  // the last five digits of each member, | between cells
};

std::string text_of(const model::PollEntry& entry) {
  std::string text;
  for (std::size_t cell = 0; cell < entry.cells->size(); ++cell) {
    if (cell > 0) text += " | ";
    for (const auto place : entry.cells->members(cell))
      text += (text.empty() || text.ends_with(' ') ? "" : "+") +
              (*entry.tree)[place].code.str().substr(2, 6);
  }
  return text;
}

model::PollDefinition for_target(std::string_view code, model::PollDefinition poll) {
  poll.targets = {territory(code)};
  return poll;
}

model::PollDefinition for_address(model::PollDefinition poll) {
  poll.targets = {*model::AddressCode::parse("house-1"), territory("75702000")};
  return poll;
}

class CellsTable : public testing::TestWithParam<CellsRow> {};

TEST_P(CellsTable, AreWhatTheDefinitionSays) {
  EXPECT_EQ(text_of(*entry_of(GetParam().poll)), GetParam().cells);
}

INSTANTIATE_TEST_SUITE_P(
    Steps, CellsTable,
    testing::Values(
        CellsRow{"many_everywhere", expecting_many(),
                 "000000 | 600000 | 600401 | 600402 | 600403 | 600404 | 701000 | 701310 | 701320 | "
                 "702000"},
        CellsRow{"nothing_expected_pools_all_siblings", expecting({}),
                 "000000+702000 | 600000+600401+600402+600403+600404 | 701000+701310+701320"},
        CellsRow{"few_are_pooled_together",
                 for_target("75600000", expecting({{"75600000", 400},
                                                   {"75600401", 30},
                                                   {"75600402", 100},
                                                   {"75600403", 40},
                                                   {"75600404", 100}})),
                 "600000 | 600401+600403 | 600402 | 600404"},
        CellsRow{"a_pool_of_few_takes_in_the_next",
                 for_target("75600000", expecting({{"75600000", 500},
                                                   {"75600401", 10},
                                                   {"75600402", 80},
                                                   {"75600403", 70},
                                                   {"75600404", 100}})),
                 "600000 | 600401+600403 | 600402 | 600404"},
        CellsRow{"exactly_fifty_is_not_few",
                 for_target("75600000", expecting({{"75600000", 250},
                                                   {"75600401", 50},
                                                   {"75600402", 50},
                                                   {"75600403", 50},
                                                   {"75600404", 50}})),
                 "600000 | 600401 | 600402 | 600403 | 600404"},
        CellsRow{"a_target_alone", for_target("75701310", expecting({})), "701310"},
        CellsRow{"an_address_may_be_anywhere", for_address(expecting({})),
                 "000000+702000 | 600000+600401+600402+600403+600404 | 701000+701310+701320"}),
    [](const auto& row) { return row.param.name; });

// --- What may come out -------------------------------------------------------------------------

struct RowRow {
  const char* name;
  std::vector<std::uint64_t> row;  // ballots, votes of a, b, c
  bool may;
};

class MayComeOut : public testing::TestWithParam<RowRow> {};

TEST_P(MayComeOut, IsJudged) {
  const auto poll = entry_of(expecting({}));
  EXPECT_EQ(may_come_out(GetParam().row, model::TallyShape(*poll->definition), *poll->definition),
            GetParam().may);
}

INSTANTIATE_TEST_SUITE_P(Steps, MayComeOut,
                         testing::Values(RowRow{"none", {0, 0, 0, 0}, false},
                                         RowRow{"one_too_few", {2, 1, 1, 0}, false},
                                         RowRow{"k_mixed", {3, 2, 1, 0}, true},
                                         RowRow{"k_of_one_mind", {3, 0, 3, 0}, false},
                                         RowRow{"almost_3k_of_one_mind", {8, 0, 0, 8}, false},
                                         RowRow{"3k_of_one_mind", {9, 9, 0, 0}, true}),
                         [](const auto& row) { return row.param.name; });

// --- Steps -------------------------------------------------------------------------------------

// As one node writes it, each time with other counters.
std::vector<v1::Record> records_of(const model::PollEntry& entry, const Publication& publication,
                                   std::uint64_t writer) {
  static std::uint64_t attempts = 0;
  model::RecordWriter stamp(samples::boot(writer), static_cast<std::uint8_t>(++attempts));
  std::vector<v1::Record> records;
  for (auto& part :
       model::to_messages(entry.definition->id, publication, entry.publication.get())) {
    v1::Record record;
    *record.mutable_publication() = std::move(part);
    stamp.stamp(record);
    records.push_back(std::move(record));
  }
  return records;
}

// One partition of a poll, published at every tick.
class Played {
 public:
  explicit Played(std::shared_ptr<model::PollEntry> entry) : entry_(std::move(entry)) {
    collected_.partials.resize(1);
    collected_.partials[0].tally = std::make_shared<const model::Tally>(*entry_->definition);
  }

  void vote(std::string_view where, std::uint16_t option, int voters = 1) {
    auto& partial = collected_.partials[0];
    const auto tally = std::make_shared<model::Tally>(*partial.tally);
    for (int i = 0; i < voters; ++i) {
      tally->add(*entry_->definition, territory(where), samples::choose(option), 1);
      partial.position.next = partial.position.next.plus(1);
      ++cast_;
    }
    partial.tally = tally;
  }
  bool tick() {
    now_ += 1s;
    collected_.poll = entry_;
    const auto next = next_publication(collected_, now_);
    if (!next) return false;
    for (const auto& record : records_of(*entry_, *next, 1))
      publications_.apply(record, 1, *entry_);
    return true;
  }
  void close() {
    entry_->phase = model::PollPhase::closed;
    collected_.partials[0].closed = true;
    tick();
  }
  Snapshot shown() const { return std::get<Snapshot>(publish(entry_, Viewer::anybody)); }
  // The counts of a territory; nothing: they are suppressed.
  std::optional<Row> of(std::string_view code) const {
    for (const auto& place : shown().territories)
      if (place.code.view() == code && place.suppressed == Suppressed::no) return place.counts;
    return std::nullopt;
  }
  Suppressed why(std::string_view code) const {
    for (const auto& place : shown().territories)
      if (place.code.view() == code) return place.suppressed;
    return Suppressed::no;
  }

  std::shared_ptr<model::PollEntry> entry_;
  node::Collected collected_;
  std::uint64_t cast_ = 0;
  model::Instant now_ = samples::kEpoch;
  apply::Publications publications_;
};

TEST(Steps, ABatchIsHeldUntilTheNextMayComeOut) {
  Played poll(entry_of(expecting_many()));
  poll.vote("75702000", 0, 2);
  poll.vote("75702000", 1, 1);
  poll.tick();
  EXPECT_EQ(poll.why("75702000"), Suppressed::not_yet);
  EXPECT_EQ(poll.shown().suppressed, Suppressed::not_yet);
  poll.vote("75702000", 2, 2);
  poll.tick();
  EXPECT_EQ(poll.why("75702000"), Suppressed::not_yet) << "two open ballots may not come out";
  poll.vote("75702000", 0, 1);
  poll.tick();
  EXPECT_EQ(poll.of("75702000"), (Row{3, 2, 1, 0}));
  EXPECT_EQ(poll.of("75000000"), (Row{3, 2, 1, 0}));
  EXPECT_EQ(poll.shown().counts, (Row{3, 2, 1, 0}));
}

TEST(Steps, TheTurnoutIsOfTheWholePollAloneAndRoundedDown) {
  Played poll(entry_of(expecting_many()));
  poll.tick();
  EXPECT_EQ(poll.shown().turnout, 0);
  poll.vote("75702000", 0, 9);
  poll.tick();
  EXPECT_EQ(poll.shown().turnout, 0);
  poll.vote("75701310", 0, 12);
  poll.tick();
  EXPECT_EQ(poll.shown().turnout, 20);
}

TEST(Steps, BelowThreeKTheTurnoutIsNotTold) {
  auto definition = expecting_many();
  definition.least_voters = 10;
  Played poll(entry_of(std::move(definition)));
  poll.vote("75702000", 0, 29);  // of one mind: nothing may come out, and nothing says how many
  poll.tick();
  EXPECT_EQ(poll.shown().turnout, 0);
  poll.vote("75702000", 0, 1);
  poll.tick();
  EXPECT_EQ(poll.shown().turnout, 30);
}

TEST(Steps, ABatchOfOneMindIsLookedAtAgainWhenKMoreHaveCome) {
  Played poll(entry_of(expecting_many()));
  const auto held = [&] {
    for (const auto& cell : poll.entry_->publication->cells)
      if (cell && !cell->held.empty()) return cell->held[0];
    return std::uint64_t{0};
  };
  poll.vote("75702000", 0, 4);
  poll.tick();
  poll.vote("75702000", 1,
            1);  // now they could come out; the moment would tell whose ballot it was
  poll.tick();
  EXPECT_EQ(held(), 0);
  poll.vote("75702000", 0, 2);
  poll.tick();
  EXPECT_EQ(held(), 7);
}

TEST(Steps, AVersionIsKnownByItsNumberAndState) {
  auto definition = expecting_many();
  definition.least_voters = 10;
  Played poll(entry_of(std::move(definition)));
  const auto keeps = [&](std::uint64_t number, std::string_view state) {
    const bool is_kept = keeps_version(*poll.entry_, number, state);
    EXPECT_EQ(publish_version(poll.entry_, number, state, Viewer::anybody).has_value(), is_kept);
    return is_kept;
  };
  EXPECT_FALSE(keeps(0, "")) << "before the first";
  for (std::uint64_t number = 1; number <= 2; ++number) {
    for (std::uint16_t option = 0; option < 2; ++option) poll.vote("75702000", option, 20);
    ASSERT_TRUE(poll.tick());
    for (std::uint64_t earlier = 1; earlier <= number; ++earlier) {
      EXPECT_TRUE(keeps(earlier, "open"));
      EXPECT_TRUE(keeps(earlier, ""));
      for (const auto* state : {"closed", "OPEN", "invented"}) EXPECT_FALSE(keeps(earlier, state));
    }
    EXPECT_FALSE(keeps(number + 1, "open"));
    EXPECT_FALSE(keeps(0, ""));
  }
}

TEST(Steps, ABatchThatIsOnlyHeldLeavesNoTrace) {
  auto definition = expecting_many();
  definition.least_voters = 10;
  Played poll(entry_of(std::move(definition)));
  poll.tick();
  const auto before = poll.shown();
  poll.vote("75702000", 0, 9);
  poll.vote("75702000", 1, 9);
  EXPECT_TRUE(poll.tick()) << "it is in the log";
  const auto after = poll.shown();
  EXPECT_EQ(after.version, before.version);
  EXPECT_EQ(after.as_of, before.as_of);
  EXPECT_THAT(poll.entry_->earlier, testing::IsEmpty());
}

TEST(Steps, WithBallotsLostNothingIsPublished) {
  Played poll(entry_of(expecting_many()));
  poll.vote("75702000", 0, 2);
  poll.vote("75702000", 1, 2);
  poll.tick();
  auto regrown = poll.collected_;
  regrown.poll = poll.entry_;
  regrown.partials[0].tally = std::make_shared<const model::Tally>(*poll.entry_->definition);
  regrown.partials[0].closed = true;
  EXPECT_EQ(next_publication(regrown, samples::kEpoch), nullptr);
}

TEST(Steps, APollThatNoLogCouldHoldIsKnownBefore) {
  const auto poll = samples::poll_of_one_question("wide");  // rows of four numbers
  EXPECT_TRUE(model::can_publish(poll, limits::kPublicationCounts / 4));
  EXPECT_FALSE(model::can_publish(poll, limits::kPublicationCounts / 4 + 1));
}

TEST(Steps, NothingNewIsNotPublished) {
  Played poll(entry_of(expecting_many()));
  EXPECT_TRUE(poll.tick()) << "the first tells that there is nothing";
  EXPECT_FALSE(poll.tick());
  poll.vote("75702000", 0, 2);
  EXPECT_FALSE(poll.tick());
}

TEST(Steps, WhoHasAppliedLessThanTheLastCutWritesNothing) {
  Played poll(entry_of(expecting_many()));
  poll.vote("75702000", 0, 2);
  poll.vote("75702000", 1, 2);
  auto behind = poll.collected_;
  poll.vote("75702000", 1, 1);
  poll.tick();
  behind.poll = poll.entry_;
  behind.partials[0].closed = true;
  EXPECT_EQ(next_publication(behind, samples::kEpoch), nullptr);
}

TEST(Steps, AtTheEndCellsJoinUntilTheyMayComeOut) {
  Played poll(entry_of(expecting_many()));
  poll.vote("75600401", 0, 2);
  poll.vote("75600402", 1, 1);  // with the first: three, mixed
  poll.vote("75600403", 0, 3);  // of one mind
  poll.vote("75701310", 1, 1);  // joins it
  poll.vote("75702000", 2, 1);  // left at the end
  poll.tick();
  poll.close();
  const auto shown = poll.shown();
  EXPECT_TRUE(shown.is_final);
  EXPECT_EQ(shown.counts, (Row{8, 5, 2, 1}));
  EXPECT_EQ(shown.turnout, 8);
  ASSERT_EQ(shown.groups.size(), 2);
  EXPECT_EQ(shown.groups[0].within->view(), "75000000");  // the region's own cell is in it
  EXPECT_EQ(shown.groups[0].counts, (Row{3, 2, 1, 0}));
  EXPECT_THAT(shown.groups[0].leaves, ElementsAre(territory("75600401"), territory("75600402")));
  EXPECT_EQ(shown.groups[1].counts, (Row{5, 3, 1, 1}));
  EXPECT_EQ(poll.why("75600403"), Suppressed::in_group);
  EXPECT_EQ(poll.why("75600000"), Suppressed::in_group) << "the second group crosses its border";
  EXPECT_EQ(poll.of("75000000"), shown.counts);
}

TEST(Steps, AHeldBatchMakesAGroupWithWhateverIsOpen) {
  Played poll(entry_of(for_target("75701000", expecting_many())));
  poll.vote("75701310", 0, 2);
  poll.vote("75701310", 1, 1);
  poll.tick();
  poll.vote("75701310", 2, 1);  // alone it could not come out
  poll.vote("75701320", 0, 2);
  poll.vote("75701320", 1, 2);
  poll.close();
  EXPECT_EQ(poll.of("75701320"), (Row{4, 2, 2, 0}));
  EXPECT_EQ(poll.shown().groups.size(), 1);  // the city's own voters, and district A
  EXPECT_EQ(poll.shown().groups[0].counts, (Row{4, 2, 1, 1}));
}

TEST(Steps, APollOfTooFewShowsNothingAtTheEnd) {
  Played poll(entry_of(expecting_many()));
  poll.vote("75702000", 0, 5);  // of one mind
  poll.close();
  const auto shown = poll.shown();
  EXPECT_TRUE(shown.is_final);
  EXPECT_EQ(shown.suppressed, Suppressed::too_few);
  EXPECT_EQ(shown.turnout, std::nullopt);
  EXPECT_TRUE(shown.counts.empty());
  EXPECT_EQ(poll.why("75702000"), Suppressed::too_few);
}

TEST(Steps, AnAuditorSeesExactCountsAllTheTime) {
  Played poll(entry_of(expecting_many()));
  poll.vote("75702000", 1, 1);
  poll.tick();
  const auto seen = publish(poll.collected_, Viewer::auditor);
  EXPECT_EQ(std::get<Snapshot>(seen).counts, (Row{1, 0, 1, 0}));
}

// What every reader relies on: Snapshot in snapshot.h.
void check_sums(const Snapshot& snapshot) {
  if (snapshot.counts.empty()) return;
  std::map<model::TerritoryCode, std::vector<const TerritoryCounts*>> children;
  std::vector<const TerritoryCounts*> roots;
  for (const auto& place : snapshot.territories)
    place.parent ? children[*place.parent].push_back(&place) : roots.push_back(&place);
  const auto is_shown = [&](const model::TerritoryCode& code) {
    for (const auto& place : snapshot.territories)
      if (place.code == code) return place.suppressed == Suppressed::no;
    return false;
  };
  std::function<std::uint64_t(const TerritoryCounts&)> below;
  const auto value = [&](const TerritoryCounts& place) {
    return place.suppressed == Suppressed::no ? place.counts[0] : below(place);
  };
  below = [&](const TerritoryCounts& place) {
    std::uint64_t sum = children[place.code].empty() ? 0 : place.not_below.value_or(0);
    for (const auto* child : children[place.code]) sum += value(*child);
    for (const auto& group : snapshot.groups)
      if (group.within == place.code && !group.counts.empty()) sum += group.counts[0];
    return sum;
  };
  std::uint64_t total = 0;
  for (const auto* root : roots) total += value(*root);
  EXPECT_EQ(total, snapshot.counts[0]);
  for (const auto& place : snapshot.territories)
    if (is_shown(place.code) && !children[place.code].empty()) {
      EXPECT_EQ(below(place), place.counts[0]) << place.code.view();
    }
}

TEST(Steps, WhatIsShownAddsUpAlways) {
  constexpr const char* kPlaces[] = {"75000000", "75600000", "75600401", "75600402", "75600403",
                                     "75600404", "75701000", "75701310", "75701320", "75702000"};
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    auto definition = random() % 2 ? expecting_many() : expecting({{"75600402", 70}});
    definition.least_voters = 2 + random() % 5;
    Played poll(entry_of(std::move(definition)));
    for (int tick = 0; tick < 8; ++tick) {
      for (unsigned ballots = random() % 12; ballots > 0; --ballots)
        poll.vote(kPlaces[random() % 10], static_cast<std::uint16_t>(random() % 3 % 2));
      poll.tick();
      check_sums(poll.shown());
    }
    poll.close();
    check_sums(poll.shown());
    const auto shown = poll.shown();
    if (shown.suppressed == Suppressed::no) {
      EXPECT_EQ(shown.counts[0], poll.cast_) << seed;
    }
  }
}

// --- Through the log ---------------------------------------------------------------------------

// A poll so wide that a publication needs several records.
std::shared_ptr<model::PollEntry> wide_entry() {
  auto definition = samples::poll_of_one_question("wide");
  definition.least_voters = 2;
  definition.questions[0].options.clear();
  for (int i = 0; i < 512; ++i)
    definition.questions[0].options.push_back({"o" + std::to_string(i), {"Option", ""}});
  std::string tree = "oktmo8,name,kind,level,parent_oktmo8\n75000000,Region,region,0,\n";
  for (int i = 0; i < 600; ++i) {
    const auto code = std::to_string(75'100'000 + i);
    tree += code + ",Place,rural_settlement,1,75000000\n";
    definition.expected_voters.emplace(territory(code), 100);
  }
  return entry_of(std::move(definition), tree);
}

Played wide_poll() {
  Played poll(wide_entry());
  for (int i = 0; i < 600; ++i)
    for (std::uint16_t option = 0; option < 2; ++option)
      poll.vote(std::to_string(75'100'000 + i), static_cast<std::uint16_t>(option + i % 500));
  return poll;
}

TEST(PublicationRecords, ComeBackAsTheyWereWritten) {
  auto poll = wide_poll();
  poll.collected_.poll = poll.entry_;
  const auto made = next_publication(poll.collected_, samples::kEpoch);
  const auto records = records_of(*poll.entry_, *made, 1);
  ASSERT_GT(records.size(), 1);
  for (const auto& record : records) EXPECT_LT(record.ByteSizeLong(), limits::kRecordBytes);
  auto read = wide_entry();
  apply::Publications publications;
  for (const auto& record : records)
    EXPECT_EQ(publications.apply(record, 1, *read), &record == &records.back()
                                                        ? apply::Publications::Effect::published
                                                        : apply::Publications::Effect::noted);
  EXPECT_EQ(read->publication->version, 1);
  EXPECT_EQ(read->publication->cut, made->cut);
  EXPECT_EQ(read->publication->turnout, 1200);
  ASSERT_EQ(read->publication->cells.size(), made->cells.size());
  for (std::size_t cell = 0; cell < made->cells.size(); ++cell) {
    ASSERT_EQ(read->publication->cells[cell] == nullptr, made->cells[cell] == nullptr);
    if (!made->cells[cell]) continue;
    EXPECT_EQ(read->publication->cells[cell]->held, made->cells[cell]->held);
  }
}

TEST(PublicationRecords, OfTwoWritersTheFirstThatIsWholeHolds) {
  auto poll = wide_poll();
  poll.collected_.poll = poll.entry_;
  const auto made = next_publication(poll.collected_, samples::kEpoch);
  const auto first = records_of(*poll.entry_, *made, 1);
  const auto second = records_of(*poll.entry_, *made, 2);
  auto read = wide_entry();
  apply::Publications publications;
  using Effect = apply::Publications::Effect;
  EXPECT_EQ(publications.apply(first[0], 1, *read), Effect::noted);
  EXPECT_EQ(publications.apply(second[0], 1, *read), Effect::noted) << "begins anew";
  EXPECT_EQ(publications.apply(first[1], 1, *read), Effect::is_void)
      << "never mixes with another's";
  for (std::size_t part = 1; part < second.size(); ++part)
    publications.apply(second[part], 1, *read);
  ASSERT_TRUE(read->publication);
  EXPECT_EQ(publications.apply(first.back(), 1, *read), Effect::is_void);
  EXPECT_EQ(read->publication->version, 1);
}

TEST(PublicationRecords, OfTwoAttemptsOfOneWriterNeverMix) {
  auto poll = wide_poll();
  poll.collected_.poll = poll.entry_;
  const auto made = next_publication(poll.collected_, samples::kEpoch);
  const auto first = records_of(*poll.entry_, *made, 1);
  const auto second = records_of(*poll.entry_, *made, 1);
  auto read = wide_entry();
  apply::Publications publications;
  publications.apply(first[0], 1, *read);
  for (std::size_t part = 1; part < second.size(); ++part)
    EXPECT_EQ(publications.apply(second[part], 1, *read), apply::Publications::Effect::is_void);
  EXPECT_EQ(read->publication, nullptr);
}

struct BadRow {
  const char* name;
  void (*spoil)(v1::Publication&);
  apply::Publications::Effect effect;
};

class BadPublication : public testing::TestWithParam<BadRow> {};

TEST_P(BadPublication, LeavesThePollAsItWas) {
  Played poll(entry_of(expecting_many()));
  poll.vote("75702000", 0, 2);
  poll.vote("75702000", 1, 2);
  poll.collected_.poll = poll.entry_;
  auto record = records_of(*poll.entry_, *next_publication(poll.collected_, samples::kEpoch), 1)[0];
  GetParam().spoil(*record.mutable_publication());
  apply::Publications publications;
  EXPECT_EQ(publications.apply(record, 1, *poll.entry_), GetParam().effect);
  EXPECT_EQ(poll.entry_->publication, nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Steps, BadPublication,
    testing::Values(BadRow{"version_of_the_future", [](auto& p) { p.set_version(2); },
                           apply::Publications::Effect::is_void},
                    BadRow{"a_later_part_first", [](auto& p) { p.set_part(1); },
                           apply::Publications::Effect::is_void},
                    BadRow{"no_such_cell", [](auto& p) { p.mutable_cells(0)->set_cell(10); },
                           apply::Publications::Effect::invalid},
                    BadRow{"a_row_too_long", [](auto& p) { p.mutable_cells(0)->add_held(1); },
                           apply::Publications::Effect::invalid},
                    BadRow{"final_without_groups", [](auto& p) { p.set_final(true); },
                           apply::Publications::Effect::invalid},
                    BadRow{"a_group_of_nothing",
                           [](auto& p) {
                             p.set_final(true);
                             for (const auto end : {0u, 10u}) p.add_group_ends(end);
                           },
                           apply::Publications::Effect::invalid},
                    BadRow{"a_cut_of_other_partitions", [](auto& p) { p.add_cut(7); },
                           apply::Publications::Effect::invalid},
                    BadRow{"groups_before_the_end", [](auto& p) { p.add_group_ends(10); },
                           apply::Publications::Effect::invalid},
                    BadRow{"groups_that_do_not_ascend",
                           [](auto& p) {
                             p.set_final(true);
                             for (const auto end : {4u, 4u, 10u}) p.add_group_ends(end);
                           },
                           apply::Publications::Effect::invalid}),
    [](const auto& row) { return row.param.name; });

TEST(PublicationRecords, AreKeptForAWhile) {
  Played poll(entry_of(expecting_many()));
  apply::Publications publications;
  for (std::size_t i = 0; i < limits::kPublicationsKept + 10; ++i) {
    poll.vote("75702000", static_cast<std::uint16_t>(i % 2), 10);
    poll.collected_.poll = poll.entry_;
    const auto next = next_publication(poll.collected_, samples::kEpoch + i * 1min);
    publications.apply(records_of(*poll.entry_, *next, 1)[0], 1, *poll.entry_);
  }
  EXPECT_EQ(poll.entry_->earlier.size(), limits::kPublicationsKept);
  EXPECT_EQ(poll.entry_->earlier.back()->version + 1, poll.entry_->publication->version);
  const auto& series = poll.entry_->publication->turnout_series;
  ASSERT_EQ(series.size(), 2) << "74 minutes lie in two hours";
  EXPECT_EQ(series.back().ballots, 740);
}

}  // namespace
}  // namespace veche::publish
