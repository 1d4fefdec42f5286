#include "ingest/wire/header_list.h"

#include <strings.h>

#include <algorithm>
#include <array>

namespace veche::wire {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

std::size_t find_outside_quotes(std::string_view text, char separator) {
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      is_quoted = !is_quoted;
    else if (!is_quoted && text[i] == separator)
      return i;
  }
  return text.size();
}

// "0.25" as 250.
int weight_of(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '1') return kFullWeight;
  int weight = (text[0] - '0') * kFullWeight;
  text.remove_prefix(1);
  if (!text.empty() && text[0] != '.') return kFullWeight;
  int scale = kFullWeight;
  for (const char c : text.substr(std::min<std::size_t>(1, text.size()))) {
    if (c < '0' || c > '9') return kFullWeight;
    weight += (c - '0') * (scale /= 10);
  }
  return std::min(weight, kFullWeight);
}

bool is_same(std::string_view text, std::string_view other) {
  return text.size() == other.size() && strncasecmp(text.data(), other.data(), text.size()) == 0;
}

// 0: the range does not have the type.
int specificity(std::string_view range, std::string_view media_type) {
  if (is_same(range, media_type)) return 3;
  const auto family = media_type.substr(0, media_type.find('/') + 1);
  if (range.ends_with('*') && is_same(range.substr(0, range.size() - 1), family)) return 2;
  return range == "*/*" ? 1 : 0;
}

std::string_view without_coding(std::string_view tag) {
  constexpr std::array<std::string_view, 5> kCodings{"gzip", "br", "zstd", "deflate", "df"};
  for (const auto coding : kCodings) {
    if (!tag.ends_with(coding)) continue;
    auto rest = tag.substr(0, tag.size() - coding.size());
    if (rest.ends_with(';')) return rest.substr(0, rest.size() - 1);
    if (!rest.ends_with('-')) continue;
    while (rest.ends_with('-')) rest.remove_suffix(1);
    return rest;
  }
  return tag;
}

}  // namespace

std::string_view take_part(std::string_view& text, char separator) {
  const auto part = text.substr(0, find_outside_quotes(text, separator));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return trimmed(part);
}

int weight_in(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto parameter = take_part(parameters, ';');
    if (parameter.starts_with("q=") || parameter.starts_with("Q="))
      return weight_of(parameter.substr(2));
  }
  return kFullWeight;
}

Wanted wanted(std::string_view accept, std::string_view media_type) {
  Wanted found;
  int most = 0;
  for (std::size_t place = 0; !accept.empty(); ++place) {
    auto parameters = take_part(accept, ',');
    const auto range = take_part(parameters, ';');
    const int is = specificity(range, media_type);
    if (is <= most) continue;
    most = is;
    found = {weight_in(parameters), place, is == 3};
  }
  return found;
}

bool prefers(std::string_view accept, std::string_view type, std::string_view other) {
  const auto one = wanted(accept, type), two = wanted(accept, other);
  return one.weight != two.weight ? one.weight > two.weight
                                  : one.weight > 0 && one.place < two.place;
}

std::optional<EntityTags> read_entity_tags(std::string_view header) {
  EntityTags read;
  while (!header.empty()) {
    auto tag = take_part(header, ',');
    if (tag.empty()) continue;  // an empty element is allowed
    if (tag == "*") {
      read.any = true;
      continue;
    }
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() < 2 || !tag.starts_with('"') || tag.find('"', 1) != tag.size() - 1)
      return std::nullopt;
    read.tags.push_back(without_coding(tag.substr(1, tag.size() - 2)));
  }
  return read;
}

bool has_entity_tag(std::string_view if_none_match, std::string_view etag) {
  const auto list = read_entity_tags(if_none_match);
  const auto own = read_entity_tags(etag);
  return list && (list->any || std::find(list->tags.begin(), list->tags.end(),
                                         own->tags.front()) != list->tags.end());
}

}  // namespace veche::wire
