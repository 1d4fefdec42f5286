// Faulty variants of the engine, for tests of the tests alone: each is built by tests/ under a
// name of its own and must be caught there. A normal build has none.
#pragma once

namespace veche::model {

enum class FaultVariant {
  none,
  answer_on_append,    // answered when queued, and not kept in pending
  no_dedup,            // apply counts every ballot
  close_ignored,       // apply counts behind CLOSE
  answer_before_sync,  // the log delivers what it has not made durable
  position_apart,      // the position is written before the checkpoint that it belongs to
};

#ifdef VECHE_FAULT_VARIANT
inline constexpr FaultVariant kFaultVariant = FaultVariant::VECHE_FAULT_VARIANT;
#else
inline constexpr FaultVariant kFaultVariant = FaultVariant::none;
#endif

}  // namespace veche::model
