#include "storage/kafka/topic_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "storage/kafka/doubt.h"

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
  client_.look_up_topics(limits::kKafkaStartDeadline);
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

std::string TopicReader::why_silent() const {
  const auto complaint = client_.complaint();
  return complaint.empty() ? "no broker answers" : "no broker answers: " + complaint;
}

// A topic that was made a moment ago has no leader yet, or not everybody knows of it.
// (rd_kafka_query_watermark_offsets of 2.0.2 may wait for ever.)
Result<model::Offset> TopicReader::ask_offset(model::PartitionId partition,
                                              std::int64_t which) const {
  const auto [name, number] = place_of(source_.address, partition);
  const auto deadline = Clock::now() + limits::kKafkaStartDeadline;
  for (;; std::this_thread::sleep_for(20ms)) {
    const PartitionList asked(rd_kafka_topic_partition_list_new(1));
    auto* place = rd_kafka_topic_partition_list_add(asked.get(), name.c_str(), number);
    place->offset = which;
    auto error =
        rd_kafka_offsets_for_times(client_.get(), asked.get(), to_ms(limits::kKafkaProbeDeadline));
    if (!error) error = place->err;
    if (!error && place->offset >= 0)
      return model::Offset{static_cast<std::uint64_t>(place->offset)};
    if (Clock::now() > deadline)
      return Fault{
          fmt::format("the end of partition {} of the topic {} cannot be asked for: {}. {}", number,
                      name, rd_kafka_err2str(error), client_.complaint())};
  }
}

Result<model::Offset> TopicReader::end(model::PartitionId partition, model::Offset held) const {
  const auto low = ask_offset(partition, RD_KAFKA_OFFSET_BEGINNING);
  if (!low) return low.error();
  if (low->value > 0) {
    const auto [name, number] = place_of(source_.address, partition);
    return Fault{
        fmt::format("partition {} of the topic {} begins at offset {}: its first records "
                    "were deleted. A log must be whole: restore it from a copy, and set "
                    "retention.ms=-1 and retention.bytes=-1",
                    number, name, low->value)};
  }
  for (Doubt is_short;; std::this_thread::sleep_for(limits::kKafkaLookAgain)) {
    const auto high = ask_offset(partition, RD_KAFKA_OFFSET_END);
    if (!high || *high >= held) return high;
    is_short.raise(Clock::now());
    if (is_short.holds(Clock::now())) return high;
    look_up_leaders();
  }
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
  std::string error;
  while (missing > 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const auto message = left.count() > 0 ? reader->next(left) : nullptr;
    if (!message)
      return Fault{fmt::format("the first records of {} do not come: {}", source.address.str(),
                               error.empty() ? reader->why_silent() : error)};
    if (message->err) error = rd_kafka_message_errstr(message.get());
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
