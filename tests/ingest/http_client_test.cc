#include "ingest/http/client.h"

#include <gmock/gmock.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/ingest/http_fixture.h"

namespace veche::http {
namespace {

using testing::HasSubstr;

class HttpClient : public HttpTest {
 protected:
  // Calls with bodies "0", "1", ... up to count, on any connection.
  NextCall numbered(std::size_t count) {
    return [this, count](std::size_t) -> std::optional<Call> {
      if (next_ == count) return std::nullopt;
      return Call{.method = "POST", .target = "/echo", .body = std::to_string(next_++)};
    };
  }
  OnAnswer collect() {
    return [this](std::size_t, Call& call, const Answer& answer) {
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.body, call.body);
      EXPECT_TRUE(answered_.insert(answer.body).second) << answer.body << " answered twice";
      return Verdict::done();
    };
  }

  std::size_t next_ = 0;
  std::set<std::string> answered_;
};

TEST_F(HttpClient, FetchesAnAnswer) {
  serve();
  const auto answer =
      fetch(server_->url(), {.method = "POST", .target = "/echo", .body = "hello"}, 5s);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->content_type, "text/plain");
  EXPECT_EQ(answer->body, "hello");
  EXPECT_GT(answer->latency.count(), 0);
}

TEST_F(HttpClient, FetchesTheHeadOfALargeAnswer) {
  serve();
  const auto answer = fetch(server_->url(), {.method = "HEAD", .target = "/large"}, 5s);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "");
}

TEST_F(HttpClient, PassesARefusalOnWithItsRetryAfter) {
  serve();
  const auto answer = fetch(server_->url(), {.method = "POST", .target = "/busy"}, 5s);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->retry_after, 1s);
}

TEST_F(HttpClient, SaysWhatToDoWithoutAServer) {
  serve();
  const std::string url = server_->url();
  server_.reset();
  const auto answer = fetch(url, {}, 5s);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("no server at " + url));
  EXPECT_THAT(answer.error().message, HasSubstr("veche serve"));
}

TEST_F(HttpClient, DoesNotWaitForEverForAnAnswer) {
  serve();
  const auto answer = fetch(server_->url(), {.method = "POST", .target = "/never"}, 200ms);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().message, HasSubstr("within 200 ms"));
}

TEST_F(HttpClient, RefusesAnAddressThatItCannotUse) {
  for (const char* const url : {"https://a:1", "a:1", "http://a", "http://a:1/b", ""}) {
    const auto answer = fetch(url, {}, 1s);
    ASSERT_FALSE(answer) << url;
    EXPECT_THAT(answer.error().message, HasSubstr("http://host:port")) << url;
  }
}

TEST_F(HttpClient, AnswersEveryCallOfALoadOverFewConnections) {
  serve();
  const auto report = run_load(server_->url(), {.connections = 8}, numbered(2'000), collect());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->answers, 2'000);
  EXPECT_EQ(report->resent, 0);
  EXPECT_EQ(report->connections, 8);
  EXPECT_EQ(answered_.size(), 2'000);
}

TEST_F(HttpClient, SendsACallAgainWhenToldTo) {
  serve();
  std::optional<Call> call = Call{.method = "POST", .target = "/busy"};
  std::vector<int> statuses;
  const auto report = run_load(
      server_->url(), {}, [&](std::size_t) { return std::exchange(call, std::nullopt); },
      [&](std::size_t, Call& sent, const Answer& answer) {
        statuses.push_back(answer.status);
        sent.target = "/echo";
        return answer.status == 503 ? Verdict::again(1ms) : Verdict::done();
      });
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(statuses, (std::vector{503, 200}));
}

TEST_F(HttpClient, PassesOnWhatItsCallersFunctionsThrow) {
  serve();
  const auto fails = [](auto&&...) -> Verdict { throw std::runtime_error("no such member"); };
  EXPECT_THROW((void)run_load(server_->url(), {.connections = 8}, numbered(100), fails),
               std::runtime_error);
  const auto has_none = [](std::size_t) -> std::optional<Call> { throw std::out_of_range("none"); };
  EXPECT_THROW((void)run_load(server_->url(), {.connections = 8}, has_none, collect()),
               std::out_of_range);
  const auto report = run_load(server_->url(), {}, numbered(next_ + 10), collect());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->answers, 10);
}

TEST_F(HttpClient, SendsLostCallsAgainToTheNextServer) {
  serve();
  const std::string url = server_->url();
  ServerOptions same_port = options();
  same_port.listen = url.substr(std::string_view("http://").size());
  std::atomic<bool> is_enough = false;
  std::thread restarts([&] {
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(100ms);
      server_.reset();
      std::this_thread::sleep_for(100ms);
      serve(same_port);
    }
    is_enough = true;
  });
  std::size_t number = 0;
  const auto report = run_load(
      url, {.connections = 4},
      [&](std::size_t) -> std::optional<Call> {
        if (is_enough) return std::nullopt;
        return Call{.method = "POST", .target = "/echo", .body = std::to_string(number++)};
      },
      collect());
  restarts.join();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(answered_.size(), number);
  EXPECT_GE(report->resent, 3) << "each restart loses at least one call";
}

TEST_F(HttpClient, LosesPatienceWithAServerThatStaysAway) {
  serve();
  const std::string url = server_->url();
  server_.reset();
  const auto before = Clock::now();
  const auto report = run_load(url, {.patience = 300ms}, numbered(1), collect());
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("no server at"));
  EXPECT_GE(Clock::now() - before, 300ms);
}

}  // namespace
}  // namespace veche::http
