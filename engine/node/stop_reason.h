// Why a node must not go on with a partition, for the person who has to mend it.
#pragma once

#include <string>

#include "engine/model/ids.h"

namespace veche::node {

enum class StopReason {
  gap,           // the log lost records
  unknown_kind,  // a record of a newer program
  diverged,      // somebody had read other records than we did
};

// `at` is the offset of the record, `expected` the one that should have come.
std::string describe(StopReason reason, model::PartitionId partition, model::Offset at,
                     model::Offset expected);

// Of an effect of apply::Partition or apply::Control by which a node stops.
template <class Effect>
StopReason stop_reason_of(Effect effect) {
  return effect == Effect::gap            ? StopReason::gap
         : effect == Effect::unknown_kind ? StopReason::unknown_kind
                                          : StopReason::diverged;
}

// "control", or the number of a ballots partition.
std::string name_of(model::PartitionId partition);

}  // namespace veche::node
