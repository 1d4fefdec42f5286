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
#include "storage/kafka/doubt.h"
#include "storage/kafka/end_prober.h"
#include "storage/kafka/proof.h"
#include "storage/kafka/standing.h"
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
constexpr auto kAskAgain = 100ms;    // a start: for ends that were not told

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
enum class Hopeless { no, partition, topic };  // for whom

Hopeless hopeless(int error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return Hopeless::partition;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return Hopeless::topic;
    default:
      return Hopeless::no;
  }
}

const char* text_of(int error) { return rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error)); }

}  // namespace

struct KafkaLog::Stream {
  Stream(PartitionId partition, TopicHandle produce, TopicHandle consume, std::int32_t kafkas)
      : id(partition),
        to(std::move(produce)),
        from(std::move(consume)),
        number(kafkas),
        standing(Clock::now()) {}

  std::string name() const {
    return fmt::format("partition {} of the topic {}", number, rd_kafka_topic_name(to.get()));
  }
  bool is_beside(const Stream& other) const {  // in the same topic
    return (id == model::kControl) == (other.id == model::kControl);
  }
  // The log was seen to hold what was read from it.
  void confirm() {
    confirmed.fetch_add(1, std::memory_order_relaxed);
    if (is_out_of_range) is_out_of_range = false;
  }

  const PartitionId id;
  const TopicHandle to, from;
  const std::int32_t number;  // within the topic

  // Between the threads.
  std::atomic<std::uint64_t> in_flight{0};  // records produced and not acknowledged
  std::atomic<std::uint64_t> read_next{0};  // everything before it was delivered
  std::atomic<std::uint64_t> confirmed{0};  // times that the log was seen to hold what was read
  std::atomic<bool> is_read{false};
  std::atomic<bool> is_refused{false};       // standing says that appends are
  std::atomic<bool> is_out_of_range{false};  // a broker said so of the next record
  std::atomic<bool> must_look_again{false};  // at the last record that was read

  // Guarded by mutex_.
  Standing standing;

  // Of the event thread.
  model::LogSink* sink = nullptr;  // from when on it is read
  Proof proof{Offset{0}};
  RecordBatch arriving;  // read, to be delivered
  Offset told_durable;
  bool had_unread = false;
  bool took = false, gave = false;  // since standing was told
  Doubt broken;                     // that the next record can ever be read
  Clock::time_point looked_again_at;

  // Of the probe thread.
  Doubt lost;  // that the log still holds what was read
  std::uint64_t confirmed_before = 0;
};

struct KafkaLog::Kafka {
  Client producer;
  Client consumer;
  EndProber prober;
  QueueHandle reports;
  QueueHandle records;
  int wake = -1;

  Kafka(Client produce, Client consume, EndProber probe)
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
    : options_(std::move(options)), genesis_(genesis) {}

Result<void> KafkaLog::connect() {
  const auto& source = options_.source;
  auto producer = Client::make(RD_KAFKA_PRODUCER, source, producer_settings(),
                               RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  if (!producer) return producer.error();
  auto consumer = Client::make(RD_KAFKA_CONSUMER, source, consumer_settings());
  if (!consumer) return consumer.error();
  std::vector<PartitionId> ids;
  for (std::uint16_t p = 0; p < genesis_.partitions; ++p) ids.push_back({p});
  ids.push_back(model::kControl);
  auto prober = EndProber::make(source, ids);
  if (!prober) return prober.error();
  kafka_ = std::make_unique<Kafka>(*std::move(producer), *std::move(consumer), *std::move(prober));
  for (const auto id : ids) {
    const auto [topic, number] = place_of(source.address, id);
    streams_.push_back(std::make_unique<Stream>(id, kafka_->producer.topic(topic),
                                                kafka_->consumer.topic(topic), number));
  }
  ends_.resize(streams_.size());
  kafka_->producer.look_up_topics(limits::kKafkaStartDeadline);
  kafka_->consumer.look_up_topics(limits::kKafkaStartDeadline);
  const auto deadline = Clock::now() + limits::kKafkaStartDeadline;
  for (auto unanswered = look_at_ends(); !unanswered.empty(); unanswered = look_at_ends()) {
    if (Clock::now() > deadline)
      return Fault{fmt::format("the brokers at {} do not tell where {} ends: {}. {}",
                               source.address.brokers, source.address.str(), unanswered,
                               kafka_->prober.complaint())};
    std::this_thread::sleep_for(kAskAgain);
  }
  return {};
}

KafkaLog::~KafkaLog() { close(); }

std::size_t KafkaLog::slot(PartitionId partition) const {
  const auto slot = partition == model::kControl ? std::size_t{genesis_.partitions}
                                                 : std::size_t{partition.value};
  VECHE_ASSERT(slot < streams_.size(), "the log is asked for partitions that it has");
  return slot;
}

KafkaLog::Stream& KafkaLog::stream(PartitionId partition) const {
  return *streams_[slot(partition)];
}

// --- Appending ---------------------------------------------------------------------------------

AppendStatus KafkaLog::append(PartitionId partition, RecordBatch records) {
  if (closing_) return AppendStatus::closed;
  auto& to = stream(partition);
  if (to.is_refused.load(std::memory_order_relaxed) && !may_try(to))
    return AppendStatus::unavailable;
  if (in_flight_records_ + records.count() > limits::kAppendQueueRecords ||
      in_flight_bytes_ + records.bytes().size() > limits::kAppendQueueBytes)
    return AppendStatus::full;
  in_flight_records_ += records.count();
  to.in_flight += records.count();
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
    --to.in_flight;
    ++produce_errors_;
    on_produce_error(to, error);
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
      look_again();
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
  const bool is_control = message.rkt == streams_.back()->to.get();
  auto& to =
      is_control ? *streams_.back() : stream({static_cast<std::uint16_t>(message.partition)});
  --to.in_flight;
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++produce_errors_;
    return on_produce_error(to, message.err);
  }
  ++acknowledged_;
  to.took = true;
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
void KafkaLog::on_produce_error(Stream& to, int error) {
  const std::lock_guard lock(mutex_);
  if (!refuse(to, error, text_of(error), &Standing::refused_to_take)) to.standing.gave_up();
}

// Whether no retry can mend the error. Then everything that it is about is refused from now on.
bool KafkaLog::refuse(Stream& met, int error, const std::string& why, Refusal refusal) {
  const auto whose = hopeless(error);
  if (whose == Hopeless::no) return false;
  for (const auto& each : streams_)
    if (each.get() == &met || (whose == Hopeless::topic && met.is_beside(*each))) {
      (each->standing.*refusal)(why, Clock::now());
      each->is_refused = true;
    }
  return true;
}

// A partition that is refused takes one group now and then, to see whether it goes again.
bool KafkaLog::may_try(Stream& to) {
  const std::lock_guard lock(mutex_);
  return to.in_flight == 0 && to.standing.may_try(Clock::now());
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
    read_from(reading, first);
  }
}

void KafkaLog::read_from(Stream& from, Offset first) {
  if (rd_kafka_consume_start_queue(from.from.get(), from.number,
                                   static_cast<std::int64_t>(first.value),
                                   kafka_->records.get()) != 0)
    fail(KafkaFailure::unreadable,
         fmt::format("{} cannot be read: {}", from.name(), text_of(rd_kafka_last_error())));
}

// Reading stops where an answer does not fit, which may be the fault of one broker. So it begins
// again, with the last record that was read: if that comes, and is the same, it just goes on.
void KafkaLog::look_again() {
  const auto now = Clock::now();
  for (const auto& each : streams_) {
    auto& from = *each;
    if (!from.must_look_again || !from.sink || abandoned_ || failed_ ||
        now - from.looked_again_at < limits::kKafkaLookAgain)
      continue;
    from.looked_again_at = now;
    from.must_look_again = false;
    rd_kafka_consume_stop(from.from.get(), from.number);  // forgets what was fetched, too
    read_from(from, from.proof.last());
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
  auto* named = !message.rkt || message.partition < 0 ? nullptr
                : is_control                          ? streams_.back().get()
                             : &stream({static_cast<std::uint16_t>(message.partition)});
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return on_read_error(message.err, rd_kafka_message_errstr(&message), named);
  auto& from = *named;
  const Offset offset{static_cast<std::uint64_t>(message.offset)};
  const std::string_view record(static_cast<const char*>(message.payload), message.len);
  const auto fingerprint = model::fingerprint(record);
  if (offset < from.proof.next()) return on_old_message(from, offset, fingerprint);
  if (offset > from.proof.next())
    return doubt(from, fmt::format("offset {} came where {} was expected. Records were removed, or "
                                   "somebody else writes to the topic with transactions: Veche "
                                   "must be the only writer. Restore the topic from a copy",
                                   offset.value, from.proof.next().value));
  if (!from.proof.read(fingerprint))
    return fail(
        KafkaFailure::log_changed,
        fmt::format("{}: the record at offset {} is not the one that was acknowledged there",
                    from.name(), offset.value));
  from.confirm();
  from.broken.settle();
  from.gave = true;
  from.arriving.push(record);
}

void KafkaLog::on_old_message(Stream& from, Offset offset, std::uint64_t fingerprint) {
  if (!from.proof.holds(offset, fingerprint))
    return fail(KafkaFailure::log_changed,
                fmt::format("{}: another record is at offset {} than the one that this node has "
                            "read there: the topic was cut, or made anew, and grew again",
                            from.name(), offset.value));
  if (offset == from.proof.last()) from.confirm();
}

void KafkaLog::on_read_error(int error, const std::string& text, Stream* from) {
  ++consume_errors_;
  if (!from) return;                        // of a broker: the probes see what it means
  if (error == RD_KAFKA_RESP_ERR__BAD_MSG)  // librdkafka would go on behind the damaged records
    return doubt(*from, fmt::format("records at offset {} come damaged: the broker's disk has lost "
                                    "them. Restore the topic from a copy",
                                    from->proof.next().value));
  if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
      error == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
    from->is_out_of_range = true;  // whether that is so, the ends tell
    from->must_look_again = true;
  }
  const std::lock_guard lock(mutex_);
  from->standing.failed_to_give(text);
  refuse(*from, error, text, &Standing::refused_to_give);
}

// The next record cannot be read, says one answer of one broker. What else was fetched with it is
// passed over, until the record itself comes.
void KafkaLog::doubt(Stream& from, const std::string& what) {
  if (from.must_look_again) return;
  const auto now = Clock::now();
  from.must_look_again = true;
  from.broken.raise(now);
  if (from.broken.holds(now))
    fail(KafkaFailure::unreadable, fmt::format("{}: again and again for {} s, {}", from.name(),
                                               limits::kKafkaDoubt.count(), what));
}

// What was read, and how far it is proven by now.
void KafkaLog::hand_over() {
  for (const auto& each : streams_) {
    auto& from = *each;
    note_movement(from);
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
    delivering_ = true;
    from.sink->deliver(from.id, first, std::move(records), durable);
    delivering_ = false;
  }
  // Last, so that nothing is ever neither in flight nor unread before it was delivered.
  in_flight_records_ -= std::exchange(reported_records_, 0);
  in_flight_bytes_ -= std::exchange(reported_bytes_, 0);
}

void KafkaLog::note_movement(Stream& moved) {
  const bool took = std::exchange(moved.took, false), gave = std::exchange(moved.gave, false);
  if (!took && !gave) return;
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (took) moved.standing.took(now);
  if (gave) moved.standing.gave(now);
  moved.is_refused = moved.standing.is_stuck();
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
    look_at_ends();
    tell_news();
  }
}

// What is not answered, and why; empty: the leader of every partition has answered.
std::string KafkaLog::look_at_ends() {
  std::vector<Offset> read_before;
  for (const auto& each : streams_) read_before.push_back({each->read_next});
  Look look;
  kafka_->prober.ask([&](std::size_t which, const ToldEnd& told) {
    look_at_end(which, told, read_before[which], look);
  });
  if (look.is_doubtful) kafka_->prober.doubt_leaders();
  if (look.is_reached && (look.is_doubtful || !look.unanswered.empty())) {
    kafka_->producer.look_up_topics(limits::kKafkaProbeDeadline);
    kafka_->consumer.look_up_topics(limits::kKafkaProbeDeadline);
  }
  return look.unanswered;
}

void KafkaLog::look_at_end(std::size_t which, const ToldEnd& told, Offset read, Look& look) {
  auto& stream = *streams_[which];
  const bool is_lost = told.end && tells_of_loss(which, *told.end, read);
  const std::lock_guard lock(mutex_);
  if (told.end && !is_lost) ends_[which] = {*told.end, told.as_of};
  look_at(stream, told.end.has_value(), told.error, ends_[which].offset);
  look.is_doubtful |= is_lost || stream.is_refused || stream.is_out_of_range;
  look.is_reached |= told.end.has_value();
  if (!told.end) look.unanswered = stream.name() + ": " + told.error;
}

// Whether an answer says that the log lacks what was read from it. That is believed when it is said
// for long, and the last record that was read does not come again meanwhile.
bool KafkaLog::tells_of_loss(std::size_t which, Offset end, Offset read) {
  auto& stream = *streams_[which];
  const auto confirmed = stream.confirmed.load();
  if (std::exchange(stream.confirmed_before, confirmed) != confirmed) stream.lost.settle();
  Offset begin{0};  // as far as nobody says otherwise
  if (stream.is_out_of_range) begin = kafka_->prober.ask_begin(which).value_or(begin);
  if (end >= read && (begin < read || begin.value == 0)) {
    stream.lost.settle();
    return false;
  }
  const auto now = Clock::now();
  stream.lost.raise(now);
  stream.must_look_again = true;
  if (stream.lost.holds(now))
    fail(KafkaFailure::log_changed,
         fmt::format("{} has no record at offset {} any more, says its leader for {} s: it {}",
                     stream.name(), read.value - (read.value > 0), limits::kKafkaDoubt.count(),
                     end < read ? fmt::format("ends at offset {}: the topic was cut, or made anew",
                                              end.value)
                                : fmt::format("begins at offset {}: its retention has deleted "
                                              "records",
                                              begin.value)));
  return true;
}

// What waits for this node itself says nothing of Kafka.
void KafkaLog::look_at(Stream& stream, bool answered, const std::string& error, Offset end) {
  const auto now = Clock::now();
  const bool is_busy = delivering_;
  stream.standing.look({answered, error, stream.in_flight > 0 && !is_busy,
                        stream.is_read && stream.read_next < end.value && !is_busy},
                       now);
  stream.is_refused = stream.standing.is_stuck() || stream.standing.is_silent(now);
}

// Which partitions are refused, when that has changed.
void KafkaLog::tell_news() {
  std::vector<PartitionId> refused;
  for (const auto& each : streams_)
    if (each->is_refused) refused.push_back(each->id);
  if (refused == told_) return;
  told_ = refused;
  if (!options_.on_news) return;
  if (refused.empty())
    return options_.on_news("Kafka can be reached again: every partition takes and gives records");
  const auto why = trouble(refused.front());
  if (refused.size() == streams_.size()) return options_.on_news(why);
  options_.on_news(fmt::format("{} of {} partitions cannot be written now; {}", refused.size(),
                               streams_.size(), why));
}

model::LogEnd KafkaLog::end(PartitionId partition) const {
  const auto which = slot(partition);
  const std::lock_guard lock(mutex_);
  return ends_[which];
}

std::string KafkaLog::trouble(PartitionId partition) const {
  const auto& stream = this->stream(partition);
  if (!stream.is_refused.load(std::memory_order_relaxed)) return {};
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  const auto& standing = stream.standing;
  if (std::all_of(streams_.begin(), streams_.end(),
                  [&](const auto& each) { return each->standing.is_silent(now); })) {
    const auto complaint = kafka_->prober.complaint();
    return fmt::format("Kafka at {} cannot be reached since {} s{}",
                       options_.source.address.brokers, standing.silence(now).count(),
                       complaint.empty() ? "" : ": " + complaint);
  }
  const auto why = standing.trouble(now);
  return why.empty() ? why : stream.name() + ": " + why;
}

KafkaLog::Stats KafkaLog::stats() const {
  Stats stats{produced_,       acknowledged_,      produce_errors_,
              consume_errors_, in_flight_records_, false};
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  stats.reachable = std::none_of(streams_.begin(), streams_.end(),
                                 [&](const auto& each) { return each->standing.is_silent(now); });
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
