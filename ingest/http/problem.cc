#include "ingest/http/problem.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <chrono>
#include <iterator>

#include "engine/model/limits.h"

namespace veche::http {
namespace {

std::string json_of(std::string_view text) {
  return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
}

}  // namespace

Response problem(std::uint16_t status, std::string_view code, std::string_view detail,
                 std::span<const BodyError> errors) {
  Response response{.status = status, .content_type = "application/problem+json"};
  std::string body;
  const auto to = std::back_inserter(body);
  fmt::format_to(
      to,
      R"({{"type":"urn:veche:problem:{0}","title":"{1}","status":{2},"detail":{3},"code":"{0}")",
      code, reason_of(status), status, json_of(detail));
  std::string_view separator = R"(,"errors":[)";
  for (const BodyError& error : errors) {
    fmt::format_to(to, R"({}{{"pointer":{},"code":{},"detail":{}}})", separator,
                   json_of(error.pointer), json_of(error.code), json_of(error.detail));
    separator = ",";
  }
  body += errors.empty() ? "}" : "]}";
  response.body = std::move(body);
  return response;
}

Response unavailable(std::string_view code, std::string_view detail) {
  const auto wait = std::chrono::duration_cast<std::chrono::seconds>(limits::kRetryAfter);
  Response response = problem(503, code, detail);
  response.with(Header::retry_after, std::to_string(wait.count()));
  return response;
}

Response too_many_connections() {
  return unavailable("overloaded", "Too many connections; come back a little later.");
}

}  // namespace veche::http
