// Reads files that may be compressed by gzip.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "engine/model/result.h"

namespace veche::tools {

// The whole file, unpacked; one that is not compressed is passed through as it is, unless its name
// ends in .gz. A fault says what is wrong, without the path.
Result<std::string> read_gz(const std::filesystem::path& path, std::size_t limit_bytes);

}  // namespace veche::tools
