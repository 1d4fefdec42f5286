// What the server does to connections, told by what the network did.
#include <gmock/gmock.h>

#include <thread>

#include "tests/eventually.h"
#include "tests/ingest/http_fixture.h"

namespace veche::http {
namespace {

using testing::HasSubstr;

using HttpServer = HttpTest;

TEST_F(HttpServer, AnswersPipelinedRequestsInOrder) {
  serve();
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += post("/echo", std::to_string(i));
  Wire wire(server_->port());
  wire.send(requests);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(wire.read().body, std::to_string(i));
}

TEST_F(HttpServer, AnswersMoreRequestsThanItTakesAtOnce) {
  serve();
  std::string requests;
  for (int i = 0; i < 1'000; ++i) requests += post("/echo", std::to_string(i));
  Wire wire(server_->port());
  wire.send(requests);
  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(wire.read().body, std::to_string(i));
}

TEST_F(HttpServer, TakesRequestsThatArriveByteByByte) {
  serve();
  Wire wire(server_->port());
  for (const char c : post("/echo", "slow but sure") + post("/echo", "again")) wire.send({&c, 1});
  EXPECT_EQ(wire.read().body, "slow but sure");
  EXPECT_EQ(wire.read().body, "again");
}

TEST_F(HttpServer, KeepsTheOrderWhenAnswersComeInAnother) {
  serve();
  Wire wire(server_->port());
  wire.send(post("/later", "a") + post("/later", "b") + post("/echo", "c") + post("/later", "d"));
  auto held = backstage_.take(3);
  ASSERT_EQ(held.size(), 3);
  for (auto it = held.rbegin(); it != held.rend(); ++it) answer_later(it->second, it->first);
  for (const char* const expected : {"a", "b", "c", "d"}) EXPECT_EQ(wire.read().body, expected);
}

TEST_F(HttpServer, TakesAnAnswerOnceAndDropsTheSecond) {
  serve();
  Wire wire(server_->port());
  wire.send(post("/later", "1"));
  const Responder first = backstage_.take(1).front().second;
  first.worker().post([first] {
    first.send(text("first"));
    first.send(text("second"));
  });
  EXPECT_EQ(wire.read().body, "first");
  wire.send(post("/later", "2"));
  const Responder second = backstage_.take(1).front().second;
  answer_later(first, "third");
  answer_later(second, "mine");
  EXPECT_EQ(wire.read().body, "mine");
}

TEST_F(HttpServer, AnswersForAHandlerThatNeverDoes) {
  ServerOptions how = options();
  how.deadlines.handler = 100ms;
  serve(how);
  Wire wire(server_->port());
  wire.send(post("/echo", "before") + post("/never", ""));
  EXPECT_EQ(wire.read().body, "before");
  const Reply reply = wire.read();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.headers.at("retry-after"), "1");
  EXPECT_THAT(reply.body, HasSubstr(R"("code":"outcome-unknown")"));
  EXPECT_EQ(wire.send(post("/echo", "after")).read().body, "after");
}

TEST_F(HttpServer, DropsAnAnswerAfterTheDeadline) {
  ServerOptions how = options();
  how.deadlines.handler = 50ms;
  serve(how);
  Wire wire(server_->port());
  wire.send(post("/later", ""));
  const Responder late = backstage_.take(1).front().second;
  EXPECT_EQ(wire.read().status, 503);
  answer_later(late, "too late");
  EXPECT_EQ(wire.send(post("/echo", "next")).read().body, "next");
}

TEST_F(HttpServer, GivesUpOnASlowHeader) {
  ServerOptions how = options();
  how.deadlines.header = 100ms;
  serve(how);
  Wire wire(server_->port());
  const Reply reply = wire.send("POST /echo HTTP/1.1\r\nHost: a\r\n").read();
  EXPECT_EQ(reply.status, 408);
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(wire.is_closed_by_server());
}

TEST_F(HttpServer, GivesUpOnAHeaderThatTrickles) {
  ServerOptions how = options();
  how.deadlines.header = 200ms;
  serve(how);
  Wire wire(server_->port());
  wire.send("GET /echo HTTP/1.1\r\nX: ");
  Reply reply{.status = kSilent};
  for (int i = 0; i < 100 && reply.status == kSilent; ++i) reply = wire.send("x").read(true, 20ms);
  EXPECT_EQ(reply.status, 408);
}

TEST_F(HttpServer, GivesUpOnASlowBody) {
  ServerOptions how = options();
  how.deadlines.body = 100ms;
  serve(how);
  Wire wire(server_->port());
  EXPECT_EQ(
      wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc").read().status,
      408);
  EXPECT_TRUE(wire.is_closed_by_server());
}

TEST_F(HttpServer, ClosesAnIdleConnectionSilently) {
  ServerOptions how = options();
  how.deadlines.idle = 100ms;
  serve(how);
  Wire wire(server_->port());
  EXPECT_EQ(wire.send(post("/echo", "x")).read().body, "x");
  EXPECT_TRUE(wire.is_closed_by_server());
}

TEST_F(HttpServer, ResetsAClientThatDoesNotReadItsAnswer) {
  ServerOptions how = options();
  how.deadlines.write = 100ms;
  serve(how);
  Wire wire(server_->port());
  wire.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(tests::eventually([&] { return wire.is_reset(); }));
  expect_alive();
}

TEST_F(HttpServer, SurvivesAClientThatVanishesInItsBody) {
  serve();
  for (int i = 0; i < 20; ++i) {
    Wire wire(server_->port());
    wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nabc").vanish();
  }
  expect_alive();
}

TEST_F(HttpServer, DropsTheAnswerToAClientThatVanished) {
  serve();
  Wire wire(server_->port());
  wire.send(post("/later", "a") + post("/later", "b"));
  const auto held = backstage_.take(2);
  wire.vanish();
  for (const auto& [body, responder] : held) answer_later(responder, body);
  for (const auto& [body, responder] : held) answer_later(responder, body);
  expect_alive();
}

TEST_F(HttpServer, SurvivesAClientThatVanishesInItsAnswer) {
  serve();
  for (int i = 0; i < 4; ++i) {
    Wire wire(server_->port());
    wire.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").vanish();
  }
  expect_alive();
}

TEST_F(HttpServer, SaysContinueOnlyToAnAdmittedRequest) {
  serve();
  const std::string expect =
      " HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  Wire admitted(server_->port());
  EXPECT_EQ(admitted.send("POST /echo" + expect).read(false).status, 100);
  EXPECT_EQ(admitted.send("abc").read().body, "abc");
  Wire refused(server_->port());
  EXPECT_EQ(refused.send("POST /busy" + expect).read().status, 503);
  EXPECT_TRUE(refused.is_closed_by_server());
}

TEST_F(HttpServer, SaysContinueAfterTheAnswersBeforeIt) {
  serve();
  Wire wire(server_->port());
  wire.send(post("/echo", "first") +
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(wire.read().body, "first");
  EXPECT_EQ(wire.read(false).status, 100);
  EXPECT_EQ(wire.send("abc").read().body, "abc");
}

TEST_F(HttpServer, RefusesABodyBeforeItIsSent) {
  serve();
  Wire wire(server_->port());
  const Reply reply =
      wire.send("POST /busy HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n").read();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.headers.at("retry-after"), "1");
  EXPECT_EQ(reply.headers.at("connection"), "close");
}

TEST_F(HttpServer, ShowsTheRefusalToAClientThatSendsOnRegardless) {
  serve();
  for (int i = 0; i < 20; ++i) {
    Wire wire(server_->port());
    wire.send("POST /busy HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
    wire.send(std::string(500'000, 'x'));
    EXPECT_EQ(wire.read().status, 503);
    EXPECT_TRUE(wire.is_closed_by_server());
  }
}

TEST_F(HttpServer, KeepsTheConnectionAfterARefusalWhoseBodyIsHere) {
  serve();
  Wire wire(server_->port());
  wire.send(post("/busy", "abc") + post("/nowhere", "") + post("/echo", "still here"));
  EXPECT_EQ(wire.read().status, 503);
  EXPECT_EQ(wire.read().status, 404);
  EXPECT_EQ(wire.read().body, "still here");
}

TEST_F(HttpServer, RefusesABodyThatIsTooLarge) {
  serve();
  const std::string exact(kTinyLimitBytes, 'x');
  Wire wire(server_->port());
  EXPECT_EQ(wire.send(post("/tiny", exact)).read().body, exact);
  EXPECT_EQ(wire.send(post("/tiny", exact + "x")).read().status, 413);
}

TEST_F(HttpServer, RefusesAChunkedBodyOnceItIsTooLarge) {
  serve();
  const std::string head = "POST /tiny HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  Wire wire(server_->port());
  wire.send(head + "8\r\n12345678\r\n8\r\nabcdefgh\r\n0\r\n\r\n");
  EXPECT_EQ(wire.read().body, "12345678abcdefgh");
  EXPECT_EQ(wire.send(head + "8\r\n12345678\r\n9\r\nabcdefghi\r\n0\r\n\r\n").read().status, 413);
  EXPECT_TRUE(wire.is_closed_by_server());
}

TEST_F(HttpServer, TakesALargeBodyInPieces) {
  serve();
  std::string body(3'000'000, ' ');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
  Wire wire(server_->port());
  std::thread sender([&] { wire.send(post("/echo", body)); });
  sender.join();
  EXPECT_TRUE(wire.read().body == body);
}

TEST_F(HttpServer, AnswersHeadWithTheLengthAndNoBody) {
  serve();
  Wire wire(server_->port());
  wire.send("HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n" + post("/echo", "next"));
  EXPECT_EQ(wire.read(false).headers.at("content-length"), "32000000");
  EXPECT_EQ(wire.read().body, "next");
}

TEST_F(HttpServer, ClosesAfterAnswering) {
  serve();
  for (const char* const request : {"GET /echo HTTP/1.0\r\n\r\n",
                                    "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"}) {
    Wire wire(server_->port());
    const Reply reply = wire.send(request).read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("connection"), "close");
    EXPECT_TRUE(wire.is_closed_by_server());
  }
}

TEST_F(HttpServer, KeepsAnHttp10ConnectionThatAsksForIt) {
  serve();
  Wire wire(server_->port());
  for (int i = 0; i < 2; ++i) {
    const Reply reply = wire.send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").read();
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("connection"), "keep-alive");
  }
}

TEST_F(HttpServer, TellsAConnectionTooManyToComeBack) {
  ServerOptions how = options();
  how.threads = 1;
  how.connections_per_thread = 2;
  serve(how);
  Wire first(server_->port());
  {
    Wire second(server_->port());
    first.send(post("/later", "1"));  // an idle one would give way
    second.send(post("/later", "2"));
    const auto held = backstage_.take(2);
    Wire third(server_->port());
    const Reply reply = third.send(post("/echo", "3")).read();
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.headers.at("retry-after"), "1");
    EXPECT_THAT(reply.body, HasSubstr("overloaded"));
    EXPECT_TRUE(third.is_closed_by_server());
    for (const auto& [body, responder] : held) answer_later(responder, body);
    EXPECT_EQ(first.read().body, "1");
    EXPECT_EQ(first.send(post("/echo", "still")).read().body, "still");
    EXPECT_EQ(second.read().body, "2");
  }
  Reply reply;
  for (int i = 0; i < 100 && reply.status != 200; ++i) {
    Wire fourth(server_->port());
    reply = fourth.send(post("/echo", "4")).read();
  }
  EXPECT_EQ(reply.status, 200) << "the place of a closed connection is not given away again";
}

TEST_F(HttpServer, RefusesAPortThatAnotherServerHas) {
  serve();
  const std::string address = "127.0.0.1:" + std::to_string(server_->port());
  const auto second = Server::start(
      {.listen = address}, [this](Worker&) { return std::make_unique<TestHandler>(backstage_); });
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr(address));
  EXPECT_THAT(second.error().message, HasSubstr("ss -ltnp"));
}

TEST_F(HttpServer, RefusesAnAddressThatIsNone) {
  for (const char* const address :
       {"", "8080", "localhost:8080", "127.0.0.1:", "127.0.0.1:99999"}) {
    const auto server = Server::start(
        {.listen = address}, [this](Worker&) { return std::make_unique<TestHandler>(backstage_); });
    ASSERT_FALSE(server) << address;
    EXPECT_THAT(server.error().message, HasSubstr("for example")) << address;
  }
}

TEST_F(HttpServer, TellsItsObserverWhatItDid) {
  struct Notes final : Observer {
    void request_done(const RequestDone& done) override {
      const std::scoped_lock lock(mutex);
      requests.push_back(done);
    }
    void connections(std::size_t, std::size_t open) override {
      const std::scoped_lock lock(mutex);
      most_open = std::max(most_open, open);
      now_open = open;
    }
    std::mutex mutex;
    std::vector<RequestDone> requests;
    std::size_t most_open = 0;
    std::size_t now_open = 0;
  } notes;
  ServerOptions how = options();
  how.threads = 1;
  how.observer = &notes;
  serve(how);
  {
    Wire wire(server_->port());
    wire.send(post("/echo", "abc") + "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n");
    for (int i = 0; i < 3; ++i) wire.read();
  }
  server_->drain(1s);
  ASSERT_EQ(notes.requests.size(), 3);
  EXPECT_EQ(notes.requests[0].route, kEcho);
  EXPECT_EQ(notes.requests[0].method, Method::post);
  EXPECT_EQ(notes.requests[0].status, 200);
  EXPECT_EQ(notes.requests[0].body_bytes, 3);
  EXPECT_GT(notes.requests[0].answer_bytes, 3);
  EXPECT_EQ(notes.requests[1].route, kUnknown);
  EXPECT_EQ(notes.requests[1].status, 404);
  EXPECT_EQ(notes.requests[2].route, kNoRoute);
  EXPECT_EQ(notes.requests[2].status, 400);
  EXPECT_EQ(notes.most_open, 1);
  EXPECT_EQ(notes.now_open, 0);
}

}  // namespace
}  // namespace veche::http
