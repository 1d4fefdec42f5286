#include "storage/log/embedded_log.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <limits>

#include "engine/model/assert.h"
#include "engine/model/fault_variant.h"
#include "engine/model/thread_name.h"
#include "storage/keys.h"
#include "storage/read_error.h"

namespace veche::storage {
namespace {

using model::FaultVariant;
using model::kFaultVariant;
using model::Offset;
using model::PartitionId;
using model::RecordBatch;

constexpr std::size_t kKeyBytes = 2 + 8;
constexpr std::string_view kRestore = "restore the log from a copy";

std::string group_key(PartitionId partition, Offset first) {
  std::string key;
  key.reserve(kKeyBytes);
  put_big_endian(key, partition.value);
  put_big_endian(key, first.value);
  return key;
}

Offset first_offset(std::string_view key) { return {get_big_endian<std::uint64_t>(key.substr(2))}; }

bool belongs_to(const rocksdb::Iterator& at, PartitionId partition) {
  return at.Valid() && at.key().size() == kKeyBytes &&
         get_big_endian<std::uint16_t>(at.key().ToStringView()) == partition.value;
}

rocksdb::Options log_options(rocksdb::Env* env) {
  rocksdb::Options options;
  if (env) options.env = env;
  options.create_if_missing = true;
  // The default opens after silently dropping acknowledged groups behind a damaged one; this mode
  // forgives only a torn last write, which was never acknowledged.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.recycle_log_file_num = 0;  // a recycled file's old bytes could be read as records
  options.avoid_flush_during_recovery = false;
  options.manual_wal_flush = false;
  options.max_bgerror_resume_count = 0;           // no write after a failed one
  options.compression = rocksdb::kNoCompression;  // keys and digests do not shrink
  options.keep_log_file_num = 4;
  options.max_background_jobs = 2;
  options.max_open_files = limits::kFilesOfDatabase;
  return options;
}

}  // namespace

Result<std::unique_ptr<EmbeddedLog>> EmbeddedLog::open(EmbeddedLogOptions options) {
  const auto parent = std::filesystem::absolute(options.folder).parent_path();
  std::error_code error;
  const auto free = std::filesystem::space(parent, error).available;
  if (error)
    return Fault{fmt::format("{} cannot be looked at: {}", parent.string(), error.message())};
  if (free < options.disk_reserve_bytes)
    return Fault{
        fmt::format("{} has {} MiB free, and {} MiB are to be kept in reserve: make room, "
                    "or lower --disk-reserve-mib",
                    parent.string(), free >> 20, options.disk_reserve_bytes >> 20)};
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(log_options(options.env), options.folder.string(), &raw);
  if (!status.ok())
    return Fault{fmt::format("the log in {} does not open: {}", options.folder.string(),
                             read_error(status, kRestore))};
  std::unique_ptr<EmbeddedLog> log(
      new EmbeddedLog(std::move(options), std::unique_ptr<rocksdb::DB>(raw)));
  const std::unique_ptr<rocksdb::Iterator> any(log->db_->NewIterator(rocksdb::ReadOptions()));
  any->SeekToFirst();
  if (!any->status().ok()) return log->unreadable(any->status());
  if (!any->Valid())
    if (auto made = log->make_genesis(); !made) return made.error();
  if (auto read = log->read_genesis(); !read) return read.error();
  if (auto found = log->find_ends(); !found) return found.error();
  log->watch_disk();
  log->committer_ = std::thread([log = log.get()] { log->run(); });
  return log;
}

EmbeddedLog::EmbeddedLog(EmbeddedLogOptions options, std::unique_ptr<rocksdb::DB> db)
    : options_(std::move(options)), db_(std::move(db)) {}

EmbeddedLog::~EmbeddedLog() { close(); }

Result<void> EmbeddedLog::make_genesis() {
  RecordBatch genesis;
  genesis.push(serialize(storage::make_genesis(options_.partitions, options_.secret_check)));
  rocksdb::WriteBatch batch;
  for (std::uint16_t p = 0; p < options_.partitions; ++p)
    batch.Put(group_key({p}, {0}), genesis.bytes());
  batch.Put(group_key(model::kControl, {0}), genesis.bytes());
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (const auto status = db_->Write(synced, &batch); !status.ok())
    return Fault{fmt::format("a new log in {} cannot be written: {}", options_.folder.string(),
                             status.ToString())};
  return {};
}

Result<void> EmbeddedLog::read_genesis() {
  const auto folder = options_.folder.string();
  std::string bytes;
  const auto status = db_->Get(rocksdb::ReadOptions(), group_key(model::kControl, {0}), &bytes);
  if (!status.ok() && !status.IsNotFound()) return unreadable(status);
  const auto batch = RecordBatch::adopt(std::move(bytes));
  const bool whole = batch.whole() && !batch.empty();
  const auto genesis = storage::read_genesis(whole ? *batch.begin() : std::string_view(), folder);
  if (!genesis) return genesis.error();
  if (auto same = check_secret(*genesis, options_.secret_check, folder); !same) return same.error();
  id_ = genesis->log_id;
  partitions_ = genesis->partitions;
  return {};
}

// The end of each partition is behind its last group; the group before must reach up to it.
Result<void> EmbeddedLog::find_ends() {
  ends_ = std::vector<std::atomic<std::uint64_t>>(partitions_ + std::size_t{1});
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
  for (std::size_t s = 0; s < ends_.size(); ++s) {
    const PartitionId partition =
        s == partitions_ ? model::kControl : PartitionId{static_cast<std::uint16_t>(s)};
    at->SeekForPrev(group_key(partition, {std::numeric_limits<std::uint64_t>::max()}));
    std::uint64_t expected_end = 0;
    int groups = 0;
    for (; groups < 2 && belongs_to(*at, partition); ++groups, at->Prev()) {
      const auto batch = RecordBatch::adopt(at->value().ToString());
      const auto first = first_offset(at->key().ToStringView());
      const auto end = first.plus(batch.count()).value;
      if (!batch.whole() || (groups == 1 && end != expected_end))
        return Fault{fmt::format("partition {} of the log in {} has a hole before offset {}: {}",
                                 partition.value, options_.folder.string(), expected_end,
                                 kRestore)};
      if (groups == 0) ends_[s] = end;
      expected_end = first.value;
    }
    if (!at->status().ok()) return unreadable(at->status());
    if (groups == 0 || (groups == 1 && expected_end != 0))
      return Fault{fmt::format("partition {} of the log in {} lacks its first records: {}",
                               partition.value, options_.folder.string(), kRestore)};
  }
  return {};
}

Fault EmbeddedLog::unreadable(const rocksdb::Status& status) const {
  return Fault{fmt::format("the log in {} cannot be read: {}", options_.folder.string(),
                           read_error(status, kRestore))};
}

model::AppendStatus EmbeddedLog::append(PartitionId partition, RecordBatch records) {
  const std::lock_guard lock(mutex_);
  if (closing_) return model::AppendStatus::closed;
  if (disk_low_.load(std::memory_order_relaxed) ||
      queued_bytes_ + records.bytes().size() > limits::kAppendQueueBytes)
    return model::AppendStatus::full;
  queued_bytes_ += records.bytes().size();
  queue_.push_back({partition, std::move(records)});
  work_.notify_one();
  return model::AppendStatus::queued;
}

void EmbeddedLog::consume(PartitionId partition, Offset from, model::LogSink& sink) {
  const std::lock_guard lock(mutex_);
  new_consumers_.push_back({partition, from, &sink});
  work_.notify_one();
}

model::LogEnd EmbeddedLog::end(PartitionId partition) const {
  const auto as_of = options_.clock();  // first: what comes meanwhile may be in it or not
  return {{ends_[slot(partition)].load()}, as_of};
}

std::string EmbeddedLog::trouble() const {
  if (!disk_low_.load(std::memory_order_relaxed)) return {};
  return fmt::format("{} has less than {} MiB free: make room, or lower --disk-reserve-mib",
                     options_.folder.string(), options_.disk_reserve_bytes >> 20);
}

void EmbeddedLog::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    work_.notify_one();
  }
  if (committer_.joinable()) committer_.join();
}

// --- The committer thread ----------------------------------------------------------------------

void EmbeddedLog::run() {
  model::name_thread("log");
  for (bool closing = false; !closing;) {
    std::vector<Queued> queue;
    std::vector<Consumer> joining;
    {
      std::unique_lock lock(mutex_);
      work_.wait_for(lock, std::chrono::seconds(1),
                     [&] { return !queue_.empty() || !new_consumers_.empty() || closing_; });
      queue.swap(queue_);
      joining.swap(new_consumers_);
      queued_bytes_ = 0;
      closing = closing_;
    }
    for (auto& consumer : joining) {
      if (catch_up(consumer)) consumers_.push_back(consumer);
    }
    if (!queue.empty()) commit(std::move(queue));
    watch_disk();
  }
}

void EmbeddedLog::commit(std::vector<Queued> queue) {
  std::vector<Queued> groups;  // one a partition, in order of arrival
  for (auto& queued : queue) {
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
      return group.partition == queued.partition;
    });
    if (same == groups.end())
      groups.push_back(std::move(queued));
    else
      same->records.append(queued.records);
  }
  const auto deliver = [&] {
    for (auto& [partition, records] : groups) {
      const Offset first{ends_[slot(partition)]};
      const auto end = first.plus(records.count());
      ends_[slot(partition)] = end.value;
      for (auto& consumer : consumers_)
        if (consumer.partition == partition)
          consumer.sink->deliver(partition, first, std::move(records), end);
    }
  };
  rocksdb::WriteBatch batch;
  for (const auto& [partition, records] : groups) {
    batch.Put(group_key(partition, {ends_[slot(partition)]}), records.bytes());
    records_ += records.count();
  }
  if (kFaultVariant == FaultVariant::answer_before_sync) {
    deliver();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const auto begin = std::chrono::steady_clock::now();
  const auto status = db_->Write(synced, &batch);
  if (!status.ok())
    return options_.on_fatal(fmt::format(
        "the log in {} cannot be written: {}. What was on its way is unknown; nothing that was "
        "answered is lost. Mend the disk, and start again",
        options_.folder.string(), status.ToString()));
  if (options_.on_synced) options_.on_synced(std::chrono::steady_clock::now() - begin);
  if (kFaultVariant != FaultVariant::answer_before_sync) deliver();
}

// Everything stored from the consumer's offset on, in pieces of bounded size. The committer itself
// reads, so nothing is appended meanwhile, and the consumer is live when this returns true.
bool EmbeddedLog::catch_up(Consumer& consumer) {
  const Offset end{ends_[slot(consumer.partition)]};
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
  at->SeekForPrev(group_key(consumer.partition, consumer.next));
  RecordBatch piece;
  auto first = consumer.next;
  const auto hand_over = [&] {
    if (piece.empty()) return;
    const auto next = first.plus(piece.count());
    consumer.sink->deliver(consumer.partition, first, std::exchange(piece, {}), end);
    first = next;
  };
  for (; belongs_to(*at, consumer.partition); at->Next()) {
    if (abandoned_) return false;
    auto offset = first_offset(at->key().ToStringView());
    const auto group = RecordBatch::adopt(at->value().ToString());
    if (!group.whole() || offset > consumer.next) {
      options_.on_fatal(fmt::format("partition {} of the log in {} has a hole at offset {}: {}",
                                    consumer.partition.value, options_.folder.string(),
                                    consumer.next.value, kRestore));
      return false;
    }
    for (const auto record : group) {
      if (offset >= consumer.next) {
        piece.push(record);
        consumer.next = offset.plus(1);
      }
      offset = offset.plus(1);
    }
    if (piece.bytes().size() >= limits::kDeliveryBytes) hand_over();
    watch_disk();
  }
  hand_over();
  if (!at->status().ok())
    options_.on_fatal(unreadable(at->status()).message);
  else if (consumer.next != end)
    options_.on_fatal(fmt::format("partition {} of the log in {} ends at offset {}, before {}: {}",
                                  consumer.partition.value, options_.folder.string(),
                                  consumer.next.value, end.value, kRestore));
  return at->status().ok() && consumer.next == end;
}

void EmbeddedLog::watch_disk() {
  const auto now = std::chrono::steady_clock::now();
  if (now - disk_seen_ < std::chrono::milliseconds(200)) return;
  disk_seen_ = now;
  std::error_code error;
  const auto space = std::filesystem::space(options_.folder, error);
  disk_low_ = !error && space.available < options_.disk_reserve_bytes;
}

std::size_t EmbeddedLog::slot(PartitionId partition) const {
  const auto slot = partition == model::kControl ? std::size_t{partitions_} : partition.value;
  VECHE_ASSERT(slot < ends_.size(), "the log is asked for partitions that it has");
  return slot;
}

}  // namespace veche::storage
