#include "ingest/http/event_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/container/static_vector.hpp>
#include <memory>
#include <random>
#include <utility>

#include "ingest/http/output.h"
#include "ingest/http/worker.h"

namespace veche::http {
namespace {

using boost::system::error_code;

constexpr std::uint16_t kHeartbeatSlot = 0xFFFE;
constexpr std::uint16_t kByeSlot = 0xFFFF;
constexpr std::size_t kBuffersOfOneWrite = 64;  // as many as asio passes on

// What a reader sends is of no interest.
constexpr std::size_t kDiscardBytes = 4'096;

const Frame& heartbeat() {
  static const Frame kFrame = std::make_shared<const std::string>(": \n\n");
  return kFrame;
}

// Readers who are all sent away at once must not all come back at once.
std::int64_t retry_ms() {
  static thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<std::int64_t> wait(limits::kByeRetryMin.count(),
                                                   limits::kByeRetryMax.count());
  return wait(random);
}

Frame bye() {
  return std::make_shared<const std::string>(
      fmt::format("event: bye\nretry: {}\ndata: {{}}\n\n", retry_ms()));
}

}  // namespace

const std::string_view kStreamHeader =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/event-stream\r\n"
    "Cache-Control: no-store\r\n"
    "Vary: Authorization\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Accel-Buffering: no\r\n"
    "Connection: close\r\n\r\n";
const std::string_view kStreamBegin = "retry: 3000\n\n";

Response come_back_later(std::string_view why) {
  Response response{.status = 200,
                    .content_type = "text/event-stream",
                    .body = fmt::format(": {}\nretry: {}\n\n", why, retry_ms())};
  response.with(Header::cache_control, "no-store");
  return response;
}

EventStream::EventStream(Worker& worker, Reader reader)
    : worker_(worker),
      reader_(reader),
      socket_(worker.context().get_executor()),
      last_taken_(Clock::now()) {}

void EventStream::start(Socket socket) {
  socket_ = std::move(socket);
  error_code ignored;  // a read or write that fails tells
  socket_.non_blocking(true, ignored);
  bound_unsent_bytes(socket_, limits::kStreamUnsentBytes);  // what it has not sent is old news
  running_ = 2;
  writer_ = write();
  watcher_ = watch();
  watcher_.start();
  writer_.start();
}

void EventStream::abandon() { worker_.stream_ended(reader_); }

Task EventStream::write() {
  while (!is_ended_) {
    co_await Offered{*this};
    if (is_ended_ || waiting_.empty()) break;  // drained, and all is said
    take_waiting();
    while (written_frames_ < writing_.size() && !is_ended_) {
      const error_code error = write_some();
      if (!error) continue;
      if (error != boost::asio::error::would_block || !hold_rest()) break;
      const auto& deadlines = worker_.options().deadlines;
      write_deadline_ = Clock::now() + (is_draining_ ? deadlines.linger : deadlines.stream_write);
      const IoResult writable = co_await Ready(socket_, Socket::wait_write);
      write_deadline_ = Clock::time_point::max();
      if (writable.error) break;
    }
    held_.clear();
    if (written_frames_ < writing_.size()) break;
    writing_.clear();
  }
  end();
  coroutine_ended();
}

// The only way to notice that a reader who is sent nothing has gone. One read at a time, so that a
// client that sends without end waits for its turn like everybody.
Task EventStream::watch() {
  while (!is_ended_) {
    const IoResult readable = co_await Ready(socket_, Socket::wait_read);
    if (readable.error || is_ended_ || !discard_input()) break;
  }
  end();
  coroutine_ended();
}

// A function of its own, or the buffer would lie in the memory of every reader's coroutine.
bool EventStream::discard_input() {
  std::array<char, kDiscardBytes> discarded;
  error_code error;
  socket_.read_some(boost::asio::buffer(discarded), error);
  return !error || error == boost::asio::error::would_block;
}

void EventStream::offer(std::uint16_t slot, Frame frame) {
  if (is_ended_ || is_draining_) return;
  const auto place = std::lower_bound(
      waiting_.begin(), waiting_.end(), slot,
      [](const Waiting& waiting, std::uint16_t wanted) { return waiting.slot < wanted; });
  if (place != waiting_.end() && place->slot == slot) {
    place->frame = std::move(frame);
    ++worker_.stream_counts().replaced;
  } else {
    waiting_.insert(place, {slot, std::move(frame)});
  }
  if (waiter_ && !std::exchange(is_resumed_soon_, true)) worker_.write_soon(reader_);
}

void EventStream::resume() {
  is_resumed_soon_ = false;
  if (waiter_) std::exchange(waiter_, nullptr).resume();
}

void EventStream::take_waiting() {
  writing_.swap(waiting_);
  written_frames_ = offset_ = 0;
  last_taken_ = Clock::now();
  worker_.stream_counts().events += writing_.size() - (writing_.back().slot == kHeartbeatSlot);
}

// What readers who take it at once are sent is not counted: it is the newest, which is kept anyway.
// Each slow one may keep another state of the past.
bool EventStream::hold_rest() {
  if (!held_.empty()) return true;
  for (auto i = written_frames_; i < writing_.size(); ++i)
    held_.emplace_back(worker_.owed(), writing_[i].frame);
  if (worker_.owed().has_room()) return true;
  ++worker_.stream_counts().slow;
  return false;
}

error_code EventStream::write_some() {
  boost::container::static_vector<boost::asio::const_buffer, kBuffersOfOneWrite> buffers;
  for (auto i = written_frames_; i < writing_.size() && buffers.size() < buffers.capacity(); ++i)
    buffers.push_back(boost::asio::buffer(*writing_[i].frame) +
                      (i == written_frames_ ? offset_ : 0));
  error_code error;
  offset_ += socket_.write_some(buffers, error);
  while (written_frames_ < writing_.size() && offset_ >= writing_[written_frames_].frame->size())
    offset_ -= writing_[written_frames_++].frame->size();
  return error;
}

// --- Ends ----------------------------------------------------------------------------------------

void EventStream::sweep(Clock::time_point now) {
  if (is_ended_ || is_draining_) {
    if (now >= write_deadline_) reset();
    return;
  }
  const auto patience = worker_.options().deadlines.stream_write;
  const bool is_crowded = !held_.empty() && worker_.owed().is_crowded();
  if (now + (is_crowded ? patience - std::min(limits::kSlowGrace, patience) : Clock::duration()) >=
      write_deadline_) {
    ++worker_.stream_counts().slow;
    reset();
  } else if (waiter_ && now - last_taken_ >= worker_.options().heartbeat_interval) {
    offer(kHeartbeatSlot, heartbeat());
  }
}

void EventStream::drain() {
  if (is_draining_) return;
  offer(kByeSlot, bye());
  is_draining_ = true;
  write_deadline_ = std::min(write_deadline_, Clock::now() + worker_.options().deadlines.linger);
}

void EventStream::reset() {
  if (is_ended_) return;
  error_code ignored;
  socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
  end();
}

// Closing the socket wakes whoever waits for it; the writer may be waiting for events instead.
void EventStream::end() {
  if (std::exchange(is_ended_, true)) return;
  error_code ignored;
  socket_.close(ignored);
  if (waiter_ && !std::exchange(is_resumed_soon_, true)) worker_.write_soon(reader_);
}

void EventStream::coroutine_ended() {
  if (--running_ == 0) worker_.stream_ended(reader_);
}

}  // namespace veche::http
