// What durability and the voter index cost: groups of records into the log with one sync each, a
// checkpoint, a lookup, and apply over the real index. Every answer is proven before it is timed.
// The time is the wall's, the CPU that of the whole process with RocksDB's own threads.
// A disk may change its pace within minutes, so the layouts of the log take turns:
//
//   veche_micro --benchmark_filter='index_|apply_over' --benchmark_repetitions=3
//   veche_micro --benchmark_filter=log_ --benchmark_repetitions=3
//               --benchmark_enable_random_interleaving=true
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <utility>

#include "bench/micro/harness.h"
#include "storage/index/checkpointed_index.h"
#include "storage/keys.h"
#include "storage/log/embedded_log.h"

namespace {

using namespace veche;
using namespace veche::bench;

constexpr model::PartitionId kPartition{0};

// --- The log -----------------------------------------------------------------------------------

// The next ballots of the workload, as many as a group has.
model::RecordBatch group_of(std::size_t records) {
  static const auto log = workload().log();
  model::RecordBatch group;
  auto record = ++log.begin();  // behind OPEN
  for (; group.count() < records; ++record) group.push(*record);
  return group;
}

// Waits for what was appended, and keeps it if asked to.
class Consumer final : public model::LogSink {
 public:
  void deliver(model::PartitionId, model::Offset first, model::RecordBatch records,
               model::Offset) override {
    const std::lock_guard lock(mutex_);
    prove(first.value == next_, "offsets without gaps");
    next_ += records.count();
    if (keeps_) kept_.append(records);
    arrived_.notify_one();
  }
  model::RecordBatch wait_until(model::Offset end) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return next_ >= end.value; });
    return std::exchange(kept_, {});
  }
  void keep_nothing() {
    const std::lock_guard lock(mutex_);
    keeps_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::uint64_t next_ = 0;
  bool keeps_ = true;
  model::RecordBatch kept_;
};

std::unique_ptr<storage::EmbeddedLog> open_log(const std::filesystem::path& folder) {
  storage::EmbeddedLogOptions options;
  options.folder = folder;
  options.on_fatal = [](const std::string& why) { prove(false, why.c_str()); };
  return std::move(storage::EmbeddedLog::open(std::move(options)).value());
}

model::Offset append(storage::EmbeddedLog& log, const model::RecordBatch& group,
                     model::Offset end) {
  prove(log.append(kPartition, group) == model::AppendStatus::queued, "an append is taken");
  return end.plus(group.count());
}

// A group is delivered as it was appended, and again by the log that is opened next.
void prove_log(const std::filesystem::path& folder, const model::RecordBatch& group) {
  std::string told;
  for (const bool reopened : {false, true}) {
    Consumer consumer;
    const auto log = open_log(folder);
    log->consume(kPartition, {0}, consumer);
    if (!reopened) append(*log, group, {1});
    const auto records = consumer.wait_until({1 + group.count()});
    prove(records.bytes().ends_with(group.bytes()), "the records of a group");
    prove(!reopened || records.bytes() == told, "the same log after it was opened again");
    told = records.bytes();
    log->close();
  }
}

// One group on its way at a time: append, sync, deliver; the argument is the group's records.
void log_embedded(benchmark::State& state) {
  const TempFolder folder;
  const auto group = group_of(static_cast<std::size_t>(state.range(0)));
  prove_log(folder / "proven", group);
  Consumer consumer;
  const auto log = open_log(folder / "timed");
  log->consume(kPartition, {0}, consumer);
  consumer.keep_nothing();
  auto end = log->end(kPartition).offset;
  for (auto _ : state) {
    end = append(*log, group, end);
    consumer.wait_until(end);
  }
  log->close();
  count_items(state, group.count());
}

// RocksDB alone, with the options of the embedded log, in one of two layouts.
enum class Layout { value_per_group, value_per_record };

class RawLog {
 public:
  RawLog(const std::filesystem::path& folder, Layout layout) : layout_(layout) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.max_bgerror_resume_count = 0;
    options.compression = rocksdb::kNoCompression;
    options.keep_log_file_num = 4;
    options.max_background_jobs = 2;
    rocksdb::DB* raw = nullptr;
    prove(rocksdb::DB::Open(options, folder.string(), &raw).ok(), "a log opens");
    db_.reset(raw);
  }

  void write(const model::RecordBatch& group) {
    rocksdb::WriteBatch batch;
    if (layout_ == Layout::value_per_group)
      batch.Put(key(next_), group.bytes());
    else
      for (std::uint64_t at = next_; const auto record : group) batch.Put(key(at++), record);
    next_ += group.count();
    rocksdb::WriteOptions synced;
    synced.sync = true;
    prove(db_->Write(synced, &batch).ok(), "a synced write");
  }

  // Everything that is stored, whatever the layout.
  model::RecordBatch read() const {
    model::RecordBatch all;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next())
      if (layout_ == Layout::value_per_group)
        all.append(model::RecordBatch::adopt(at->value().ToString()));
      else
        all.push(at->value().ToStringView());
    return all;
  }

 private:
  static std::string key(std::uint64_t offset) {
    std::string key;
    storage::put_big_endian(key, kPartition.value);
    storage::put_big_endian(key, offset);
    return key;
  }

  const Layout layout_;
  std::unique_ptr<rocksdb::DB> db_;
  std::uint64_t next_ = 0;
};

void log_rocksdb(benchmark::State& state, Layout layout) {
  const TempFolder folder;
  const auto group = group_of(static_cast<std::size_t>(state.range(0)));
  RawLog(folder / "proven", layout).write(group);
  prove(RawLog(folder / "proven", layout).read().bytes() == group.bytes(),
        "the records of a group, after the log was opened again");
  RawLog log(folder / "timed", layout);
  for (auto _ : state) log.write(group);
  count_items(state, group.count());
}

// Each form writes the same groups, fixed in number, so that flushes weigh on each alike.
void groups(benchmark::internal::Benchmark* log) {
  log->MeasureProcessCPUTime()->UseRealTime();
  log->Arg(1)->Arg(64)->Arg(1'024)->Iterations(2'000);
}
BENCHMARK(log_embedded)->Apply(groups);
BENCHMARK_CAPTURE(log_rocksdb, value_per_group, Layout::value_per_group)->Apply(groups);
BENCHMARK_CAPTURE(log_rocksdb, value_per_record, Layout::value_per_record)->Apply(groups);

// --- The index ---------------------------------------------------------------------------------

constexpr model::PollNumber kPoll{0};

// Voters in an order of their own; the same seed draws the same ones.
class Voters {
 public:
  explicit Voters(std::uint64_t seed) : engine_(seed) {}
  model::VoterKey next() {
    const std::uint64_t words[2] = {engine_(), engine_()};
    model::VoterKey voter;
    std::memcpy(voter.bytes.data(), words, sizeof words);
    return voter;
  }

 private:
  std::mt19937_64 engine_;
};
constexpr std::uint64_t kKnown = 1;    // seeds: voters who are in the index,
constexpr std::uint64_t kUnknown = 2;  // and voters who are not

model::Counted counted_of(const model::VoterKey& voter) {
  model::Counted counted{{voter.bytes[0]}, {}};
  counted.digest.bytes = voter.bytes;
  return counted;
}

// An index of `checkpoints` checkpoints of the largest size, and `recent` voters above them. The
// voters are the first ones of kKnown.
struct FilledIndex {
  FilledIndex(std::size_t checkpoints, std::size_t recent)
      : store(storage::IndexStore::open(folder / "index", {}).value()), index(*store) {
    for (std::size_t c = 0; c < checkpoints; ++c) {
      insert(limits::kCheckpointKeys);
      checkpoint();
    }
    insert(recent);
    prove_lookups();
  }

  void insert(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const auto voter = known.next();
      index.insert(kPartition, kPoll, voter, counted_of(voter));
    }
    size += count;
  }
  void checkpoint() {
    model::PartitionImage image;
    image.position.next = {size};
    index.begin_checkpoint({image});
    index.finish_checkpoint();
  }
  void prove_lookups() {
    Voters those(kKnown), others(kUnknown);
    for (std::size_t i = 0; i < size; ++i) {
      const auto voter = those.next();
      prove(index.find(kPartition, kPoll, voter) == counted_of(voter), "a voter who is counted");
      prove(!index.find(kPartition, kPoll, others.next()), "a voter who is not counted");
    }
  }

  TempFolder folder;
  std::unique_ptr<storage::IndexStore> store;
  storage::CheckpointedIndex index;
  Voters known{kKnown};
  std::size_t size = 0;
};

// A checkpoint of as many keys as are ever frozen, each on top of those before it.
void index_checkpoint(benchmark::State& state) {
  FilledIndex filled(0, 0);
  for (auto _ : state) {
    state.PauseTiming();
    filled.insert(limits::kCheckpointKeys);
    state.ResumeTiming();
    filled.checkpoint();
  }
  filled.prove_lookups();
  prove(filled.store->load(kPartition).position.next.value == filled.size,
        "the position that belongs to the voters");
  count_items(state, limits::kCheckpointKeys);
}
BENCHMARK(index_checkpoint)
    ->Iterations(4)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// The voters asked for are drawn beforehand, far more than a cache of the CPU holds.
void look_up(benchmark::State& state, FilledIndex& filled, std::uint64_t seed) {
  Voters drawn(seed);
  std::vector<model::VoterKey> voters(filled.size);
  for (auto& voter : voters) voter = drawn.next();
  std::shuffle(voters.begin(), voters.end(), std::mt19937_64(3));
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(filled.index.find(kPartition, kPoll, voters[next]));
    if (++next == voters.size()) next = 0;
  }
  count_items(state, 1);
}

FilledIndex& million_in_checkpoints() {
  static FilledIndex filled(2, 0);
  return filled;
}

void index_find_in_checkpoints(benchmark::State& state, std::uint64_t seed) {
  look_up(state, million_in_checkpoints(), seed);
}
BENCHMARK_CAPTURE(index_find_in_checkpoints, counted, kKnown);
BENCHMARK_CAPTURE(index_find_in_checkpoints, not_counted, kUnknown);

void index_find_in_recent(benchmark::State& state, std::uint64_t seed) {
  static FilledIndex filled(0, limits::kCheckpointKeys - 1);
  look_up(state, filled, seed);
}
BENCHMARK_CAPTURE(index_find_in_recent, counted, kKnown);
BENCHMARK_CAPTURE(index_find_in_recent, not_counted, kUnknown);

// --- Apply over it -----------------------------------------------------------------------------

void apply_over(benchmark::State& state, storage::IndexStore& store) {
  storage::CheckpointedIndex proven(store);
  prove_apply(proven);
  const auto log = workload().log();
  for (auto _ : state) {
    state.PauseTiming();
    auto index = std::make_unique<storage::CheckpointedIndex>(store);
    auto partition = std::make_unique<apply::Partition>(model::PartitionImage(), *index);
    state.ResumeTiming();
    apply_all(*partition, {0}, log);
    state.PauseTiming();
    partition.reset();
    index.reset();
    state.ResumeTiming();
  }
  count_items(state, workload().ballots().size());
}

void apply_over_empty_index(benchmark::State& state) {
  FilledIndex filled(0, 0);
  apply_over(state, *filled.store);
}
BENCHMARK(apply_over_empty_index)->Unit(benchmark::kMillisecond);

void apply_over_million_in_checkpoints(benchmark::State& state) {
  apply_over(state, *million_in_checkpoints().store);
}
BENCHMARK(apply_over_million_in_checkpoints)->Unit(benchmark::kMillisecond);

}  // namespace
