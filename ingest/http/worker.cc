#include "ingest/http/worker.h"

#include "engine/model/assert.h"
#include "engine/model/thread_name.h"
#include "ingest/http/problem.h"
#include "ingest/http/session.h"

namespace veche::http {

void Responder::send(Response&& response) const {
  worker_->answer(connection_, ticket_, std::move(response));
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
  post([this, taken = std::move(socket)]() mutable { open_session(std::move(taken)); });
}

void Worker::open_session(Socket socket) {
  const bool is_full = open_ == options_.connections_per_thread;
  if (is_draining_ || (is_full && refused_ == limits::kRefusedPerThread)) return;
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(sessions_.size()));
    sessions_.emplace_back();
  }
  const std::uint32_t connection = free_.back();
  free_.pop_back();
  sessions_[connection] = std::make_unique<Session>(*this, connection, std::move(socket));
  if (is_full) {
    ++refused_;
    sessions_[connection]->start_refused(
        unavailable("overloaded", "Too many connections; come back a little later."));
  } else {
    ++open_;
    report_connections();
    sessions_[connection]->start();
  }
}

// Called by the session's own coroutine, which must have ended before it can be destroyed.
void Worker::session_ended(std::uint32_t connection) {
  post([this, connection] { close_session(connection); });
}

void Worker::close_session(std::uint32_t connection) {
  --(sessions_[connection]->was_refused() ? refused_ : open_);
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
  }
}

std::future<void> Worker::drain() {
  post([this] {
    is_draining_ = true;
    for (const auto& session : sessions_)
      if (session) session->drain();
    finish_if_drained();
  });
  return drained_.get_future();
}

void Worker::reset_all() {
  post([this] {
    for (const auto& session : sessions_)
      if (session) session->reset();
  });
}

void Worker::finish_if_drained() {
  if (!is_draining_ || open_ + refused_ > 0 || !keeps_running_.owns_work()) return;
  keeps_running_.reset();
  sweep_timer_.cancel();
  drained_.set_value();
}

}  // namespace veche::http
