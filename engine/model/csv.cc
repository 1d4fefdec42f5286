#include "engine/model/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace veche::model {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_padding(char c) { return c == ' ' || c == '\t'; }

// The length of the well-formed sequence at the start of `text`, which is not empty; 0: none.
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  std::uint32_t point = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return 0;
    point = point << 6 | (next & 0x3F);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  return overlong || surrogate || point > 0x10FFFF ? 0 : length;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

Fault fault_at(std::size_t line, std::string_view what) {
  return Fault{fmt::format("line {}: {}", line, what)};
}

std::string csv_field(std::string_view text, char separator) {
  if (text.find_first_of("\"\r\n") == text.npos && text.find(separator) == text.npos)
    return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

CsvReader::CsvReader(std::string_view text, CsvDialect dialect) : text_(text), dialect_(dialect) {
  skip(kByteOrderMark);
}

Result<bool> CsvReader::next(CsvRow& row) {
  while (skip_line_end()) continue;
  row.line = line_;
  row.fields.clear();
  if (at_end()) return false;
  const auto begin = at_;
  do {
    if (const auto fault = take_field(row.fields.emplace_back())) return *fault;
  } while (skip({&dialect_.separator, 1}));
  if (!is_utf8(text_.substr(begin, at_ - begin)))
    return fault_at(row.line, "not UTF-8; save the file in that encoding");
  if (!at_end() && !skip_line_end())
    return fault_at(line_, "text beside a quoted field; put all of the field into the quotes");
  return true;
}

bool CsvReader::skip(std::string_view expected) {
  if (!text_.substr(at_).starts_with(expected)) return false;
  at_ += expected.size();
  return true;
}

bool CsvReader::skip_line_end() {
  if (!skip("\n") && !skip("\r\n") && !(dialect_.loose && skip("\r"))) return false;
  ++line_;
  return true;
}

void CsvReader::skip_padding() {
  while (dialect_.padded && !at_end() && is_padding(text_[at_])) ++at_;
}

std::optional<Fault> CsvReader::take_field(std::string& field) {
  if (dialect_.loose) return take_loose(field);
  skip_padding();
  auto fault = skip("\"") ? take_quoted(field) : take_plain(field);
  skip_padding();
  return fault;
}

std::optional<Fault> CsvReader::take_quoted(std::string& field) {
  const auto opened = line_;
  while (!at_end()) {
    const char c = text_[at_++];
    if (c == '"' && !skip("\"")) return std::nullopt;
    if (c == '\n') ++line_;
    field += c;
  }
  return fault_at(opened, "a quoted field is not closed; add the closing quote");
}

std::optional<Fault> CsvReader::take_plain(std::string& field) {
  const char stops[] = {dialect_.separator, '\n', '\r', '"'};
  const auto end = std::min(text_.find_first_of({stops, sizeof stops}, at_), text_.size());
  field = text_.substr(at_, end - at_);
  at_ = end;
  const auto rest = text_.substr(at_);
  if (rest.starts_with('"') || (rest.starts_with('\r') && !rest.starts_with("\r\n")))
    return fault_at(line_,
                    "a quote or a carriage return in a plain field; quote the field, and "
                    "double the quotes in it");
  while (dialect_.padded && !field.empty() && is_padding(field.back())) field.pop_back();
  return std::nullopt;
}

// Whether the field that begins here is nothing but a quoted one.
bool CsvReader::is_quoted_whole() const {
  CsvReader ahead = *this;
  std::string field;
  if (!ahead.skip("\"") || ahead.take_quoted(field)) return false;
  ahead.skip_padding();
  return ahead.at_end() || ahead.skip({&dialect_.separator, 1}) || ahead.skip_line_end();
}

std::optional<Fault> CsvReader::take_loose(std::string& field) {
  const auto begin = at_;
  skip_padding();
  // Behind padding a quote opens a field only if it closes it, too.
  const bool opens = text_.substr(at_).starts_with('"') && (at_ == begin || is_quoted_whole());
  if (opens) {
    skip("\"");
    if (auto fault = take_quoted(field)) return fault;
  }
  const char stops[] = {dialect_.separator, '\n', '\r'};
  const auto end = std::min(text_.find_first_of({stops, sizeof stops}, at_), text_.size());
  auto behind = text_.substr(at_, end - at_);
  at_ = end;
  while (dialect_.padded && !behind.empty() && is_padding(behind.back())) behind.remove_suffix(1);
  field += behind;
  return std::nullopt;
}

}  // namespace veche::model
