// What strangers can make an HTTP thread hold: answers that they do not take, bodies that they do
// not end, connections that they do not use.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include "tests/eventually.h"
#include "tests/ingest/http_fixture.h"

namespace veche::http {
namespace {

using testing::HasSubstr;

constexpr int kFewBytes = 4'096;  // of a client that does not read, in its kernel

class HttpBounds : public HttpTest {
 protected:
  static ServerOptions one_thread() {
    auto how = options();
    how.threads = 1;
    return how;
  }

  // A client that is owed the answer to its request, and has seen the header of it alone.
  std::unique_ptr<Wire> owed(std::string_view request) {
    auto wire = std::make_unique<Wire>(server_->port(), kFewBytes);
    EXPECT_EQ(wire->send(request).read_header().status, 200);
    return wire;
  }

  // Until a new client gets this status for the request; what the last one got.
  int eventually(int status, std::string_view request) {
    int got = kSilent;
    for (const auto end = Clock::now() + 10s; got != status && Clock::now() < end;)
      got = Wire(server_->port()).send(request).read().status;
    return got;
  }

  std::vector<std::unique_ptr<Wire>> connect(std::size_t count, std::string_view sent) {
    std::vector<std::unique_ptr<Wire>> wires;
    for (std::size_t i = 0; i < count; ++i)
      wires.emplace_back(std::make_unique<Wire>(server_->port()))->send(sent);
    return wires;
  }
};

void expect_refused(const Reply& reply) {
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.headers.count("retry-after"), 1);
  EXPECT_THAT(reply.body, HasSubstr("overloaded"));
}

// --- Answers -------------------------------------------------------------------------------------

TEST_F(HttpBounds, NothingMoreIsTakenWhileALargeAnswerIsOwed) {
  serve(one_thread());
  Wire wire(server_->port(), kFewBytes);
  wire.send(post("/echo", "small") + get("/large") + get("/large") + post("/echo", "last"));
  EXPECT_EQ(wire.read().body, "small");
  EXPECT_EQ(wire.read_header().headers.at("content-length"), "32000000");
  expect_alive();  // so everything that had come was looked at
  EXPECT_EQ(backstage_.heads(), 3) << "two of this client, and one of the other";
}

TEST_F(HttpBounds, WhatFollowsALargeAnswerIsAnsweredBehindIt) {
  serve(one_thread());
  Wire wire(server_->port());
  wire.send(get("/large") + post("/later", "a") + get("/shared") + post("/echo", "b"));
  EXPECT_EQ(wire.read().body.size(), 32'000'000);
  answer_later(backstage_.take(1).front().second, "a");
  EXPECT_EQ(wire.read().body, "a");
  EXPECT_TRUE(wire.read().body == *shared());
  EXPECT_EQ(wire.read().body, "b");
}

TEST_F(HttpBounds, AnswersThatAreNotTakenAreRefusedToOthersFromABoundOn) {
  serve(one_thread());
  const auto first = owed(get("/large")), second = owed(get("/large"));
  expect_refused(Wire(server_->port()).send(get("/large")).read());
  EXPECT_EQ(Wire(server_->port()).send(post("/echo", "a ballot")).read().body, "a ballot");
}

TEST_F(HttpBounds, WhoTakesNothingGoesWhereOthersHaveNoRoom) {
  serve(one_thread());
  const auto first = owed(get("/large")), second = owed(get("/large"));
  EXPECT_EQ(eventually(200, get("/large")), 200);
}

TEST_F(HttpBounds, OneBodyOfManyAnswersIsHeldOnce) {
  serve(one_thread());
  std::vector<std::unique_ptr<Wire>> owing;
  for (int i = 0; i < 20; ++i) owing.push_back(owed(get("/shared")));
  EXPECT_TRUE(Wire(server_->port()).send(get("/shared")).read().body == *shared());
}

TEST_F(HttpBounds, OneRequestAfterTheOtherIsTakenWhereTooMuchIsOwed) {
  serve(one_thread());
  const auto pipelined = post("/later", "a") + post("/later", "b") + post("/later", "c");
  Wire early(server_->port());
  early.send(pipelined);
  EXPECT_EQ(backstage_.take(3).size(), 3) << "there is room for all of them";
  const auto first = owed(get("/large")), second = owed(get("/large"));
  Wire wire(server_->port());
  wire.send(pipelined);
  for (const auto* body : {"a", "b", "c"}) {
    expect_alive();  // so everything that had come was looked at
    const auto taken = backstage_.take(1);
    ASSERT_EQ(taken.size(), 1);
    answer_later(taken.front().second, body);
    EXPECT_EQ(wire.read().body, body);
  }
}

// Behind a request without an answer each connection has as many refusals as it may.
TEST_F(HttpBounds, RefusalsThatAreNotTakenAreCounted) {
  serve(one_thread());
  std::string refused = post("/never", "");
  for (int i = 0; i < 60; ++i) refused += get("/long-no");
  const auto wires = connect(80, refused);
  EXPECT_EQ(eventually(503, get("/large")), 503);
}

// --- Bodies --------------------------------------------------------------------------------------

TEST_F(HttpBounds, BodiesThatDoNotEndAreBounded) {
  auto how = one_thread();
  how.deadlines.body = 5min;  // none of them is late, however busy the cores are
  serve(how);
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\n";
  const std::string announced = head + "Content-Length: 4000000\r\n\r\n";
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n3d0900\r\n";
  constexpr std::size_t kMostOfIt = 3'900'000;
  const std::string most_of_it(kMostOfIt, 'x');
  std::vector<std::unique_ptr<Wire>> held;
  Reply refused;
  const auto drop_answered = [&] {
    std::erase_if(held, [&](const auto& wire) {
      const Reply reply = wire->send("x").read(true, 1ms);  // who moves is not slow
      if (reply.status == 503) refused = reply;
      return reply.status != kSilent;
    });
  };
  EXPECT_TRUE(tests::eventually([&] {
    held.push_back(std::move(connect(1, (held.size() % 2 ? chunked : announced) + most_of_it)[0]));
    drop_answered();
    return refused.status == 503;
  }));
  expect_refused(refused);
  EXPECT_TRUE(tests::eventually([&] {  // of what was sent the server may have read little by then
    drop_answered();
    return held.size() <= limits::kBodyBytesPerThread / kMostOfIt;
  }));
  EXPECT_GT(held.size(), limits::kBodyBytesPerThread / kMostOfIt / 2);
  EXPECT_EQ(Wire(server_->port()).send(post("/echo", "short")).read().body, "short");
  EXPECT_EQ(eventually(200, post("/echo", std::string(1'000'000, 'x'))), 200)
      << "those that move no more have gone";
}

TEST_F(HttpBounds, ManyBodiesOneAfterTheOtherAreTaken) {
  serve(one_thread());
  const std::string body(4'000'000, 'x');
  std::vector<std::unique_ptr<Wire>> idle;  // which keep nothing of their bodies
  for (int i = 0; i < 20; ++i) {
    idle.push_back(std::make_unique<Wire>(server_->port()));
    EXPECT_TRUE(idle.back()->send(post("/echo", body)).read().body == body);
  }
}

// --- Connections ---------------------------------------------------------------------------------

TEST_F(HttpBounds, IdleConnectionsGiveWayToNewOnes) {
  auto how = one_thread();
  how.sockets_per_thread = 48;
  serve(how);
  Wire busy(server_->port());
  busy.send(post("/later", "busy"));
  const auto held = backstage_.take(1);
  Wire served(server_->port());
  EXPECT_EQ(served.send(post("/echo", "served")).read().body, "served");
  const auto idle = connect(100, "");
  EXPECT_EQ(Wire(server_->port()).send(post("/echo", "new")).read().body, "new");
  EXPECT_TRUE(idle.front()->is_closed_by_server());
  EXPECT_EQ(served.send(post("/echo", "again")).read().body, "again")
      << "those that sent nothing went before it";
  answer_later(held.front().second, "done");
  EXPECT_EQ(busy.read().body, "done");
}

TEST_F(HttpBounds, HeadersThatDoNotEndGiveWayToNewConnections) {
  auto how = one_thread();
  how.sockets_per_thread = 48;
  serve(how);
  const auto slow = connect(60, "GET /echo HTTP/1.1\r\nX-Slow: and");
  EXPECT_EQ(eventually(200, post("/echo", "new")), 200);
}

TEST_F(HttpBounds, ReadersOfStreamsLeaveRoomForOthers) {
  auto how = one_thread();
  how.sockets_per_thread = 48;
  serve(how);
  const auto readers = connect(40, get("/stream"));
  backstage_.take_readers(32);
  EXPECT_EQ(eventually(503, get("/stream")), 503);
  EXPECT_EQ(Wire(server_->port()).send(post("/echo", "a ballot")).read().body, "a ballot");
}

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// A thread that takes none of them has no more than its share of descriptors.
TEST_F(HttpBounds, ConnectionsThatArriveAreCounted) {
  auto how = options();
  how.sockets_per_thread = 32;
  serve(how);
  Wire first(server_->port()), second(server_->port());
  EXPECT_EQ(first.send(post("/echo", "at work")).read().body, "at work");
  second.send(post("/later", "busy"));
  const auto busy = backstage_.take(1);
  std::promise<void> over;
  busy.front().second.worker().post([end = over.get_future().share()] { end.wait(); });
  const auto before = open_files();
  const auto wires = connect(200, "");
  for (int i = 0; i < 200; ++i)  // so the other thread, which accepts, has accepted what it would
    ASSERT_EQ(first.send(post("/echo", "at work")).read().body, "at work");
  EXPECT_LE(open_files(), before + wires.size() + how.sockets_per_thread);
  over.set_value();
}

// Each turn of the thread is long, as beside a crowd of gateways.
TEST_F(HttpBounds, ANewcomerDoesNotWaitForATurnOfEachBeforeHim) {
  constexpr auto kTurn = 10ms;
  serve(one_thread());
  Wire wire(server_->port());
  wire.send(post("/later", "work"));
  auto& worker = backstage_.take(1).front().second.worker();
  std::atomic<bool> is_over = false;
  std::promise<void> ended;
  const std::function<void()> work = [&] {
    if (is_over) return ended.set_value();
    std::this_thread::sleep_for(kTurn);
    worker.post(work);
  };
  worker.post(work);
  const auto crowd = connect(300, "");
  const auto begin = Clock::now();
  EXPECT_EQ(Wire(server_->port()).send(post("/echo", "new")).read().body, "new");
  EXPECT_LT(Clock::now() - begin, crowd.size() * kTurn / 2);
  is_over = true;
  ended.get_future().wait();
}

// The limit of open files of this process, from which no other is left than for one client.
class FilesForOne {
 public:
  FilesForOne() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = open_files() + 16;
    setrlimit(RLIMIT_NOFILE, &few);
    for (int file; (file = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken_.push_back(file);
    ::close(taken_.back());
    taken_.pop_back();
  }
  ~FilesForOne() {
    for (const int file : taken_) ::close(file);
    setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

TEST_F(HttpBounds, AConnectionWaitsForAFreeFileDescriptor) {
  auto how = one_thread();
  std::promise<std::string> told;  // a second time would throw
  how.on_news = [&](const std::string& what) { told.set_value(what); };
  serve(how);
  std::optional<FilesForOne> files(std::in_place);
  Wire wire(server_->port());
  auto news = told.get_future();
  ASSERT_EQ(news.wait_for(10s), std::future_status::ready);
  EXPECT_THAT(news.get(), HasSubstr("Too many open files"));
  EXPECT_EQ(wire.send(post("/echo", "patience")).read(true, 300ms).status, kSilent);
  files.reset();
  EXPECT_EQ(wire.read().body, "patience");
}

}  // namespace
}  // namespace veche::http
