// Content-Encoding of request bodies: gzip and zstd, undone up to a limit, so that a small body
// cannot become a large one. What is kept for ever is compressed with zstd as well.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace veche::wire {

// By its name in any case, x-gzip as gzip; unknown also of one coding inside another.
enum class Coding { identity, gzip, zstd, unknown };
Coding coding(std::string_view content_encoding);

enum class Decoding { done, too_large, broken };

// Appends the decoded body to `out`, at most `limit` bytes of it in all.
Decoding decode(Coding coding, std::string_view body, std::size_t limit, std::string& out);

// One zstd frame that decode() undoes.
std::string compress_zstd(std::string_view body);

}  // namespace veche::wire
