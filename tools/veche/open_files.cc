#include "tools/veche/open_files.h"

#include <sys/resource.h>

#include <algorithm>

#include "engine/model/limits.h"

namespace veche::tools {
namespace {

constexpr std::size_t kUsualOpenFiles = 1'024;  // where the system does not tell
constexpr std::size_t kStoreFiles = 256;        // kept for the log and the index
constexpr std::size_t kOtherFiles = 64;         // listeners, event loops, text logs, brokers
static_assert(kOperatorFiles < kOtherFiles);
static_assert(2 * limits::kFilesOfDatabase + 64 <= kStoreFiles,
              "besides those that are read, each database has its logs open, and what it writes");

}  // namespace

std::size_t allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kUsualOpenFiles;
  const auto before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
}

std::size_t files_for_clients(std::size_t allowed) {
  const auto store = std::min(kStoreFiles, allowed / 2);
  const auto others = std::min(kOtherFiles, allowed / 4);
  return allowed - store - others;
}

}  // namespace veche::tools
