#include "ingest/http/worker.h"

#include <algorithm>

#include "engine/model/assert.h"
#include "engine/model/thread_name.h"
#include "ingest/http/event_stream.h"
#include "ingest/http/problem.h"
#include "ingest/http/session.h"

namespace veche::http {

Response Handler::on_too_many(const RequestHead&) { return too_many_connections(); }

void Responder::send(Response&& response) const {
  worker_->answer(connection_, ticket_, std::move(response));
}

std::optional<Reader> Responder::stream() const {
  return worker_->add_reader(connection_, ticket_);
}

void Reader::offer(std::uint16_t slot, Frame frame) const {
  if (auto* const stream = worker_->find(*this)) stream->offer(slot, std::move(frame));
}

// The hint 1 tells asio that one thread runs the context; others may still post to it.
Worker::Worker(std::size_t index, const ServerOptions& options)
    : index_(index),
      options_(options),
      context_(1),
      keeps_running_(context_.get_executor()),
      sweep_timer_(context_),
      sweeper_(sweep()) {}

Worker::~Worker() = default;

void Worker::run() {
  post([this] { sweeper_.start(); });
  thread_ = std::thread([this] {
    model::name_thread("http");
    context_.run();
  });
}

void Worker::join() { thread_.join(); }

void Worker::adopt(Socket socket) {
  ++arriving_;
  post([this, taken = std::move(socket)]() mutable { open_session(std::move(taken)); });
}

void Worker::open_session(Socket socket) {
  --arriving_;
  if (is_draining_) return;
  if (is_full()) close_idle();
  const bool is_refused = is_full();
  if (is_refused && refused_ >= refused_at_once()) return;
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(sessions_.size()));
    sessions_.emplace_back();
  }
  const std::uint32_t connection = free_.back();
  free_.pop_back();
  sessions_[connection] = std::make_unique<Session>(*this, connection, std::move(socket));
  if (is_refused) {
    ++refused_;
    sessions_[connection]->start_refused();
  } else {
    ++open_;
    report_connections();
    sessions_[connection]->start();
  }
}

bool Worker::is_full() const {
  const auto serving = open_ - giving_way_;
  return serving >= options_.connections_per_thread ||
         serving + readers_ + refused_at_once() + arriving_at_once() >= options_.sockets_per_thread;
}

std::size_t Worker::refused_at_once() const {
  return std::min(limits::kRefusedPerThread, options_.sockets_per_thread / 16 + 1);
}

std::size_t Worker::arriving_at_once() const {
  return std::min(limits::kArrivingPerThread, options_.sockets_per_thread / 16 + 1);
}

// Whoever only holds a connection must not keep others out. First those that sent nothing, the
// oldest before the others; several at once, as all have to be looked at.
void Worker::close_idle() {
  const auto now = Clock::now();
  std::vector<std::pair<Session::Idleness, Session*>> idle;
  for (const auto& session : sessions_)
    if (const auto idleness = session ? session->idleness(now) : std::nullopt)
      idle.emplace_back(*idleness, session.get());
  const auto wanted = std::clamp<std::size_t>(open_ / 16, 1, limits::kIdleClosedAtOnce);
  const auto count = std::min(wanted, idle.size());
  std::partial_sort(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>(count), idle.end());
  for (std::size_t i = 0; i < count; ++i) idle[i].second->give_way();
  giving_way_ += count;
}

// Called by the session's own coroutine, which must have ended before it can be destroyed.
void Worker::session_ended(std::uint32_t connection) {
  post([this, connection] { close_session(connection); });
}

void Worker::close_session(std::uint32_t connection) {
  --(sessions_[connection]->was_refused() ? refused_ : open_);
  if (sessions_[connection]->gave_way()) --giving_way_;
  sessions_[connection].reset();
  free_.push_back(connection);
  report_connections();
  finish_if_drained();
}

void Worker::report_connections() const {
  if (options_.observer != nullptr) options_.observer->connections(index_, open_);
}

void Worker::answer(std::uint32_t connection, std::uint32_t ticket, Response&& response) {
  VECHE_ASSERT(context_.get_executor().running_in_this_thread(),
               "an answer is sent on its worker's thread");
  if (sessions_[connection]) sessions_[connection]->answer(ticket, std::move(response));
}

// Not at once: the session may call the handler, which is perhaps in the middle of something.
void Worker::resume_soon(Session& session) {
  if (ready_.empty()) post([this] { resume_ready(); });
  ready_.push_back(&session);
}

void Worker::resume_ready() {
  const std::vector<Session*> ready = std::exchange(ready_, {});
  for (Session* const session : ready) session->resume();
}

Task Worker::sweep() {
  while (keeps_running_.owns_work()) {
    co_await Sleep(sweep_timer_, options_.sweep_interval);
    const Clock::time_point now = Clock::now();
    for (const auto& session : sessions_)
      if (session) session->sweep(now);
    for (const auto& stream : streams_)
      if (stream) stream->sweep(now);
    report_streams();
  }
}

std::future<void> Worker::drain() {
  post([this] {
    is_draining_ = true;
    for (const auto& session : sessions_)
      if (session) session->drain();
    for (const auto& stream : streams_)
      if (stream) stream->drain();
    finish_if_drained();
  });
  return drained_.get_future();
}

void Worker::reset_all() {
  post([this] {
    for (const auto& session : sessions_)
      if (session) session->reset();
    for (const auto& stream : streams_)
      if (stream) stream->reset();
  });
}

// --- Streams -------------------------------------------------------------------------------------

std::optional<Reader> Worker::add_reader(std::uint32_t connection, std::uint32_t ticket) {
  VECHE_ASSERT(context_.get_executor().running_in_this_thread() && has_room_for_reader(),
               "a stream begins on its worker's thread, which has room for it");
  return sessions_[connection] ? sessions_[connection]->stream(ticket) : std::nullopt;
}

Reader Worker::open_stream() {
  if (free_streams_.empty()) {
    free_streams_.push_back(static_cast<std::uint32_t>(streams_.size()));
    streams_.emplace_back();
  }
  const Reader reader(*this, free_streams_.back(), next_life_++);
  free_streams_.pop_back();
  streams_[reader.number()] = std::make_unique<EventStream>(*this, reader);
  ++readers_;
  if (options_.observer != nullptr) options_.observer->readers(index_, readers_);
  return reader;
}

EventStream* Worker::find(const Reader& reader) const {
  auto* const stream = streams_[reader.number()].get();
  return stream && stream->reader().key() == reader.key() ? stream : nullptr;
}

// Thousands have the same news at once: others of the thread get their turn in between.
void Worker::write_soon(const Reader& reader) {
  if (ready_streams_.empty()) post([this] { write_ready_streams(); });
  ready_streams_.push_back(reader);
}

void Worker::write_ready_streams() {
  for (std::size_t i = 0; i < limits::kStreamsWrittenAtOnce && !ready_streams_.empty(); ++i) {
    auto* const stream = find(ready_streams_.front());
    ready_streams_.pop_front();
    if (stream) stream->resume();
  }
  if (!ready_streams_.empty()) post([this] { write_ready_streams(); });
}

// Called by the stream's own coroutines, which must have ended before it can be destroyed.
void Worker::stream_ended(const Reader& reader) {
  post([this, reader] { close_stream(reader); });
}

void Worker::close_stream(const Reader& reader) {
  streams_[reader.number()].reset();
  free_streams_.push_back(reader.number());
  --readers_;
  if (options_.observer != nullptr) options_.observer->readers(index_, readers_);
  handler_->reader_gone(reader);
  finish_if_drained();
}

void Worker::report_streams() {
  if (stream_counts_ == StreamCounts{}) return;
  if (options_.observer != nullptr) options_.observer->streamed(stream_counts_);
  stream_counts_ = {};
}

void Worker::finish_if_drained() {
  if (!is_draining_ || open_ + refused_ + readers_ > 0 || !keeps_running_.owns_work()) return;
  keeps_running_.reset();
  sweep_timer_.cancel();
  drained_.set_value();
}

}  // namespace veche::http
