#include "engine/apply/publications.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "engine/model/fault_variant.h"
#include "engine/model/limits.h"
#include "engine/model/tally.h"

namespace veche::apply {
namespace {

using model::PollPhase;
using model::Publication;

using Row = std::vector<std::uint64_t>;

bool is_zero(const Row& row) {
  return std::all_of(row.begin(), row.end(), [](std::uint64_t count) { return count == 0; });
}

// What is told of the hour is the last that was known in it.
void extend_series(Publication& publication) {
  const auto hour = static_cast<std::uint32_t>(
      std::chrono::floor<std::chrono::hours>(publication.at).time_since_epoch().count());
  auto& series = publication.turnout_series;
  if (!series.empty() && series.back().unix_hour >= hour)
    series.back().ballots = publication.turnout;
  else
    series.push_back({hour, publication.turnout});
}

void keep_last(model::PollEntry& entry) {
  if (!entry.publication) return;
  entry.earlier.push_back(entry.publication);
  if (entry.earlier.size() > limits::kPublicationsKept) entry.earlier.erase(entry.earlier.begin());
}

}  // namespace

// Parts of one publication have one writer and counters without a gap: those of another attempt,
// which a log of several machines may bring late, never mix with them.
Publications::Effect Publications::apply(const v1::Record& record, std::uint32_t partitions,
                                         model::PollEntry& entry) {
  const auto& part = record.publication();
  const auto* last = entry.publication.get();
  const bool publishes = entry.cells && (entry.phase == PollPhase::open || entry.takes_no_more());
  const bool follows = part.version() == (last ? last->version : 0) + 1 ||
                       model::kFaultVariant == model::FaultVariant::any_publication;
  if (!publishes || !follows) return Effect::is_void;
  if (last && last->is_final) return Effect::is_void;

  const auto& id = entry.definition->id;
  auto& parts = parts_[id];
  if (part.part() == 0) {
    parts = {record.boot(), record.counter(), 0, 0, false, std::make_shared<Publication>()};
    if (last) *parts.publication = *last;
    parts.publication->version = part.version();
    parts.publication->cells.resize(entry.cells->size());
  }
  if (!parts.publication || parts.boot != record.boot() || parts.count != part.part() ||
      parts.first_counter + parts.count != record.counter() ||
      parts.publication->version != part.version())
    return Effect::is_void;
  ++parts.count;
  if (!add_cells(part, entry, parts)) {
    parts_.erase(id);
    return Effect::invalid;
  }
  if (!part.last()) return Effect::noted;
  const bool fits = finish(part, partitions, entry, parts);
  const auto whole = std::move(parts.publication);
  parts_.erase(id);
  if (!fits) return Effect::invalid;
  if (last && last->shown_version != whole->shown_version) keep_last(entry);
  entry.publication = whole;
  return Effect::published;
}

bool Publications::add_cells(const v1::Publication& part, const model::PollEntry& entry,
                             Parts& parts) {
  parts.bytes += part.ByteSizeLong();
  if (parts.bytes > limits::kPublicationBytes) return false;
  const auto width = static_cast<int>(model::TallyShape(*entry.definition).width());
  for (const auto& cell : part.cells()) {
    const auto fits = [&](const auto& row) { return row.empty() || row.size() == width; };
    if (cell.cell() >= entry.cells->size() || !fits(cell.shown()) || !fits(cell.held()))
      return false;
    auto now = std::make_shared<const model::PublishedCell>(
        model::PublishedCell{{cell.shown().begin(), cell.shown().end()},
                             {cell.held().begin(), cell.held().end()},
                             cell.judged()});
    auto& before = parts.publication->cells[cell.cell()];
    parts.shows_more |= (before ? before->shown : Row()) != now->shown && !is_zero(now->shown);
    before = std::move(now);
  }
  return true;
}

bool Publications::finish(const v1::Publication& last, std::uint32_t partitions,
                          const model::PollEntry& entry, Parts& parts) {
  const auto& ends = last.group_ends();
  const auto cells = static_cast<std::uint32_t>(entry.cells->size());
  const bool ascends =
      std::adjacent_find(ends.begin(), ends.end(), std::greater_equal<>()) == ends.end();
  if (static_cast<std::uint32_t>(last.cut_size()) != partitions || !ascends) return false;
  if (last.final() ? ends.empty() || ends[0] == 0 || *ends.rbegin() != cells : !ends.empty())
    return false;
  auto& publication = *parts.publication;
  const bool is_first = publication.version == 1;
  const bool is_seen =
      is_first || last.final() || parts.shows_more || last.turnout() != publication.turnout;
  publication.at = model::Instant(std::chrono::milliseconds(last.unix_ms()));
  publication.cut.clear();
  for (const auto offset : last.cut()) publication.cut.push_back({offset});
  publication.turnout = last.turnout();
  publication.is_final = last.final();
  publication.group_ends.assign(ends.begin(), ends.end());
  if (!is_seen) return true;
  ++publication.shown_version;
  publication.shown_at = publication.at;
  extend_series(publication);
  return true;
}

}  // namespace veche::apply
