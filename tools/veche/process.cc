#include "tools/veche/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace veche::tools {

void keep_memory_private() {
  prctl(PR_SET_DUMPABLE, 0);
  // Also for where the system pipes every core into a program of its own.
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

}  // namespace veche::tools
