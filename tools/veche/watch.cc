// `veche watch`: a poll's live results, as they change.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <utility>

#include "engine/publish/snapshot.h"
#include "ingest/http/event_client.h"
#include "tools/veche/api_client.h"
#include "tools/veche/command.h"
#include "tools/veche/interrupt.h"
#include "tools/veche/output.h"
#include "tools/veche/terminal.h"
#include "tools/veche/watch_screen.h"

namespace veche::tools {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSilence{45'000};  // three times as long as a server is ever silent
constexpr milliseconds kDefaultRetry{3'000};
constexpr milliseconds kWaitStep{50};
constexpr milliseconds kRedrawAnyway{1'000};  // the age grows though nothing happens
constexpr int kOk = 200;

struct WatchOptions {
  ServerOptions server;
  std::string poll;
  std::string language = "en";
  bool once = false;
};

class Watch {
 public:
  Watch(const WatchOptions& options, ApiClient& client)
      : options_(options),
        client_(client),
        language_(options.language == "ru" ? WatchLanguage::ru : WatchLanguage::en) {}

  Result<Exit> run() {
    auto poll = client_.get("/v1/polls/" + options_.poll);
    if (!poll) return poll.error();
    state_.poll = *std::move(poll);
    client_.set_patience(kDefaultRetry);
    while (!is_over()) {
      const auto wait = follow();
      if (!wait) return wait.error();
      if (!is_over()) pause(*wait);
    }
    return interrupted() ? Exit::interrupted : Exit::ok;
  }

 private:
  bool is_over() const {
    look_for_reader();
    return interrupted() || is_done_;
  }

  // One connection; afterwards how long to wait for the next. What the first one meets is told;
  // later ones meet a server that is started again, and its proxy.
  Result<milliseconds> follow() {
    http::Call call{.target = fmt::format("/v1/polls/{}/stream", options_.poll)};
    if (!client_.token().empty())
      call.headers.emplace_back("Authorization", "Bearer " + client_.token());
    const auto followed = http::follow_events(
        options_.server.url, call, kSilence, [this](const auto& event) { on_event(event); },
        [this] {
          redraw_if_due();
          return is_over();
        });
    lose_connection();
    if (!followed) return was_connected_ ? Result<milliseconds>(kDefaultRetry) : followed.error();
    const auto& answer = followed->answer;
    if (answer.status == kOk) return followed->retry.value_or(kDefaultRetry);
    const bool may_pass = answer.status >= 500 && was_connected_;
    if (!may_pass && !is_over()) return fault_of(answer);
    const bool tells_when = answer.status == kServiceUnavailable && answer.retry_after;
    return tells_when ? milliseconds(*answer.retry_after) : kDefaultRetry;
  }

  void on_event(const http::ServerEvent& event) {
    if (options_.once && is_done_) return;
    state_.is_connected = was_connected_ = true;
    const auto data = json::parse(event.data);
    const bool is_shown = take_event(event.name, data, state_);
    if (is_shown) told_at_ = Clock::now();
    if (!picture_.is_live())
      print_event(event, data);
    else if (is_shown)
      redraw();
    if (is_shown && !is_done_) is_done_ = options_.once || is_last();
  }

  // Whether nothing follows what was told. A cancelled poll becomes final only if it was open.
  bool is_last() const {
    if (state_.is_final || state_.state != "cancelled") return state_.is_final;
    return state_.hidden_until == publish::kNever || was_never_open();
  }

  // False also where the server cannot be asked now: the next connection asks again.
  bool was_never_open() const {
    const auto history = client_.get("/v1/polls/" + options_.poll + "/history");
    if (!history) return false;
    const auto& rows = history->at("history").as_array();
    return std::none_of(rows.begin(), rows.end(),
                        [](const auto& row) { return row.at("event") == "opened"; });
  }

  static void print_event(const http::ServerEvent& event, const json::value& data) {
    const json::object line{{"event", event.name}, {"id", event.id}, {"data", data}};
    print("{}\n", json::serialize(line));
    flush_output();
  }

  void lose_connection() {
    if (is_over()) return;
    if (std::exchange(state_.is_connected, false)) {
      told_at_ = Clock::now();
      if (!picture_.is_live()) tell("veche watch: lost the stream; trying again\n");
    }
    redraw();
  }

  void pause(milliseconds wait) {
    for (const auto until = Clock::now() + wait; Clock::now() < until && !is_over();) {
      std::this_thread::sleep_for(kWaitStep);
      redraw_if_due();
    }
  }

  void redraw_if_due() {
    if (Clock::now() - drawn_at_ >= kRedrawAnyway) redraw();
  }

  void redraw() {
    drawn_at_ = Clock::now();
    if (!picture_.is_live() || !was_connected_) return;
    state_.age = std::chrono::floor<std::chrono::seconds>(drawn_at_ - told_at_);
    picture_.draw(render(state_, language_, picture_.style()));
  }

  const WatchOptions& options_;
  ApiClient& client_;
  const WatchLanguage language_;
  WatchState state_;
  Picture picture_{stdout};
  bool was_connected_ = false;
  bool is_done_ = false;
  Clock::time_point told_at_, drawn_at_;
};

Result<Exit> watch(const WatchOptions& options) {
  auto client = ApiClient::connect(options.server);
  if (!client) return client.error();
  catch_interrupts();
  return Watch(options, *client).run();
}

}  // namespace

void add_watch(CLI::App& app) {
  auto& command = add_command(
      app, "watch",
      "Follow a poll's live results until no more can come: in a terminal drawn in place, in a "
      "pipe one line of JSON an event",
      {"veche watch smolino", "veche watch smolino --once | jq .data.ballots"});
  const auto options = std::make_shared<WatchOptions>();
  command.add_option("POLL", options->poll, "Poll id")->required();
  add_server_option(command, options->server);
  add_token_option(command, options->server,
                   "A vote token, for a poll that shows its counts to those who vote");
  command.add_option("--lang", options->language, "Of titles and words on the screen")
      ->check(CLI::IsMember({"ru", "en"}))
      ->capture_default_str();
  command.add_flag("--once", options->once, "End when it was shown once");
  on_run(command, [options] { return watch(*options); });
}

}  // namespace veche::tools
