#include "tools/veche/gz_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

namespace veche::tools {
namespace {

using GzFile = std::unique_ptr<gzFile_s, decltype(&gzclose)>;

}  // namespace

Result<std::string> read_gz(const std::filesystem::path& path, std::size_t limit_bytes) {
  std::string text;
  const GzFile file(gzopen(path.c_str(), "rb"), &gzclose);
  if (!file) return Fault{"cannot be opened; check the path and its permissions"};
  constexpr std::size_t kStepBytes = 1 << 20;
  for (;;) {
    const auto had = text.size();
    text.resize(had + kStepBytes);
    const int got = gzread(file.get(), text.data() + had, kStepBytes);
    text.resize(had + std::max(got, 0));
    if (text.size() > limit_bytes) return Fault{fmt::format("larger than {} bytes", limit_bytes)};
    if (got <= 0) break;
  }
  int error = Z_OK;
  const char* what = gzerror(file.get(), &error);
  if (error != Z_OK) return Fault{fmt::format("cannot be read or unpacked: {}", what)};
  if (path.extension() == ".gz" && gzdirect(file.get())) return Fault{"not compressed by gzip"};
  return text;
}

}  // namespace veche::tools
