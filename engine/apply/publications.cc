#include "engine/apply/publications.h"

#include <algorithm>
#include <chrono>

#include "engine/model/limits.h"
#include "engine/model/tally.h"

namespace veche::apply {
namespace {

using model::PollPhase;
using model::Publication;

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

Publications::Effect Publications::apply(const v1::Record& record, model::PollEntry& entry) {
  const auto& part = record.publication();
  const auto* last = entry.publication.get();
  const bool publishes = entry.cells && (entry.phase == PollPhase::open || entry.takes_no_more());
  if (!publishes || part.version() != (last ? last->version : 0) + 1) return Effect::is_void;
  if (last && last->is_final) return Effect::is_void;

  auto& parts = parts_[entry.definition->id];
  if (part.part() == 0) {
    parts = {record.boot(), 0, 0, std::make_shared<Publication>()};
    if (last) *parts.publication = *last;
    parts.publication->version = part.version();
    parts.publication->cells.resize(entry.cells->size());
  }
  if (!parts.publication || parts.boot != record.boot() || parts.count != part.part() ||
      parts.publication->version != part.version())
    return Effect::is_void;
  ++parts.count;
  if (!add_cells(part, entry, parts)) {
    parts_.erase(entry.definition->id);
    return Effect::invalid;
  }
  if (!part.last()) return Effect::noted;
  const auto whole = std::move(parts.publication);
  parts_.erase(entry.definition->id);
  if (!finish(part, entry, *whole)) return Effect::invalid;
  keep_last(entry);
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
    auto& shown = parts.publication->cells[cell.cell()];
    shown = cell.shown().empty() && cell.held().empty()
                ? nullptr
                : std::make_shared<const model::PublishedCell>(
                      model::PublishedCell{{cell.shown().begin(), cell.shown().end()},
                                           {cell.held().begin(), cell.held().end()}});
  }
  return true;
}

bool Publications::finish(const v1::Publication& last, const model::PollEntry& entry,
                          Publication& publication) {
  const auto& ends = last.group_ends();
  const auto cells = static_cast<std::uint32_t>(entry.cells->size());
  const bool ascends =
      std::adjacent_find(ends.begin(), ends.end(), std::greater_equal<>()) == ends.end();
  if (last.cut_size() > limits::kPartitions || !ascends) return false;
  if (last.final() ? ends.empty() || *ends.rbegin() != cells : !ends.empty()) return false;
  publication.at = model::Instant(std::chrono::milliseconds(last.unix_ms()));
  publication.cut.clear();
  for (const auto offset : last.cut()) publication.cut.push_back({offset});
  publication.turnout = last.turnout();
  publication.is_final = last.final();
  publication.group_ends.assign(ends.begin(), ends.end());
  extend_series(publication);
  return true;
}

}  // namespace veche::apply
