#include "storage/kafka/kafka_log_reader.h"

#include <fmt/format.h>

#include <thread>

#include "engine/model/limits.h"
#include "storage/kafka/doubt.h"
#include "storage/kafka/topic_reader.h"
#include "storage/kafka/topics.h"

namespace veche::storage {

using model::Offset;
using model::PartitionId;

namespace {

// An error after which librdkafka goes on by itself, with the same record.
bool is_passing(const rd_kafka_message_t& message) {
  return message.err && message.err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET &&
         message.err != RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE &&
         message.err != RD_KAFKA_RESP_ERR__BAD_MSG;
}

}  // namespace

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

Result<Offset> KafkaLogReader::end(PartitionId partition, Offset held) const {
  const std::lock_guard lock(mutex_);
  return reader_->end(partition, held);
}

Result<void> KafkaLogReader::read_from(PartitionId partition, Offset first) const {
  reader_->stop();
  next_.reset();
  if (auto started = reader_->start(partition, first); !started) return started;
  reading_ = partition;
  next_ = first;
  return {};
}

// What does not fit may be the fault of one broker's answer: it is asked for again.
Result<void> KafkaLogReader::for_each(PartitionId partition, Offset from, Offset to,
                                      const Take& take) const {
  if (from >= to) return {};
  const std::lock_guard lock(mutex_);
  if (reading_ != partition || next_ != from)
    if (auto started = read_from(partition, from); !started) return started;
  Doubt missing;
  auto came_at = Doubt::Clock::now();
  while (*next_ < to) {
    const auto message = reader_->next(limits::kKafkaLookAgain);
    const auto now = Doubt::Clock::now();
    if (!message || is_passing(*message)) {
      if (message) error_ = rd_kafka_message_errstr(message.get());
      if (now - came_at > limits::kKafkaStartDeadline) return fault(partition, "does not come");
      continue;
    }
    const Offset offset{static_cast<std::uint64_t>(message->offset)};
    if (message->err || offset > *next_) {
      error_ = message->err ? rd_kafka_message_errstr(message.get()) : "the next one comes";
      missing.raise(now);
      if (missing.holds(now)) return fault(partition, "is missing");
      std::this_thread::sleep_for(limits::kKafkaLookAgain);
      reader_->look_up_leaders();
      if (auto started = read_from(partition, *next_); !started) return started;
      continue;
    }
    if (offset < *next_) continue;
    next_ = offset.plus(1);
    missing.settle();
    came_at = now;
    error_.clear();
    const std::string_view record(static_cast<const char*>(message->payload), message->len);
    if (auto taken = take(offset, record); !taken) return taken;
    came_at = Doubt::Clock::now();
  }
  return {};
}

Fault KafkaLogReader::fault(PartitionId partition, std::string_view what) const {
  const auto [topic, number] = place_of(source_.address, partition);
  return Fault{fmt::format("the record at offset {} of partition {} of the topic {} {}: {}",
                           next_->value, number, topic, what,
                           error_.empty() ? reader_->why_silent() : error_)};
}

}  // namespace veche::storage
