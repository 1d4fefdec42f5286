#include "tools/veche/own_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "ingest/auth/issuer.h"

namespace veche::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartTimeout{60};
constexpr std::size_t kLogTailBytes = 2'000;

Result<fs::path> make_folder() {
  std::error_code error;
  auto pattern = (fs::temp_directory_path(error) / "veche-XXXXXX").string();
  if (error || !mkdtemp(pattern.data()))
    return Fault{fmt::format("cannot make the temporary folder {}: {}; TMPDIR names another place",
                             pattern, std::strerror(errno))};
  return fs::path(pattern);
}

std::string tail_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.size() <= kLogTailBytes ? text : text.substr(text.size() - kLogTailBytes);
}

std::vector<std::string> serve_arguments(const fs::path& folder,
                                         const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"veche",
                                     "serve",
                                     "--test-data",
                                     "--listen",
                                     "127.0.0.1:0",
                                     "--metrics",
                                     "127.0.0.1:0",
                                     "--data",
                                     folder / "data",
                                     "--jwks",
                                     folder / "jwks.json",
                                     "--voter-secret",
                                     folder / "voter.secret"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Pointers into `texts`, ended by a null, as exec wants them.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_without_veche() {
  std::vector<std::string> kept;
  for (char** variable = environ; *variable; ++variable)
    if (!std::string_view(*variable).starts_with("VECHE_")) kept.emplace_back(*variable);
  return kept;
}

// Between fork and exec: only what is safe there.
[[noreturn]] void become_server(char* const* arguments, char* const* environment, int out, int log,
                                pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);  // it died before the line above
  setpgid(0, 0);
  dup2(out, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execve("/proc/self/exe", arguments, environment);
  _exit(127);
}

}  // namespace

Result<std::unique_ptr<OwnServer>> OwnServer::start(const std::vector<std::string>& arguments,
                                                    auth::Algorithm algorithm) {
  auto folder = make_folder();
  if (!folder) return folder.error();
  std::unique_ptr<OwnServer> server(new OwnServer(*folder));
  if (auto done = auth::Issuer::generate(*folder, algorithm, "https://id.example", "veche"); !done)
    return done.error();
  if (auto done = server->launch(arguments); !done) return done.error();
  if (auto done = server->read_url(); !done) return done.error();
  return server;
}

Result<void> OwnServer::launch(const std::vector<std::string>& more) {
  int ends[2];
  const int log = open(log_path().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (log < 0 || pipe2(ends, O_CLOEXEC) != 0)
    return Fault{fmt::format("cannot start a server: {}", std::strerror(errno))};
  stdout_ = ends[0];
  auto arguments = serve_arguments(folder_, more);
  auto environment = environment_without_veche();
  const auto argument_pointers = pointers_to(arguments);
  const auto environment_pointers = pointers_to(environment);
  const auto parent = getpid();
  child_ = fork();
  if (child_ == 0)
    become_server(argument_pointers.data(), environment_pointers.data(), ends[1], log, parent);
  close(ends[1]);
  close(log);
  if (child_ < 0) return Fault{fmt::format("cannot start a server: {}", std::strerror(errno))};
  return {};
}

Result<void> OwnServer::read_url() {
  using Clock = std::chrono::steady_clock;
  const auto give_up = Clock::now() + kStartTimeout;
  while (!url_.ends_with('\n')) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(give_up - Clock::now()).count();
    pollfd readable{stdout_, POLLIN, 0};
    char byte = 0;
    if (left <= 0 || (poll(&readable, 1, static_cast<int>(left)) == 0) ||
        read(stdout_, &byte, 1) != 1)
      return Fault{
          fmt::format("the server did not start; the end of its log:\n{}", tail_of(log_path()))};
    url_ += byte;
  }
  url_.pop_back();
  return {};
}

// The server tells it in its log before it tells its own address.
std::string OwnServer::metrics_url() const {
  constexpr std::string_view kBegin = "metrics at ";
  constexpr std::string_view kEnd = "/metrics\n";
  const auto log = tail_of(log_path());
  const auto begin = log.find(kBegin);
  const auto end = log.find(kEnd, begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  return log.substr(begin + kBegin.size(), end - begin - kBegin.size());
}

OwnServer::~OwnServer() {
  if (child_ > 0) {
    kill(child_, SIGTERM);
    while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  if (stdout_ >= 0) close(stdout_);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace veche::tools
