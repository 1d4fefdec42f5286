// Coroutines of one thread: a Task type and the socket operations that a Task can await. Less than
// asio::awaitable on purpose: no type-erased executor, no cancellation slots, no exceptions, so a
// session costs what its socket operations cost. An operation is ended by closing its socket.
//
// Everything here belongs to the thread that runs the socket's io_context. A Task must not be
// destroyed while an operation of it is pending in a context that will run again.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>

namespace veche::http {

using Tcp = boost::asio::ip::tcp;
using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = boost::asio::basic_socket_acceptor<Tcp, Executor>;
using Clock = std::chrono::steady_clock;
using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

// A coroutine that starts when it is awaited or started, and lives as long as its Task.
class Task {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct ResumeWaiter {
    bool await_ready() const noexcept { return false; }
    inline std::coroutine_handle<> await_suspend(Handle ended) const noexcept;
    void await_resume() const noexcept {}
  };
  struct promise_type {
    std::coroutine_handle<> waiter = std::noop_coroutine();
    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    ResumeWaiter final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  void start() { handle_.resume(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
    handle_.promise().waiter = waiter;
    return handle_;
  }
  void await_resume() const noexcept {}

 private:
  explicit Task(Handle handle) : handle_(handle) {}

  Handle handle_;
};

inline std::coroutine_handle<> Task::ResumeWaiter::await_suspend(Handle ended) const noexcept {
  return ended.promise().waiter;
}

struct IoResult {
  boost::system::error_code error;
  std::size_t bytes = 0;
};

// The part common to the operations below: what is resumed, and with what.
struct Operation {
  struct Done {
    Operation* operation;
    void operator()(const boost::system::error_code& error, std::size_t bytes = 0) const {
      operation->result = {error, bytes};
      operation->waiter.resume();
    }
  };

  std::coroutine_handle<> waiter;
  IoResult result;

  bool await_ready() const noexcept { return false; }
  IoResult await_resume() const noexcept { return result; }
  Done resume(std::coroutine_handle<> handle) {
    waiter = handle;
    return Done{this};
  }
};

struct ReadSome : Operation {
  Socket& socket;
  boost::asio::mutable_buffer into;
  ReadSome(Socket& from, boost::asio::mutable_buffer buffer) : socket(from), into(buffer) {}
  void await_suspend(std::coroutine_handle<> handle) {
    socket.async_read_some(into, resume(handle));
  }
};

struct WriteAll : Operation {
  Socket& socket;
  std::string_view bytes;
  WriteAll(Socket& to, std::string_view what) : socket(to), bytes(what) {}
  void await_suspend(std::coroutine_handle<> handle) {
    boost::asio::async_write(socket, boost::asio::buffer(bytes), resume(handle));
  }
};

// Until the socket can be read from, or written to, without a buffer that waits with it.
struct Ready : Operation {
  Socket& socket;
  Socket::wait_type what;
  Ready(Socket& of, Socket::wait_type wanted) : socket(of), what(wanted) {}
  void await_suspend(std::coroutine_handle<> handle) { socket.async_wait(what, resume(handle)); }
};

struct Connect : Operation {
  Socket& socket;
  Tcp::endpoint endpoint;
  Connect(Socket& from, const Tcp::endpoint& to) : socket(from), endpoint(to) {}
  void await_suspend(std::coroutine_handle<> handle) {
    socket.async_connect(endpoint, resume(handle));
  }
};

struct Accept : Operation {
  Acceptor& acceptor;
  Socket& peer;
  Accept(Acceptor& from, Socket& into) : acceptor(from), peer(into) {}
  void await_suspend(std::coroutine_handle<> handle) {
    acceptor.async_accept(peer, resume(handle));
  }
};

struct Sleep : Operation {
  Timer& timer;
  Sleep(Timer& clock, Clock::duration duration) : timer(clock) { timer.expires_after(duration); }
  void await_suspend(std::coroutine_handle<> handle) { timer.async_wait(resume(handle)); }
};

}  // namespace veche::http
