// The HTTP server: one listening socket, workers that share its connections evenly, and one
// written order of ending.
//
//   auto server = Server::start({.listen = "127.0.0.1:8080", .threads = 2}, factory);
//   ...
//   server.value()->drain(20s);   // then end what answers requests, then destroy the server
//
// Shutdown, in this order, whatever the callers' timing:
//   1. the listening socket is closed: new connections are refused by the kernel;
//   2. idle connections are closed; others get the answers to what they have sent, with
//      `Connection: close`, and are closed then;
//   3. at the drain deadline what is left is reset;
//   4. every session has ended, and the threads are joined.
// The objects that answer requests must work until drain has returned, and must stop posting
// before the server is destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/model/result.h"
#include "ingest/http/coroutine.h"
#include "ingest/http/handler.h"
#include "ingest/http/worker.h"

namespace veche::http {

// All methods belong to the thread that started the server.
class Server {
 public:
  // Listens and serves when it returns. The fault names the address, and what to do about it.
  static Result<std::unique_ptr<Server>> start(ServerOptions options,
                                               const HandlerFactory& make_handler);
  ~Server();  // drains with a deadline of zero, unless that was done

  std::uint16_t port() const { return endpoint_.port(); }
  std::string url() const;  // e.g. "http://127.0.0.1:8080"

  void stop_accepting();  // step 1; may be called again
  // Steps 1 to 4. True: every request taken was answered before the deadline.
  bool drain(std::chrono::milliseconds deadline);

 private:
  explicit Server(ServerOptions options);
  Result<void> listen();
  Task accept_connections();
  void tell(const boost::system::error_code& error);

  const ServerOptions options_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Tcp::endpoint endpoint_;

  // On the first worker's thread.
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<Timer> accept_pause_;
  std::optional<Clock::time_point> told_at_;  // that no connection can be accepted
  Task accepting_;
  std::promise<void> accepting_ended_;

  bool is_accepting_ = false;
  bool is_running_ = false;
};

}  // namespace veche::http
