// Reads a stored embedded log and changes nothing in it: for tools that look at the log beside, or
// instead of, the node that writes it. Knows groups and offsets; what a record says is the caller's
// affair. Safe to share between threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "engine/model/ids.h"
#include "engine/model/result.h"

namespace rocksdb {
class DB;
}

namespace veche::storage {

class LogReader {
 public:
  // The log of a node that does not run.
  static Result<std::unique_ptr<LogReader>> open(const std::filesystem::path& folder);
  // The log of a node that may run, as it is at this moment: everything that was durable before,
  // perhaps a little that is not yet. `scratch` is a folder for files of this reader's own, which
  // its owner removes.
  static Result<std::unique_ptr<LogReader>> open_live(const std::filesystem::path& folder,
                                                      const std::filesystem::path& scratch);
  ~LogReader();

  // Of ballots; there is one of control besides.
  std::uint16_t partitions() const { return partitions_; }

  // The offset behind the last record. A fault: the partition cannot be read.
  Result<model::Offset> end(model::PartitionId partition) const;

  // Calls `take` for the records from `from` up to `to`, in order, and stops at its first fault,
  // which is then the answer. Other faults: a hole, a broken group, or an end before `to`.
  using Take = std::function<Result<void>(model::Offset, std::string_view record)>;
  Result<void> for_each(model::PartitionId partition, model::Offset from, model::Offset to,
                        const Take& take) const;

 private:
  LogReader(std::filesystem::path folder, std::unique_ptr<rocksdb::DB> db);
  Result<void> read_genesis();
  Fault fault(model::PartitionId partition, std::string_view what, model::Offset at) const;

  const std::filesystem::path folder_;
  const std::unique_ptr<rocksdb::DB> db_;
  std::uint16_t partitions_ = 0;
};

}  // namespace veche::storage
