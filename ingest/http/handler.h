// What the server asks of the program behind it. Each worker thread has a handler of its own, and
// calls it from that thread alone; so a handler needs no locks for its own state. It must not
// throw and must not block: all connections of the thread would wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ingest/http/request.h"
#include "ingest/http/response.h"

namespace veche::http {

class Worker;

// The right to send events to one reader of a stream, for as long as it is there. A small value;
// all of it belongs to the worker's thread. What is offered to a reader that has gone is dropped.
class Reader {
 public:
  Reader(Worker& worker, std::uint32_t number, std::uint32_t life)
      : worker_(&worker), number_(number), life_(life) {}

  // The frame goes out soon, after those in lower slots that wait as well. One that still waits in
  // its slot is replaced, so a slot is for what only its newest state is wanted of.
  void offer(std::uint16_t slot, Frame frame) const;

  // Names it among the readers that its worker ever had, until 2^32 have come.
  std::uint64_t key() const { return std::uint64_t{life_} << 32 | number_; }
  std::uint32_t number() const { return number_; }

 private:
  Worker* worker_;
  std::uint32_t number_;
  std::uint32_t life_;
};

// Slots of a reader that a handler may use: 0 to this, without it.
inline constexpr std::uint16_t kReaderSlots = 0x8000;

// The right to answer one request, once, at any time. A small value: copy it into whatever comes
// back with the outcome. An answer that comes second, after the handler deadline, or after the
// connection died is dropped without harm.
class Responder {
 public:
  Responder(Worker& worker, std::uint32_t connection, std::uint32_t ticket)
      : worker_(&worker), connection_(connection), ticket_(ticket) {}

  // The worker whose thread must call send; post to it from another thread.
  Worker& worker() const { return *worker_; }

  // On the worker's thread only. May be called inside Handler::handle; never calls the handler.
  void send(Response&& response) const;

  // Instead of send: begins an answer without end, and makes the client its reader. None: there is
  // nobody to send events to, as the request was a HEAD or its connection has died. Only for a
  // request that was accepted alone, and while the worker has room for a reader.
  std::optional<Reader> stream() const;

 private:
  Worker* worker_;
  std::uint32_t connection_;
  std::uint32_t ticket_;  // names the request; repeats after 2^32 requests of the worker
};

// A handler's judgement of a request by its head, before any of its body is read.
class Admission {
 public:
  // A longer body is refused with 413.
  static Admission accept(Route route, std::size_t body_limit_bytes) {
    return Admission(route, body_limit_bytes, std::nullopt);
  }
  // The same for one whose answer may be large, or without end: Responder::stream. Nothing behind
  // it is taken from the connection before its answer is written.
  static Admission accept_alone(Route route, std::size_t body_limit_bytes) {
    Admission admission(route, body_limit_bytes, std::nullopt);
    admission.is_alone_ = true;
    return admission;
  }
  static Admission refuse(Route route, Response response) {
    return Admission(route, 0, std::move(response));
  }

  Route route() const { return route_; }
  std::size_t body_limit_bytes() const { return body_limit_bytes_; }
  std::optional<Response>& refusal() { return refusal_; }
  bool is_alone() const { return is_alone_; }

 private:
  Admission(Route route, std::size_t limit, std::optional<Response> refusal)
      : route_(route), body_limit_bytes_(limit), refusal_(std::move(refusal)) {}

  Route route_;
  std::size_t body_limit_bytes_;
  std::optional<Response> refusal_;
  bool is_alone_ = false;
};

class Handler {
 public:
  virtual ~Handler() = default;

  // Called once for each well-formed head. A refusal is answered at once; the connection is
  // closed after it when the body is not already there.
  virtual Admission head(const RequestHead& head) = 0;

  // Called once for each whole request that head accepted. The views in `request` die with the
  // call, the responder does not.
  virtual void handle(const Request& request, Responder responder) = 0;

  // The answer on a connection beyond those that a worker takes; `head` was not called for it.
  virtual Response on_too_many(const RequestHead& head);

  // The answer for a request that got none by the handler deadline.
  virtual Response on_deadline(Route route) = 0;

  // Called once for each reader that stream() gave, when it has gone, for whatever reason.
  virtual void reader_gone(const Reader&) {}
};

// Makes the handler of one worker; called on the thread that starts the server.
using HandlerFactory = std::function<std::unique_ptr<Handler>(Worker&)>;

// What an observer is told about an answered request: nothing that names a person.
struct RequestDone {
  std::size_t worker = 0;
  Route route = kNoRoute;
  Method method = Method::other;
  std::uint16_t status = 0;
  std::chrono::nanoseconds duration{};  // from the whole request to its answer in the send buffer
  std::size_t body_bytes = 0;
  std::size_t answer_bytes = 0;  // with headers
};

// What became of events since the last count.
struct StreamCounts {
  std::uint64_t events = 0;    // written, counted once for each reader
  std::uint64_t replaced = 0;  // newer ones came before they were written
  std::uint64_t slow = 0;      // readers dropped because they took nothing
  friend bool operator==(const StreamCounts&, const StreamCounts&) = default;
};

// Called on worker threads, several at once; must not block.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void request_done(const RequestDone& done) = 0;
  virtual void connections(std::size_t worker, std::size_t open) = 0;
  virtual void readers(std::size_t, std::size_t) {}  // worker, open
  virtual void streamed(const StreamCounts&) {}
};

}  // namespace veche::http
