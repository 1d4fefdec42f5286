// The folder of one node: its log, its index, and a lock that says who has it.
//
//   DIR/veche.lock   process id of the owner, locked as long as it lives
//   DIR/log          the embedded log: the truth, keep it; none where the log is in Kafka
//   DIR/index        derived; may be deleted while no server runs
//   DIR/index.wrong  there while the index must not be used: the next start removes both
//   DIR/node.id      16 random bytes that name this installation in the log
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "engine/model/ids.h"
#include "engine/model/result.h"

namespace veche::tools {

class DataFolder {
 public:
  // Makes the folder if need be, for its owner alone. Fault: another process has it, named by its
  // id.
  static Result<DataFolder> open(const std::filesystem::path& path);
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  std::filesystem::path log() const { return path_ / "log"; }
  std::filesystem::path index() const { return path_ / "index"; }
  const model::BootId& node_id() const { return node_id_; }

  // The next start must not trust the index: it rebuilds it from the log. False: that could not be
  // written down.
  bool mark_index_wrong() const;
  // A fault: it cannot be told.
  Result<bool> is_index_wrong() const;
  // Of an index that was marked so.
  Result<void> remove_wrong_index() const;

 private:
  DataFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}
  Result<void> read_node_id();

  std::filesystem::path path_;
  int lock_;  // file descriptor; -1 after a move
  model::BootId node_id_;
};

// Log and index tell of every ballot who cast it, by voter key, and for what. What to say if others
// than the owner can get into the folder.
std::optional<std::string> why_not_private(const std::filesystem::path& folder);

model::BootId random_id();

}  // namespace veche::tools
