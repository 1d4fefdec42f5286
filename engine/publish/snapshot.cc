#include "engine/publish/snapshot.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <map>

#include "engine/model/assert.h"
#include "engine/publish/steps.h"

namespace veche::publish {
namespace {

using model::PollPhase;

void add(Row& sum, std::span<const std::uint64_t> row) {
  for (std::size_t i = 0; i < row.size(); ++i) sum[i] += row[i];
}

std::optional<Hidden> hidden(const model::PollEntry& poll, Viewer viewer, bool is_final) {
  if (viewer == Viewer::auditor || (viewer == Viewer::certifier && is_final)) return std::nullopt;
  const bool will_be_final = poll.phase != PollPhase::cancelled || poll.was_open;
  switch (poll.definition->visibility) {
    case model::Visibility::public_live:
      return std::nullopt;
    case model::Visibility::after_vote:
      if (is_final || viewer == Viewer::voter) return std::nullopt;
      return Hidden{will_be_final ? "the voter has voted" : kNever};
    case model::Visibility::after_close:
      if (is_final) return std::nullopt;
      return Hidden{will_be_final ? "the poll is closed" : kNever};
    case model::Visibility::after_certification:
      if (poll.phase == PollPhase::certified) return std::nullopt;
      return Hidden{poll.phase != PollPhase::cancelled ? "the result is certified" : kNever};
  }
  return Hidden{kNever};
}

const model::Publication* find_publication(const model::PollEntry& poll, std::uint64_t number) {
  if (poll.publication && poll.publication->shown_version == number) return poll.publication.get();
  for (const auto& publication : poll.earlier)
    if (publication->shown_version == number) return publication.get();
  return nullptr;
}

// The states in which a publication was the newest one.
std::vector<PollPhase> phases_of(const model::PollEntry& poll,
                                 const model::Publication& publication) {
  const auto& newest = *poll.publication;
  const auto ended = poll.phase == PollPhase::certified ? PollPhase::closed : poll.phase;
  if (publication.is_final) return {ended, poll.phase};
  const bool is_last =
      newest.is_final ? poll.earlier.back().get() == &publication : &newest == &publication;
  if (is_last) return {PollPhase::open, ended};
  return {PollPhase::open};
}

// The one of them with this name; an empty one is that of the newest.
std::optional<PollPhase> phase_of(const model::PollEntry& poll,
                                  const model::Publication& publication, std::string_view state) {
  if (state.empty()) return &publication == poll.publication.get() ? poll.phase : PollPhase::open;
  for (const auto phase : phases_of(poll, publication))
    if (model::name(phase) == state) return phase;
  return std::nullopt;
}

// The number of changes, for people and for order; the hash, because two gatherings may have as
// many changes in other partitions.
std::string version_of(const std::vector<node::PartialTally>& partials, model::PollPhase phase) {
  std::uint64_t changes = 0;
  std::vector<std::uint64_t> each{static_cast<std::uint64_t>(phase)};
  for (const auto& partial : partials) {
    changes += partial.changes;
    each.push_back(partial.changes);
  }
  const auto hash = XXH3_64bits(each.data(), each.size() * sizeof each[0]);
  return fmt::format("{}-{:08x}", changes, static_cast<std::uint32_t>(hash));
}

// Which nodes a reader is shown: all of the targets, whatever else has ballots, and the way up.
std::vector<bool> shown_nodes(const model::PollEntry& poll, const std::vector<Row>& own) {
  const auto& tree = *poll.tree;
  std::vector<bool> shown(tree.size());
  for (const auto& target : poll.definition->targets) {
    const auto* code = std::get_if<model::TerritoryCode>(&target);
    const auto place = code ? tree.find(*code) : std::nullopt;
    if (place) std::fill(shown.begin() + *place, shown.begin() + tree[*place].end, true);
  }
  for (auto place = static_cast<model::TerritoryIndex>(tree.size()); place-- > 0;) {
    if (!own[place].empty()) shown[place] = true;
    if (shown[place] && tree[place].parent) shown[*tree[place].parent] = true;
  }
  return shown;
}

void add_territories(const model::PollEntry& poll, const model::Tally& tally, Snapshot& snapshot) {
  const auto& tree = *poll.tree;
  std::vector<Row> own(tree.size());
  std::vector<TerritoryCounts> elsewhere;
  for (std::size_t i = 0; i < tally.territories().size(); ++i) {
    const auto row = tally.row(i);
    if (const auto place = tree.find(tally.territories()[i]))
      own[*place].assign(row.begin(), row.end());
    else
      elsewhere.push_back({tally.territories()[i],
                           {},
                           {},
                           0,
                           std::nullopt,
                           row[0],
                           Suppressed::no,
                           Row(row.begin(), row.end())});
  }
  const auto shown = shown_nodes(poll, own);
  // A parent comes before its children, so going backwards every node is whole when it is added
  // to its parent.
  std::vector<Row> below(tree.size(), Row());
  for (auto place = static_cast<model::TerritoryIndex>(tree.size()); place-- > 0;) {
    if (!shown[place]) continue;
    auto& sum = below[place];
    sum.resize(snapshot.shape.width());
    add(sum, own[place]);
    const auto parent = tree[place].parent;
    if (!parent) continue;
    below[*parent].resize(snapshot.shape.width());
    add(below[*parent], sum);
  }
  for (model::TerritoryIndex place = 0; place < tree.size(); ++place) {
    if (!shown[place]) continue;
    const auto& node = tree[place];
    snapshot.territories.push_back(
        {node.code, node.name, node.kind, node.level,
         node.parent ? std::optional(tree[*node.parent].code) : std::nullopt,
         own[place].empty() ? 0 : own[place][0], Suppressed::no, std::move(below[place])});
  }
  for (auto& row : elsewhere) snapshot.territories.push_back(std::move(row));
}

void add_rows(const model::Tally& tally, Row& sum) {
  for (std::size_t i = 0; i < tally.territories().size(); ++i) add(sum, tally.row(i));
}

std::vector<model::TurnoutPoint> series_of(const std::vector<node::PartialTally>& partials) {
  std::map<std::uint32_t, std::uint64_t> hours;
  for (const auto& partial : partials)
    if (partial.tally)
      for (const auto& hour : partial.tally->hours()) hours[hour.unix_hour] += hour.ballots;
  std::vector<model::TurnoutPoint> series;
  std::uint64_t so_far = 0;
  for (const auto& [hour, ballots] : hours) series.push_back({hour, so_far += ballots});
  return series;
}

// What every reader relies on; a wrong sum must never leave the process.
void check_sums(const Snapshot& snapshot) {
  Row roots(snapshot.shape.width());
  for (const auto& territory : snapshot.territories)
    if (!territory.parent) add(roots, territory.counts);
  VECHE_ASSERT(roots == snapshot.counts, "the roots of a snapshot add up to its total");
}

}  // namespace

std::string_view name(Suppressed suppressed) {
  switch (suppressed) {
    case Suppressed::no:
      return "";
    case Suppressed::not_yet:
      return "not-yet";
    case Suppressed::in_group:
      return "in-group";
    case Suppressed::too_few:
      return "too-few";
  }
  return "unknown";
}

bool needs_tallies(const model::PollEntry& poll, Viewer viewer) {
  return poll.definition->disclosure == model::Disclosure::exact || viewer == Viewer::auditor;
}

Published publish(const std::shared_ptr<const model::PollEntry>& poll, Viewer viewer) {
  VECHE_ASSERT(!needs_tallies(*poll, viewer), "exact counts are made from tallies");
  const bool is_final = poll->publication && poll->publication->is_final;
  if (const auto reason = hidden(*poll, viewer, is_final)) return *reason;
  if (poll->publication) return snapshot_of(poll, *poll->publication, poll->phase);
  model::Publication nothing;
  for (const auto& row : poll->history->rows)
    if (row.event != model::Event::audited) nothing.shown_at = row.at;
  nothing.cells.resize(poll->cells->size());
  return snapshot_of(poll, nothing, poll->phase);
}

// Which versions there are would tell how much was voted: hidden comes first.
std::optional<Published> publish_version(const std::shared_ptr<const model::PollEntry>& poll,
                                         std::uint64_t number, std::string_view state,
                                         Viewer viewer) {
  const bool is_final = poll->publication && poll->publication->is_final;
  if (const auto reason = hidden(*poll, viewer, is_final)) return *reason;
  const auto* publication = find_publication(*poll, number);
  const auto phase = publication ? phase_of(*poll, *publication, state) : std::nullopt;
  if (!phase) return std::nullopt;
  return snapshot_of(poll, *publication, *phase);
}

bool keeps_version(const model::PollEntry& poll, std::uint64_t number, std::string_view state) {
  const auto* publication = find_publication(poll, number);
  return publication && phase_of(poll, *publication, state);
}

Published publish(const node::Collected& collected, Viewer viewer, Detail detail) {
  if (!needs_tallies(*collected.poll, viewer)) return publish(collected.poll, viewer);
  const auto& poll = *collected.poll;
  const auto& partials = collected.partials;
  const bool is_final =
      !partials.empty() && std::all_of(partials.begin(), partials.end(),
                                       [](const auto& partial) { return partial.closed; });
  if (const auto reason = hidden(poll, viewer, is_final)) return *reason;

  const model::TallyShape shape(*poll.definition);
  Snapshot snapshot{.poll = collected.poll,
                    .phase = poll.phase,
                    .version = version_of(partials, poll.phase),
                    .as_of = collected.as_of,
                    .partition_ballots = {},
                    .is_final = is_final,
                    .shape = shape,
                    .turnout = {},
                    .suppressed = Suppressed::no,
                    .counts = Row(shape.width()),
                    .territories = {},
                    .groups = {},
                    .not_shown = {},
                    .turnout_series = {}};
  for (const auto& partial : partials) {
    snapshot.partition_ballots.push_back(partial.tally ? partial.tally->ballots() : 0);
    if (viewer == Viewer::auditor)
      snapshot.not_shown = snapshot.not_shown.value_or(0) + partial.behind;
    if (partial.tally) add_rows(*partial.tally, snapshot.counts);
  }
  snapshot.turnout = snapshot.ballots();
  snapshot.turnout_series = series_of(partials);
  if (detail == Detail::whole_poll) return snapshot;
  model::Tally tally(*poll.definition);
  for (const auto& partial : partials)
    if (partial.tally) tally.merge(*partial.tally);
  add_territories(poll, tally, snapshot);
  check_sums(snapshot);
  return snapshot;
}

}  // namespace veche::publish
