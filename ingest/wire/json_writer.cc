#include "ingest/wire/json_writer.h"

#include <algorithm>

namespace veche::wire {
namespace {

bool is_plain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; }

void append_escape(char c, std::string& out) {
  constexpr std::string_view kShort = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '\\';
  if (const auto at = kShort.find(c); at != kShort.npos) {
    out += kLetters[at];
    return;
  }
  const auto byte = static_cast<unsigned char>(c);
  out.append("u00").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
}

}  // namespace

JsonWriter& JsonWriter::text(std::string_view text) {
  separate();
  out_ += '"';
  while (!text.empty()) {
    const auto end = std::find_if_not(text.begin(), text.end(), is_plain);
    const auto plain = static_cast<std::size_t>(end - text.begin());
    out_ += text.substr(0, plain);
    if (end != text.end()) append_escape(*end, out_);
    text.remove_prefix(std::min(plain + 1, text.size()));
  }
  out_ += '"';
  return *this;
}

}  // namespace veche::wire
