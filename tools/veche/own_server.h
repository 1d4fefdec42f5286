// A server for as long as a command needs one: `veche serve` of this same program as a child
// process, on a free port of 127.0.0.1, with fresh keys and data in a temporary folder.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/result.h"
#include "ingest/auth/jwks.h"

namespace veche::tools {

// For one thread. Ctrl-C reaches the parent alone: who holds one calls catch_interrupts(), so that
// the destructor gets its chance. A parent that is killed takes the child with it, but leaves the
// folder.
class OwnServer {
 public:
  // Blocks until the server is ready. `arguments` are added to those of `veche serve`. The child
  // sees no VECHE_* variable. A fault tells the last lines of the server's log.
  static Result<std::unique_ptr<OwnServer>> start(
      const std::vector<std::string>& arguments = {},
      auth::Algorithm algorithm = auth::Algorithm::kHs256);

  // Sends SIGTERM, waits for the drain, removes the folder.
  ~OwnServer();
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  const std::string& url() const { return url_; }
  std::string metrics_url() const;
  std::filesystem::path issuer_json() const { return folder_ / "issuer.json"; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  explicit OwnServer(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path log_path() const { return folder_ / "serve.log"; }
  Result<void> launch(const std::vector<std::string>& arguments);
  Result<void> read_url();

  std::filesystem::path folder_;
  std::string url_;
  pid_t child_ = -1;
  int stdout_ = -1;  // its read end
};

}  // namespace veche::tools
