#include "ingest/wire/results.h"

#include <fmt/format.h>

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

// What every row of one snapshot ends with.
std::string csv_tail(const Snapshot& snapshot) {
  return fmt::format(",{},{},{}\r\n", model::name(snapshot.poll->phase), snapshot.version,
                     format_time(snapshot.as_of));
}

void append_csv_rows(const Snapshot& snapshot, const std::string& place, Suppressed suppressed,
                     const Row& counts, const std::string& tail, std::string& out) {
  const auto& definition = *snapshot.poll->definition;
  for (std::size_t q = 0; q < definition.questions.size(); ++q) {
    const auto& question = definition.questions[q];
    for (std::size_t o = 0; o < question.options.size(); ++o) {
      out += definition.id.view();
      out += ',';
      out += model::csv_field(question.id);
      out += ',';
      out += model::csv_field(question.options[o].id);
      out += ',';
      out += model::csv_field(question.options[o].title.ru);
      out += place;
      if (counts.empty()) {
        out += ",,,,";
      } else {
        const auto at = snapshot.shape.votes_at(q, o);
        const auto points =
            snapshot.shape.has_points(q) ? fmt::format("{}", counts[at + 1]) : std::string();
        fmt::format_to(std::back_inserter(out), ",{},{},{},", counts[at], points, counts[0]);
        if (counts[0] > 0)
          fmt::format_to(std::back_inserter(out), "{:.6f}",
                         static_cast<double>(counts[at]) / static_cast<double>(counts[0]));
      }
      out += ',';
      out += publish::name(suppressed);
      out += tail;
    }
  }
}

}  // namespace

std::string results_json(const Snapshot& snapshot, const TerritoryFilter& filter) {
  json::array positions;
  for (const auto& position : snapshot.positions) positions.push_back(position.next.value);
  json::object document{{"poll", snapshot.poll->definition->id.str()},
                        {"version", snapshot.version},
                        {"as_of", format_time(snapshot.as_of)},
                        {"state", json::string(model::name(snapshot.poll->phase))},
                        {"final", snapshot.is_final},
                        {"turnout", number_or_null(snapshot.turnout)}};
  if (!snapshot.positions.empty()) document["positions"] = std::move(positions);
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

std::string results_csv(const Snapshot& snapshot, const TerritoryFilter& filter) {
  std::string out =
      "poll_id,question_id,option_id,option_title,level,territory,territory_name,votes,points,"
      "ballots,share,suppressed,state,version,as_of\r\n";
  const auto tail = csv_tail(snapshot);
  append_csv_rows(snapshot, ",,,", snapshot.suppressed, snapshot.counts, tail, out);
  for (const auto& territory : snapshot.territories) {
    if (!wanted(territory, filter)) continue;
    auto place = fmt::format(",{},{},", territory.level, territory.code.view());
    place += model::csv_field(territory.name);
    append_csv_rows(snapshot, place, territory.suppressed, territory.counts, tail, out);
  }
  return out;
}

}  // namespace veche::wire
