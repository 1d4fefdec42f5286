// A table's rows, written again as they were read, are the same rows. The first byte says which
// dialect.
#include <algorithm>
#include <string>
#include <vector>

#include "engine/model/assert.h"
#include "engine/model/csv.h"
#include "tests/fuzz/target.h"

namespace veche::fuzz {
namespace {

using model::CsvDialect;
using model::CsvReader;
using model::CsvRow;

using Rows = std::vector<std::vector<std::string>>;

// False: the text is no such table. `rows` are those before the fault.
bool read(std::string_view text, const CsvDialect& dialect, Rows& rows) {
  CsvReader reader(text, dialect);
  CsvRow row;
  std::size_t line = 0;
  while (true) {
    const auto is_row = reader.next(row);
    if (!is_row) return false;
    if (!*is_row) return true;
    VECHE_ASSERT(row.line > line, "each row begins on a later line");
    VECHE_ASSERT(!row.fields.empty(), "a row has a field");
    line = row.line;
    rows.push_back(row.fields);
  }
}

std::string write(const Rows& rows, const CsvDialect& dialect) {
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i) text += dialect.separator;
      text += model::csv_field(row[i], dialect.separator);
    }
    text += "\r\n";
  }
  return text;
}

// One empty field is an empty line, which readers pass over; spaces at the ends of a field, and a
// byte order mark before the first, are no part of it.
bool survives(const Rows& rows, const CsvDialect& dialect) {
  return !dialect.padded && !dialect.loose &&
         std::none_of(rows.begin(), rows.end(),
                      [](const auto& row) { return row.size() == 1 && row[0].empty(); }) &&
         (rows.empty() || !rows[0][0].starts_with("\xEF\xBB\xBF"));
}

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const auto which = static_cast<unsigned char>(input.front());
  const CsvDialect dialect{which & 1 ? ';' : ',', (which & 2) != 0, (which & 4) != 0};
  Rows rows, again;
  if (!read(input.substr(1), dialect, rows) || !survives(rows, dialect)) return;
  VECHE_ASSERT(read(write(rows, dialect), dialect, again), "what was written can be read");
  VECHE_ASSERT(rows == again, "the same rows");
}

}  // namespace veche::fuzz
