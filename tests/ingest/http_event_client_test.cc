// What a reader of server-sent events makes of the bytes, in whatever pieces they come.
#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "ingest/http/event_client.h"

namespace veche::http {
namespace {

using testing::ElementsAre;

std::vector<std::string> events_of(std::string_view bytes, std::size_t piece) {
  std::vector<std::string> events;
  EventParser parser;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    parser.feed(bytes.substr(0, piece), [&](const ServerEvent& event) {
      events.push_back(event.name + "/" + event.id + "/" + event.data);
    });
  return events;
}

TEST(EventParser, TakesEventsInAnyPieces) {
  constexpr std::string_view kBytes =
      "retry: 3000\n\nid: 1\nevent: totals\ndata: {\"a\": 1}\n\n: awake\n\ndata:two\ndata: "
      "lines\n\n"
      "event: begun";
  for (std::size_t piece = 1; piece <= kBytes.size(); ++piece)
    EXPECT_THAT(events_of(kBytes, piece),
                ElementsAre("totals/1/{\"a\": 1}", "message/1/two\nlines"))
        << piece;
}

TEST(EventParser, KnowsEveryEndOfALine) {
  for (std::size_t piece : {1, 2, 3, 100})
    EXPECT_THAT(events_of("data: a\r\n\r\ndata: b\r\rdata: c\n\n", piece),
                ElementsAre("message//a", "message//b", "message//c"));
}

TEST(EventParser, PassesOverAnEventWithoutData) {
  EXPECT_THAT(events_of("event: nothing\n\ndata\n\ndata: b\n\n", 100),
              ElementsAre("message//", "message//b"));
}

TEST(EventParser, RemembersTheLastRetryThatIsANumber) {
  EventParser parser;
  parser.feed("retry: 1500\nretry: soon\nretry: -1\nretry:\n", [](const ServerEvent&) {});
  EXPECT_EQ(parser.retry(), std::chrono::milliseconds(1500));
}

}  // namespace
}  // namespace veche::http
