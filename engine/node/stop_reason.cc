#include "engine/node/stop_reason.h"

#include <fmt/format.h>

#include "engine/model/assert.h"

namespace veche::node {

std::string describe(StopReason reason, model::PartitionId partition, model::Offset at,
                     model::Offset expected) {
  switch (reason) {
    case StopReason::gap:
      return fmt::format(
          "partition {}: offset {} came where {} was expected: the log has lost "
          "records; restore it before starting again",
          name_of(partition), at.value, expected.value);
    case StopReason::unknown_kind:
      return fmt::format(
          "partition {}: the record at offset {} is of a kind that this program does "
          "not know; start a newer version",
          name_of(partition), at.value);
    case StopReason::diverged:
      return fmt::format(
          "partition {}: the record at offset {} was written by somebody who had "
          "read other records than this node: the log was cut and grew again, or "
          "an index is wrong; the index must be rebuilt from the log",
          name_of(partition), at.value);
  }
  VECHE_ASSERT(false, "every reason is described");
}

std::string name_of(model::PartitionId partition) {
  return partition == model::kControl ? "control" : std::to_string(partition.value);
}

}  // namespace veche::node
