#include "tools/veche/input.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

namespace veche::tools {
namespace {

bool was_stdin_read = false;

// Not by a stream: that of a folder throws.
Result<std::string> read_all(std::FILE* file, const std::string& name) {
  std::string text;
  char part[65'536];
  while (const auto bytes = std::fread(part, 1, sizeof part, file)) text.append(part, bytes);
  if (std::ferror(file))
    return Fault{fmt::format("{} cannot be read: {}", name, std::strerror(errno))};
  return text;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose);
  if (!file) return Fault{fmt::format("{} cannot be read: {}", path, std::strerror(errno))};
  return read_all(file.get(), path);
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return read_file(path);
  if (std::exchange(was_stdin_read, true)) return Fault{"two things are to be read from stdin"};
  return read_all(stdin, "stdin");
}

}  // namespace veche::tools
