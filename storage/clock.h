// The time, as logs need it.
#pragma once

#include <chrono>
#include <cstdint>

#include "engine/model/poll.h"

namespace veche::storage {

inline model::Instant wall_clock() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

// Kafka's time of a record: the hour, no finer, so that it cannot tell who voted.
inline std::int64_t hour_now_ms() {
  const auto hour = std::chrono::floor<std::chrono::hours>(std::chrono::system_clock::now());
  return std::chrono::milliseconds(hour.time_since_epoch()).count();
}

}  // namespace veche::storage
