// Objects with a closed set of members, read once and strictly. simdjson's DOM checks syntax and
// UTF-8 and undoes escapes, but passes duplicate names on; here they are refused, so that no two
// readers of one text can see different values. For ingest/auth and ingest/wire.
#pragma once

#include <simdjson.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/model/limits.h"
#include "ingest/auth/primitives.h"

namespace veche::auth {

// Names that need no escape in JSON and no care in a log: visible ASCII without quote and
// backslash.
inline bool is_plain_name(std::string_view text, std::size_t max_bytes) {
  if (text.empty() || text.size() > max_bytes) return false;
  for (const char c : text)
    if (c < '!' || c > '~' || c == '"' || c == '\\') return false;
  return true;
}

// A parser that never takes more than `max_bytes` or nests deeper than kJsonDepth.
inline simdjson::dom::parser bounded_parser(std::size_t max_bytes) {
  simdjson::dom::parser parser(max_bytes);
  must(parser.allocate(max_bytes, limits::kJsonDepth) == simdjson::SUCCESS, "memory for JSON");
  return parser;
}

// simdjson copies the text to where it may read beyond the end, and must not be given a null one.
inline simdjson::error_code parse_copy(simdjson::dom::parser& parser, std::string_view json,
                                       simdjson::dom::element& root) {
  if (json.empty()) return simdjson::EMPTY;
  return parser.parse(json.data(), json.size()).get(root);
}

// The members of one object by their place in `names`. Valid as long as the parser's document.
template <std::size_t N>
class StrictObject {
 public:
  enum class Shape { kGood, kNotAnObject, kUnknownMember, kDuplicateMember };
  using Names = std::array<std::string_view, N>;

  // Reads to the end even after a fault, so that a fault can be told with the members it was among.
  Shape read(simdjson::dom::element value, const Names& names) {
    simdjson::dom::object object;
    if (value.get(object) != simdjson::SUCCESS) return Shape::kNotAnObject;
    Shape shape = Shape::kGood;
    const auto blame = [&](Shape fault, std::string_view name) {
      if (shape != Shape::kGood) return;
      shape = fault;
      offender_ = name;
    };
    std::size_t expected = 0;  // writers keep an order, so the next name is mostly the next place
    for (const simdjson::dom::key_value_pair member : object) {
      const std::size_t place = place_of(member.key, names, expected);
      expected = place + 1;
      if (place == N)
        blame(Shape::kUnknownMember, member.key);
      else if (has(place))
        blame(Shape::kDuplicateMember, names[place]);
      else
        members_[place] = member.value;
    }
    return shape;
  }

  // The first member that was unknown or there twice.
  std::string_view offender() const { return offender_; }

  bool has(std::size_t place) const { return members_[place].has_value(); }
  const std::optional<simdjson::dom::element>& member(std::size_t place) const {
    return members_[place];
  }
  std::optional<std::string_view> text(std::size_t place) const {
    return get<std::string_view>(place, simdjson::dom::element_type::STRING);
  }
  // Integers only: 1.0, 1e3 and what does not fit into 64 bits with a sign are none.
  std::optional<std::int64_t> integer(std::size_t place) const {
    return get<std::int64_t>(place, simdjson::dom::element_type::INT64);
  }
  std::optional<simdjson::dom::array> list(std::size_t place) const {
    return get<simdjson::dom::array>(place, simdjson::dom::element_type::ARRAY);
  }

 private:
  static std::size_t place_of(std::string_view name, const Names& names, std::size_t first) {
    for (std::size_t place = first; place < N; ++place)
      if (names[place] == name) return place;
    for (std::size_t place = 0; place < first && place < N; ++place)
      if (names[place] == name) return place;
    return N;
  }

  template <class T>
  std::optional<T> get(std::size_t place, simdjson::dom::element_type wanted) const {
    T value;
    if (!has(place) || members_[place]->type() != wanted) return {};
    if (members_[place]->get(value) != simdjson::SUCCESS) return {};
    return value;
  }

  std::array<std::optional<simdjson::dom::element>, N> members_;
  std::string_view offender_;
};

// Appends every text of `list` to `ids`, which has room; false when one is not a well-formed id, or
// there is none: a list that is there and empty would mean "none", and absent means "not said".
template <class Ids>
bool read_ids(simdjson::dom::array list, Ids& ids) {
  for (const simdjson::dom::element item : list) {
    std::string_view text;
    if (item.get(text) != simdjson::SUCCESS) return false;
    const auto id = Ids::value_type::parse(text);
    if (!id) return false;
    ids.push_back(*id);
  }
  return list.size() > 0;
}

}  // namespace veche::auth
