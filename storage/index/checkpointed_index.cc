#include "storage/index/checkpointed_index.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "engine/model/assert.h"
#include "engine/model/fault_variant.h"
#include "engine/model/limits.h"
#include "engine/model/log_line.h"
#include "storage/keys.h"
#include "storage/read_error.h"

namespace veche::storage {
namespace {

using model::Counted;
using model::PartitionId;
using model::PollNumber;
using model::VoterKey;

constexpr auto kFilesRetry = std::chrono::seconds(1);
constexpr int kFilesRetries = 600;
constexpr std::string_view kLogIdKey = "l";
constexpr std::string_view kFormatKey = "f";
constexpr int kIndexFormat = 2;  // of everything here, and of the engine's images of polls
constexpr std::string_view kDelete =
    "it is derived from the log: delete the folder, and the next start builds it anew";
constexpr std::string_view kCheckpointFile = "checkpoint-";  // before RocksDB takes it over

std::string position_key(PartitionId partition) {
  std::string key = "m";
  put_big_endian(key, partition.value);
  return key + 'p';
}

std::string poll_key(PartitionId partition, PollNumber poll) {
  std::string key = "m";
  put_big_endian(key, partition.value);
  key += 't';
  put_big_endian(key, poll.value);
  return key;
}

std::string poll_prefix(PartitionId partition, PollNumber poll) {
  std::string key = "v";
  put_big_endian(key, partition.value);
  put_big_endian(key, poll.value);
  return key;
}

std::string voter_key(PartitionId partition, PollNumber poll, const VoterKey& voter) {
  return poll_prefix(partition, poll).append(voter.view());
}

std::string position_value(const model::PartitionImage& image) {
  model::ByteWriter out;
  out.number(image.position.next.value);
  out.text(image.position.hash.view());
  out.number(image.invalid);
  out.number(image.duplicates);
  out.text(image.before_last ? image.before_last->view() : std::string_view());
  return std::move(out).take();
}

std::string counted_value(const Counted& counted) {
  std::string value(sizeof counted.offset.value, '\0');
  std::memcpy(value.data(), &counted.offset.value, value.size());
  return value.append(counted.digest.view());
}

Counted read_counted(std::string_view value) {
  Counted counted;
  VECHE_ASSERT(value.size() == 8 + 16, "the index holds an offset and a digest for each voter");
  std::memcpy(&counted.offset.value, value.data(), 8);
  counted.digest = *model::Digest::parse(value.substr(8));
  return counted;
}

// The process, or the system, has no file descriptor left: soon it may have.
bool lacks_files(const rocksdb::Status& status) {
  if (!status.IsIOError()) return false;
  const auto why = status.ToString();
  return why.find(std::strerror(EMFILE)) != std::string::npos ||
         why.find(std::strerror(ENFILE)) != std::string::npos;
}

rocksdb::Options index_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;  // keys are random bytes
  options.optimize_filters_for_hits = false;      // most voters asked for are new ones
  options.keep_log_file_num = 4;
  options.max_background_jobs = 2;
  options.max_open_files = limits::kFilesOfDatabase;
  // Every checkpoint overlaps all keys: merging by size rewrites a voter a few times, merging by
  // levels about ten times.
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_cache = rocksdb::NewLRUCache(limits::kIndexCacheBytes);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

// --- The store ---------------------------------------------------------------------------------

IndexStore::IndexStore(std::filesystem::path folder, std::unique_ptr<rocksdb::DB> db)
    : folder_(std::move(folder)), db_(std::move(db)) {}

IndexStore::~IndexStore() = default;

Result<std::unique_ptr<IndexStore>> IndexStore::open(const std::filesystem::path& folder,
                                                     const model::LogId& log, rocksdb::Env* env) {
  auto options = index_options();
  if (env) options.env = env;
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(options, folder.string(), &raw);
  if (!status.ok())
    return Fault{fmt::format("the index in {} does not open: {}", folder.string(),
                             read_error(status, kDelete))};
  std::unique_ptr<IndexStore> store(new IndexStore(folder, std::unique_ptr<rocksdb::DB>(raw)));
  if (auto removed = store->remove_leftovers(); !removed) return removed.error();
  if (auto bound = store->bind_to(log); !bound) return bound.error();
  return store;
}

// After a crash a checkpoint's file may have two names, one of them the database's own: writing the
// next checkpoint under the other would destroy it. And the database begins a write-ahead log with
// each start, which it removes only when a later one was written into: here none ever is.
Result<void> IndexStore::remove_leftovers() const {
  std::unique_ptr<rocksdb::LogFile> current;
  const bool known = db_->GetCurrentWalFile(&current).ok();
  std::vector<std::filesystem::path> left_over;
  std::error_code error;
  for (std::filesystem::directory_iterator file(folder_, error); !error && file != end(file);
       file.increment(error)) {
    const auto name = file->path().filename().string();
    std::error_code gone;
    const bool is_old_log = known && file->path().extension() == ".log" &&
                            '/' + name != current->PathName() && file->file_size(gone) == 0;
    if (name.starts_with(kCheckpointFile) || is_old_log) left_over.push_back(*file);
  }
  for (auto file = left_over.begin(); !error && file != left_over.end(); ++file)
    std::filesystem::remove(*file, error);
  if (!error) return {};
  return Fault{fmt::format("the folder of the index {} cannot be tidied up: {}; nothing is lost",
                           folder_.string(), error.message())};
}

// The log that the index belongs to from its first use on.
Result<void> IndexStore::bind_to(const model::LogId& log) {
  const auto id = read(kLogIdKey);
  if (!id) return id.error();
  const auto format = std::to_string(kIndexFormat);
  if (!*id) {
    rocksdb::WriteBatch batch;
    batch.Put(std::string(kLogIdKey), std::string(log.view()));
    batch.Put(std::string(kFormatKey), format);
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (const auto status = db_->Write(synced, &batch); !status.ok())
      return Fault{fmt::format("a new index in {} cannot be written: {}", folder_.string(),
                               status.ToString())};
    return {};
  }
  if (**id != log.view())
    return Fault{
        fmt::format("the index in {} was derived from another log: {}", folder_.string(), kDelete)};
  const auto written = read(kFormatKey);
  if (!written) return written.error();
  if (*written != format)
    return Fault{fmt::format("the index in {} was written by another version of veche: {}",
                             folder_.string(), kDelete)};
  return {};
}

Result<std::optional<std::string>> IndexStore::read(std::string_view key) const {
  std::string value;
  const auto status = db_->Get(rocksdb::ReadOptions(), std::string(key), &value);
  if (status.ok()) return std::optional(std::move(value));
  if (status.IsNotFound()) return std::optional<std::string>();
  return Fault{fmt::format("the index in {} cannot be read: {}", folder_.string(),
                           read_error(status, kDelete))};
}

void IndexStore::give_up(const rocksdb::Status& status) const {
  model::write_line(model::Stream::err, fmt::format("veche: the index in {} cannot be read: {}",
                                                    folder_.string(), read_error(status, kDelete)));
  std::_Exit(74);
}

Result<std::unique_ptr<IndexStore>> IndexStore::open_read_only(
    const std::filesystem::path& folder) {
  if (!has_database(folder))
    return Fault{fmt::format(
        "there is no index in {}: start the server, which makes it from its log, and stop it again",
        folder.string())};
  auto options = index_options();
  options.create_if_missing = false;
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(options, folder.string(), &raw);
  if (!status.ok())
    return Fault{fmt::format("the index in {} cannot be read: {}", folder.string(),
                             read_error(status, kDelete))};
  return std::unique_ptr<IndexStore>(new IndexStore(folder, std::unique_ptr<rocksdb::DB>(raw)));
}

model::PartitionImage IndexStore::load(PartitionId partition) const {
  model::PartitionImage image;
  image.partition = partition;
  std::string position;
  const auto status = db_->Get(rocksdb::ReadOptions(), position_key(partition), &position);
  if (status.IsNotFound()) return image;
  if (!status.ok()) give_up(status);
  model::ByteReader in(position);
  image.position.next = {in.number()};
  const auto hash = model::RollingHash::parse(in.text());
  image.invalid = in.number();
  image.duplicates = in.number();
  if (!in.at_end()) image.before_last = model::RollingHash::parse(in.text());
  VECHE_ASSERT(hash && in.good() && in.at_end(), "the index holds a whole position");
  image.position.hash = *hash;

  const auto prefix = poll_key(partition, {0}).substr(0, 4);
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next())
    image.polls.push_back(
        {{get_big_endian<std::uint32_t>(at->key().ToStringView().substr(prefix.size()))},
         at->value().ToString()});
  if (!at->status().ok()) give_up(at->status());
  return image;
}

Result<std::optional<model::LogId>> IndexStore::log() const {
  const auto id = read(kLogIdKey);
  if (!id) return id.error();
  return *id ? model::LogId::parse(**id) : std::nullopt;
}

std::optional<Counted> IndexStore::find(PartitionId partition, PollNumber poll,
                                        const VoterKey& voter) const {
  rocksdb::PinnableSlice value;
  const auto status = db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(),
                               voter_key(partition, poll, voter), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) give_up(status);
  return read_counted(value.ToStringView());
}

std::uint64_t IndexStore::count_voters(PartitionId partition, PollNumber poll) const {
  const auto prefix = poll_prefix(partition, poll);
  const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
  std::uint64_t voters = 0;
  for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) ++voters;
  if (!at->status().ok()) give_up(at->status());
  return voters;
}

std::string IndexStore::next_file() {
  return (folder_ / fmt::format("{}{}.sst", kCheckpointFile, ++files_)).string();
}

// --- The index of one shard --------------------------------------------------------------------

std::optional<Counted> CheckpointedIndex::find(PartitionId partition, PollNumber poll,
                                               const VoterKey& voter) {
  const Key key{partition, poll, voter};
  if (const auto found = recent_.find(key); found != recent_.end()) return found->second;
  if (writing_.valid())
    if (const auto found = frozen_.find(key); found != frozen_.end()) return found->second;
  if (absent_.contains(key)) return std::nullopt;
  const auto found = store_.find(partition, poll, voter);
  if (!found) {
    if (absent_.size() >= limits::kBallotsInFlight) absent_.clear();  // of refused ones, mostly
    absent_.insert(key);
  }
  return found;
}

void CheckpointedIndex::insert(PartitionId partition, PollNumber poll, const VoterKey& voter,
                               const Counted& counted) {
  const Key key{partition, poll, voter};
  absent_.erase(key);
  recent_.insert_or_assign(key, counted);
}

bool CheckpointedIndex::ready_for_checkpoint() const {
  return !writing_.valid() ||
         writing_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

void CheckpointedIndex::finish_checkpoint() {
  if (writing_.valid()) writing_.get();
}

void CheckpointedIndex::begin_checkpoint(std::vector<model::PartitionImage> images) {
  finish_checkpoint();
  frozen_.clear();  // keeps its room: the two maps change places for ever
  frozen_.swap(recent_);
  writing_ = std::async(std::launch::async,
                        [this, images = std::move(images)] { write_checkpoint(images); });
}

void CheckpointedIndex::write_checkpoint(const std::vector<model::PartitionImage>& images) const {
  Entries entries;
  for (const auto& image : images) {
    entries.emplace_back(position_key(image.partition), position_value(image));
    for (const auto& poll : image.polls)
      entries.emplace_back(poll_key(image.partition, poll.number), poll.bytes);
  }
  std::sort(entries.begin(), entries.end());
  if (model::kFaultVariant == model::FaultVariant::position_apart) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    for (const auto& [key, value] : entries) store_.db().Put(synced, key, value);
    std::_Exit(9);  // the crash between the two writes that should be one
  }
  std::vector<const Recent::value_type*> voters;
  voters.reserve(frozen_.size());
  for (const auto& entry : frozen_) voters.push_back(&entry);
  std::sort(voters.begin(), voters.end(),
            [](const auto* a, const auto* b) { return a->first < b->first; });

  auto status = write_file(entries, voters);
  for (int tries = 0; lacks_files(status) && tries < kFilesRetries; ++tries) {
    if (tries == 0)
      model::write_line(model::Stream::err,
                        "veche: a checkpoint of the index waits for a free file descriptor: raise "
                        "the limit of open files (`ulimit -n`)");
    std::this_thread::sleep_for(kFilesRetry);
    store_.db().Resume();
    status = write_file(entries, voters);
  }
  if (status.ok()) return;
  model::write_line(
      model::Stream::err,
      fmt::format("veche: a checkpoint of the index cannot be written: {}. The log is unharmed; "
                  "make room or mend the disk, and start again",
                  status.ToString()));
  std::_Exit(74);
}

rocksdb::Status CheckpointedIndex::write_file(
    const Entries& entries, const std::vector<const Recent::value_type*>& voters) const {
  const auto file = store_.next_file();
  rocksdb::SstFileWriter writer{rocksdb::EnvOptions(), store_.db().GetOptions()};
  auto status = writer.Open(file);
  for (const auto& [key, value] : entries)
    if (status.ok()) status = writer.Put(key, value);
  for (const auto* entry : voters)
    if (status.ok())
      status = writer.Put(voter_key(entry->first.partition, entry->first.poll, entry->first.voter),
                          counted_value(entry->second));
  if (status.ok()) status = writer.Finish();
  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  if (status.ok()) status = store_.db().IngestExternalFile({file}, ingest);
  std::error_code ignored;  // there may be none
  if (!status.ok()) std::filesystem::remove(file, ignored);
  return status;
}

}  // namespace veche::storage
