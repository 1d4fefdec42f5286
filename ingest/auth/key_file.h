// Files that hold keys. Called at start-up, on reload and by the command-line tools; blocking.
#pragma once

#include <filesystem>
#include <string_view>

#include "engine/model/result.h"
#include "ingest/auth/primitives.h"

namespace veche::auth {

enum class Readers {
  kAnybody,
  kOwnerOnly,  // no permission at all for group and others
};

struct KeyFile {
  SecretBytes content;
  Readers readers;
};

// A regular file of at most kKeyFileBytes.
Result<KeyFile> read_key_file(const std::filesystem::path& path);

// The same, refused unless it is for its owner only.
Result<SecretBytes> read_secret_file(const std::filesystem::path& path);

// The refusal of a file of secrets that others may read or write.
Fault open_to_others(const std::filesystem::path& path);

// Creates the file with exactly these permissions and makes it durable; never overwrites.
Result<void> write_key_file(const std::filesystem::path& path, std::string_view content,
                            Readers readers);

}  // namespace veche::auth
