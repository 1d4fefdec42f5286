#include "engine/model/csv.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace veche::model {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Table = std::vector<std::vector<std::string>>;

// The rows, or one row with the fault.
Table read(std::string_view text, CsvDialect dialect = {}) {
  CsvReader reader(text, dialect);
  Table table;
  for (CsvRow row;;) {
    const auto more = reader.next(row);
    if (!more) return {{more.error().message}};
    if (!*more) return table;
    table.push_back(row.fields);
  }
}

struct Accepted {
  const char* name;
  std::string_view text;
  Table rows;
  CsvDialect dialect{};
};

TEST(Csv, IsReadAsRfc4180Says) {
  const Accepted cases[] = {
      {"nothing", "", {}},
      {"line feeds", "a,b\nc,d\n", {{"a", "b"}, {"c", "d"}}},
      {"carriage returns too", "a,b\r\nc,d\r\n", {{"a", "b"}, {"c", "d"}}},
      {"no final line end", "a,b\nc,d", {{"a", "b"}, {"c", "d"}}},
      {"byte order mark",
       "\xEF\xBB\xBF"
       "a,b\n",
       {{"a", "b"}}},
      {"empty lines", "\n\r\na\n\nb\n\n", {{"a"}, {"b"}}},
      {"empty fields", ",\n,,", {{"", ""}, {"", "", ""}}},
      {"quoted separator", "\"a,b\",c\n", {{"a,b", "c"}}},
      {"doubled quotes", "\"\"\"a\"\" b\",\"\"\n", {{"\"a\" b", ""}}},
      {"quoted line end", "\"a\r\nb\",c\n", {{"a\r\nb", "c"}}},
      {"blanks belong to the field", " a , b\n", {{" a ", " b"}}},
      {"another separator", "a;b,c\n", {{"a", "b,c"}}, {';'}},
      {"padding", " a ;\t\"b; \" ; c d\n", {{"a", "b; ", "c d"}}, {';', true}},
      {"letters beyond ASCII", "Ёж,ł,\xF0\x9F\x97\xB3\n", {{"Ёж", "ł", "\xF0\x9F\x97\xB3"}}},
  };
  for (const auto& c : cases) EXPECT_EQ(read(c.text, c.dialect), c.rows) << c.name;
}

// What Python's csv module makes of the same bytes, without blanks around.
TEST(Csv, IsReadLooselyAsPythonReadsIt) {
  constexpr CsvDialect kLoose{.separator = ';', .padded = true, .loose = true};
  const Accepted cases[] = {
      {"quotes in the middle", "a \"b\" c;5\" d\n", {{"a \"b\" c", "5\" d"}}},
      {"text behind a quoted part", "\"a\" b;c\n", {{"a b", "c"}}},
      {"quotes behind a quoted part", "\"a\"\"b\"c\"d;e\n", {{"a\"bc\"d", "e"}}},
      {"a separator in the quoted part alone", "\"a;b\"c;d\n", {{"a;bc", "d"}}},
      {"doubled quotes", "\"\"\"a\"\" b\";\"\"\n", {{"\"a\" b", ""}}},
      {"doubled quotes in a plain field", "a\"\"b;\"\"\n", {{"a\"\"b", ""}}},
      {"a line end in quotes", "\"a\nb\";c\nd\n", {{"a\nb", "c"}, {"d"}}},
      {"a quote behind padding that opens nothing", " \"a;b\n", {{"\"a", "b"}}},
      {"a quoted field in padding", " \"a;\" ; b \n", {{"a;", "b"}}},
      {"carriage returns alone", "a;b\rc;d\r", {{"a", "b"}, {"c", "d"}}},
      {"carriage returns behind quotes", "\"a\"\r\n\"b\" c\r\n", {{"a"}, {"b c"}}},
      {"a quote at the very end", "a;b\"", {{"a", "b\""}}},
  };
  for (const auto& c : cases) EXPECT_EQ(read(c.text, kLoose), c.rows) << c.name;
  EXPECT_THAT(read("a\n\"b;c\nd", kLoose).back().at(0),
              testing::AllOf(StartsWith("line 2:"), HasSubstr("not closed")));
}

TEST(Csv, IsRefusedWithTheLineOfTheFault) {
  struct Refused {
    const char* name;
    std::string_view text;
    const char* line;
    const char* rule;
  };
  const Refused cases[] = {
      {"quote never closed", "a\n\"b\nc", "line 2:", "not closed"},
      {"text after a quoted field", "a\n\"b\"c\n", "line 2:", "beside a quoted field"},
      {"padding where it is not allowed", "\"b\" ,c\n", "line 1:", "beside a quoted field"},
      {"quote inside a plain field", "a\nb\"c\n", "line 2:", "in a plain field"},
      {"bare carriage return", "a\rb\n", "line 1:", "in a plain field"},
      {"lines inside quotes are counted", "\"a\n\n\"\nb\"\n", "line 4:", "in a plain field"},
      {"a byte that begins nothing", "a\n\xFF\n", "line 2:", "UTF-8"},
      {"half a letter", "\xD0\n", "line 1:", "UTF-8"},
      {"overlong form", "\xE0\x80\x80\n", "line 1:", "UTF-8"},
      {"surrogate", "\xED\xA0\x80\n", "line 1:", "UTF-8"},
      {"beyond Unicode", "\xF4\x90\x80\x80\n", "line 1:", "UTF-8"},
      {"half a letter at the very end", "a\n\xF0\x9F\x97", "line 2:", "UTF-8"},
  };
  for (const auto& c : cases) {
    const auto rows = read(c.text);
    ASSERT_FALSE(rows.empty()) << c.name;
    EXPECT_THAT(rows.back().at(0), testing::AllOf(StartsWith(c.line), HasSubstr(c.rule))) << c.name;
  }
}

TEST(Csv, FieldsAreReadBackAsTheyWereWritten) {
  for (const std::string text : {"", "a", "a,b", "a;b", "\"", "\"a\" b", "a\nb", "a\r\nb", " a "})
    EXPECT_EQ(read(csv_field(text) + ",x"), (Table{{text, "x"}})) << text;
  EXPECT_EQ(csv_field("a;b"), "a;b");
  EXPECT_EQ(csv_field("a;b", ';'), "\"a;b\"");
}

}  // namespace
}  // namespace veche::model
