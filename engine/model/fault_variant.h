// Faulty variants of the engine, for tests of the tests alone: each is built by tests/ under a
// name of its own and must be caught there. A normal build has none.
#pragma once

namespace veche::model {

enum class FaultVariant {
  none,
  answer_on_append,        // answered when queued, and not kept in pending
  no_dedup,                // apply counts every ballot
  close_ignored,           // apply counts behind CLOSE
  answer_before_sync,      // the log delivers what it has not made durable
  steps_parents_live,      // inner territories show what was not published, too
  steps_last_batch_alone,  // at the end each cell comes out by itself
  steps_other_of_parent,   // at the end few are shown alone beside a place with many
  steps_cut_every_ballot,  // every ballot may come out
  any_publication,         // apply takes a publication that is not based on the last one
  position_apart,          // the position is written before the checkpoint that it belongs to
};

#ifdef VECHE_FAULT_VARIANT
inline constexpr FaultVariant kFaultVariant = FaultVariant::VECHE_FAULT_VARIANT;
#else
inline constexpr FaultVariant kFaultVariant = FaultVariant::none;
#endif

}  // namespace veche::model
