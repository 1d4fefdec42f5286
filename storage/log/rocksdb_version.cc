#include "storage/log/rocksdb_version.h"

#include <rocksdb/version.h>

namespace veche::storage {

std::string rocksdb_version() { return rocksdb::GetRocksVersionAsString(); }

}  // namespace veche::storage
