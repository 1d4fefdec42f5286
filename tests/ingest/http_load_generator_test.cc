#include "ingest/http/load_generator.h"

#include <gmock/gmock.h>

#include <map>
#include <thread>

#include "tests/ingest/http_fixture.h"

namespace veche::http {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::Pair;

// Echo requests "0", "1", ... and what became of each.
class NumberedSource final : public LoadSource {
 public:
  NumberedSource(std::uint64_t count, std::string target, std::string authority) : count_(count) {
    for (std::uint64_t i = 0; i < count; ++i)
      append_call({.method = "POST", .target = target, .body = std::to_string(i)}, authority,
                  requests_.emplace_back());
  }

  std::optional<PreparedRequest> next() override {
    if (next_ == count_) return std::nullopt;
    PreparedRequest request{next_, requests_[next_]};
    if (step.count() > 0) request.planned = begin + step * next_;
    ++next_;
    return request;
  }
  void answered(std::uint64_t number, const Answer& answer,
                std::chrono::nanoseconds since_sent) override {
    EXPECT_EQ(answer.body, std::to_string(number));
    EXPECT_GT(since_sent.count(), 0);
    EXPECT_GE(answer.latency, since_sent);
    ++answers[number];
    latest = std::chrono::steady_clock::now();
  }
  void lost(std::uint64_t number) override { ++losses[number]; }

  std::chrono::nanoseconds step{};
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point latest;
  std::map<std::uint64_t, int> answers, losses;

 private:
  const std::uint64_t count_;
  std::uint64_t next_ = 0;
  std::vector<std::string> requests_;
};

class LoadGenerator : public HttpTest {
 protected:
  NumberedSource numbered(std::uint64_t count, std::string target = "/echo") {
    return {count, std::move(target), server_->url().substr(7)};
  }
};

TEST_F(LoadGenerator, GetsEveryAnswerOnce) {
  serve();
  auto source = numbered(500);
  const auto report = generate_load(server_->url(), {.connections = 7}, source);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(source.answers.size(), 500u);
  EXPECT_THAT(source.answers, Each(Pair(testing::_, 1)));
  EXPECT_TRUE(source.losses.empty());
  EXPECT_EQ(report->connections, 7u);
  EXPECT_EQ(report->broken_connections, 0u);
}

TEST_F(LoadGenerator, PipelinesInOrder) {
  serve();
  auto source = numbered(1'000);
  const auto report = generate_load(server_->url(), {.connections = 3, .pipeline = 16}, source);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(source.answers.size(), 1'000u);
  EXPECT_TRUE(source.losses.empty());
}

TEST_F(LoadGenerator, MakesConnectionsAnew) {
  serve();
  auto source = numbered(30);
  const auto report =
      generate_load(server_->url(), {.connections = 3, .requests_per_connection = 2}, source);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(source.answers.size(), 30u);
  EXPECT_GE(report->connections, 15u);
  EXPECT_EQ(report->broken_connections, 0u);
}

TEST_F(LoadGenerator, SendsNothingBeforeItsTime) {
  serve();
  auto source = numbered(20);
  source.step = 5ms;
  source.begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(generate_load(server_->url(), {.connections = 4}, source));
  EXPECT_EQ(source.answers.size(), 20u);
  EXPECT_GE(source.latest - source.begin, 19 * 5ms);
}

// What a connection had on its way when it ended may have been counted: it is told, not repeated.
TEST_F(LoadGenerator, TellsWhatWasLost) {
  serve();
  auto source = numbered(4, "/never");
  const auto report =
      generate_load(server_->url(), {.connections = 2, .answer_timeout = 200ms}, source);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(source.answers.empty());
  EXPECT_THAT(source.losses, testing::SizeIs(4));
  EXPECT_EQ(report->broken_connections, 4u);
}

TEST_F(LoadGenerator, SaysWhatToDoWithoutAServer) {
  serve();
  const auto url = server_->url();
  auto source = numbered(1);
  server_.reset();
  const auto report = generate_load(url, {.connections = 1}, source);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("no server at " + url));
}

}  // namespace
}  // namespace veche::http
