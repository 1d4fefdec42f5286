// What one HTTP thread holds for its clients, and how long: the limits of this folder, beside
// those of engine/model/limits.h.
#pragma once

#include <chrono>
#include <cstddef>

#include "engine/model/limits.h"

namespace veche::limits {

// --- Answers -----------------------------------------------------------------------------------
inline constexpr std::size_t kCopiedBodyBytes = 16 * 1'024;   // a longer one is not copied
inline constexpr std::size_t kCopiedFrameBytes = 1'024;       // of those that many are sent
inline constexpr std::size_t kBytesOfOneWrite = 256 * 1'024;  // then others get their turn
inline constexpr int kUnsentBytes = 64 * 1'024;               // that the kernel holds
inline constexpr std::size_t kOwedBytesPerThread = 32 * 1'024 * 1'024;  // not yet taken

// --- Bodies that come in -----------------------------------------------------------------------
inline constexpr std::size_t kBodyBytesPerThread = 64 * 1'024 * 1'024;  // received, or decoded
inline constexpr std::size_t kShortBodyBytes = 16 * 1'024;  // is taken whatever others hold
static_assert(kBatchBodyBytes < kBodyBytesPerThread / 2,
              "the largest batch has room while it is received and decoded");

// --- Transfers of both kinds -------------------------------------------------------------------
inline constexpr std::size_t kLeastBytesPerSecond = 64 * 1'024;  // on the whole
inline constexpr std::chrono::milliseconds kSlowGrace{2'000};    // where others have no room
inline constexpr std::size_t kIdleBufferBytes = 8 * 1'024;       // kept between requests

// --- Connections -------------------------------------------------------------------------------
inline constexpr std::size_t kArrivingPerThread = 64;  // accepted, and not yet taken
inline constexpr std::size_t kAcceptedAtOnce = 32;     // then others get their turn
inline constexpr std::size_t kIdleClosedAtOnce = 32;   // where a new one has no room
static_assert(kSlowGrace < kHeaderDeadline && kSlowGrace < kStreamWriteDeadline &&
                  kSlowGrace < kWriteDeadline,
              "what is slow goes sooner where others have no room");

}  // namespace veche::limits
