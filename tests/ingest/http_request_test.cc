// Which requests are well formed, and what a handler sees of them.
#include <gmock/gmock.h>

#include <string>

#include "ingest/http/answer_parser.h"
#include "ingest/http/request_parser.h"
#include "tests/ingest/http_fixture.h"

namespace veche::http {
namespace {

using namespace std::string_literals;

struct RequestCase {
  const char* name;
  std::string request;
  int status;  // of the answer; 200: taken
};

class HttpRequest : public HttpTest, public testing::WithParamInterface<RequestCase> {};

TEST_P(HttpRequest, IsTakenOrRefused) {
  serve();
  Wire wire(server_->port());
  const Reply reply = wire.send(GetParam().request).read();
  EXPECT_EQ(reply.status, GetParam().status) << reply.body;
  if (GetParam().status == 200) return;
  EXPECT_EQ(reply.headers.at("content-type"), "application/problem+json");
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(wire.is_closed_by_server()) << "bytes behind it might be taken for a request";
}

std::string with(const std::string& header, const std::string& body = "") {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + header + "\r\n" + body;
}
std::string with_target(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n";
}
const std::string kChunked = "Transfer-Encoding: chunked\r\n";
const std::string kFrame = "POST /echo HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";

// As long as a header may be, and no line of a list behind another of the same.
const std::string kManyLists = [] {
  std::string lines;
  while (lines.size() < limits::kHeaderBytes - 200)
    lines += "Accept:\r\nIf-Match:1\r\nAccept:a\r\n";
  return lines;
}();

const RequestCase kCases[] = {
    {"Plain", with("Content-Length: 3\r\n", "abc"), 200},
    {"TwoContentLengths", with("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400},
    {"TwoEqualContentLengths", with("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
    {"ContentLengthList", with("Content-Length: 3, 3\r\n", "abc"), 400},
    {"ContentLengthSigned", with("Content-Length: +3\r\n", "abc"), 400},
    {"ContentLengthNegative", with("Content-Length: -3\r\n", "abc"), 400},
    {"ContentLengthEmpty", with("Content-Length: \r\n"), 400},
    {"ContentLengthOverflows", with("Content-Length: 99999999999999999999\r\n"), 400},
    {"Chunked", with(kChunked, "3\r\nabc\r\n0\r\n\r\n"), 200},
    {"ChunkedWithExtension", with(kChunked, "3;a=b\r\nabc\r\n0\r\n\r\n"), 200},
    {"ChunkedWithTrailer",
     with(kChunked + "Authorization: a\r\n", "3\r\nabc\r\n0\r\nAuthorization: b\r\n\r\n"), 200},
    {"LengthThenChunked", with("Content-Length: 3\r\n" + kChunked, "0\r\n\r\n"), 400},
    {"ChunkedThenLength", with(kChunked + "Content-Length: 3\r\n", "0\r\n\r\n"), 400},
    {"ChunkedTwice", with(kChunked + kChunked, "0\r\n\r\n"), 400},
    {"GzipThenChunked", with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400},
    {"ChunkedThenIdentity", with("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 400},
    {"IdentityOnly", with("Transfer-Encoding: identity\r\n"), 400},
    {"ChunkShorterThanSaid", with(kChunked, "5\r\nabc\r\n0\r\n\r\n      "), 400},
    {"ChunkLongerThanSaid", with(kChunked, "2\r\nabc\r\n0\r\n\r\n"), 400},
    {"ChunkSizeNotHex", with(kChunked, "x\r\nabc\r\n0\r\n\r\n"), 400},
    {"ChunkSizeOverflows", with(kChunked, "fffffffffffffffff\r\nabc"), 400},
    {"ChunkHeaderWithoutEnd", with(kChunked, "3;" + std::string(15'000, 'a')), 400},
    {"TrailersWithoutEnd", with(kChunked, "0\r\nA: " + std::string(15'000, 'a')), 400},
    {"ChunkedInHttp10", "POST /echo HTTP/1.0\r\n" + kChunked + "\r\n0\r\n\r\n", 400},
    {"TwoAuthorizations", with("Authorization: a\r\nauthorization: b\r\n"), 400},
    {"TwoContentTypes", with("Content-Type: a/b\r\nContent-Type: a/b\r\n"), 400},
    {"TwoContentEncodings", with("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"), 400},
    {"TwoHosts", with("Host: b\r\n"), 400},
    {"TwoAccepts", with("Accept: a/b\r\nAccept: c/d\r\n"), 200},
    {"ManyLinesOfTwoLists", with(kManyLists), 200},
    {"TwoExpects", with("Expect: 100-continue\r\nExpect: miracles\r\n"), 417},
    {"NoHost", "GET /echo HTTP/1.1\r\n\r\n", 400},
    {"NoHostInHttp10", "GET /echo HTTP/1.0\r\n\r\n", 200},
    {"NulInValue", with("X: a\0b\r\n"s), 400},
    {"NulInName", with("X\0Y: a\r\n"s), 400},
    {"EscapeInValue", with("X: a\x1b[1m\r\n"), 400},
    {"DelInValue", with("X: a\x7f\r\n"), 400},
    {"NonAsciiInValue", with("X: \xd0\xb2\xd0\xb5\xd1\x87\xd0\xb5\r\n"), 200},
    {"SpaceBeforeColon", with("X : a\r\n"), 400},
    {"LineFeedOnly", "GET /echo HTTP/1.1\nHost: a\n\n", 400},
    {"LineFeedOnlyInHeader", "GET /echo HTTP/1.1\r\nHost: a\n\r\n\r\n", 400},
    {"EmptyLineBefore", "\r\n" + with(""), 200},
    {"NotHttp", "hello\r\n\r\n", 400},
    {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
    {"Http09", "GET /echo\r\n\r\n", 400},
    {"TlsHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 HTTP\r\n\r\n"s, 400},
    {"HeaderAtTheLimit",
     with("X: " + std::string(limits::kHeaderBytes - kFrame.size(), 'a') + "\r\n"), 200},
    {"HeaderOverTheLimit",
     with("X: " + std::string(limits::kHeaderBytes - kFrame.size() + 1, 'a') + "\r\n"), 431},
    {"HeaderWithoutEnd", "GET /" + std::string(20'000, 'a'), 431},
    {"ExpectsMiracles", with("Expect: miracles\r\n"), 417},
    {"Query", with_target("/echo?a=1&b=2"), 200},
    {"QueryTwice", with_target("/echo?a=1&a=2"), 400},
    {"QueryTwiceByEncoding", with_target("/echo?a=1&%61=2"), 400},
    {"EncodedPath", with_target("/%65cho"), 200},
    {"EncodedNul", with_target("/echo?a=%00"), 400},
    {"EncodedLineFeed", with_target("/echo?a=%0A"), 400},
    {"EncodedSlash", with_target("/a%2Fb"), 400},
    {"HalfAnEncoding", with_target("/echo?a=%4"), 400},
    {"NoHexEncoding", with_target("/echo?a=%4g"), 400},
    {"RawNonAscii", with_target("/\xd0\xb2"), 400},
    {"Fragment", with_target("/echo#a"), 400},
    {"AbsoluteTarget", with_target("http://a/echo"), 200},
    {"AbsoluteTargetWithoutPath", with_target("http://a"), 400},
    {"AsteriskTarget", with_target("*"), 400},
};

INSTANTIATE_TEST_SUITE_P(Table, HttpRequest, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

class HttpRequestWhole : public HttpTest {};

// Beast limits the bytes of one call; the sum over many must be limited too.
TEST_F(HttpRequestWhole, HasALimitedHeaderHoweverItArrives) {
  serve();
  Wire wire(server_->port());
  wire.send("GET /echo HTTP/1.1\r\nHost: a\r\nX: " + std::string(6'000, 'a') + "\r\nY: b\r\n");
  EXPECT_EQ(wire.read(true, 50ms).status, kSilent);
  const Reply reply = wire.send("X: " + std::string(3'000, 'a') + "\r\n\r\n").read();
  EXPECT_EQ(reply.status, 431);
}

class Parsed : public testing::Test {
 protected:
  const RequestHead& parse(std::string_view request) {
    parser_.emplace(memory_);
    EXPECT_EQ(parser_->parse_header(request), RequestParser::Progress::done);
    return parser_->head();
  }

  HeldBytes received_{limits::kBodyBytesPerThread};
  RequestMemory memory_{received_};
  std::optional<RequestParser> parser_;
};

TEST_F(Parsed, HasTheHeadersInUse) {
  const RequestHead& head = parse(
      "PATCH /v1/polls HTTP/1.1\r\nHost: a\r\nAUTHORIZATION:  Bearer t \r\n"
      "Content-Type: application/json\r\nContent-Encoding: gzip\r\nAccept: text/csv\r\n"
      "Accept-Language: ru\r\nIf-Match: \"1\"\r\nIf-None-Match: W/\"2\"\r\n"
      "Cookie: c\r\nContent-Length: 7\r\n\r\n");
  EXPECT_EQ(head.method, Method::patch);
  EXPECT_EQ(head.path, "/v1/polls");
  EXPECT_EQ(head.authorization, "Bearer t");
  EXPECT_EQ(head.content_type, "application/json");
  EXPECT_EQ(head.content_encoding, "gzip");
  EXPECT_EQ(head.accept, "text/csv");
  EXPECT_EQ(head.accept_language, "ru");
  EXPECT_EQ(head.if_match, "\"1\"");
  EXPECT_EQ(head.if_none_match, "W/\"2\"");
  EXPECT_EQ(head.content_length, 7);
  EXPECT_TRUE(head.has_body);
}

TEST_F(Parsed, HasTheLinesOfAListAsOneList) {
  const RequestHead& head = parse(
      "GET /a HTTP/1.1\r\nHost: a\r\nAccept: text/html;q=0\r\nIf-Match: \"1\"\r\n"
      "Accept-Language: de\r\nX: y\r\nACCEPT: text/csv\r\nIf-None-Match:\r\nAccept: */*\r\n"
      "If-None-Match: \"3\"\r\nAccept-Language: ru, en;q=0.5\r\nIf-Match: W/\"2\"\r\n\r\n");
  EXPECT_EQ(head.accept, "text/html;q=0, text/csv, */*");
  EXPECT_EQ(head.accept_language, "de, ru, en;q=0.5");
  EXPECT_EQ(head.if_match, "\"1\", W/\"2\"");
  EXPECT_EQ(head.if_none_match, "\"3\"");
  EXPECT_EQ(parse("GET /a HTTP/1.1\r\nHost: a\r\nAccept: a/b\r\n\r\n").accept, "a/b");
}

// Beast asserts, where it does at all, that a last chunk comes whole.
TEST_F(Parsed, HasABodyOfChunksThatComesByteByByte) {
  for (const std::string chunks : {"0\r\n\r\n", "000\r\n\r\n", "0;a=b\r\nX: y\r\n\r\n",
                                   "2\r\nok\r\n0\r\n\r\n", "02\r\nok\r\n00\r\nX: y\r\n\r\n"}) {
    parse("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    parser_->limit_body(100);
    std::string input;
    auto progress = RequestParser::Progress::need_more;
    for (const char byte : chunks) {
      ASSERT_EQ(progress, RequestParser::Progress::need_more) << chunks;
      input += byte;
      std::string_view rest = input;
      progress = parser_->parse_body(rest);
      input.erase(0, input.size() - rest.size());
    }
    EXPECT_EQ(progress, RequestParser::Progress::done) << chunks;
    EXPECT_EQ(parser_->body(), chunks.find("ok") == chunks.npos ? "" : "ok") << chunks;
  }
}

TEST(AnswerOfChunks, IsReadByteByByte) {
  for (const std::string chunks : {"0\r\n\r\n", "2\r\nok\r\n0\r\n\r\n"}) {
    Answer answer;
    AnswerParser parser(answer);
    std::string input;
    for (const char byte : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks) {
      ASSERT_FALSE(parser.is_done()) << chunks;
      input += byte;
      boost::system::error_code error;
      input.erase(0, parser.put(boost::asio::buffer(input), error));
      if (error) {
        EXPECT_EQ(error, boost::beast::http::error::need_more) << chunks;
      }
    }
    EXPECT_TRUE(parser.is_done()) << chunks;
    EXPECT_EQ(answer.body, chunks.size() > 5 ? "ok" : "") << chunks;
  }
}

TEST_F(Parsed, HasNothingOfTheRequestBefore) {
  parse("GET /a?x=1 HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n");
  const RequestHead& head = parse("GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(head.path, "/b");
  EXPECT_TRUE(head.authorization.empty());
  EXPECT_FALSE(head.query("x"));
  EXPECT_FALSE(head.has_body);
}

TEST_F(Parsed, HasItsParametersDecoded) {
  const RequestHead& head =
      parse("GET /a%20b?by=territory&c=%D0%B2%26+&empty=&bare HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(head.path, "/a b");
  EXPECT_EQ(head.query("by"), "territory");
  EXPECT_EQ(head.query("c"), "\xd0\xb2&+");
  EXPECT_EQ(head.query("empty"), "");
  EXPECT_EQ(head.query("bare"), "");
  EXPECT_FALSE(head.query("b"));
}

TEST_F(Parsed, HasOnlySoManyParameters) {
  std::string target = "/?a0";
  for (std::size_t i = 1; i < limits::kQueryParameters; ++i) target += "&a" + std::to_string(i);
  RequestHead head;
  EXPECT_TRUE(decode_target(target, memory_, head));
  RequestHead other;
  EXPECT_FALSE(decode_target(target + "&more", memory_, other));
}

}  // namespace
}  // namespace veche::http
