// An answer, before it is bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace veche::http {

// The headers that a handler may add. Content-Type, Content-Length and Connection are written
// from the rest of the response, X-Content-Type-Options always.
enum class Header : std::uint8_t {
  allow,
  cache_control,
  content_disposition,
  content_language,
  content_security_policy,
  etag,
  location,
  referrer_policy,
  retry_after,
  vary,
  www_authenticate,
};

struct Response {
  std::uint16_t status = 200;
  std::string_view content_type = {};  // of static storage; empty: no Content-Type is sent
  std::string body = {};               // left out, but for its length, when the request is a HEAD
  std::vector<std::pair<Header, std::string>> headers = {};

  // Adds a header. A value with a control byte in it is a broken promise and aborts.
  Response& with(Header name, std::string value);
};

// How a response is put on the wire.
struct Framing {
  bool head_only = false;       // the request was a HEAD
  bool close = false;           // the connection ends with this response
  bool keep_alive_1_0 = false;  // an HTTP/1.0 client must be told that it does not end
  bool for_token = false;       // the request came with an Authorization
};

// Appends the response's bytes to `out`. What it says of caches is added to here, for no route may
// forget it: unless the handler called the answer public, it is another one for another token, and
// with a token it is private, or not stored at all.
void append_response(const Response& response, Framing framing, std::string& out);

// The reason phrase of a status, e.g. "Not Found"; of its class for a status not in use here.
std::string_view reason_of(std::uint16_t status);

}  // namespace veche::http
