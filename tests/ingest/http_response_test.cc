#include <gtest/gtest.h>

#include "ingest/http/limits.h"
#include "ingest/http/output.h"
#include "ingest/http/problem.h"
#include "ingest/http/response.h"

namespace veche::http {
namespace {

std::string bytes_of(Response response, Framing framing = {}) {
  HeldBytes owed{limits::kOwedBytesPerThread};
  Output out{owed};
  out.append(std::move(response), framing);
  std::string bytes;
  for (const auto& piece : out.rest()) bytes += piece;
  return bytes;
}

TEST(HttpResponse, IsWrittenWhole) {
  Response response{.status = 405, .content_type = "text/plain", .body = "no"};
  response.with(Header::allow, "GET, HEAD");
  EXPECT_EQ(bytes_of(response),
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n"
            "Allow: GET, HEAD\r\nVary: Authorization\r\nX-Content-Type-Options: nosniff\r\n\r\nno");
}

TEST(HttpResponse, IsForNobodyElseWhenItCameWithAToken) {
  struct {
    const char* cache_control;  // of the handler, like vary; empty: none
    const char* vary;
    bool for_token;
    const char* expected;
  } const rows[] = {
      {"", "", false, "Vary: Authorization\r\n"},
      {"", "", true, "Cache-Control: private\r\nVary: Authorization\r\n"},
      {"no-cache", "Accept", false, "Cache-Control: no-cache\r\nVary: Accept, Authorization\r\n"},
      {"no-cache", "Accept", true,
       "Cache-Control: private, no-cache\r\nVary: Accept, Authorization\r\n"},
      {"no-store", "", true, "Cache-Control: no-store\r\nVary: Authorization\r\n"},
      {"public, max-age=9", "", true, "Cache-Control: public, max-age=9\r\n"},
      {"public, max-age=9", "Accept", true, "Cache-Control: public, max-age=9\r\nVary: Accept\r\n"},
  };
  for (const auto& row : rows)
    for (const std::uint16_t status : {200, 304, 403}) {
      Response response{.status = status};
      if (*row.cache_control) response.with(Header::cache_control, row.cache_control);
      if (*row.vary) response.with(Header::vary, row.vary);
      const auto bytes = bytes_of(response, {.for_token = row.for_token});
      EXPECT_TRUE(
          bytes.ends_with(std::string(row.expected) + "X-Content-Type-Options: nosniff\r\n\r\n"))
          << bytes;
    }
}

TEST(HttpResponse, IsWrittenFromWhereItLiesIfOthersAreSentTheSame) {
  HeldBytes owed{limits::kOwedBytesPerThread};
  const Frame page = std::make_shared<const std::string>(12'000, 'p');
  Output first(owed), second(owed);
  for (auto* out : {&first, &second})
    for (int i = 0; i < 64; ++i) out->append({.content_type = "text/html", .body = page}, {});
  EXPECT_EQ(first.size(), second.size());
  EXPECT_GT(first.size(), 64 * page->size());
  EXPECT_LT(limits::kOwedBytesPerThread - owed.room(), 4 * page->size()) << "headers, and one page";
}

TEST(HttpResponse, HasNoLengthWhereNoBodyIsAllowed) {
  const std::string rest = "Vary: Authorization\r\nX-Content-Type-Options: nosniff\r\n\r\n";
  EXPECT_EQ(bytes_of({.status = 204}), "HTTP/1.1 204 No Content\r\n" + rest);
  EXPECT_EQ(bytes_of({.status = 304}), "HTTP/1.1 304 Not Modified\r\n" + rest);
  EXPECT_EQ(bytes_of({.status = 200}), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + rest);
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
