#include "engine/publish/steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/model/assert.h"
#include "engine/model/fault_variant.h"
#include "engine/model/limits.h"

namespace veche::publish {
namespace {

using model::FaultVariant;
using model::kFaultVariant;
using model::PollCells;
using model::Publication;
using model::PublishedCell;
using model::TerritoryIndex;

void add(Row& sum, const Row& row) {
  for (std::size_t i = 0; i < row.size(); ++i) sum[i] += row[i];
}

void subtract(Row& from, const Row& row) {
  for (std::size_t i = 0; i < row.size(); ++i) from[i] -= row[i];
}

// All ballots that are applied, by cell.
std::vector<Row> cast_by_cell(const node::Collected& collected) {
  const auto& poll = *collected.poll;
  const auto width = model::TallyShape(*poll.definition).width();
  std::vector<Row> cells(poll.cells->size(), Row(width));
  for (const auto& partial : collected.partials) {
    if (!partial.tally) continue;
    for (std::size_t i = 0; i < partial.tally->territories().size(); ++i) {
      const auto row = partial.tally->row(i);
      auto& cell = cells[poll.cells->cell_of(poll.tree->find(partial.tally->territories()[i]))];
      for (std::size_t c = 0; c < width; ++c) cell[c] += row[c];
    }
  }
  return cells;
}

// Whether everything is applied that the publication was made of.
bool covers(const node::Collected& collected, const Publication& publication) {
  if (collected.partials.size() != publication.cut.size()) return false;
  for (std::size_t p = 0; p < publication.cut.size(); ++p)
    if (collected.partials[p].position.next < publication.cut[p]) return false;
  return true;
}

// Whether each cell has all that it shows and holds: it has, unless the log lost ballots.
bool holds_all(const std::vector<Row>& cast, const Publication& publication) {
  for (std::size_t cell = 0; cell < cast.size(); ++cell) {
    const auto* before = publication.cells[cell].get();
    for (std::size_t i = 0; before && i < cast[cell].size(); ++i) {
      const auto shown = before->shown.empty() ? 0 : before->shown[i];
      const auto held = before->held.empty() ? 0 : before->held[i];
      if (cast[cell][i] < shown + held) return false;
    }
  }
  return true;
}

bool all_closed(const node::Collected& collected) {
  return !collected.partials.empty() &&
         std::all_of(collected.partials.begin(), collected.partials.end(),
                     [](const auto& partial) { return partial.closed; });
}

// Of the variant steps_parents_live: everything that is not shown is held, for its parents to show.
std::shared_ptr<const PublishedCell> live_step(const PublishedCell* before, const Row& rest,
                                               const model::PollDefinition& poll,
                                               const model::TallyShape& shape) {
  auto after = std::make_shared<PublishedCell>(before ? *before : PublishedCell());
  after->shown.resize(shape.width());
  after->held = rest;
  if (!may_come_out(rest, shape, poll)) return after;
  add(after->shown, std::exchange(after->held, {}));
  return after;
}

// One step of one cell, given all its ballots; nullptr: it stays as it is. Ballots that may not
// come out are judged again when k more are there, and not before: else the very moment in which a
// batch comes out would be that of the ballot that first said something else.
std::shared_ptr<const PublishedCell> step(const PublishedCell* before, Row cast,
                                          const model::PollDefinition& poll,
                                          const model::TallyShape& shape) {
  if (before) {
    subtract(cast, before->shown);
    if (kFaultVariant != FaultVariant::steps_parents_live) subtract(cast, before->held);
  }
  if (kFaultVariant == FaultVariant::steps_parents_live)
    return live_step(before, cast, poll, shape);
  const auto least = kFaultVariant == FaultVariant::steps_cut_every_ballot ? 1 : poll.least_voters;
  if (cast[0] < (before ? before->judged : 0) + least) return nullptr;
  auto after = std::make_shared<PublishedCell>(before ? *before : PublishedCell());
  after->judged = cast[0];
  if (!may_come_out(cast, shape, poll)) return after;
  after->shown.resize(shape.width());
  add(after->shown, after->held);
  after->held = std::move(cast);
  after->judged = 0;
  return after;
}

// The turnout as it is told before the end: in tens; and none while nothing is shown and fewer than
// 3k voted, for then only voters of one mind could keep the whole poll from coming out.
std::uint64_t told_turnout(std::uint64_t ballots, const Publication& next,
                           const model::PollDefinition& poll) {
  const bool shows = std::any_of(next.cells.begin(), next.cells.end(), [](const auto& cell) {
    return cell && !cell->shown.empty() && cell->shown[0] > 0;
  });
  if (!shows && ballots < 3 * std::uint64_t{poll.least_voters}) return 0;
  return ballots / limits::kTurnoutStep * limits::kTurnoutStep;
}

// Where each closing group ends, given what the cells have left.
std::vector<std::uint32_t> close_groups(const std::vector<Row>& rest,
                                        const std::vector<bool>& has_held,
                                        const model::PollDefinition& poll,
                                        const model::TallyShape& shape) {
  std::vector<std::uint32_t> ends;
  Row group(shape.width());
  bool holds_batch = false;
  for (std::uint32_t cell = 0; cell < rest.size(); ++cell) {
    add(group, rest[cell]);
    holds_batch = holds_batch || has_held[cell];
    const bool is_fault = kFaultVariant == FaultVariant::steps_last_batch_alone ||
                          (kFaultVariant == FaultVariant::steps_other_of_parent &&
                           cell + 1 < rest.size() && may_come_out(rest[cell + 1], shape, poll));
    if (!holds_batch && !may_come_out(group, shape, poll) && !is_fault) continue;
    ends.push_back(cell + 1);
    group.assign(shape.width(), 0);
    holds_batch = false;
  }
  const auto size = static_cast<std::uint32_t>(rest.size());
  if (ends.empty())
    ends.push_back(size);
  else
    ends.back() = size;
  return ends;
}

void finish(Publication& next, const Publication* last, std::vector<Row> cast,
            const model::PollDefinition& poll, const model::TallyShape& shape) {
  std::vector<Row> rest = cast;
  std::vector<bool> has_held(cast.size());
  for (std::size_t cell = 0; cell < cast.size(); ++cell) {
    const auto* before = last ? last->cells[cell].get() : nullptr;
    if (!before) continue;
    subtract(rest[cell], before->shown);
    has_held[cell] = !before->held.empty();
  }
  next.is_final = true;
  next.group_ends = close_groups(rest, has_held, poll, shape);
  for (std::size_t cell = 0; cell < cast.size(); ++cell) {
    const bool empty = cast[cell][0] == 0;
    next.cells[cell] =
        empty ? nullptr
              : std::make_shared<const PublishedCell>(PublishedCell{std::move(cast[cell]), {}, 0});
  }
}

// --- What a publication shows ------------------------------------------------------------------

using CellRange = std::pair<std::uint32_t, std::uint32_t>;

class View {
 public:
  View(const std::shared_ptr<const model::PollEntry>& poll, const Publication& publication,
       model::PollPhase phase)
      : poll_(*poll), publication_(publication) {
    snapshot_.emplace(
        Snapshot{.poll = poll,
                 .phase = phase,
                 .version = fmt::format("{}-{}", publication.shown_version, model::name(phase)),
                 .as_of = publication.shown_at,
                 .partition_ballots = {},
                 .is_final = publication.is_final,
                 .shape = model::TallyShape(*poll->definition),
                 .turnout = publication.turnout,
                 .suppressed = Suppressed::no,
                 .counts = {},
                 .territories = {},
                 .groups = {},
                 .not_shown = {},
                 .turnout_series = publication.turnout_series});
  }

  Snapshot show() && {
    auto& snapshot = *snapshot_;
    const auto everything = CellRange(0, static_cast<std::uint32_t>(poll_.cells->size()));
    snapshot.counts = sum(everything);
    if (is_all_too_few()) {
      snapshot.suppressed = Suppressed::too_few;
      snapshot.counts.clear();
      snapshot.turnout.reset();
      snapshot.turnout_series.clear();
    } else if (publication_.is_final) {
      snapshot.turnout = snapshot.counts[0];
    } else if (snapshot.counts[0] == 0) {
      snapshot.suppressed = Suppressed::not_yet;
      snapshot.counts.clear();
    }
    add_territories();
    add_groups();
    return std::move(snapshot);
  }

 private:
  Row sum(CellRange range) const {
    Row counts(snapshot_->shape.width());
    for (auto cell = range.first; cell < range.second; ++cell)
      if (publication_.cells[cell]) add(counts, publication_.cells[cell]->shown);
    return counts;
  }

  // Whole batches alone are shown before the end, so no border is crossed but a pool's own.
  bool is_whole(CellRange range) const {
    if (!publication_.is_final) return true;
    const auto& ends = publication_.group_ends;
    const auto is_border = [&](std::uint32_t cell) {
      return cell == 0 || std::binary_search(ends.begin(), ends.end(), cell);
    };
    return is_border(range.first) && is_border(range.second);
  }

  // The only group may not come out: then nothing ever did, for a batch that did is part of it.
  bool is_all_too_few() const {
    return publication_.is_final && publication_.group_ends.size() == 1 &&
           !may_come_out(snapshot_->counts, snapshot_->shape, *poll_.definition);
  }

  // The counts of a range, or why they are not shown.
  Suppressed show_range(std::optional<CellRange> range, Row& counts) const {
    if (snapshot_->suppressed == Suppressed::too_few) return Suppressed::too_few;
    if (!range || !is_whole(*range)) return Suppressed::in_group;
    counts = sum(*range);
    if (kFaultVariant == FaultVariant::steps_parents_live && range->second > range->first + 1)
      for (auto cell = range->first; cell < range->second; ++cell)
        if (publication_.cells[cell]) add(counts, publication_.cells[cell]->held);
    if (counts[0] > 0 || publication_.is_final) return Suppressed::no;
    counts.clear();
    return Suppressed::not_yet;
  }

  void add_territories();
  std::optional<std::uint64_t> not_below(TerritoryIndex place) const;
  void add_groups();
  void add_group(CellRange range);
  std::optional<TerritoryIndex> smallest_holder(const std::vector<TerritoryIndex>& places) const;

  const model::PollEntry& poll_;
  const Publication& publication_;
  std::optional<Snapshot> snapshot_;
};

void View::add_territories() {
  const auto& tree = *poll_.tree;
  std::vector<bool> is_listed(tree.size());
  for (std::size_t cell = 0; cell < poll_.cells->size(); ++cell)
    for (const auto member : poll_.cells->members(cell))
      for (const auto place : tree.path_to_root(member)) is_listed[place] = true;
  for (TerritoryIndex place = 0; place < tree.size(); ++place) {
    if (!is_listed[place]) continue;
    const auto& node = tree[place];
    TerritoryCounts territory{node.code,
                              node.name,
                              node.kind,
                              node.level,
                              node.parent ? std::optional(tree[*node.parent].code) : std::nullopt,
                              not_below(place),
                              Suppressed::no,
                              {}};
    territory.suppressed = show_range(poll_.cells->range_of(place, tree), territory.counts);
    snapshot_->territories.push_back(std::move(territory));
  }
}

std::optional<std::uint64_t> View::not_below(TerritoryIndex place) const {
  const auto cell = poll_.cells->cell_at(place);
  if (!cell) return 0;  // nobody who is registered here may vote
  if (poll_.cells->members(*cell).size() > 1) return std::nullopt;
  Row counts;
  if (show_range(CellRange(*cell, *cell + 1), counts) != Suppressed::no) return std::nullopt;
  return counts[0];
}

// Every cell is in one group: before the end in one of its own, and only pools need to be told.
void View::add_groups() {
  std::uint32_t begin = 0;
  if (publication_.is_final) {
    for (const auto end : publication_.group_ends) add_group({std::exchange(begin, end), end});
    return;
  }
  for (; begin < poll_.cells->size(); ++begin) add_group({begin, begin + 1});
}

void View::add_group(CellRange range) {
  std::vector<TerritoryIndex> members;
  for (auto cell = range.first; cell < range.second; ++cell)
    for (const auto place : poll_.cells->members(cell)) members.push_back(place);
  if (members.size() == 1) return;  // a territory, or what is not below one, shows it
  std::sort(members.begin(), members.end());
  const auto& tree = *poll_.tree;
  GroupCounts group;
  if (const auto holder = smallest_holder(members)) {
    group.within = tree[*holder].code;
    group.within_name = tree[*holder].name;
  }
  for (const auto place : members)
    (tree.children(place).empty() ? group.leaves : group.not_below).push_back(tree[place].code);
  group.suppressed = show_range(range, group.counts);
  snapshot_->groups.push_back(std::move(group));
}

std::optional<TerritoryIndex> View::smallest_holder(
    const std::vector<TerritoryIndex>& places) const {
  for (const auto holder : poll_.tree->path_to_root(places.front()))
    if (poll_.tree->is_within(places.back(), holder)) return holder;
  return std::nullopt;
}

}  // namespace

bool may_come_out(std::span<const std::uint64_t> row, const model::TallyShape& shape,
                  const model::PollDefinition& poll) {
  const auto voters = row[0], k = std::uint64_t{poll.least_voters};
  if (kFaultVariant == FaultVariant::steps_cut_every_ballot) return voters > 0;
  if (voters < k) return false;
  if (voters >= 3 * k) return true;
  for (std::size_t q = 0; q < poll.questions.size(); ++q)
    for (std::size_t o = 0; o < poll.questions[q].options.size(); ++o)
      if (row[shape.votes_at(q, o)] == voters) return false;
  return true;
}

std::shared_ptr<const Publication> next_publication(const node::Collected& collected,
                                                    model::Instant now) {
  const auto& poll = *collected.poll;
  const auto* last = poll.publication.get();
  if (last && (last->is_final || !covers(collected, *last))) return nullptr;
  const model::TallyShape shape(*poll.definition);
  auto cast = cast_by_cell(collected);

  auto next = std::make_shared<Publication>();
  next->version = (last ? last->version : 0) + 1;
  next->at = std::max(now, last ? last->at : now);
  if (last && !holds_all(cast, *last)) return nullptr;
  for (const auto& partial : collected.partials) next->cut.push_back(partial.position.next);
  std::uint64_t ballots = 0;
  for (const auto& cell : cast) ballots += cell[0];
  next->cells.resize(cast.size());
  if (last) next->cells = last->cells;

  if (all_closed(collected)) {
    next->turnout = ballots / limits::kTurnoutStep * limits::kTurnoutStep;
    finish(*next, last, std::move(cast), *poll.definition, shape);
    return next;
  }
  bool is_new = !last;
  for (std::size_t cell = 0; cell < cast.size(); ++cell) {
    auto after = step(next->cells[cell].get(), std::move(cast[cell]), *poll.definition, shape);
    if (!after) continue;
    next->cells[cell] = std::move(after);
    is_new = true;
  }
  next->turnout = told_turnout(ballots, *next, *poll.definition);
  return is_new || next->turnout != last->turnout ? next : nullptr;
}

Snapshot snapshot_of(const std::shared_ptr<const model::PollEntry>& poll,
                     const Publication& publication, model::PollPhase phase) {
  return View(poll, publication, phase).show();
}

}  // namespace veche::publish
