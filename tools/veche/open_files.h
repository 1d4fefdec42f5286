// How many files this process may have open.
#pragma once

#include <cstddef>

namespace veche::tools {

// Each connection is a file, and the usual limit is 1,024: raises it to what the system allows, and
// returns that.
std::size_t allow_many_files();

// Of which connections to the metrics, at most.
inline constexpr std::size_t kOperatorFiles = 16;

// How many of so many files are left for connections of clients: the store must always find one
// when it needs one, and so must logs and brokers.
std::size_t files_for_clients(std::size_t allowed);

}  // namespace veche::tools
