// One HTTP thread: its io_context, its handler, and the connections that it owns from accept to
// close. A connection never changes its thread.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ingest/http/coroutine.h"
#include "ingest/http/handler.h"
#include "ingest/http/held_bytes.h"
#include "ingest/http/limits.h"

namespace veche::http {

class EventStream;
class Session;

// How long a connection may stay in each of its phases; see the phases in session.h.
struct Deadlines {
  std::chrono::milliseconds idle = limits::kIdleDeadline;        // closed silently
  std::chrono::milliseconds header = limits::kHeaderDeadline;    // 408, closed
  std::chrono::milliseconds body = limits::kBodyDeadline;        // 408, closed
  std::chrono::milliseconds handler = limits::kHandlerDeadline;  // Handler::on_deadline answers
  std::chrono::milliseconds write = limits::kWriteDeadline;      // reset
  std::chrono::milliseconds linger = limits::kLingerDeadline;    // reset
  std::chrono::milliseconds stream_write = limits::kStreamWriteDeadline;  // reset
};

struct ServerOptions {
  std::string listen = "127.0.0.1:8080";  // an address and a port; port 0 takes a free one
  std::size_t threads = 1;
  std::size_t connections_per_thread = limits::kConnectionsPerThread;
  std::size_t readers_per_thread = limits::kReadersPerThread;  // besides the connections
  // Of both together, of those that arrive and of those that are being refused: each is a file
  // descriptor. Readers, who stay for long, have two thirds of them at most.
  std::size_t sockets_per_thread = limits::kConnectionsPerThread + limits::kReadersPerThread +
                                   limits::kRefusedPerThread + limits::kArrivingPerThread;
  Deadlines deadlines = {};
  std::chrono::milliseconds heartbeat_interval = limits::kHeartbeatInterval;  // of idle streams
  std::chrono::milliseconds sweep_interval = limits::kSweepInterval;
  Observer* observer = nullptr;  // may be null; outlives the server
  // Told, on an HTTP thread and seldom, what an operator should know; may be empty.
  std::function<void(const std::string& what)> on_news = {};
};

class Worker {
 public:
  // `options` outlives the worker.
  Worker(std::size_t index, const ServerOptions& options);
  ~Worker();

  std::size_t index() const { return index_; }

  // Runs f on this worker's thread, soon. From any thread, for as long as the server exists; once
  // the server has drained, f is destroyed without being run. Hand many answers over in one post.
  template <class F>
  void post(F&& f) {
    boost::asio::post(context_, std::forward<F>(f));
  }

  // Whether Responder::stream may be called; on the worker's thread.
  bool has_room_for_reader() const {
    return readers_ < options_.readers_per_thread && readers_ < options_.sockets_per_thread / 3 * 2;
  }

  // Whether an answer that may be large should be begun: else refuse it. On the worker's thread.
  bool has_room_for_large_answer() const { return owed_.has_room(); }
  // Bodies that are being received, and what a handler has made of them; on the worker's thread.
  HeldBytes& received() { return received_; }

  // --- For the server ----------------------------------------------------------------------------

  // Before run. The handler lives until the worker does.
  void set_handler(std::unique_ptr<Handler> handler) { handler_ = std::move(handler); }
  void run();   // starts the thread
  void join();  // after the future of drain is ready

  boost::asio::io_context& context() { return context_; }

  // From any thread. Takes a connection, or tells it that there are too many.
  void adopt(Socket socket);
  // Whether so many wait to be taken that another one should wait in the kernel.
  bool is_behind() const { return arriving_ >= arriving_at_once(); }

  // From any thread, once: idle connections are closed, the others after the answer to what they
  // have taken. The future is ready when the last one is gone.
  std::future<void> drain();
  void reset_all();  // from any thread; ends what drain would wait for

  // --- For sessions, on the worker's thread ------------------------------------------------------

  const ServerOptions& options() const { return options_; }
  Handler& handler() { return *handler_; }
  bool is_draining() const { return is_draining_; }
  std::uint32_t next_ticket() { return next_ticket_++; }
  HeldBytes& owed() { return owed_; }  // answers that are not taken yet
  void answer(std::uint32_t connection, std::uint32_t ticket, Response&& response);
  void resume_soon(Session& session);  // once all of its requests are answered
  void session_ended(std::uint32_t connection);

  // --- For streams, on the worker's thread -------------------------------------------------------

  std::optional<Reader> add_reader(std::uint32_t connection, std::uint32_t ticket);
  Reader open_stream();
  // Null: it has ended.
  EventStream* find(const Reader& reader) const;
  void write_soon(const Reader& reader);
  void stream_ended(const Reader& reader);
  StreamCounts& stream_counts() { return stream_counts_; }

 private:
  void open_session(Socket socket);
  bool is_full() const;
  std::size_t refused_at_once() const;
  std::size_t arriving_at_once() const;
  void close_idle();
  void close_session(std::uint32_t connection);
  void resume_ready();
  void write_ready_streams();
  void close_stream(const Reader& reader);
  void report_streams();
  Task sweep();
  void finish_if_drained();
  void report_connections() const;

  const std::size_t index_;
  const ServerOptions& options_;
  HeldBytes received_{limits::kBodyBytesPerThread};
  HeldBytes owed_{limits::kOwedBytesPerThread};
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<Executor> keeps_running_;
  std::unique_ptr<Handler> handler_;

  std::vector<std::unique_ptr<Session>> sessions_;  // by connection number; null: free
  std::vector<std::uint32_t> free_;                 // numbers of null sessions
  std::size_t open_ = 0;                            // sessions that serve
  std::size_t refused_ = 0;                         // sessions that say "overloaded"
  std::size_t giving_way_ = 0;                      // of the open ones: their sockets are closed
  std::atomic<std::size_t> arriving_{0};            // adopted, and no session yet
  std::vector<Session*> ready_;                     // to be resumed; resume_ready is on its way
  std::uint32_t next_ticket_ = 0;

  std::vector<std::unique_ptr<EventStream>> streams_;  // by reader number; null: free
  std::vector<std::uint32_t> free_streams_;
  std::size_t readers_ = 0;
  std::uint32_t next_life_ = 0;
  std::deque<Reader> ready_streams_;  // write_ready_streams is on its way
  StreamCounts stream_counts_;

  bool is_draining_ = false;
  std::promise<void> drained_;
  Timer sweep_timer_;
  Task sweeper_;
  std::thread thread_;
};

}  // namespace veche::http
