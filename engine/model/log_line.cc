#include "engine/model/log_line.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <mutex>
#include <string>

namespace veche::model {
namespace {

constexpr std::chrono::milliseconds kPatience{200};
// What a pipe with any room takes without waiting.
constexpr std::size_t kLineBytes = 4'096;

bool takes_a_line(int descriptor, std::chrono::milliseconds patience) {
  pollfd writable{descriptor, POLLOUT, 0};
  return ::poll(&writable, 1, static_cast<int>(patience.count())) != 0;
}

}  // namespace

bool write_line(Stream stream, std::string_view line) {
  static std::mutex mutex;
  static std::array<bool, 3> stuck{};
  std::string whole(line.substr(0, kLineBytes - 1));
  whole += '\n';
  const auto descriptor = static_cast<int>(stream);
  const std::lock_guard lock(mutex);
  auto& is_stuck = stuck[static_cast<std::size_t>(descriptor)];
  is_stuck = !takes_a_line(descriptor, is_stuck ? std::chrono::milliseconds(0) : kPatience);
  return !is_stuck &&
         ::write(descriptor, whole.data(), whole.size()) == static_cast<ssize_t>(whole.size());
}

}  // namespace veche::model
