#include "ingest/http/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <future>
#include <optional>
#include <utility>

namespace veche::http {
namespace {

using boost::system::error_code;

constexpr auto kPauseWithoutFiles = std::chrono::milliseconds(100);
constexpr auto kPauseForWorker = std::chrono::milliseconds(1);
constexpr auto kToldAgain = std::chrono::minutes(10);

std::optional<Tcp::endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (error || parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return Tcp::endpoint(address, port);
}

Fault cannot_listen(const std::string& listen, const error_code& error) {
  if (error == boost::asio::error::address_in_use)
    return Fault{
        fmt::format("cannot listen on {0}: another program does already (another `veche "
                    "serve`?); `ss -ltnp` shows which. Stop it, or listen elsewhere",
                    listen)};
  return Fault{fmt::format("cannot listen on {}: {}", listen, error.message())};
}

}  // namespace

Server::Server(ServerOptions options) : options_(std::move(options)) {
  for (std::size_t i = 0; i < std::max<std::size_t>(options_.threads, 1); ++i)
    workers_.push_back(std::make_unique<Worker>(i, options_));
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options,
                                              const HandlerFactory& make_handler) {
  std::unique_ptr<Server> server(new Server(std::move(options)));
  if (auto listening = server->listen(); !listening) return std::move(listening).error();
  for (const auto& worker : server->workers_) worker->set_handler(make_handler(*worker));
  for (const auto& worker : server->workers_) worker->run();
  server->is_running_ = server->is_accepting_ = true;
  server->accepting_ = server->accept_connections();
  server->workers_.front()->post([raw = server.get()] { raw->accepting_.start(); });
  return server;
}

Server::~Server() {
  if (is_running_) drain(std::chrono::milliseconds(0));
}

// One socket, and no SO_REUSEPORT: with it a second server would silently take half of the
// connections of the first.
Result<void> Server::listen() {
  const auto wanted = parse_endpoint(options_.listen);
  if (!wanted)
    return Fault{
        fmt::format("cannot listen on \"{}\": give an IP address and a port, for example "
                    "127.0.0.1:8080 or [::1]:8080",
                    options_.listen)};
  auto& context = workers_.front()->context();
  acceptor_ = std::make_unique<Acceptor>(context.get_executor());
  accept_pause_ = std::make_unique<Timer>(context.get_executor());
  error_code error;
  acceptor_->open(wanted->protocol(), error);
  if (!error) acceptor_->set_option(boost::asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_->bind(*wanted, error);
  if (!error) acceptor_->listen(boost::asio::socket_base::max_listen_connections, error);
  if (!error) acceptor_->non_blocking(true, error);
  if (!error) endpoint_ = acceptor_->local_endpoint(error);
  if (error) return cannot_listen(options_.listen, error);
  return {};
}

std::string Server::url() const {
  const auto address = endpoint_.address();
  const std::string host =
      address.is_v6() ? fmt::format("[{}]", address.to_string()) : address.to_string();
  return fmt::format("http://{}:{}", host, endpoint_.port());
}

// Connections go to the workers in turn, so that few of them are spread as evenly as many. Some are
// taken at once: in the minute of opening thousands come, and each turn of this thread may be long.
Task Server::accept_connections() {
  std::size_t at_once = 0;
  for (std::size_t turn = 0; acceptor_->is_open(); turn = (turn + 1) % workers_.size()) {
    while (workers_[turn]->is_behind() && acceptor_->is_open())
      co_await Sleep(*accept_pause_, kPauseForWorker);
    Socket peer(workers_[turn]->context().get_executor());
    IoResult accepted{boost::asio::error::would_block};
    if (++at_once < limits::kAcceptedAtOnce) acceptor_->accept(peer, accepted.error);
    if (accepted.error == boost::asio::error::would_block) {
      accepted = co_await Accept(*acceptor_, peer);
      at_once = 0;
    }
    if (!accepted.error)
      workers_[turn]->adopt(std::move(peer));
    else if (acceptor_->is_open() && accepted.error != boost::asio::error::connection_aborted) {
      tell(accepted.error);
      co_await Sleep(*accept_pause_, kPauseWithoutFiles);
    }
  }
  accepting_ended_.set_value();
}

// No file descriptors, most likely; it is tried again ten times a second, and told once.
void Server::tell(const error_code& error) {
  const auto now = Clock::now();
  if (!options_.on_news || (told_at_ && now < *told_at_ + kToldAgain)) return;
  told_at_ = now;
  options_.on_news(
      fmt::format("no connection can be accepted on {}: {}. Those that are open are served, and "
                  "others wait; raise the limit of open files (`ulimit -n`)",
                  options_.listen, error.message()));
}

void Server::stop_accepting() {
  if (!std::exchange(is_accepting_, false)) return;
  workers_.front()->post([this] {
    error_code ignored;
    acceptor_->close(ignored);
    accept_pause_->cancel();
  });
  accepting_ended_.get_future().wait();
}

bool Server::drain(std::chrono::milliseconds deadline) {
  if (!std::exchange(is_running_, false)) return true;
  stop_accepting();
  const auto until = Clock::now() + deadline;
  std::vector<std::future<void>> drained;
  for (const auto& worker : workers_) drained.push_back(worker->drain());
  bool in_time = true;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (drained[i].wait_until(until) == std::future_status::ready) continue;
    in_time = false;
    workers_[i]->reset_all();
    drained[i].wait();
  }
  for (const auto& worker : workers_) worker->join();
  return in_time;
}

}  // namespace veche::http
