// Records, each behind its length as two bytes, the lower one first: applied as one partition of
// ballots and as control. A partition that was saved and restored on the way comes to the same.
#include <string>
#include <vector>

#include "engine/apply/control.h"
#include "engine/apply/partition.h"
#include "engine/model/assert.h"
#include "tests/engine/samples.h"
#include "tests/fuzz/target.h"

namespace veche::fuzz {
namespace {

constexpr model::PartitionId kHere{0};

std::vector<std::string_view> split(std::string_view input) {
  std::vector<std::string_view> records;
  while (input.size() >= 2) {
    const std::size_t size =
        static_cast<unsigned char>(input[0]) | static_cast<unsigned char>(input[1]) << 8;
    records.push_back(input.substr(2, size));
    input.remove_prefix(std::min(input.size(), 2 + size));
  }
  return records;
}

// The partition after `records`; a restart before record number `restart`.
class Applied {
 public:
  Applied(const std::vector<std::string_view>& records, std::size_t restart) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (i == restart) start_again();
      if (partition_->apply(partition_->position().next, records[i]).stops()) break;
    }
  }

  std::string figures() const {
    std::string text = std::to_string(partition_->position().next.value) + ' ' +
                       std::to_string(partition_->invalid()) + ' ' +
                       std::to_string(partition_->duplicates());
    text += partition_->position().hash.view();
    for (const auto& poll : partition_->polls())
      text += poll->definition->id.str() + std::to_string(poll->tally.ballots()) +
              std::to_string(poll->changes) + std::to_string(poll->closed) +
              std::to_string(poll->cancelled);
    return text;
  }

 private:
  void start_again() {
    std::vector<model::PartitionImage> images;
    images.push_back(partition_->take_image());
    index_.begin_checkpoint(std::move(images));
    index_.finish_checkpoint();
    partition_.emplace(index_.load(kHere), index_);
  }

  samples::MemoryDisk disk_;
  samples::MemoryIndex index_{disk_};
  std::optional<apply::Partition> partition_{std::in_place, index_.load(kHere), index_};
};

}  // namespace

void run(std::string_view input) {
  if (input.empty()) return;
  const std::size_t restart = static_cast<unsigned char>(input.back());
  const auto records = split(input.substr(0, input.size() - 1));
  VECHE_ASSERT(Applied(records, records.size()).figures() == Applied(records, restart).figures(),
               "a partition is the same after a restart");

  apply::Control control;
  for (const auto bytes : records) {
    if (control.apply(control.position().next, bytes).stops()) break;
    VECHE_ASSERT(control.directory(), "there is always a directory");
  }
}

}  // namespace veche::fuzz
