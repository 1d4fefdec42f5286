// A process that dies while it writes a checkpoint must leave the one before, whole. Linked with
// the variant that writes the position apart, whose name is in VECHE_FAULT, the test is passed when
// it notices.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "engine/apply/partition.h"
#include "storage/index/checkpointed_index.h"
#include "tests/engine/samples.h"
#include "tests/storage/storage_fixture.h"

namespace veche::storage {
namespace {

constexpr model::PartitionId kHere{0};
const auto kPoll = samples::poll_of_one_question("poll");

std::vector<std::string> log_of_ballots() {
  samples::Writer writer;
  std::vector<std::string> records{writer.open(kPoll)};
  for (std::uint64_t v = 0; v < 100; ++v)
    records.push_back(writer.ballot(kPoll.id, v, samples::choose(v % 3)));
  return records;
}

// Applies the log from where the index is, and writes a checkpoint.
void serve(const std::filesystem::path& folder, const std::vector<std::string>& records,
           std::size_t up_to) {
  const auto store = IndexStore::open(folder, {}).value();
  CheckpointedIndex index(*store);
  apply::Partition partition(index.load(kHere), index);
  for (auto at = partition.position().next; at.value < up_to; at = at.plus(1))
    partition.apply(at, records[at.value]);
  index.begin_checkpoint({partition.take_image()});
  index.finish_checkpoint();
}

TEST(CheckpointCrash, LeavesPositionAndVotersTogether) {
  const TempFolder folder;
  const auto records = log_of_ballots();
  const auto child = fork();
  if (child == 0) {
    serve(folder / "index", records, records.size());
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const auto store = IndexStore::open(folder / "index", {}).value();
  const auto position = store->load(kHere).position.next.value;
  const auto voters = store->count_voters(kHere, {0});
  const bool apart = position != 0 && position != voters + 1;  // OPEN is no voter
  const bool is_faulty = std::getenv("VECHE_FAULT") != nullptr;
  EXPECT_EQ(apart, is_faulty)
      << position << " records are said to be applied, with " << voters << " voters";
  if (!is_faulty) {
    EXPECT_EQ(position, records.size());
  }
}

}  // namespace
}  // namespace veche::storage
