// A file system that keeps its promises and no more: what was not synced is lost in a crash, a
// write that was cut off stays behind in part, and a sync may fail.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>

namespace veche::storage {

class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  FaultyFileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override {
    std::unique_ptr<rocksdb::FSWritableFile> under;
    auto status = FileSystemWrapper::NewWritableFile(name, options, &under, context);
    if (!status.ok()) return status;
    *file = std::make_unique<File>(std::move(under), name, *this);
    const std::lock_guard lock(mutex_);
    synced_[name] = 0;
    return status;
  }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override {
    const std::lock_guard lock(mutex_);
    if (auto file = synced_.extract(from)) synced_[to] = file.mapped();
    return FileSystemWrapper::RenameFile(from, to, options, context);
  }

  // From now on no sync succeeds.
  void fail_syncs() { failing_ = true; }

  // What a power cut now would leave of `folder`: of each file the synced part, and `torn` bytes
  // more where there are more.
  void crash_image(const std::filesystem::path& folder, const std::filesystem::path& image,
                   std::uintmax_t torn) {
    const std::lock_guard lock(mutex_);
    std::filesystem::create_directories(image);
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      const auto copy = image / file.path().filename();
      std::filesystem::copy_file(file.path(), copy);
      const auto synced = synced_.find(file.path().string());
      if (synced == synced_.end()) continue;
      const auto kept = std::min(std::filesystem::file_size(copy), synced->second + torn);
      std::filesystem::resize_file(copy, kept);
    }
  }

 private:
  class File final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(std::unique_ptr<rocksdb::FSWritableFile> under, std::string name, FaultyFileSystem& of)
        : FSWritableFileOwnerWrapper(std::move(under)), name_(std::move(name)), of_(of) {}
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override {
      size_ += data.size();
      return FSWritableFileOwnerWrapper::Append(data, options, context);
    }
    rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                             const rocksdb::DataVerificationInfo& info,
                             rocksdb::IODebugContext* context) override {
      size_ += data.size();
      return FSWritableFileOwnerWrapper::Append(data, options, info, context);
    }
    rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* context) override {
      if (of_.failing_) return rocksdb::IOStatus::IOError("the disk is broken");
      auto status = FSWritableFileOwnerWrapper::Sync(options, context);
      if (status.ok()) of_.synced(name_, size_);
      return status;
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* context) override {
      if (of_.failing_) return rocksdb::IOStatus::IOError("the disk is broken");
      auto status = FSWritableFileOwnerWrapper::Fsync(options, context);
      if (status.ok()) of_.synced(name_, size_);
      return status;
    }

   private:
    const std::string name_;
    FaultyFileSystem& of_;
    std::uintmax_t size_ = 0;
  };

  void synced(const std::string& name, std::uintmax_t size) {
    const std::lock_guard lock(mutex_);
    synced_[name] = size;
  }

  std::atomic<bool> failing_{false};
  std::mutex mutex_;
  std::map<std::string, std::uintmax_t> synced_;  // by file: how much of it
};

}  // namespace veche::storage
