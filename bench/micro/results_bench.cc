// What the documents of a large poll cost on one core: the whole region by territory, 10,000 places
// and 20 options, from four partitions. Every document is proven before it is timed.
//
//   veche_micro --benchmark_filter='results_'
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "bench/micro/harness.h"
#include "engine/publish/snapshot.h"
#include "ingest/wire/results.h"

namespace {

using namespace veche;
using namespace veche::bench;

constexpr std::size_t kPlaces = 10'000;
constexpr std::uint16_t kOptions = 20;
constexpr std::uint16_t kPartitions = 4;
const wire::TerritoryFilter kByTerritory{.by_territory = true, .level = {}, .parent = {}};

std::string code_of(std::size_t place) { return fmt::format("{}", 10'000'000 + place); }

std::shared_ptr<const model::PollEntry> large_poll() {
  std::string csv = "oktmo8,name,kind,level,parent_oktmo8\n75000000,Область,region,0,\n";
  for (std::size_t place = 1; place < kPlaces; ++place)
    csv += fmt::format("{},Муниципальное образование {},m,1,75000000\n", code_of(place), place);
  auto definition = std::make_shared<model::PollDefinition>();
  definition->id = *model::PollId::parse("large");
  definition->targets = {*model::TerritoryCode::parse("75000000")};
  auto& question = definition->questions.emplace_back();
  question.id = "q1";
  for (std::uint16_t option = 0; option < kOptions; ++option)
    question.options.push_back({fmt::format("option-{:02}", option), {"Что-нибудь", ""}});
  auto entry = std::make_shared<model::PollEntry>();
  entry->tree = std::make_shared<const model::TerritoryTree>(*model::TerritoryTree::parse_csv(csv));
  entry->target_places = model::places_of_targets(*definition, *entry->tree);
  entry->definition = definition;
  entry->phase = model::PollPhase::open;
  return entry;
}

// One ballot of each place in each partition.
const node::Collected& collected() {
  static const auto made = [] {
    node::Collected collected{large_poll(), {}, {}};
    for (std::uint16_t p = 0; p < kPartitions; ++p) {
      model::Tally tally(*collected.poll->definition);
      for (std::size_t place = 1; place < kPlaces; ++place)
        tally.add(*collected.poll->definition, *model::TerritoryCode::parse(code_of(place)),
                  {{0, {{static_cast<std::uint16_t>((place + p) % kOptions), 0}}}}, 1);
      node::PartialTally partial;
      partial.partition = {p};
      partial.changes = kPlaces;
      partial.tally = std::make_shared<const model::Tally>(std::move(tally));
      collected.partials.push_back(std::move(partial));
    }
    return collected;
  }();
  return made;
}

publish::Snapshot snapshot() {
  auto made = std::get<publish::Snapshot>(publish::publish(collected(), publish::Viewer::anybody));
  prove(made.ballots() == kPartitions * (kPlaces - 1), "the sum of all places");
  prove(made.territories.size() == kPlaces, "the places of a poll");
  return made;
}

void results_publish(benchmark::State& state) {
  snapshot();
  for (auto _ : state)
    benchmark::DoNotOptimize(publish::publish(collected(), publish::Viewer::anybody));
}
BENCHMARK(results_publish)->Unit(benchmark::kMillisecond);

void results_json(benchmark::State& state) {
  const auto made = snapshot();
  const auto document = boost::json::parse(wire::results_json(made, kByTerritory));
  std::uint64_t votes = 0;
  for (const auto& row : document.at("territories").as_array())
    if (row.at("level").as_int64() == 1)
      for (const auto& option : row.at("questions").at(0).at("options").as_array())
        votes += option.at("votes").to_number<std::uint64_t>();
  prove(votes == kPartitions * (kPlaces - 1), "the votes of all rows");
  std::size_t bytes = 0;
  for (auto _ : state) bytes = wire::results_json(made, kByTerritory).size();
  state.counters["MB"] = static_cast<double>(bytes) / 1e6;
}
BENCHMARK(results_json)->Unit(benchmark::kMillisecond);

void results_csv(benchmark::State& state) {
  const auto made = snapshot();
  std::string csv = wire::results_csv(made, kByTerritory, {});
  const auto lines = static_cast<std::size_t>(std::count(csv.begin(), csv.end(), '\n'));
  prove(lines == 1 + kOptions * (kPlaces + 1), "a row for each option and place");
  for (auto _ : state) csv = wire::results_csv(made, kByTerritory, {});
  state.counters["MB"] = static_cast<double>(csv.size()) / 1e6;
}
BENCHMARK(results_csv)->Unit(benchmark::kMillisecond);

}  // namespace
