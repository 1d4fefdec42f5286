// A server with routes that misbehave on demand, and a client that sends any bytes.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/http/event_stream.h"
#include "ingest/http/problem.h"
#include "ingest/http/server.h"

namespace veche::http {

using namespace std::chrono_literals;

inline constexpr std::size_t kEchoLimitBytes = 4'000'000;
inline constexpr std::size_t kTinyLimitBytes = 16;

enum : Route { kEcho = 1, kTiny, kLater, kNever, kBusy, kLarge, kShared, kStream, kUnknown };

// What the tests see of the handlers of a server.
class Backstage {
 public:
  void hold(std::string body, Responder responder) {
    const std::scoped_lock lock(mutex_);
    held_.emplace_back(std::move(body), responder);
    arrived_.notify_all();
  }

  // Waits for so many requests to /later and takes them, in the order of their arrival.
  std::vector<std::pair<std::string, Responder>> take(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool all = arrived_.wait_for(lock, 10s, [&] { return held_.size() >= count; });
    EXPECT_TRUE(all) << "only " << held_.size() << " of " << count << " requests arrived";
    return std::exchange(held_, {});
  }

  void hold(Worker& worker, Reader reader) {
    const std::scoped_lock lock(mutex_);
    readers_.emplace_back(&worker, reader);
    arrived_.notify_all();
  }

  // Waits for so many readers of /stream and takes them, in the order in which they came.
  std::vector<std::pair<Worker*, Reader>> take_readers(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool all = arrived_.wait_for(lock, 10s, [&] { return readers_.size() >= count; });
    EXPECT_TRUE(all) << "only " << readers_.size() << " of " << count << " readers came";
    return std::exchange(readers_, {});
  }

  void saw_reader_go(const Reader& reader) {
    const std::scoped_lock lock(mutex_);
    gone_.push_back(reader.key());
    arrived_.notify_all();
  }

  // The keys of readers that have gone, once they are so many.
  std::vector<std::uint64_t> gone(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool all = arrived_.wait_for(lock, 10s, [&] { return gone_.size() >= count; });
    EXPECT_TRUE(all) << "only " << gone_.size() << " of " << count << " readers have gone";
    return gone_;
  }

  void saw_head() {
    const std::scoped_lock lock(mutex_);
    ++heads_;
  }
  std::size_t heads() const {
    const std::scoped_lock lock(mutex_);
    return heads_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::pair<std::string, Responder>> held_;
  std::vector<std::pair<Worker*, Reader>> readers_;
  std::vector<std::uint64_t> gone_;
  std::size_t heads_ = 0;
};

// The body of every answer of /shared.
inline const Frame& shared() {
  static const Frame kBody = std::make_shared<const std::string>(20'000'000, 's');
  return kBody;
}

inline Response text(std::string body) {
  return {.status = 200, .content_type = "text/plain", .body = std::move(body)};
}

// From a thread that is not the worker's.
inline void answer_later(Responder responder, std::string body) {
  responder.worker().post(
      [responder, body = std::move(body)]() mutable { responder.send(text(std::move(body))); });
}

class TestHandler final : public Handler {
 public:
  explicit TestHandler(Backstage& backstage) : backstage_(backstage) {}

  Admission head(const RequestHead& head) override {
    backstage_.saw_head();
    if (head.path == "/echo") return Admission::accept(kEcho, kEchoLimitBytes);
    if (head.path == "/tiny") return Admission::accept(kTiny, kTinyLimitBytes);
    if (head.path == "/later") return Admission::accept(kLater, kTinyLimitBytes);
    if (head.path == "/never") return Admission::accept(kNever, kTinyLimitBytes);
    if (head.path == "/large") return Admission::accept_alone(kLarge, 0);
    if (head.path == "/shared") return Admission::accept_alone(kShared, 0);
    if (head.path == "/stream") return Admission::accept_alone(kStream, 0);
    if (head.path == "/busy") return Admission::refuse(kBusy, unavailable("overloaded", "busy"));
    if (head.path == "/long-no")
      return Admission::refuse(kBusy, unavailable("overloaded", std::string(12'000, 'n')));
    return Admission::refuse(kUnknown, problem(404, "not-found", "no such path"));
  }

  void handle(const Request& request, Responder responder) override {
    switch (request.route) {
      case kLater:
        return backstage_.hold(std::string(request.body), responder);
      case kNever:
        return;
      case kLarge:
        return responder.send(text(std::string(32'000'000, 'x')));
      case kShared:
        return responder.send({.content_type = "text/plain", .body = shared()});
      case kStream:
        return stream(responder);
      default:
        return responder.send(text(std::string(request.body)));
    }
  }

  Response on_too_many(const RequestHead& head) override {
    return head.path == "/stream" ? come_back_later("not now") : Handler::on_too_many(head);
  }
  Response on_deadline(Route) override { return unavailable("outcome-unknown", "send it again"); }

  void reader_gone(const Reader& reader) override { backstage_.saw_reader_go(reader); }

 private:
  void stream(Responder responder) {
    if (!responder.worker().has_room_for_reader())
      return responder.send(unavailable("overloaded", "too many readers"));
    if (const auto reader = responder.stream()) backstage_.hold(responder.worker(), *reader);
  }

  Backstage& backstage_;
};

// Instead of a status: what the connection did.
enum : int { kClosed = 0, kSilent = -1, kReset = -2 };

struct Reply {
  int status = kClosed;
  std::map<std::string, std::string> headers = {};  // names in lower case
  std::string body = {};
};

// A blocking socket that says what it is told, well-formed or not.
class Wire {
 public:
  // With few bytes to receive into, the server soon notices that nobody reads.
  explicit Wire(std::uint16_t port, int receive_bytes = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_bytes > 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  ~Wire() { vanish(); }

  bool is_connected() const { return is_connected_; }

  Wire& send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;  // the server may refuse before it has all
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return *this;
  }

  // The connection is reset, as when a phone loses its network for good.
  void vanish() {
    if (fd_ < 0) return;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(std::exchange(fd_, -1));
  }

  // The next answer; a status of kSilent when nothing came for `patience`.
  Reply read(bool has_body = true, std::chrono::milliseconds patience = 10s) {
    std::size_t end = std::string::npos;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos)
      if (const int status = more(patience); status <= 0) return {.status = status};
    Reply reply = parse(input_.substr(0, end + 2));
    input_.erase(0, end + 4);
    const std::size_t length =
        has_body ? std::strtoull(reply.headers["content-length"].c_str(), nullptr, 10) : 0;
    while (input_.size() < length)
      if (const int status = more(patience); status <= 0) return {.status = status};
    reply.body = input_.substr(0, length);
    input_.erase(0, length);
    return reply;
  }

  // The answer's header, which ends before what a stream says.
  Reply read_header() { return read(false); }

  // What a stream says up to `end` and with it; less if the connection ends.
  std::string read_until(std::string_view end, std::chrono::milliseconds patience = 10s) {
    std::size_t found = 0, searched = 0;
    while ((found = input_.find(end, searched)) == std::string::npos) {
      searched = input_.size() - std::min(input_.size(), end.size() - 1);
      if (more(patience) <= 0) return std::exchange(input_, {});
    }
    const auto said = input_.substr(0, found + end.size());
    input_.erase(0, found + end.size());
    return said;
  }

  // What is there, perhaps nothing.
  std::string read_some() {
    more(0ms);
    return std::exchange(input_, {});
  }

  // Whether the server has reset the connection; what it sent stays unread.
  bool is_reset() const {
    pollfd wait{.fd = fd_, .events = 0, .revents = 0};
    return ::poll(&wait, 1, 0) == 1 && (wait.revents & POLLERR) != 0;
  }

  void close_in_order() { ::close(std::exchange(fd_, -1)); }

  // True: the server closes the connection in order, without another byte.
  bool is_closed_by_server(std::chrono::milliseconds patience = 10s) {
    return input_.empty() && more(patience) == kClosed;
  }

 private:
  // 1: more bytes in input_; else kClosed, kSilent or kReset.
  int more(std::chrono::milliseconds patience) {
    pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return kSilent;
    char buffer[65'536];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) return got == 0 ? kClosed : kReset;
    input_.append(buffer, static_cast<std::size_t>(got));
    return 1;
  }

  static Reply parse(std::string_view header) {
    Reply reply{.status = std::atoi(header.substr(9, 3).data())};
    for (std::size_t line = header.find("\r\n") + 2; line < header.size();) {
      const std::size_t end = header.find("\r\n", line);
      const std::size_t colon = header.find(": ", line);
      std::string name(header.substr(line, colon - line));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return static_cast<char>(std::tolower(c)); });
      reply.headers[name] = header.substr(colon + 2, end - colon - 2);
      line = end + 2;
    }
    return reply;
  }

  int fd_;
  bool is_connected_ = false;
  std::string input_;
};

inline std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

inline std::string post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

class HttpTest : public testing::Test {
 protected:
  static ServerOptions options() {
    return {.listen = "127.0.0.1:0", .threads = 2, .sweep_interval = 10ms};
  }

  void serve(ServerOptions how = options()) {
    auto started = Server::start(
        std::move(how), [this](Worker&) { return std::make_unique<TestHandler>(backstage_); });
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }

  // That the server still serves others, whatever was done to it.
  void expect_alive() {
    Wire wire(server_->port());
    EXPECT_EQ(wire.send(post("/echo", "alive")).read().body, "alive");
  }

  Backstage backstage_;
  std::unique_ptr<Server> server_;
};

}  // namespace veche::http
