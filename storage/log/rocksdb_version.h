// Which RocksDB this program runs with, such as "7.8.3".
#pragma once

#include <string>

namespace veche::storage {

std::string rocksdb_version();

}  // namespace veche::storage
