#include "ingest/http/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/error.hpp>
#include <exception>
#include <iterator>
#include <memory>

#include "ingest/http/answer_parser.h"
#include "ingest/http/coroutine.h"
#include "ingest/http/site.h"

namespace veche::http {
namespace {

namespace beast = boost::beast;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr milliseconds kSweep{50};
constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{1'000};
constexpr std::size_t kReadBytes = 64 * 1'024;

struct Load;

// One connection of a load; made anew by itself when it is lost.
class Connection {
 public:
  Connection(Load& load, std::size_t number);

  void start() { task_.start(); }
  void sweep(Clock::time_point now);

 private:
  // Why a call got no answer.
  enum class Loss : std::uint8_t { none, refused, broken, silent, malformed };

  Task run();
  Task send_until_answered(const Call& call);
  Task exchange(const Call& call);
  Task receive(bool is_head);
  void close();
  Fault fault() const;

  Load& load_;
  const std::size_t number_;
  Socket socket_;
  Timer pause_;
  bool is_kept_ = false;  // socket_ is connected from an earlier answer
  bool is_silent_ = false;
  Clock::time_point deadline_ = Clock::time_point::max();

  Loss loss_ = Loss::none;
  error_code error_;
  Answer answer_;
  std::string out_;
  std::string unparsed_;
  std::array<char, kReadBytes> buffer_;
  Task task_;
};

struct Load {
  const Site& site;
  const LoadOptions& options;
  const NextCall& next;
  const OnAnswer& on_answer;
  boost::asio::io_context context{1};
  Timer sweep_timer{context};
  std::size_t running = 0;
  LoadReport report{};
  std::optional<Fault> fault{};
  std::exception_ptr thrown{};
  std::vector<std::unique_ptr<Connection>> connections{};

  Load(const Site& to, const LoadOptions& how, const NextCall& calls, const OnAnswer& answers)
      : site(to), options(how), next(calls), on_answer(answers) {}

  // The functions are the caller's and may throw; coroutines call them, and none may be left so.
  template <class Function>
  auto guarded(const Function& function) -> std::optional<decltype(function())> {
    try {
      return function();
    } catch (...) {
      thrown = std::current_exception();
      context.stop();
      return std::nullopt;
    }
  }

  // The first fault ends the whole load: what is in flight is abandoned.
  void ended(std::optional<Fault> why) {
    if (why && !fault) fault = std::move(why);
    if (fault || --running == 0) context.stop();
  }

  Task sweep() {
    while (true) {
      co_await Sleep(sweep_timer, kSweep);
      const auto now = Clock::now();
      for (const auto& connection : connections) connection->sweep(now);
    }
  }
};

Connection::Connection(Load& load, std::size_t number)
    : load_(load), number_(number), socket_(load.context), pause_(load.context), task_(run()) {}

Task Connection::run() {
  while (true) {
    auto next = load_.guarded([this] { return load_.next(number_); });
    if (!next) co_return;
    auto& call = *next;
    if (!call) break;
    if (call->planned && *call->planned > Clock::now())
      co_await Sleep(pause_, *call->planned - Clock::now());
    while (true) {
      co_await send_until_answered(*call);
      if (loss_ != Loss::none) {
        load_.ended(fault());
        co_return;
      }
      ++load_.report.answers;
      const auto verdict = load_.guarded([&] { return load_.on_answer(number_, *call, answer_); });
      if (!verdict) co_return;
      if (!verdict->again_after) break;
      if (verdict->again_after->count() > 0) co_await Sleep(pause_, *verdict->again_after);
    }
  }
  close();
  load_.ended(std::nullopt);
}

// Afterwards loss_ is none and answer_ is set, or the patience is at its end.
Task Connection::send_until_answered(const Call& call) {
  const auto patient_until = Clock::now() + load_.options.patience;
  for (milliseconds pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    const bool was_kept = is_kept_;
    co_await exchange(call);
    if (loss_ == Loss::none || loss_ == Loss::malformed || Clock::now() >= patient_until) break;
    ++load_.report.resent;
    if (!was_kept) co_await Sleep(pause_, pause);  // else the server just closed it between calls
  }
}

Task Connection::exchange(const Call& call) {
  deadline_ = Clock::now() + load_.options.answer_timeout;
  is_silent_ = false;
  loss_ = Loss::none;
  error_ = {};
  if (!is_kept_) {
    error_ = (co_await Connect(socket_, load_.site.endpoint)).error;
    if (error_) loss_ = Loss::refused;
    error_code ignored;
    if (!error_) socket_.set_option(Tcp::no_delay(true), ignored);
    load_.report.connections += error_ ? 0 : 1;
  }
  const auto sent_at = call.planned.value_or(Clock::now());
  if (loss_ == Loss::none) {
    out_.clear();
    append_call(call, load_.site.authority, out_);
    error_ = (co_await WriteAll(socket_, out_)).error;
    // A server that refuses early may close before it has read all; its answer is still there.
    co_await receive(call.method == "HEAD");
  }
  answer_.latency = Clock::now() - sent_at;
  deadline_ = Clock::time_point::max();
  if (is_silent_) loss_ = Loss::silent;
  if (loss_ != Loss::none) close();
}

Task Connection::receive(bool is_head) {
  AnswerParser parser(answer_);
  parser.skip(is_head);
  unparsed_.clear();
  while (!parser.is_done()) {
    const IoResult read = co_await ReadSome(socket_, boost::asio::buffer(buffer_));
    error_code error;
    if (read.error == boost::asio::error::eof && parser.got_some() && parser.need_eof()) {
      parser.put_eof(error);
      break;
    }
    if (read.error) {
      error_ = read.error;
      loss_ = Loss::broken;
      co_return;
    }
    unparsed_.append(buffer_.data(), read.bytes);
    const auto used = parser.put(boost::asio::buffer(unparsed_), error);
    unparsed_.erase(0, used);
    if (error && error != beast::http::error::need_more) {
      error_ = error;
      loss_ = Loss::malformed;
      co_return;
    }
  }
  is_kept_ = parser.keep_alive();
  if (!is_kept_) close();
}

void Connection::close() {
  error_code ignored;
  socket_.close(ignored);
  is_kept_ = false;
}

void Connection::sweep(Clock::time_point now) {
  if (now < deadline_) return;
  is_silent_ = true;
  deadline_ = Clock::time_point::max();
  error_code ignored;
  socket_.close(ignored);
}

Fault Connection::fault() const {
  const std::string& url = load_.site.url;
  switch (loss_) {
    case Loss::refused:
      return Fault{
          fmt::format("no server at {} ({}): is `veche serve` running, and on this address?", url,
                      error_.message())};
    case Loss::silent:
      return Fault{fmt::format("no answer from {} within {} ms: look at its log and at /readyz",
                               url, load_.options.answer_timeout.count())};
    case Loss::malformed:
      return Fault{fmt::format("{} does not speak HTTP/1.1 ({}): is it a Veche server?", url,
                               error_.message())};
    case Loss::broken:
    case Loss::none:
      break;
  }
  return Fault{fmt::format("{} ended the connection before it answered ({}): look at its log", url,
                           error_.message())};
}

}  // namespace

void append_call(const Call& call, std::string_view authority, std::string& out) {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "{} {} HTTP/1.1\r\nHost: {}\r\n", call.method, call.target, authority);
  for (const auto& [name, value] : call.headers) fmt::format_to(to, "{}: {}\r\n", name, value);
  if (!call.body.empty() || (call.method != "GET" && call.method != "HEAD"))
    fmt::format_to(to, "Content-Length: {}\r\n", call.body.size());
  out += "\r\n";
  out += call.body;
}

Result<LoadReport> run_load(std::string_view url, const LoadOptions& options, const NextCall& next,
                            const OnAnswer& on_answer) {
  const Result<Site> site = find_site(url);
  if (!site) return site.error();
  Load load(*site, options, next, on_answer);
  for (std::size_t i = 0; i < std::max<std::size_t>(options.connections, 1); ++i)
    load.connections.push_back(std::make_unique<Connection>(load, i));
  load.running = load.connections.size();
  Task sweeper = load.sweep();
  sweeper.start();
  for (const auto& connection : load.connections) connection->start();
  load.context.run();
  if (load.thrown) std::rethrow_exception(load.thrown);
  if (load.fault) return *std::move(load.fault);
  return load.report;
}

Result<Answer> fetch(std::string_view url, const Call& call, milliseconds timeout) {
  std::optional<Call> to_send = call;
  Answer answer;
  const auto next = [&](std::size_t) { return std::exchange(to_send, std::nullopt); };
  const auto keep = [&](std::size_t, Call&, const Answer& got) {
    answer = got;
    return Verdict::done();
  };
  const auto done =
      run_load(url, {.connections = 1, .answer_timeout = timeout, .patience = {}}, next, keep);
  if (!done) return done.error();
  return answer;
}

}  // namespace veche::http
