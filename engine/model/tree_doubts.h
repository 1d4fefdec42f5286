// What makes a tree likely wrong though it is one. A spreadsheet that opens codes as numbers takes
// their leading zeros: 01701000 becomes 1701000. Parents and children lose them alike, and so the
// tree holds together; but no voter is registered there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace veche::model {

// A row of a tree's file; the views are of who asks.
struct SentRow {
  std::size_t line = 0;
  std::uint8_t level = 0;
  std::string_view code;
  std::string_view parent;         // empty: a root
  std::string_view control_digit;  // as it stands there; empty: none
};

// In words, with counts and the first rows to look at; empty: nothing. Doubtful are: codes of
// digits alone of one level that differ in length, unless they are the 8 and 11 digits of OKTMO; a
// region of 7 digits above districts of 7; control digits that do not fit.
std::string doubts_of(std::span<const SentRow> rows);

}  // namespace veche::model
