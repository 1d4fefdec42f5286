// A body in chunks ends with "0\r\n\r\n" at least. Beast, shown the beginning of that twice,
// asserts that there was more of it: whoever feeds its parser shows that when it is there.
#pragma once

#include <cstddef>
#include <string_view>

namespace veche::http {

// Of the bytes that a parser of chunks has not taken yet.
inline bool is_cut_last_chunk(std::string_view input) {
  constexpr std::size_t kLastChunkBytes = 5;
  return input.size() < kLastChunkBytes && input.starts_with('0');
}

}  // namespace veche::http
