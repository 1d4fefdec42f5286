// Reads a stored log and changes nothing in it: for tools that look at the log beside, or instead
// of, the nodes that write it. Knows partitions and offsets; what a record says is the caller's
// affair. Safe to share between threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/model/ids.h"
#include "engine/model/result.h"

namespace veche::storage {

class LogReader {
 public:
  virtual ~LogReader() = default;

  virtual const model::LogId& id() const = 0;

  // Of ballots; there is one of control besides.
  virtual std::uint16_t partitions() const = 0;

  // The offset behind the last record. A fault: the partition cannot be read. An end before `held`,
  // up to which somebody had read it, is asked for again before it is told.
  virtual Result<model::Offset> end(model::PartitionId partition,
                                    model::Offset held = {}) const = 0;

  // Calls `take` for the records from `from` up to `to`, in order, and stops at its first fault,
  // which is then the answer. Other faults: a hole, broken bytes, or an end before `to`.
  using Take = std::function<Result<void>(model::Offset, std::string_view record)>;
  virtual Result<void> for_each(model::PartitionId partition, model::Offset from, model::Offset to,
                                const Take& take) const = 0;
};

}  // namespace veche::storage
