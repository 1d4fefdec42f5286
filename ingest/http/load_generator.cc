#include "ingest/http/load_generator.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/error.hpp>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ingest/http/answer_parser.h"
#include "ingest/http/coroutine.h"
#include "ingest/http/site.h"

namespace veche::http {
namespace {

using boost::system::error_code;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr auto kSweep = 50ms;
constexpr auto kReconnectPause = 50ms;
// Planned requests are sent in steps of this: a timer for each would cost more than the request.
constexpr auto kStep = 100us;
constexpr std::size_t kReadBytes = 256 * 1'024;

nanoseconds thread_cpu() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + nanoseconds(used.tv_nsec);
}

class Generator;

// One connection, made anew by itself when it ends.
class Connection {
 public:
  explicit Connection(Generator& generator);

  void connect();
  // Whether it takes a request now; then also flush() must be called.
  bool take(const PreparedRequest& request, Clock::time_point now);
  void flush();
  void sweep(Clock::time_point now);
  bool is_busy() const { return !in_flight_.empty(); }
  bool is_connected() const { return is_connected_; }
  Clock::time_point last_heard() const { return last_heard_; }

 private:
  struct InFlight {
    std::uint64_t number;
    Clock::time_point since;
    Clock::time_point sent;
  };

  void connected(const error_code& error);
  void wait_for_answers();
  void read();
  bool parse(std::string_view bytes);
  void finish_one();
  void end(bool is_broken);

  Generator& generator_;
  Socket socket_;
  Timer pause_;
  bool is_connected_ = false;
  std::uint64_t life_ = 0;                  // which of its sockets
  std::uint64_t taken_ = 0, answered_ = 0;  // in this life
  Clock::time_point connecting_since_;
  Clock::time_point last_heard_;
  std::deque<InFlight> in_flight_;
  std::vector<boost::asio::const_buffer> unsent_;
  bool is_waiting_to_send_ = false;
  std::string rest_;  // the begun answer
  Answer answer_;
};

class Generator {
 public:
  Generator(const Site& site, const GeneratorOptions& options, LoadSource& source)
      : site_(site), options_(options), source_(source), sweep_timer_(context_), plan_(context_) {}

  Result<GeneratorReport> run();

  // --- For the connections ---------------------------------------------------------------------
  void is_free(Connection& connection, std::size_t places);
  void dispatch();
  void connection_made() { ++report_.connections; }
  void connection_broken() { ++report_.broken_connections; }
  void give_up(const error_code& error) {
    failure_ = error;
    context_.stop();
  }
  bool is_over() const { return is_exhausted_; }
  void sent_one() { ++in_flight_; }
  void settled(std::size_t requests) { in_flight_ -= requests; }
  void check_end() {
    if (is_exhausted_ && in_flight_ == 0) context_.stop();
  }

  boost::asio::io_context& context() { return context_; }
  const Site& site() const { return site_; }
  const GeneratorOptions& options() const { return options_; }
  LoadSource& source() { return source_; }
  bool was_ever_connected() const { return report_.connections > 0; }
  std::array<char, kReadBytes>& read_buffer() { return *read_buffer_; }

 private:
  void sweep();
  void wait_for_plan(Clock::time_point when);

  const Site& site_;
  const GeneratorOptions& options_;
  LoadSource& source_;
  boost::asio::io_context context_{1};
  Timer sweep_timer_, plan_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Connection*> free_;  // one entry a place; stale ones are passed over
  std::vector<Connection*> to_flush_;
  std::optional<PreparedRequest> pending_;
  bool is_planned_ = false;  // the timer runs
  bool is_exhausted_ = false;
  bool is_dispatching_ = false;
  std::size_t in_flight_ = 0;
  Clock::time_point last_connected_ = Clock::now();
  std::optional<error_code> failure_;
  std::vector<nanoseconds> lateness_;
  GeneratorReport report_;
  std::unique_ptr<std::array<char, kReadBytes>> read_buffer_ =
      std::make_unique<std::array<char, kReadBytes>>();
};

// --- A connection --------------------------------------------------------------------------------

Connection::Connection(Generator& generator)
    : generator_(generator), socket_(generator.context()), pause_(generator.context()) {}

void Connection::connect() {
  ++life_;
  taken_ = answered_ = 0;
  connecting_since_ = Clock::now();
  socket_.async_connect(generator_.site().endpoint,
                        [this](const error_code& error) { connected(error); });
}

void Connection::connected(const error_code& error) {
  if (error) {
    if (!generator_.was_ever_connected()) return generator_.give_up(error);
    return end(true);
  }
  generator_.connection_made();
  error_code ignored;
  socket_.set_option(Tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  is_connected_ = true;
  last_heard_ = Clock::now();
  wait_for_answers();
  generator_.is_free(*this, generator_.options().pipeline);
  generator_.dispatch();
}

bool Connection::take(const PreparedRequest& request, Clock::time_point now) {
  const auto limit = generator_.options().requests_per_connection;
  if (!is_connected_ || in_flight_.size() >= generator_.options().pipeline ||
      (limit && taken_ >= *limit))
    return false;
  const bool counts_connecting = limit && taken_ == 0;
  if (in_flight_.empty()) last_heard_ = now;
  const auto since = counts_connecting ? connecting_since_ : now;
  in_flight_.push_back({request.number, request.planned.value_or(since), now});
  unsent_.emplace_back(request.bytes.data(), request.bytes.size());
  ++taken_;
  generator_.sent_one();
  return true;
}

void Connection::flush() {
  if (is_waiting_to_send_ || unsent_.empty()) return;
  error_code error;
  auto sent = socket_.write_some(unsent_, error);
  auto first = unsent_.begin();
  for (; first != unsent_.end() && sent >= first->size(); ++first) sent -= first->size();
  unsent_.erase(unsent_.begin(), first);
  if (unsent_.empty()) return;
  unsent_.front() += sent;
  // A connection that is gone is noticed by who reads.
  if (error && error != boost::asio::error::would_block) return;
  is_waiting_to_send_ = true;
  socket_.async_wait(Socket::wait_write, [this, life = life_](const error_code& failed) {
    if (life != life_) return;
    is_waiting_to_send_ = false;
    if (!failed) flush();
  });
}

void Connection::wait_for_answers() {
  socket_.async_wait(Socket::wait_read, [this, life = life_](const error_code& error) {
    if (life != life_) return;
    if (error) return end(true);
    read();
  });
}

void Connection::read() {
  auto& buffer = generator_.read_buffer();
  error_code error;
  const auto bytes = socket_.read_some(boost::asio::buffer(buffer), error);
  if (error == boost::asio::error::would_block) return wait_for_answers();
  if (error) return end(is_busy());
  const auto life = life_;
  last_heard_ = Clock::now();
  bool is_sound = false;
  if (rest_.empty()) {
    is_sound = parse({buffer.data(), bytes});
  } else {
    rest_.append(buffer.data(), bytes);
    is_sound = parse(std::exchange(rest_, {}));
  }
  if (life != life_) return;  // it was closed for being done
  if (!is_sound) return end(true);
  wait_for_answers();
  generator_.dispatch();
  generator_.check_end();
}

// All answers that are whole; the beginning of the next one stays in rest_.
bool Connection::parse(std::string_view bytes) {
  const auto life = life_;
  while (!bytes.empty()) {
    if (in_flight_.empty()) return false;
    AnswerParser parser(answer_);
    error_code error;
    std::string_view left = bytes;
    while (!parser.is_done()) {
      const auto used = parser.put(boost::asio::buffer(left), error);
      left.remove_prefix(used);
      if (error == boost::beast::http::error::need_more || (!error && left.empty())) break;
      if (error) return false;
    }
    if (!parser.is_done()) {
      rest_.assign(bytes);
      return true;
    }
    bytes = left;
    const bool is_last = !parser.keep_alive();
    finish_one();
    if (is_last && life == life_) end(is_busy());
    if (life != life_) return true;
  }
  return true;
}

void Connection::finish_one() {
  const auto [number, since, sent] = in_flight_.front();
  in_flight_.pop_front();
  generator_.settled(1);
  answer_.latency = last_heard_ - since;
  ++answered_;
  generator_.source().answered(number, answer_, last_heard_ - sent);
  if (generator_.options().requests_per_connection == answered_) return end(false);
  generator_.is_free(*this, 1);
}

void Connection::end(bool is_broken) {
  ++life_;
  is_connected_ = is_waiting_to_send_ = false;
  error_code ignored;
  socket_.close(ignored);
  unsent_.clear();
  rest_.clear();
  generator_.settled(in_flight_.size());
  for (const auto& lost : std::exchange(in_flight_, {})) generator_.source().lost(lost.number);
  if (is_broken) generator_.connection_broken();
  if (generator_.is_over()) return generator_.check_end();
  pause_.expires_after(is_broken ? Clock::duration(kReconnectPause) : Clock::duration(0));
  pause_.async_wait([this](const error_code& error) {
    if (!error && !generator_.is_over()) connect();
  });
}

void Connection::sweep(Clock::time_point now) {
  if (is_busy() && now - last_heard_ > generator_.options().answer_timeout) end(true);
}

// --- All of them ---------------------------------------------------------------------------------

Result<GeneratorReport> Generator::run() {
  const auto begin = Clock::now();
  const auto cpu = thread_cpu();
  for (std::size_t i = 0; i < options_.connections; ++i)
    connections_.push_back(std::make_unique<Connection>(*this));
  for (const auto& connection : connections_) connection->connect();
  sweep();
  context_.run();
  if (failure_)
    return Fault{fmt::format("no server at {} ({}): is `veche serve` running, and on this address?",
                             site_.url, failure_->message())};
  report_.duration = Clock::now() - begin;
  report_.cpu = thread_cpu() - cpu;
  if (!lateness_.empty()) {
    const auto p99 = lateness_.begin() + static_cast<std::ptrdiff_t>(lateness_.size() * 99 / 100);
    std::nth_element(lateness_.begin(), p99, lateness_.end());
    report_.lateness_p99 = *p99;
  }
  return report_;
}

void Generator::is_free(Connection& connection, std::size_t places) {
  for (std::size_t i = 0; i < places; ++i) free_.push_back(&connection);
}

// Gives requests to whoever is free, until a plan lies in the future or nobody is free.
void Generator::dispatch() {
  if (is_dispatching_ || is_planned_) return;
  is_dispatching_ = true;
  while (!free_.empty() && !is_exhausted_) {
    if (!pending_) pending_ = source_.next();
    if (!pending_) {
      is_exhausted_ = true;
      break;
    }
    const auto now = Clock::now();
    if (pending_->planned && *pending_->planned > now) {
      wait_for_plan(*pending_->planned);
      break;
    }
    Connection& connection = *free_.front();
    free_.pop_front();
    const bool was_free_in_time =
        pending_->planned && connection.last_heard() <= *pending_->planned;
    if (was_free_in_time) lateness_.push_back(now - *pending_->planned);
    if (!connection.take(*pending_, now)) continue;
    pending_.reset();
    if (to_flush_.empty() || to_flush_.back() != &connection) to_flush_.push_back(&connection);
  }
  for (auto* connection : std::exchange(to_flush_, {})) connection->flush();
  is_dispatching_ = false;
  if (is_exhausted_) check_end();
}

void Generator::wait_for_plan(Clock::time_point when) {
  is_planned_ = true;
  plan_.expires_at(std::max(when, Clock::now() + kStep));
  plan_.async_wait([this](const error_code&) {
    is_planned_ = false;
    dispatch();
  });
}

void Generator::sweep() {
  sweep_timer_.expires_after(kSweep);
  sweep_timer_.async_wait([this](const error_code&) {
    const auto now = Clock::now();
    for (const auto& connection : connections_) connection->sweep(now);
    for (const auto& connection : connections_)
      if (connection->is_connected()) last_connected_ = now;
    if (now - last_connected_ > options_.answer_timeout) give_up(boost::asio::error::not_connected);
    sweep();
  });
}

}  // namespace

Result<GeneratorReport> generate_load(std::string_view url, const GeneratorOptions& options,
                                      LoadSource& source) {
  const auto site = find_site(url);
  if (!site) return site.error();
  return Generator(*site, options, source).run();
}

}  // namespace veche::http
