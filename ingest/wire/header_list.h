// Request headers that are lists (RFC 9110 5.6.1): what a client accepts, and which versions it
// knows. Views returned point into the header.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace veche::wire {

// Takes what is before the next separator off the text; without the blanks around it. A separator
// in a quoted string is none.
std::string_view take_part(std::string_view& text, char separator);

// The weight (q) among the parameters of a list's element, in thousandths. What is no weight counts
// as the full one, as if it had been left out.
inline constexpr int kFullWeight = 1'000;
int weight_in(std::string_view parameters);

// How much an Accept header wants a media type ("text/csv", in lower case): by the most specific
// range that has it.
struct Wanted {
  int weight = 0;         // 0: not at all
  std::size_t place = 0;  // of the range in the header
  bool is_named = false;  // itself, not by a wildcard
};
Wanted wanted(std::string_view accept, std::string_view media_type);

// Whether `type` is wanted rather than `other`; of equals the one that the header has first. Not by
// a header that is empty or says nothing of either.
bool prefers(std::string_view accept, std::string_view type, std::string_view other);

// An If-Match or If-None-Match. A tag is what stands between the quotes, without the `W/` and the
// ending that proxies give to a tag of what they have compressed: "3", W/"3", "3-gzip", "3;gzip".
struct EntityTags {
  bool any = false;  // "*"
  std::vector<std::string_view> tags;
};
// nullopt: it is no such list.
std::optional<EntityTags> read_entity_tags(std::string_view header);

// Whether an If-None-Match has the ETag that an answer would have.
bool has_entity_tag(std::string_view if_none_match, std::string_view etag);

}  // namespace veche::wire
