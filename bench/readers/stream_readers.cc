// Many readers of one live stream from one thread, for bench/readers/run. As lean as it can be,
// since it shares the machine with what it measures: nothing of an event is parsed but its name.
//
//   stream_readers PORT TARGET READERS
//
// Prints "ready SECONDS" when every reader has its first event, and when stdin ends one JSON
// document: how many were connected to the end, and what they heard since they were ready.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kConnectingAtOnce = 128;
constexpr std::size_t kEventsAtOnce = 4'096;
// Real readers are elsewhere: a server must not pay for waking this process at each of its events.
constexpr timespec kLookEvery{0, 20'000'000};
constexpr std::size_t kReadBytes = 64 * 1'024;
constexpr std::string_view kName = "event: ";

[[noreturn]] void fail(std::string_view what) {
  fmt::print(stderr, "stream_readers: {}\n", what);
  std::exit(1);
}

double thread_cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

struct Reader {
  int fd = -1;
  bool has_begun = false;
  std::uint64_t events = 0;
};

class Readers {
 public:
  Readers(std::uint16_t port, std::string_view target, std::size_t count)
      : request_(fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", target, port)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        readers_(count) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }

  void run() {
    const auto begin = Clock::now();
    watch_stdin();
    while (!is_told_to_end_) {
      connect_some();
      const bool was_ready = is_ready_;
      wait();
      is_ready_ = began_ == readers_.size();
      if (is_ready_ && !was_ready) {
        fmt::print("ready {:.3f}\n", std::chrono::duration<double>(Clock::now() - begin).count());
        std::fflush(stdout);
        forget();
      }
    }
    report();
  }

 private:
  void watch_stdin() {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = readers_.size()}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) fail("stdin is not a pipe");
  }

  void connect_some() {
    for (; next_ < readers_.size() && next_ - began_ - lost_ < kConnectingAtOnce; ++next_) {
      Reader& reader = readers_[next_];
      reader.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (reader.fd < 0) fail("there are no more sockets: raise the limit of open files");
      if (connect(reader.fd, reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0 ||
          send(reader.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
              static_cast<ssize_t>(request_.size()))
        fail("cannot connect");
      fcntl(reader.fd, F_SETFL, O_NONBLOCK);
      epoll_event event{.events = EPOLLIN, .data = {.u64 = next_}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, reader.fd, &event);
    }
  }

  void wait() {
    std::array<epoll_event, kEventsAtOnce> events;
    if (is_ready_) nanosleep(&kLookEvery, nullptr);
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1'000);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == readers_.size())
        is_told_to_end_ = true;
      else
        read_from(readers_[event.data.u64]);
    }
  }

  void read_from(Reader& reader) {
    const ssize_t got = recv(reader.fd, buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close(reader.fd);
      reader.fd = -1;
      ++lost_;
      return;
    }
    bytes_ += static_cast<std::uint64_t>(got);
    const std::string_view said(buffer_.data(), static_cast<std::size_t>(got));
    for (auto at = said.find(kName); at != said.npos; at = said.find(kName, at + kName.size())) {
      if (said.substr(at).starts_with("event: bye")) continue;
      ++reader.events;
      if (!std::exchange(reader.has_begun, true)) ++began_;
    }
  }

  void forget() {
    bytes_ = 0;
    for (auto& reader : readers_) reader.events = 0;
    ready_at_ = Clock::now();
    cpu_at_ = thread_cpu_seconds();
  }

  void report() const {
    std::vector<std::uint64_t> events;
    std::uint64_t sum = 0;
    for (const auto& reader : readers_) {
      events.push_back(reader.events);
      sum += reader.events;
    }
    std::sort(events.begin(), events.end());
    fmt::print(
        R"({{"readers":{},"lost":{},"seconds":{:.3f},"events":{},"fewest":{},"median":{},"most":{},)"
        R"("bytes":{},"cpu_seconds":{:.3f}}})"
        "\n",
        readers_.size(), lost_, std::chrono::duration<double>(Clock::now() - ready_at_).count(),
        sum, events.front(), events[events.size() / 2], events.back(), bytes_,
        thread_cpu_seconds() - cpu_at_);
  }

  const std::string request_;
  const int epoll_;
  std::vector<Reader> readers_;
  sockaddr_in address_{};
  std::size_t next_ = 0, began_ = 0, lost_ = 0;
  bool is_ready_ = false, is_told_to_end_ = false;
  std::uint64_t bytes_ = 0;
  Clock::time_point ready_at_;
  double cpu_at_ = 0;
  std::array<char, kReadBytes> buffer_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: stream_readers PORT TARGET READERS");
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  static Readers readers(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2],
                         static_cast<std::size_t>(std::atoi(argv[3])));
  readers.run();
  return 0;
}
