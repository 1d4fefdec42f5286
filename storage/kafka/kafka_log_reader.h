// Reads a log in Kafka as far as a consumer may see it, beside the nodes that write it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "storage/genesis.h"
#include "storage/kafka/kafka_address.h"
#include "storage/log_reader.h"

namespace veche::storage {

class TopicReader;

class KafkaLogReader final : public LogReader {
 public:
  static Result<std::unique_ptr<KafkaLogReader>> open(KafkaSource source);
  ~KafkaLogReader() override;

  const model::LogId& id() const override { return genesis_.log_id; }
  std::uint16_t partitions() const override { return genesis_.partitions; }
  Result<model::Offset> end(model::PartitionId partition, model::Offset held = {}) const override;
  Result<void> for_each(model::PartitionId partition, model::Offset from, model::Offset to,
                        const Take& take) const override;

 private:
  Result<void> read_from(model::PartitionId partition, model::Offset first) const;
  KafkaLogReader(KafkaSource source, Genesis genesis, std::unique_ptr<TopicReader> reader);
  Fault fault(model::PartitionId partition, std::string_view what) const;

  const KafkaSource source_;
  const Genesis genesis_;

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::unique_ptr<TopicReader> reader_;
  mutable model::PartitionId reading_ = model::kControl;
  mutable std::optional<model::Offset> next_;  // that the reader will bring of that partition
  mutable std::string error_;                  // that came instead, last
};

}  // namespace veche::storage
