// A promise that we make to ourselves: broken, the process stops, in release too, because an
// answer from a wrong state is worse than none.
#pragma once

#include <cstdio>
#include <cstdlib>

#define VECHE_ASSERT(promise, why)                                                           \
  do {                                                                                       \
    if (!(promise)) {                                                                        \
      std::fprintf(stderr, "veche: broken promise at %s:%d: %s\n", __FILE__, __LINE__, why); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
