// Dates, and which version of the tree holds on one.
#include "engine/model/directory.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace veche::model {
namespace {

Date day(std::string_view text) { return parse_date(text).value(); }

struct DateRow {
  const char* text;
  bool good;
};
TEST(Date, IsReadStrictly) {
  for (const auto& row : std::vector<DateRow>{{"2026-02-28", true},
                                              {"2024-02-29", true},
                                              {"2026-02-29", false},
                                              {"2026-13-01", false},
                                              {"2026-00-01", false},
                                              {"2026-01-00", false},
                                              {"2026-1-01", false},
                                              {"2026-01-01 ", false},
                                              {"2026/01/01", false},
                                              {"-026-01-01", false},
                                              {"2026-01-+1", false},
                                              {"", false}})
    EXPECT_EQ(parse_date(row.text).has_value(), row.good) << row.text;
}

TEST(Date, IsWrittenAsItWasRead) {
  for (const auto* text : {"0000-01-01", "0001-01-01", "1676-12-31", "1970-01-01", "2027-01-01",
                           "2262-04-12", "9999-12-31"})
    EXPECT_EQ(format_date(day(text)), text);
}

struct TreeRow {
  const char* why;
  std::vector<const char*> valid_from;  // of versions 1, 2, ...
  const char* day;
  std::uint32_t version;
};
TEST(TreeOn, IsTheOneThatHoldsOnTheDay) {
  for (const auto& row : std::vector<TreeRow>{
           {"the only one", {"2026-01-01"}, "2026-06-01", 1},
           {"on its first day", {"2026-01-01", "2027-01-01"}, "2027-01-01", 2},
           {"on the day before", {"2026-01-01", "2027-01-01"}, "2026-12-31", 1},
           {"a correction of today's leaves next year's alone",
            {"2026-01-01", "2027-01-01", "2026-11-28"}, "2027-01-20", 2},
           {"and holds until then",
            {"2026-01-01", "2027-01-01", "2026-11-28"}, "2026-12-31", 3},
           {"of one day the newer", {"2026-01-01", "2026-01-01", "2025-01-01"}, "2026-01-01", 2},
           {"before all of them the earliest", {"2027-01-01", "2026-01-01"}, "2025-12-31", 2},
           {"of the earliest the newer",
            {"2026-01-01", "2027-01-01", "2026-01-01"}, "1999-01-01", 3},
           {"at the end of time", {"2026-01-01", "9999-12-31"}, "9999-12-31", 2},
           {"just before it", {"2026-01-01", "9999-12-31"}, "9999-12-30", 1},
           {"at its beginning", {"2026-01-01", "0001-01-01"}, "0001-01-01", 2}}) {
    Directory directory;
    for (std::uint32_t version = 1; version <= row.valid_from.size(); ++version)
      directory.trees.push_back({version, day(row.valid_from[version - 1]), nullptr});
    EXPECT_EQ(directory.tree_on(day(row.day))->version, row.version) << row.why;
  }
}

TEST(TreeOn, IsNoneWhereThereIsNone) {
  EXPECT_EQ(Directory().tree_on(day("2026-01-01")), nullptr);
  EXPECT_EQ(Directory().tree_of_version(1), nullptr);
}

}  // namespace
}  // namespace veche::model
