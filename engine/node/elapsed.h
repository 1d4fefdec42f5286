// Waiting by a wall clock that may be set back: a wait that began in the future is over.
#pragma once

#include <chrono>

#include "engine/model/poll.h"

namespace veche::node {

inline bool elapsed(model::Instant since, model::Instant now, std::chrono::milliseconds wait) {
  return now < since || now - since >= wait;
}

}  // namespace veche::node
