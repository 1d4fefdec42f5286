#include "tools/veche/pabulib.h"

#include <fmt/format.h>
#include <unicode/normalizer2.h>
#include <unicode/translit.h>
#include <unicode/unistr.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "engine/model/csv.h"
#include "engine/model/limits.h"
#include "tools/veche/gz_file.h"

namespace veche::tools {
namespace {

using model::CsvRow;
using model::fault_at;
using model::parse_number;

// A step of reading: nullopt, or what stopped it.
using Stop = std::optional<Fault>;

struct Table {
  std::string_view title;
  std::size_t line = 0;  // of the title
  std::vector<std::string> columns;
  std::vector<CsvRow> rows;

  std::optional<std::size_t> column(std::string_view name) const {
    const auto found = std::find(columns.begin(), columns.end(), name);
    if (found == columns.end()) return std::nullopt;
    return found - columns.begin();
  }
  Stop need(std::string_view name) const {
    if (column(name)) return std::nullopt;
    return fault_at(line, fmt::format("{} has no column '{}'", title, name));
  }
};

std::string_view cell(const CsvRow& row, std::optional<std::size_t> column) {
  return column ? std::string_view(row.fields[*column]) : std::string_view();
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The items of a list separated by commas; none in an empty text.
std::vector<std::string_view> items(std::string_view list) {
  std::vector<std::string_view> parts;
  if (list.empty()) return parts;
  for (;;) {
    const auto comma = list.find(',');
    parts.push_back(trimmed(list.substr(0, comma)));
    if (comma == list.npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

// Divides the text into its tables.
class Splitter {
 public:
  using Tables = std::array<Table, 3>;

  explicit Splitter(std::string_view text) : reader_(text, {.separator = ';', .padded = true}) {}

  Result<Tables> split() {
    for (CsvRow row;;) {
      const auto more = reader_.next(row);
      if (!more) return more.error();
      if (!*more) break;
      if (row.fields.size() == 1 && row.fields[0].empty()) continue;
      if (const auto stop = take(row)) return *stop;
      last_line_ = row.line;
    }
    if (begun_ < kTitles.size())
      return fault_at(last_line_,
                      fmt::format("the file ends without the section {}", kTitles[begun_]));
    if (current().columns.empty()) return no_columns();
    return std::move(tables_);
  }

 private:
  static constexpr std::array<std::string_view, 3> kTitles{"META", "PROJECTS", "VOTES"};

  Table& current() { return tables_[begun_ - 1]; }
  Fault no_columns() {
    return fault_at(current().line, fmt::format("{} has no row of column names", current().title));
  }

  Stop take(CsvRow& row) {
    const bool title = row.fields.size() == 1 &&
                       std::find(kTitles.begin(), kTitles.end(), row.fields[0]) != kTitles.end();
    if (title) return begin(row);
    if (begun_ == 0) return fault_at(row.line, "the file does not begin with the section META");
    if (current().columns.empty()) return take_columns(row);
    if (row.fields.size() != current().columns.size())
      return fault_at(row.line, fmt::format("{} columns where {} has {}", row.fields.size(),
                                            current().title, current().columns.size()));
    current().rows.push_back(std::move(row));
    return std::nullopt;
  }

  Stop begin(const CsvRow& row) {
    if (begun_ > 0 && current().columns.empty()) return no_columns();
    if (begun_ == kTitles.size() || row.fields[0] != kTitles[begun_])
      return fault_at(row.line, fmt::format("section {} where {} should be", row.fields[0],
                                            begun_ == kTitles.size() ? "none" : kTitles[begun_]));
    tables_[begun_].title = kTitles[begun_];
    tables_[begun_].line = row.line;
    ++begun_;
    return std::nullopt;
  }

  Stop take_columns(CsvRow& row) {
    auto sorted = row.fields;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end())
      return fault_at(row.line, fmt::format("column '{}' comes twice", *twice));
    current().columns = std::move(row.fields);
    return std::nullopt;
  }

  model::CsvReader reader_;
  Tables tables_;
  std::size_t begun_ = 0;  // tables whose title was read
  std::size_t last_line_ = 1;
};

struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  bool holds(std::uint64_t value) const { return min <= value && value <= max; }
};

class Parser {
 public:
  explicit Parser(const Splitter::Tables& tables)
      : meta_(tables[0]), projects_(tables[1]), votes_(tables[2]) {}

  Result<PabulibFile> parse() {
    for (const auto step :
         {&Parser::read_meta, &Parser::read_numbers, &Parser::read_vote_type,
          &Parser::read_projects, &Parser::read_limits, &Parser::read_votes, &Parser::settle})
      if (const auto stop = (this->*step)()) return *stop;
    return std::move(file_);
  }

 private:
  bool is(VoteType type) const { return file_.vote_type == type; }
  bool spreads_points() const { return is(VoteType::cumulative) || is(VoteType::scoring); }
  Fault meta_fault(std::string_view key, std::string_view rule) const {
    const auto line = meta_lines_.find(key);
    const auto at = line == meta_lines_.end() ? meta_.line : line->second;
    return fault_at(at, fmt::format("{} is '{}'; {}", key, file_.meta_value(key), rule));
  }

  Stop read_meta() {
    if (meta_.columns != std::vector<std::string>{"key", "value"})
      return fault_at(meta_.line + 1, "the columns of META are key;value");
    for (const auto& row : meta_.rows) {
      const auto& key = row.fields[0];
      if (key.empty()) return fault_at(row.line, "META has a value without a key");
      if (!file_.meta.emplace(key, row.fields[1]).second)
        return fault_at(row.line, fmt::format("META has the key '{}' twice", key));
      meta_lines_.emplace(key, row.line);
    }
    return std::nullopt;
  }

  Stop read_numbers() {
    for (const std::string_view key :
         {"num_projects", "num_votes", "min_length", "max_length", "min_points", "max_points",
          "min_sum_points", "max_sum_points", "default_score"}) {
      const auto value = file_.meta_value(key);
      if (value.empty()) continue;
      const auto parsed = parse_number<std::uint32_t>(value);
      if (!parsed) return meta_fault(key, "a whole number is needed");
      numbers_.emplace(key, *parsed);
    }
    return std::nullopt;
  }

  std::optional<std::uint32_t> number(std::string_view key) const {
    const auto found = numbers_.find(key);
    if (found == numbers_.end()) return std::nullopt;
    return found->second;
  }

  Stop read_vote_type() {
    constexpr std::array<std::pair<std::string_view, VoteType>, 5> kTypes{{
        {"choose-1", VoteType::choose_one},
        {"approval", VoteType::approval},
        {"ordinal", VoteType::ordinal},
        {"cumulative", VoteType::cumulative},
        {"scoring", VoteType::scoring},
    }};
    const auto found = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& type) {
      return type.first == file_.meta_value("vote_type");
    });
    if (found == kTypes.end())
      return meta_fault("vote_type", "it is choose-1, approval, ordinal, cumulative or scoring");
    file_.vote_type = found->second;
    if (is(VoteType::scoring) && number("default_score").value_or(0) != 0)
      return meta_fault("default_score",
                        "points for projects that a voter did not list cannot be "
                        "counted");
    return std::nullopt;
  }

  // META promises how many rows a table has, so a file that was cut off is not taken for whole.
  Stop check_count(std::string_view key, const Table& table) const {
    if (number(key) == table.rows.size()) return std::nullopt;
    return meta_fault(key, fmt::format("{} has {} rows", table.title, table.rows.size()));
  }

  Stop read_projects() {
    if (auto stop = projects_.need("project_id")) return stop;
    if (auto stop = check_count("num_projects", projects_)) return stop;
    for (const auto& row : projects_.rows) {
      PabulibProject project;
      project.id = cell(row, projects_.column("project_id"));
      project.name = cell(row, projects_.column("name"));
      if (project.name.empty()) project.name = project.id;
      if (project.id.empty()) return fault_at(row.line, "a project without project_id");
      if (auto stop = read_official(row, "votes", project.votes)) return stop;
      if (auto stop = read_official(row, "score", project.score)) return stop;
      if (!places_.emplace(project.id, file_.projects.size()).second)
        return fault_at(row.line, fmt::format("project {} comes twice", project.id));
      file_.projects.push_back(std::move(project));
    }
    if (file_.projects.empty()) return fault_at(projects_.line, "PROJECTS has no rows");
    return std::nullopt;
  }

  Stop read_official(const CsvRow& row, std::string_view column,
                     std::optional<std::uint64_t>& number) const {
    const auto text = cell(row, projects_.column(column));
    if (text.empty()) return std::nullopt;
    number = parse_number<std::uint64_t>(text);
    if (number) return std::nullopt;
    return fault_at(row.line, fmt::format("{} is '{}'; a whole number is needed", column, text));
  }

  Stop read_limits() {
    const auto projects = static_cast<std::uint32_t>(file_.projects.size());
    choices_ = {std::max(number("min_length").value_or(1), 1U),
                std::min(number("max_length").value_or(projects), projects)};
    if (is(VoteType::choose_one)) choices_ = {1, 1};
    if (choices_.min > choices_.max)
      return meta_fault("max_length", fmt::format("a vote names at least {}", choices_.min));
    each_ = {number("min_points").value_or(0),
             number("max_points").value_or(limits::kPointsPerChoice)};
    sum_ = {std::max(number("min_sum_points").value_or(1), 1U),
            number("max_sum_points").value_or(UINT32_MAX)};
    if (is(VoteType::cumulative) && !number("max_sum_points"))
      return meta_fault("max_sum_points", "a cumulative vote needs it");
    if (sum_.min > sum_.max) return meta_fault("max_sum_points", "no vote can have such a sum");
    const auto& counted = spreads_points() ? sum_ : choices_;
    file_.min = static_cast<std::uint32_t>(counted.min);
    file_.max = static_cast<std::uint32_t>(counted.max);
    return std::nullopt;
  }

  Stop read_votes() {
    for (const auto column : {"voter_id", "vote"})
      if (auto stop = votes_.need(column)) return stop;
    if (spreads_points())
      if (auto stop = votes_.need("points")) return stop;
    if (auto stop = check_count("num_votes", votes_)) return stop;
    file_.votes.reserve(votes_.rows.size());
    for (const auto& row : votes_.rows)
      if (auto stop = read_vote(row)) return stop;
    return std::nullopt;
  }

  Stop read_vote(const CsvRow& row) {
    PabulibVote vote;
    vote.voter_id = cell(row, votes_.column("voter_id"));
    vote.district = cell(row, votes_.column("district"));
    if (vote.district.empty()) vote.district = cell(row, votes_.column("neighborhood"));
    if (vote.voter_id.empty()) return fault_at(row.line, "a vote without voter_id");
    if (!voters_.insert(vote.voter_id).second)
      return fault_at(row.line, fmt::format("voter {} comes twice", vote.voter_id));
    if (auto stop = read_choices(row, vote)) return stop;
    if (is(VoteType::ordinal))
      if (auto stop = read_positions(row, vote)) return stop;
    if (spreads_points())
      if (auto stop = read_spread(row, vote)) return stop;
    file_.votes.push_back(std::move(vote));
    return std::nullopt;
  }

  Stop read_choices(const CsvRow& row, PabulibVote& vote) const {
    for (const auto id : items(cell(row, votes_.column("vote")))) {
      const auto place = places_.find(std::string(id));
      if (place == places_.end())
        return fault_at(row.line, fmt::format("a vote for project '{}', which is unknown", id));
      if (std::find(vote.choices.begin(), vote.choices.end(), place->second) != vote.choices.end())
        return fault_at(row.line, fmt::format("two votes of one voter for project {}", id));
      vote.choices.push_back(place->second);
    }
    return check_range(row, "projects", vote.choices.size(), choices_);
  }

  static Stop check_range(const CsvRow& row, std::string_view what, std::uint64_t value,
                          const Range& range) {
    if (range.holds(value)) return std::nullopt;
    return fault_at(row.line, fmt::format("a vote of {} {}, where META allows {} to {}", value,
                                          what, range.min, range.max));
  }

  // The points of the row into vote.points, one for each choice.
  Stop read_points(const CsvRow& row, PabulibVote& vote) const {
    for (const auto text : items(cell(row, votes_.column("points")))) {
      const auto points = parse_number<std::uint32_t>(text);
      if (!points || *points > limits::kPointsPerChoice)
        return fault_at(row.line, fmt::format("points are '{}'; a whole number 0..{} is needed",
                                              text, limits::kPointsPerChoice));
      vote.points.push_back(*points);
    }
    if (vote.points.size() == vote.choices.size()) return std::nullopt;
    return fault_at(row.line, fmt::format("points for {} projects in a vote for {}",
                                          vote.points.size(), vote.choices.size()));
  }

  // All votes that give points must give a position the same: settle() fills in the others.
  Stop read_positions(const CsvRow& row, PabulibVote& vote) {
    if (cell(row, votes_.column("points")).empty()) return std::nullopt;
    if (auto stop = read_points(row, vote)) return stop;
    auto& settled = file_.position_points;
    for (std::size_t i = 0; i < vote.points.size(); ++i) {
      if (i == settled.size()) settled.push_back(vote.points[i]);
      if (vote.points[i] != settled[i])
        return fault_at(row.line, fmt::format("{} points for position {}, which had {} before",
                                              vote.points[i], i + 1, settled[i]));
    }
    return std::nullopt;
  }

  Stop read_spread(const CsvRow& row, PabulibVote& vote) {
    if (auto stop = read_points(row, vote)) return stop;
    const auto listed = std::exchange(vote.choices, {});
    const auto given = std::exchange(vote.points, {});
    for (std::size_t i = 0; i < listed.size(); ++i) {
      if (auto stop = check_range(row, "points for a project", given[i], each_)) return stop;
      if (given[i] == 0) continue;
      vote.choices.push_back(listed[i]);
      vote.points.push_back(given[i]);
    }
    const auto sum = std::accumulate(vote.points.begin(), vote.points.end(), std::uint64_t{0});
    largest_sum_ = std::max(largest_sum_, sum);
    return check_range(row, "points in all", sum, sum_);
  }

  // What only all votes together tell.
  Stop settle() {
    if (is(VoteType::scoring)) file_.max = std::max<std::uint32_t>(file_.min, largest_sum_);
    return is(VoteType::ordinal) ? settle_positions() : std::nullopt;
  }

  Stop settle_positions() {
    auto& settled = file_.position_points;
    if (const auto rule = fold(file_.meta_value("scoring_fn"));
        settled.empty() && !rule.empty() && rule != "borda")
      return meta_fault("scoring_fn", "only Borda is known; give the points in VOTES");
    if (settled.empty()) settled.push_back(file_.max);
    while (settled.size() < file_.max)
      settled.push_back(settled.back() == 0 ? 0 : settled.back() - 1);
    for (auto& vote : file_.votes)
      vote.points.assign(settled.data(), settled.data() + vote.choices.size());
    return std::nullopt;
  }

  const Table& meta_;
  const Table& projects_;
  const Table& votes_;
  std::map<std::string, std::size_t, std::less<>> meta_lines_;
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
  boost::unordered_flat_map<std::string, std::uint32_t> places_;  // of projects, by id
  boost::unordered_flat_set<std::string> voters_;
  Range choices_, each_, sum_;
  std::uint64_t largest_sum_ = 0;
  PabulibFile file_;
};

std::string file_stem(const std::filesystem::path& path) {
  auto name = path.filename();
  if (name.extension() == ".gz") name = name.stem();
  if (name.extension() == ".pb") name = name.stem();
  return name.string();
}

// In letters of ASCII as far as they can be written so, without capitals.
std::string romanized(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::Transliterator> transliterator(
      icu::Transliterator::createInstance("Any-Latin; Latin-ASCII; Lower", UTRANS_FORWARD, status));
  auto unicode = icu::UnicodeString::fromUTF8(text);
  if (U_SUCCESS(status)) transliterator->transliterate(unicode);
  std::string result;
  return unicode.toUTF8String(result);
}

}  // namespace

std::string_view PabulibFile::meta_value(std::string_view key) const {
  const auto found = meta.find(key);
  return found == meta.end() ? std::string_view() : std::string_view(found->second);
}

Result<PabulibFile> parse_pabulib(std::string_view text) {
  const auto tables = Splitter(text).split();
  if (!tables) return tables.error();
  return Parser(*tables).parse();
}

Result<PabulibFile> read_pabulib(const std::filesystem::path& path) {
  const auto in_file = [&](const Fault& fault) {
    return Fault{fmt::format("{}: {}", path.string(), fault.message)};
  };
  const auto text = read_gz(path, limits::kPabulibBytes);
  if (!text) return in_file(text.error());
  auto file = parse_pabulib(*text);
  if (!file) return in_file(file.error());
  return file;
}

model::PollId poll_id_of(const std::filesystem::path& path) {
  const auto name = file_stem(path);
  std::string id;
  for (const char c : romanized(name)) {
    if (model::detail::is_lower(c) || model::detail::is_digit(c))
      id += c;
    else if (!id.empty() && id.back() != '-')
      id += '-';
  }
  if (id.ends_with('-')) id.pop_back();
  if (id.empty() || id.size() > model::PollId::kMax) {
    const auto checksum = crc32_z(0, reinterpret_cast<const Bytef*>(name.data()), name.size());
    const auto tail = fmt::format("-{:08x}", checksum);
    id = (id.empty() ? "poll" : id.substr(0, model::PollId::kMax - tail.size())) + tail;
  }
  return model::PollId::parse(id).value();
}

std::string fold(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* const normalizer = icu::Normalizer2::getNFKCCasefoldInstance(status);
  auto unicode = icu::UnicodeString::fromUTF8(text);
  if (U_SUCCESS(status)) unicode = normalizer->normalize(unicode, status);
  std::string folded;
  return unicode.trim().toUTF8String(folded);
}

}  // namespace veche::tools
