// Real data that tests run against and that is no part of the project: found in the directory
// named by VECHE_SHARED, as ctest sets it; by hand, beside the folder that the test is started in.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace veche::tests {

inline std::filesystem::path shared_data(const std::filesystem::path& relative) {
  if (const char* directory = std::getenv("VECHE_SHARED"))
    return std::filesystem::path(directory) / relative;
  return std::filesystem::path("../shared/data") / relative;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace veche::tests

// Leaves the test, saying why, where the real data is not there.
#define VECHE_REQUIRE_DATA(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no real data at " << (path)
