// The written order of ending: see server.h.
#include <future>
#include <optional>

#include "tests/eventually.h"
#include "tests/ingest/http_fixture.h"

namespace veche::http {
namespace {

class HttpDrain : public HttpTest {
 protected:
  // With an idle connection, which a drain closes at once: when that is seen, the thread drains.
  void serve_on_one_thread() {
    auto how = options();
    how.threads = 1;
    serve(how);
    idle_.emplace(server_->port());
    EXPECT_EQ(idle_->send(post("/echo", "1")).read().body, "1");
  }
  std::future<bool> begin_drain() {
    auto drained = std::async(std::launch::async, [&] { return server_->drain(10s); });
    EXPECT_TRUE(idle_->is_closed_by_server());
    return drained;
  }

  std::optional<Wire> idle_;
};

TEST_F(HttpDrain, RefusesNewConnections) {
  serve();
  Wire before(server_->port());
  EXPECT_EQ(before.send(post("/echo", "1")).read().body, "1");
  server_->stop_accepting();
  EXPECT_FALSE(Wire(server_->port()).is_connected());
  EXPECT_EQ(before.send(post("/echo", "2")).read().body, "2") << "an open connection is served on";
}

TEST_F(HttpDrain, AnswersWhatItTookAndCloses) {
  serve_on_one_thread();
  Wire busy(server_->port());
  busy.send(post("/later", "a") + post("/later", "b"));
  auto held = backstage_.take(2);
  auto drained = begin_drain();
  for (const auto& [body, responder] : held) answer_later(responder, body);
  const Reply first = busy.read();
  EXPECT_EQ(first.body, "a");
  EXPECT_FALSE(first.headers.contains("connection"));
  const Reply last = busy.read();
  EXPECT_EQ(last.body, "b");
  EXPECT_EQ(last.headers.at("connection"), "close");
  EXPECT_TRUE(busy.is_closed_by_server());
  busy.vanish();
  EXPECT_TRUE(drained.get());
}

TEST_F(HttpDrain, ClosesIdleConnectionsAtOnce) {
  serve();
  Wire idle(server_->port());
  Wire fresh(server_->port());
  EXPECT_EQ(idle.send(post("/echo", "1")).read().body, "1");
  const auto before = Clock::now();
  EXPECT_TRUE(server_->drain(10s));
  EXPECT_LT(Clock::now() - before, 5s);
  EXPECT_TRUE(idle.is_closed_by_server());
  EXPECT_TRUE(fresh.is_closed_by_server());
}

TEST_F(HttpDrain, TakesARequestWhoseBeginningWasHere) {
  serve_on_one_thread();
  Wire wire(server_->port());
  const auto heads = backstage_.heads();
  wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  ASSERT_TRUE(tests::eventually([&] { return backstage_.heads() > heads; }));
  auto drained = begin_drain();
  const Reply reply = wire.send("bc").read();
  EXPECT_EQ(reply.body, "abc");
  EXPECT_EQ(reply.headers.at("connection"), "close");
  wire.vanish();
  EXPECT_TRUE(drained.get());
}

TEST_F(HttpDrain, ResetsWhatIsLeftAtTheDeadline) {
  serve();
  Wire waiting(server_->port());
  Wire sending(server_->port());
  Wire not_reading(server_->port());
  waiting.send(post("/later", ""));
  sending.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  not_reading.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  const Responder late = backstage_.take(1).front().second;
  ASSERT_TRUE(tests::eventually([&] { return backstage_.heads() == 3; }));
  const auto before = Clock::now();
  EXPECT_FALSE(server_->drain(100ms));
  EXPECT_LT(Clock::now() - before, 5s);
  EXPECT_EQ(waiting.read().status, kReset);
  EXPECT_EQ(sending.read().status, kReset);
  EXPECT_EQ(not_reading.read().status, kReset);
  answer_later(late, "to nobody");
}

TEST_F(HttpDrain, EndsWithTheServerWhenNobodyDrained) {
  serve();
  Wire wire(server_->port());
  wire.send(post("/never", ""));
  server_.reset();
  EXPECT_EQ(wire.read().status, kReset);
}

TEST_F(HttpDrain, LeavesThePortToTheNextServer) {
  serve();
  const std::string address = "127.0.0.1:" + std::to_string(server_->port());
  Wire wire(server_->port());
  EXPECT_EQ(wire.send(post("/echo", "1")).read().body, "1");
  server_->drain(1s);
  ServerOptions how = options();
  how.listen = address;
  serve(how);
  expect_alive();
}

}  // namespace
}  // namespace veche::http
