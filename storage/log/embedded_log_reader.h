// Reads a stored embedded log.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "storage/log_reader.h"

namespace rocksdb {
class DB;
class Env;
}

namespace veche::storage {

class EmbeddedLogReader final : public LogReader {
 public:
  // The log of a node that does not run. `env` is the file system; null: the machine's.
  static Result<std::unique_ptr<EmbeddedLogReader>> open(const std::filesystem::path& folder,
                                                         rocksdb::Env* env = nullptr);
  // The log of a node that may run, as it is at this moment: everything that was durable before,
  // perhaps a little that is not yet. `scratch` is a folder for files of this reader's own, which
  // its owner removes.
  static Result<std::unique_ptr<EmbeddedLogReader>> open_live(const std::filesystem::path& folder,
                                                              const std::filesystem::path& scratch);
  ~EmbeddedLogReader() override;

  const model::LogId& id() const override { return id_; }
  std::uint16_t partitions() const override { return partitions_; }
  Result<model::Offset> end(model::PartitionId partition, model::Offset held = {}) const override;
  Result<void> for_each(model::PartitionId partition, model::Offset from, model::Offset to,
                        const Take& take) const override;

 private:
  EmbeddedLogReader(std::filesystem::path folder, std::unique_ptr<rocksdb::DB> db);
  Result<void> read_first();
  Fault fault(model::PartitionId partition, std::string_view what, model::Offset at) const;

  const std::filesystem::path folder_;
  const std::unique_ptr<rocksdb::DB> db_;
  model::LogId id_;
  std::uint16_t partitions_ = 0;
};

}  // namespace veche::storage
