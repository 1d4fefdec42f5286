#include "ingest/http/event_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/error.hpp>
#include <charconv>
#include <exception>
#include <memory>
#include <utility>

#include "ingest/http/answer_parser.h"
#include "ingest/http/coroutine.h"
#include "ingest/http/site.h"

namespace veche::http {
namespace {

using boost::system::error_code;
using std::chrono::milliseconds;

constexpr milliseconds kAskInterval{50};
constexpr std::size_t kReadBytes = 64 * 1'024;
constexpr int kOk = 200;

// One connection, from connecting to its end.
class Follower {
 public:
  Follower(const Site& site, const Call& call, const EventParser::OnEvent& on_event,
           const std::function<bool()>& is_over)
      : site_(site), on_event_(on_event), is_over_(is_over), task_(run()) {
    append_call(call, site.authority, out_);
    parser_.body_limit(boost::none);  // a stream may go on for days
  }

  Result<Followed> follow(milliseconds silence) {
    task_.start();
    while (!is_done_) {
      context_.restart();
      context_.run_for(kAskInterval);
      if (is_over_() || Clock::now() - last_heard_ > silence) close();
    }
    if (thrown_) std::rethrow_exception(thrown_);
    if (!parser_.is_header_done() && !is_over_())
      return Fault{
          fmt::format("no server at {} ({}): is `veche serve` running, and on this address?",
                      site_.url, error_.message())};
    return Followed{std::move(answer_), events_.retry()};
  }

 private:
  Task run() {
    error_ = (co_await Connect(socket_, site_.endpoint)).error;
    if (!error_) error_ = (co_await WriteAll(socket_, out_)).error;
    while (!error_ && !parser_.is_done()) {
      const IoResult read = co_await ReadSome(socket_, boost::asio::buffer(*buffer_));
      error_ = read.error;
      if (!error_) take({buffer_->data(), read.bytes});
    }
    close();
    is_done_ = true;
  }

  void take(std::string_view bytes) {
    last_heard_ = Clock::now();
    unparsed_.append(bytes);
    unparsed_.erase(0, parser_.put(boost::asio::buffer(unparsed_), error_));
    if (error_ == boost::beast::http::error::need_more) error_ = {};
    if (!parser_.is_header_done() || answer_.status != kOk) return;
    const std::string body = std::exchange(answer_.body, {});
    try {
      events_.feed(body, on_event_);
    } catch (...) {  // a coroutine calls this, and none may be left so
      thrown_ = std::current_exception();
      error_ = boost::asio::error::operation_aborted;
    }
  }

  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

  const Site& site_;
  const EventParser::OnEvent& on_event_;
  const std::function<bool()>& is_over_;
  boost::asio::io_context context_{1};
  Socket socket_{context_.get_executor()};
  std::string out_;
  std::string unparsed_;
  std::unique_ptr<std::array<char, kReadBytes>> buffer_ =
      std::make_unique<std::array<char, kReadBytes>>();
  Answer answer_;
  AnswerParser parser_{answer_};
  EventParser events_;
  Clock::time_point last_heard_ = Clock::now();
  error_code error_;
  std::exception_ptr thrown_;
  bool is_done_ = false;
  Task task_;
};

}  // namespace

// A line ends with CR, LF or both, and both may come apart.
void EventParser::feed(std::string_view bytes, const OnEvent& on_event) {
  for (const char c : bytes) {
    const bool is_second_half = c == '\n' && std::exchange(skips_line_feed_, false);
    if (is_second_half) continue;
    skips_line_feed_ = c == '\r';
    if (c != '\r' && c != '\n') {
      rest_ += c;
      continue;
    }
    line(rest_, on_event);
    rest_.clear();
  }
}

void EventParser::line(std::string_view line, const OnEvent& on_event) {
  if (line.empty()) {
    if (std::exchange(has_data_, false))
      on_event({name_.empty() ? "message" : name_, id_, std::exchange(data_, {})});
    name_.clear();
    return;
  }
  const auto field = line.substr(0, line.find(':'));
  auto value = line.substr(std::min(field.size() + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "event") name_ = value;
  if (field == "id") id_ = value;
  if (field == "data") {
    if (std::exchange(has_data_, true)) data_ += '\n';
    data_ += value;
  }
  std::int64_t wait = 0;
  const auto* const end = value.data() + value.size();
  if (field == "retry" && !value.empty() && value.front() != '-' &&
      std::from_chars(value.data(), end, wait).ptr == end)
    retry_ = milliseconds(wait);
}

Result<Followed> follow_events(std::string_view url, const Call& call, milliseconds silence,
                               const EventParser::OnEvent& on_event,
                               const std::function<bool()>& is_over) {
  const Result<Site> site = find_site(url);
  if (!site) return site.error();
  return Follower(*site, call, on_event, is_over).follow(silence);
}

}  // namespace veche::http
