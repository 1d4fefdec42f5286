// Waiting in tests for what another thread does: as long as it takes, and with an end.
#pragma once

#include <chrono>
#include <thread>

namespace veche::tests {

// Whether it happened in time; well above what busy cores need.
template <class Happened>
bool eventually(Happened happened, std::chrono::milliseconds within = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!happened()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace veche::tests
