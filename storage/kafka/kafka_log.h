// The log in Apache Kafka: shared by equal nodes, each of which appends to every partition and
// reads all of them.
//
//   NAME.control   partition 0                 model::kControl
//   NAME.ballots   partitions 0..P-1           the same numbers
//   value          one veche.v1.Record; no key, no headers; time cut to the hour
//
// Appending is plain produce, acks=all, without idempotence: apply counts a voter once, and the
// idempotent producer of librdkafka 2.0.2 ends for good after ordinary disconnects. librdkafka
// sends the same bytes again for as long as anybody waits for them; then they are given up, and
// what became of them is unknown. Reading is without a group and never jumps.
//
// What an answer survives is decided by the topics' settings: storage/kafka/topics.h, survives().
// A record is delivered when it can be read; `durable` follows by acknowledgements of our own
// (storage/kafka/proof.h).
//
// Threads: append and end may be called from any thread and do not block. One event thread takes
// acknowledgements and records as an eventfd tells of them, and delivers; a probe thread asks for
// the ends once a second, by which it knows whether the leaders can be reached. librdkafka has
// threads of its own, on which nothing of ours runs but the note of its last complaint.
//
// No single answer of a broker ends a node: storage/kafka/doubt.h. A partition that does not go is
// refused by itself: storage/kafka/standing.h.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/model/limits.h"
#include "engine/model/ports.h"
#include "engine/model/result.h"
#include "storage/genesis.h"
#include "storage/kafka/kafka_address.h"

namespace veche::storage {

class Standing;
struct ToldEnd;

enum class KafkaFailure {
  // The topics do not hold any more what they held: the index is wrong, and must be rebuilt.
  log_changed,
  // The log cannot be read on, and no rebuild would help.
  unreadable,
};

struct KafkaLogOptions {
  KafkaSource source;
  SecretCheck secret_check{};
  // Called once, from a thread of the log's; should not return.
  std::function<void(KafkaFailure, const std::string& why)> on_failure;
  // That the brokers are lost, or found again; from a thread of the log's.
  std::function<void(const std::string& what)> on_news;
  // How long a group waited from append to its acknowledgement, and until it was read as well.
  std::function<void(std::chrono::nanoseconds)> on_acknowledged;
  std::function<void(std::chrono::nanoseconds)> on_round_trip;
};

class KafkaLog final : public model::Log {
 public:
  // Refuses topics that are missing, unfinished, of another log, or of another secret. Whether
  // their settings are safe is not asked here (inspect_topics).
  static Result<std::unique_ptr<KafkaLog>> open(KafkaLogOptions options);
  ~KafkaLog() override;

  std::uint16_t partitions() const override { return genesis_.partitions; }
  model::LogId id() const override { return genesis_.log_id; }
  bool sole_writer() const override { return false; }
  model::AppendStatus append(model::PartitionId partition, model::RecordBatch records) override;
  void consume(model::PartitionId partition, model::Offset from, model::LogSink& sink) override;
  model::LogEnd end(model::PartitionId partition) const override;
  bool lacks(model::PartitionId, model::Offset) const override { return false; }
  std::string trouble(model::PartitionId partition) const override;
  void abandon_replay() override { abandoned_ = true; }
  // Waits for what is on its way, bounded.
  void close() override;

  // Waits until everything appended is acknowledged, at most so long: for a process that is about
  // to end for another reason. Not from a thread of the log's.
  void await_acknowledgements(std::chrono::milliseconds at_most) const;

  struct Stats {
    std::uint64_t produced = 0;        // records handed to librdkafka
    std::uint64_t acknowledged = 0;    // of those
    std::uint64_t produce_errors = 0;  // records that were given up: their outcome is unknown
    std::uint64_t consume_errors = 0;  // that reading met, passing ones too
    std::uint64_t in_flight = 0;       // records produced and not acknowledged
    bool reachable = false;            // the leaders of all partitions
  };
  Stats stats() const;

 private:
  struct Stream;  // one partition
  struct Kafka;   // librdkafka's handles
  // What a look at the ends has shown so far.
  struct Look {
    std::string unanswered;    // by whom, and why
    bool is_reached = false;   // somebody has answered
    bool is_doubtful = false;  // an answer may be wrong
  };
  using Refusal = void (Standing::*)(const std::string& why,
                                     std::chrono::steady_clock::time_point now);
  struct Consumer {
    model::PartitionId partition;
    model::Offset first;
    model::LogSink* sink = nullptr;
  };

  KafkaLog(KafkaLogOptions options, Genesis genesis);
  Result<void> connect();
  std::size_t slot(model::PartitionId partition) const;
  Stream& stream(model::PartitionId partition) const;

  void run();
  void begin_to_read();
  void read_from(Stream& from, model::Offset first);
  void look_again();
  bool take_acknowledgements();
  void on_report(const void* message);
  void on_produce_error(Stream& to, int error);
  bool refuse(Stream& met, int error, const std::string& why, Refusal refusal);
  bool may_try(Stream& to);
  bool take_records();
  void on_message(const void* message);
  void on_old_message(Stream& from, model::Offset offset, std::uint64_t fingerprint);
  void on_read_error(int error, const std::string& text, Stream* from);
  void doubt(Stream& from, const std::string& what);
  void hand_over();
  void note_movement(Stream& moved);
  void fail(KafkaFailure failure, const std::string& why);

  void probe();
  std::string look_at_ends();
  void look_at_end(std::size_t stream, const ToldEnd& told, model::Offset read, Look& look);
  bool tells_of_loss(std::size_t stream, model::Offset end, model::Offset read);
  void look_at(Stream& stream, bool answered, const std::string& error, model::Offset end);
  void tell_news();
  bool is_settled() const;

  const KafkaLogOptions options_;
  const Genesis genesis_;
  std::unique_ptr<Kafka> kafka_;
  std::vector<std::unique_ptr<Stream>> streams_;  // ballots partitions, then control

  std::atomic<std::uint64_t> in_flight_records_{0};
  std::atomic<std::uint64_t> in_flight_bytes_{0};
  std::atomic<std::uint64_t> produced_{0};
  std::atomic<std::uint64_t> acknowledged_{0};
  std::atomic<std::uint64_t> produce_errors_{0};
  std::atomic<std::uint64_t> consume_errors_{0};
  std::atomic<std::uint64_t> unread_{0};  // streams with an acknowledged record still to be read
  std::atomic<bool> delivering_{false};   // records wait for their receiver
  std::atomic<bool> closing_{false};
  std::atomic<bool> abandoned_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> failed_{false};

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable stop_probing_;
  std::vector<model::LogEnd> ends_;  // by stream
  std::vector<Consumer> new_consumers_;

  // Of the event thread: reported by Kafka, and not yet taken out of what is in flight.
  std::uint64_t reported_records_ = 0;
  std::uint64_t reported_bytes_ = 0;

  // Of the probe thread.
  std::vector<model::PartitionId> told_;  // that are refused, as on_news was told

  std::thread events_;
  std::thread probes_;
};

}  // namespace veche::storage
