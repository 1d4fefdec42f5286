// What a user names for a command to read.
#pragma once

#include <string>

#include "engine/model/result.h"

namespace veche::tools {

// The whole file, which may be a pipe; the error says which and why.
Result<std::string> read_file(const std::string& path);

// The whole file, or stdin for "-", which can be read once. Of one thread.
Result<std::string> read_input(const std::string& path);

}  // namespace veche::tools
