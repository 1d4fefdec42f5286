// Runs a fuzz target on files, and on the files of folders: what a fuzzer kept, under whatever
// sanitizers this was built with.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/target.h"

namespace {

namespace fs = std::filesystem;

std::size_t inputs = 0;

void run_file(const fs::path& path) {
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);  // the last name is that of the input that ends this
  std::ifstream file(path, std::ios::binary);
  const std::string input{std::istreambuf_iterator<char>(file), {}};
  veche::fuzz::run(input);
  ++inputs;
}

}  // namespace

int main(int count, char** arguments) {
  for (int i = 1; i < count; ++i) {
    if (!fs::is_directory(arguments[i])) {
      run_file(arguments[i]);
      continue;
    }
    for (const auto& entry : fs::directory_iterator(arguments[i])) run_file(entry.path());
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0;
}
