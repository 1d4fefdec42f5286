// Names of threads, as `top -H` and debuggers show them.
#pragma once

#include <pthread.h>

namespace veche::model {

// Of the calling thread; at most 15 bytes.
inline void name_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

}  // namespace veche::model
