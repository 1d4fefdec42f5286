// Under afl-fuzz: many inputs a process, taken from memory that it shares with the fuzzer. What
// AFL++'s compilers would put in place of their macros is written out here.
#include <cstddef>

#include "tests/fuzz/coverage.h"
#include "tests/fuzz/target.h"

extern "C" {
// AFL++'s run-time.
extern unsigned char* __afl_fuzz_ptr;
extern unsigned int* __afl_fuzz_len;
int __afl_persistent_loop(unsigned int inputs);
void __afl_manual_init();
// It looks for them: the inputs come in shared memory.
int __afl_sharedmem_fuzzing = 1;
}

namespace {

// afl-fuzz looks for these texts in the program: it starts by itself, and takes many inputs.
const char* volatile signatures[] = {"##SIG_AFL_PERSISTENT##", "##SIG_AFL_DEFER_FORKSRV##"};
constexpr unsigned kInputsOfProcess = 10'000;

}  // namespace

int main() {
  static_cast<void>(signatures[0]);
  __afl_manual_init();
  while (__afl_persistent_loop(kInputsOfProcess)) {
    veche::fuzz::begin_trace();
    veche::fuzz::run({reinterpret_cast<const char*>(__afl_fuzz_ptr),
                      static_cast<std::size_t>(*__afl_fuzz_len)});
  }
}
