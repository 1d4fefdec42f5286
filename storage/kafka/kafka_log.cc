#include "storage/kafka/kafka_log.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "engine/model/assert.h"
#include "engine/model/record.h"
#include "engine/model/thread_name.h"
#include "storage/clock.h"
#include "storage/kafka/client.h"
#include "storage/kafka/proof.h"
#include "storage/kafka/topic_reader.h"
#include "storage/kafka/topics.h"

namespace veche::storage {
namespace {

using model::AppendStatus;
using model::Offset;
using model::PartitionId;
using model::RecordBatch;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMessagesAtOnce = 1'000;
constexpr auto kWakeAnyway = 100ms;  // should an event ever be missed

Client::Settings producer_settings() {
  const auto deadline = std::to_string(to_ms(limits::kParkDeadline));
  return {{"acks", "all"},
          {"enable.idempotence", "false"},
          {"linger.ms", "2"},
          {"message.timeout.ms", deadline},  // nobody waits any longer
          {"request.timeout.ms", "5000"},
          {"compression.type", "none"},
          // append() keeps the bounds.
          {"queue.buffering.max.messages", std::to_string(4 * limits::kAppendQueueRecords)},
          {"queue.buffering.max.kbytes", std::to_string(limits::kAppendQueueBytes / 256)}};
}

// What produce is told when the same bytes could never be taken.
bool is_hopeless(int error) {
  constexpr std::array<int, 12> kHopeless{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                          RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                          RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
                                          RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                                          RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
                                          RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
                                          RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
                                          RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
                                          RD_KAFKA_RESP_ERR_INVALID_RECORD,
                                          RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
                                          RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                                          RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION};
  return std::find(kHopeless.begin(), kHopeless.end(), error) != kHopeless.end();
}

const char* text_of(int error) { return rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error)); }

}  // namespace

struct KafkaLog::Stream {
  Stream(PartitionId partition, TopicHandle produce, TopicHandle consume, std::int32_t kafkas)
      : id(partition), to(std::move(produce)), from(std::move(consume)), number(kafkas) {}

  std::string name() const {
    return fmt::format("partition {} of the topic {}", number, rd_kafka_topic_name(to.get()));
  }

  const PartitionId id;
  const TopicHandle to, from;
  const std::int32_t number;                // within the topic
  std::atomic<std::uint64_t> read_next{0};  // for the probe thread
  std::atomic<bool> is_read{false};         // that, too

  // Of the event thread.
  model::LogSink* sink = nullptr;  // from when on it is read
  Proof proof{Offset{0}};
  RecordBatch arriving;  // read, to be delivered
  Offset told_durable;
  bool had_unread = false;
};

struct KafkaLog::Kafka {
  Client producer;
  Client consumer;
  Client prober;  // of its own: a question does not wait behind a long fetch
  QueueHandle reports;
  QueueHandle records;
  int wake = -1;

  Kafka(Client produce, Client consume, Client probe)
      : producer(std::move(produce)),
        consumer(std::move(consume)),
        prober(std::move(probe)),
        reports(rd_kafka_queue_get_main(producer.get())),
        records(rd_kafka_queue_new(consumer.get())),
        wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    VECHE_ASSERT(wake >= 0, "a process has room for one more file");
    constexpr std::uint64_t kOne = 1;
    rd_kafka_queue_io_event_enable(reports.get(), wake, &kOne, sizeof kOne);
    rd_kafka_queue_io_event_enable(records.get(), wake, &kOne, sizeof kOne);
  }
  ~Kafka() {
    rd_kafka_queue_io_event_enable(reports.get(), -1, nullptr, 0);
    rd_kafka_queue_io_event_enable(records.get(), -1, nullptr, 0);
    rd_kafka_purge(producer.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    ::close(wake);
  }
};

// --- Opening -----------------------------------------------------------------------------------

Result<std::unique_ptr<KafkaLog>> KafkaLog::open(KafkaLogOptions options) {
  const auto genesis = read_topics_genesis(options.source);
  if (!genesis) return genesis.error();
  if (auto same = check_secret(*genesis, options.secret_check, options.source.address.str()); !same)
    return same.error();
  std::unique_ptr<KafkaLog> log(new KafkaLog(std::move(options), *genesis));
  if (auto connected = log->connect(); !connected) return connected.error();
  log->events_ = std::thread([log = log.get()] { log->run(); });
  log->probes_ = std::thread([log = log.get()] { log->probe(); });
  return log;
}

KafkaLog::KafkaLog(KafkaLogOptions options, Genesis genesis)
    : options_(std::move(options)), genesis_(genesis), last_contact_(Clock::now()) {}

Result<void> KafkaLog::connect() {
  const auto& source = options_.source;
  auto producer = Client::make(RD_KAFKA_PRODUCER, source, producer_settings(),
                               RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  if (!producer) return producer.error();
  auto consumer = Client::make(RD_KAFKA_CONSUMER, source, consumer_settings());
  if (!consumer) return consumer.error();
  auto prober = make_admin_client(source);
  if (!prober) return prober.error();
  kafka_ = std::make_unique<Kafka>(*std::move(producer), *std::move(consumer), *std::move(prober));
  for (std::uint32_t s = 0; s <= genesis_.partitions; ++s) {
    const auto id =
        s == genesis_.partitions ? model::kControl : PartitionId{static_cast<std::uint16_t>(s)};
    const auto [topic, number] = place_of(source.address, id);
    streams_.push_back(std::make_unique<Stream>(id, kafka_->producer.topic(topic),
                                                kafka_->consumer.topic(topic), number));
  }
  ends_.resize(streams_.size());
  for (const auto* stream : {streams_.front().get(), streams_.back().get()}) {
    kafka_->producer.look_up(stream->to);
    kafka_->consumer.look_up(stream->from);
  }
  const auto deadline = Clock::now() + limits::kKafkaStartDeadline;
  while (!ask_ends())
    if (Clock::now() > deadline)
      return Fault{fmt::format("the brokers at {} do not tell where {} ends: {}",
                               source.address.brokers, source.address.str(),
                               kafka_->prober.complaint())};
  note_contact(true);
  return {};
}

KafkaLog::~KafkaLog() { close(); }

KafkaLog::Stream& KafkaLog::stream(PartitionId partition) const {
  const auto slot = partition == model::kControl ? std::size_t{genesis_.partitions}
                                                 : std::size_t{partition.value};
  VECHE_ASSERT(slot < streams_.size(), "the log is asked for partitions that it has");
  return *streams_[slot];
}

// --- Appending ---------------------------------------------------------------------------------

AppendStatus KafkaLog::append(PartitionId partition, RecordBatch records) {
  if (closing_) return AppendStatus::closed;
  if (troubled_.load(std::memory_order_relaxed)) return AppendStatus::unavailable;
  if (in_flight_records_ + records.count() > limits::kAppendQueueRecords ||
      in_flight_bytes_ + records.bytes().size() > limits::kAppendQueueBytes)
    return AppendStatus::full;
  in_flight_records_ += records.count();
  auto& to = stream(partition);
  const auto hour = hour_now_ms();
  for (const auto record : records) {
    in_flight_bytes_ += record.size();
    // The fingerprint comes back with the acknowledgement.
    const auto error = rd_kafka_producev(
        kafka_->producer.get(), RD_KAFKA_V_RKT(to.to.get()), RD_KAFKA_V_PARTITION(to.number),
        RD_KAFKA_V_VALUE(const_cast<char*>(record.data()), record.size()),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(hour),
        RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(model::fingerprint(record))), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++produced_;
      continue;
    }
    // Some of the group may be taken, so it counts as queued: its outcome is unknown.
    in_flight_bytes_ -= record.size();
    --in_flight_records_;
    ++produce_errors_;
    on_produce_error(error);
  }
  return AppendStatus::queued;
}

// --- Acknowledgements --------------------------------------------------------------------------

void KafkaLog::run() {
  model::name_thread("log");
  while (!stopping_) {
    pollfd events{kafka_->wake, POLLIN, 0};
    ::poll(&events, 1, to_ms(kWakeAnyway));
    std::uint64_t count = 0;
    (void)!::read(kafka_->wake, &count, sizeof count);
    // Events are told of when a queue was empty before, so both are emptied.
    for (bool more = true; more && !stopping_;) {
      begin_to_read();
      more = take_acknowledgements();
      more = take_records() || more;
      hand_over();
    }
  }
}

// On the event thread. The event owns its messages and is destroyed with it: nothing of them is
// kept. Topic and partition of a message are those that append() named; its _private is no pointer
// but the record's fingerprint. Each record that was produced is reported exactly once, also when
// it failed.
bool KafkaLog::take_acknowledgements() {
  const EventHandle event(rd_kafka_queue_poll(kafka_->reports.get(), 0));
  if (!event) return false;
  if (rd_kafka_event_type(event.get()) != RD_KAFKA_EVENT_DR) return true;  // probes see the rest
  const rd_kafka_message_t* last = nullptr;
  while (const auto* message = rd_kafka_event_message_next(event.get())) {
    ++reported_records_;
    reported_bytes_ += message->len;
    on_report(message);
    last = message;
  }
  if (last && last->err == RD_KAFKA_RESP_ERR_NO_ERROR && options_.on_acknowledged)
    options_.on_acknowledged(std::chrono::microseconds(rd_kafka_message_latency(last)));
  return true;
}

void KafkaLog::on_report(const void* report) {
  const auto& message = *static_cast<const rd_kafka_message_t*>(report);
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++produce_errors_;
    return on_produce_error(message.err);
  }
  ++acknowledged_;
  const bool is_control = message.rkt == streams_.back()->to.get();
  auto& to =
      is_control ? *streams_.back() : stream({static_cast<std::uint16_t>(message.partition)});
  if (!to.sink || message.offset < 0) return;
  const Proof::Acknowledged acknowledged{
      {static_cast<std::uint64_t>(message.offset)},
      reinterpret_cast<std::uint64_t>(message._private),
      Clock::now() - std::chrono::microseconds(rd_kafka_message_latency(&message))};
  if (!to.proof.acknowledged(acknowledged))
    fail(KafkaFailure::log_changed,
         fmt::format("{}: another record is at offset {} than the one that was acknowledged there",
                     to.name(), message.offset));
}

// librdkafka has tried again and again until here. Nobody was told anything about these records.
void KafkaLog::on_produce_error(int error) {
  if (!is_hopeless(error)) return;
  const std::lock_guard lock(mutex_);
  refusal_ = fmt::format("Kafka refuses what this node writes: {}", text_of(error));
  refused_at_ = Clock::now();
  troubled_ = true;
}

// --- Records -----------------------------------------------------------------------------------

void KafkaLog::consume(PartitionId partition, Offset from, model::LogSink& sink) {
  {
    const std::lock_guard lock(mutex_);
    new_consumers_.push_back({partition, from, &sink});
  }
  constexpr std::uint64_t kOne = 1;
  (void)!::write(kafka_->wake, &kOne, sizeof kOne);
}

void KafkaLog::begin_to_read() {
  std::vector<Consumer> joining;
  {
    const std::lock_guard lock(mutex_);
    joining.swap(new_consumers_);
  }
  for (const auto& [partition, first, sink] : joining) {
    auto& reading = stream(partition);
    reading.proof = Proof(first);
    reading.read_next = first.value;
    reading.sink = sink;
    reading.is_read = true;
    if (rd_kafka_consume_start_queue(reading.from.get(), reading.number,
                                     static_cast<std::int64_t>(first.value),
                                     kafka_->records.get()) != 0)
      fail(KafkaFailure::unreadable,
           fmt::format("{} cannot be read: {}", reading.name(), text_of(rd_kafka_last_error())));
  }
}

// On the event thread, which owns each message until it destroys it here; the record's bytes are
// copied into the stream's batch first. A message with an error is no record.
bool KafkaLog::take_records() {
  std::array<rd_kafka_message_t*, kMessagesAtOnce> messages{};
  const auto count =
      rd_kafka_consume_batch_queue(kafka_->records.get(), 0, messages.data(), messages.size());
  for (ssize_t i = 0; i < count; ++i) {
    if (!abandoned_) on_message(messages[static_cast<std::size_t>(i)]);
    rd_kafka_message_destroy(messages[static_cast<std::size_t>(i)]);
  }
  return count > 0;
}

void KafkaLog::on_message(const void* read) {
  const auto& message = *static_cast<const rd_kafka_message_t*>(read);
  const bool is_control = message.rkt == streams_.back()->from.get();
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return on_read_error(message.err,
                         !message.rkt || message.partition < 0 ? nullptr
                         : is_control                          ? streams_.back().get()
                                      : &stream({static_cast<std::uint16_t>(message.partition)}));
  auto& from =
      is_control ? *streams_.back() : stream({static_cast<std::uint16_t>(message.partition)});
  const Offset offset{static_cast<std::uint64_t>(message.offset)};
  if (offset < from.proof.next()) return;
  if (offset > from.proof.next())
    return fail(KafkaFailure::unreadable,
                fmt::format("{}: offset {} came where {} was expected. Records were removed, or "
                            "somebody else writes to the topic with transactions: Veche must be "
                            "the only writer. Restore the topic from a copy",
                            from.name(), offset.value, from.proof.next().value));
  const std::string_view record(static_cast<const char*>(message.payload), message.len);
  if (!from.proof.read(model::fingerprint(record)))
    return fail(
        KafkaFailure::log_changed,
        fmt::format("{}: the record at offset {} is not the one that was acknowledged there",
                    from.name(), offset.value));
  from.arriving.push(record);
}

void KafkaLog::on_read_error(int error, const Stream* from) {
  ++consume_errors_;
  if (error == RD_KAFKA_RESP_ERR__BAD_MSG)  // it goes on behind the damaged records
    return fail(KafkaFailure::unreadable,
                fmt::format("{}: records at offset {} came damaged. Start again; if they come so "
                            "again, the broker's disk has lost them: restore the topic from a copy",
                            from ? from->name() : "a topic", from ? from->proof.next().value : 0));
  if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
      error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
    return fail(KafkaFailure::log_changed,
                fmt::format("{} has no record at offset {} any more: the topic was cut, or made "
                            "anew, or its retention has deleted records",
                            from ? from->name() : "a topic", from ? from->proof.next().value : 0));
  if (!is_hopeless(error)) return;
  const std::lock_guard lock(mutex_);
  refusal_ = fmt::format("Kafka does not let this node read {}: {}",
                         from ? from->name() : options_.source.address.str(), text_of(error));
  refused_at_ = Clock::now();
  troubled_ = true;
}

// What was read, and how far it is proven by now.
void KafkaLog::hand_over() {
  for (const auto& each : streams_) {
    auto& from = *each;
    if (const bool unread = from.proof.has_unread(); unread != from.had_unread) {
      from.had_unread = unread;
      unread ? ++unread_ : --unread_;
    }
    const auto durable = from.proof.durable();
    const bool proven = durable > from.told_durable;
    if ((from.arriving.empty() && !proven) || abandoned_ || failed_) continue;
    if (proven && options_.on_round_trip)
      options_.on_round_trip(Clock::now() - from.proof.newest().produced);
    from.told_durable = durable;
    from.read_next = from.proof.next().value;
    auto records = std::exchange(from.arriving, {});
    const Offset first{from.proof.next().value - records.count()};
    from.sink->deliver(from.id, first, std::move(records), durable);
  }
  // Last, so that nothing is ever neither in flight nor unread before it was delivered.
  in_flight_records_ -= std::exchange(reported_records_, 0);
  in_flight_bytes_ -= std::exchange(reported_bytes_, 0);
}

void KafkaLog::fail(KafkaFailure failure, const std::string& why) {
  if (!failed_.exchange(true)) options_.on_failure(failure, why);
}

// --- Probes ------------------------------------------------------------------------------------

void KafkaLog::probe() {
  model::name_thread("log-probe");
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (stop_probing_.wait_for(lock, limits::kKafkaProbeInterval, [&] { return !!stopping_; }))
        return;
    }
    const bool answered = ask_ends();
    note_contact(answered);
    note_progress(answered);
    if (short_probes_ >= limits::kKafkaShortProbes)
      fail(KafkaFailure::log_changed,
           "the topics end before what this node has read: they were cut, or made anew");
    const auto news = trouble();
    if (options_.on_news && news.empty() != told_.empty())
      options_.on_news(news.empty() ? "Kafka can be reached again" : news);
    told_ = news;
  }
}

// True: the leader of every partition has answered.
bool KafkaLog::ask_ends() {
  const PartitionList asked(rd_kafka_topic_partition_list_new(static_cast<int>(streams_.size())));
  std::vector<std::uint64_t> read_before;
  for (const auto& each : streams_) {
    rd_kafka_topic_partition_list_add(asked.get(), rd_kafka_topic_name(each->to.get()),
                                      each->number)
        ->offset = RD_KAFKA_OFFSET_END;
    read_before.push_back(each->read_next);
  }
  const auto as_of = wall_clock();
  if (rd_kafka_offsets_for_times(kafka_->prober.get(), asked.get(),
                                 to_ms(limits::kKafkaProbeDeadline)) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return false;
  bool all = true, is_short = false;
  const std::lock_guard lock(mutex_);
  for (std::size_t s = 0; s < streams_.size(); ++s) {
    const auto& answer = asked->elems[s];  // librdkafka keeps the order
    if (answer.err != RD_KAFKA_RESP_ERR_NO_ERROR || answer.offset < 0) {
      all = false;
      continue;
    }
    const Offset end{static_cast<std::uint64_t>(answer.offset)};
    is_short |= end.value < read_before[s];
    ends_[s] = {end, as_of};
  }
  // A new leader may need a moment until it knows its own end.
  short_probes_ = is_short ? short_probes_ + 1 : 0;
  return all;
}

void KafkaLog::note_contact(bool answered) {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (answered) last_contact_ = now;
  if (now - refused_at_ > limits::kParkDeadline) refusal_.clear();  // it may be mended: try
  troubled_ = now - last_contact_ > limits::kKafkaUnreachable || !refusal_.empty();
}

// Brokers that answer questions and take or give no records are of no use: fewer replicas in sync
// than a topic asks for, or a right that was taken away.
void KafkaLog::note_progress(bool answered) {
  std::uint64_t moved = acknowledged_;
  bool is_waiting = in_flight_records_ > 0;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t s = 0; s < streams_.size(); ++s) {
      moved += streams_[s]->read_next;
      is_waiting |= streams_[s]->read_next < ends_[s].offset.value && streams_[s]->is_read;
    }
  }
  stuck_probes_ = answered && is_waiting && moved == moved_ ? stuck_probes_ + 1 : 0;
  moved_ = moved;
  if (stuck_probes_ * limits::kKafkaProbeInterval < limits::kKafkaUnreachable) return;
  const std::lock_guard lock(mutex_);
  refusal_ = fmt::format("Kafka at {} answers, but takes or gives no records",
                         options_.source.address.brokers);
  refused_at_ = Clock::now();
  troubled_ = true;
}

model::LogEnd KafkaLog::end(PartitionId partition) const {
  const auto slot = partition == model::kControl ? std::size_t{genesis_.partitions}
                                                 : std::size_t{partition.value};
  const std::lock_guard lock(mutex_);
  return ends_.at(slot);
}

std::string KafkaLog::trouble() const {
  if (!troubled_.load(std::memory_order_relaxed)) return {};
  std::unique_lock lock(mutex_);
  if (!refusal_.empty()) return refusal_;
  if (!troubled_) return {};
  const auto silent = std::chrono::floor<std::chrono::seconds>(Clock::now() - last_contact_);
  lock.unlock();
  const auto complaint = kafka_->prober.complaint();
  return fmt::format("Kafka at {} cannot be reached since {} s{}", options_.source.address.brokers,
                     silent.count(), complaint.empty() ? "" : ": " + complaint);
}

KafkaLog::Stats KafkaLog::stats() const {
  Stats stats{produced_,       acknowledged_,      produce_errors_,
              consume_errors_, in_flight_records_, false};
  const std::lock_guard lock(mutex_);
  stats.reachable = Clock::now() - last_contact_ <= limits::kKafkaUnreachable;
  return stats;
}

// --- The end -----------------------------------------------------------------------------------

void KafkaLog::await_acknowledgements(std::chrono::milliseconds at_most) const {
  const auto deadline = Clock::now() + at_most;
  while (in_flight_records_ > 0 && Clock::now() < deadline) std::this_thread::sleep_for(1ms);
}

bool KafkaLog::is_settled() const { return in_flight_records_ == 0 && unread_ == 0; }

// 1. Nothing more is taken.  2. What is on its way is acknowledged, read and delivered, or given
// up.  3. The threads end, then the fetching, then librdkafka.
void KafkaLog::close() {
  if (closing_.exchange(true)) return;
  const auto deadline = Clock::now() + limits::kKafkaCloseDeadline;
  while (events_.joinable() && !is_settled() && !abandoned_ && Clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_probing_.notify_all();
  }
  if (events_.joinable()) events_.join();
  if (probes_.joinable()) probes_.join();
  for (const auto& each : streams_)
    if (each->sink) rd_kafka_consume_stop(each->from.get(), each->number);
}

}  // namespace veche::storage
