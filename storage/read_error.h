// What RocksDB says when it cannot read, told to whoever has to mend it. A disk that fails to read,
// or a process that has no descriptor left, has lost nothing: never told as a loss.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace rocksdb {
class Status;
}

namespace veche::storage {

// `status` is not ok. What was read is damaged or missing: `if_damaged` says what to do then.
std::string read_error(const rocksdb::Status& status, std::string_view if_damaged);

// Whether `folder` holds a database of RocksDB's, or what is left of one; true also if it cannot be
// looked at. Where none ever was, nothing is damaged.
bool has_database(const std::filesystem::path& folder);

}  // namespace veche::storage
