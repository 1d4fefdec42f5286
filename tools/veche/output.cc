#include "tools/veche/output.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tools/veche/command.h"

namespace veche::tools {
namespace {

std::atomic<int> first_error{0};  // of stdout, as errno tells it
std::atomic<bool> has_no_reader{false};
struct sigaction inherited_sigpipe {};

void note_lost(int error) {
  int none = 0;
  first_error.compare_exchange_strong(none, error == 0 ? EIO : error);
  if (error == EPIPE) has_no_reader = true;
}

// As a program that leaves SIGPIPE alone: the shell then tells nothing.
void die_by_sigpipe() {
  if (inherited_sigpipe.sa_handler == SIG_IGN) return;
  signal(SIGPIPE, SIG_DFL);
  raise(SIGPIPE);
}

}  // namespace

void open_standard_streams() {
  // Open for the other direction: whoever prints or reads is told that it does not work.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
      if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) != descriptor)
        std::_Exit(static_cast<int>(Exit::failed));
  struct sigaction ignored {};
  ignored.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignored, &inherited_sigpipe);
}

void write_text(std::FILE* out, std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), out) != text.size() && out == stdout)
    note_lost(errno);
}

void flush_output() {
  errno = 0;
  if (std::fflush(stdout) != 0) note_lost(errno);
}

bool is_reader_gone() { return has_no_reader; }

void look_for_reader() {
  pollfd out{STDOUT_FILENO, 0, 0};
  if (::poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0) note_lost(EPIPE);
}

int finish_output(int exit_code) {
  flush_output();
  if (std::fclose(stdout) != 0) note_lost(errno);  // some file systems tell it only now
  const int error = first_error;
  if (error == 0) return exit_code;
  if (error == EPIPE) die_by_sigpipe();
  tell("veche: the output could not be written: {}\n", std::strerror(error));
  return exit_code == static_cast<int>(Exit::ok) ? static_cast<int>(Exit::failed) : exit_code;
}

}  // namespace veche::tools
