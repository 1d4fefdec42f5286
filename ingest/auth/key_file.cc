#include "ingest/auth/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/model/limits.h"

namespace veche::auth {
namespace {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Fault failed(const char* step, const std::filesystem::path& path) {
  return Fault{fmt::format("cannot {} {}: {}", step, path.string(), std::strerror(errno))};
}

bool sync_directory_of(const std::filesystem::path& path) {
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const File directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return directory.get() >= 0 && ::fsync(directory.get()) == 0;
}

}  // namespace

Result<KeyFile> read_key_file(const std::filesystem::path& path) {
  // O_NONBLOCK: a pipe in the place of the file must not hang the start.
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return failed("open", path);
  struct stat about;
  if (::fstat(file.get(), &about) != 0) return failed("inspect", path);
  if (!S_ISREG(about.st_mode)) return Fault{fmt::format("{} is not a regular file", path.string())};
  const auto size = static_cast<std::size_t>(about.st_size);
  if (size > limits::kKeyFileBytes)
    return Fault{fmt::format("{} has {} bytes; a file of keys has at most {}", path.string(), size,
                             limits::kKeyFileBytes)};
  SecretBytes content(size);
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::read(file.get(), content.writable().data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path);
    if (got == 0) return Fault{fmt::format("{} was cut while it was read", path.string())};
    done += static_cast<std::size_t>(got);
  }
  return KeyFile{std::move(content),
                 (about.st_mode & 077) == 0 ? Readers::kOwnerOnly : Readers::kAnybody};
}

Result<SecretBytes> read_secret_file(const std::filesystem::path& path) {
  auto file = read_key_file(path);
  if (!file) return file.error();
  if (file->readers != Readers::kOwnerOnly) return open_to_others(path);
  return std::move(file->content);
}

Fault open_to_others(const std::filesystem::path& path) {
  return Fault{
      fmt::format("{0} holds secrets and is open to others than its owner; replace them "
                  "if they may have been read, then: chmod 600 {0}",
                  path.string())};
}

Result<void> write_key_file(const std::filesystem::path& path, std::string_view content,
                            Readers readers) {
  const mode_t mode = readers == Readers::kOwnerOnly ? 0600 : 0644;
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.get() < 0) return failed("create", path);
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t put = ::write(file.get(), content.data() + done, content.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed("write", path);
    done += static_cast<std::size_t>(put);
  }
  if (::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0 || !sync_directory_of(path))
    return failed("make durable", path);
  return {};
}

}  // namespace veche::auth
