// Reads the records of a topic from an offset on, without a group: Kafka learns nothing of it, and
// nothing is stored there. For one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/result.h"
#include "storage/kafka/client.h"
#include "storage/kafka/kafka_address.h"

namespace veche::storage {

// Fetching that keeps every promise of apply's: no record is passed over, none is asked for twice.
Client::Settings consumer_settings();

class TopicReader {
 public:
  static Result<TopicReader> make(const KafkaSource& source);
  TopicReader(TopicReader&&) = default;
  TopicReader& operator=(TopicReader&&) = delete;
  ~TopicReader();

  // Begins to fetch a partition; several may be read at once.
  Result<void> start(model::PartitionId partition, model::Offset from);
  // Ends fetching of all; messages that were fetched before are forgotten.
  void stop();

  // The next message of any partition, perhaps an error of librdkafka's; null: none came in time.
  MessageHandle next(std::chrono::milliseconds at_most);
  model::PartitionId partition_of(const rd_kafka_message_t& message) const;

  // The offset behind the last record that a consumer may see.
  // An end before `held`, up to which somebody had read, is asked for again before it is told.
  Result<model::Offset> end(model::PartitionId partition, model::Offset held = {}) const;

  // Asks a broker who leads what: after an answer that does not fit.
  void look_up_leaders() const { client_.look_up_topics(limits::kKafkaProbeDeadline); }
  // Why nothing comes, as far as librdkafka says.
  std::string why_silent() const;

 private:
  TopicReader(KafkaSource source, Client client);
  const TopicHandle& topic_of(model::PartitionId partition) const;
  Result<model::Offset> ask_offset(model::PartitionId partition, std::int64_t which) const;

  KafkaSource source_;
  Client client_;
  TopicHandle control_, ballots_;
  QueueHandle queue_;
  std::vector<model::PartitionId> reading_;
};

// The record at offset 0 of each; nullopt: the partition is empty. A fault: its beginning is gone.
Result<std::vector<std::optional<std::string>>> read_first_records(
    const KafkaSource& source, const std::vector<model::PartitionId>& partitions);

}  // namespace veche::storage
