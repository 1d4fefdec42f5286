#include "engine/model/territory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "engine/model/tree_doubts.h"

namespace veche::model {
namespace {

enum Column : std::size_t { kCode, kDigit, kName, kKind, kLevel, kParent, kRegion, kPopulation };
struct ColumnRule {
  std::string_view name;
  bool needed;
};
constexpr std::array<ColumnRule, 8> kColumns{{
    {"oktmo8", true},
    {"control_digit", false},
    {"name", true},
    {"kind", true},
    {"level", true},
    {"parent_oktmo8", true},
    {"region_subject_code", false},
    {"town_population", false},
}};

// Levels grow from parent to child, so a bound on the level is a bound on the depth.
constexpr std::uint8_t kDeepestLevel = limits::kTerritoryDepth - 1;

// Where each column is, by the header row.
class Header {
 public:
  static Result<Header> parse(const CsvRow& row) {
    Header header;
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
      const auto& name = row.fields[i];
      const auto rule = std::find_if(kColumns.begin(), kColumns.end(),
                                     [&](const auto& known) { return known.name == name; });
      if (rule == kColumns.end())
        return fault_at(row.line, fmt::format("unknown column '{}'; remove it", name));
      auto& place = header.places_[rule - kColumns.begin()];
      if (place)
        return fault_at(row.line, fmt::format("column '{}' comes twice; remove one", name));
      place = i;
    }
    for (std::size_t i = 0; i < kColumns.size(); ++i)
      if (kColumns[i].needed && !header.places_[i])
        return fault_at(row.line, fmt::format("no column '{}'; add it", kColumns[i].name));
    header.width_ = row.fields.size();
    return header;
  }

  std::size_t width() const { return width_; }
  std::string_view cell(const CsvRow& row, Column column) const {
    const auto& place = places_[column];
    return place ? std::string_view(row.fields[*place]) : std::string_view();
  }

 private:
  std::array<std::optional<std::size_t>, kColumns.size()> places_;
  std::size_t width_ = 0;
};

// A row of the file; whether its parent exists is not known yet.
struct Entry {
  Territory territory;
  TerritoryCode parent;
  std::string control_digit;
  std::size_t line = 0;
};
using Entries = std::vector<Entry>;
using Places = boost::unordered_flat_map<TerritoryCode, std::size_t>;

enum class Digits { must_fit, are_doubts };

// Takes the cells of one row; the first that is wrong makes the fault.
class RowReader {
 public:
  RowReader(const Header& header, const CsvRow& row, Digits digits)
      : header_(header), row_(row), digits_(digits) {}

  Result<Entry> read() {
    if (row_.fields.size() != header_.width())
      return fault_at(row_.line, fmt::format("{} columns where the header row has {}",
                                             row_.fields.size(), header_.width()));
    Entry entry;
    entry.line = row_.line;
    auto& territory = entry.territory;
    territory.code = code(kCode, true);
    entry.control_digit = cell(kDigit);
    if (digits_ == Digits::must_fit) check_digit(territory.code.view());
    territory.name = text(kName, limits::kTerritoryNameBytes);
    territory.kind = text(kKind, limits::kTerritoryKindBytes);
    territory.level = level();
    entry.parent = code(kParent, false);
    territory.region = code(kRegion, false);
    territory.town_population = population();
    if (wrong_) return fault_at(row_.line, *wrong_);
    return entry;
  }

 private:
  std::string_view cell(Column column) const { return header_.cell(row_, column); }

  void refuse(Column column, std::string_view rule) {
    if (!wrong_) wrong_ = fmt::format("{} is '{}'; {}", kColumns[column].name, cell(column), rule);
  }

  TerritoryCode code(Column column, bool needed) {
    const auto parsed = TerritoryCode::parse(cell(column));
    if (!parsed && (needed || !cell(column).empty()))
      refuse(column, "a code is 1..32 of the characters 0-9 A-Z a-z -");
    return parsed.value_or(TerritoryCode());
  }

  void check_digit(std::string_view code) {
    if (cell(kDigit).empty()) return;
    const auto expected = control_digit(code);
    if (!expected)
      refuse(kDigit, "only a code of 8 or 11 digits has one: leave it empty");
    else if (cell(kDigit) != std::to_string(*expected))
      refuse(kDigit, fmt::format("that of {} is {}: check both for slips", code, *expected));
  }

  std::string text(Column column, std::size_t max_bytes) {
    const auto value = cell(column);
    const bool control = std::any_of(value.begin(), value.end(),
                                     [](unsigned char c) { return c < 0x20 || c == 0x7F; });
    if (value.empty() || value.size() > max_bytes || control)
      refuse(column, fmt::format("give 1..{} bytes of text, no control characters", max_bytes));
    return std::string(value);
  }

  std::uint8_t level() {
    const auto parsed = parse_number<std::uint8_t>(cell(kLevel));
    if (!parsed || *parsed > kDeepestLevel)
      refuse(kLevel, fmt::format("a level is a number 0..{}", kDeepestLevel));
    return parsed.value_or(0);
  }

  std::optional<std::uint32_t> population() {
    const auto parsed = parse_number<std::uint32_t>(cell(kPopulation));
    if (!parsed && !cell(kPopulation).empty())
      refuse(kPopulation, "give a whole number, or leave it empty");
    return parsed;
  }

  const Header& header_;
  const CsvRow& row_;
  const Digits digits_;
  std::optional<std::string> wrong_;
};

Result<Entries> read_entries(std::string_view csv, Digits digits) {
  CsvReader reader(csv);
  CsvRow row;
  const auto first = reader.next(row);
  if (!first) return first.error();
  if (!*first) return fault_at(1, "the file is empty; begin with the header row");
  const auto header = Header::parse(row);
  if (!header) return header.error();
  Entries entries;
  for (;;) {
    const auto more = reader.next(row);
    if (!more) return more.error();
    if (!*more) break;
    auto entry = RowReader(*header, row, digits).read();
    if (!entry) return entry.error();
    entries.push_back(*std::move(entry));
    if (entries.size() > limits::kTerritories)
      return fault_at(row.line, fmt::format("more than {} territories", limits::kTerritories));
  }
  if (entries.empty()) return fault_at(row.line, "no territory below the header row; add one");
  return entries;
}

// Refuses a code with two rows and a parent with none. Sorts by code, so that the tree does not
// depend on the order of rows, and says where each code then is.
Result<Places> index(Entries& entries) {
  Places lines;
  for (const auto& entry : entries) {
    const auto [known, is_new] = lines.emplace(entry.territory.code, entry.line);
    if (!is_new)
      return fault_at(entry.line, fmt::format("code {} is on line {} already; remove one row",
                                              entry.territory.code.view(), known->second));
  }
  for (const auto& entry : entries)
    if (!entry.parent.empty() && !lines.contains(entry.parent))
      return fault_at(entry.line,
                      fmt::format("parent {} has no row; add it, or leave the parent empty",
                                  entry.parent.view()));
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.territory.code < b.territory.code; });
  Places places;
  for (std::size_t i = 0; i < entries.size(); ++i) places.emplace(entries[i].territory.code, i);
  return places;
}

// Brings entries into pre-order, from the roots down.
class Planter {
 public:
  Planter(const Entries& entries, const Places& places)
      : entries_(entries), places_(places), children_(entries.size()), planted_(entries.size()) {
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (!entries[i].parent.empty()) children_[places.at(entries[i].parent)].push_back(i);
  }

  Result<std::vector<Territory>> plant() {
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].parent.empty())
        if (const auto fault = plant(i, std::nullopt)) return *fault;
    // What no root leads to hangs on a circle.
    const auto rest = std::find(planted_.begin(), planted_.end(), false);
    if (rest != planted_.end()) return circle_above(rest - planted_.begin());
    return std::move(nodes_);
  }

 private:
  std::optional<Fault> plant(std::size_t i, std::optional<TerritoryIndex> parent) {
    const auto& [territory, parent_code, digit, line] = entries_[i];
    if (parent && territory.level <= nodes_[*parent].level)
      return fault_at(line, fmt::format("level {} of {} is not greater than level {} of its parent "
                                        "{}; correct one of them",
                                        territory.level, territory.code.view(),
                                        nodes_[*parent].level, parent_code.view()));
    const auto place = static_cast<TerritoryIndex>(nodes_.size());
    nodes_.push_back(territory);
    nodes_[place].parent = parent;
    planted_[i] = true;
    for (const auto child : children_[i])
      if (auto fault = plant(child, place)) return fault;
    nodes_[place].end = static_cast<TerritoryIndex>(nodes_.size());
    return std::nullopt;
  }

  Fault circle_above(std::size_t i) const {
    for (std::size_t steps = 0; steps < entries_.size(); ++steps)
      i = places_.at(entries_[i].parent);
    return fault_at(entries_[i].line,
                    fmt::format("{} lies below itself; correct its parent {}",
                                entries_[i].territory.code.view(), entries_[i].parent.view()));
  }

  const Entries& entries_;
  const Places& places_;
  std::vector<std::vector<std::size_t>> children_;
  std::vector<bool> planted_;
  std::vector<Territory> nodes_;
};

Result<std::vector<Territory>> plant(Entries& entries) {
  const auto places = index(entries);
  if (!places) return places.error();
  return Planter(entries, *places).plant();
}

std::string doubts_of(const Entries& entries) {
  std::vector<SentRow> rows;
  rows.reserve(entries.size());
  for (const auto& entry : entries)
    rows.push_back({entry.line, entry.territory.level, entry.territory.code.view(),
                    entry.parent.view(), entry.control_digit});
  return model::doubts_of(rows);
}

}  // namespace

std::optional<int> control_digit(std::string_view code) {
  const bool digits = std::all_of(code.begin(), code.end(), detail::is_digit);
  if (!digits || (code.size() != 8 && code.size() != 11)) return std::nullopt;
  // Weights 1, 2, ... 10, 1, ...; where the remainder is no digit, once more from 3; then 0.
  for (const int first : {0, 2}) {
    int sum = 0;
    for (std::size_t i = 0; i < code.size(); ++i)
      sum += (code[i] - '0') * ((first + static_cast<int>(i)) % 10 + 1);
    if (sum % 11 < 10) return sum % 11;
  }
  return 0;
}

Result<TerritoryTree> TerritoryTree::parse_csv(std::string_view csv) {
  auto entries = read_entries(csv, Digits::must_fit);
  if (!entries) return entries.error();
  auto nodes = plant(*entries);
  if (!nodes) return nodes.error();
  return TerritoryTree(*std::move(nodes));
}

Result<SentTree> TerritoryTree::parse_sent(std::string_view csv) {
  auto entries = read_entries(csv, Digits::are_doubts);
  if (!entries) return entries.error();
  auto doubts = doubts_of(*entries);  // while the rows are in the order of their lines
  auto nodes = plant(*entries);
  if (!nodes) return nodes.error();
  return SentTree{TerritoryTree(*std::move(nodes)), std::move(doubts)};
}

TerritoryTree::TerritoryTree(std::vector<Territory> nodes)
    : nodes_(std::move(nodes)), children_(nodes_.size()) {
  places_.reserve(nodes_.size());
  for (TerritoryIndex place = 0; place < nodes_.size(); ++place) {
    const auto& node = nodes_[place];
    places_.emplace(node.code, place);
    deepest_level_ = std::max(deepest_level_, node.level);
    (node.parent ? children_[*node.parent] : roots_).push_back(place);
  }
}

std::string TerritoryTree::to_csv() const {
  std::string csv = "oktmo8,name,kind,level,parent_oktmo8,region_subject_code,town_population\n";
  for (const auto& node : nodes_)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},{}\n", node.code.view(),
                   csv_field(node.name), csv_field(node.kind), node.level,
                   node.parent ? nodes_[*node.parent].code.view() : std::string_view(),
                   node.region.view(),
                   node.town_population ? std::to_string(*node.town_population) : std::string());
  return csv;
}

std::optional<TerritoryIndex> TerritoryTree::find(const TerritoryCode& code) const {
  const auto found = places_.find(code);
  if (found == places_.end()) return std::nullopt;
  return found->second;
}

std::vector<TerritoryIndex> TerritoryTree::path_to_root(TerritoryIndex place) const {
  std::vector<TerritoryIndex> path{place};
  while (nodes_[path.back()].parent) path.push_back(*nodes_[path.back()].parent);
  return path;
}

bool TerritoryTree::is_within(const TerritoryCode& code, const TerritoryCode& ancestor) const {
  const auto place = find(code);
  const auto above = find(ancestor);
  return place && above && is_within(*place, *above);
}

}  // namespace veche::model
