// Refusals as application/problem+json (RFC 9457).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ingest/http/response.h"

namespace veche::http {

// One fault in a body.
struct BodyError {
  std::string pointer;  // a JSON pointer into the body, "" for the whole
  std::string code;     // for programs, never translated
  std::string detail;   // for people
};

// A response with the members type ("urn:veche:problem:CODE"), title, status, detail, code and,
// when there are any, errors. `code` is for programs and consists of [a-z0-9-]; `detail` is for
// people. Bytes that are not UTF-8 are passed on as they are: give none.
Response problem(std::uint16_t status, std::string_view code, std::string_view detail,
                 std::span<const BodyError> errors = {});

// A 503 that tells the client when to come back: in limits::kRetryAfter.
Response unavailable(std::string_view code, std::string_view detail);
Response too_many_connections();

}  // namespace veche::http
