#include "storage/log/embedded_log_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/log/embedded_log.h"
#include "tests/eventually.h"
#include "tests/storage/faulty_file_system.h"
#include "tests/storage/storage_fixture.h"

namespace veche::storage {
namespace {

using model::Offset;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr model::PartitionId kWritten{1};

class LogReaderTest : public testing::Test {
 protected:
  LogReaderTest() {
    EmbeddedLogOptions options;
    options.folder = folder_ / "log";
    options.partitions = 2;
    options.disk_reserve_bytes = 1;
    options.on_fatal = [](const std::string& why) { ADD_FAILURE() << why; };
    log_ = EmbeddedLog::open(std::move(options)).value();
  }
  // One group, durable on return.
  void write(const std::vector<std::string>& records) {
    const auto end = log_->end(kWritten).offset.plus(records.size());
    ASSERT_EQ(log_->append(kWritten, batch(records)), model::AppendStatus::queued);
    ASSERT_TRUE(tests::eventually([&] { return log_->end(kWritten).offset >= end; }));
  }
  // The records of [from, to), each with its offset before it.
  static std::vector<std::string> read(const LogReader& reader, std::uint64_t from,
                                       std::uint64_t to) {
    std::vector<std::string> records;
    const auto done = reader.for_each(
        kWritten, {from}, {to}, [&](Offset at, std::string_view record) -> Result<void> {
          records.push_back(std::to_string(at.value) + " " + std::string(record));
          return {};
        });
    EXPECT_TRUE(done) << done.error().message;
    return records;
  }

  TempFolder folder_;
  std::unique_ptr<EmbeddedLog> log_;
};

TEST_F(LogReaderTest, ReadsAnyRangeOfAStoppedLogAcrossItsGroups) {
  write({"a", "b", "c"});
  write({"d", "e"});
  log_.reset();
  const auto reader = EmbeddedLogReader::open(folder_ / "log").value();
  EXPECT_EQ(reader->partitions(), 2);
  EXPECT_EQ(reader->end(kWritten).value(), Offset{6});
  EXPECT_THAT(read(*reader, 1, 6), ElementsAre("1 a", "2 b", "3 c", "4 d", "5 e"));
  EXPECT_THAT(read(*reader, 2, 5), ElementsAre("2 b", "3 c", "4 d"));
  EXPECT_THAT(read(*reader, 3, 3), ElementsAre());
}

TEST_F(LogReaderTest, ReadsBesideARunningWriterWhatWasDurableWhenItWasOpened) {
  write({"a"});
  const auto reader = EmbeddedLogReader::open_live(folder_ / "log", folder_ / "scratch").value();
  write({"b"});
  EXPECT_THAT(read(*reader, 1, 2), ElementsAre("1 a"));
  const auto later = EmbeddedLogReader::open_live(folder_ / "log", folder_ / "scratch2").value();
  EXPECT_THAT(read(*later, 1, 3), ElementsAre("1 a", "2 b"));
}

TEST_F(LogReaderTest, SaysWhereALogEndsThatShouldGoOn) {
  write({"a"});
  log_.reset();
  const auto reader = EmbeddedLogReader::open(folder_ / "log").value();
  const auto nothing = [](Offset, std::string_view) -> Result<void> { return {}; };
  const auto done = reader->for_each(kWritten, {0}, {3}, nothing);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("ends at offset 2"));
}

TEST_F(LogReaderTest, StopsAtTheFirstFaultOfItsReader) {
  write({"a", "b"});
  log_.reset();
  const auto reader = EmbeddedLogReader::open(folder_ / "log").value();
  int taken = 0;
  const auto done =
      reader->for_each(kWritten, {1}, {3}, [&](Offset, std::string_view) -> Result<void> {
        ++taken;
        return Fault{"enough"};
      });
  EXPECT_EQ(done.error().message, "enough");
  EXPECT_EQ(taken, 1);
}

// Whichever of its reads fails, until one time all goes well.
TEST_F(LogReaderTest, TellsAReadErrorAsThat) {
  write({"a", "b"});
  log_.reset();
  int told = 0;
  for (int after = 0;; ++after) {
    const auto disk = std::make_shared<FaultyFileSystem>();
    const auto env = rocksdb::NewCompositeEnv(disk);
    disk->fail_a_read(after, "Input/output error");
    const auto read_all = [&]() -> Result<void> {
      const auto reader = EmbeddedLogReader::open(folder_ / "log", env.get());
      if (!reader) return reader.error();
      const auto end = (*reader)->end(kWritten);
      if (!end) return end.error();
      EXPECT_EQ(*end, Offset{3}) << after;
      return (*reader)->for_each(kWritten, {0}, *end,
                                 [](Offset, std::string_view) -> Result<void> { return {}; });
    };
    if (const auto done = read_all(); !done) {
      ++told;
      EXPECT_THAT(done.error().message,
                  AllOf(HasSubstr("Input/output error"), HasSubstr("Nothing is known to be lost")));
    }
    if (!disk->has_failed_a_read()) break;
  }
  EXPECT_GE(told, 3);
}

TEST_F(LogReaderTest, SaysThatThereIsNoLog) {
  const auto nowhere = folder_ / "nothing";
  for (const auto& opened :
       {EmbeddedLogReader::open(nowhere), EmbeddedLogReader::open_live(nowhere, folder_ / "own")}) {
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, AllOf(HasSubstr("there is no log in " + nowhere.string()),
                                              HasSubstr("--data"), Not(HasSubstr("damaged"))));
  }
  EXPECT_FALSE(std::filesystem::exists(nowhere));
}

TEST_F(LogReaderTest, TakesALogThatLostAFileForDamaged) {
  log_.reset();
  std::filesystem::remove(folder_ / "log/CURRENT");
  for (const auto& opened : {EmbeddedLogReader::open(folder_ / "log"),
                             EmbeddedLogReader::open_live(folder_ / "log", folder_ / "own")}) {
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, HasSubstr("damaged"));
  }
}

}  // namespace
}  // namespace veche::storage
