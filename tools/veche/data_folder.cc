#include "tools/veche/data_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <system_error>
#include <utility>

namespace veche::tools {
namespace {

constexpr const char* kWrong = "index.wrong";

Result<void> make_private(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
  const bool is_there = !error && (::mkdir(folder.c_str(), S_IRWXU) == 0 || errno == EEXIST);
  if (is_there) return {};
  return Fault(fmt::format("the data folder {} cannot be made: {}", folder.string(),
                           error ? error.message() : std::strerror(errno)));
}

}  // namespace

Result<DataFolder> DataFolder::open(const std::filesystem::path& path) {
  if (auto made = make_private(path); !made) return made.error();
  const auto file = (path / "veche.lock").string();
  const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return Fault(fmt::format("{} cannot be opened: {}", file, std::strerror(errno)));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    char owner[32] = {};
    const auto size = ::read(lock, owner, sizeof owner - 1);
    ::close(lock);
    return Fault(fmt::format(
        "the data folder {} is in use by process {}: stop it first, or give "
        "another --data",
        path.string(), size > 0 ? std::string(owner, static_cast<std::size_t>(size)) : "?"));
  }
  const auto owner = std::to_string(::getpid());
  DataFolder folder(path, lock);
  if (::ftruncate(lock, 0) != 0 ||
      ::pwrite(lock, owner.data(), owner.size(), 0) != static_cast<ssize_t>(owner.size()))
    return Fault(fmt::format("{} cannot be written: {}", file, std::strerror(errno)));
  if (auto read = folder.read_node_id(); !read) return read.error();
  return folder;
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      node_id_(other.node_id_) {}

DataFolder::~DataFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Result<void> DataFolder::read_node_id() {
  const auto file = path_ / "node.id";
  std::string bytes(17, '\0');
  std::ifstream in(file, std::ios::binary);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  if (const auto id = model::BootId::parse(bytes)) {
    node_id_ = *id;
    return {};
  }
  node_id_ = random_id();
  std::ofstream out(file, std::ios::binary);
  out << node_id_.view();
  if (!out.flush()) return Fault(fmt::format("{} cannot be written", file.string()));
  return {};
}

bool DataFolder::mark_index_wrong() const {
  const int file = ::open((path_ / kWrong).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool kept = ::fsync(file) == 0;
  ::close(file);
  const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool listed = folder >= 0 && ::fsync(folder) == 0;
  if (folder >= 0) ::close(folder);
  return kept && listed;
}

Result<bool> DataFolder::is_index_wrong() const {
  std::error_code error;
  const bool marked = std::filesystem::exists(path_ / kWrong, error);
  if (error)
    return Fault(fmt::format("{} cannot be looked at: {}", path_.string(), error.message()));
  return marked;
}

Result<void> DataFolder::remove_wrong_index() const {
  std::error_code error;
  std::filesystem::remove_all(index(), error);
  if (!error) std::filesystem::remove(path_ / kWrong, error);  // last: cut off, it is done again
  if (error)
    return Fault(fmt::format("{} cannot be removed, and must not be used: {}", index().string(),
                             error.message()));
  return {};
}

std::optional<std::string> why_not_private(const std::filesystem::path& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0 || (about.st_mode & (S_IRWXG | S_IRWXO)) == 0)
    return std::nullopt;
  return fmt::format(
      "{0} is open to others than its owner (mode {1:04o}), who can read each ballot in it: "
      "chmod 700 {0}",
      folder.string(), about.st_mode & 07777);
}

model::BootId random_id() {
  std::random_device device;
  model::BootId id;
  for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(device());
  return id;
}

}  // namespace veche::tools
