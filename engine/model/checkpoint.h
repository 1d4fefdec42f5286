// A partition as the index keeps it. The bytes of polls are the engine's own affair: storage puts
// them away and gives them back. Everything here is derived from the log and may be thrown away.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/model/ids.h"
#include "engine/model/ports.h"

namespace veche::model {

struct PollImage {
  PollNumber number;
  std::string bytes;
};

struct PartitionImage {
  PartitionId partition;
  Position position;
  std::optional<RollingHash> before_last;  // the hash before the last record
  std::uint64_t invalid = 0;               // records that were not ours
  std::uint64_t duplicates = 0;            // ballots of voters who were counted already
  std::vector<PollImage> polls;  // when written: those that changed since the last checkpoint
};

// The recent part of an index, held in memory by its shard, and the checkpoints under it. Owned by
// one thread. What was not checkpointed is gone with the process; the log tells it again.
class Index : public VoterIndex {
 public:
  // Everything that the last checkpoint knows of a partition; position zero: nothing.
  virtual PartitionImage load(PartitionId partition) = 0;

  // Voters inserted since the last checkpoint began.
  virtual std::size_t recent() const = 0;

  // False: the checkpoint before is still being written.
  virtual bool ready_for_checkpoint() const = 0;

  // Writes what was inserted since, and the images, as one checkpoint, in the background: all of
  // it is there after a crash, or nothing. Only when ready.
  virtual void begin_checkpoint(std::vector<PartitionImage> images) = 0;

  // Waits until the checkpoint that was begun is written. Aborts the process if it cannot be.
  virtual void finish_checkpoint() = 0;
};

// Numbers and texts in a row, for derived bytes that only this program reads.
class ByteWriter {
 public:
  void number(std::uint64_t value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    number(value.size());
    bytes_.append(value);
  }
  std::string take() && { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads them back; past the end or after a fault it gives zeros and is not good().
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    const auto raw = take(sizeof value);
    if (good_) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }
  std::string_view text() { return take(number()); }
  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view take(std::uint64_t size) {
    good_ = good_ && size <= rest_.size();
    if (!good_) return {};
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace veche::model
