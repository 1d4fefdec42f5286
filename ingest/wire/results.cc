#include "ingest/wire/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "engine/model/csv.h"
#include "ingest/wire/time.h"

namespace veche::wire {
namespace {

namespace json = boost::json;
using publish::GroupCounts;
using publish::Row;
using publish::Snapshot;
using publish::Suppressed;
using publish::TerritoryCounts;

bool wanted(const TerritoryCounts& territory, const TerritoryFilter& filter) {
  return filter.by_territory && (!filter.level || territory.level == *filter.level) &&
         (!filter.parent || territory.parent == filter.parent);
}

json::value number_or_null(const std::optional<std::uint64_t>& number) {
  return number ? json::value(*number) : json::value();
}

// Of suppressed counts every member is there and null: never 0, never left out.
json::array questions(const Snapshot& snapshot, const Row& counts) {
  json::array questions;
  const auto& definition = *snapshot.poll->definition;
  const auto count = [&](std::size_t at) {
    return counts.empty() ? json::value() : json::value(counts[at]);
  };
  for (std::size_t q = 0; q < definition.questions.size(); ++q) {
    json::array options;
    for (std::size_t o = 0; o < definition.questions[q].options.size(); ++o) {
      const auto at = snapshot.shape.votes_at(q, o);
      json::object option{{"id", definition.questions[q].options[o].id}, {"votes", count(at)}};
      if (snapshot.shape.has_points(q)) option["points"] = count(at + 1);
      options.push_back(std::move(option));
    }
    questions.push_back(
        json::object{{"id", definition.questions[q].id}, {"options", std::move(options)}});
  }
  return questions;
}

void add_counts(const Snapshot& snapshot, Suppressed suppressed, const Row& counts,
                json::object& to) {
  to["ballots"] = counts.empty() ? json::value() : json::value(counts[0]);
  to["suppressed"] = suppressed == Suppressed::no
                         ? json::value()
                         : json::value(json::string(publish::name(suppressed)));
  to["questions"] = questions(snapshot, counts);
}

json::object territory_json(const Snapshot& snapshot, const TerritoryCounts& territory) {
  json::object object{
      {"code", territory.code.str()},
      {"name", json::string(territory.name)},
      {"kind", json::string(territory.kind)},
      {"level", territory.level},
      {"parent", territory.parent ? json::value(territory.parent->str()) : json::value()},
      {"not_below", number_or_null(territory.not_below)}};
  add_counts(snapshot, territory.suppressed, territory.counts, object);
  return object;
}

json::array codes(const std::vector<model::TerritoryCode>& territories) {
  json::array codes;
  for (const auto& code : territories) codes.push_back(json::string(code.view()));
  return codes;
}

json::object group_json(const Snapshot& snapshot, const GroupCounts& group) {
  json::object object{{"within", group.within ? json::value(group.within->str()) : json::value()},
                      {"leaves", codes(group.leaves)},
                      {"not_below", codes(group.not_below)}};
  add_counts(snapshot, group.suppressed, group.counts, object);
  return object;
}

void add_territories(const Snapshot& snapshot, const TerritoryFilter& filter, json::object& to) {
  json::array territories, groups;
  for (const auto& territory : snapshot.territories)
    if (wanted(territory, filter)) territories.push_back(territory_json(snapshot, territory));
  for (const auto& group : snapshot.groups) groups.push_back(group_json(snapshot, group));
  to["territories"] = std::move(territories);
  to["groups"] = std::move(groups);
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
    for (const auto& count : counts_of(place.counts, q, o)) {
      out_ += separator_;
      out_ += count;
    }
    out_ += separator_;
    out_ += publish::name(place.suppressed);
    out_ += tail_;
  }

  // votes, points, ballots, share: all empty where they are suppressed.
  std::array<std::string, 4> counts_of(const Row& counts, std::size_t q, std::size_t o) const {
    if (counts.empty()) return {};
    const auto at = snapshot_.shape.votes_at(q, o);
    const auto number = [](std::uint64_t count) { return fmt::format("{}", count); };
    std::string share;
    if (counts[0] > 0)
      share =
          fmt::format("{:.6f}", static_cast<double>(counts[at]) / static_cast<double>(counts[0]));
    if (style_.for_excel && style_.titles == Language::ru)
      std::replace(share.begin(), share.end(), '.', ',');
    return {number(counts[at]), snapshot_.shape.has_points(q) ? number(counts[at + 1]) : "",
            number(counts[0]), std::move(share)};
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
  json::object document{{"poll", snapshot.poll->definition->id.str()},
                        {"version", snapshot.version},
                        {"as_of", format_time(snapshot.as_of)},
                        {"state", json::string(model::name(snapshot.phase))},
                        {"final", snapshot.is_final},
                        {"turnout", number_or_null(snapshot.turnout)}};
  if (snapshot.not_shown) document["not_shown"] = *snapshot.not_shown;
  if (const auto& ballots = snapshot.partition_ballots; !ballots.empty())
    document["partition_ballots"] = json::array(ballots.begin(), ballots.end());
  add_counts(snapshot, snapshot.suppressed, snapshot.counts, document);
  if (filter.by_territory) add_territories(snapshot, filter, document);
  return json::serialize(document);
}

std::string territories_json(const Snapshot& snapshot, const TerritoryFilter& filter) {
  json::object document{{"poll", snapshot.poll->definition->id.str()},
                        {"version", snapshot.version}};
  add_territories(snapshot, filter, document);
  return json::serialize(document);
}

std::string turnout_json(const Snapshot& snapshot, std::uint32_t step_hours) {
  json::array series;
  for (const auto& point : snapshot.turnout_series) {
    const auto step_end = (point.unix_hour / step_hours + 1) * step_hours;
    const auto at = format_time(model::Instant(std::chrono::hours(std::int64_t{step_end})));
    if (!series.empty() && series.back().at("until").as_string() == at)
      series.back().as_object()["ballots"] = point.ballots;
    else
      series.push_back(json::object{{"until", at}, {"ballots", point.ballots}});
  }
  return json::serialize(json::object{{"poll", snapshot.poll->definition->id.str()},
                                      {"version", snapshot.version},
                                      {"as_of", format_time(snapshot.as_of)},
                                      {"state", json::string(model::name(snapshot.phase))},
                                      {"final", snapshot.is_final},
                                      {"turnout", number_or_null(snapshot.turnout)},
                                      {"step_hours", step_hours},
                                      {"series", std::move(series)}});
}

std::string results_csv(const Snapshot& snapshot, const TerritoryFilter& filter, CsvStyle style) {
  return CsvTable(snapshot, filter, style).write();
}

}  // namespace veche::wire
