#include "tools/veche/recount_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "engine/apply/partition.h"
#include "tools/veche/shown.h"
#include "tools/veche/terminal.h"

namespace veche::tools {
namespace {

using model::Offset;
using model::PartitionId;

// Takes records into one partition's recount, and says how far it is.
class Reading {
 public:
  Reading(const storage::LogReader& log, PartitionId id, Progress& progress)
      : log_(log), id_(id), progress_(progress), recount_(id, log.partitions()) {}

  // `on_counted` hears of each ballot that is counted, and of the poll as it is then.
  using OnCounted = std::function<void(const PollRecount& poll)>;
  Result<void> read_to(Offset to, const OnCounted& on_counted = {}) {
    return log_.for_each(
        id_, recount_.position().next, to,
        [this, &on_counted](Offset offset, std::string_view record) -> Result<void> {
          if ((offset.value & kProgressMask) == 0 && progress_.is_due())
            progress_.show(fmt::format("partition {} of {}, {} records", id_.value + 1,
                                       log_.partitions(), offset.value));
          if (auto taken = recount_.take(record); !taken)
            return Fault{fmt::format("partition {}, offset {}: {}", id_.value, offset.value,
                                     taken.error().message)};
          if (on_counted && recount_.last_counted()) on_counted(*recount_.last_counted());
          return {};
        });
  }
  const PartitionRecount& recount() const { return recount_; }

 private:
  static constexpr std::uint64_t kProgressMask = 0xFFF;  // asks for the time only so often

  const storage::LogReader& log_;
  const PartitionId id_;
  Progress& progress_;
  PartitionRecount recount_;
};

// The index's tallies are asked for, and nobody is looked up.
class NoVoters final : public model::VoterIndex {
  std::optional<model::Counted> find(PartitionId, model::PollNumber,
                                     const model::VoterKey&) override {
    return std::nullopt;
  }
  void insert(PartitionId, model::PollNumber, const model::VoterKey&,
              const model::Counted&) override {}
};

// A tally of the engine in our form.
CountsByTerritory read_tally(const model::PollDefinition& poll, const model::Tally& tally) {
  CountsByTerritory territories;
  for (std::size_t place = 0; place < tally.territories().size(); ++place) {
    const auto row = tally.row(place);
    auto& counts = territories.try_emplace(tally.territories()[place], poll).first->second;
    counts.ballots = row[0];
    for (std::size_t q = 0; q < counts.questions.size(); ++q)
      for (std::size_t o = 0; o < counts.questions[q].size(); ++o) {
        const auto at = tally.shape().votes_at(q, o);
        counts.questions[q][o] = {row[at], tally.shape().has_points(q) ? row[at + 1] : 0};
      }
  }
  return territories;
}

void compare_territories(const model::PollDefinition& poll, const std::string& where,
                         const CountsByTerritory& ours, const CountsByTerritory& theirs,
                         Comparison& comparison) {
  for (const auto& [code, counts] : ours) {
    const auto found = theirs.find(code);
    comparison.counts(poll, fmt::format("{}, {}", where, code.view()), counts,
                      found == theirs.end() ? Counts(poll) : found->second);
  }
  for (const auto& [code, counts] : theirs)
    if (!ours.contains(code))
      comparison.counts(poll, fmt::format("{}, {}", where, code.view()), Counts(poll), counts);
}

void compare_hours(const std::string& where, const std::map<std::uint32_t, std::uint64_t>& ours,
                   const std::vector<model::HourCount>& theirs, Comparison& comparison) {
  std::map<std::uint32_t, std::uint64_t> rest;
  for (const auto& hour : theirs) rest[hour.unix_hour] = hour.ballots;
  for (const auto& [hour, ballots] : ours) {
    comparison.number(fmt::format("{}, ballots in hour {}", where, hour), ballots, rest[hour]);
    rest.erase(hour);
  }
  for (const auto& [hour, ballots] : rest)
    comparison.number(fmt::format("{}, ballots in hour {}", where, hour), 0, ballots);
}

// Our count of one poll in one partition against the index's.
Comparison compare_poll(PartitionId partition, const PollRecount& ours,
                        const apply::PollState& theirs, std::uint64_t voters) {
  Comparison comparison;
  const auto where = fmt::format("partition {}", partition.value);
  comparison.number(where + ", voters in the index", ours.counted, voters);
  comparison.number(where + ", counted ballots", ours.counted, theirs.tally.ballots());
  comparison.number(where + ", closed", ours.closed, theirs.closed);
  compare_territories(*ours.definition, where, ours.territories,
                      read_tally(*ours.definition, theirs.tally), comparison);
  compare_hours(where, ours.hours, theirs.tally.hours(), comparison);
  return comparison;
}

// Both stand at the same offset.
void compare_with_index(PartitionId id, const PartitionRecount& ours,
                        const storage::IndexStore& index, const model::PartitionImage& image,
                        RecountReport& report) {
  NoVoters none;
  const apply::Partition theirs(image, none);
  auto& whole = report.partitions[id.value].comparison;
  ++whole.compared;
  if (ours.position().hash != theirs.position().hash)
    whole.differences.push_back(
        fmt::format("partition {}: the rolling hash at offset {} is {:02x} "
                    "by our count, {:02x} there",
                    id.value, image.position.next.value, fmt::join(ours.position().hash.bytes, ""),
                    fmt::join(theirs.position().hash.bytes, "")));
  whole.number(fmt::format("partition {}, polls", id.value), ours.opened().size(),
               theirs.polls().size());
  whole.number(fmt::format("partition {}, duplicates", id.value), ours.duplicates(),
               theirs.duplicates());
  whole.number(fmt::format("partition {}, invalid records", id.value), ours.invalid(),
               theirs.invalid());
  for (std::size_t i = 0; i < std::min(ours.opened().size(), theirs.polls().size()); ++i) {
    const auto& poll = *ours.opened()[i];
    const auto& state = *theirs.polls()[i];
    auto& comparison = report.polls[poll.definition->id].comparison;
    if (*poll.definition == *state.definition)
      comparison.add(compare_poll(id, poll, state, index.count_voters(id, state.number)));
    else
      comparison.differences.push_back(
          fmt::format("partition {}: the index has another definition, of {}", id.value,
                      state.definition->id.view()));
  }
}

void note_partition(PartitionId id, const PartitionRecount& recount, RecountReport& report) {
  auto& partition = report.partitions[id.value];
  partition.tails_compared = recount.tails_compared();
  partition.tails_different = recount.tails_different();
  partition.comparison.number(
      fmt::format("partition {}, ballots that belong into another", id.value), recount.misplaced(),
      0);
}

// How many ballots of each poll the server had counted in the partition; nothing: all that there
// are.
using Told = std::map<model::PollId, std::optional<std::uint64_t>>;

Result<std::optional<std::uint64_t>> told_of(const LiveResults& live, std::uint16_t partition,
                                             std::uint16_t partitions) {
  // Final results cover all there is; others of a poll in steps hold back what the log has.
  if (live.results.at("final").as_bool()) return std::optional<std::uint64_t>();
  const auto* told = live.results.as_object().if_contains("partition_ballots");
  if (!told)
    return Fault{fmt::format("{} discloses in steps: recount it when its results are final",
                             live.poll.view())};
  const auto& ballots = told->as_array();
  if (ballots.size() != partitions)
    return Fault{
        fmt::format("the server counts {} partitions, the log has {}: is it the folder of "
                    "this server?",
                    ballots.size(), partitions)};
  return std::optional(ballots[partition].to_number<std::uint64_t>());
}

Result<Told> all_told(const std::vector<LiveResults>& live, std::uint16_t partition,
                      std::uint16_t partitions) {
  Told all;
  for (const auto& results : live) {
    const auto told = told_of(results, partition, partitions);
    if (!told) return told.error();
    all.emplace(results.poll, *told);
  }
  return all;
}

// What the server had counted of each poll in the partition, the report's last one, is a beginning
// of it.
Result<void> recount_beginnings(Reading& reading, Offset end, Told told, RecountReport& report) {
  const auto note = [&](const PollRecount& poll) {
    const auto found = told.find(poll.definition->id);
    if (found == told.end() || found->second != poll.counted) return;
    report.polls[found->first].recount.add(poll);
    told.erase(found);
  };
  if (auto read = reading.read_to(end, note); !read) return read.error();
  for (const auto& [id, ballots] : told) {
    const auto* poll = reading.recount().find(id);
    if (const auto counted = poll ? poll->counted : 0; ballots > counted)
      report.partitions.back().comparison.number(
          fmt::format("{}, ballots in partition {}", id.view(), report.partitions.size() - 1),
          counted, *ballots);
    if (!poll || !poll->definition) continue;
    PollRecount none;
    none.definition = poll->definition;
    report.polls[id].recount.add(ballots == 0u ? none : *poll);
  }
  return {};
}

}  // namespace

std::uint64_t RecountReport::records() const {
  std::uint64_t sum = 0;
  for (const auto& partition : partitions) sum += partition.log_end.value;
  return sum;
}

std::uint64_t RecountReport::ballots() const {
  std::uint64_t sum = 0;
  for (const auto& [id, poll] : polls) sum += poll.recount.ballots();
  return sum;
}

std::uint64_t RecountReport::tails_compared() const {
  std::uint64_t sum = 0;
  for (const auto& partition : partitions) sum += partition.tails_compared;
  return sum;
}

std::uint64_t RecountReport::tails_different() const {
  std::uint64_t sum = 0;
  for (const auto& partition : partitions) sum += partition.tails_different;
  return sum;
}

Comparison RecountReport::whole() const {
  Comparison whole;
  for (const auto& partition : partitions) whole.add(partition.comparison);
  for (const auto& [id, poll] : polls) whole.add(poll.comparison);
  return whole;
}

Result<RecountReport> recount_index(const storage::LogReader& log,
                                    const storage::IndexStore& index) {
  RecountReport report;
  Progress progress;
  for (std::uint16_t p = 0; p < log.partitions(); ++p) {
    const PartitionId id{p};
    const auto image = index.load(id);
    const auto end = log.end(id, image.position.next);
    if (!end) return end.error();
    report.partitions.push_back({.compared_at = image.position.next, .log_end = *end});
    if (image.position.next > *end)
      report.partitions[p].comparison.differences.push_back(fmt::format(
          "partition {}: the log ends at offset {}, the index is at {}: the log was cut", p,
          end->value, image.position.next.value));
    Reading reading(log, id, progress);
    if (image.position.next <= *end) {
      if (auto read = reading.read_to(image.position.next); !read) return read.error();
      compare_with_index(id, reading.recount(), index, image, report);
    }
    if (auto read = reading.read_to(*end); !read) return read.error();
    for (const auto& [poll, recount] : reading.recount().polls())
      report.polls[poll].recount.add(*recount);
    note_partition(id, reading.recount(), report);
  }
  return report;
}

Result<RecountReport> recount_results(const storage::LogReader& log,
                                      const std::vector<LiveResults>& live) {
  RecountReport report;
  Progress progress;
  for (std::uint16_t p = 0; p < log.partitions(); ++p) {
    auto told = all_told(live, p, log.partitions());
    if (!told) return told.error();
    const auto end = log.end({p});
    if (!end) return end.error();
    Reading reading(log, {p}, progress);
    report.partitions.push_back({.compared_at = *end, .log_end = *end});
    auto read = recount_beginnings(reading, *end, *std::move(told), report);
    if (!read) return read.error();
    note_partition({p}, reading.recount(), report);
  }
  for (const auto& [poll, results] : live) {
    auto& [recount, comparison] = report.polls[poll];
    if (recount.definition)
      comparison = compare_with_results(*recount.definition, recount.territories, results);
    else if (const auto ballots = shown_number(results.at("ballots")))
      comparison.number("ballots", 0, *ballots);
  }
  return report;
}

}  // namespace veche::tools
