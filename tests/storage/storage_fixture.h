// A folder that goes away, and a consumer that remembers, for the tests of storage.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "engine/model/ports.h"

namespace veche::storage {

class TempFolder {
 public:
  TempFolder() {
    auto name = (std::filesystem::temp_directory_path() / "veche-test-XXXXXX").string();
    if (!mkdtemp(name.data())) std::abort();
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Keeps what it is given; notes anything out of order.
class Heard final : public model::LogSink {
 public:
  explicit Heard(std::uint64_t from = 0) : next_(from) {}

  void deliver(model::PartitionId, model::Offset first, model::RecordBatch records,
               model::Offset durable) override {
    const std::lock_guard lock(mutex_);
    in_order_ = in_order_ && first.value == next_;
    for (const auto record : records) records_.emplace_back(record);
    next_ += records.count();
    in_order_ = in_order_ && durable.value >= next_;
    more_.notify_all();
  }
  // The records once there are `count`, or what there is after ten seconds.
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    more_.wait_for(lock, std::chrono::seconds(60), [&] { return records_.size() >= count; });
    return records_;
  }
  bool in_order() {
    const std::lock_guard lock(mutex_);
    return in_order_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<std::string> records_;
  std::uint64_t next_;
  bool in_order_ = true;
};

inline model::RecordBatch batch(const std::vector<std::string>& records) {
  model::RecordBatch batch;
  for (const auto& record : records) batch.push(record);
  return batch;
}

// What a process that dies now leaves behind: the files as they are.
inline void copy_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
}

}  // namespace veche::storage
