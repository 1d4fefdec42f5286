// Answers without end: see event_stream.h.
#include <gmock/gmock.h>

#include <future>
#include <set>
#include <thread>

#include "tests/eventually.h"
#include "tests/ingest/http_fixture.h"

namespace veche::http {
namespace {

using testing::HasSubstr;

constexpr std::string_view kGetStream = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kBegin = "retry: 3000\n\n";
constexpr int kFewBytes = 4'096;
constexpr std::size_t kManyBytes = 8'000'000;  // more than the kernel takes for a silent reader

Frame frame(std::string bytes) { return std::make_shared<const std::string>(std::move(bytes)); }

// From a thread that is not the worker's: all of them at once.
void offer(const std::pair<Worker*, Reader>& to,
           std::vector<std::pair<std::uint16_t, Frame>> frames) {
  std::promise<void> offered;
  to.first->post([&] {
    for (auto& [slot, bytes] : frames) to.second.offer(slot, std::move(bytes));
    offered.set_value();
  });
  offered.get_future().wait();
}

struct Counts final : Observer {
  void request_done(const RequestDone&) override {}
  void connections(std::size_t, std::size_t) override {}
  void readers(std::size_t, std::size_t now) override { open = now; }
  void streamed(const StreamCounts& more) override {
    events += more.events;
    replaced += more.replaced;
    slow += more.slow;
  }
  std::atomic<std::size_t> open = 0, events = 0, replaced = 0, slow = 0;
};

class HttpStream : public HttpTest {
 protected:
  ~HttpStream() override { server_.reset(); }  // which counts until it ends

  void serve_streams(ServerOptions how = options()) {
    how.threads = 1;
    how.observer = &counts_;
    serve(std::move(how));
  }

  // A reader who has the header and the beginning.
  std::pair<Worker*, Reader> begin(Wire& wire) {
    wire.send(kGetStream);
    EXPECT_EQ(wire.read_header().status, 200);
    EXPECT_EQ(wire.read_until(kBegin), kBegin);
    return backstage_.take_readers(1).front();
  }

  // Blocks the reader's connection: it does not read, and much is written.
  void choke(const std::pair<Worker*, Reader>& reader) {
    offer(reader, {{0, frame(std::string(kManyBytes, 'x') + "|")}});
    EXPECT_TRUE(tests::eventually([&] { return counts_.events > 0; }));
  }

  Counts counts_;
};

TEST_F(HttpStream, SendsWhatIsOffered) {
  serve_streams();
  Wire wire(server_->port());
  wire.send(kGetStream);
  const Reply header = wire.read_header();
  EXPECT_EQ(header.status, 200);
  EXPECT_EQ(header.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(header.headers.at("cache-control"), "no-store");
  EXPECT_EQ(header.headers.at("x-accel-buffering"), "no");
  EXPECT_EQ(header.headers.at("connection"), "close");
  EXPECT_FALSE(header.headers.contains("content-length"));
  EXPECT_EQ(wire.read_until(kBegin), kBegin);
  const auto reader = backstage_.take_readers(1).front();
  offer(reader, {{1, frame("one|")}});
  EXPECT_EQ(wire.read_until("|"), "one|");
  offer(reader, {{1, frame("two|")}});
  EXPECT_EQ(wire.read_until("|"), "two|");
  EXPECT_EQ(counts_.open, 1);
  EXPECT_EQ(server_->drain(1s), true);
  EXPECT_EQ(counts_.open, 0);
}

TEST_F(HttpStream, WritesBySlotWhateverCameFirst) {
  serve_streams();
  Wire wire(server_->port());
  const auto reader = begin(wire);
  offer(reader,
        {{3, frame("third ")}, {1, frame("first ")}, {2, frame("second ")}, {9, frame("|")}});
  EXPECT_EQ(wire.read_until("|"), "first second third |");
}

TEST_F(HttpStream, WritesMoreSlotsThanOneWriteTakes) {
  serve_streams();
  Wire wire(server_->port());
  const auto reader = begin(wire);
  std::vector<std::pair<std::uint16_t, Frame>> frames;
  std::string expected;
  for (std::uint16_t slot = 0; slot < 200; ++slot) {
    expected += std::to_string(slot) + ",";
    frames.emplace_back(slot, frame(std::to_string(slot) + ","));
  }
  frames.emplace_back(200, frame("|"));
  offer(reader, std::move(frames));
  EXPECT_EQ(wire.read_until("|"), expected + "|");
}

TEST_F(HttpStream, GivesASlowReaderTheNewestAlone) {
  serve_streams();
  Wire wire(server_->port(), kFewBytes);
  const auto reader = begin(wire);
  choke(reader);
  for (int i = 1; i <= 100; ++i)
    offer(reader, {{1, frame("state " + std::to_string(i) + "|")}, {2, frame("end|")}});
  EXPECT_EQ(wire.read_until("|").size(), kManyBytes + 1);
  EXPECT_EQ(wire.read_until("|"), "state 100|");
  EXPECT_EQ(wire.read_until("|"), "end|");
  server_->drain(1s);
  EXPECT_EQ(counts_.replaced, 198);
  EXPECT_EQ(counts_.slow, 0);
}

TEST_F(HttpStream, SharesTheBytesOfAFrame) {
  serve_streams();
  constexpr std::size_t kReaders = 3;
  std::vector<std::unique_ptr<Wire>> wires;
  std::vector<std::pair<Worker*, Reader>> readers;
  for (std::size_t i = 0; i < kReaders; ++i) {
    wires.push_back(std::make_unique<Wire>(server_->port(), kFewBytes));
    readers.push_back(begin(*wires.back()));
  }
  const Frame shared = frame(std::string(kManyBytes, 'x') + "|");
  for (const auto& reader : readers) offer(reader, {{0, shared}});
  EXPECT_EQ(shared.use_count(), 1 + kReaders) << "none of them can have all of it yet";
  for (const auto& wire : wires) EXPECT_EQ(wire->read_until("|"), *shared);
  EXPECT_TRUE(tests::eventually([&] { return shared.use_count() == 1; }));
}

TEST_F(HttpStream, DropsAReaderThatTakesNothing) {
  auto how = options();
  how.deadlines.stream_write = 200ms;
  serve_streams(how);
  Wire wire(server_->port(), kFewBytes);
  const auto reader = begin(wire);
  choke(reader);
  EXPECT_EQ(backstage_.gone(1).front(), reader.second.key());
  EXPECT_TRUE(tests::eventually([&] { return counts_.slow > 0; }));
  EXPECT_LT(wire.read_until("|").size(), kManyBytes);
  expect_alive();
}

TEST_F(HttpStream, KeepsAReaderThatTakesAFewBytesAtATime) {
  auto how = options();
  how.deadlines.stream_write = 500ms;
  serve_streams(how);
  Wire wire(server_->port(), kFewBytes);
  const auto reader = begin(wire);
  choke(reader);
  const auto before = Clock::now();
  std::size_t bytes = 0;
  while (Clock::now() - before < 1'500ms) {
    std::this_thread::sleep_for(20ms);
    bytes += wire.read_some().size();
  }
  EXPECT_LT(bytes, kManyBytes) << "it is still behind";
  EXPECT_EQ(wire.read_until("|").size(), kManyBytes + 1 - bytes);
  EXPECT_EQ(counts_.slow, 0);
}

TEST_F(HttpStream, NoticesThatAnIdleReaderIsGone) {
  serve_streams();
  Wire vanishing(server_->port());
  const auto first = begin(vanishing);
  vanishing.vanish();
  EXPECT_EQ(backstage_.gone(1).front(), first.second.key());
  Wire leaving(server_->port());
  const auto second = begin(leaving);
  leaving.close_in_order();
  EXPECT_EQ(backstage_.gone(2).back(), second.second.key());
  EXPECT_EQ(counts_.open, 0);
  EXPECT_EQ(counts_.slow, 0);
}

TEST_F(HttpStream, NeverSendsToWhoCameAfterOneThatHasGone) {
  serve_streams();
  Wire before(server_->port());
  const auto gone = begin(before);
  before.vanish();
  backstage_.gone(1);
  Wire after(server_->port());
  const auto reader = begin(after);
  ASSERT_EQ(reader.second.number(), gone.second.number()) << "the place is used again";
  offer(gone, {{0, frame("to nobody|")}});
  offer(reader, {{0, frame("to you|")}});
  EXPECT_EQ(after.read_until("|"), "to you|");
}

TEST_F(HttpStream, IgnoresWhatAReaderSends) {
  serve_streams();
  Wire wire(server_->port());
  const auto reader = begin(wire);
  wire.send(post("/echo", std::string(100'000, 'x')));
  offer(reader, {{0, frame("still here|")}});
  EXPECT_EQ(wire.read_until("|"), "still here|");
  EXPECT_EQ(backstage_.heads(), 1);
}

TEST_F(HttpStream, KeepsAnIdleStreamAwake) {
  auto how = options();
  how.heartbeat_interval = 50ms;
  serve_streams(how);
  Wire wire(server_->port());
  begin(wire);
  EXPECT_EQ(wire.read_until("\n\n"), ": \n\n");
  EXPECT_EQ(wire.read_until("\n\n"), ": \n\n");
  server_->drain(1s);
  EXPECT_EQ(counts_.events, 1) << "the goodbye alone";
}

TEST_F(HttpStream, SaysGoodbyeWhenItDrains) {
  serve_streams();
  std::vector<std::unique_ptr<Wire>> wires;
  for (int i = 0; i < 20; ++i) {
    wires.push_back(std::make_unique<Wire>(server_->port()));
    begin(*wires.back());
  }
  const auto before = Clock::now();
  EXPECT_TRUE(server_->drain(10s));
  EXPECT_LT(Clock::now() - before, 5s);
  std::set<int> retries;
  for (const auto& wire : wires) {
    EXPECT_EQ(wire->read_until("retry: "), "event: bye\nretry: ");
    const int retry = std::stoi(wire->read_until("\n"));
    EXPECT_GE(retry, 1'000);
    EXPECT_LE(retry, 5'000);
    retries.insert(retry);
    EXPECT_EQ(wire->read_until("\n\n"), "data: {}\n\n");
    EXPECT_TRUE(wire->is_closed_by_server());
  }
  EXPECT_GT(retries.size(), 1) << "they must not all come back at once";
  EXPECT_EQ(backstage_.gone(20).size(), 20);
}

TEST_F(HttpStream, DrainsInTimeThoughAReaderTakesNothing) {
  auto how = options();
  how.deadlines.linger = 100ms;
  serve_streams(how);
  Wire wire(server_->port(), kFewBytes);
  choke(begin(wire));
  const auto before = Clock::now();
  EXPECT_TRUE(server_->drain(10s));
  EXPECT_LT(Clock::now() - before, 5s);
  EXPECT_EQ(counts_.slow, 0) << "it was not given its time";
}

TEST_F(HttpStream, AnswersWhatWasSentBeforeAndTakesNothingBehind) {
  serve_streams();
  Wire wire(server_->port());
  wire.send(post("/echo", "before") + std::string(kGetStream) + post("/echo", "behind"));
  EXPECT_EQ(wire.read().body, "before");
  EXPECT_EQ(wire.read_header().headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(wire.read_until(kBegin), kBegin);
  const auto reader = backstage_.take_readers(1).front();
  offer(reader, {{0, frame("event|")}});
  EXPECT_EQ(wire.read_until("|"), "event|");
  EXPECT_EQ(backstage_.heads(), 2);
}

TEST_F(HttpStream, GivesHeadTheHeaderAlone) {
  serve_streams();
  Wire wire(server_->port());
  const Reply reply = wire.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n").read_header();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  EXPECT_TRUE(wire.is_closed_by_server());
  EXPECT_EQ(counts_.open, 0);
  EXPECT_TRUE(backstage_.take_readers(0).empty());
}

TEST_F(HttpStream, SpeaksToHttp10) {
  serve_streams();
  Wire wire(server_->port());
  wire.send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_EQ(wire.read_header().status, 200);
  EXPECT_EQ(wire.read_until(kBegin), kBegin);
  offer(backstage_.take_readers(1).front(), {{0, frame("event|")}});
  EXPECT_EQ(wire.read_until("|"), "event|");
}

TEST_F(HttpStream, RefusesReadersAboveTheLimit) {
  auto how = options();
  how.readers_per_thread = 1;
  serve_streams(how);
  Wire first(server_->port());
  begin(first);
  Wire second(server_->port());
  EXPECT_EQ(second.send(kGetStream).read().status, 503);
  EXPECT_EQ(second.send(post("/echo", "refused")).read().body, "refused");
  first.vanish();
  backstage_.gone(1);
  second.send(kGetStream);
  EXPECT_EQ(second.read_header().headers.at("content-type"), "text/event-stream");
}

// A browser's EventSource comes back after the end of a stream, and after nothing else than 200.
TEST_F(HttpStream, TellsAReaderOnAConnectionTooManyToComeBack) {
  auto how = options();
  how.connections_per_thread = 1;
  how.deadlines.linger = 300ms;
  serve_streams(how);
  Wire first(server_->port());
  first.send(post("/later", "1"));  // an idle one would give way
  const auto held = backstage_.take(1);
  Wire reader(server_->port());
  const Reply reply = reader.send(kGetStream).read();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  EXPECT_THAT(reply.body, HasSubstr("\nretry: "));
  EXPECT_TRUE(reader.is_closed_by_server());
  Wire silent(server_->port());
  EXPECT_EQ(silent.read().status, 503) << "who asks for nothing does not keep its place";
  EXPECT_TRUE(silent.is_closed_by_server());
  for (const auto& [body, responder] : held) answer_later(responder, body);
}

TEST_F(HttpStream, LeavesRoomForConnectionsBesideIt) {
  auto how = options();
  how.connections_per_thread = 1;
  serve_streams(how);
  Wire wire(server_->port());
  begin(wire);
  expect_alive();
}

}  // namespace
}  // namespace veche::http
