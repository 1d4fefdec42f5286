// Reads a table of separated values (RFC 4180) row by row from a text in memory.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/result.h"

namespace veche::model {

// Whether every byte belongs to a well-formed UTF-8 sequence: no overlong form, no surrogate.
bool is_utf8(std::string_view text);

// The number that the whole of `text` writes in decimal digits.
template <std::unsigned_integral T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A fault that begins with the line it was found in, as everybody who reads tables reports it.
Fault fault_at(std::size_t line, std::string_view what);

// The field as RFC 4180 writes it: in quotes only where it needs them.
std::string csv_field(std::string_view text, char separator = ',');

struct CsvDialect {
  char separator = ',';
  bool padded = false;  // spaces and tabs around a field are not part of it
  // Quotes as Python's csv module takes them: one that does not open the field is a letter like any
  // other, and so is all that stands behind the closing one; a carriage return alone ends a line.
  // The closing quote itself has to be there.
  bool loose = false;
};

struct CsvRow {
  std::size_t line = 0;  // where the row begins; the first line is 1
  std::vector<std::string> fields;
};

// Understands LF and CRLF, a byte order mark, quoted fields with separators, quotes and line ends
// inside, and a last line without its end. Empty lines are passed over. How many fields a row
// should have is the caller's business. For one thread; the text must outlive the reader.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text, CsvDialect dialect = {});

  // Fills `row` and returns true, or returns false at the end of the text. A fault names the line
  // of what is not UTF-8 or not quoted properly; nothing can be read after it.
  Result<bool> next(CsvRow& row);

 private:
  bool at_end() const { return at_ == text_.size(); }
  bool skip(std::string_view expected);
  bool skip_line_end();
  void skip_padding();
  std::optional<Fault> take_field(std::string& field);
  std::optional<Fault> take_quoted(std::string& field);
  std::optional<Fault> take_plain(std::string& field);
  std::optional<Fault> take_loose(std::string& field);
  bool is_quoted_whole() const;

  std::string_view text_;
  CsvDialect dialect_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

}  // namespace veche::model
