#include "tools/veche/bench_poll.h"

#include <fmt/format.h>

#include <chrono>
#include <random>

#include "engine/model/limits.h"
#include "engine/model/territory.h"
#include "tools/veche/poll_life.h"
#include "tools/veche/region.h"

namespace veche::tools {
namespace {

using model::TerritoryTree;

constexpr std::string_view kReason = "load test";
constexpr std::uint64_t kRegionSeed = 1;
constexpr auto kLongestBench = std::chrono::hours(48);  // of a day, and what is around it

Result<TerritoryTree> read_tree(const ApiClient& client) {
  const auto answer = client.call({.target = kTodaysTree, .headers = {{"Accept", "text/csv"}}});
  if (!answer) return answer.error();
  if (answer->status != 200) return fault_of(*answer);
  return TerritoryTree::parse_csv(answer->body);
}

Result<TerritoryTree> ensure_tree(ApiClient& client) {
  const auto present = client.call({.target = "/v1/territories"});
  if (!present) return present.error();
  if (code_of(*present) == "no-territories") {
    const auto written =
        client.call_as(auth::Role::kOperator, {.method = "PUT",
                                               .target = "/v1/territories",
                                               .headers = {{"Content-Type", "text/csv"}},
                                               .body = make_region(kRegionSeed).csv});
    if (!written) return written.error();
    if (written->status != 200) return fault_of(*written);
  }
  return read_tree(client);
}

// The children of the first root but the last one, if there are enough to leave one out.
std::vector<model::TerritoryIndex> targets_in(const TerritoryTree& tree) {
  const auto children = tree.children(tree.roots().front());
  if (children.size() < 2 || children.size() > limits::kTargetsPerPoll)
    return {tree.roots().front()};
  return {children.begin(), children.end() - 1};
}

// Told apart from the polls of other runs on the same server.
model::PollId new_id() {
  std::random_device random;
  return model::PollId::parse(fmt::format("bench-{:08x}{:08x}", random(), random())).value();
}

BenchPoll plan_poll(const TerritoryTree& tree) {
  BenchPoll poll;
  const auto targets = targets_in(tree);
  for (const auto target : targets) poll.definition.targets.push_back(tree[target].code);
  for (model::TerritoryIndex place = 0; place < tree.size(); ++place) {
    if (!tree.children(place).empty()) continue;
    const auto path = tree.path_to_root(place);
    const bool is_eligible = std::any_of(path.begin(), path.end(), [&](const auto above) {
      return std::find(targets.begin(), targets.end(), above) != targets.end();
    });
    (is_eligible ? poll.homes : poll.elsewhere).push_back(tree[place].code);
  }
  auto& definition = poll.definition;
  definition.id = new_id();
  definition.title = {"Проверка под нагрузкой", "Load test"};
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(now_seconds());
  definition.opens_at = now + std::chrono::hours(1);
  definition.closes_at = now + kLongestBench;
  std::vector<model::Option> options;
  for (const auto id : kBenchOptions) options.push_back({std::string(id), {std::string(id), ""}});
  definition.questions = {{std::string(kBenchQuestion),
                           {"Набережная", "Embankment"},
                           model::QuestionKind::single,
                           1,
                           1,
                           {},
                           std::move(options)}};
  return poll;
}

}  // namespace

Result<BenchPoll> open_bench_poll(ApiClient& client) {
  const auto tree = ensure_tree(client);
  if (!tree) return tree.error();
  auto poll = plan_poll(*tree);
  if (auto opened = draft_and_open(client, poll.definition, kReason); !opened)
    return opened.error();
  return poll;
}

Result<void> close_bench_poll(ApiClient& client, const BenchPoll& poll) {
  const auto closed = take_step(client, poll.definition.id.view(), kClose, kReason);
  if (!closed) return closed.error();
  return {};
}

}  // namespace veche::tools
