// A file system that keeps its promises and no more: what was not synced is lost in a crash, a
// write that was cut off stays behind in part, and a sync may fail, or a read.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
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

  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* context) override {
    std::unique_ptr<rocksdb::FSSequentialFile> under;
    auto status = try_to_read(name);
    if (status.ok()) status = FileSystemWrapper::NewSequentialFile(name, options, &under, context);
    if (status.ok()) *file = std::make_unique<Sequential>(std::move(under), name, *this);
    return status;
  }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* context) override {
    std::unique_ptr<rocksdb::FSRandomAccessFile> under;
    auto status = try_to_read(name);
    if (status.ok())
      status = FileSystemWrapper::NewRandomAccessFile(name, options, &under, context);
    if (status.ok()) *file = std::make_unique<RandomAccess>(std::move(under), name, *this);
    return status;
  }
  rocksdb::IOStatus GetFileSize(const std::string& name, const rocksdb::IOOptions& options,
                                std::uint64_t* size, rocksdb::IODebugContext* context) override {
    auto status = try_to_read(name);
    return status.ok() ? FileSystemWrapper::GetFileSize(name, options, size, context) : status;
  }

  // After so many more times that a file was opened for reading, looked at, or read, it fails once,
  // as the machine would tell it: "Input/output error", "Too many open files".
  void fail_a_read(int after, std::string error) {
    const std::lock_guard lock(mutex_);
    reads_left_ = after;
    read_error_ = std::move(error);
  }
  // Whether it has.
  bool has_failed_a_read() {
    const std::lock_guard lock(mutex_);
    return reads_left_ < 0 && !read_error_.empty();
  }

  // From now on no sync succeeds of files whose names end so.
  void fail_syncs(std::string of = {}) {
    const std::lock_guard lock(mutex_);
    failing_ = std::move(of);
  }

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
      if (of_.fails_to_sync(name_)) return rocksdb::IOStatus::IOError("the disk is broken");
      auto status = FSWritableFileOwnerWrapper::Sync(options, context);
      if (status.ok()) of_.synced(name_, size_);
      return status;
    }
    rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                            rocksdb::IODebugContext* context) override {
      if (of_.fails_to_sync(name_)) return rocksdb::IOStatus::IOError("the disk is broken");
      auto status = FSWritableFileOwnerWrapper::Fsync(options, context);
      if (status.ok()) of_.synced(name_, size_);
      return status;
    }

   private:
    const std::string name_;
    FaultyFileSystem& of_;
    std::uintmax_t size_ = 0;
  };

  class Sequential final : public rocksdb::FSSequentialFileOwnerWrapper {
   public:
    Sequential(std::unique_ptr<rocksdb::FSSequentialFile> under, std::string name,
               FaultyFileSystem& of)
        : FSSequentialFileOwnerWrapper(std::move(under)), name_(std::move(name)), of_(of) {}
    rocksdb::IOStatus Read(std::size_t bytes, const rocksdb::IOOptions& options,
                           rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* context) override {
      auto status = of_.try_to_read(name_);
      return status.ok()
                 ? FSSequentialFileOwnerWrapper::Read(bytes, options, result, scratch, context)
                 : status;
    }

   private:
    const std::string name_;
    FaultyFileSystem& of_;
  };

  class RandomAccess final : public rocksdb::FSRandomAccessFileOwnerWrapper {
   public:
    RandomAccess(std::unique_ptr<rocksdb::FSRandomAccessFile> under, std::string name,
                 FaultyFileSystem& of)
        : FSRandomAccessFileOwnerWrapper(std::move(under)), name_(std::move(name)), of_(of) {}
    rocksdb::IOStatus Read(std::uint64_t offset, std::size_t bytes,
                           const rocksdb::IOOptions& options, rocksdb::Slice* result, char* scratch,
                           rocksdb::IODebugContext* context) const override {
      auto status = of_.try_to_read(name_);
      return status.ok() ? FSRandomAccessFileOwnerWrapper::Read(offset, bytes, options, result,
                                                                scratch, context)
                         : status;
    }

   private:
    const std::string name_;
    FaultyFileSystem& of_;
  };

  rocksdb::IOStatus try_to_read(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (reads_left_ < 0 || --reads_left_ >= 0) return rocksdb::IOStatus::OK();
    return rocksdb::IOStatus::IOError("While reading " + name, read_error_);
  }

  void synced(const std::string& name, std::uintmax_t size) {
    const std::lock_guard lock(mutex_);
    synced_[name] = size;
  }

  bool fails_to_sync(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return failing_ && name.ends_with(*failing_);
  }

  std::mutex mutex_;
  std::optional<std::string> failing_;  // of which files no sync succeeds
  int reads_left_ = -1;                 // until one fails; below zero: none does
  std::string read_error_;
  std::map<std::string, std::uintmax_t> synced_;  // by file: how much of it
};

}  // namespace veche::storage
