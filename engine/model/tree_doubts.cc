#include "engine/model/tree_doubts.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/limits.h"
#include "engine/model/territory.h"

namespace veche::model {
namespace {

constexpr std::size_t kMunicipality = 8, kSettlement = 11;  // digits of an OKTMO code

bool is_number(std::string_view code) {
  return std::all_of(code.begin(), code.end(), detail::is_digit);
}

using Rows = std::vector<const SentRow*>;

// "5: 1701000 on line 3, 1703000 on line 4, ..."
std::string first_of(const Rows& rows) {
  auto text = fmt::format("{}:", rows.size());
  const auto told = std::min(rows.size(), limits::kDoubtfulRowsTold);
  for (std::size_t i = 0; i < told; ++i)
    fmt::format_to(std::back_inserter(text), "{} {} on line {}", i == 0 ? "" : ",", rows[i]->code,
                   rows[i]->line);
  return rows.size() > told ? text + ", ..." : text;
}

using RowsByLength = std::map<std::size_t, Rows>;

bool are_alike(const RowsByLength& lengths) {
  const bool are_both_of_oktmo = lengths.size() == 2 && lengths.contains(kMunicipality) &&
                                 lengths.contains(kSettlement);
  return lengths.size() <= 1 || are_both_of_oktmo;
}

void find_unequal_lengths(std::span<const SentRow> rows, std::vector<std::string>& doubts) {
  std::map<std::uint8_t, RowsByLength> levels;
  for (const auto& row : rows)
    if (is_number(row.code)) levels[row.level][row.code.size()].push_back(&row);
  for (const auto& [level, lengths] : levels) {
    if (are_alike(lengths)) continue;
    std::vector<std::string> parts;
    for (const auto& [length, those] : lengths)
      parts.push_back(fmt::format("of {} digits ({})", length, first_of(those)));
    doubts.push_back(fmt::format("level {} has codes {}", level, fmt::join(parts, " and ")));
  }
}

// The tree of one region whose code begins with a zero has lost it on every level, and no length
// differs. What is left: 01000000 and 01701000 end with as many zeros as before.
void find_short_regions(std::span<const SentRow> rows, std::vector<std::string>& doubts) {
  const auto is_short = [](std::string_view code, std::string_view zeros) {
    return code.size() == kMunicipality - 1 && is_number(code) && code.ends_with(zeros);
  };
  std::map<std::string_view, bool> regions;  // whether all below it are districts
  for (const auto& row : rows)
    if (!row.parent.empty()) {
      const auto found = regions.try_emplace(row.parent, true).first;
      found->second = found->second && is_short(row.code, "000");
    }
  Rows lost;
  for (const auto& row : rows) {
    const auto found = regions.find(row.code);
    const bool has_districts = found != regions.end() && found->second;
    if (row.parent.empty() && has_districts && is_short(row.code, "000000")) lost.push_back(&row);
  }
  if (!lost.empty())
    doubts.push_back(fmt::format(
        "regions have 7 digits, as if a zero before them were lost ({})", first_of(lost)));
}

void find_wrong_digits(std::span<const SentRow> rows, std::vector<std::string>& doubts) {
  std::size_t given = 0;
  std::vector<std::string> wrong;
  for (const auto& row : rows) {
    if (row.control_digit.empty()) continue;
    ++given;
    const auto expected = control_digit(row.code);
    if (!expected)
      wrong.push_back(fmt::format("{} on line {} has {}, and a code of {} characters has none",
                                  row.code, row.line, row.control_digit, row.code.size()));
    else if (row.control_digit != std::to_string(*expected))
      wrong.push_back(fmt::format("{} on line {} has {} instead of {}", row.code, row.line,
                                  row.control_digit, *expected));
  }
  if (wrong.empty()) return;
  const auto told = std::min(wrong.size(), limits::kDoubtfulRowsTold);
  doubts.push_back(fmt::format("{} of {} control digits do not fit ({}{})", wrong.size(), given,
                               fmt::join(wrong.begin(), wrong.begin() + told, "; "),
                               wrong.size() > told ? "; ..." : ""));
}

}  // namespace

std::string doubts_of(std::span<const SentRow> rows) {
  std::vector<std::string> doubts;
  find_unequal_lengths(rows, doubts);
  find_short_regions(rows, doubts);
  find_wrong_digits(rows, doubts);
  if (doubts.empty()) return {};
  return fmt::format(
      "the tree is likely wrong: {}. Look at these rows: a spreadsheet takes the zeros in front of "
      "codes unless their columns are text",
      fmt::join(doubts, "; "));
}

}  // namespace veche::model
