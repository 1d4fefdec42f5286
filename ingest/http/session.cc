#include "ingest/http/session.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ingest/http/event_stream.h"
#include "ingest/http/problem.h"
#include "ingest/http/worker.h"

namespace veche::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kBodyTooLarge = "The body is larger than this resource takes.";

// What a transfer of so many bytes may take, beside the time that it may stall.
Clock::duration time_of(std::size_t bytes) {
  return std::chrono::milliseconds(bytes * 1'000 / limits::kLeastBytesPerSecond);
}

Response too_much_received() {
  return unavailable("overloaded", "Too much is being sent at once; come back a little later.");
}
Response too_much_owed() {
  return unavailable("overloaded", "Too many answers are not taken yet; come back a little later.");
}

}  // namespace

Session::Session(Worker& worker, std::uint32_t connection, Socket socket)
    : worker_(worker),
      connection_(connection),
      socket_(std::move(socket)),
      memory_(worker.received()),
      answer_part_(worker.owed()),
      out_(worker.owed()),
      task_(run()) {
  boost::system::error_code ignored;  // slower answers, nothing worse
  socket_.set_option(Tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  bound_unsent_bytes(socket_, limits::kUnsentBytes);
  input_ = {buffer_.data(), 0};
}

void Session::start_refused() {
  was_refused_ = true;
  start();
}

Task Session::run() {
  while (!is_finished_) {
    take_requests();
    if (!exchanges_.empty()) {
      enter(Phase::handler);
      co_await AllAnswered{*this};
      append_answers();
    } else if (parser_ && parser_->expects_continue() && !has_continued_) {
      out_.append(kContinue);
      has_continued_ = true;
    }
    if (out_.empty()) {
      enter(reading_phase());
      const IoResult read = co_await ReadSome(socket_, space());
      received(read);
    } else {
      enter(Phase::write);
      boost::system::error_code error = out_.write_some(socket_);
      while (!out_.is_written() && (!error || error == boost::asio::error::would_block)) {
        moved(out_.written_bytes() - moved_bytes_);
        const IoResult writable = co_await Ready(socket_, Socket::wait_write);
        error = writable.error ? writable.error : out_.write_some(socket_);
      }
      const bool is_written = !error;
      out_.clear();
      if (reader_) hand_over_stream(is_written);
      is_finished_ =
          !is_written || is_closing_ || (worker_.is_draining() && reading_phase() == Phase::idle);
    }
  }
  if (has_unread_ && !reader_) co_await linger();
  boost::system::error_code ignored;
  socket_.close(ignored);
  worker_.session_ended(connection_);
}

void Session::hand_over_stream(bool has_header) {
  auto* const stream = worker_.find(*reader_);
  if (!has_header) return stream->abandon();
  stream->start(std::move(socket_));
  if (worker_.is_draining()) stream->drain();
}

// Closing a socket with unread bytes makes the kernel reset the connection, and the client may
// lose the answer that tells it why. So the rest is read first, in bounds.
Task Session::linger() {
  boost::system::error_code ignored;
  socket_.shutdown(Tcp::socket::shutdown_send, ignored);
  enter(Phase::linger);
  for (std::size_t bytes = 0; bytes < limits::kBytesReadAfterRefusal;) {
    const IoResult read = co_await ReadSome(socket_, boost::asio::buffer(buffer_));
    if (read.error) co_return;
    bytes += read.bytes;
  }
}

// A reading phase keeps its deadline over many reads, or a byte now and then would hold it open.
void Session::enter(Phase phase) {
  const bool is_reading = phase == Phase::idle || phase == Phase::header || phase == Phase::body;
  if (is_reading && phase == phase_ && deadline_ != Clock::time_point{}) return;
  const Deadlines& deadlines = worker_.options().deadlines;
  const auto allowed = [&] {
    if (was_refused_ && is_reading) return deadlines.linger;
    switch (phase) {
      case Phase::idle:
        return deadlines.idle;
      case Phase::header:
        return deadlines.header;
      case Phase::body:
        return deadlines.body;
      case Phase::handler:
        return deadlines.handler;
      case Phase::write:
        return deadlines.write;
      case Phase::linger:
        break;
    }
    return deadlines.linger;
  }();
  phase_ = phase;
  began_ = moved_at_ = Clock::now();
  moved_bytes_ = 0;
  if (phase == Phase::handler) taken_at_ = began_;
  deadline_ = began_ + allowed;
}

void Session::moved(std::size_t bytes) {
  if (bytes == 0) return;
  moved_bytes_ += bytes;
  moved_at_ = Clock::now();
}

// It may stall for a while, and need not be fast; but who takes a byte now and then has not much
// longer than who takes none.
Clock::time_point Session::transfer_end(Clock::duration patience) const {
  return std::min(moved_at_ + patience, began_ + patience + time_of(moved_bytes_));
}

Clock::time_point Session::phase_end() const {
  const auto write = worker_.options().deadlines.write;
  if (phase_ == Phase::write)
    return transfer_end(worker_.owed().is_crowded() ? std::min(limits::kSlowGrace, write) : write);
  if (phase_ == Phase::body && worker_.received().is_crowded())
    return std::min(deadline_, transfer_end(limits::kSlowGrace));
  return deadline_;
}

Session::Phase Session::reading_phase() const {
  if (parser_) return parser_->is_header_done() ? Phase::body : Phase::header;
  return input_.empty() ? Phase::idle : Phase::header;
}

boost::asio::mutable_buffer Session::space() {
  if (input_.data() != buffer_.data()) std::memmove(buffer_.data(), input_.data(), input_.size());
  input_ = {buffer_.data(), input_.size()};
  return boost::asio::buffer(buffer_) + input_.size();
}

void Session::received(const IoResult& result) {
  if (has_expired_ && was_refused_)
    refuse_and_close(too_many_connections());
  else if (has_expired_ && phase_ != Phase::idle)
    refuse_and_close(problem(408, "too-slow", "The request did not arrive in time."));
  else if (has_expired_ || result.error)
    is_finished_ = true;
  else
    input_ = {input_.data(), input_.size() + result.bytes};
  if (phase_ == Phase::body) moved(result.bytes);
}

// --- Requests ------------------------------------------------------------------------------------

// Hands over what is buffered, as far as memory for the answers is bounded: one after the other
// where the thread is owed too much already.
void Session::take_requests() {
  const auto has_room = [this] {
    const auto depth = worker_.owed().has_room() ? limits::kPipelineDepth : 1;
    return exchanges_.size() < depth && answer_bytes_ < limits::kPipelineAnswerBytes;
  };
  while (!is_closing_ && (exchanges_.empty() || !is_alone_) && has_room() && take_one()) {
  }
}

// False: the next request is not wholly here, or was refused and the connection will close.
bool Session::take_one() {
  if (!parser_) {
    while (input_.starts_with("\r\n")) input_.remove_prefix(2);  // some clients end a body so
    if (input_.empty()) return false;
    parser_.emplace(memory_);
    is_refused_ = has_continued_ = is_alone_ = false;
    route_ = kNoRoute;
  }
  if (!parser_->is_header_done() && !take_header()) return false;
  if (!parser_->is_done() && !take_body()) return false;
  if (!parser_->keep_alive()) is_closing_ = true;
  if (!is_refused_) dispatch();
  forget_request();
  return true;
}

// An idle connection keeps nothing of a large body.
void Session::forget_request() {
  parser_.reset();
  memory_.clear();
}

bool Session::take_header() {
  const auto progress = parser_->parse_header(input_);
  if (progress != RequestParser::Progress::done)
    return refuse_unfinished(progress, 431, "The header is larger than 8 KiB.");
  if (parser_->expects_the_unknown()) {
    refuse_and_close(problem(417, "expectation-failed", "Only 100-continue can be expected."));
    return false;
  }
  const RequestHead& head = parser_->head();
  if (was_refused_) {
    refuse_and_close(worker_.handler().on_too_many(head));
    return false;
  }
  Admission admission = worker_.handler().head(head);
  route_ = admission.route();
  std::optional<Response>& refusal = admission.refusal();
  const auto length = head.content_length.value_or(0);
  if (!refusal && length > admission.body_limit_bytes())
    refusal = problem(413, "too-large", kBodyTooLarge);
  if (!refusal && length > std::max(limits::kShortBodyBytes, worker_.received().room()))
    refusal = too_much_received();
  if (refusal) {
    is_refused_ = true;
    parser_->discard_body();
    refuse(std::move(*refusal));
  }
  parser_->limit_body(admission.body_limit_bytes());
  is_alone_ = admission.is_alone();
  return true;
}

bool Session::take_body() {
  const auto progress = parser_->parse_body(input_);
  if (progress == RequestParser::Progress::done) return true;
  if (!is_refused_) return refuse_unfinished(progress, 413, kBodyTooLarge);
  is_closing_ = has_unread_ = true;  // a body that nobody wants is not waited for
  forget_request();
  return false;
}

// False, always: for more bytes to come, or after the refusal of those that came.
bool Session::refuse_unfinished(RequestParser::Progress progress, std::uint16_t too_large_status,
                                std::string_view too_large) {
  if (progress == RequestParser::Progress::malformed)
    refuse_and_close(problem(400, "malformed", parser_->fault()));
  else if (progress == RequestParser::Progress::too_large)
    refuse_and_close(problem(too_large_status, "too-large", too_large));
  else if (progress == RequestParser::Progress::no_room)
    refuse_and_close(too_much_received());
  return false;
}

void Session::dispatch() {
  Exchange& exchange = add_exchange();
  exchange.is_answered = false;
  exchange.body_bytes = parser_->body().size();
  ++unanswered_;
  const auto ticket = first_ticket_ + static_cast<std::uint32_t>(exchanges_.size() - 1);
  const Request request{parser_->head(), parser_->body(), route_};
  worker_.handler().handle(request, Responder(worker_, connection_, ticket));
}

Session::Exchange& Session::add_exchange() {
  const std::uint32_t ticket = worker_.next_ticket();
  if (exchanges_.empty()) first_ticket_ = ticket;
  Exchange& exchange = exchanges_.emplace_back();
  exchange.route = route_;
  if (parser_ && parser_->is_header_done()) {
    exchange.method = parser_->head().method;
    exchange.is_http_1_0 = parser_->is_http_1_0();
    exchange.has_token = !parser_->head().authorization.empty();
  }
  return exchange;
}

void Session::refuse(Response response) { keep(add_exchange(), std::move(response)); }

void Session::refuse_and_close(Response response) {
  refuse(std::move(response));
  forget_request();
  is_closing_ = has_unread_ = true;
}

// --- Answers -------------------------------------------------------------------------------------

void Session::answer(std::uint32_t ticket, Response&& response) {
  const std::uint32_t position = ticket - first_ticket_;
  if (position >= exchanges_.size() || exchanges_[position].is_answered) return;
  keep(exchanges_[position], std::move(response));
  answered_one();
}

void Session::keep(Exchange& exchange, Response&& response) {
  exchange.response = std::move(response);
  exchange.is_answered = true;
  answer_bytes_ += sizeof exchange;  // about what its header will be
  if (is_copied(exchange.response.body))
    answer_bytes_ += exchange.response.body.size();
  else
    hold(exchange);
  answer_part_.set(answer_bytes_);
}

// The last bound, of answers that were begun when there was room. What was changed is told in any
// case, and what is short is given.
void Session::hold(Exchange& exchange) {
  const Frame& frame = exchange.response.body.share();
  const bool may_be_refused = (exchange.method == Method::get || exchange.method == Method::head) &&
                              frame->size() > limits::kCopiedBodyBytes;
  if (may_be_refused && !worker_.owed().has_room() && !worker_.owed().holds(frame))
    exchange.response = too_much_owed();
  else
    exchange.held = {worker_.owed(), frame};
}

void Session::answered_one() {
  if (--unanswered_ == 0 && waiter_) worker_.resume_soon(*this);
}

// What is behind it on the connection is never read.
std::optional<Reader> Session::stream(std::uint32_t ticket) {
  const std::uint32_t position = ticket - first_ticket_;
  if (position >= exchanges_.size() || exchanges_[position].is_answered) return std::nullopt;
  Exchange& exchange = exchanges_[position];
  exchange.is_answered = exchange.is_stream = is_closing_ = true;
  if (exchange.method == Method::head)
    has_unread_ = true;
  else
    reader_ = worker_.open_stream();
  answered_one();
  return reader_;
}

void Session::append_answers() {
  if (worker_.is_draining()) is_closing_ = has_unread_ = true;
  const auto duration = Clock::now() - taken_at_;
  for (Exchange& exchange : exchanges_) {
    const bool closes = is_closing_ && &exchange == &exchanges_.back();
    const std::size_t before = out_.size();
    if (exchange.is_stream)
      append_stream_header();
    else
      out_.append(std::move(exchange.response), {.head_only = exchange.method == Method::head,
                                                 .close = closes,
                                                 .keep_alive_1_0 = exchange.is_http_1_0,
                                                 .for_token = exchange.has_token});
    if (Observer* const observer = worker_.options().observer)
      observer->request_done({worker_.index(), exchange.route, exchange.method,
                              exchange.response.status, duration, exchange.body_bytes,
                              out_.size() - before});
  }
  exchanges_.clear();
  answer_bytes_ = 0;
  answer_part_.set(0);
  was_served_ = true;
}

void Session::append_stream_header() {
  out_.append(kStreamHeader);
  if (reader_) out_.append(kStreamBegin);
}

// --- Ends ----------------------------------------------------------------------------------------

void Session::sweep(Clock::time_point now) {
  if (now < phase_end()) return;
  boost::system::error_code ignored;
  switch (phase_) {
    case Phase::idle:
    case Phase::header:
    case Phase::body:
      has_expired_ = true;
      deadline_ = Clock::time_point::max();
      socket_.cancel(ignored);
      break;
    case Phase::handler:
      answer_rest();
      break;
    case Phase::write:
    case Phase::linger:
      reset();
      break;
  }
}

std::optional<Session::Idleness> Session::idleness(Clock::time_point now) const {
  if (gave_way_ || was_refused_ || !socket_.is_open()) return std::nullopt;
  const bool is_before_body = phase_ == Phase::idle || phase_ == Phase::header;
  const bool is_slow = phase_ != Phase::handler && now > transfer_end(limits::kSlowGrace);
  if (!is_before_body && !is_slow) return std::nullopt;
  return Idleness{was_served_, phase_ != Phase::idle, began_};
}

void Session::give_way() {
  gave_way_ = true;
  boost::system::error_code ignored;
  if (phase_ == Phase::idle)
    socket_.close(ignored);
  else
    reset();
}

void Session::answer_rest() {
  for (std::size_t i = 0; i < exchanges_.size(); ++i)
    if (!exchanges_[i].is_answered)
      answer(first_ticket_ + static_cast<std::uint32_t>(i),
             worker_.handler().on_deadline(exchanges_[i].route));
}

void Session::drain() {
  boost::system::error_code ignored;
  if (phase_ == Phase::idle) socket_.cancel(ignored);
}

void Session::reset() {
  boost::system::error_code ignored;
  socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
  answer_rest();  // a session that waits for answers sees the closed socket only after them
}

}  // namespace veche::http
