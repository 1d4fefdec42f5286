// Tells AFL++ which edges were taken. Its own plugin for GCC goes only with the very build of GCC that
// it was made with, which Debian's updates change; so GCC's own -fsanitize-coverage=trace-pc calls this
// at each edge, and the rest is AFL++'s run-time, which is linked.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/coverage.h"

extern "C" {
extern unsigned char* __afl_area_ptr;
extern const char __executable_start;
}

namespace veche::fuzz {
namespace {

constexpr std::size_t kCells = 1 << 16;  // of AFL++'s map
std::size_t previous = 0;

}  // namespace

void begin_trace() { previous = 0; }

}  // namespace veche::fuzz

extern "C" __attribute__((no_sanitize_address, no_sanitize_undefined, no_sanitize_coverage)) void
__sanitizer_cov_trace_pc() {
  using namespace veche::fuzz;
  // From the image's start, so that an edge has the same cell in every process.
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0)) -
                    reinterpret_cast<std::uintptr_t>(&__executable_start);
  const std::size_t cell = (here * 0x9E3779B97F4A7C15) >> 48;
  unsigned char& count = __afl_area_ptr[(cell ^ previous) % kCells];
  count += 1 + (count == 255);  // taken 256 times is not "never taken"
  previous = cell >> 1;
}
