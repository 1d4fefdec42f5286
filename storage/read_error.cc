#include "storage/read_error.h"

#include <fmt/format.h>
#include <rocksdb/status.h>

#include <system_error>

namespace veche::storage {
namespace {

// A file that is gone is an error of the file system as well, but no reading will bring it back.
bool is_damage(const rocksdb::Status& status) {
  return status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
         status.IsInvalidArgument() || status.IsNotSupported();
}

// The same word for a file that is there and whose size the file system did not tell.
bool is_failed_look(const rocksdb::Status& status) {
  const auto said = status.ToString();
  const auto says = [&](std::string_view what) { return said.find(what) != std::string::npos; };
  return status.IsCorruption() && says("Can't access ") && says("IO error") &&
         !says("No such file") && !says("size mismatch");
}

// RocksDB tries direct I/O with a file of its own, and says this whyever that does not open.
bool is_failed_trial(const rocksdb::Status& status) {
  return status.IsInvalidArgument() &&
         status.ToString().find("Direct I/O is not supported") != std::string::npos;
}

}  // namespace

std::string read_error(const rocksdb::Status& status, std::string_view if_damaged) {
  if (is_damage(status) && !is_failed_look(status) && !is_failed_trial(status))
    return fmt::format("{}: {}", status.ToString(), if_damaged);
  return fmt::format(
      "{}. Nothing is known to be lost: mend the disk, or let the process open more files if "
      "they are too many, and start again",
      status.ToString());
}

bool has_database(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator file(folder, error);
  for (; !error && file != end(file); file.increment(error)) {
    const auto name = file->path().filename().string();
    if (name == "CURRENT" || name.starts_with("MANIFEST-")) return true;
  }
  return error && error != std::errc::no_such_file_or_directory;
}

}  // namespace veche::storage
