#include "tools/veche/demo_region.h"

#include <chrono>
#include <string>
#include <utility>

#include "engine/model/limits.h"

namespace veche::tools {
namespace {

using model::QuestionKind;

constexpr auto kOpensBySelf = std::chrono::hours(1);
constexpr auto kLongestDemo = std::chrono::hours(24 * 365);
constexpr std::size_t kInSteps = 1;  // place of the poll

model::PollDefinition poll(std::string_view id, model::Title title, QuestionKind kind,
                           std::uint32_t max, std::vector<model::Option> options) {
  model::PollDefinition poll;
  poll.id = model::PollId::parse(id).value();
  poll.title = title;
  poll.questions = {{"choice", std::move(title), kind, 1, max, {}, std::move(options)}};
  return poll;
}

std::vector<model::PollDefinition> make_polls() {
  std::vector<model::PollDefinition> polls{
      poll("bus-routes", {"Новые автобусные маршруты", "New bus routes"}, QuestionKind::approval, 4,
           {{"hospital", {"К областной больнице", "To the regional hospital"}},
            {"station", {"К вокзалу", "To the railway station"}},
            {"university", {"К университету", "To the university"}},
            {"plant", {"К заводу, в две смены", "To the plant, both shifts"}},
            {"gardens", {"К садам, летом", "To the garden plots, in summer"}},
            {"night", {"Ночной по центру", "A night bus in the centre"}}}),
      poll("budget", {"Бюджет участия, 10 баллов", "Citizens' budget, 10 points"},
           QuestionKind::points, 10,
           {{"roads", {"Дороги и тротуары", "Roads and pavements"}},
            {"schools", {"Школьные дворы", "School yards"}},
            {"light", {"Освещение улиц", "Street lighting"}},
            {"sport", {"Спортивные площадки", "Sports grounds"}},
            {"culture", {"Дома культуры", "Houses of culture"}}}),
      poll("embankment", {"Какой быть набережной", "What the embankment shall be"},
           QuestionKind::single, 1,
           {{"park", {"Парк с аллеями", "A park with avenues"}},
            {"promenade", {"Променад и кафе", "A promenade with cafes"}},
            {"beach", {"Пляж и причал", "A beach and a pier"}}}),
      poll("square", {"Площадь: три лучших проекта", "The square: the best three"},
           QuestionKind::ranked, 3,
           {{"fountain", {"Фонтан", "A fountain"}},
            {"market", {"Ярмарка", "A market"}},
            {"rink", {"Каток и сцена", "A rink and a stage"}},
            {"garden", {"Сад", "A garden"}},
            {"museum", {"Музей под открытым небом", "An open-air museum"}}})};
  polls.back().questions.front().points = {3, 2, 1};
  return polls;
}

// The most populous territory of a kind, by those who live in it or below.
model::TerritoryCode largest(const DemoRegion& demo, std::string_view kind) {
  std::vector<std::uint64_t> people(demo.tree.size());
  for (const auto& home : demo.region.homes)
    for (const auto place : demo.tree.path_to_root(demo.tree.find(home.code).value()))
      people[place] += home.population;
  model::TerritoryIndex best = 0;
  for (model::TerritoryIndex place = 0; place < demo.tree.size(); ++place)
    if (demo.tree[place].kind == kind &&
        (demo.tree[best].kind != kind || people[place] > people[best]))
      best = place;
  return demo.tree[best].code;
}

void disclose_in_steps(model::PollDefinition& poll, const Region& region) {
  poll.disclosure = model::Disclosure::steps;
  poll.least_voters = limits::kDefaultLeastVoters;
  for (const auto& home : region.homes) poll.expected_voters[home.code] = home.population;
}

}  // namespace

DemoRegion make_demo_region(std::uint64_t seed, model::Instant now) {
  auto region = make_region(seed);
  auto tree = model::TerritoryTree::parse_csv(region.csv).value();
  DemoRegion demo{std::move(region), std::move(tree), make_polls()};
  const auto everywhere = demo.tree[demo.tree.roots().front()].code;
  const model::TerritoryCode targets[] = {everywhere, everywhere, largest(demo, "city_okrug"),
                                          largest(demo, "municipal_district")};
  for (std::size_t i = 0; i < demo.polls.size(); ++i) {
    demo.polls[i].targets = {targets[i]};
    demo.polls[i].opens_at = now + kOpensBySelf;
    demo.polls[i].closes_at = now + kLongestDemo;
  }
  disclose_in_steps(demo.polls[kInSteps], demo.region);
  return demo;
}

}  // namespace veche::tools
