#include "storage/log/embedded_log_reader.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <limits>
#include <string>

#include "engine/model/record_batch.h"
#include "storage/genesis.h"
#include "storage/keys.h"
#include "storage/read_error.h"

namespace veche::storage {
namespace {

using model::Offset;
using model::PartitionId;
using model::RecordBatch;

constexpr std::size_t kKeyBytes = 2 + 8;
constexpr std::size_t kReadaheadBytes = 2 * 1'024 * 1'024;
constexpr std::string_view kDamaged = "it is damaged";

std::string group_key(PartitionId partition, Offset first) {
  std::string key;
  put_big_endian(key, partition.value);
  put_big_endian(key, first.value);
  return key;
}

bool belongs_to(const rocksdb::Iterator& at, PartitionId partition) {
  return at.Valid() && at.key().size() == kKeyBytes &&
         get_big_endian<std::uint16_t>(at.key().ToStringView()) == partition.value;
}

Offset first_of(const rocksdb::Iterator& at) {
  return {get_big_endian<std::uint64_t>(at.key().ToStringView().substr(2))};
}

rocksdb::Options reader_options(rocksdb::Env* env = nullptr) {
  rocksdb::Options options;
  if (env) options.env = env;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.max_open_files = -1;  // a running writer may remove files that are read here
  return options;
}

std::unique_ptr<rocksdb::Iterator> iterate(rocksdb::DB& db) {
  rocksdb::ReadOptions once;
  once.fill_cache = false;
  once.readahead_size = kReadaheadBytes;
  return std::unique_ptr<rocksdb::Iterator>(db.NewIterator(once));
}

Fault no_log(const std::filesystem::path& folder) {
  return Fault{fmt::format(
      "there is no log in {}: give --data the data folder of a server that has run and, if its log "
      "is in Kafka, --log its address",
      folder.string())};
}

Fault unreadable(const std::filesystem::path& folder, const rocksdb::Status& status) {
  return Fault{fmt::format("the log in {} cannot be read: {}", folder.string(),
                           read_error(status, kDamaged))};
}

}  // namespace

Result<std::unique_ptr<EmbeddedLogReader>> EmbeddedLogReader::open(
    const std::filesystem::path& folder, rocksdb::Env* env) {
  if (!has_database(folder)) return no_log(folder);
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(reader_options(env), folder.string(), &raw);
  if (!status.ok()) return unreadable(folder, status);
  std::unique_ptr<EmbeddedLogReader> reader(
      new EmbeddedLogReader(folder, std::unique_ptr<rocksdb::DB>(raw)));
  if (auto read = reader->read_first(); !read) return read.error();
  return reader;
}

Result<std::unique_ptr<EmbeddedLogReader>> EmbeddedLogReader::open_live(
    const std::filesystem::path& folder, const std::filesystem::path& scratch) {
  if (!has_database(folder)) return no_log(folder);
  rocksdb::DB* raw = nullptr;
  const auto status =
      rocksdb::DB::OpenAsSecondary(reader_options(), folder.string(), scratch.string(), &raw);
  std::unique_ptr<rocksdb::DB> db(raw);
  if (!status.ok()) return unreadable(folder, status);
  std::unique_ptr<EmbeddedLogReader> reader(new EmbeddedLogReader(folder, std::move(db)));
  if (auto read = reader->read_first(); !read) return read.error();
  return reader;
}

EmbeddedLogReader::EmbeddedLogReader(std::filesystem::path folder, std::unique_ptr<rocksdb::DB> db)
    : folder_(std::move(folder)), db_(std::move(db)) {}

EmbeddedLogReader::~EmbeddedLogReader() = default;

Result<void> EmbeddedLogReader::read_first() {
  std::string bytes;
  const auto status = db_->Get(rocksdb::ReadOptions(), group_key(model::kControl, {0}), &bytes);
  if (!status.ok() && !status.IsNotFound()) return unreadable(folder_, status);
  const auto batch = RecordBatch::adopt(std::move(bytes));
  const bool whole = batch.whole() && !batch.empty();
  const auto genesis = read_genesis(whole ? *batch.begin() : std::string_view(), folder_.string());
  if (!genesis) return genesis.error();
  id_ = genesis->log_id;
  partitions_ = genesis->partitions;
  return {};
}

Result<Offset> EmbeddedLogReader::end(PartitionId partition, Offset) const {
  const auto at = iterate(*db_);
  at->SeekForPrev(group_key(partition, {std::numeric_limits<std::uint64_t>::max()}));
  if (!at->status().ok()) return unreadable(folder_, at->status());
  if (!belongs_to(*at, partition)) return fault(partition, "has no record", {0});
  const auto group = RecordBatch::adopt(at->value().ToString());
  if (!group.whole()) return fault(partition, "has a broken group", first_of(*at));
  return first_of(*at).plus(group.count());
}

Result<void> EmbeddedLogReader::for_each(PartitionId partition, Offset from, Offset to,
                                         const Take& take) const {
  const auto at = iterate(*db_);
  auto next = from;
  for (at->SeekForPrev(group_key(partition, from)); next < to && belongs_to(*at, partition);
       at->Next()) {
    auto offset = first_of(*at);
    const auto group = RecordBatch::adopt(at->value().ToString());
    if (!group.whole()) return fault(partition, "has a broken group", offset);
    if (offset > next) return fault(partition, "has a hole", next);
    for (const auto record : group) {
      if (offset == next && next < to) {
        if (auto taken = take(offset, record); !taken) return taken;
        next = next.plus(1);
      }
      offset = offset.plus(1);
    }
  }
  if (!at->status().ok()) return unreadable(folder_, at->status());
  if (next < to) return fault(partition, "ends", next);
  return {};
}

Fault EmbeddedLogReader::fault(PartitionId partition, std::string_view what, Offset at) const {
  return Fault{fmt::format("partition {} of the log in {} {} at offset {}", partition.value,
                           folder_.string(), what, at.value)};
}

}  // namespace veche::storage
