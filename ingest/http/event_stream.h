// One reader of an answer without end: server-sent events (the WHATWG HTML standard, 9.2). Takes
// the socket over from the session that read the request, so that it keeps none of a session's
// memory. Belongs to its worker's thread; lives until both of its coroutines have ended.
//
// Frames wait in numbered slots, at most one in each: a newer one takes the place of an older one
// that was not written yet, so a slow reader is behind by what the kernel holds, never by a queue.
// All that waits goes out in one write, by slot.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/http/coroutine.h"
#include "ingest/http/handler.h"
#include "ingest/http/held_bytes.h"
#include "ingest/http/response.h"

namespace veche::http {

// The header of every stream. The first line of events that follows it, unless the request was a
// HEAD, tells how long to wait before coming back when the connection is lost.
extern const std::string_view kStreamHeader;
extern const std::string_view kStreamBegin;

// The answer to who may have a stream, but not now, where others get 503: an EventSource comes back
// after the end of a stream, and never after another status than 200. `why` is for people.
Response come_back_later(std::string_view why);

class EventStream {
 public:
  EventStream(Worker& worker, Reader reader);

  Reader reader() const { return reader_; }

  // The header is written; what was offered meanwhile goes out now.
  void start(Socket socket);
  // The connection ended before the header was written.
  void abandon();

  void offer(std::uint16_t slot, Frame frame);
  void resume();  // after Worker::write_soon

  void sweep(Clock::time_point now);  // drops a reader that takes nothing; keeps an idle one awake
  void drain();                       // says goodbye and ends
  void reset();                       // ends it without another byte

 private:
  struct Waiting {
    std::uint16_t slot;
    Frame frame;
  };

  struct Offered {
    EventStream& stream;
    bool await_ready() const { return stream.has_work(); }
    void await_suspend(std::coroutine_handle<> handle) { stream.waiter_ = handle; }
    void await_resume() const {}
  };

  Task write();
  Task watch();
  bool has_work() const { return !waiting_.empty() || is_draining_ || is_ended_; }
  bool discard_input();  // false: the client has gone
  void take_waiting();
  bool hold_rest();  // false: there is no room to wait for this reader
  boost::system::error_code write_some();
  void end();
  void coroutine_ended();

  Worker& worker_;
  const Reader reader_;
  Socket socket_;
  bool is_draining_ = false;
  bool is_ended_ = false;
  bool is_resumed_soon_ = false;
  std::uint8_t running_ = 0;      // coroutines
  Clock::time_point last_taken_;  // when there was something to write
  Clock::time_point write_deadline_ = Clock::time_point::max();  // while the socket takes nothing

  std::vector<Waiting> waiting_;  // by slot
  std::vector<Waiting> writing_;  // the front one from offset_ on
  std::size_t written_frames_ = 0, offset_ = 0;
  std::vector<HeldBytes::Held> held_;  // of writing_, while the socket takes nothing
  std::coroutine_handle<> waiter_;
  Task writer_;
  Task watcher_;
};

}  // namespace veche::http
