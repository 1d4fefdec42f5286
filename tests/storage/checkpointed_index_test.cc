#include "storage/index/checkpointed_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/resource.h>

#include <thread>

#include <algorithm>

#include "engine/apply/partition.h"
#include "tests/engine/samples.h"
#include "tests/storage/faulty_file_system.h"
#include "tests/storage/storage_fixture.h"

namespace veche::storage {
namespace {

using model::Counted;
using model::PartitionId;
using model::PollNumber;
using samples::voter;

constexpr PartitionId kHere{5};
constexpr PollNumber kPoll{0};

Counted counted(std::uint64_t offset) {
  return {{offset}, samples::bytes16<model::Digest>(offset)};
}

model::PartitionImage image_at(std::uint64_t next, std::vector<model::PollImage> polls = {}) {
  return {kHere,
          {{next}, samples::bytes16<model::RollingHash>(next)},
          samples::bytes16<model::RollingHash>(next + 100),
          next + 1,
          next + 2,
          std::move(polls)};
}

class CheckpointedIndexTest : public testing::Test {
 protected:
  std::unique_ptr<IndexStore> open(const char* name = "index") const {
    return IndexStore::open(folder_ / name, {}).value();
  }
  static void checkpoint(CheckpointedIndex& index, model::PartitionImage image) {
    index.begin_checkpoint({std::move(image)});
    index.finish_checkpoint();
  }
  TempFolder folder_;
};

TEST_F(CheckpointedIndexTest, FindsWhatWasInsertedBeforeDuringAndAfterACheckpoint) {
  const auto store = open();
  CheckpointedIndex index(*store);
  index.insert(kHere, kPoll, voter(1), counted(1));
  EXPECT_EQ(index.find(kHere, kPoll, voter(1)), counted(1));
  index.begin_checkpoint({image_at(2)});
  EXPECT_EQ(index.recent(), 0u);
  index.insert(kHere, kPoll, voter(2), counted(2));
  EXPECT_EQ(index.find(kHere, kPoll, voter(1)), counted(1));
  EXPECT_EQ(index.find(kHere, kPoll, voter(2)), counted(2));
  index.finish_checkpoint();
  EXPECT_TRUE(index.ready_for_checkpoint());
  EXPECT_EQ(index.find(kHere, kPoll, voter(1)), counted(1));
  EXPECT_EQ(index.find(kHere, kPoll, voter(3)), std::nullopt);
}

TEST_F(CheckpointedIndexTest, KeepsPartitionsPollsAndVotersApart) {
  const auto store = open();
  CheckpointedIndex index(*store);
  index.insert({1}, {256}, voter(1), counted(1));
  for (const bool written : {false, true}) {
    EXPECT_TRUE(index.find({1}, {256}, voter(1)));
    EXPECT_FALSE(index.find({256}, {256}, voter(1)));
    EXPECT_FALSE(index.find({1}, {1}, voter(1)));
    EXPECT_FALSE(index.find({1}, {256}, voter(2)));
    if (!written) checkpoint(index, image_at(1));
  }
}

TEST_F(CheckpointedIndexTest, LoadsTheLastCheckpointAndNothingLater) {
  {
    const auto store = open();
    CheckpointedIndex index(*store);
    index.insert(kHere, kPoll, voter(1), counted(1));
    checkpoint(index, image_at(2, {{{0}, "zero"}, {{1}, "one"}}));
    index.insert(kHere, kPoll, voter(2), counted(2));
    checkpoint(index, image_at(3, {{{1}, "one anew"}}));
    index.insert(kHere, kPoll, voter(3), counted(3));
  }
  const auto store = open();
  const auto image = store->load(kHere);
  EXPECT_EQ(image.position, image_at(3).position);
  EXPECT_EQ(image.invalid, 4u);
  EXPECT_EQ(image.duplicates, 5u);
  ASSERT_EQ(image.polls.size(), 2u);
  EXPECT_EQ(image.polls[0].bytes, "zero");
  EXPECT_EQ(image.polls[1].bytes, "one anew");
  EXPECT_TRUE(store->find(kHere, kPoll, voter(2)));
  EXPECT_FALSE(store->find(kHere, kPoll, voter(3)));
  EXPECT_EQ(store->load({6}).position, model::Position{});
}

TEST_F(CheckpointedIndexTest, IsAtTheOldPositionIfTheProcessDiesBeforeTheNextCheckpoint) {
  const auto store = open();
  CheckpointedIndex index(*store);
  index.insert(kHere, kPoll, voter(1), counted(1));
  checkpoint(index, image_at(2));
  index.insert(kHere, kPoll, voter(2), counted(2));
  copy_folder(folder_ / "index", folder_ / "image");
  checkpoint(index, image_at(3));
  const auto image = open("image");
  EXPECT_EQ(image->load(kHere).position, image_at(2).position);
  EXPECT_FALSE(image->find(kHere, kPoll, voter(2)));
  EXPECT_EQ(image->count_voters(kHere, kPoll), 1u);
}

// RocksDB takes a file over by giving it a second name and then removing the first. A process that
// dies between the two leaves both.
TEST_F(CheckpointedIndexTest, DoesNotWriteOverAFileThatACrashLeftWithTwoNames) {
  {
    const auto store = open();
    CheckpointedIndex index(*store);
    for (std::uint64_t v = 0; v < 100; ++v) index.insert(kHere, kPoll, voter(v), counted(v));
    checkpoint(index, image_at(100));
  }
  for (const auto& file : std::filesystem::directory_iterator(folder_ / "index"))
    if (file.path().extension() == ".sst")
      std::filesystem::create_hard_link(file.path(), folder_ / "index" / "checkpoint-1.sst");
  {
    const auto store = open();
    CheckpointedIndex index(*store);
    index.insert(kHere, kPoll, voter(100), counted(100));
    checkpoint(index, image_at(101));
  }
  EXPECT_EQ(open()->count_voters(kHere, kPoll), 101u);
}

TEST_F(CheckpointedIndexTest, IsBoundToItsLog) {
  open();
  auto opened = IndexStore::open(folder_ / "index", samples::bytes16<model::LogId>(1));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("another log"));
}

// Whichever of its reads fails at the start, until one time all goes well.
TEST_F(CheckpointedIndexTest, TellsAReadErrorAsThatAndDoesNotAskToDeleteAnything) {
  for (int starts = 0; starts < 3; ++starts) {
    const auto store = open();
    CheckpointedIndex index(*store);
    index.insert(kHere, kPoll, voter(1), counted(1));
    checkpoint(index, image_at(2));
  }
  for (const char* error : {"Input/output error", "Too many open files"}) {
    int told = 0;
    for (int after = 0;; ++after) {
      const auto name = "image" + std::to_string(after);
      copy_folder(folder_ / "index", folder_ / name.c_str());
      const auto disk = std::make_shared<FaultyFileSystem>();
      const auto env = rocksdb::NewCompositeEnv(disk);
      disk->fail_a_read(after, error);
      auto opened = IndexStore::open(folder_ / name.c_str(), {}, env.get());
      if (!opened) {
        ++told;
        EXPECT_THAT(opened.error().message,
                    testing::AllOf(
                        testing::AnyOf(testing::HasSubstr(error), testing::HasSubstr("Direct I/O")),
                        testing::HasSubstr("Nothing is known to be lost"),
                        testing::Not(testing::HasSubstr("delete"))));
      }
      if (opened) opened->reset();  // its threads write into the folder
      std::filesystem::remove_all(folder_ / name.c_str());
      if (!disk->has_failed_a_read()) break;
    }
    EXPECT_GE(told, 5);
  }
}

TEST_F(CheckpointedIndexTest, ThatCannotBeReadAnyMoreEndsTheProcess) {
  {
    const auto store = open();
    CheckpointedIndex index(*store);
    index.insert(kHere, kPoll, voter(1), counted(1));
    checkpoint(index, image_at(2, {{{0}, "zero"}}));
  }
  const auto disk = std::make_shared<FaultyFileSystem>();
  const auto env = rocksdb::NewCompositeEnv(disk);
  const auto store = IndexStore::open(folder_ / "index", {}, env.get()).value();
  const auto told = testing::ExitedWithCode(74);
  const auto* why = "cannot be read: .*Input/output error.*Nothing is known to be lost";
  const auto failing = [&] { disk->fail_a_read(0, "Input/output error"); };
  EXPECT_EXIT((failing(), store->find(kHere, kPoll, voter(1))), told, why);
  EXPECT_EXIT((failing(), store->count_voters(kHere, kPoll)), told, why);
  EXPECT_EXIT((failing(), store->load(kHere)), told, why);
}

TEST_F(CheckpointedIndexTest, LeavesNoFilesBehindWhenItIsOpenedAgainAndAgain) {
  const auto files = [&] {
    const std::filesystem::directory_iterator all(folder_ / "index");
    return std::count_if(begin(all), end(all),
                         [](const auto& file) { return file.path().extension() == ".log"; });
  };
  for (std::uint64_t start = 1; start <= 20; ++start) {
    const auto store = open();
    CheckpointedIndex index(*store);
    index.insert(kHere, kPoll, voter(start), counted(start));
    checkpoint(index, image_at(start));
    EXPECT_LE(files(), 2) << start;
  }
  EXPECT_EQ(open()->count_voters(kHere, kPoll), 20u);
}

// The first start writes which log it belongs to: what is not written must not pass for that.
TEST_F(CheckpointedIndexTest, IsNotOpenedIfItsFirstWriteFails) {
  const auto disk = std::make_shared<FaultyFileSystem>();
  const auto env = rocksdb::NewCompositeEnv(disk);
  disk->fail_syncs(".log");
  const auto opened = IndexStore::open(folder_ / "index", {}, env.get());
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("the disk is broken"));
}

TEST_F(CheckpointedIndexTest, OfAnotherFormatIsRefused) {
  open();
  {
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, folder_ / "index", &raw).ok());
    const std::unique_ptr<rocksdb::DB> db(raw);
    ASSERT_TRUE(db->Delete({}, "f").ok());  // the first format had none
  }
  const auto opened = IndexStore::open(folder_ / "index", {});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("another version"));
}

TEST_F(CheckpointedIndexTest, CanBeReadWhileNoServerRunsAndIsNotChanged) {
  {
    const auto store = open();
    CheckpointedIndex index(*store);
    index.insert(kHere, kPoll, voter(1), counted(1));
    checkpoint(index, image_at(2));
  }
  EXPECT_EQ(IndexStore::open_read_only(folder_ / "index").value()->count_voters(kHere, kPoll), 1u);
}

TEST_F(CheckpointedIndexTest, ThatIsNotThereIsNotCalledDamaged) {
  const auto opened = IndexStore::open_read_only(folder_ / "none");
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, testing::AllOf(testing::HasSubstr("there is no index in"),
                                                     testing::HasSubstr("start"),
                                                     testing::Not(testing::HasSubstr("delete"))));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
}

// Strangers' connections may use up what there is for a while.
TEST_F(CheckpointedIndexTest, ACheckpointWaitsForAFreeFileDescriptor) {
  const auto store = open();
  CheckpointedIndex index(*store);
  index.insert(kHere, kPoll, voter(1), counted(1));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  index.begin_checkpoint({image_at(2)});
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(index.ready_for_checkpoint());
  setrlimit(RLIMIT_NOFILE, &before);
  index.finish_checkpoint();
  EXPECT_EQ(index.load(kHere).position.next.value, 2u);
  EXPECT_EQ(store->find(kHere, kPoll, voter(1)), counted(1));
}

}  // namespace
}  // namespace veche::storage
