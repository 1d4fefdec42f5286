#include "storage/kafka/topic_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace veche::storage {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

}  // namespace

Client::Settings consumer_settings() {
  return {{"enable.auto.commit", "false"},
          {"auto.offset.reset", "error"},  // never a silent jump over lost records
          {"isolation.level", "read_uncommitted"},
          {"check.crcs", "true"},
          {"fetch.error.backoff.ms", "100"},
          // A full queue pauses fetching for up to a second: let it rarely be full.
          {"queued.min.messages", "400000"},
          {"queued.max.messages.kbytes", "131072"}};
}

Result<TopicReader> TopicReader::make(const KafkaSource& source) {
  auto settings = consumer_settings();
  settings.emplace_back("fetch.wait.max.ms", "20");  // a question waits behind a fetch
  auto client = Client::make(RD_KAFKA_CONSUMER, source, settings);
  if (!client) return client.error();
  return TopicReader(source, *std::move(client));
}

TopicReader::TopicReader(KafkaSource source, Client client)
    : source_(std::move(source)),
      client_(std::move(client)),
      control_(client_.topic(source_.address.control_topic())),
      ballots_(client_.topic(source_.address.ballots_topic())) {
  client_.look_up(control_);
  client_.look_up(ballots_);
}

TopicReader::~TopicReader() { stop(); }

const TopicHandle& TopicReader::topic_of(model::PartitionId partition) const {
  return partition == model::kControl ? control_ : ballots_;
}

Result<void> TopicReader::start(model::PartitionId partition, model::Offset from) {
  const auto [name, number] = place_of(source_.address, partition);
  if (!queue_) queue_.reset(rd_kafka_queue_new(client_.get()));
  if (rd_kafka_consume_start_queue(topic_of(partition).get(), number,
                                   static_cast<std::int64_t>(from.value), queue_.get()) != 0)
    return Fault{fmt::format("partition {} of the topic {} cannot be read: {}", number, name,
                             rd_kafka_err2str(rd_kafka_last_error()))};
  reading_.push_back(partition);
  return {};
}

void TopicReader::stop() {
  for (const auto partition : reading_)
    rd_kafka_consume_stop(topic_of(partition).get(), place_of(source_.address, partition).second);
  reading_.clear();
  queue_.reset();
}

MessageHandle TopicReader::next(std::chrono::milliseconds at_most) {
  return MessageHandle(rd_kafka_consume_queue(queue_.get(), to_ms(at_most)));
}

model::PartitionId TopicReader::partition_of(const rd_kafka_message_t& message) const {
  if (message.rkt == control_.get()) return model::kControl;
  return {static_cast<std::uint16_t>(message.partition)};
}

// Negative: no answer. (rd_kafka_query_watermark_offsets of 2.0.2 may wait for ever.)
std::int64_t TopicReader::ask_offset(const std::string& topic, std::int32_t number,
                                     std::int64_t which) const {
  const PartitionList asked(rd_kafka_topic_partition_list_new(1));
  auto* place = rd_kafka_topic_partition_list_add(asked.get(), topic.c_str(), number);
  place->offset = which;
  const auto error =
      rd_kafka_offsets_for_times(client_.get(), asked.get(), to_ms(limits::kKafkaProbeDeadline));
  return error || place->err ? -1 : place->offset;
}

Result<model::Offset> TopicReader::end(model::PartitionId partition) const {
  const auto [name, number] = place_of(source_.address, partition);
  const auto deadline = Clock::now() + limits::kKafkaStartDeadline;
  auto low = ask_offset(name, number, RD_KAFKA_OFFSET_BEGINNING);
  auto high = ask_offset(name, number, RD_KAFKA_OFFSET_END);
  // A topic that was made a moment ago has no leader yet, or not everybody knows of it.
  while ((low < 0 || high < 0) && Clock::now() < deadline) {
    std::this_thread::sleep_for(20ms);
    low = ask_offset(name, number, RD_KAFKA_OFFSET_BEGINNING);
    high = ask_offset(name, number, RD_KAFKA_OFFSET_END);
  }
  if (low < 0 || high < 0)
    return Fault{fmt::format("the end of partition {} of the topic {} cannot be asked for: {}",
                             number, name, client_.complaint())};
  if (low > 0)
    return Fault{
        fmt::format("partition {} of the topic {} begins at offset {}: its first records "
                    "were deleted. A log must be whole: restore it from a copy, and set "
                    "retention.ms=-1 and retention.bytes=-1",
                    number, name, low)};
  return model::Offset{static_cast<std::uint64_t>(high)};
}

Result<std::vector<std::optional<std::string>>> read_first_records(
    const KafkaSource& source, const std::vector<model::PartitionId>& partitions) {
  auto reader = TopicReader::make(source);
  if (!reader) return reader.error();
  std::vector<std::optional<std::string>> first(partitions.size());
  std::size_t missing = 0;
  for (const auto partition : partitions) {
    const auto end = reader->end(partition);
    if (!end) return end.error();
    if (end->value == 0) continue;
    if (auto started = reader->start(partition, {0}); !started) return started.error();
    ++missing;
  }
  const auto deadline = Clock::now() + limits::kKafkaStartDeadline;
  while (missing > 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const auto message = left.count() > 0 ? reader->next(left) : nullptr;
    if (!message)
      return Fault{fmt::format("the first records of {} do not come: no broker answers",
                               source.address.str())};
    const auto which =
        std::find(partitions.begin(), partitions.end(), reader->partition_of(*message)) -
        partitions.begin();
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR || message->offset != 0) continue;
    auto& record = first[static_cast<std::size_t>(which)];
    missing -= !record;
    record = std::string(static_cast<const char*>(message->payload), message->len);
  }
  return first;
}

}  // namespace veche::storage
