#include <gtest/gtest.h>

#include "ingest/http/problem.h"
#include "ingest/http/response.h"

namespace veche::http {
namespace {

std::string bytes_of(const Response& response, Framing framing = {}) {
  std::string out;
  append_response(response, framing, out);
  return out;
}

TEST(HttpResponse, IsWrittenWhole) {
  Response response{.status = 405, .content_type = "text/plain", .body = "no"};
  response.with(Header::allow, "GET, HEAD").with(Header::x_content_type_options, "nosniff");
  EXPECT_EQ(bytes_of(response),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n"
            "Allow: GET, HEAD\r\nX-Content-Type-Options: nosniff\r\n\r\nno");
}

TEST(HttpResponse, HasNoLengthWhereNoBodyIsAllowed) {
  EXPECT_EQ(bytes_of({.status = 204}), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(bytes_of({.status = 304}), "HTTP/1.1 304 Not Modified\r\n\r\n");
  EXPECT_EQ(bytes_of({.status = 200}), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpResponseDeathTest, AbortsRatherThanSplitAHeader) {
  Response response;
  EXPECT_DEATH(response.with(Header::location, "/a\r\nSet-Cookie: b"), "one line");
}

TEST(HttpProblem, HasTheMembersOfRfc9457) {
  const Response response = problem(409, "already-voted", "A \"first\" ballot\nwas counted.");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_EQ(response.body,
            R"({"type":"urn:veche:problem:already-voted","title":"Conflict","status":409,)"
            R"("detail":"A \"first\" ballot\nwas counted.","code":"already-voted"})");
}

TEST(HttpProblem, ListsTheErrorsOfABody) {
  const BodyError errors[] = {{"/answers/0", "unknown-option", "\"z\" is no option"},
                              {"", "missing", "question q2"}};
  EXPECT_EQ(problem(422, "invalid-answer", "The answers do not fit.", errors).body,
            R"({"type":"urn:veche:problem:invalid-answer","title":"Unprocessable Content",)"
            R"("status":422,"detail":"The answers do not fit.","code":"invalid-answer","errors":[)"
            R"({"pointer":"/answers/0","code":"unknown-option","detail":"\"z\" is no option"},)"
            R"({"pointer":"","code":"missing","detail":"question q2"}]})");
}

TEST(HttpProblem, SaysWhenToComeBack) {
  EXPECT_NE(bytes_of(unavailable("draining", "d")).find("Retry-After: 1\r\n"), std::string::npos);
}

}  // namespace
}  // namespace veche::http
