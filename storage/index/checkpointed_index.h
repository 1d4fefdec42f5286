// The voter index: recent voters in memory, and checkpoints under them in a RocksDB. Everything in
// it is derived from the log: the folder may be deleted, and the next start builds it anew.
//
// clang-format off
//   'f'                                                         -> format, in digits
//   'l'                                                         -> log id
//   'm' partition (u16 BE) 'p'                                  -> position, hashes, counters
//   'm' partition (u16 BE) 't' poll number (u32 BE)             -> the engine's image of a poll
//   'v' partition (u16 BE) poll number (u32 BE) voter key (16)  -> offset (u64), digest (16)
// clang-format on
//
// A memtable insert is the dearest step of a ballot, so RocksDB's is not used: a checkpoint is one
// sorted file that is ingested, which happens whole or not at all. A crash loses what was in
// memory, and replay from the last checkpoint's position brings it back.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/checkpoint.h"
#include "engine/model/ids.h"
#include "engine/model/ports.h"
#include "engine/model/result.h"

namespace rocksdb {
class DB;
class Env;
class Status;
}  // namespace rocksdb

namespace veche::storage {

// The database under the indexes of all shards. Safe to share between threads. An index that
// cannot be read once it is open ends the process with 74: to go on without it would count twice.
class IndexStore {
 public:
  // Refuses an index that was derived from another log. `env` is the file system; null: the
  // machine's. It outlives the store.
  static Result<std::unique_ptr<IndexStore>> open(const std::filesystem::path& folder,
                                                  const model::LogId& log,
                                                  rocksdb::Env* env = nullptr);
  // For reading alone, while no server runs; does not change the folder.
  static Result<std::unique_ptr<IndexStore>> open_read_only(const std::filesystem::path& folder);
  ~IndexStore();

  // The log that it was made from; none: it was never used.
  Result<std::optional<model::LogId>> log() const;
  model::PartitionImage load(model::PartitionId partition) const;
  std::optional<model::Counted> find(model::PartitionId partition, model::PollNumber poll,
                                     const model::VoterKey& voter) const;
  std::uint64_t count_voters(model::PartitionId partition, model::PollNumber poll) const;

  rocksdb::DB& db() { return *db_; }
  // A name for a new file beside the database.
  std::string next_file();

 private:
  IndexStore(std::filesystem::path folder, std::unique_ptr<rocksdb::DB> db);
  // Its value; none: there is no such key.
  Result<std::optional<std::string>> read(std::string_view key) const;
  Result<void> bind_to(const model::LogId& log);
  Result<void> remove_leftovers() const;
  [[noreturn]] void give_up(const rocksdb::Status& status) const;

  const std::filesystem::path folder_;
  const std::unique_ptr<rocksdb::DB> db_;
  std::atomic<std::uint64_t> files_{0};
};

// The index of one shard. Owned by the shard's thread; writes checkpoints on a thread of its own.
class CheckpointedIndex final : public model::Index {
 public:
  explicit CheckpointedIndex(IndexStore& store) : store_(store) {}
  ~CheckpointedIndex() override { finish_checkpoint(); }

  std::optional<model::Counted> find(model::PartitionId partition, model::PollNumber poll,
                                     const model::VoterKey& voter) override;
  void insert(model::PartitionId partition, model::PollNumber poll, const model::VoterKey& voter,
              const model::Counted& counted) override;
  model::PartitionImage load(model::PartitionId partition) override {
    return store_.load(partition);
  }
  std::size_t recent() const override { return recent_.size(); }
  bool ready_for_checkpoint() const override;
  void begin_checkpoint(std::vector<model::PartitionImage> images) override;
  void finish_checkpoint() override;

 private:
  struct Key {
    model::PartitionId partition;
    model::PollNumber poll;
    model::VoterKey voter;
    friend auto operator<=>(const Key&, const Key&) = default;
    friend std::size_t hash_value(const Key& key) {
      return hash_value(key.voter) + key.poll.value * 0x9E3779B97F4A7C15;
    }
  };
  using Recent = boost::unordered_flat_map<Key, model::Counted>;

  using Entries = std::vector<std::pair<std::string, std::string>>;

  void write_checkpoint(const std::vector<model::PartitionImage>& images) const;
  rocksdb::Status write_file(const Entries& entries,
                             const std::vector<const Recent::value_type*>& voters) const;

  IndexStore& store_;
  Recent recent_;
  Recent frozen_;  // being written: read by the writer and by find, changed by nobody
  std::future<void> writing_;
  // Voters whom find() did not see in the store. A voter is looked for when the ballot comes and
  // again when its record is applied; in between only insert() could have let them in.
  boost::unordered_flat_set<Key> absent_;
};

}  // namespace veche::storage
