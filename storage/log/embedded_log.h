// The embedded log: the whole log on one machine, in a RocksDB of its own.
//
// One committer thread takes everything that is queued, writes it as one batch with one sync, and
// hands it to the partitions' consumers; nobody waits to fill a group.
//
//   key   := partition (u16, big-endian)  first offset (u64, big-endian)
//   value := the group's records, as RecordBatch lays them out
//
// What is delivered live is synced: it survives kill -9 of the process and, with a disk that keeps
// its promises, a power cut. A write or a sync that fails ends the process through on_fatal: what
// became of that group is unknown until the next start, and nothing was said about it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/model/limits.h"
#include "engine/model/ports.h"
#include "engine/model/result.h"
#include "storage/clock.h"
#include "storage/genesis.h"

namespace rocksdb {
class DB;
class Env;
class Status;
}  // namespace rocksdb

namespace veche::storage {

struct EmbeddedLogOptions {
  std::filesystem::path folder;
  // Of a log that is made now; an existing one keeps its own.
  std::uint16_t partitions = limits::kDefaultPartitions;
  SecretCheck secret_check{};
  // Below so much free space on the disk nothing is appended.
  std::uint64_t disk_reserve_bytes = limits::kDiskReserveBytes;
  // Called once, from the committer thread, when the log cannot be written, or read up to its end;
  // should not return.
  std::function<void(const std::string& why)> on_fatal;
  // From the committer thread: how long the synced write of a group took. May be empty.
  std::function<void(std::chrono::nanoseconds took)> on_synced = {};
  // The file system under the log; null: the machine's. Outlives the log.
  rocksdb::Env* env = nullptr;
  // From any thread: the time, as end() tells it.
  std::function<model::Instant()> clock = wall_clock;
};

class EmbeddedLog final : public model::Log {
 public:
  // Makes the log if the folder has none: GENESIS in every partition, in one synced write. Refuses
  // a log with a hole at its tail, of another format, or bound to another secret.
  static Result<std::unique_ptr<EmbeddedLog>> open(EmbeddedLogOptions options);
  ~EmbeddedLog() override;

  std::uint16_t partitions() const override { return partitions_; }
  model::LogId id() const override { return id_; }
  bool sole_writer() const override { return true; }
  model::AppendStatus append(model::PartitionId partition, model::RecordBatch records) override;
  void consume(model::PartitionId partition, model::Offset from, model::LogSink& sink) override;
  model::LogEnd end(model::PartitionId partition) const override;
  std::string trouble() const;  // of the disk, which all partitions share
  std::string trouble(model::PartitionId) const override { return trouble(); }
  void abandon_replay() override { abandoned_ = true; }
  void close() override;

  // In synced groups, since the start.
  std::uint64_t records() const { return records_; }

 private:
  struct Queued {
    model::PartitionId partition;
    model::RecordBatch records;
  };
  struct Consumer {
    model::PartitionId partition;
    model::Offset next;
    model::LogSink* sink = nullptr;
  };

  EmbeddedLog(EmbeddedLogOptions options, std::unique_ptr<rocksdb::DB> db);

  Result<void> make_genesis();
  Result<void> read_genesis();
  Result<void> find_ends();
  Fault unreadable(const rocksdb::Status& status) const;
  void run();
  void commit(std::vector<Queued> queue);
  bool catch_up(Consumer& consumer);
  void watch_disk();
  std::size_t slot(model::PartitionId partition) const;

  const EmbeddedLogOptions options_;
  const std::unique_ptr<rocksdb::DB> db_;
  std::uint16_t partitions_ = 0;
  model::LogId id_;

  // Written by the committer alone.
  std::vector<std::atomic<std::uint64_t>> ends_;  // by slot: ballots partitions, then control
  std::vector<Consumer> consumers_;               // live ones
  std::atomic<std::uint64_t> records_{0};
  std::atomic<bool> disk_low_{false};
  std::chrono::steady_clock::time_point disk_seen_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable work_;
  std::vector<Queued> queue_;
  std::size_t queued_bytes_ = 0;
  std::vector<Consumer> new_consumers_;
  bool closing_ = false;

  std::atomic<bool> abandoned_{false};

  std::thread committer_;
};

}  // namespace veche::storage
