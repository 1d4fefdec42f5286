#include "ingest/web/html.h"

namespace veche::web {
namespace {

std::string_view entity_of(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

bool is_dropped_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
}

// U+202A..U+202E and U+2066..U+2069, three bytes each: embeddings, overrides and isolates.
bool reorders(std::string_view text) {
  if (!text.starts_with("\xE2\x80") && !text.starts_with("\xE2\x81")) return false;
  if (text.size() < 3) return false;
  const auto last = static_cast<unsigned char>(text[2]);
  return text[1] == '\x80' ? last >= 0xAA && last <= 0xAE : last >= 0xA6 && last <= 0xA9;
}

}  // namespace

void append_escaped(std::string_view text, std::string& out) {
  while (!text.empty()) {
    std::size_t taken = 1;
    if (const auto entity = entity_of(text[0]); !entity.empty())
      out += entity;
    else if (reorders(text))
      taken = 3;
    else if (!is_dropped_control(text[0]))
      out += text[0];
    text.remove_prefix(taken);
  }
}

}  // namespace veche::web
