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
  std::size_t line = 0;   // of the title
  std::size_t width = 0;  // of each row: the columns, and what a spreadsheet left empty behind them
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

std::string lowered(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if ('A' <= c && c <= 'Z') c += 'a' - 'A';
  return lower;
}

void drop_empty_end(std::vector<std::string>& fields) {
  while (!fields.empty() && fields.back().empty()) fields.pop_back();
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

  explicit Splitter(std::string_view text)
      : reader_(text, {.separator = ';', .padded = true, .loose = true}) {}

  Result<Tables> split() {
    for (CsvRow row;;) {
      const auto more = reader_.next(row);
      if (!more) return more.error();
      if (!*more) break;
      if (is_empty(row)) continue;
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

  static bool is_empty(const CsvRow& row) {
    return std::all_of(row.fields.begin(), row.fields.end(),
                       [](const auto& field) { return field.empty(); });
  }
  // The place in kTitles of the title that the row is; their number: it is none.
  static std::size_t title_of(const CsvRow& row) {
    const bool alone = std::all_of(row.fields.begin() + 1, row.fields.end(),
                                   [](const auto& field) { return field.empty(); });
    const auto same = [&](std::string_view title) {
      return alone && lowered(title) == lowered(row.fields[0]);
    };
    return std::find_if(kTitles.begin(), kTitles.end(), same) - kTitles.begin();
  }

  Table& current() { return tables_[begun_ - 1]; }
  Fault no_columns() {
    return fault_at(current().line, fmt::format("{} has no row of column names", current().title));
  }

  Stop take(CsvRow& row) {
    if (const auto title = title_of(row); title < kTitles.size()) return begin(row, title);
    if (begun_ == 0) return fault_at(row.line, "the file does not begin with the section META");
    if (current().columns.empty()) return take_columns(row);
    if (row.fields.size() != current().width)
      return fault_at(row.line, fmt::format("{} columns where {} has {}", row.fields.size(),
                                            current().title, current().width));
    current().rows.push_back(std::move(row));
    return std::nullopt;
  }

  Stop begin(const CsvRow& row, std::size_t title) {
    if (begun_ > 0 && current().columns.empty()) return no_columns();
    if (title != begun_)
      return fault_at(row.line, fmt::format("section {} where {} should be", kTitles[title],
                                            begun_ == kTitles.size() ? "none" : kTitles[begun_]));
    tables_[begun_].title = kTitles[begun_];
    tables_[begun_].line = row.line;
    ++begun_;
    return std::nullopt;
  }

  Stop take_columns(CsvRow& row) {
    current().width = row.fields.size();
    drop_empty_end(row.fields);
    for (auto& column : row.fields) column = lowered(column);
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
      const auto key = lowered(row.fields[0]);
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
      return type.first == lowered(file_.meta_value("vote_type"));
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
    if (vote.district.empty()) {
      vote.district = cell(row, votes_.column("neighborhood"));
      vote.in_neighborhood = !vote.district.empty();
    }
    if (vote.voter_id.empty()) return fault_at(row.line, "a vote without voter_id");
    if (!voters_.insert(vote.voter_id).second)
      return fault_at(row.line, fmt::format("voter {} comes twice", vote.voter_id));
    Named named;
    if (auto stop = read_named(row, named)) return stop;
    if (named.projects.empty() && number("min_length") == 0U) {
      note(row, "names no project; not sent");
      return std::nullopt;
    }
    take_once(row, named, vote);
    if (auto stop = check_choices(row, vote.choices.size())) return stop;
    if (!spreads_points() || take_spread(row, named, vote)) file_.votes.push_back(std::move(vote));
    return std::nullopt;
  }

  // What a row names, as it stands there.
  struct Named {
    std::vector<std::uint32_t> projects;
    std::vector<std::uint32_t> points;  // of each; ordinal: empty where the row gives none
  };

  Stop read_named(const CsvRow& row, Named& named) {
    for (const auto id : items(cell(row, votes_.column("vote")))) {
      const auto place = places_.find(std::string(id));
      if (place == places_.end())
        return fault_at(row.line, fmt::format("a vote for project '{}', which is unknown", id));
      named.projects.push_back(place->second);
    }
    if (is(VoteType::ordinal) && !cell(row, votes_.column("points")).empty()) {
      if (auto stop = read_points(row, named)) return stop;
      return read_positions(row, named.points);
    }
    return spreads_points() ? read_points(row, named) : std::nullopt;
  }

  // The points of the row, one for each project that it names.
  Stop read_points(const CsvRow& row, Named& named) const {
    for (const auto text : items(cell(row, votes_.column("points")))) {
      const auto points = parse_number<std::uint32_t>(text);
      if (!points || *points > limits::kPointsPerChoice)
        return fault_at(row.line, fmt::format("points are '{}'; a whole number 0..{} is needed",
                                              text, limits::kPointsPerChoice));
      named.points.push_back(*points);
    }
    if (named.points.size() == named.projects.size()) return std::nullopt;
    return fault_at(row.line, fmt::format("points for {} projects in a vote for {}",
                                          named.points.size(), named.projects.size()));
  }

  // All votes that give points must give a position the same: settle() fills in the others.
  Stop read_positions(const CsvRow& row, const std::vector<std::uint32_t>& points) {
    auto& settled = file_.position_points;
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (i == settled.size()) settled.push_back(points[i]);
      if (points[i] != settled[i])
        return fault_at(row.line, fmt::format("{} points for position {}, which had {} before",
                                              points[i], i + 1, settled[i]));
    }
    return std::nullopt;
  }

  // Every project where it is named first, with the points that it has there.
  void take_once(const CsvRow& row, const Named& named, PabulibVote& vote) {
    longest_list_ = std::max(longest_list_, named.projects.size());
    std::map<std::uint32_t, std::int64_t> times;
    for (std::size_t i = 0; i < named.projects.size(); ++i) {
      if (++times[named.projects[i]] > 1) continue;
      vote.choices.push_back(named.projects[i]);
      if (spreads_points()) vote.points.push_back(named.points[i]);
    }
    if (vote.choices.size() == named.projects.size()) return;
    for (const auto& [project, count] : times)
      if (count > 1)
        note(row, fmt::format("names project {} {}; counted once", file_.projects[project].id,
                              times_in_words(count)));
    repeated_.push_back({row.line, named, vote.choices, std::move(times)});
  }

  static std::string times_in_words(std::int64_t count) {
    return count == 2 ? "twice" : fmt::format("{} times", count);
  }

  void note(const CsvRow& row, std::string text) {
    file_.notes.push_back({row.line, std::move(text)});
  }

  // What the official totals counted although META forbids it is counted here, too.
  void note_outside(const CsvRow& row, std::string_view what, std::uint64_t value,
                    const Range& range) {
    if (range.holds(value)) return;
    note(row, fmt::format("a vote of {} {}, where META allows {} to {}", value, what, range.min,
                          range.max));
  }

  Stop check_choices(const CsvRow& row, std::size_t count) {
    const bool is_vote = is(VoteType::choose_one) ? count == 1 : count > 0;
    if (!is_vote)
      return fault_at(row.line, fmt::format("a vote of {} projects, where META allows {} to {}",
                                            count, choices_.min, choices_.max));
    note_outside(row, "projects", count, choices_);
    longest_ = std::max(longest_, count);
    if (!spreads_points()) widen(count);
    return std::nullopt;
  }

  void widen(std::uint64_t amount) {
    file_.min = static_cast<std::uint32_t>(std::min<std::uint64_t>(file_.min, amount));
    file_.max = static_cast<std::uint32_t>(std::max<std::uint64_t>(file_.max, amount));
  }

  // False: the vote gives no points at all.
  bool take_spread(const CsvRow& row, const Named& named, PabulibVote& vote) {
    const auto listed = std::exchange(vote.choices, {});
    const auto given = std::exchange(vote.points, {});
    for (std::size_t i = 0; i < listed.size(); ++i) {
      note_outside(row, "points for a project", given[i], each_);
      if (given[i] == 0) {
        vote.unpaid.push_back(listed[i]);
        continue;
      }
      vote.choices.push_back(listed[i]);
      vote.points.push_back(given[i]);
    }
    const auto in_row =
        std::accumulate(named.points.begin(), named.points.end(), std::uint64_t{0});
    note_outside(row, "points in all", in_row, sum_);
    const auto sum = std::accumulate(vote.points.begin(), vote.points.end(), std::uint64_t{0});
    for (const auto project : vote.unpaid) unpaid_.push_back({row.line, project, sum > 0});
    largest_sum_ = std::max(largest_sum_, sum);
    if (sum > 0)
      widen(sum);
    else
      note(row, "gives 0 points in all, which nobody can count; not sent");
    return sum > 0;
  }

  // What only all votes together tell.
  Stop settle() {
    if (is(VoteType::scoring)) file_.max = std::max<std::uint32_t>(file_.min, largest_sum_);
    if (is(VoteType::ordinal))
      if (auto stop = settle_positions()) return stop;
    settle_repeated();
    settle_unpaid();
    settle_scores();
    return std::nullopt;
  }

  Stop settle_positions() {
    gives_positions_ = !file_.position_points.empty();
    if (gives_positions_) {
      extend_positions();
      return std::nullopt;
    }
    const auto rule = fold(file_.meta_value("scoring_fn"));
    if (!rule.empty() && rule != "borda")
      return meta_fault("scoring_fn", "only Borda is known; give the points in VOTES");
    const auto projects = static_cast<std::uint32_t>(file_.projects.size());
    std::vector<std::uint32_t> tops{static_cast<std::uint32_t>(longest_), projects};
    if (!rule.empty()) std::swap(tops[0], tops[1]);
    if (number("max_length")) tops = {static_cast<std::uint32_t>(choices_.max)};
    const auto begin_with = [&](std::uint32_t top) {
      file_.position_points = {top};
      extend_positions();
    };
    auto best = tops.front();
    std::size_t most = 0;
    for (const auto top : tops) {
      begin_with(top);
      const auto equal = count_scores().equal;
      if (equal <= most) continue;
      best = top;
      most = equal;
    }
    begin_with(best);
    return std::nullopt;
  }

  void extend_positions() {
    auto& settled = file_.position_points;
    while (settled.size() < std::max<std::size_t>(file_.max, longest_list_))
      settled.push_back(settled.back() == 0 ? 0 : settled.back() - 1);
    for (auto& vote : file_.votes)
      vote.points.assign(settled.data(), settled.data() + vote.choices.size());
  }

  struct Unpaid {
    std::size_t line = 0;
    std::uint32_t project = 0;
    bool is_sent = false;  // the vote gives points to others
  };

  // A vote that names a project more than once, and what an official total has that counts it so.
  struct Repeated {
    std::size_t line = 0;
    Named named;
    std::vector<std::uint32_t> counted;  // each of them once, in their order
    std::map<std::uint32_t, std::int64_t> times;
  };

  // What the i-th project of a row brings where each place counts.
  std::int64_t points_at(const Named& named, std::size_t i) const {
    if (spreads_points()) return named.points[i];
    return is(VoteType::ordinal) ? file_.position_points[i] : 1U;
  }

  void deviate(const Repeated& vote) {
    std::map<std::uint32_t, std::int64_t> scores;
    std::size_t counted = 0;
    for (std::size_t i = 0; i < vote.named.projects.size(); ++i) {
      const auto project = vote.named.projects[i];
      scores[project] += points_at(vote.named, i);
      // Where it is named first: there it counts, and ranks by what stands before it.
      if (counted == vote.counted.size() || vote.counted[counted] != project) continue;
      scores[project] -= points_at(vote.named, is(VoteType::ordinal) ? counted : i);
      ++counted;
    }
    const auto repeated = std::find_if(vote.times.begin(), vote.times.end(),
                                       [](const auto& entry) { return entry.second > 1; });
    for (const auto& [project, times] : vote.times) {
      if (times == 1 && scores[project] == 0) continue;
      auto reason = times > 1 ? "names it " + times_in_words(times)
                              : fmt::format("names project {} {}, so this one ranks higher",
                                            file_.projects[repeated->first].id,
                                            times_in_words(repeated->second));
      file_.deviations.push_back({vote.line, project, times - 1, scores[project],
                                  std::move(reason)});
    }
  }

  void settle_repeated() {
    for (const auto& vote : repeated_) deviate(vote);
    if (is(VoteType::ordinal)) file_.position_points.resize(file_.max);
  }

  // Whether the official votes have those who gave 0 points: by what more of them are equal to.
  void settle_unpaid() {
    std::vector<std::uint64_t> paid(file_.projects.size()), unpaid(file_.projects.size());
    for (const auto& vote : file_.votes) {
      for (const auto project : vote.choices) ++paid[project];
      for (const auto project : vote.unpaid) ++unpaid[project];
    }
    std::size_t with = 0, without = 0;
    for (std::size_t i = 0; i < paid.size(); ++i) {
      if (unpaid[i] == 0) continue;
      with += file_.projects[i].votes == paid[i] + unpaid[i];
      without += file_.projects[i].votes == paid[i];
    }
    file_.counts_unpaid = with > without;
    for (const auto& [line, project, is_sent] : unpaid_)
      file_.deviations.push_back(
          {line, project, file_.counts_unpaid && is_sent ? -1 : 1, 0, "gives it 0 points"});
  }

  struct Scores {
    std::size_t equal = 0;
    std::size_t of = 0;  // projects with an official score, but for those that nobody wants
  };

  // How many official scores follow from the votes, counted once or as they stand there.
  Scores count_scores() const {
    std::vector<std::int64_t> counted(file_.projects.size()), more(file_.projects.size());
    for (const auto& vote : file_.votes)
      for (std::size_t i = 0; i < vote.choices.size(); ++i)
        counted[vote.choices[i]] += vote.points.empty() ? 1U : vote.points[i];
    for (const auto& deviation : file_.deviations) more[deviation.project] += deviation.score;
    Scores scores;
    for (std::size_t i = 0; i < counted.size(); ++i) {
      const auto official = static_cast<std::int64_t>(file_.projects[i].score.value_or(0));
      if (!file_.projects[i].score || (official == 0 && counted[i] == 0)) continue;
      ++scores.of;
      scores.equal += official == counted[i] || official == counted[i] + more[i];
    }
    return scores;
  }

  // Where fewer than half of the scores follow from the votes, and the file itself does not say
  // how they should, or that they do.
  void settle_scores() {
    const auto [equal, of] = count_scores();
    if (2 * equal >= of) return;
    std::vector<std::string_view> reasons;
    if (fold(file_.meta_value("rule")) == "unknown") reasons.push_back("META's rule is unknown");
    if (fold(file_.meta_value("comment")).find("not been fully validated") != std::string::npos)
      reasons.push_back("META says that the file has not been fully validated");
    if (is(VoteType::ordinal) && !gives_positions_ && !number("max_length") &&
        file_.meta_value("scoring_fn").empty())
      reasons.push_back("nothing says what a rank brings");
    if (!is(VoteType::ordinal) && !spreads_points())
      reasons.push_back("votes of this type bring no points");
    if (reasons.empty()) return;
    file_.scores_without_rule =
        fmt::format("{} of {} follow from the votes; {}", equal, of, fmt::join(reasons, "; "));
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
  std::size_t longest_ = 0;       // projects that one vote counts for
  std::size_t longest_list_ = 0;  // projects that one vote names, each as often as it does
  bool gives_positions_ = false;  // votes say what a rank brings
  std::vector<Repeated> repeated_;
  std::vector<Unpaid> unpaid_;
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
