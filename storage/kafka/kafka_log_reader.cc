#include "storage/kafka/kafka_log_reader.h"

#include <fmt/format.h>

#include "engine/model/limits.h"
#include "storage/kafka/topic_reader.h"
#include "storage/kafka/topics.h"

namespace veche::storage {

using model::Offset;
using model::PartitionId;

Result<std::unique_ptr<KafkaLogReader>> KafkaLogReader::open(KafkaSource source) {
  const auto genesis = read_topics_genesis(source);
  if (!genesis) return genesis.error();
  auto reader = TopicReader::make(source);
  if (!reader) return reader.error();
  return std::unique_ptr<KafkaLogReader>(new KafkaLogReader(
      std::move(source), *genesis, std::make_unique<TopicReader>(*std::move(reader))));
}

KafkaLogReader::KafkaLogReader(KafkaSource source, Genesis genesis,
                               std::unique_ptr<TopicReader> reader)
    : source_(std::move(source)), genesis_(genesis), reader_(std::move(reader)) {}

KafkaLogReader::~KafkaLogReader() = default;

Result<Offset> KafkaLogReader::end(PartitionId partition) const {
  const std::lock_guard lock(mutex_);
  return reader_->end(partition);
}

Result<void> KafkaLogReader::for_each(PartitionId partition, Offset from, Offset to,
                                      const Take& take) const {
  if (from >= to) return {};
  const std::lock_guard lock(mutex_);
  if (reading_ != partition || next_ != from) {
    reader_->stop();
    if (auto started = reader_->start(partition, from); !started) return started.error();
    reading_ = partition;
    next_ = from;
  }
  while (*next_ < to) {
    const auto message = reader_->next(limits::kKafkaStartDeadline);
    if (!message) return fault(partition, "does not come: no broker answers", *next_);
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
      return fault(partition, "has no record", *next_);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;  // it is tried again
    const Offset offset{static_cast<std::uint64_t>(message->offset)};
    if (offset > *next_) return fault(partition, "has a hole", *next_);
    if (offset < *next_) continue;
    next_ = offset.plus(1);
    const std::string_view record(static_cast<const char*>(message->payload), message->len);
    if (auto taken = take(offset, record); !taken) return taken;
  }
  return {};
}

Fault KafkaLogReader::fault(PartitionId partition, std::string_view what, Offset at) const {
  const auto [topic, number] = place_of(source_.address, partition);
  return Fault{
      fmt::format("partition {} of the topic {} {} at offset {}", number, topic, what, at.value)};
}

}  // namespace veche::storage
