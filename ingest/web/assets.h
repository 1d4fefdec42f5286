// The pages' files, part of the program. A name holds the hash of the contents, so whoever has a
// file may keep it for ever.
#pragma once

#include <string_view>

#include "ingest/http/response.h"

namespace veche::web {

struct Asset {
  std::string_view path;
  std::string_view content_type;
  http::Frame body;
};

// Made by CMakeLists.txt from the folder assets/.
extern const Asset kStyle;
extern const Asset kPageScript;
extern const Asset kLoadScript;
extern const Asset kIcon;

const Asset* find_asset(std::string_view path);  // nullptr: no file of this program

}  // namespace veche::web
