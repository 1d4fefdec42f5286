#include "ingest/wire/results.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "engine/model/csv.h"
#include "ingest/wire/json_writer.h"
#include "ingest/wire/time.h"

namespace veche::wire {
namespace {

using publish::GroupCounts;
using publish::Row;
using publish::Snapshot;
using publish::Suppressed;
using publish::TerritoryCounts;

bool wanted(const TerritoryCounts& territory, const TerritoryFilter& filter) {
  return filter.by_territory && (!filter.level || territory.level == *filter.level) &&
         (!filter.parent || territory.parent == filter.parent);
}

// Counts of a place as members of its object. What stands between the numbers is the same for every
// place, and is put together once.
class CountsWriter {
 public:
  explicit CountsWriter(const Snapshot& snapshot) {
    JsonWriter json;
    json.open('[');
    const auto& questions = snapshot.poll->definition->questions;
    for (std::size_t q = 0; q < questions.size(); ++q) {
      json.open('{').key("id").text(questions[q].id).key("options").open('[');
      for (std::size_t o = 0; o < questions[q].options.size(); ++o) {
        const auto at = snapshot.shape.votes_at(q, o);
        json.open('{').key("id").text(questions[q].options[o].id);
        leave_room("votes", at, json);
        if (snapshot.shape.has_points(q)) leave_room("points", at + 1, json);
        json.close('}');
      }
      json.close(']').close('}');
    }
    behind_ = json.close(']').take();
  }

  // Of suppressed counts every member is there and null: never 0, never left out.
  void write(Suppressed suppressed, const Row& counts, JsonWriter& json) const {
    json.key("ballots");
    write_number(counts, 0, json);
    json.key("suppressed");
    suppressed == Suppressed::no ? json.null() : json.text(publish::name(suppressed));
    json.key("questions");
    for (const auto& number : numbers_) {
      json.beginning(number.before);
      write_number(counts, number.at, json);
    }
    json.ending(behind_);
  }

  // About so many for each place.
  std::size_t bytes() const {
    constexpr std::size_t kDigits = 6, kNames = 256;
    auto bytes = behind_.size() + kNames;
    for (const auto& number : numbers_) bytes += number.before.size() + kDigits;
    return bytes;
  }

 private:
  struct Number {
    std::string before;
    std::size_t at;  // in a row
  };

  static void write_number(const Row& counts, std::size_t at, JsonWriter& json) {
    counts.empty() ? json.null() : json.number(counts[at]);
  }

  void leave_room(std::string_view name, std::size_t at, JsonWriter& json) {
    json.key(name);
    numbers_.push_back({json.take(), at});
    json.ending({});
  }

  std::vector<Number> numbers_;
  std::string behind_;
};

void write_code(const std::optional<model::TerritoryCode>& code, JsonWriter& json) {
  code ? json.text(code->view()) : json.null();
}

void write_territory(const TerritoryCounts& territory, const CountsWriter& counts,
                     JsonWriter& json) {
  json.open('{').key("code").text(territory.code.view()).key("name").text(territory.name);
  json.key("kind").text(territory.kind).key("level").number(territory.level).key("parent");
  write_code(territory.parent, json);
  json.key("not_below").number(territory.not_below);
  counts.write(territory.suppressed, territory.counts, json);
  json.close('}');
}

void write_codes(const std::vector<model::TerritoryCode>& codes, JsonWriter& json) {
  json.open('[');
  for (const auto& code : codes) json.text(code.view());
  json.close(']');
}

void write_group(const GroupCounts& group, const CountsWriter& counts, JsonWriter& json) {
  json.open('{').key("within");
  write_code(group.within, json);
  json.key("leaves");
  write_codes(group.leaves, json);
  json.key("not_below");
  write_codes(group.not_below, json);
  counts.write(group.suppressed, group.counts, json);
  json.close('}');
}

void write_territories(const Snapshot& snapshot, const TerritoryFilter& filter,
                       const CountsWriter& counts, JsonWriter& json) {
  const auto rows = std::count_if(snapshot.territories.begin(), snapshot.territories.end(),
                                  [&](const auto& row) { return wanted(row, filter); });
  json.reserve((static_cast<std::size_t>(rows) + snapshot.groups.size() + 1) * counts.bytes());
  json.key("territories").open('[');
  for (const auto& territory : snapshot.territories)
    if (wanted(territory, filter)) write_territory(territory, counts, json);
  json.close(']').key("groups").open('[');
  for (const auto& group : snapshot.groups) write_group(group, counts, json);
  json.close(']');
}

// Which poll, how new, and in what state.
void write_head(const Snapshot& snapshot, JsonWriter& json) {
  json.open('{').key("poll").text(snapshot.poll->definition->id.view());
  json.key("version").text(snapshot.version).key("as_of").text(format_time(snapshot.as_of));
  json.key("state").text(model::name(snapshot.phase)).key("final").flag(snapshot.is_final);
  json.key("turnout").number(snapshot.turnout);
}

// --- CSV ---------------------------------------------------------------------------------------

constexpr std::string_view kCsvHeader[] = {
    "poll_id",   "question_id",    "option_id", "option_title", "level",
    "territory", "territory_name", "votes",     "points",       "ballots",
    "share",     "suppressed",     "state",     "version",      "as_of"};

// The rows of one place, but for what they count.
struct CsvPlace {
  std::string columns;  // level, territory, territory_name
  Suppressed suppressed;
  const Row& counts;
};

class CsvTable {
 public:
  CsvTable(const Snapshot& snapshot, const TerritoryFilter& filter, CsvStyle style)
      : snapshot_(snapshot), style_(style), separator_(style.for_excel ? ';' : ',') {
    if (style.for_excel) out_ = "\xEF\xBB\xBF";
    for (const auto name : kCsvHeader) {
      if (name != kCsvHeader[0]) out_ += separator_;
      out_ += name;
    }
    out_ += "\r\n";
    add_places(filter);
    tail_ = separator_ + std::string(model::name(snapshot.phase)) + separator_ + snapshot.version +
            separator_ + format_time(snapshot.as_of) + "\r\n";
  }

  std::string write() && {
    const auto& definition = *snapshot_.poll->definition;
    for (std::size_t q = 0; q < definition.questions.size(); ++q)
      for (std::size_t o = 0; o < definition.questions[q].options.size(); ++o) {
        const auto head = head_of(definition.questions[q], o);
        for (const auto& place : places_) write_row(head, place, q, o);
      }
    return std::move(out_);
  }

 private:
  void add_places(const TerritoryFilter& filter) {
    places_.push_back({columns("", "(all)", ""), snapshot_.suppressed, snapshot_.counts});
    for (const auto& territory : snapshot_.territories)
      if (wanted(territory, filter))
        places_.push_back(
            {columns(fmt::format("{}", territory.level), id(territory.code.view()), territory.name),
             territory.suppressed, territory.counts});
    if (!filter.by_territory) return;
    for (std::size_t g = 0; g < snapshot_.groups.size(); ++g) {
      const auto& group = snapshot_.groups[g];
      places_.push_back({columns("", fmt::format("(group {})", g + 1), members_of(group)),
                         group.suppressed, group.counts});
    }
  }

  static std::string members_of(const GroupCounts& group) {
    std::string members;
    for (const auto* codes : {&group.leaves, &group.not_below})
      for (const auto& code : *codes) {
        if (!members.empty()) members += ' ';
        members += code.view();
        if (codes == &group.not_below) members += "*";  // those registered there and not below
      }
    return members;
  }

  std::string columns(std::string_view level, std::string_view territory,
                      std::string_view name) const {
    return fmt::format("{0}{1}{0}{2}{0}{3}", separator_, level, territory, text(name));
  }

  // A spreadsheet takes an id or a code for a number or a date, and shows something else than it,
  // unless a formula says that it is a text.
  std::string id(std::string_view id) const {
    if (!style_.for_excel) return model::csv_field(id, separator_);
    std::string formula = "=\"";
    for (const char c : id) formula.append(c == '"' ? 2 : 1, c);
    return model::csv_field(formula + '"', separator_);
  }

  // A spreadsheet runs a text that begins so as a formula.
  std::string text(std::string_view text) const {
    constexpr std::string_view kFormulaStarts = "=+-@\t\r";
    const bool runs =
        style_.for_excel && !text.empty() && kFormulaStarts.find(text[0]) != std::string_view::npos;
    return model::csv_field(runs ? "'" + std::string(text) : std::string(text), separator_);
  }

  std::string head_of(const model::Question& question, std::size_t o) const {
    const auto& option = question.options[o];
    const bool english = style_.titles == Language::en && !option.title.en.empty();
    return fmt::format("{1}{0}{2}{0}{3}{0}{4}", separator_,
                       id(snapshot_.poll->definition->id.view()), id(question.id), id(option.id),
                       text(english ? option.title.en : option.title.ru));
  }

  void write_row(const std::string& head, const CsvPlace& place, std::size_t q, std::size_t o) {
    out_ += head;
    out_ += place.columns;
    out_ += separator_;
    if (place.counts.empty())
      out_.append(3, separator_);
    else
      write_counts(place.counts, q, o);
    out_ += separator_;
    out_ += publish::name(place.suppressed);
    out_ += tail_;
  }

  // votes, points, ballots, share: all empty where they are suppressed.
  void write_counts(const Row& counts, std::size_t q, std::size_t o) {
    const auto at = snapshot_.shape.votes_at(q, o);
    append_number(counts[at], out_);
    out_ += separator_;
    if (snapshot_.shape.has_points(q)) append_number(counts[at + 1], out_);
    out_ += separator_;
    append_number(counts[0], out_);
    out_ += separator_;
    if (counts[0] > 0)
      write_share(static_cast<double>(counts[at]) / static_cast<double>(counts[0]));
  }

  void write_share(double share) {
    const auto begin = static_cast<std::ptrdiff_t>(out_.size());
    fmt::format_to(std::back_inserter(out_), FMT_COMPILE("{:.6f}"), share);
    if (style_.for_excel && style_.titles == Language::ru)
      std::replace(out_.begin() + begin, out_.end(), '.', ',');
  }

  const Snapshot& snapshot_;
  const CsvStyle style_;
  const char separator_;
  std::vector<CsvPlace> places_;
  std::string tail_;
  std::string out_;
};

}  // namespace

std::string results_json(const Snapshot& snapshot, const TerritoryFilter& filter) {
  const CountsWriter counts(snapshot);
  JsonWriter json;
  write_head(snapshot, json);
  if (snapshot.not_shown) json.key("not_shown").number(*snapshot.not_shown);
  if (!snapshot.partition_ballots.empty()) {
    json.key("partition_ballots").open('[');
    for (const auto ballots : snapshot.partition_ballots) json.number(ballots);
    json.close(']');
  }
  counts.write(snapshot.suppressed, snapshot.counts, json);
  if (filter.by_territory) write_territories(snapshot, filter, counts, json);
  return json.close('}').take();
}

std::string territories_json(const Snapshot& snapshot, const TerritoryFilter& filter) {
  JsonWriter json;
  json.open('{').key("poll").text(snapshot.poll->definition->id.view());
  json.key("version").text(snapshot.version);
  write_territories(snapshot, filter, CountsWriter(snapshot), json);
  return json.close('}').take();
}

std::string turnout_json(const Snapshot& snapshot, std::uint32_t step_hours) {
  JsonWriter json;
  write_head(snapshot, json);
  json.key("step_hours").number(step_hours).key("series").open('[');
  const auto& series = snapshot.turnout_series;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const auto step = series[i].unix_hour / step_hours;
    if (i + 1 < series.size() && series[i + 1].unix_hour / step_hours == step) continue;
    const model::Instant end(std::chrono::hours((std::int64_t{step} + 1) * step_hours));
    json.open('{').key("until").text(format_time(end));
    json.key("ballots").number(series[i].ballots).close('}');
  }
  return json.close(']').close('}').take();
}

std::string results_csv(const Snapshot& snapshot, const TerritoryFilter& filter, CsvStyle style) {
  return CsvTable(snapshot, filter, style).write();
}

}  // namespace veche::wire
