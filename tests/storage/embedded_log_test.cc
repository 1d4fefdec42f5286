#include "storage/log/embedded_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "engine/model/record.h"
#include "storage/keys.h"
#include "tests/eventually.h"
#include "tests/storage/faulty_file_system.h"
#include "tests/storage/storage_fixture.h"

namespace veche::storage {
namespace {

using model::AppendStatus;
using model::kControl;
using model::Offset;
using model::PartitionId;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr PartitionId kFirst{0};

class EmbeddedLogTest : public testing::Test {
 protected:
  EmbeddedLogOptions options(const char* name = "log") const {
    EmbeddedLogOptions options;
    options.folder = folder_ / name;
    options.partitions = 2;
    options.disk_reserve_bytes = 1;
    options.on_fatal = [](const std::string& why) { ADD_FAILURE() << why; };
    return options;
  }
  std::unique_ptr<EmbeddedLog> open(const char* name = "log") const {
    return EmbeddedLog::open(options(name)).value();
  }
  std::string refusal(const char* name = "log") const {
    auto opened = EmbeddedLog::open(options(name));
    return opened ? "" : opened.error().message;
  }
  // All records of a partition, GENESIS left out.
  static std::vector<std::string> read(EmbeddedLog& log, PartitionId partition = kFirst) {
    Heard heard;
    log.consume(partition, {0}, heard);
    auto records = heard.wait_for(log.end(partition).offset.value);
    log.close();
    EXPECT_TRUE(heard.in_order());
    records.erase(records.begin());
    return records;
  }
  // Appends and waits until all of it is durable.
  static void write(EmbeddedLog& log, const std::vector<std::string>& records,
                    PartitionId partition = kFirst) {
    const auto end = log.end(partition).offset.plus(records.size());
    ASSERT_EQ(log.append(partition, batch(records)), AppendStatus::queued);
    ASSERT_TRUE(tests::eventually([&] { return log.end(partition).offset >= end; }));
  }
  std::filesystem::path newest_wal(const char* name) const {
    std::filesystem::path newest;
    for (const auto& file : std::filesystem::directory_iterator(folder_ / name))
      if (file.path().extension() == ".log" && std::filesystem::file_size(file) > 0)
        newest = std::max(newest, file.path());
    return newest;
  }

  TempFolder folder_;
};

TEST_F(EmbeddedLogTest, BeginsWithGenesisInEveryPartition) {
  const auto log = open();
  for (const auto id : {kFirst, PartitionId{1}, kControl}) {
    Heard heard;
    log->consume(id, {0}, heard);
    const auto records = heard.wait_for(1);
    ASSERT_EQ(records.size(), 1u);
    v1::Record record;
    ASSERT_EQ(model::decode(records[0], record), model::Decoded::ours);
    EXPECT_EQ(record.genesis().partitions(), 2u);
    EXPECT_EQ(record.genesis().log_id(), log->id().view());
  }
}

TEST_F(EmbeddedLogTest, BringsBackWhatWasAppendedInOrder) {
  {
    const auto log = open();
    write(*log, {"a", "b"});
    write(*log, {"", std::string(100'000, 'c')});
    write(*log, {"elsewhere"}, kControl);
    EXPECT_EQ(log->end(kFirst).offset, Offset{5});
    EXPECT_EQ(log->end(PartitionId{1}).offset, Offset{1});
  }
  const auto log = open();
  EXPECT_EQ(log->end(kFirst).offset, Offset{5});
  EXPECT_THAT(read(*log), ElementsAre("a", "b", "", std::string(100'000, 'c')));
}

TEST_F(EmbeddedLogTest, KeepsItsIdAndItsPartitions) {
  const auto id = open()->id();
  auto other = options();
  other.partitions = 7;
  const auto log = EmbeddedLog::open(other).value();
  EXPECT_EQ(log->partitions(), 2);
  EXPECT_EQ(log->id(), id);
}

TEST_F(EmbeddedLogTest, IsBoundToItsSecret) {
  open();
  auto other = options();
  other.secret_check[15] = 1;
  auto opened = EmbeddedLog::open(other);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("another voter secret"));
}

TEST_F(EmbeddedLogTest, DeliversFromTheMiddleOfAGroup) {
  const auto log = open();
  write(*log, {"a", "b", "c"});
  Heard heard(2);
  log->consume(kFirst, {2}, heard);
  EXPECT_THAT(heard.wait_for(2), ElementsAre("b", "c"));
  write(*log, {"d"});
  EXPECT_THAT(heard.wait_for(3), ElementsAre("b", "c", "d"));
  log->close();
  EXPECT_TRUE(heard.in_order());
}

TEST_F(EmbeddedLogTest, DeliversNothingOldToAConsumerAtItsEnd) {
  const auto log = open();
  write(*log, {"a"});
  Heard heard(2);
  log->consume(kFirst, {2}, heard);
  write(*log, {"b"});
  log->close();
  EXPECT_THAT(heard.wait_for(1), ElementsAre("b"));
}

TEST_F(EmbeddedLogTest, GivesEverythingOnceToAConsumerThatJoinsWhileOthersAppend) {
  const auto log = open();
  constexpr int kRecords = 3'000;
  std::thread appender([&] {
    for (int i = 0; i < kRecords; ++i)
      ASSERT_EQ(log->append(kFirst, batch({std::to_string(i)})), AppendStatus::queued);
  });
  while (log->end(kFirst).offset < Offset{10}) std::this_thread::yield();
  Heard heard;
  log->consume(kFirst, {0}, heard);
  appender.join();
  log->close();
  const auto records = heard.wait_for(kRecords + 1);
  ASSERT_EQ(records.size(), kRecords + 1u);
  EXPECT_TRUE(heard.in_order());
  for (int i = 0; i < kRecords; ++i) ASSERT_EQ(records[i + 1], std::to_string(i));
}

TEST_F(EmbeddedLogTest, DeliversWhatIsQueuedBeforeItCloses) {
  const auto log = open();
  Heard heard;
  log->consume(kFirst, {0}, heard);
  for (int i = 0; i < 100; ++i) log->append(kFirst, batch({"x"}));
  log->close();
  EXPECT_EQ(heard.wait_for(101).size(), 101u);
  EXPECT_EQ(log->append(kFirst, batch({"late"})), AppendStatus::closed);
  EXPECT_EQ(open("other")->end(kFirst).offset, Offset{1});
}

TEST_F(EmbeddedLogTest, TakesNothingWhenItsQueueIsFull) {
  // A consumer that does not return holds the committer, and the queue fills.
  class Stuck final : public model::LogSink {
   public:
    void deliver(PartitionId, Offset, model::RecordBatch, Offset) override {
      std::unique_lock lock(mutex_);
      free_.wait(lock, [&] { return released_; });
    }
    void release() {
      const std::lock_guard lock(mutex_);
      released_ = true;
      free_.notify_all();
    }

   private:
    std::mutex mutex_;
    std::condition_variable free_;
    bool released_ = false;
  } stuck;
  const auto log = open();
  log->consume(kFirst, {0}, stuck);
  const auto half = batch({std::string(limits::kAppendQueueBytes / 2 - 4, 'x')});
  auto status = AppendStatus::queued;
  int taken = 0;
  for (; taken < 10 && status == AppendStatus::queued; ++taken) {
    status = log->append(kFirst, half);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(status, AppendStatus::full);
  EXPECT_LE(taken, 5);
  stuck.release();
  log->close();
  EXPECT_EQ(log->end(kFirst).offset,
            (Offset{static_cast<std::uint64_t>(taken)}));  // GENESIS, and no more
}

TEST_F(EmbeddedLogTest, DoesNotOpenOnADiskThatIsNearlyFull) {
  auto wanting = options();
  wanting.disk_reserve_bytes = std::uint64_t{1} << 60;
  auto opened = EmbeddedLog::open(wanting);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("make room"));
}

TEST_F(EmbeddedLogTest, TakesNothingWhileTheDiskIsNearlyFull) {
  constexpr std::uint64_t kMargin = 200u << 20;
  const auto free = std::filesystem::space(folder_ / "").available;
  if (free < 2 * kMargin) GTEST_SKIP() << "needs 400 MiB of free disk";
  auto wanting = options();
  wanting.disk_reserve_bytes = free - kMargin;
  const auto log = EmbeddedLog::open(wanting).value();
  const auto ballast = (folder_ / "ballast").string();
  const int file = ::open(ballast.c_str(), O_CREAT | O_WRONLY, 0600);
  const bool filled = ::posix_fallocate(file, 0, 2 * kMargin) == 0;
  ::close(file);
  if (!filled) GTEST_SKIP() << "the file system cannot be filled";
  const auto becomes = [&](AppendStatus expected) {
    return tests::eventually([&] { return log->append(kFirst, batch({"x"})) == expected; });
  };
  EXPECT_TRUE(becomes(AppendStatus::full));
  std::filesystem::remove(ballast);
  EXPECT_TRUE(becomes(AppendStatus::queued));
}

TEST_F(EmbeddedLogTest, SaysSoWhenItsPlaceIsNotThere) {
  EXPECT_THAT(refusal("no/such/log"), HasSubstr("cannot be looked at"));
}

TEST_F(EmbeddedLogTest, OpensUnderARelativeName) {
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder_ / "");
  auto relative = options();
  relative.folder = "log";
  EXPECT_TRUE(EmbeddedLog::open(relative));
  std::filesystem::current_path(here);
}

// --- Damage ------------------------------------------------------------------------------------

TEST_F(EmbeddedLogTest, ForgivesATornLastWrite) {
  const auto log = open();
  for (const auto* record : {"a", "b", "c"}) write(*log, {record});
  copy_folder(folder_ / "log", folder_ / "image");
  const auto wal = newest_wal("image");
  std::filesystem::resize_file(wal, std::filesystem::file_size(wal) - 3);
  EXPECT_THAT(read(*open("image")), ElementsAre("a", "b"));
}

TEST_F(EmbeddedLogTest, DoesNotOpenBehindADamagedGroup) {
  const auto log = open();
  for (const auto* record : {"aaaaaaaa", "bbbbbbbb", "cccccccc"}) write(*log, {record});
  copy_folder(folder_ / "log", folder_ / "image");
  const auto wal = newest_wal("image");
  std::ifstream in(wal, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto at = bytes.find("bbbbbbbb");
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  std::ofstream(wal, std::ios::binary) << bytes;
  EXPECT_THAT(refusal("image"), HasSubstr("does not open"));
}

// Removes a group behind the log's back.
void lose(const std::filesystem::path& folder, PartitionId partition, std::uint64_t first) {
  rocksdb::DB* raw = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(rocksdb::Options(), folder.string(), &raw).ok());
  const std::unique_ptr<rocksdb::DB> db(raw);
  std::string key;
  put_big_endian(key, partition.value);
  put_big_endian(key, first);
  ASSERT_TRUE(db->Delete(rocksdb::WriteOptions(), key).ok());
}

struct Hole {
  const char* name;
  std::vector<std::uint64_t> lost;  // groups are GENESIS, 1, 2, 3
};
class EmbeddedLogHoleTest : public EmbeddedLogTest, public testing::WithParamInterface<Hole> {};

TEST_P(EmbeddedLogHoleTest, IsRefused) {
  {
    const auto log = open();
    for (const auto* record : {"a", "b", "c"}) write(*log, {record});
  }
  for (const auto first : GetParam().lost) lose(folder_ / "log", kFirst, first);
  EXPECT_THAT(refusal(), HasSubstr("restore the log"));
}
INSTANTIATE_TEST_SUITE_P(Holes, EmbeddedLogHoleTest,
                         testing::Values(Hole{"before_the_last_group", {2}},
                                         Hole{"all_but_the_last_group", {0, 1, 2}},
                                         Hole{"everything", {0, 1, 2, 3}}),
                         [](const auto& row) { return row.param.name; });

TEST_F(EmbeddedLogTest, TellsOfAHoleFartherBackWhenItIsRead) {
  {
    const auto log = open();
    for (const auto* record : {"a", "b", "c"}) write(*log, {record});
  }
  lose(folder_ / "log", kFirst, 1);
  std::atomic<int> told{0};
  auto watched = options();
  watched.on_fatal = [&](const std::string& why) {
    EXPECT_THAT(why, HasSubstr("has a hole at offset 1"));
    ++told;
  };
  const auto log = EmbeddedLog::open(watched).value();
  Heard heard;
  log->consume(kFirst, {0}, heard);
  log->close();
  EXPECT_EQ(told, 1);
}

// --- A disk that fails -------------------------------------------------------------------------

TEST_F(EmbeddedLogTest, HasEverythingThatItDeliveredAfterAPowerCut) {
  for (const std::uintmax_t torn : {0, 1, 7, 12, 100}) {
    SCOPED_TRACE(torn);
    const auto disk = std::make_shared<FaultyFileSystem>();
    const auto env = rocksdb::NewCompositeEnv(disk);
    const auto name = "log" + std::to_string(torn), image = "image" + std::to_string(torn);
    auto on_disk = options(name.c_str());
    on_disk.env = env.get();
    const auto log = EmbeddedLog::open(on_disk).value();
    for (int i = 0; i < 20; ++i) write(*log, {std::to_string(i)});
    disk->crash_image(folder_ / name.c_str(), folder_ / image.c_str(), torn);
    EXPECT_EQ(read(*open(image.c_str())).size(), 20u);
  }
}

// Whichever of its reads fails: it says so, and it does not say that anything is lost.
TEST_F(EmbeddedLogTest, TellsAReadErrorAtItsStartAsThat) {
  {
    const auto log = open();
    for (const auto* record : {"a", "b", "c"}) write(*log, {record});
  }
  for (const char* error : {"Input/output error", "Too many open files"}) {
    int told = 0;
    for (int after = 0;; ++after) {
      SCOPED_TRACE(after);
      const auto name = "log" + std::to_string(after);
      copy_folder(folder_ / "log", folder_ / name.c_str());
      const auto disk = std::make_shared<FaultyFileSystem>();
      const auto env = rocksdb::NewCompositeEnv(disk);
      auto on_disk = options(name.c_str());
      on_disk.env = env.get();
      disk->fail_a_read(after, error);
      const auto log = EmbeddedLog::open(on_disk);
      const bool has_failed = disk->has_failed_a_read();
      if (log) {
        EXPECT_EQ((*log)->end(kFirst).offset, Offset{4});
        (*log)->close();
      } else {
        ++told;
        EXPECT_THAT(log.error().message,
                    testing::AllOf(testing::AnyOf(HasSubstr(error), HasSubstr("Direct I/O")),
                                   HasSubstr("Nothing is known to be lost"),
                                   testing::Not(HasSubstr("restore"))));
      }
      std::filesystem::remove_all(folder_ / name.c_str());
      if (!has_failed) break;
    }
    EXPECT_GE(told, 5);
  }
}

TEST_F(EmbeddedLogTest, TellsAReadErrorWhileItCatchesUpAsThat) {
  constexpr std::size_t kRecords = 100;
  {
    const auto log = open();
    for (std::size_t i = 0; i < kRecords; ++i) write(*log, {std::string(10'000, 'x')});
  }
  int times_told = 0;
  for (int after = 0; after < 5; ++after) {
    const auto disk = std::make_shared<FaultyFileSystem>();
    const auto env = rocksdb::NewCompositeEnv(disk);
    std::string told;
    auto on_disk = options();
    on_disk.env = env.get();
    on_disk.on_fatal = [&](const std::string& why) { told = why; };
    const auto log = EmbeddedLog::open(on_disk).value();
    disk->fail_a_read(after, "Input/output error");
    Heard heard;
    log->consume(kFirst, {0}, heard);
    log->close();
    if (told.empty()) {  // RocksDB had only read ahead, and has tried again
      EXPECT_EQ(heard.wait_for(kRecords + 1).size(), kRecords + 1);
      continue;
    }
    ++times_told;
    EXPECT_THAT(told, testing::AllOf(HasSubstr("Input/output error"),
                                     HasSubstr("Nothing is known to be lost"),
                                     testing::Not(HasSubstr("restore"))));
  }
  EXPECT_GE(times_told, 1);
}

TEST_F(EmbeddedLogTest, TellsAnEndThatHasAllOfItsTime) {
  Heard heard;
  EmbeddedLog* growing = nullptr;
  auto timed = options();
  timed.clock = [&] {
    growing->append(kFirst, batch({"while the clock is read"}));
    heard.wait_for(2);
    return wall_clock();
  };
  const auto log = EmbeddedLog::open(timed).value();
  growing = log.get();
  log->consume(kFirst, {0}, heard);
  EXPECT_EQ(log->end(kFirst).offset, Offset{2});
}

TEST_F(EmbeddedLogTest, DeliversNothingOfAGroupThatIsNotSynced) {
  const auto disk = std::make_shared<FaultyFileSystem>();
  const auto env = rocksdb::NewCompositeEnv(disk);
  std::atomic<int> told{0};
  auto on_disk = options();
  on_disk.env = env.get();
  on_disk.on_fatal = [&](const std::string& why) {
    EXPECT_THAT(why, HasSubstr("the disk is broken"));
    ++told;
  };
  const auto log = EmbeddedLog::open(on_disk).value();
  Heard heard;
  log->consume(kFirst, {0}, heard);
  write(*log, {"good"});
  disk->fail_syncs();
  log->append(kFirst, batch({"lost"}));
  log->close();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(heard.wait_for(2).size(), 2u);
  EXPECT_EQ(log->end(kFirst).offset, Offset{2});
  disk->crash_image(folder_ / "log", folder_ / "image", 5);
  EXPECT_THAT(read(*open("image")), ElementsAre("good"));
}

}  // namespace
}  // namespace veche::storage
