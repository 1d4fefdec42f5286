#include "ingest/http/response.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "engine/model/assert.h"

namespace veche::http {
namespace {

constexpr std::array<std::string_view, 11> kHeaderNames{
    "Allow",
    "Cache-Control",
    "Content-Disposition",
    "Content-Language",
    "Content-Security-Policy",
    "ETag",
    "Location",
    "Referrer-Policy",
    "Retry-After",
    "Vary",
    "WWW-Authenticate",
};
static_assert(kHeaderNames.size() == std::size_t{1} + static_cast<int>(Header::www_authenticate));

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// RFC 9110: neither has a body, and a length would be read as that of another answer.
bool has_no_length(std::uint16_t status) { return status == 204 || status == 304; }

std::string_view find(const Response& response, Header name) {
  for (const auto& [given, value] : response.headers)
    if (given == name) return value;
  return {};
}

void append_for_caches(const Response& response, bool for_token, std::string& out) {
  const auto cache_control = find(response, Header::cache_control);
  const auto vary = find(response, Header::vary);
  const auto append = [&out](std::string_view before, std::string_view first,
                             std::string_view second) {
    out.append(before).append(first);
    if (!first.empty() && !second.empty()) out += ", ";
    out.append(second).append("\r\n");
  };
  const bool is_public = cache_control.starts_with("public");
  const bool is_private = for_token && !is_public && cache_control != "no-store";
  if (is_private || !cache_control.empty())
    append("Cache-Control: ", is_private ? "private" : "", cache_control);
  if (!is_public || !vary.empty()) append("Vary: ", vary, is_public ? "" : "Authorization");
}

}  // namespace

const Frame& Body::share() {
  if (!frame_) frame_ = std::make_shared<const std::string>(std::exchange(text_, {}));
  return frame_;
}

Response& Response::with(Header name, std::string value) {
  VECHE_ASSERT(std::none_of(value.begin(), value.end(), is_control), "a header value is one line");
  headers.emplace_back(name, std::move(value));
  return *this;
}

std::string_view reason_of(std::uint16_t status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    default:
      return status < 300 ? "OK" : status < 400 ? "Redirect" : "Error";
  }
}

void append_header(const Response& response, Framing framing, std::string& out) {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, FMT_COMPILE("HTTP/1.1 {} {}\r\n"), response.status,
                 reason_of(response.status));
  if (!has_no_length(response.status))
    fmt::format_to(to, FMT_COMPILE("Content-Length: {}\r\n"), response.body.size());
  if (!response.content_type.empty())
    fmt::format_to(to, FMT_COMPILE("Content-Type: {}\r\n"), response.content_type);
  for (const auto& [name, value] : response.headers)
    if (name != Header::cache_control && name != Header::vary)
      fmt::format_to(to, FMT_COMPILE("{}: {}\r\n"), kHeaderNames[static_cast<std::size_t>(name)],
                     value);
  append_for_caches(response, framing.for_token, out);
  out += "X-Content-Type-Options: nosniff\r\n";
  if (framing.close)
    out += "Connection: close\r\n";
  else if (framing.keep_alive_1_0)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
}

bool sends_body(const Response& response, Framing framing) {
  return !framing.head_only && !has_no_length(response.status);
}

}  // namespace veche::http
