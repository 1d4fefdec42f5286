// A request as a handler sees it. All views point into memory of the connection and are valid
// only during the call that they are passed to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/model/limits.h"

namespace veche::http {

// `other` is any method that Veche serves nowhere.
enum class Method : std::uint8_t { get, head, post, put, patch, del, options, other };
std::string_view to_string(Method method);

// A handler's own number for a route, for the observer and for its own second step.
using Route = std::uint16_t;
inline constexpr Route kNoRoute = 0xFFFF;  // refused before a handler saw it

struct QueryParameter {
  std::string_view name;
  std::string_view value;
};

struct RequestHead {
  Method method = Method::other;
  std::string_view path;  // percent-decoded; begins with '/'; no control bytes, no decoded '/'

  // Header values without surrounding white space; empty when absent.
  std::string_view authorization;
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view accept;
  std::string_view accept_language;
  std::string_view if_none_match;
  std::string_view if_match;

  std::optional<std::uint64_t> content_length;  // absent also when the body is chunked
  bool has_body = false;                        // chunked, or of a length above 0

  std::array<QueryParameter, limits::kQueryParameters> parameters{};
  std::size_t parameter_count = 0;

  // The decoded value of a query parameter; '+' stays '+'. A name given twice is refused before.
  std::optional<std::string_view> query(std::string_view name) const {
    for (std::size_t i = 0; i < parameter_count; ++i)
      if (parameters[i].name == name) return parameters[i].value;
    return std::nullopt;
  }
};

// Bytes behind a body that may be read, so that simdjson need not copy it. Their values are
// unspecified.
inline constexpr std::size_t kBodyPadding = 64;

struct Request {
  const RequestHead& head;
  std::string_view body;  // as sent, still compressed if content_encoding says so
  Route route = kNoRoute;
};

}  // namespace veche::http
