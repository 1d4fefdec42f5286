// One connection: reads what has come, hands every whole request to the handler, waits for all of
// their answers, writes them in order in one write, and begins again. Belongs to its worker's
// thread; lives until its coroutine has ended.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/http/coroutine.h"
#include "ingest/http/handler.h"
#include "ingest/http/limits.h"
#include "ingest/http/output.h"
#include "ingest/http/request_parser.h"

namespace veche::http {

class Session {
 public:
  Session(Worker& worker, std::uint32_t connection, Socket socket);

  void start() { task_.start(); }
  // Answers the client's first request that there are too many connections, and ends. Waits for it
  // as briefly as for a client to go.
  void start_refused();
  bool was_refused() const { return was_refused_; }

  // Drops an answer to a request that is not waiting for one.
  void answer(std::uint32_t ticket, Response&& response);
  // Begins an answer without end, if a request waits for one and can have it.
  std::optional<Reader> stream(std::uint32_t ticket);
  void resume() { std::exchange(waiter_, nullptr).resume(); }

  void sweep(Clock::time_point now);  // ends a phase whose deadline has passed
  // That it waits for its client, and may give way to others: the lesser, the sooner. none: it is
  // at work.
  struct Idleness {
    bool was_served = false;
    bool has_begun = false;  // a request, or to take an answer
    Clock::time_point since;
    friend auto operator<=>(const Idleness&, const Idleness&) = default;
  };
  std::optional<Idleness> idleness(Clock::time_point now) const;
  void give_way();
  bool gave_way() const { return gave_way_; }
  void drain();  // ends it if nothing of a request has come yet
  void reset();  // ends it without another byte

 private:
  // What the connection is waiting for, each with a deadline of its own.
  enum class Phase : std::uint8_t { idle, header, body, handler, write, linger };

  // A request that was taken and its answer.
  struct Exchange {
    Response response;
    HeldBytes::Held held;  // its body, unless it will be copied
    Method method = Method::other;
    Route route = kNoRoute;
    bool is_answered = false;
    bool is_http_1_0 = false;
    bool is_stream = false;
    bool has_token = false;
    std::size_t body_bytes = 0;
  };

  struct AllAnswered {
    Session& session;
    bool await_ready() const { return session.unanswered_ == 0; }
    void await_suspend(std::coroutine_handle<> handle) { session.waiter_ = handle; }
    void await_resume() const {}
  };

  Task run();
  Task linger();
  void hand_over_stream(bool has_header);
  void enter(Phase phase);
  void moved(std::size_t bytes);
  Clock::time_point transfer_end(Clock::duration patience) const;
  Clock::time_point phase_end() const;
  Phase reading_phase() const;
  boost::asio::mutable_buffer space();
  void received(const IoResult& result);

  void take_requests();
  bool take_one();
  bool take_header();
  bool take_body();
  bool refuse_unfinished(RequestParser::Progress progress, std::uint16_t too_large_status,
                         std::string_view too_large);
  void forget_request();
  void dispatch();
  void keep(Exchange& exchange, Response&& response);
  void hold(Exchange& exchange);
  void answered_one();
  Exchange& add_exchange();
  void refuse(Response response);
  void refuse_and_close(Response response);

  void append_answers();
  void append_stream_header();
  void answer_rest();

  Worker& worker_;
  const std::uint32_t connection_;
  Socket socket_;
  Phase phase_ = Phase::idle;
  Clock::time_point deadline_;
  Clock::time_point began_;     // the phase
  Clock::time_point moved_at_;  // the last bytes of the phase, and how many they were in all
  std::size_t moved_bytes_ = 0;
  bool has_expired_ = false;  // the deadline of a reading phase
  bool is_closing_ = false;   // no request is taken after those in exchanges_
  bool has_unread_ = false;   // closing while the client may still be sending
  bool is_finished_ = false;
  bool was_refused_ = false;
  bool was_served_ = false;
  bool gave_way_ = false;

  std::array<char, limits::kReadBufferBytes> buffer_;
  std::string_view input_;  // the part of buffer_ that was received and not parsed
  RequestMemory memory_;
  std::optional<RequestParser> parser_;  // of the request that is being received
  Route route_ = kNoRoute;               // of that request
  bool is_refused_ = false;              // that request is answered, its body is skipped
  bool has_continued_ = false;           // "100 Continue" was sent for that request
  bool is_alone_ = false;                // that request, or the last one of exchanges_

  std::vector<Exchange> exchanges_;  // taken and not yet written, in order
  std::uint32_t first_ticket_ = 0;   // of exchanges_.front(); the others follow without a gap
  std::size_t unanswered_ = 0;
  std::size_t answer_bytes_ = 0;  // of exchanges_, without held bodies
  HeldBytes::Part answer_part_;
  Clock::time_point taken_at_;
  std::optional<Reader> reader_;  // takes the connection over once its header is written
  std::coroutine_handle<> waiter_;
  Output out_;
  Task task_;
};

}  // namespace veche::http
