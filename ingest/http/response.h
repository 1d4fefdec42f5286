// An answer, before it is bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

// Bytes that many are sent, and nobody changes: an event, or several; the body of an answer.
using Frame = std::shared_ptr<const std::string>;

// The body of an answer: text of its own, or a frame. Equal answers should be given one frame: then
// it is held once, however many connections have not taken it yet.
class Body {
 public:
  Body() = default;
  Body(std::string text) : text_(std::move(text)) {}
  Body(const char* text) : text_(text) {}
  Body(Frame frame) : frame_(std::move(frame)) {}

  std::string_view view() const { return frame_ ? std::string_view(*frame_) : text_; }
  operator std::string_view() const { return view(); }
  std::size_t size() const { return view().size(); }
  friend bool operator==(const Body& body, std::string_view text) { return body.view() == text; }

  bool is_shared() const { return frame_ != nullptr; }
  // The bytes as a frame from now on, without a copy of them.
  const Frame& share();

 private:
  std::string text_;
  Frame frame_;  // null: the text
};

struct Response {
  std::uint16_t status = 200;
  std::string_view content_type = {};  // of static storage; empty: no Content-Type is sent
  Body body = {};                      // left out, but for its length, when the request is a HEAD
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

// Appends the response's header to `out`. What it says of caches is added to here, for no route may
// forget it: unless the handler called the answer public, it is another one for another token, and
// with a token it is private, or not stored at all.
void append_header(const Response& response, Framing framing, std::string& out);

// Whether the response's body follows its header.
bool sends_body(const Response& response, Framing framing);

// The reason phrase of a status, e.g. "Not Found"; of its class for a status not in use here.
std::string_view reason_of(std::uint16_t status);

}  // namespace veche::http
