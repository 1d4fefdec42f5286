// An HTTP/1.1 client for Veche's own tools: one call, or a load of many over kept connections.
// Speaks plain http to a host and port; follows no redirects.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/model/result.h"

namespace veche::http {

struct Call {
  std::string method = "GET";
  std::string target = "/";
  // Besides Host and Content-Length, which are written from the rest.
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  // In a load: not sent before, and its latency counts from then, however late it is sent.
  std::optional<std::chrono::steady_clock::time_point> planned = {};
};

struct Answer {
  int status = 0;
  std::string content_type = {};
  std::string etag = {};
  std::optional<std::chrono::seconds> retry_after = {};
  std::string body = {};
  std::chrono::nanoseconds latency{};  // from the first byte sent, or planned, to the last received
};

// The bytes of the call, for the server at `authority` (host:port), behind what `out` holds.
void append_call(const Call& call, std::string_view authority, std::string& out);

// One call on a connection of its own; blocks. `url` is "http://host:port". A fault says what to
// do, e.g. that no server is running there.
Result<Answer> fetch(std::string_view url, const Call& call, std::chrono::milliseconds timeout);

struct LoadOptions {
  std::size_t connections = 1;
  std::chrono::milliseconds answer_timeout = std::chrono::seconds(30);
  // For how long a call is sent again while no server answers; 0: a lost call ends the load.
  std::chrono::milliseconds patience = std::chrono::seconds(30);
};

// What to do after an answer.
struct Verdict {
  std::optional<std::chrono::milliseconds> again_after;

  static Verdict done() { return {}; }
  static Verdict again(std::chrono::milliseconds after) { return {after}; }
};

struct LoadReport {
  std::uint64_t answers = 0;
  std::uint64_t resent = 0;       // calls sent again because their connection was lost
  std::uint64_t connections = 0;  // made; as many as asked for when none was lost
};

// Gives the next call of a connection; none: the connection has no more to do.
using NextCall = std::function<std::optional<Call>(std::size_t connection)>;
// Hears the answer, may change the call for the next attempt.
using OnAnswer = std::function<Verdict(std::size_t connection, Call& call, const Answer& answer)>;

// Keeps `connections` connections busy from the calling thread, which also runs both functions,
// until none has more to do. Every call is sent until it is answered: one whose connection is
// refused, reset or silent for the timeout is sent again, so the server may see it twice. What a
// function throws ends the load and is thrown again.
Result<LoadReport> run_load(std::string_view url, const LoadOptions& options, const NextCall& next,
                            const OnAnswer& on_answer);

}  // namespace veche::http
